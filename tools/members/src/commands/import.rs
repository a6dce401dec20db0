//! `members import`: members of another system, from CSV or JSON lines.
//!
//! The file is read in batches of lines. Several batches are parsed and written concurrently, but their outcomes are
//! taken in the order of the file. The checkpoint therefore always names one offset before which every line is done.

mod checkpoint;
mod context;
mod create;
mod dry_run;
mod existing;
mod field_error;
mod format;
mod hash_pool;
mod json_line;
mod lines;
mod member_id;
mod moment;
mod number;
mod outcome;
mod pending;
mod record;
mod rejects;
mod run;
mod summary;
mod update;

use std::{collections::HashSet, path::PathBuf, sync::Mutex};

use shared::audit::AdminAction;

use crate::{error::Error, output, table::MemberTable};
use checkpoint::{Checkpoint, ImportId};
use context::Context;
use existing::Existing;
use format::Format;
use hash_pool::HashPool;
use lines::Lines;
use record::Rules;
use rejects::RejectsFile;
use run::ImportRun;

/// The command line.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// CSV with a header, or JSON lines if the name ends in .jsonl, .ndjson or .json
    file: PathBuf,
    /// What to do with members who already exist
    #[arg(long, value_enum, default_value_t = Existing::Skip)]
    existing: Existing,
    /// Treat an email address as verified if its line has no `email_verified`
    #[arg(long)]
    trust_email: bool,
    /// Convert ids that are not UUIDs to UUIDs in this namespace (RFC 9562, version 5)
    #[arg(long, value_name = "UUID")]
    namespace: Option<uuid::Uuid>,
    /// Check every line, but write nothing
    #[arg(long)]
    dry_run: bool,
    /// The file for rejected lines [default: FILE.errors]
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,
}

/// Imports a file, or resumes its import. Returns whether every line was imported.
pub async fn run(arguments: Arguments, table: MemberTable, json: bool) -> Result<bool, Error> {
    let Arguments { file, existing, trust_email, namespace, dry_run, errors } = arguments;
    let mut lines = Lines::open(&file)?;
    let format = Format::detect(&file, &mut lines)?;
    let errors = errors.unwrap_or_else(|| file.with_added_extension("errors"));
    let progress = file.with_added_extension("progress");
    let subject = ImportId {
        length: lines.length(),
        modified: lines.modified(),
        table: table.identity().await?,
        errors: errors.display().to_string(),
        existing,
        trust_email,
        namespace,
    };
    let interrupted = if dry_run { None } else { Checkpoint::read(&progress, &subject)? };
    let (checkpoint, rejects) = match interrupted {
        Some(checkpoint) => {
            lines.skip_to(checkpoint.offset, checkpoint.line)?;
            output::note(format_args!("resuming at line {}", checkpoint.line + 1));
            let rejects = RejectsFile::resume(errors, &format, checkpoint.errors_length)?;
            (checkpoint, rejects)
        }
        None => (Checkpoint::new(subject, &lines), RejectsFile::new(errors, dry_run)?),
    };
    let keys = table.keys_secret.keys().await?;
    let rules = Rules {
        phones: table.settings.phones.clone(),
        passwords: (&table.settings).into(),
        trust_email,
        namespace,
    };
    if !dry_run {
        table.record(None, AdminAction::Imported).await?;
    }
    let hash_pool = HashPool::default();
    let ids = Mutex::new(HashSet::new());
    let context = Context { table, keys, rules, format, existing, dry_run, hash_pool, ids };
    let run = ImportRun::new(context, checkpoint, rejects, progress, lines.length(), json);
    run.finish(&file, lines, json).await
}
