//! `members export`: all members, in the format that `members import` reads.

use std::{
    io::{self, BufWriter, Write},
    path::PathBuf,
};

use futures_util::TryStreamExt;
use serde::Serialize;
use shared::{
    audit::AdminAction,
    clock::Timestamp,
    contact::{Email, Phone},
    language::Language,
    member::{Member, MemberId},
    password::PasswordHash,
};

use crate::{error::Error, output, private_file, scan, table::MemberTable};

/// The command line.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write to a new file that only its owner can read, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Include password hashes, which are valid only under the same keys
    #[arg(long)]
    with_hashes: bool,
}

/// A member as one line of the export.
#[derive(Serialize)]
struct ExportedMember<'a> {
    id: MemberId,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'a Phone>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a Email>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a PasswordHash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pay_password: Option<&'a PasswordHash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<Language>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cooling_since: Option<Timestamp>,
    created_at: Timestamp,
}

impl<'a> ExportedMember<'a> {
    fn new(member: &'a Member, with_hashes: bool) -> Self {
        Self {
            id: member.id,
            phone: member.phone.as_ref(),
            email: member.email.as_ref(),
            email_verified: member.email.as_ref().map(|_| true),
            password: member.password.as_ref().filter(|_| with_hashes),
            pay_password: member.pay_password.as_ref().filter(|_| with_hashes),
            language: member.language,
            cooling_since: member.cooling_since,
            created_at: member.created_at,
        }
    }
}

/// Writes every member, one per line.
pub async fn run(table: &MemberTable, Arguments { output, with_hashes }: Arguments) -> Result<(), Error> {
    table.record(None, AdminAction::Exported).await?;
    let mut out: Box<dyn Write> = match output {
        None => Box::new(io::stdout().lock()),
        Some(path) => {
            let created = private_file::create_new(&path);
            Box::new(created.map_err(|reason| Error::File { path, reason })?)
        }
    };
    let mut out = BufWriter::new(&mut *out);
    let mut count = 0_u64;
    let mut members = std::pin::pin!(scan::members(table));
    while let Some(member) = members.try_next().await? {
        let exported = ExportedMember::new(&member, with_hashes);
        serde_json::to_writer(&mut out, &exported).map_err(io::Error::from)?;
        out.write_all(b"\n")?;
        count += 1;
    }
    out.flush()?;
    output::note(format_args!("exported {count} members"));
    Ok(())
}
