//! `members audit`: the audit records of a member or of a day.

use futures_util::TryStreamExt;
use serde::Serialize;
use shared::{
    audit::AdminAction,
    store::{
        Item,
        audit::{PREFIX, Record},
    },
};
use time::{Date, macros::format_description};

use crate::{
    attribute::text,
    error::Error,
    output,
    scan::{self, Filter},
    table::MemberTable,
};

/// The command line.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Arguments {
    /// The member's id, phone or email address
    member: Option<String>,
    /// All records of a day (UTC); scans the whole table
    #[arg(long, value_name = "YYYY-MM-DD")]
    day: Option<String>,
}

/// An audit record as it is printed.
#[derive(Serialize)]
struct AuditEntry {
    member: String,
    #[serde(flatten)]
    record: Record,
}

const MILLIS_PER_DAY: i128 = 86_400_000;

/// Prints the records, oldest first.
pub async fn run(table: &MemberTable, Arguments { member, day }: Arguments, json: bool) -> Result<(), Error> {
    let items = match (member, day) {
        (Some(member), _) => {
            let member = table.find(&member).await?;
            table.record(Some(member.id), AdminAction::AuditRead).await?;
            table.partition(format!("{PREFIX}{}", member.id)).await?
        }
        (None, Some(day)) => {
            table.record(None, AdminAction::AuditRead).await?;
            items_of_day(table, &day).await?
        }
        (None, None) => return Err(Error::Usage("pass a member or --day YYYY-MM-DD".to_owned())),
    };
    for item in items {
        print_entry(&AuditEntry::from_item(item)?, json)?;
    }
    Ok(())
}

/// Reads the records of a day. The sort key of a record begins with its milliseconds since 1970.
async fn items_of_day(table: &MemberTable, day: &str) -> Result<Vec<Item>, Error> {
    let date = Date::parse(day, format_description!("[year]-[month]-[day]"));
    let date = date.map_err(|_| Error::Usage(format!("{day:?} is not a day; write it as YYYY-MM-DD")))?;
    let begin = i128::from(date.midnight().assume_utc().unix_timestamp()) * 1_000;
    let moment = |millis: i128| text(format!("{millis:013}"));
    let filter = Filter {
        expression: "begins_with(pk, :prefix) AND sk BETWEEN :begin AND :end",
        values: vec![
            (":prefix", text(PREFIX)),
            (":begin", moment(begin)),
            // BETWEEN is inclusive, but a record of the next midnight has a longer sort key and sorts after this.
            (":end", moment(begin + MILLIS_PER_DAY)),
        ],
    };
    let mut items: Vec<_> = scan::items(table, &filter).try_collect().await?;
    items.sort_by_cached_key(|item| item.get("sk").and_then(|sk| sk.as_s().ok()).cloned());
    Ok(items)
}

impl AuditEntry {
    fn from_item(item: Item) -> Result<Self, Error> {
        let pk = item.get("pk").and_then(|pk| pk.as_s().ok());
        let member = pk.and_then(|pk| pk.strip_prefix(PREFIX)).unwrap_or_default().to_owned();
        Ok(Self { member, record: serde_dynamo::from_item(item).map_err(Error::internal)? })
    }
}

fn print_entry(entry: &AuditEntry, json: bool) -> Result<(), Error> {
    if json {
        return output::json(entry);
    }
    let Record { action, at, actor, origin, .. } = &entry.record;
    let by = actor.as_deref().map(|actor| format!("by {actor}"));
    let from = origin.source_ip.as_deref().map(|address| format!("from {address}"));
    let source = by.or(from).unwrap_or_default();
    output::line(format_args!(
        "{}  {}  {action}  {source}  {}",
        output::moment(*at),
        entry.member,
        origin.request_id
    ))
}
