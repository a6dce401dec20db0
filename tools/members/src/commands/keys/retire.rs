//! `members keys retire`: removes a key.

use serde_json::json;
use shared::audit::Operation;

use super::{storage::KeyStorage, usage};
use crate::{audit_log::record_if_named, error::Error, output, table::MemberTable};

/// The command line.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The key's id
    id: String,
    /// Remove it, though passwords hang on it
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
    record_if_named(table, Operation::KeyRetired).await?;
    storage.write(&keys).await?;
    let text = format!("there is no key `{id}` any more once this is deployed with another Release");
    output::result(json, &json!({ "retired": id }), text)
}

async fn require_unused(table: Option<&MemberTable>, id: &str) -> Result<(), Error> {
    let Some(table) = table else {
        let reason = "no table is named to see who uses it; --yes removes it all the same";
        return Err(Error::ConfirmationRequired(reason.to_owned()));
    };
    let count = usage::hashes_by_key(table).await?.remove(id).unwrap_or_default();
    if count > 0 {
        let reason =
            format!("{count} passwords hang on {id:?}: who has them would have to recover; --yes removes it");
        return Err(Error::ConfirmationRequired(reason));
    }
    Ok(())
}
