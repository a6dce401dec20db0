//! `members audit`: the audit records of a member or of a day.

use futures_util::TryStreamExt;
use serde::Serialize;
use shared::{
    audit::AdminAction,
    clock::Timestamp,
    store::audit::{Record, TrailEntry},
};
use time::{Date, macros::format_description};

use crate::{error::Error, output, scan, table::MemberTable};

/// The command line.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Arguments {
    /// The member's id, phone or email address; a closed member is found by the id
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

const SECONDS_PER_DAY: i64 = 86_400;

/// Prints the records, oldest first.
pub async fn run(table: &MemberTable, Arguments { member, day }: Arguments, json: bool) -> Result<(), Error> {
    let entries = match (member, day) {
        (Some(member), _) => {
            let id = table.find_id(&member).await?;
            table.record(Some(id), AdminAction::AuditRead).await?;
            let records = table.store.whole_audit_trail(id).await?;
            let member = id.to_string();
            records.into_iter().map(|record| AuditEntry { member: member.clone(), record }).collect()
        }
        (None, Some(day)) => {
            table.record(None, AdminAction::AuditRead).await?;
            entries_of_day(table, &day).await?
        }
        (None, None) => return Err(Error::Usage("pass a member or --day YYYY-MM-DD".to_owned())),
    };
    for entry in &entries {
        print_entry(entry, json)?;
    }
    Ok(())
}

/// Reads the records of a day, oldest first.
async fn entries_of_day(table: &MemberTable, day: &str) -> Result<Vec<AuditEntry>, Error> {
    let date = Date::parse(day, format_description!("[year]-[month]-[day]"));
    let date = date.map_err(|_| Error::Usage(format!("{day:?} is not a day; write it as YYYY-MM-DD")))?;
    let begin = date.midnight().assume_utc().unix_timestamp();
    // There are no records of the days before 1970.
    let [begin, end] =
        [begin, begin + SECONDS_PER_DAY].map(|at| Timestamp(at.try_into().unwrap_or_default()));
    let entries = scan::items(|segment, from| table.store.scan_audit_trails(begin..end, segment, from));
    let mut entries: Vec<TrailEntry> = entries.try_collect().await?;
    entries.sort_by(|a, b| a.sort_key.cmp(&b.sort_key));
    Ok(entries.into_iter().map(AuditEntry::from).collect())
}

impl From<TrailEntry> for AuditEntry {
    fn from(TrailEntry { subject, record, .. }: TrailEntry) -> Self {
        Self { member: subject, record }
    }
}

fn print_entry(entry: &AuditEntry, json: bool) -> Result<(), Error> {
    if json {
        return output::json(entry);
    }
    let Record { action, at, actor, reason, origin, .. } = &entry.record;
    let by = actor.as_deref().map(|actor| format!("by {actor}"));
    let from = origin.source_ip.as_deref().map(|address| format!("from {address}"));
    let source = by.or(from).unwrap_or_default();
    let reason = reason.as_deref().map(|reason| format!("  {reason}")).unwrap_or_default();
    output::line(format_args!(
        "{}  {}  {action}  {source}  {}{reason}",
        output::moment(*at),
        entry.member,
        origin.request_id
    ))
}
