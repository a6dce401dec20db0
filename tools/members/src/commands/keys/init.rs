//! `members keys init`: the first key.

use serde_json::json;
use shared::audit::AdminAction;

use super::{
    key_set::KeySet,
    storage::{KeyStorage, create_file},
};
use crate::{audit_log::record_if_named, error::Error, output, table::MemberTable};

/// Creates the first key. Fails if there are keys already.
pub async fn run(storage: &KeyStorage<'_>, table: Option<&MemberTable>, json: bool) -> Result<(), Error> {
    let keys = KeySet::generate("first")?;
    match storage {
        KeyStorage::File(path) => {
            let text = keys.to_text()?;
            record_if_named(table, AdminAction::KeysMade).await?;
            create_file(path, &text)?;
        }
        KeyStorage::Secret(secret) => match secret.read().await {
            Ok(_) => {
                return Err(Error::Usage(
                    "the secret already has a value; add a key with `members keys rotate`".to_owned(),
                ));
            }
            Err(Error::Aws { reason, .. }) if reason.starts_with("ResourceNotFoundException") => {
                record_if_named(table, AdminAction::KeysMade).await?;
                storage.write(&keys).await?;
            }
            Err(error) => return Err(error),
        },
    }
    let text = "created key `first`, which is the current key";
    output::result(json, &json!({ "current": "first" }), text)
}
