//! `members session`: a session of a member, for a test.

use serde_json::json;
use shared::{audit::Operation, clock::Timestamp, session};

use crate::{error::Error, output, table::Table};

/// Signs a session and prints it.
pub async fn run(table: &Table, who: &str, yes: bool, json: bool) -> Result<(), Error> {
    if !yes && table.is_production().await? {
        let told = "the table is marked as production: a session there is a member's own; --yes signs one";
        return Err(Error::Unconfirmed(told.to_owned()));
    }
    let member = table.find(who).await?;
    let keys = table.keys().await?;
    table.record(Some(member.id), Operation::SessionSigned).await?;
    let version = member.credential_version;
    let token = session::issue(&keys, &table.settings, member.id, version, Timestamp::now())?;
    if json {
        return output::json(&json!({ "id": member.id, "token": token }));
    }
    output::line(token)?;
    Ok(())
}
