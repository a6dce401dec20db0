//! `members keys discovery`: the document by which API Gateway and others find the public keys.

use std::collections::BTreeSet;

use serde_json::json;

use super::storage::KeyStorage;
use crate::{error::Error, output, table::MemberTable};

/// The command line.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The issuer of the tokens [default: that of the deployment]
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The URL of the key set [default: .well-known/jwks.json below the issuer]
    #[arg(long, value_name = "URL")]
    jwks_uri: Option<String>,
}

/// Prints the discovery document (`OpenID` Connect Discovery 1.0, 3; RFC 8414, 2) to publish.
///
/// Its response type is `none`, because this is not a login service with an authorization endpoint.
pub async fn run(
    storage: &KeyStorage<'_>,
    table: Option<&MemberTable>,
    Arguments { issuer, jwks_uri }: Arguments,
) -> Result<(), Error> {
    let deployed = || table.map(|table| table.settings.session_issuer.clone());
    let issuer = issuer.or_else(deployed).ok_or_else(|| {
        Error::Usage("the issuer is not known; pass --issuer URL, or name a deployment".to_owned())
    })?;
    if !issuer.starts_with("https://") || issuer.contains(['?', '#']) {
        return Err(Error::Usage(format!(
            "the issuer {issuer:?} is not an https URL without a query; deploy with SessionIssuer=https://…"
        )));
    }
    let base = issuer.trim_end_matches('/');
    let keys = storage.read().await?.keys()?;
    let algorithms: BTreeSet<_> = keys.service().iter().map(|key| format!("{:?}", key.algorithm)).collect();
    output::json(&json!({
        "issuer": issuer,
        "jwks_uri": jwks_uri.unwrap_or_else(|| format!("{base}/.well-known/jwks.json")),
        "id_token_signing_alg_values_supported": algorithms,
        "subject_types_supported": ["public"],
        "response_types_supported": ["none"],
        "grant_types_supported": [],
        "claims_supported": ["sub", "iat", "exp", "auth_time", "amr", "iss", "aud"],
    }))
}
