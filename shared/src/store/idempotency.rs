//! Claims on idempotent requests, and their responses.

use super::{Item, ItemKey, Store, number, read, store_error, text, transaction::Transaction, write};
use crate::{
    clock::Timestamp,
    domain::idempotency::{IdempotentRequest, SealedResponse},
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
