//! Requests that say which they are, and the answers that they got.

use super::{Item, Key, Store, fault, number, read, text, transaction::Transaction, write};
use crate::{
    clock::Timestamp,
    error::Error,
    idempotency::{Once, Sealed},
    keys::Keys,
};
use aws_sdk_dynamodb::{
    operation::{delete_item::DeleteItemError, put_item::PutItemError},
    types::{ReturnValuesOnConditionCheckFailure::AllOld, Update},
};
use serde::{Deserialize, Serialize};

/// How long an answer is kept: a day, after which no client still repeats a request.
const RETENTION_SECONDS: u64 = 86_400;

/// Item `idempotency#<hash>` / `answer`.
#[derive(Serialize, Deserialize)]
struct Kept {
    holder: String,
    fingerprint: String,
    /// When the holder is over, whether it answered or not.
    until: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
    expires_at: Timestamp,
}

/// Whether a request begins.
pub(crate) enum Begun {
    /// It does, in this process.
    Here,
    /// It did, in another process that is not over yet.
    Elsewhere,
    /// It was answered: the sealed answer.
    Answered(String),
}

/// Nobody holds it, or whoever did is over and left no answer.
const FREE: &str =
    "attribute_not_exists(pk) OR expires_at <= :now OR (attribute_not_exists(answer) AND #until <= :now)";
/// This process holds it, and left no answer yet.
const HELD: &str = "holder = :holder AND attribute_not_exists(answer)";

fn key(once: &Once) -> Key {
    Key::new(format!("idempotency#{}", once.id), "answer")
}

impl Store {
    /// Begins a request, unless the same was begun before.
    ///
    /// # Errors
    /// [`Error::IdempotencyKeyReused`] where another request was begun under the same key, [`Error::Busy`],
    /// [`Error::Internal`].
    pub(crate) async fn begin(&self, keys: &Keys, once: &Once) -> Result<Begun, Error> {
        let now = Timestamp::now();
        let kept = Kept {
            holder: once.holder.clone(),
            fingerprint: once.fingerprint(keys),
            until: once.until,
            answer: None,
            expires_at: now.plus(RETENTION_SECONDS),
        };
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(write(kept, key(once))?))
            .condition_expression(FREE)
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":now", number(now.0))
            .return_values_on_condition_check_failure(AllOld);
        let Err(error) = put.send().await else { return Ok(Begun::Here) };
        let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
            return Err(fault(&error));
        };
        match failed.item.clone().map(read::<Kept>).transpose()? {
            // A retry of the SDK after its own success, whose answer was lost.
            Some(kept) if kept.holder == once.holder => Ok(Begun::Here),
            Some(kept) if !once.asks(keys, &kept.fingerprint) => Err(Error::IdempotencyKeyReused),
            Some(Kept { answer: Some(answer), .. }) => Ok(Begun::Answered(answer)),
            _ => Ok(Begun::Elsewhere),
        }
    }

    /// Keeps the answer of a request that no transaction has kept.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn keep_answer(&self, sealed: &Sealed<'_>) -> Result<(), Error> {
        let mut transaction = Transaction::default();
        transaction.answer(Some(sealed), &self.table)?;
        self.commit(transaction).await
    }

    /// Forgets a request that was begun here and may be begun again, or gives the sealed answer that it got
    /// after all.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn give_up(&self, once: &Once) -> Result<Option<String>, Error> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key(once).into_item()))
            .condition_expression(HELD)
            .expression_attribute_values(":holder", text(&once.holder))
            .return_values_on_condition_check_failure(AllOld);
        let Err(error) = delete.send().await else { return Ok(None) };
        match error.as_service_error() {
            Some(DeleteItemError::ConditionalCheckFailedException(failed)) => {
                let stood = failed.item.clone().map(read::<Kept>).transpose()?;
                Ok(stood.filter(|kept| kept.holder == once.holder).and_then(|kept| kept.answer))
            }
            _ => Err(fault(&error)),
        }
    }
}

impl Transaction {
    /// Keeps the answer to a request that says which it is. First in its transaction: where the answer was
    /// kept before, that is what the caller is to know.
    pub(super) fn answer(&mut self, sealed: Option<&Sealed<'_>>, table: &str) -> Result<(), Error> {
        let Some(Sealed { once, text: answer }) = sealed else { return Ok(()) };
        let update = Update::builder()
            .set_key(Some(key(once).into_item()))
            .update_expression("SET answer = :answer")
            .condition_expression(HELD)
            .expression_attribute_values(":answer", text(answer))
            .expression_attribute_values(":holder", text(&once.holder));
        let lost = |_: Option<Item>| Error::Busy("the same request went on in another process".into());
        self.update(update, table, Some(Box::new(lost)))
    }
}
