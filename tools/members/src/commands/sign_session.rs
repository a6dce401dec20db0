//! `members sign-session`: signs a session of a member, for a test.

use serde_json::json;
use shared::{audit::AdminAction, clock::Timestamp, session};

use crate::{error::Error, output, table::MemberTable};

/// The command line.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The member's id, phone or email address
    member: String,
    /// Sign it even if the table is tagged environment=production
    #[arg(long)]
    yes: bool,
}

/// Signs a session and prints its token.
pub async fn run(table: &MemberTable, arguments: Arguments, json: bool) -> Result<(), Error> {
    if !arguments.yes && table.is_production().await? {
        let reason = "the table is tagged environment=production, where the session is that of a real member; \
                      pass --yes to sign it anyway";
        return Err(Error::ConfirmationRequired(reason.to_owned()));
    }
    let member = table.find(&arguments.member).await?;
    let keys = table.keys_secret.keys().await?;
    table.record(Some(member.id), AdminAction::SessionSigned).await?;
    let version = member.credential_version;
    let token = session::issue(&keys, &table.settings, member.id, version, Timestamp::now())?;
    output::result(json, &json!({ "id": member.id, "token": token }), token)
}
