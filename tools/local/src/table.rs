//! Direct access to the table of a stack, without a function: for tests and for programs that check it.

#![expect(clippy::indexing_slicing, reason = "a field that JSON lacks reads as null")]

use reqwest::Client;
use serde_json::{Value, json};

use crate::Stack;

/// A well-formed header without a valid signature, which the embedded DynamoDB does not check.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, \
     SignedHeaders=host;x-amz-date, Signature=0000000000000000000000000000000000000000000000000000000000000000";

/// The attributes that store a time. Those of the send log (`at0`, `at1`, …) are matched by their prefix.
const TIMES: [&str; 11] = [
    "expires_at",
    "valid_until",
    "until",
    "resend_at",
    "sent_at",
    "cooling_since",
    "phone_immature_since",
    "email_immature_since",
    "changed_at",
    "phone_bound_at",
    "email_bound_at",
];

/// The most items that one `BatchWriteItem` writes (Amazon DynamoDB API Reference).
const BATCH: usize = 25;

/// DynamoDB refused a request or did not respond.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request was refused.
    #[error("{operation}: {text}")]
    Refused {
        /// The operation.
        operation: String,
        /// The response.
        text: String,
    },
    /// There was no response.
    #[error("DynamoDB does not respond: {0}")]
    NoResponse(#[from] reqwest::Error),
    /// The response is not JSON.
    #[error("DynamoDB's response is not JSON: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// The table of a stack.
#[derive(Clone, Debug)]
pub struct Table {
    http: Client,
    url: String,
    name: String,
}

impl Table {
    /// Returns the table of a stack.
    #[must_use]
    pub fn of(stack: &Stack) -> Self {
        Self { http: Client::new(), url: stack.dynamodb_url().to_owned(), name: stack.table().to_owned() }
    }

    /// Calls an operation on the table.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn call(&self, operation: &str, mut input: Value) -> Result<Value, Error> {
        input["TableName"] = json!(self.name);
        self.post(operation, &input).await
    }

    async fn post(&self, operation: &str, input: &Value) -> Result<Value, Error> {
        let request = self
            .http
            .post(&self.url)
            .header("X-Amz-Target", format!("DynamoDB_20120810.{operation}"))
            .header("Content-Type", "application/x-amz-json-1.0")
            .header("Authorization", AUTHORIZATION)
            .header("X-Amz-Date", "20260101T000000Z");
        let response = request.body(input.to_string()).send().await?;
        let is_success = response.status().is_success();
        let text = response.text().await?;
        if is_success {
            Ok(serde_json::from_str(&text)?)
        } else {
            Err(Error::Refused { operation: operation.to_owned(), text })
        }
    }

    /// Returns every item.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn items(&self) -> Result<Vec<Value>, Error> {
        let (mut items, mut input) = (Vec::new(), json!({ "ConsistentRead": true }));
        loop {
            let mut page = self.call("Scan", input.clone()).await?;
            items.extend(page["Items"].as_array_mut().map(std::mem::take).unwrap_or_default());
            match page["LastEvaluatedKey"].take() {
                Value::Null => return Ok(items),
                key => input["ExclusiveStartKey"] = key,
            }
        }
    }

    /// Makes every item with this prefix of the partition key look `seconds` older, or younger if negative. Returns how
    /// many times changed.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn age(&self, prefix: &str, seconds: i64) -> Result<usize, Error> {
        let (mut aged, mut puts) = (0, Vec::new());
        for mut item in self.items().await? {
            if !item["pk"]["S"].as_str().is_some_and(|key| key.starts_with(prefix)) {
                continue;
            }
            let before = aged;
            for (name, value) in item.as_object_mut().into_iter().flatten() {
                let is_send = name.strip_prefix("at").is_some_and(|number| number.parse::<u32>().is_ok());
                let is_time = is_send || TIMES.contains(&name.as_str());
                let times: Vec<_> = match value {
                    Value::Object(fields) if fields.contains_key("L") => {
                        fields["L"].as_array_mut().into_iter().flatten().collect()
                    }
                    value => vec![value],
                };
                for value in times {
                    let time = value["N"].as_str().filter(|_| is_time);
                    if let Some(time) = time.and_then(|time| time.parse::<i64>().ok()) {
                        // 0 marks an unused slot of the send log and must remain 0.
                        value["N"] = json!((time - seconds).max(0).to_string());
                        aged += 1;
                    }
                }
            }
            if aged > before {
                puts.push(json!({ "PutRequest": { "Item": item } }));
            }
        }
        self.write(&puts).await?;
        Ok(aged)
    }

    /// Deletes every item.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn clear(&self) -> Result<(), Error> {
        let items = self.items().await?;
        let keys = items.iter().map(|item| json!({ "pk": item["pk"], "sk": item["sk"] }));
        self.write(&keys.map(|key| json!({ "DeleteRequest": { "Key": key } })).collect::<Vec<_>>()).await
    }

    async fn write(&self, requests: &[Value]) -> Result<(), Error> {
        for batch in requests.chunks(BATCH) {
            self.post("BatchWriteItem", &json!({ "RequestItems": { &self.name: batch } })).await?;
        }
        Ok(())
    }
}
