//! Receipts, stored by their hash.

use super::{Item, ItemKey, Store, member, number, read, transaction::Transaction, write};
use crate::{
    clock::Timestamp,
    domain::{
        audit::Origin,
        counter::PayPasswordFailures,
        idempotency::SealedResponse,
        member::{Member, MemberId},
        opaque_token::OpaqueToken,
        proof::VerifiedCode,
        receipt::Receipt,
    },
    error::Error,
};
use aws_sdk_dynamodb::types::{ConditionCheck, Update};

/// Another call spent the receipt, or it expired, since it was read.
#[derive(Debug, thiserror::Error)]
#[error("the receipt was spent or expired since it was read")]
pub(crate) struct Spent;

/// What a checked pay password changes, beside the receipt.
pub(crate) struct Check<'a> {
    /// The member as read before the check.
    pub(crate) member: &'a Member,
    /// The counters of the pay password.
    pub(crate) failures: &'a PayPasswordFailures,
    /// The code that was checked as well.
    pub(crate) code: Option<&'a VerifiedCode>,
    /// The MAC of the order's reference.
    pub(crate) reference: String,
}

/// Condition: the receipt has neither been spent nor expired.
const UNSPENT: &str = "attribute_exists(pk) AND attribute_not_exists(spent_at) AND valid_until > :now";

/// Returns the key of item `receipt#<hash>` / `receipt`.
fn key(token: &OpaqueToken) -> ItemKey {
    ItemKey::new(format!("receipt#{}", token.hash()), "receipt")
}

impl Store {
    /// Issues a receipt for a check: its code is consumed, the failures in a row are reset, the attempt is taken out of the
    /// failures of the day, and the check is recorded. All or nothing, with the sealed response to an idempotent request.
    ///
    /// # Errors
    /// [`Error::CodeNotValid`] if another request consumed the code; [`Error::InvalidToken`], [`Error::AccountFrozen`] or
    /// [`Error::UserNotFound`] if the member's sessions ended, the member was frozen or deleted since the check;
    /// [`Error::TooManyAttempts`] if checks of the member contend; [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn issue_receipt(
        &self,
        token: &OpaqueToken,
        receipt: &Receipt,
        check: &Check<'_>,
        origin: &Origin,
        sealed: Option<&SealedResponse<'_>>,
    ) -> Result<(), Error> {
        let Check { member, failures, code, reference } = check;
        let mut transaction = self.transaction();
        transaction.complete(sealed)?;
        if let Some(code) = code {
            transaction.consume_code(code, Some(code.basis.member))?;
        }
        transaction.require_unchanged(member)?;
        transaction.put_new(write(receipt, key(token))?, |_| Error::internal("this receipt exists"))?;
        transaction.reset(&failures.row)?;
        transaction.take_back(&failures.day)?;
        transaction.record_check(member.id, reference.clone(), origin)?;
        // Only checks of one member write the same items.
        self.commit_own(transaction, Error::TooManyAttempts { retry_after: 1 }).await?;
        sealed.inspect(|sealed| sealed.mark_completed());
        Ok(())
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
    /// [`Error::ReceiptNotValid`] if the member was closed; [`Error::Busy`], with [`Spent`] as its cause if another call
    /// spent it first; [`Error::Internal`].
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
    /// Requires that the member's sessions have not ended since the member was read, and that the member is not frozen.
    fn require_unchanged(&mut self, member: &Member) -> Result<(), Error> {
        let check = ConditionCheck::builder()
            .set_key(Some(member::key(member.id).into_item()))
            .condition_expression("credential_version = :version AND attribute_not_exists(frozen)")
            .expression_attribute_values(":version", number(member.credential_version));
        self.check(check, Box::new(changed))
    }

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

/// Returns the error if the member is no longer as it was read.
fn changed(stored: Option<Item>) -> Error {
    match stored.map(read::<Member>).transpose() {
        Ok(Some(member)) => member.require_not_frozen().err().unwrap_or(Error::InvalidToken),
        Ok(None) => Error::UserNotFound,
        Err(error) => error,
    }
}
