//! Receipts, stored by their hash.

use super::{Item, ItemKey, Store, member, number, store_error, transaction::Transaction, write};
use crate::{
    clock::Timestamp,
    domain::{idempotency::SealedResponse, member::MemberId, opaque_token::OpaqueToken, receipt::Receipt},
    error::Error,
};
use aws_sdk_dynamodb::types::{ConditionCheck, Update};

/// Another call spent the receipt, or it expired, since it was read.
#[derive(Debug, thiserror::Error)]
#[error("the receipt was spent or expired since it was read")]
pub(crate) struct Spent;

/// Condition: the receipt has neither been spent nor expired.
const UNSPENT: &str = "attribute_exists(pk) AND attribute_not_exists(spent_at) AND valid_until > :now";

/// Returns the key of item `receipt#<hash>` / `receipt`.
fn key(token: &OpaqueToken) -> ItemKey {
    ItemKey::new(format!("receipt#{}", token.hash()), "receipt")
}

impl Store {
    /// Stores a receipt.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn put_receipt(&self, token: &OpaqueToken, receipt: &Receipt) -> Result<(), Error> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(write(receipt, key(token))?));
        put.send().await.map(drop).map_err(|error| store_error(&error))
    }

    /// Returns a receipt, unless it is past its retention.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn receipt(&self, token: &OpaqueToken) -> Result<Option<Receipt>, Error> {
        let receipt: Option<Receipt> = self.get(key(token)).await?;
        Ok(receipt.filter(|receipt| receipt.expires_at > Timestamp::now()))
    }

    /// Spends a receipt of a member, and stores the response to an idempotent request with it.
    ///
    /// # Errors
    /// [`Error::ReceiptNotValid`] if the member was closed, [`Error::Busy`], with [`Spent`] as its cause if another call spent it first; [`Error::Internal`].
    pub(crate) async fn spend_receipt(
        &self,
        token: &OpaqueToken,
        member: MemberId,
        now: Timestamp,
        sealed: Option<&SealedResponse<'_>>,
    ) -> Result<(), Error> {
        let mut transaction = self.transaction();
        transaction.complete(sealed)?;
        transaction.require_member(member)?;
        transaction.spend(token, now)?;
        self.commit(transaction).await?;
        sealed.inspect(|sealed| sealed.mark_completed());
        Ok(())
    }
}

impl Transaction {
    /// Requires that the member exists.
    fn require_member(&mut self, member: MemberId) -> Result<(), Error> {
        let check = ConditionCheck::builder()
            .set_key(Some(member::key(member).into_item()))
            .condition_expression("attribute_exists(pk)");
        self.check(check, Box::new(|_| Error::ReceiptNotValid))
    }

    /// Spends a receipt.
    fn spend(&mut self, token: &OpaqueToken, now: Timestamp) -> Result<(), Error> {
        let update = Update::builder()
            .set_key(Some(key(token).into_item()))
            .update_expression("SET spent_at = :now")
            .condition_expression(UNSPENT)
            .expression_attribute_values(":now", number(now.0));
        self.update(update, Some(Box::new(|_: Option<Item>| Error::Busy(Spent.into()))))
    }
}
