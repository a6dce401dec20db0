//! `members keys jwks`: the public keys of service tokens.

use serde_json::json;

use super::storage::KeyStorage;
use crate::{error::Error, output};

/// Prints the JSON Web Key Set (RFC 7517) to publish.
pub async fn run(storage: &KeyStorage<'_>) -> Result<(), Error> {
    let keys = storage.read().await?.keys()?;
    let published: Vec<_> = keys.service().iter().map(|key| &key.jwk).collect();
    if published.is_empty() {
        return Err(Error::NotFound(
            "the secret has no `serviceKeys`; docs/services.md describes how to add one".to_owned(),
        ));
    }
    output::json(&json!({ "keys": published }))
}
