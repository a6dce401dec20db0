//! Grants that were given, by their hash.

use super::{Key, Store, code::RightCode, number, transaction::Transaction, write};
use crate::{
    clock::Timestamp,
    contact::Destination,
    domain::{code::Purpose, grant::Grant, idempotency::SealedResponse, member::MemberId},
    error::{Error, Field},
};
use aws_sdk_dynamodb::types::{Delete, Put};
use serde::{Deserialize, Serialize};

/// What a grant allows. Item `grant#<hash>` / `grant`.
#[derive(Debug, Serialize, Deserialize)]
struct Given {
    purpose: Purpose,
    destination: Destination,
    member: MemberId,
    expires_at: Timestamp,
}

/// A grant that is good for a member. Allows nothing until a change spends it.
#[derive(Debug)]
pub struct GoodGrant {
    /// The member it was given to.
    pub member: MemberId,
    key: Key,
}

/// It was neither spent nor outlived.
const STILL_GOOD: &str = "attribute_exists(pk) AND expires_at > :now";

fn key(grant: &Grant) -> Key {
    Key::new(format!("grant#{}", grant.hash()), "grant")
}

impl Store {
    /// Turns a right code into a grant: the code is spent and the grant kept, both or neither.
    ///
    /// # Errors
    /// [`Error::CodeNotValid`] where the code was spent meanwhile, [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn exchange(
        &self,
        code: &RightCode,
        grant: &Grant,
        ttl_seconds: u64,
        sealed: Option<&SealedResponse<'_>>,
    ) -> Result<(), Error> {
        let given = Given {
            purpose: code.binding.purpose,
            destination: code.binding.destination.clone(),
            member: code.member,
            expires_at: Timestamp::now().plus(ttl_seconds),
        };
        let mut transaction = Transaction::default();
        transaction.complete(sealed, &self.table)?;
        transaction.spend(code, &self.table)?;
        transaction.put(Put::builder().set_item(Some(write(given, key(grant))?)), &self.table, None)?;
        self.commit(transaction).await?;
        sealed.inspect(|sealed| sealed.mark_completed());
        Ok(())
    }

    /// A grant for this purpose and destination, if it is still good.
    ///
    /// # Errors
    /// [`Error::NotValid`] where it is not, [`Error::Busy`], [`Error::Internal`].
    pub async fn grant(
        &self,
        grant: &Grant,
        purpose: Purpose,
        destination: &Destination,
    ) -> Result<GoodGrant, Error> {
        let given: Option<Given> = self.get(key(grant)).await?;
        given
            .filter(|given| given.expires_at > Timestamp::now())
            .filter(|given| given.purpose == purpose && given.destination == *destination)
            .map(|given| GoodGrant { member: given.member, key: key(grant) })
            .ok_or(Error::NotValid(Field::Verification))
    }
}

impl Transaction {
    /// Spends a grant.
    pub(super) fn spend_grant(&mut self, grant: &GoodGrant, table: &str) -> Result<(), Error> {
        let delete = Delete::builder()
            .set_key(Some(grant.key.clone().into_item()))
            .condition_expression(STILL_GOOD)
            .expression_attribute_values(":now", number(Timestamp::now().0));
        self.delete(delete, table, Some(Box::new(|_| Error::NotValid(Field::Verification))))
    }
}
