//! `members revoke`: ends the sessions of a member, or of all members.

use std::{collections::BTreeMap, path::PathBuf};

use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{HumanCount, ProgressBar};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    audit::AdminAction,
    clock::Timestamp,
    store::{ItemKey, Page, SEGMENTS},
};

use crate::{error::Error, output, progress, table::MemberTable};

/// Whose sessions end.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Scope {
    /// The member's id, phone or email address
    member: Option<String>,
    /// End the sessions of all members
    #[arg(long)]
    all: bool,
}

/// The command line.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    scope: Scope,
    /// With --all: confirm that all members have to log in again
    #[arg(long)]
    yes: bool,
    /// With --all: resume an interrupted run; members it already covered keep newer sessions
    #[arg(long, requires = "all")]
    resume: bool,
    /// With --all: the file that stores the progress of the run
    #[arg(long, value_name = "FILE", default_value = "members-revoke.progress")]
    progress: PathBuf,
}

/// Members of a page that are written concurrently.
const CONCURRENT_WRITES: usize = 16;

/// How far a run over all members has come.
#[derive(Serialize, Deserialize)]
struct RevokeCheckpoint {
    /// The identity of the table.
    table: String,
    /// When the run began.
    began: Timestamp,
    /// Members whose sessions have ended.
    count: u64,
    /// By segment, the key after which to resume. `None` if the segment is complete.
    segments: BTreeMap<i32, Option<ItemKey>>,
}

/// Ends sessions.
pub async fn run(table: &MemberTable, arguments: Arguments, json: bool) -> Result<(), Error> {
    let Some(member) = arguments.scope.member else {
        if !arguments.yes {
            let reason = "all members would have to log in again; pass --yes to confirm";
            return Err(Error::ConfirmationRequired(reason.to_owned()));
        }
        return revoke_all(table, arguments.progress, arguments.resume, json).await;
    };
    let member = table.find(&member).await?;
    table.store.revoke_sessions(member.id, &table.actor).await?;
    let text = format!("ended all sessions of member {}", member.id);
    output::result(json, &json!({ "id": member.id, "revoked": 1 }), text)
}

async fn revoke_all(table: &MemberTable, path: PathBuf, resume: bool, json: bool) -> Result<(), Error> {
    let identity = table.identity().await?;
    let mut checkpoint = if resume {
        let read = progress::read(&path, |checkpoint: &RevokeCheckpoint| checkpoint.table == identity)?;
        read.ok_or_else(|| {
            Error::Usage(format!("{} does not exist, so there is no run to resume", path.display()))
        })?
    } else {
        RevokeCheckpoint { table: identity, began: Timestamp::now(), count: 0, segments: BTreeMap::new() }
    };
    if resume {
        output::note(format_args!("resuming the run of {}", output::moment(checkpoint.began)));
    }
    table.record(None, AdminAction::Revoked).await?;
    // From here on `--resume` resumes this run, not an earlier one.
    progress::write(&path, &checkpoint)?;
    let bar = if json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    let incomplete: Vec<_> = (0..SEGMENTS)
        .filter_map(|segment| match checkpoint.segments.get(&segment) {
            None => Some((segment, None)),
            Some(Some(key)) => Some((segment, Some(key.clone()))),
            Some(None) => None,
        })
        .collect();
    let pages = incomplete.into_iter().map(|(segment, from)| {
        stream::try_unfold(Some(from), move |from| async move {
            let Some(from) = from else { return Ok(None) };
            let (count, next) = revoke_page(table, segment, from).await?;
            Ok::<_, Error>(Some(((segment, count, next.clone()), next.map(Some))))
        })
        .boxed()
    });
    let mut pages = stream::select_all(pages);
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let page = tokio::select! {
            page = pages.try_next() => page?,
            _ = &mut interrupt => {
                let path = path.display();
                let reason = format!("interrupted; progress is saved in {path}, rerun with --resume to continue");
                return Err(Error::Interrupted(reason));
            }
        };
        let Some((segment, count, next)) = page else { break };
        checkpoint.count += count;
        checkpoint.segments.insert(segment, next);
        progress::write(&path, &checkpoint)?;
        bar.set_message(format!("{} members", HumanCount(checkpoint.count)));
        bar.tick();
    }
    bar.finish_and_clear();
    progress::remove(&path)?;
    let text = format!("ended all sessions of {} members", checkpoint.count);
    output::result(json, &json!({ "revoked": checkpoint.count }), text)
}

/// Ends the sessions of the members on a page. Returns their number and the key after which the next page begins.
async fn revoke_page(
    table: &MemberTable,
    segment: i32,
    from: Option<ItemKey>,
) -> Result<(u64, Option<ItemKey>), Error> {
    let Page { items: ids, next } = table.store.scan_member_ids(segment, from).await?;
    let count = ids.len() as u64;
    let ended = stream::iter(ids.into_iter().map(Ok))
        .try_for_each_concurrent(CONCURRENT_WRITES, |id| table.store.end_sessions(id));
    ended.await?;
    Ok((count, next))
}
