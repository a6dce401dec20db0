//! `members keys rotate`: a new key, first added and then made the current one.

use serde_json::json;
use shared::{audit::AdminAction, keys::MAX_ID_BYTES, random};

use super::storage::KeyStorage;
use crate::{audit_log::record_if_named, error::Error, output, table::MemberTable};

/// The command line.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The new key's id [default: random]
    #[arg(long, value_name = "ID", conflicts_with = "use_id")]
    id: Option<String>,
    /// Make this key the current one, instead of adding a key
    #[arg(long = "use", value_name = "ID")]
    use_id: Option<String>,
}

/// Adds a key, or makes one the current key.
///
/// These are two steps with a deployment between them, so that every function can verify the key before any signs
/// with it.
pub async fn run(
    storage: &KeyStorage<'_>,
    table: Option<&MemberTable>,
    arguments: Arguments,
    json: bool,
) -> Result<(), Error> {
    match arguments.use_id {
        Some(id) => set_current(storage, table, &id, json).await,
        None => add(storage, table, arguments.id, json).await,
    }
}

async fn add(
    storage: &KeyStorage<'_>,
    table: Option<&MemberTable>,
    id: Option<String>,
    json: bool,
) -> Result<(), Error> {
    let mut keys = storage.read().await?;
    let id = match id {
        Some(id) => id,
        None => format!("k{}", random::digits(MAX_ID_BYTES - 1).map_err(Error::internal)?),
    };
    keys.add(&id)?;
    record_if_named(table, AdminAction::KeyAdded).await?;
    storage.write(&keys).await?;
    let steps = format!(
        "added key `{id}`, which signs nothing yet\n\
         1. deploy with a new Release, and wait until it is complete: every function must load the key\n\
         2. members keys rotate --use {id}\n\
         3. deploy with a new Release again"
    );
    output::result(json, &json!({ "added": id }), steps)
}

async fn set_current(
    storage: &KeyStorage<'_>,
    table: Option<&MemberTable>,
    id: &str,
    json: bool,
) -> Result<(), Error> {
    let mut keys = storage.read().await?;
    let before = keys.set_current(id)?;
    record_if_named(table, AdminAction::KeyUsed).await?;
    storage.write(&keys).await?;
    let steps = format!(
        "`{id}` becomes the current key when you deploy with a new Release\n\
         do not retire `{before}` yet: sessions use it for SessionTtlSeconds, hashes until their password is changed\n\
         once `members keys list` shows no more hashes: members keys retire {before}"
    );
    output::result(json, &json!({ "current": id, "before": before }), steps)
}
