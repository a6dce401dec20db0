//! The one DynamoDB table: how items are read and written. One file a concept.
//!
//! Every item has a partition key `pk`, a sort key `sk`, and, where it ends by itself, `expires_at`,
//! the TTL attribute. A TTL deletion can be days late (Amazon DynamoDB Developer Guide, "Using time to
//! live"), so every read and every condition checks the time as well.

pub mod audit;
pub mod change;
pub mod code;
pub mod counter;
pub mod grant;
pub(crate) mod idempotency;
pub mod member;
pub mod notice;
pub mod sends;
pub mod traffic;
pub mod transaction;
mod write_id;

use crate::{aws::Lazy, error::Error};
use aws_sdk_dynamodb::{
    Client,
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    operation::update_item::UpdateItemError,
    types::AttributeValue,
};
use serde::de::DeserializeOwned;
use std::collections::HashMap;

/// An item as DynamoDB has it.
pub type Item = HashMap<String, AttributeValue>;

/// The table.
#[derive(Debug)]
pub struct Store {
    client: Lazy<Client>,
    table: String,
}

/// The key of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemKey {
    pk: String,
    sk: String,
}

impl ItemKey {
    fn new(pk: String, sk: impl Into<String>) -> Self {
        Self { pk, sk: sk.into() }
    }

    /// As DynamoDB takes it.
    #[must_use]
    pub fn into_item(self) -> Item {
        HashMap::from([("pk".to_owned(), text(self.pk)), ("sk".to_owned(), text(self.sk))])
    }
}

impl Store {
    /// The table of that name, by that client.
    #[must_use]
    pub(crate) fn new(client: Lazy<Client>, table: String) -> Self {
        Self { client, table }
    }

    /// The table of that name, by a client that was set up elsewhere.
    #[must_use]
    pub fn from_client(client: Client, table: String) -> Self {
        Self::new(Lazy::new(Box::new(move || client)), table)
    }

    /// Opens the connection, so that no member waits for it: one read of an item that is never there.
    ///
    /// # Errors
    /// As any read.
    pub async fn connect(&self) -> Result<(), Error> {
        self.get::<serde::de::IgnoredAny>(ItemKey::new("connection".to_owned(), "connection")).await.map(drop)
    }

    /// Reads an item strongly consistent: a session must end with the change that ends it.
    async fn get<T: DeserializeOwned>(&self, key: ItemKey) -> Result<Option<T>, Error> {
        self.get_item(key).await?.map(read).transpose()
    }

    async fn get_item(&self, key: ItemKey) -> Result<Option<Item>, Error> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key.into_item()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| store_error(&error))?;
        Ok(answer.item)
    }
}

fn read<T: DeserializeOwned>(item: Item) -> Result<T, Error> {
    serde_dynamo::from_item(item).map_err(Error::internal)
}

fn write(value: impl serde::Serialize, key: ItemKey) -> Result<Item, Error> {
    let mut item: Item = serde_dynamo::to_item(value).map_err(Error::internal)?;
    item.extend(key.into_item());
    Ok(item)
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

/// What DynamoDB said, without the request: its values could be a member's.
#[derive(Debug, thiserror::Error)]
#[error("DynamoDB: {code}: {message}")]
struct DynamoDbError {
    code: String,
    message: String,
}

/// A throttle, a time-out or an unreachable store is "busy"; all else is a fault of ours.
fn store_error<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Error {
    let (busy, code, message) = match error {
        SdkError::TimeoutError(_) => (true, "TimeoutError", "no answer in time"),
        SdkError::DispatchFailure(_) => (true, "DispatchFailure", "the store could not be reached"),
        SdkError::ResponseError(_) => (true, "ResponseError", "the answer was cut off"),
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or("Unknown");
            (is_throttle(code), code, service.err().message().unwrap_or_default())
        }
        _ => (false, "ConstructionFailure", "the request could not be built"),
    };
    let cause = DynamoDbError { code: code.to_owned(), message: message.to_owned() };
    if busy { Error::Busy(cause.into()) } else { Error::internal(cause) }
}

/// The item on which an update's condition failed, if it stood; any other error as [`store_error`] has it.
fn failed_condition(error: SdkError<UpdateItemError, HttpResponse>) -> Result<Option<Item>, Error> {
    match error {
        SdkError::ServiceError(service) if service.err().is_conditional_check_failed_exception() => {
            match service.into_err() {
                UpdateItemError::ConditionalCheckFailedException(failed) => Ok(failed.item),
                other => Err(Error::internal(other)),
            }
        }
        other => Err(store_error(&other)),
    }
}

fn is_throttle(code: &str) -> bool {
    matches!(
        code,
        "ProvisionedThroughputExceededException"
            | "ThrottlingException"
            | "ThrottlingError"
            | "RequestLimitExceeded"
            | "InternalServerError"
            | "ServiceUnavailable"
            | "TransactionInProgressException"
            | "TransactionConflictException"
    )
}
