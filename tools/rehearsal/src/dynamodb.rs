//! Reads the deployed table directly, without the functions.

use reqwest::Client;
use serde_json::{Value, json};

use crate::programs::{KEY, REGION};

/// The table could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request failed.
    #[error("cannot scan the table: {0}")]
    Unreachable(#[from] reqwest::Error),
    /// The emulator returned an error.
    #[error("cannot scan the table: {0}")]
    Refused(String),
}

/// Returns every item of `table`, which must fit into one page of a scan.
pub async fn scan(http: &Client, url: &str, table: &str) -> Result<Vec<Value>, Error> {
    // The emulator does not verify signatures.
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={KEY}/20260101/{REGION}/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
    );
    let request = http
        .post(url)
        .header("X-Amz-Target", "DynamoDB_20120810.Scan")
        .header("Content-Type", "application/x-amz-json-1.0")
        .header("Authorization", authorization)
        .body(json!({ "TableName": table, "ConsistentRead": true }).to_string());
    let response = request.send().await?;
    let succeeded = response.status().is_success();
    let text = response.text().await?;
    match serde_json::from_str::<Value>(&text) {
        Ok(page) if succeeded => Ok(page["Items"].as_array().cloned().unwrap_or_default()),
        _ => Err(Error::Refused(text)),
    }
}
