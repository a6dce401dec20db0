//! Grants, stored by their hash.

use super::{ItemKey, Store, member, number, transaction::Transaction, write};
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
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put};
use serde::{Deserialize, Serialize};

/// Item `grant#<hash>` / `grant`.
#[derive(Debug, Serialize, Deserialize)]
struct GrantItem {
    purpose: Purpose,
    destination: Destination,
    member: MemberId,
    credential_version: u64,
    expires_at: Timestamp,
}

/// Condition: the grant has neither been consumed nor expired.
const STILL_VALID: &str = "attribute_exists(pk) AND expires_at > :now";

fn key(hash: &str) -> ItemKey {
    ItemKey::new(format!("grant#{hash}"), "grant")
}

impl Store {
    /// Exchanges a verified code for a grant: the code is consumed and the grant stored, both or neither.
    ///
    /// # Errors
    /// [`Error::CodeNotValid`] if another request consumed the code or the sessions of its member ended, [`Error::Busy`], [`Error::Internal`].
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
            expires_at: Timestamp::now().plus(ttl_seconds),
        };
        let mut transaction = self.transaction();
        transaction.complete(sealed)?;
        transaction.consume_code(code)?;
        transaction.require_basis(&code.basis)?;
        transaction.put(Put::builder().set_item(Some(write(item, key(&grant.hash()))?)), None)?;
        self.commit(transaction).await?;
        sealed.inspect(|sealed| sealed.mark_completed());
        Ok(())
    }

    /// Reads a grant for a purpose and destination.
    ///
    /// # Errors
    /// [`Error::NotValid`] if it does not exist, has expired, or has another purpose or destination; [`Error::Busy`],
    /// [`Error::Internal`].
    pub(crate) async fn grant(
        &self,
        grant: &Grant,
        purpose: Purpose,
        destination: &Destination,
    ) -> Result<ValidGrant, Error> {
        let hash = grant.hash();
        let item: Option<GrantItem> = self.get(key(&hash)).await?;
        item.filter(|item| item.expires_at > Timestamp::now())
            .filter(|item| item.purpose == purpose && item.destination == *destination)
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
