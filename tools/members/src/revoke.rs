//! `members revoke`: a member's sessions are ended, or everybody's.

use std::{collections::BTreeMap, path::PathBuf};

use aws_sdk_dynamodb::{
    operation::update_item::UpdateItemError,
    types::{TransactWriteItem, Update},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{HumanCount, ProgressBar};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    audit::Operation,
    clock::Timestamp,
    member::MemberId,
    store::{Item, member},
};

use crate::{
    error::Error,
    output, progress,
    scan::{self, Page, SEGMENTS, Wanted},
    table::{Table, number, text},
};

/// Whose sessions.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Whose {
    /// A member, by id, phone or mail address
    who: Option<String>,
    /// Everybody's
    #[arg(long)]
    all: bool,
}

/// Whose sessions, and how.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    whose: Whose,
    /// With --all: do it, though everybody must log in again
    #[arg(long)]
    yes: bool,
    /// With --all: go on where an earlier run was ended; who logged in since stays so where that run was done
    #[arg(long, requires = "all")]
    resume: bool,
    /// With --all: where it is kept how far it came
    #[arg(long, value_name = "FILE", default_value = "members-revoke.progress")]
    progress: PathBuf,
}

/// A session with another version is over.
const RAISE: &str = "ADD credential_version :one, revision :one";
const EXISTS: &str = "attribute_exists(pk)";

/// Members of a page who are written at once.
const WRITES: usize = 16;

/// How far it came in each segment of the table.
#[derive(Serialize, Deserialize)]
struct Journal {
    /// Of which table.
    table: String,
    /// When it began.
    began: Timestamp,
    /// How many members it was.
    count: u64,
    /// By segment the key to go on after, or none where all is done.
    segments: BTreeMap<i32, Option<BTreeMap<String, String>>>,
}

/// Ends sessions.
pub async fn run(table: &Table, arguments: Arguments, json: bool) -> Result<(), Error> {
    let Some(who) = arguments.whose.who else {
        if !arguments.yes {
            let told = "everybody would have to log in again; --yes does it";
            return Err(Error::Unconfirmed(told.to_owned()));
        }
        return all(table, arguments.progress, arguments.resume, json).await;
    };
    let member = table.find(&who).await?;
    let update = Update::builder()
        .table_name(&table.name)
        .set_key(Some(member::key(member.id).into_item()))
        .update_expression(RAISE)
        .condition_expression(EXISTS)
        .expression_attribute_values(":one", number(1));
    let writes = vec![
        TransactWriteItem::builder().update(update.build().map_err(Error::internal)?).build(),
        table.record_of(member.id, Operation::Revoked)?,
    ];
    table.write(writes).await?;
    if json {
        return output::json(&json!({ "id": member.id, "revoked": 1 }));
    }
    output::line(format_args!("every session of {} is over", member.id))?;
    Ok(())
}

async fn all(table: &Table, path: PathBuf, resume: bool, json: bool) -> Result<(), Error> {
    let identity = table.identity().await?;
    let mut journal = if resume {
        let kept = progress::read(&path, |journal: &Journal| journal.table == identity)?;
        kept.ok_or_else(|| Error::Usage(format!("there is no {} to go on with", path.display())))?
    } else {
        Journal { table: identity, began: Timestamp::now(), count: 0, segments: BTreeMap::new() }
    };
    if resume {
        output::note(format_args!("going on with the run of {}", output::moment(journal.began)));
    }
    table.record(None, Operation::Revoked).await?;
    // From here on it is this run that is gone on with, and no earlier one.
    progress::keep(&path, &journal)?;
    let bar = if json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    let segments: Vec<_> = (0..SEGMENTS)
        .filter_map(|segment| match journal.segments.get(&segment) {
            None => Some((segment, None)),
            Some(Some(key)) => Some((segment, Some(item(key)))),
            Some(None) => None,
        })
        .collect();
    let pages = segments.into_iter().map(|(segment, from)| {
        stream::try_unfold(Some(from), move |from| async move {
            let Some(from) = from else { return Ok(None) };
            let (count, next) = page(table, segment, from).await?;
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
                return Err(Error::Interrupted(format!("{path} tells how far it came; the same command goes on with --resume")));
            }
        };
        let Some((segment, count, next)) = page else { break };
        journal.count += count;
        journal.segments.insert(segment, next.as_ref().map(key));
        progress::keep(&path, &journal)?;
        bar.set_message(format!("{} members", HumanCount(journal.count)));
        bar.tick();
    }
    bar.finish_and_clear();
    progress::remove(&path)?;
    if json {
        return output::json(&json!({ "revoked": journal.count }));
    }
    output::line(format_args!("every session of {} members is over", journal.count))?;
    Ok(())
}

/// Ends the sessions of those on a page, and answers how many they are and where the next page begins.
async fn page(table: &Table, segment: i32, from: Option<Item>) -> Result<(u64, Option<Item>), Error> {
    let Page { items, next } = scan::page(table, &Wanted::members(), segment, from).await?;
    let count = items.len() as u64;
    let ids = items.into_iter().filter_map(|item| item.get("id")?.as_s().ok()?.parse().ok().map(MemberId));
    stream::iter(ids.map(Ok)).try_for_each_concurrent(WRITES, |id| raise(table, id)).await?;
    Ok((count, next))
}

async fn raise(table: &Table, id: MemberId) -> Result<(), Error> {
    let update = table
        .client
        .update_item()
        .table_name(&table.name)
        .set_key(Some(member::key(id).into_item()))
        .update_expression(RAISE)
        .condition_expression(EXISTS)
        .expression_attribute_values(":one", number(1));
    match update.send().await {
        // Whoever went has no session.
        Err(error)
            if error
                .as_service_error()
                .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
        {
            Ok(())
        }
        sent => sent.map(drop).map_err(Error::of_call("DynamoDB")),
    }
}

fn key(item: &Item) -> BTreeMap<String, String> {
    let texts = item.iter().filter_map(|(name, value)| Some((name.clone(), value.as_s().ok()?.clone())));
    texts.collect()
}

fn item(key: &BTreeMap<String, String>) -> Item {
    key.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}
