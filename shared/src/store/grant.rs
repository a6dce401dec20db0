//! Grants, stored by their hash.

use super::{
    ItemKey, Store, failed_condition, member, number, read, text,
    transaction::Transaction,
    write,
    write_id::{IS_LAST, NOT_YET, WriteId},
};
use crate::{
    clock::Timestamp,
    contact::Destination,
    domain::{
        basis::Basis,
        code::Purpose,
        grant::Grant,
        idempotency::SealedResponse,
        member::MemberId,
        proof::{ValidGrant, VerifiedCode},
    },
    error::{Error, Field},
};
use aws_sdk_dynamodb::types::{
    ConditionCheck, Delete, Put, ReturnValue, ReturnValuesOnConditionCheckFailure::AllOld,
};
use serde::{Deserialize, Serialize};

/// Item `grant#<hash>` / `grant`.
#[derive(Debug, Serialize, Deserialize)]
struct GrantItem {
    purpose: Purpose,
    destination: Destination,
    member: MemberId,
    credential_version: u64,
    tries: u32,
    expires_at: Timestamp,
}

/// Condition: the grant has neither been consumed nor expired.
const STILL_VALID: &str = "attribute_exists(pk) AND expires_at > :now";
/// Condition: the grant has this purpose and has not used up its attempts.
const HAS_ATTEMPTS: &str = "purpose = :purpose AND tries < :max";

pub(super) fn key(hash: &str) -> ItemKey {
    ItemKey::new(format!("grant#{hash}"), "grant")
}

impl Store {
    /// Exchanges a verified code for a grant: the code is consumed and the grant stored, both or neither.
    ///
    /// # Errors
    /// [`Error::CodeNotValid`] if another request consumed the code or the sessions of its member ended,
    /// [`Error::TooManyAttempts`] if requests with the same code contend, [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn exchange(
        &self,
        code: &VerifiedCode,
        grant: &Grant,
        ttl_seconds: u64,
        sealed: Option<&SealedResponse<'_>>,
    ) -> Result<(), Error> {
        let item = GrantItem {
            purpose: code.binding.purpose,
            destination: code.binding.destination.clone(),
            member: code.basis.member,
            credential_version: code.basis.credential_version,
            tries: 0,
            expires_at: Timestamp::now().plus(ttl_seconds),
        };
        let mut transaction = self.transaction();
        transaction.complete(sealed)?;
        transaction.consume_code(code)?;
        transaction.require_basis(&code.basis)?;
        transaction.put(Put::builder().set_item(Some(write(item, key(&grant.hash()))?)), None)?;
        // Only requests with the same code write the same items.
        self.commit_own(transaction, Error::TooManyAttempts { retry_after: 1 }).await?;
        sealed.inspect(|sealed| sealed.mark_completed());
        Ok(())
    }

    /// Counts an attempt at a change with a grant, and returns the grant. Only the attempts that are left can compare a
    /// new password with the current one.
    ///
    /// # Errors
    /// [`Error::NotValid`] if it does not exist, has expired, has another purpose or destination, or has used up its
    /// attempts; [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn grant(
        &self,
        grant: &Grant,
        purpose: Purpose,
        destination: &Destination,
        max_attempts: u32,
    ) -> Result<ValidGrant, Error> {
        let hash = grant.hash();
        let write_id = WriteId::draw()?;
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(&hash).into_item()))
            .update_expression(format!("SET {IS_LAST} ADD tries :one"))
            .condition_expression([STILL_VALID, HAS_ATTEMPTS, NOT_YET].join(" AND "))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":max", number(max_attempts))
            .expression_attribute_values(":purpose", text(purpose.flag()))
            .expression_attribute_values(":now", number(Timestamp::now().0))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(AllOld);
        let stored = match write_id.attach(update).send().await {
            Ok(output) => output.attributes,
            Err(error) => failed_condition(error)?.filter(|stored| write_id.wrote(stored)),
        };
        let item: Option<GrantItem> = stored.map(read).transpose()?;
        item.filter(|item| item.destination == *destination)
            .map(|GrantItem { purpose, destination, member, credential_version, .. }| ValidGrant {
                basis: Basis { member, credential_version, replaces: None },
                destination,
                purpose,
                hash,
            })
            .ok_or(Error::NotValid(Field::Verification))
    }
}

impl Transaction {
    /// Requires that the member's sessions have not ended since the code was issued.
    fn require_basis(&mut self, basis: &Basis) -> Result<(), Error> {
        let check = ConditionCheck::builder()
            .set_key(Some(member::key(basis.member).into_item()))
            .condition_expression("credential_version = :version")
            .expression_attribute_values(":version", number(basis.credential_version));
        self.check(check, Box::new(|_| Error::CodeNotValid { attempts_left: 0 }))
    }

    /// Consumes a grant.
    pub(super) fn consume_grant(&mut self, grant: &ValidGrant) -> Result<(), Error> {
        let delete = Delete::builder()
            .set_key(Some(key(&grant.hash).into_item()))
            .condition_expression(STILL_VALID)
            .expression_attribute_values(":now", number(Timestamp::now().0));
        self.delete(delete, Some(Box::new(|_| Error::NotValid(Field::Verification))))
    }
}
