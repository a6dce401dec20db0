//! Claims on idempotent requests, and their responses.

use super::{
    Item, ItemKey, Store, failed_condition, number, read, store_error, text,
    transaction::Transaction,
    write,
    write_id::{IS_LAST, NOT_YET, WriteId},
};
use crate::{
    clock::Timestamp,
    domain::idempotency::{IdempotentRequest, MAX_MISMATCHES, SealedResponse},
    error::Error,
};
use aws_sdk_dynamodb::{
    operation::{delete_item::DeleteItemError, put_item::PutItemError},
    types::{ReturnValuesOnConditionCheckFailure::AllOld, Update},
};
use serde::{Deserialize, Serialize};

/// How long a response is stored: one day, after which no client still repeats a request.
const RETENTION_SECONDS: u64 = 86_400;

/// Item `idempotency#<hash>` / `answer`.
#[derive(Serialize, Deserialize)]
struct IdempotencyItem {
    holder: String,
    fingerprint: String,
    /// The end of the holder's invocation, whether it responded or not.
    until: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
    /// The later requests under the key that differed from this one.
    #[serde(default)]
    mismatches: u32,
    expires_at: Timestamp,
}

/// The outcome of claiming a request.
pub(crate) enum Claim {
    /// This process runs the request.
    Acquired,
    /// Another process claimed a request under the same key.
    Claimed {
        /// The fingerprint of that request.
        fingerprint: String,
        /// The sealed response, once that request is completed.
        response: Option<String>,
    },
}

/// Condition: no process has claimed the request, or its invocation ended without a response.
const FREE: &str =
    "attribute_not_exists(pk) OR expires_at <= :now OR (attribute_not_exists(answer) AND #until <= :now)";
/// Condition: the key is claimed by a different request, and has room for another mismatch.
const MISMATCHES: &str = "attribute_exists(pk) AND fingerprint <> :fingerprint AND mismatches < :limit";
/// Condition: this process has claimed the request and stored no response.
const HELD: &str = "holder = :holder AND attribute_not_exists(answer)";

fn key(request: &IdempotentRequest) -> ItemKey {
    ItemKey::new(format!("idempotency#{}", request.id), "answer")
}

impl Store {
    /// Claims a request for this process, unless a request under the same key is in progress or completed.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn claim(
        &self,
        request: &IdempotentRequest,
        fingerprint: String,
    ) -> Result<Claim, Error> {
        let now = Timestamp::now();
        let item = IdempotencyItem {
            holder: request.holder.clone(),
            fingerprint,
            until: request.until,
            answer: None,
            mismatches: 0,
            expires_at: now.plus(RETENTION_SECONDS),
        };
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(write(item, key(request))?))
            .condition_expression(FREE)
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":now", number(now.0))
            .return_values_on_condition_check_failure(AllOld);
        let Err(error) = put.send().await else { return Ok(Claim::Acquired) };
        let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
            return Err(store_error(&error));
        };
        match failed.item.clone().map(read::<IdempotencyItem>).transpose()? {
            // The SDK repeated the put after its own success, because the first response was lost.
            Some(item) if item.holder == request.holder => Ok(Claim::Acquired),
            Some(IdempotencyItem { fingerprint, answer, .. }) => {
                Ok(Claim::Claimed { fingerprint, response: answer })
            }
            None => Err(Error::internal("a claim was refused without an item")),
        }
    }

    /// Compares a request with the one that claimed its key. `fingerprint` is comparable to the stored one.
    ///
    /// One conditional update compares and counts, so concurrent guesses cannot outrun the limit. A repetition of the
    /// first request writes nothing.
    ///
    /// # Errors
    /// [`Error::IdempotencyKeyReused`] if they differ, which is then counted; [`Error::TooManyAttempts`] after
    /// [`MAX_MISMATCHES`], whether they differ or not; [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn compare(&self, request: &IdempotentRequest, fingerprint: &str) -> Result<(), Error> {
        let write_id = WriteId::draw()?;
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(request).into_item()))
            .update_expression(format!("SET {IS_LAST} ADD mismatches :one"))
            .condition_expression(format!("{MISMATCHES} AND {NOT_YET}"))
            .expression_attribute_values(":fingerprint", text(fingerprint))
            .expression_attribute_values(":limit", number(MAX_MISMATCHES))
            .expression_attribute_values(":one", number(1))
            .return_values_on_condition_check_failure(AllOld);
        let stored = match write_id.attach(update).send().await {
            Ok(_) => return Err(Error::IdempotencyKeyReused),
            Err(error) => failed_condition(error)?,
        };
        if stored.as_ref().is_some_and(|item| write_id.wrote(item)) {
            return Err(Error::IdempotencyKeyReused);
        }
        match stored.map(read::<IdempotencyItem>).transpose()? {
            Some(item) if item.mismatches >= MAX_MISMATCHES => {
                Err(Error::TooManyAttempts { retry_after: Timestamp::now().until(item.expires_at) })
            }
            // They are equal, or the claim was released in the meantime.
            Some(_) | None => Ok(()),
        }
    }

    /// Stores the response to a request that committed no change.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn complete(&self, sealed: &SealedResponse<'_>) -> Result<(), Error> {
        let mut transaction = self.transaction();
        transaction.complete(Some(sealed))?;
        self.commit(transaction).await
    }

    /// Removes this process's claim, so that the request can be claimed again. Returns the sealed response if one
    /// was stored after all.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn release(&self, request: &IdempotentRequest) -> Result<Option<String>, Error> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key(request).into_item()))
            .condition_expression(HELD)
            .expression_attribute_values(":holder", text(&request.holder))
            .return_values_on_condition_check_failure(AllOld);
        let Err(error) = delete.send().await else { return Ok(None) };
        match error.as_service_error() {
            Some(DeleteItemError::ConditionalCheckFailedException(failed)) => {
                let stored = failed.item.clone().map(read::<IdempotencyItem>).transpose()?;
                Ok(stored.filter(|item| item.holder == request.holder).and_then(|item| item.answer))
            }
            _ => Err(store_error(&error)),
        }
    }
}

impl Transaction {
    /// Stores the response to an idempotent request. The first write of its transaction: if the response was stored
    /// before, that is the refusal that the caller must receive.
    pub(super) fn complete(&mut self, sealed: Option<&SealedResponse<'_>>) -> Result<(), Error> {
        let Some(SealedResponse { request, text: response }) = sealed else { return Ok(()) };
        let update = Update::builder()
            .set_key(Some(key(request).into_item()))
            .update_expression("SET answer = :answer")
            .condition_expression(HELD)
            .expression_attribute_values(":answer", text(response))
            .expression_attribute_values(":holder", text(&request.holder));
        let lost = |_: Option<Item>| Error::Busy("the same request continued in another process".into());
        self.update(update, Some(Box::new(lost)))
    }
}
