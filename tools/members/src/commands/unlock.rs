//! `members unlock`: clears a member's failed password and code attempts.

use crate::{error::Error, failures::FailedAttempts, output, table::MemberTable};

/// The command line.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The member's id, phone or email address
    member: String,
}

/// Deletes the member's counters of failed attempts and prints them.
pub async fn run(table: &MemberTable, arguments: Arguments, json: bool) -> Result<(), Error> {
    let member = table.find(&arguments.member).await?;
    let keys = table.keys_secret.keys().await?;
    let counters = table.store.failure_counters(&member, &keys).await?;
    table.store.clear_failures(member.id, &counters, &table.actor).await?;
    let cleared: Vec<_> = counters.iter().map(FailedAttempts::from).collect();
    print_result(&cleared, json)
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
