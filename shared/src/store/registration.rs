//! Creating a member with a grant, or for a service that vouches for the contacts.

use super::{ItemKey, Store, grant::key, number, text, transaction::Transaction};
use crate::{
    clock::Timestamp,
    contact::Destination,
    domain::{
        audit::Origin,
        code::Purpose,
        idempotency::SealedResponse,
        member::MemberId,
        registration::{
            ConsumedRegistrationGrant, ProvenContacts, Registration, RegistrationGrant,
            ValidRegistrationGrant,
        },
    },
    error::{Error, Field},
};
use aws_sdk_dynamodb::types::Update;
use serde::Deserialize;

/// Item `grant#<hash>` / `grant` of a grant to register.
#[derive(Deserialize)]
struct RegistrationGrantItem {
    purpose: Purpose,
    destination: Destination,
    /// The member that was created with it.
    created: Option<MemberId>,
    expires_at: Timestamp,
}

/// Condition: no registration has consumed the grant, and it has not expired.
const UNCONSUMED: &str =
    "attribute_exists(pk) AND purpose = :register AND attribute_not_exists(created) AND expires_at > :now";

impl Store {
    /// Returns a grant to register by its hash, unless it does not exist, has expired, or is for another purpose.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn registration_grant(&self, hash: String) -> Result<Option<RegistrationGrant>, Error> {
        let item: Option<RegistrationGrantItem> = self.get(key(&hash)).await?;
        let is_usable = |item: &RegistrationGrantItem| {
            item.purpose == Purpose::Register && item.expires_at > Timestamp::now()
        };
        Ok(item.filter(is_usable).map(|RegistrationGrantItem { destination, created, .. }| match created {
            Some(member) => RegistrationGrant::Consumed(ConsumedRegistrationGrant { destination, member }),
            None => RegistrationGrant::Valid(ValidRegistrationGrant { destination, hash }),
        }))
    }

    /// Creates a member: the grant is consumed, the member, the owners of the contacts and the record are stored, and
    /// the response to an idempotent request with them. All or nothing.
    ///
    /// # Errors
    /// [`Error::NotValid`] if another registration consumed the grant or it expired, [`Error::MemberExists`],
    /// [`Error::MemberClosed`], [`Error::PhoneInUse`], [`Error::EmailInUse`], [`Error::TooManyAttempts`] if requests with the same contacts
    /// contend, [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn register(
        &self,
        registration: &Registration,
        origin: &Origin,
        sealed: Option<&SealedResponse<'_>>,
    ) -> Result<(), Error> {
        let member = &registration.member;
        let mut transaction = self.transaction();
        transaction.complete(sealed)?;
        if let ProvenContacts::ByGrant(grant) = &registration.contacts {
            transaction.consume_registration_grant(key(&grant.hash), member.id)?;
        }
        transaction.create(member)?;
        transaction.record(member.id, registration.event(), origin)?;
        // Only registrations of the same person write the same items.
        self.commit_own(transaction, Error::TooManyAttempts { retry_after: 1 }).await?;
        sealed.inspect(|sealed| sealed.mark_completed());
        Ok(())
    }
}

impl Transaction {
    /// Consumes a grant to register. It remains until it expires, with the member that it created.
    fn consume_registration_grant(&mut self, key: ItemKey, created: MemberId) -> Result<(), Error> {
        let update = Update::builder()
            .set_key(Some(key.into_item()))
            .update_expression("SET created = :created")
            .condition_expression(UNCONSUMED)
            .expression_attribute_values(":created", text(created.to_string()))
            .expression_attribute_values(":register", text(Purpose::Register.flag()))
            .expression_attribute_values(":now", number(Timestamp::now().0));
        self.update(update, Some(Box::new(|_| Error::NotValid(Field::Verification))))
    }
}
