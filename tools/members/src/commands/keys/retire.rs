//! `members keys retire`: removes a key.

use serde_json::json;
use shared::audit::AdminAction;

use super::{storage::KeyStorage, usage};
use crate::{audit_log::record_if_named, error::Error, output, table::MemberTable};

/// The command line.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The key's id
    id: String,
    /// Remove it even if password hashes use it
    #[arg(long)]
    yes: bool,
}

/// Removes a key that no password hash uses, unless confirmed.
pub async fn run(
    storage: &KeyStorage<'_>,
    table: Option<&MemberTable>,
    Arguments { id, yes }: Arguments,
    json: bool,
) -> Result<(), Error> {
    storage.read().await?.remove(&id)?;
    if !yes {
        require_unused(table, &id).await?;
    }
    // Counting takes a while, in which another operator may have added a key: read the keys again.
    let mut keys = storage.read().await?;
    keys.remove(&id)?;
    record_if_named(table, AdminAction::KeyRetired).await?;
    storage.write(&keys).await?;
    let text = format!("removed key `{id}`; deploy with a new Release to apply this");
    output::result(json, &json!({ "retired": id }), text)
}

async fn require_unused(table: Option<&MemberTable>, id: &str) -> Result<(), Error> {
    let Some(table) = table else {
        let reason =
            "without a table, it is not known whether password hashes use the key; name one, or pass --yes";
        return Err(Error::ConfirmationRequired(reason.to_owned()));
    };
    let count = usage::hashes_by_key(table).await?.remove(id).unwrap_or_default();
    if count > 0 {
        let reason = format!(
            "{count} password hashes use key {id:?}; those members would have to recover. \
             Pass --yes to remove it anyway"
        );
        return Err(Error::ConfirmationRequired(reason));
    }
    Ok(())
}
