//! The DynamoDB table, its only reader and writer. One file per kind of item.
//!
//! Every item has a partition key `pk` and a sort key `sk`. An item that expires has `expires_at`, the TTL attribute.
//! DynamoDB deletes expired items with a delay of up to days (Amazon DynamoDB Developer Guide, "Using time to live"),
//! so every read and every condition also checks the time.
//!
//! Every write of a member raises `revision`, the optimistic lock of changes that are made from a read. A write that
//! ends all sessions, such as a new login password, also raises `credential_version`, under which sessions are
//! issued.

mod admin;
pub mod audit;
pub(crate) mod change;
mod closing;
pub(crate) mod code;
mod counter;
mod grant;
pub(crate) mod idempotency;
mod import;
mod lockout;
pub(crate) mod log_in;
mod member;
mod notice;
pub(crate) mod receipt;
mod registration;
mod report;
mod scan;
pub(crate) mod sends;
mod traffic;
mod transaction;
mod write_id;

pub use admin::MemberUpdate;
pub use closing::{OperatorClosing, Tombstone};
pub(crate) use counter::CounterState;
pub use counter::{FailureCounter, FailureKind};
pub use import::{Creation, ExistingMembers};
pub(crate) use member::StoredHash;
pub use scan::{ContactItem, Page, SEGMENTS, StoredOwner};
pub(crate) use transaction::Contention;
pub use transaction::{Backoff, is_conflict};

use crate::{aws::Lazy, error::Error};
use aws_sdk_dynamodb::{
    Client,
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    operation::update_item::UpdateItemError,
    types::AttributeValue,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::HashMap;

/// An item in the form of the SDK.
type Item = HashMap<String, AttributeValue>;

/// Condition: no such item exists.
const ABSENT: &str = "attribute_not_exists(pk)";

/// The table.
#[derive(Debug)]
pub struct Store {
    client: Lazy<Client>,
    table: String,
}

/// The key of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemKey {
    pk: String,
    sk: String,
}

impl ItemKey {
    fn new(pk: String, sk: impl Into<String>) -> Self {
        Self { pk, sk: sk.into() }
    }

    fn into_item(self) -> Item {
        HashMap::from([("pk".to_owned(), text(self.pk)), ("sk".to_owned(), text(self.sk))])
    }
}

impl Store {
    /// Returns the table of that name, with a client that is built when it is first used.
    #[must_use]
    pub(crate) fn new(client: Lazy<Client>, table: String) -> Self {
        Self { client, table }
    }

    /// Returns the table of that name.
    #[must_use]
    pub fn from_client(client: Client, table: String) -> Self {
        Self::new(Lazy::new(Box::new(move || client)), table)
    }

    /// Opens the connection by reading an item that never exists, so that the first request need not wait for it.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn connect(&self) -> Result<(), Error> {
        // Only the key, because a role can allow less than the whole item.
        self.get_item(ItemKey::new("connection".to_owned(), "connection"), Some("pk")).await.map(drop)
    }

    /// Reads an item with strong consistency: a session must end as soon as the change that ends it is committed.
    async fn get<T: DeserializeOwned>(&self, key: ItemKey) -> Result<Option<T>, Error> {
        self.get_item(key, None).await?.map(read).transpose()
    }

    /// Reads an item, or only this attribute of it.
    async fn get_item(&self, key: ItemKey, attribute: Option<&'static str>) -> Result<Option<Item>, Error> {
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key.into_item()))
            .consistent_read(true)
            .set_projection_expression(attribute.map(str::to_owned))
            .send()
            .await
            .map_err(|error| store_error(&error))?;
        Ok(output.item)
    }

    /// Stores an item, and returns whether it did: not if the item exists.
    async fn put_once(&self, item: Item) -> Result<bool, Error> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        match put.condition_expression(ABSENT).send().await {
            Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => {
                Ok(false)
            }
            Err(error) => Err(store_error(&error)),
            Ok(_) => Ok(true),
        }
    }

    /// Reads all items of a partition, by their sort key.
    async fn partition<T: DeserializeOwned>(&self, pk: String) -> Result<Vec<T>, Error> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(pk));
        let items = query.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
        items.map_err(|error| store_error(&error))?.into_iter().map(read).collect()
    }
}

/// Deserializes an item.
fn read<T: DeserializeOwned>(item: Item) -> Result<T, Error> {
    serde_dynamo::from_item(item).map_err(Error::internal)
}

/// Serializes an item and adds its key.
fn write(value: impl Serialize, key: ItemKey) -> Result<Item, Error> {
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

/// DynamoDB's error code and message. Does not contain the request, whose values can be a member's.
#[derive(Debug, thiserror::Error)]
#[error("DynamoDB: {code}: {message}")]
pub struct DynamoDbError {
    /// The code, such as `AccessDeniedException`.
    pub code: String,
    /// The message.
    pub message: String,
}

/// Returns [`Error::Busy`] for a throttle, a timeout or an unreachable table, and [`Error::Internal`] otherwise.
fn store_error<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Error {
    let (is_busy, code, message) = match error {
        SdkError::TimeoutError(_) => (true, "TimeoutError", "no response in time"),
        SdkError::DispatchFailure(_) => (true, "DispatchFailure", "the store could not be reached"),
        SdkError::ResponseError(_) => (true, "ResponseError", "the response is incomplete"),
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or("Unknown");
            (is_throttle(code), code, service.err().message().unwrap_or_default())
        }
        _ => (false, "ConstructionFailure", "the request could not be built"),
    };
    let cause = DynamoDbError { code: code.to_owned(), message: message.to_owned() };
    if is_busy { Error::Busy(cause.into()) } else { Error::internal(cause) }
}

/// Returns the stored item, if there is one, of an update whose condition failed. Fails like [`store_error`]
/// otherwise.
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
