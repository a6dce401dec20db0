//! `members unfreeze`: lifts the freeze of a member who reported a change.

use serde_json::json;

use crate::{error::Error, output, table::MemberTable};

/// The command line.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The member's id, phone or email address
    member: String,
}

/// Lifts the freeze, so that the member can make changes again.
pub async fn run(table: &MemberTable, arguments: Arguments, json: bool) -> Result<(), Error> {
    let member = table.find(&arguments.member).await?;
    let was_frozen = member.frozen.is_some();
    table.store.unfreeze(member.id, &table.actor).await?;
    let text = if was_frozen { "lifted the freeze of" } else { "there was no freeze of" };
    let result = json!({ "id": member.id, "unfrozen": u64::from(was_frozen) });
    output::result(json, &result, format!("{text} member {}", member.id))
}
