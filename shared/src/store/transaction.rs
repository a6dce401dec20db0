//! Several writes that all happen or none, each with the error that its failed condition means.

use super::{DynamoDbError, Item, Store, is_throttle, store_error};
use crate::{error::Error, random};
use aws_sdk_dynamodb::{
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        CancellationReason, Delete, Put,
        ReturnValuesOnConditionCheckFailure::AllOld,
        TransactWriteItem, Update,
        builders::{DeleteBuilder, PutBuilder, UpdateBuilder},
    },
};
use std::time::Duration;

/// How often a transaction that met another one on the same item is tried: waits of 25 to 100 ms,
/// after which the other, whose own two phases take some 20 ms, is over.
const ATTEMPTS: u32 = 4;

/// What a failed condition means, given the item as it stood, if it stood.
pub type Refusal = Box<dyn FnOnce(Option<Item>) -> Error + Send>;

/// Writes under way. At most 100 (DynamoDB's own bound); no change here has more than ten.
pub struct Transaction {
    table: String,
    writes: Vec<TransactWriteItem>,
    refusals: Vec<Option<Refusal>>,
}

impl Transaction {
    /// Adds a put.
    pub(super) fn put(&mut self, put: PutBuilder, refusal: Option<Refusal>) -> Result<(), Error> {
        let put: Put = put
            .table_name(&self.table)
            .return_values_on_condition_check_failure(AllOld)
            .build()
            .map_err(Error::internal)?;
        self.add(TransactWriteItem::builder().put(put).build(), refusal);
        Ok(())
    }

    /// Adds an update.
    pub(super) fn update(&mut self, update: UpdateBuilder, refusal: Option<Refusal>) -> Result<(), Error> {
        let update: Update = update
            .table_name(&self.table)
            .return_values_on_condition_check_failure(AllOld)
            .build()
            .map_err(Error::internal)?;
        self.add(TransactWriteItem::builder().update(update).build(), refusal);
        Ok(())
    }

    /// Adds a deletion.
    pub(super) fn delete(&mut self, delete: DeleteBuilder, refusal: Option<Refusal>) -> Result<(), Error> {
        let delete: Delete = delete
            .table_name(&self.table)
            .return_values_on_condition_check_failure(AllOld)
            .build()
            .map_err(Error::internal)?;
        self.add(TransactWriteItem::builder().delete(delete).build(), refusal);
        Ok(())
    }

    fn add(&mut self, write: TransactWriteItem, refusal: Option<Refusal>) {
        self.writes.push(write);
        self.refusals.push(refusal);
    }
}

impl Store {
    /// Begins a transaction on the table.
    pub(super) fn transaction(&self) -> Transaction {
        Transaction { table: self.table.clone(), writes: Vec::new(), refusals: Vec::new() }
    }

    /// Commits. A retry of the SDK after a lost answer cannot commit twice, nor fail on its own
    /// success: `ClientRequestToken` makes it the same request for ten minutes.
    ///
    /// # Errors
    /// What the first failed condition means, [`Error::Busy`] where another transaction or a
    /// throttle stays in the way, [`Error::Internal`] for all else.
    pub(super) async fn commit(&self, transaction: Transaction) -> Result<(), Error> {
        let Transaction { writes, mut refusals, .. } = transaction;
        for attempt in 1..=ATTEMPTS {
            let sent = self
                .client
                .transact_write_items()
                .set_transact_items(Some(writes.clone()))
                .client_request_token(random::uuid()?.to_string())
                .send()
                .await;
            let Err(error) = sent else { return Ok(()) };
            let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) =
                error.as_service_error()
            else {
                return Err(store_error(&error));
            };
            let reasons = canceled.cancellation_reasons();
            if let Some(refused) = refused(&mut refusals, reasons) {
                return Err(refused);
            }
            if !reasons.iter().all(|reason| passes(code(reason))) {
                return Err(Error::internal(cause(reasons)));
            }
            if attempt < ATTEMPTS {
                tokio::time::sleep(Duration::from_millis(u64::from(attempt) * 25)).await;
            } else {
                return Err(Error::Busy(cause(reasons).into()));
            }
        }
        Err(Error::internal("a transaction ended without an outcome"))
    }
}

fn code(reason: &CancellationReason) -> &str {
    reason.code().unwrap_or("None")
}

/// Reasons that another try can cure.
fn passes(code: &str) -> bool {
    code == "None" || code == "TransactionConflict" || is_throttle(code)
}

/// What the first failed condition means; of several waits the longest.
fn refused(refusals: &mut Vec<Option<Refusal>>, reasons: &[CancellationReason]) -> Option<Error> {
    let failed = |reason: &CancellationReason| code(reason) == "ConditionalCheckFailed";
    if !reasons.iter().any(failed) {
        return None;
    }
    let meanings =
        refusals.drain(..).zip(reasons).filter(|(_, reason)| failed(reason)).map(|(refusal, reason)| {
            match refusal {
                Some(refusal) => refusal(reason.item.clone()),
                None => Error::internal("a write without a condition was refused by one"),
            }
        });
    meanings.reduce(|first, next| match (&first, &next) {
        (Error::SendFrequently { retry_after, .. }, Error::SendFrequently { retry_after: longer, .. })
            if longer > retry_after =>
        {
            next
        }
        _ => first,
    })
}

fn cause(reasons: &[CancellationReason]) -> DynamoDbError {
    let codes: Vec<_> = reasons.iter().map(code).collect();
    DynamoDbError { code: "TransactionCanceledException".to_owned(), message: codes.join(", ") }
}
