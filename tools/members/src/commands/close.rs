//! `members close`: closes a member, lists the closed members, or closes them again after a restore.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use serde_json::json;
use shared::{
    audit::AdminAction,
    store::{Backoff, OperatorClosing, Tombstone, is_conflict},
};

use crate::{error::Error, output, private_file, scan, table::MemberTable};

/// What to do.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Operation {
    /// The member's id, phone or email address
    member: Option<String>,
    /// Write the closed members to a new file, one JSON line each
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// Close the members of such a file again, after a restore
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
}

/// The command line.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    operation: Operation,
    /// With a member: the reason, for the audit trail; without phones and email addresses
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// The reason in the records of a replay.
const REPLAYED: &str = "closed again after a restore";

/// Members that are written concurrently.
const CONCURRENT_WRITES: usize = 16;

/// Closes members, or lists the closed ones.
pub async fn run(table: &MemberTable, arguments: Arguments, json: bool) -> Result<(), Error> {
    let Arguments { operation, reason } = arguments;
    match (operation, reason) {
        (Operation { member: Some(member), .. }, Some(reason)) if !reason.trim().is_empty() => {
            close(table, &member, reason.trim(), json).await
        }
        (Operation { member: Some(_), .. }, _) => {
            Err(Error::Usage("a closing is recorded with its reason; pass --reason TEXT".to_owned()))
        }
        (Operation { list: Some(path), .. }, None) => list(table, path, json).await,
        (Operation { replay: Some(path), .. }, None) => replay(table, &path, json).await,
        (_, Some(_)) => Err(Error::Usage("--reason requires a member".to_owned())),
        (_, None) => Err(Error::Usage("pass a member, --list FILE or --replay FILE".to_owned())),
    }
}

/// Closes a member as the member does, and notifies every address.
async fn close(table: &MemberTable, member: &str, reason: &str, json: bool) -> Result<(), Error> {
    let closing = OperatorClosing { actor: &table.actor, reason };
    let mut backoff = Backoff::of_command();
    let id = loop {
        let member = table.find(member).await?;
        let language = member.language.unwrap_or(table.settings.default_language);
        match table.store.close_member(&member, closing, language).await {
            Ok(()) => break member.id,
            Err(error) if is_conflict(&error) && backoff.wait().await => (),
            Err(error) => return Err(error.into()),
        }
    };
    output::result(json, &json!({ "id": id, "closed": 1 }), format!("closed member {id}"))
}

/// Writes the tombstones of the table.
async fn list(table: &MemberTable, path: PathBuf, json: bool) -> Result<(), Error> {
    table.record(None, AdminAction::ClosingsListed).await?;
    let created = private_file::create_new(&path);
    let mut file = BufWriter::new(created.map_err(|reason| Error::File { path, reason })?);
    let mut count = 0_u64;
    let tombstones = scan::items(|segment, from| table.store.scan_tombstones(segment, from));
    let mut tombstones = std::pin::pin!(tombstones);
    while let Some(tombstone) = tombstones.try_next().await? {
        serde_json::to_writer(&mut file, &tombstone).map_err(io::Error::from)?;
        file.write_all(b"\n")?;
        count += 1;
    }
    file.flush()?;
    output::result(json, &json!({ "listed": count }), format!("listed {count} closed members"))
}

/// Closes the members of a file again.
///
/// A second run changes nothing, so an interrupted run is repeated.
async fn replay(table: &MemberTable, path: &Path, json: bool) -> Result<(), Error> {
    // Before anything is written.
    let tombstones = read(path)?;
    table.record(None, AdminAction::ClosingsReplayed).await?;
    let bar = if json { ProgressBar::hidden() } else { ProgressBar::new(tombstones.len() as u64) };
    let mut replayed = stream::iter(tombstones.into_iter().map(|tombstone| replay_one(table, tombstone)))
        .buffer_unordered(CONCURRENT_WRITES);
    let (mut closed, mut unchanged) = (0_u64, 0_u64);
    while let Some(is_written) = replayed.try_next().await? {
        if is_written {
            closed += 1;
        } else {
            unchanged += 1;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let text = format!("closed {closed} members again; {unchanged} were closed already");
    output::result(json, &json!({ "closed": closed, "unchanged": unchanged }), text)
}

async fn replay_one(table: &MemberTable, tombstone: Tombstone) -> Result<bool, Error> {
    let closing = OperatorClosing { actor: &table.actor, reason: REPLAYED };
    let mut backoff = Backoff::of_command();
    loop {
        match table.store.replay_closing(tombstone, closing).await {
            Ok(is_written) => return Ok(is_written),
            // Another run closed the member, or the member was changed.
            Err(error)
                if (is_conflict(&error) || matches!(error, shared::Error::UserNotFound))
                    && backoff.wait().await => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn read(path: &Path) -> Result<Vec<Tombstone>, Error> {
    let text = fs::read_to_string(path).map_err(|reason| Error::File { path: path.to_owned(), reason })?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let tombstones = lines.map(|(number, line)| {
        serde_json::from_str(line).map_err(|_| {
            let (path, line) = (path.display(), number + 1);
            Error::Usage(format!("{path}: line {line} is not a closed member; list them with --list FILE"))
        })
    });
    tombstones.collect()
}
