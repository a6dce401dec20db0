//! `members unlock`: clears a member's failed password and code attempts.

use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};
use shared::{audit::AdminAction, store::Item};

use crate::{
    error::Error,
    failures::{self, FailedAttempts},
    output,
    table::MemberTable,
};

/// The command line.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The member's id, phone or email address
    member: String,
}

/// A transaction takes 100 writes, of which one is the audit record.
const MAX_COUNTERS: usize = 99;

/// Deletes the member's counters of failed attempts and prints them.
pub async fn run(table: &MemberTable, arguments: Arguments, json: bool) -> Result<(), Error> {
    let member = table.find(&arguments.member).await?;
    let counters = failures::counters(table, &member).await?;
    let mut chunks: Vec<_> = counters.chunks(MAX_COUNTERS).collect();
    if chunks.is_empty() {
        // The command is recorded even if it has nothing to delete.
        chunks.push(&[]);
    }
    for chunk in chunks {
        let deletes = chunk.iter().map(|counter| delete(table, counter));
        let mut writes = deletes.collect::<Result<Vec<_>, _>>()?;
        writes.push(table.record_write(member.id, AdminAction::Unlocked)?);
        table.transact_with_retry(writes).await?;
    }
    let cleared = counters.into_iter().map(FailedAttempts::from_item).collect::<Result<Vec<_>, _>>()?;
    print_result(&cleared, json)
}

fn delete(table: &MemberTable, counter: &Item) -> Result<TransactWriteItem, Error> {
    let key = ["pk", "sk"].into_iter().filter_map(|name| Some((name.to_owned(), counter.get(name)?.clone())));
    let delete = Delete::builder().table_name(&table.name).set_key(Some(key.collect()));
    let delete = delete.build().map_err(Error::internal)?;
    Ok(TransactWriteItem::builder().delete(delete).build())
}

fn print_result(cleared: &[FailedAttempts], json: bool) -> Result<(), Error> {
    if json {
        return output::json(&cleared);
    }
    for FailedAttempts { of, count, .. } in cleared {
        output::line(format_args!("cleared {count} {of}"))?;
    }
    if cleared.is_empty() {
        output::line("there were no failed attempts to clear")?;
    }
    Ok(())
}
