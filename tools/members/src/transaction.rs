//! Transactions: how they are sent, and how they are retried on a conflict.

use std::time::Duration;

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{CancellationReason, TransactWriteItem, builders::PutBuilder},
};
use shared::random;

use crate::{error::Error, table::MemberTable};

/// The result of sending a transaction once.
pub enum TransactionResult {
    /// Every write was applied.
    Committed,
    /// No write was applied. Contains a reason per write, in the order of the writes.
    Canceled(Vec<CancellationReason>),
}

/// How many times a write is attempted while it conflicts with other writers.
pub const MAX_ATTEMPTS: u32 = 8;

/// Waits before the next attempt, exponentially longer each time.
pub async fn back_off(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(25) * 2_u32.saturating_pow(attempt)).await;
}

/// Whether a write was refused by its own condition, as opposed to a conflict or another write of its transaction.
pub fn condition_failed(reason: &CancellationReason) -> bool {
    reason.code() == Some("ConditionalCheckFailed")
}

impl MemberTable {
    /// Returns a put into this table, as a write of a transaction.
    pub fn put(&self, put: PutBuilder) -> Result<TransactWriteItem, Error> {
        let put = put.table_name(&self.name).build().map_err(Error::internal)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Sends a transaction once. If the response is lost, the SDK resends it under the same token, so it is applied
    /// at most once.
    pub async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<TransactionResult, Error> {
        let token = random::uuid().map_err(Error::internal)?.to_string();
        let request = self.client.transact_write_items().set_transact_items(Some(writes));
        match request.client_request_token(token).send().await {
            Ok(_) => Ok(TransactionResult::Committed),
            Err(error) => match cancellation_reasons(&error) {
                Some(reasons) => Ok(TransactionResult::Canceled(reasons)),
                None => Err(Error::from_call("DynamoDB")(error)),
            },
        }
    }

    /// Sends a transaction whose conditions require only that the member exists, and retries it on a conflict.
    pub async fn transact_with_retry(&self, writes: Vec<TransactWriteItem>) -> Result<(), Error> {
        for attempt in 0..MAX_ATTEMPTS {
            match self.transact(writes.clone()).await? {
                TransactionResult::Committed => return Ok(()),
                TransactionResult::Canceled(reasons) if reasons.iter().any(condition_failed) => {
                    return Err(Error::NotFound("no such member: it was deleted meanwhile".to_owned()));
                }
                TransactionResult::Canceled(_) => back_off(attempt).await,
            }
        }
        Err(Error::conflict())
    }
}

fn cancellation_reasons<R>(error: &SdkError<TransactWriteItemsError, R>) -> Option<Vec<CancellationReason>> {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
            Some(canceled.cancellation_reasons().to_vec())
        }
        _ => None,
    }
}
