//! The table, past the functions, in whichever server keeps it.

use reqwest::Client;
use serde_json::{Value, json};

use crate::programs::{KEY, REGION};

/// Why a call failed; one line each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server does not answer.
    #[error("{operation}: {reason}")]
    Unreachable { operation: &'static str, reason: reqwest::Error },
    /// It refuses.
    #[error("{operation}: {answer}")]
    Refused { operation: &'static str, answer: String },
}

/// A table in a server of DynamoDB's protocol.
#[derive(Clone)]
pub struct Table {
    pub http: Client,
    pub url: String,
    pub name: String,
}

impl Table {
    /// One call about the table.
    pub async fn call(&self, operation: &'static str, mut input: Value) -> Result<Value, Error> {
        if let Value::Object(input) = &mut input {
            input.insert("TableName".to_owned(), json!(self.name));
        }
        self.send("DynamoDB_20120810", operation, &input).await
    }

    /// One call about a stream.
    pub async fn stream_call(&self, operation: &'static str, input: Value) -> Result<Value, Error> {
        self.send("DynamoDBStreams_20120810", operation, &input).await
    }

    /// Every item, of a table that has few.
    pub async fn items(&self) -> Result<Vec<Value>, Error> {
        let answer = self.call("Scan", json!({ "ConsistentRead": true })).await?;
        Ok(answer.get("Items").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    async fn send(&self, version: &str, operation: &'static str, input: &Value) -> Result<Value, Error> {
        let unreachable = |reason| Error::Unreachable { operation, reason };
        // Neither server looks at the signature.
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={KEY}/20260101/{REGION}/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
        );
        let answer = self
            .http
            .post(&self.url)
            .header("X-Amz-Target", format!("{version}.{operation}"))
            .header("Content-Type", "application/x-amz-json-1.0")
            .header("Authorization", authorization)
            .body(input.to_string())
            .send()
            .await
            .map_err(unreachable)?;
        let refused = !answer.status().is_success();
        let answer = answer.text().await.map_err(unreachable)?;
        match serde_json::from_str(&answer) {
            Ok(value) if !refused => Ok(value),
            _ => Err(Error::Refused { operation, answer }),
        }
    }
}
