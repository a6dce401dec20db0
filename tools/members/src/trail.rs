//! `members audit`: what was done, to a member or on a day.

use futures_util::TryStreamExt;
use serde::Serialize;
use shared::{
    audit::Operation,
    store::{
        Item,
        audit::{PREFIX, Record},
    },
};
use time::{Date, macros::format_description};

use crate::{
    error::Error,
    output,
    scan::{self, Wanted},
    table::{Table, text},
};

/// Whose trail.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Arguments {
    /// A member, by id, phone or mail address
    who: Option<String>,
    /// Everything of a day (UTC), by reading the whole table
    #[arg(long, value_name = "YYYY-MM-DD")]
    day: Option<String>,
}

/// A record, and of whom it is.
#[derive(Serialize)]
struct Told {
    member: String,
    #[serde(flatten)]
    record: Record,
}

const MILLIS_PER_DAY: i128 = 86_400_000;

/// Prints a trail, the oldest record first.
pub async fn run(table: &Table, Arguments { who, day }: Arguments, json: bool) -> Result<(), Error> {
    let items = match (who, day) {
        (Some(who), _) => {
            let member = table.find(&who).await?;
            table.record(Some(member.id), Operation::AuditRead).await?;
            table.partition(format!("{PREFIX}{}", member.id)).await?
        }
        (None, Some(day)) => {
            table.record(None, Operation::AuditRead).await?;
            of_day(table, &day).await?
        }
        (None, None) => return Err(Error::Usage("say of whom, or of which --day".to_owned())),
    };
    for item in items {
        let told = told(item)?;
        if json {
            output::json(&told)?;
            continue;
        }
        let Record { action, at, actor, origin, .. } = &told.record;
        let by = actor.as_deref().map(|actor| format!("by {actor}"));
        let from = origin.source_ip.as_deref().map(|address| format!("from {address}"));
        let how = by.or(from).unwrap_or_default();
        output::line(format_args!(
            "{}  {}  {action}  {how}  {}",
            output::moment(*at),
            told.member,
            origin.request_id
        ))?;
    }
    Ok(())
}

async fn of_day(table: &Table, day: &str) -> Result<Vec<Item>, Error> {
    let date = Date::parse(day, format_description!("[year]-[month]-[day]"));
    let date = date.map_err(|_| Error::Usage("a day is written as 2026-11-21".to_owned()))?;
    let begin = i128::from(date.midnight().assume_utc().unix_timestamp()) * 1_000;
    let moment = |millis: i128| text(format!("{millis:013}"));
    let wanted = Wanted {
        filter: "begins_with(pk, :prefix) AND sk BETWEEN :begin AND :end",
        values: vec![
            (":prefix", text(PREFIX)),
            (":begin", moment(begin)),
            // Every sort key goes on after its milliseconds.
            (":end", moment(begin + MILLIS_PER_DAY)),
        ],
    };
    let mut items: Vec<_> = scan::items(table, &wanted).try_collect().await?;
    items.sort_by_cached_key(|item| item.get("sk").and_then(|sk| sk.as_s().ok()).cloned());
    Ok(items)
}

fn told(item: Item) -> Result<Told, Error> {
    let pk = item.get("pk").and_then(|pk| pk.as_s().ok());
    let member = pk.and_then(|pk| pk.strip_prefix(PREFIX)).unwrap_or_default().to_owned();
    Ok(Told { member, record: serde_dynamo::from_item(item).map_err(Error::internal)? })
}
