//! The member, and who owns a phone or a mail address.

use super::{Item, ItemKey, Store, text, transaction::Transaction, write};
use crate::{
    contact::Destination,
    domain::member::{Member, MemberId},
    error::Error,
};
use aws_sdk_dynamodb::types::{
    Delete, Put,
    builders::{DeleteBuilder, PutBuilder},
};
use serde::{Deserialize, Serialize};

/// Item `phone#<E.164>` or `email#<address>` / `owner`: a phone or an address belongs to one member.
#[derive(Serialize, Deserialize)]
struct OwnerItem {
    member: MemberId,
}

/// The key of a member.
#[must_use]
pub fn key(id: MemberId) -> ItemKey {
    ItemKey::new(format!("member#{id}"), "member")
}

/// The key of the item that tells to whom a phone or a mail address belongs.
#[must_use]
pub fn owner_key(destination: &Destination) -> ItemKey {
    ItemKey::new(destination.key(), "owner")
}

/// The items of a member: their own first, then that of each phone or mail address.
///
/// # Errors
/// [`Error::Internal`] where one cannot be written.
pub fn items(member: &Member) -> Result<Vec<Item>, Error> {
    let own = write(member, key(member.id));
    let owners = member.destinations().into_iter().map(|destination| owner(member.id, &destination));
    std::iter::once(own).chain(owners).collect()
}

/// The item that tells that a phone or a mail address belongs to a member.
fn owner(of: MemberId, destination: &Destination) -> Result<Item, Error> {
    write(OwnerItem { member: of }, owner_key(destination))
}

/// The condition of an item that is not there yet.
pub const ABSENT: &str = "attribute_not_exists(pk)";
/// It belongs to nobody, or to this member.
const FREE_OR_OWN: &str = "attribute_not_exists(pk) OR #member = :member";
/// It belongs to this member.
const OWN: &str = "#member = :member";

/// Gives a phone or an address to a member, if it is nobody else's.
///
/// # Errors
/// [`Error::Internal`] where it cannot be written.
pub fn claim(of: MemberId, destination: &Destination) -> Result<PutBuilder, Error> {
    let put = Put::builder().set_item(Some(owner(of, destination)?)).condition_expression(FREE_OR_OWN);
    Ok(put
        .expression_attribute_names("#member", "member")
        .expression_attribute_values(":member", text(of.to_string())))
}

/// Sets a member's phone or address free.
#[must_use]
pub fn release(of: MemberId, destination: &Destination) -> DeleteBuilder {
    Delete::builder()
        .set_key(Some(owner_key(destination).into_item()))
        .condition_expression(OWN)
        .expression_attribute_names("#member", "member")
        .expression_attribute_values(":member", text(of.to_string()))
}

impl Store {
    /// The member of that id.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn member(&self, id: MemberId) -> Result<Option<Member>, Error> {
        self.get(key(id)).await
    }

    /// The member to whom a phone or a mail address belongs.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn owner(&self, destination: &Destination) -> Result<Option<MemberId>, Error> {
        Ok(self.get::<OwnerItem>(owner_key(destination)).await?.map(|owner| owner.member))
    }

    /// Creates a member together with the ownership of phone and mail address.
    ///
    /// # Errors
    /// [`Error::PhoneInUse`], [`Error::EmailInUse`], [`Error::Busy`], [`Error::Internal`].
    pub async fn create_member(&self, member: &Member) -> Result<(), Error> {
        let absent = |item| Put::builder().set_item(Some(item)).condition_expression(ABSENT);
        let mut transaction = self.transaction();
        let exists = |_| Error::internal("a member with this id exists");
        transaction.put(absent(write(member, key(member.id))?), Some(Box::new(exists)))?;
        for destination in member.destinations() {
            let put = absent(owner(member.id, &destination)?);
            transaction.put(put, Some(Box::new(in_use(&destination))))?;
        }
        self.commit(transaction).await
    }
}

impl Transaction {
    /// Gives a phone or an email address to a member, and releases the one that it replaces.
    pub(super) fn bind(&mut self, member: &Member, destination: &Destination) -> Result<(), Error> {
        self.put(claim(member.id, destination)?, Some(Box::new(in_use(destination))))?;
        let Some(replaced) = member.replaced_by(destination) else { return Ok(()) };
        let not_own = |_| Error::internal("another member owns a member's contact");
        self.delete(release(member.id, &replaced), Some(Box::new(not_own)))
    }
}

/// Returns the refusal for a phone or an email address of another member.
fn in_use(destination: &Destination) -> impl FnOnce(Option<Item>) -> Error + use<> {
    let error = match destination {
        Destination::Phone(_) => Error::PhoneInUse,
        Destination::Email(_) => Error::EmailInUse,
    };
    |_| error
}
