//! Transactions: several writes that are all applied or none, each with the error that its failed condition means.

use super::{ABSENT, DynamoDbError, Item, Store, change::Conflict, is_throttle, store_error};
use crate::{error::Error, random};
use aws_sdk_dynamodb::{
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        CancellationReason,
        ReturnValuesOnConditionCheckFailure::AllOld,
        TransactWriteItem,
        builders::{ConditionCheckBuilder, DeleteBuilder, PutBuilder, UpdateBuilder},
    },
};
use std::{slice, time::Duration};

/// Returns the error that a failed condition means, given the stored item, if there is one.
pub(super) type Refusal = Box<dyn FnOnce(Option<Item>) -> Error + Send>;

/// The writes that a transaction can contain (Amazon DynamoDB Developer Guide, "Amazon DynamoDB Transactions").
pub(super) const MAX_WRITES: usize = 100;

/// Writes that [`Store::commit`] sends.
pub(super) struct Transaction {
    table: String,
    writes: Vec<TransactWriteItem>,
    refusals: Vec<Option<Refusal>>,
}

impl Transaction {
    /// Adds a put.
    pub(super) fn put(&mut self, put: PutBuilder, refusal: Option<Refusal>) -> Result<(), Error> {
        let put = put.table_name(&self.table).return_values_on_condition_check_failure(AllOld);
        let put = put.build().map_err(Error::internal)?;
        self.add(TransactWriteItem::builder().put(put).build(), refusal);
        Ok(())
    }

    /// Adds a put of an item that must not exist yet.
    pub(super) fn put_new(
        &mut self,
        item: Item,
        exists: impl FnOnce(Option<Item>) -> Error + Send + 'static,
    ) -> Result<(), Error> {
        let put = PutBuilder::default().set_item(Some(item)).condition_expression(ABSENT);
        self.put(put, Some(Box::new(exists)))
    }

    /// Adds an update.
    pub(super) fn update(&mut self, update: UpdateBuilder, refusal: Option<Refusal>) -> Result<(), Error> {
        let update = update.table_name(&self.table).return_values_on_condition_check_failure(AllOld);
        let update = update.build().map_err(Error::internal)?;
        self.add(TransactWriteItem::builder().update(update).build(), refusal);
        Ok(())
    }

    /// Adds a deletion.
    pub(super) fn delete(&mut self, delete: DeleteBuilder, refusal: Option<Refusal>) -> Result<(), Error> {
        let delete = delete.table_name(&self.table).return_values_on_condition_check_failure(AllOld);
        let delete = delete.build().map_err(Error::internal)?;
        self.add(TransactWriteItem::builder().delete(delete).build(), refusal);
        Ok(())
    }

    /// Returns the number of writes that can still be added.
    pub(super) fn room(&self) -> usize {
        MAX_WRITES.saturating_sub(self.writes.len())
    }

    /// Adds a condition on an item that the transaction does not write.
    pub(super) fn check(&mut self, check: ConditionCheckBuilder, refusal: Refusal) -> Result<(), Error> {
        let check = check
            .table_name(&self.table)
            .return_values_on_condition_check_failure(AllOld)
            .build()
            .map_err(Error::internal)?;
        self.add(TransactWriteItem::builder().condition_check(check).build(), Some(refusal));
        Ok(())
    }

    fn add(&mut self, write: TransactWriteItem, refusal: Option<Refusal>) {
        self.writes.push(write);
        self.refusals.push(refusal);
    }
}

/// The waits of a function, in milliseconds. The two phases of a conflicting transaction take some 20 ms.
const REQUEST_WAITS: [u64; 3] = [25, 50, 75];

/// The waits of the operator's command, in milliseconds. No client waits for it, and it writes much at once.
const COMMAND_WAITS: [u64; 7] = [50, 100, 200, 400, 800, 1_600, 3_200];

/// The waits between attempts at a write that conflicts with other writers.
#[derive(Debug)]
pub struct Backoff(slice::Iter<'static, u64>);

impl Backoff {
    /// Returns the waits of a function: four attempts.
    pub(super) fn of_request() -> Self {
        Self(REQUEST_WAITS.iter())
    }

    /// Returns the waits of the operator's command: eight attempts, with exponentially longer waits.
    #[must_use]
    pub fn of_command() -> Self {
        Self(COMMAND_WAITS.iter())
    }

    /// Returns no waits: one attempt, after which the caller has to read again what it writes.
    pub(super) fn none() -> Self {
        Self([].iter())
    }

    /// Waits before the next attempt. Returns `false` at once if no attempt is left.
    pub async fn wait(&mut self) -> bool {
        let Some(millis) = self.0.next() else { return false };
        tokio::time::sleep(Duration::from_millis(*millis)).await;
        true
    }
}

/// Other requests wrote the same items during every attempt. The store is well: callers cause this by concurrent requests.
#[derive(Debug, thiserror::Error)]
#[error("other requests were writing the same items")]
pub(crate) struct Contention;

/// Whether a write failed because others were writing the same items, so that another attempt can succeed.
#[must_use]
pub fn is_conflict(error: &Error) -> bool {
    let Error::Busy(cause) = error else { return false };
    let canceled = cause.downcast_ref::<DynamoDbError>().is_some_and(|error| error.code == CANCELED);
    canceled || cause.is::<Conflict>() || cause.is::<Contention>()
}

/// The code of the error of a canceled transaction.
const CANCELED: &str = "TransactionCanceledException";

/// Why a canceled transaction did not apply one of its writes.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Only because of its other writes.
    Blameless,
    /// The write's condition failed, which means this error.
    Refused(Error),
    /// The write conflicted with another transaction, or was throttled.
    Conflict,
}

impl Store {
    /// Begins a transaction on the table.
    pub(super) fn transaction(&self) -> Transaction {
        Transaction { table: self.table.clone(), writes: Vec::new(), refusals: Vec::new() }
    }

    /// Commits a transaction of a function.
    ///
    /// # Errors
    /// The refusal of the first write whose condition failed, [`Error::Busy`] if a throttle outlasts every attempt, or a
    /// conflict does, with [`Contention`]; [`Error::Internal`] otherwise.
    pub(super) async fn commit(&self, transaction: Transaction) -> Result<(), Error> {
        self.commit_with(Backoff::of_request(), transaction).await
    }

    /// Commits a transaction whose items only one caller's requests write. Fails like [`Store::commit`], but with
    /// `contended` if a conflict outlasts every attempt: the caller causes that, not the store.
    pub(super) async fn commit_own(&self, transaction: Transaction, contended: Error) -> Result<(), Error> {
        self.commit(transaction).await.map_err(|error| match error {
            Error::Busy(cause) if cause.is::<Contention>() => contended,
            error => error,
        })
    }

    /// Commits a transaction, with these waits between its attempts. Fails like [`Store::commit`].
    pub(super) async fn commit_with(
        &self,
        mut backoff: Backoff,
        transaction: Transaction,
    ) -> Result<(), Error> {
        let Transaction { writes, refusals, .. } = transaction;
        loop {
            let Some(reasons) = self.send(writes.clone()).await? else { return Ok(()) };
            if reasons.iter().any(condition_failed) {
                return Err(first_refusal(refusals, &reasons));
            }
            require_retryable(&reasons)?;
            if !backoff.wait().await {
                let busy = if is_contention(&reasons) { Contention.into() } else { cause(&reasons).into() };
                return Err(Error::Busy(busy));
            }
        }
    }

    /// Sends a transaction once. Returns `None` if it was committed, or else a verdict on each write, in their order.
    ///
    /// # Errors
    /// [`Error::Busy`], or [`Error::Internal`] if another attempt cannot succeed either.
    pub(super) async fn attempt(&self, transaction: Transaction) -> Result<Option<Vec<Verdict>>, Error> {
        let Transaction { writes, refusals, .. } = transaction;
        let Some(reasons) = self.send(writes).await? else { return Ok(None) };
        if !reasons.iter().any(condition_failed) {
            require_retryable(&reasons)?;
        }
        let verdicts = refusals.into_iter().zip(&reasons).map(|(refusal, reason)| match code(reason) {
            "None" => Verdict::Blameless,
            _ if condition_failed(reason) => Verdict::Refused(meaning(refusal, reason)),
            _ => Verdict::Conflict,
        });
        Ok(Some(verdicts.collect()))
    }

    /// Sends writes once. Returns `None` if they were applied, or else the reason of each for canceling the
    /// transaction.
    ///
    /// If the response is lost, the SDK sends the request again under the same `ClientRequestToken`, which DynamoDB
    /// recognizes for ten minutes: it neither commits twice nor fails because of its own success.
    async fn send(&self, writes: Vec<TransactWriteItem>) -> Result<Option<Vec<CancellationReason>>, Error> {
        let request = self
            .client
            .transact_write_items()
            .set_transact_items(Some(writes))
            .client_request_token(random::uuid()?.to_string());
        let Err(error) = request.send().await else { return Ok(None) };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                Ok(Some(canceled.cancellation_reasons().to_vec()))
            }
            _ => Err(store_error(&error)),
        }
    }
}

fn code(reason: &CancellationReason) -> &str {
    reason.code().unwrap_or("None")
}

fn condition_failed(reason: &CancellationReason) -> bool {
    code(reason) == "ConditionalCheckFailed"
}

/// Whether a transaction was canceled only because others were writing its items.
fn is_contention(reasons: &[CancellationReason]) -> bool {
    reasons.iter().all(|reason| matches!(code(reason), "None" | "TransactionConflict"))
}

/// Fails with [`Error::Internal`] if another attempt cannot succeed.
fn require_retryable(reasons: &[CancellationReason]) -> Result<(), Error> {
    let is_retryable = |code: &str| code == "None" || code == "TransactionConflict" || is_throttle(code);
    if reasons.iter().all(|reason| is_retryable(code(reason))) {
        Ok(())
    } else {
        Err(Error::internal(cause(reasons)))
    }
}

/// Returns the refusal of the first write whose condition failed, or of several rate limits the longest wait.
fn first_refusal(refusals: Vec<Option<Refusal>>, reasons: &[CancellationReason]) -> Error {
    let failed = refusals.into_iter().zip(reasons).filter(|(_, reason)| condition_failed(reason));
    let errors = failed.map(|(refusal, reason)| meaning(refusal, reason));
    let first = errors.reduce(|first, next| match (&first, &next) {
        (Error::SendFrequently { retry_after, .. }, Error::SendFrequently { retry_after: longer, .. })
            if longer > retry_after =>
        {
            next
        }
        _ => first,
    });
    first.unwrap_or_else(|| Error::internal(cause(reasons)))
}

fn meaning(refusal: Option<Refusal>, reason: &CancellationReason) -> Error {
    match refusal {
        Some(refusal) => refusal(reason.item.clone()),
        None => Error::internal("a write without a condition was refused by one"),
    }
}

fn cause(reasons: &[CancellationReason]) -> DynamoDbError {
    let codes: Vec<_> = reasons.iter().map(code).collect();
    DynamoDbError { code: CANCELED.to_owned(), message: codes.join(", ") }
}
