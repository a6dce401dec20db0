//! The member, and who owns a phone or a mail address.

use super::{Item, Key, Store, text, transaction::Transaction, write};
use crate::{
    clock::Timestamp,
    contact::{Destination, Email, Phone},
    error::Error,
    language::Language,
    password::PasswordHash,
};
use aws_sdk_dynamodb::types::{
    Delete, Put,
    builders::{DeleteBuilder, PutBuilder},
};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// A member's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub Uuid);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A member. Item `member#<id>` / `member`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Member {
    /// The id.
    pub id: MemberId,
    /// Raised by each change of the login password: a session with another one is over.
    pub credential_version: u64,
    /// Raised by every write: the condition under which a change made from a read still holds.
    pub revision: u64,
    /// The bound phone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    /// The verified mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// The login password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<PasswordHash>,
    /// The pay password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pay_password: Option<PasswordHash>,
    /// When the phone was replaced or the password recovered: for a while after it the pay password
    /// cannot be reset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooling_since: Option<Timestamp>,
    /// The language in which the member is told of changes, where the request that makes them asks for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// When the member was created.
    pub created_at: Timestamp,
}

impl Member {
    /// Where the member can be reached: each was verified when it was bound.
    #[must_use]
    pub fn destinations(&self) -> Vec<Destination> {
        let phone = self.phone.clone().map(Destination::Phone);
        phone.into_iter().chain(self.email.clone().map(Destination::Email)).collect()
    }

    /// Whether that phone or mail address is the member's own.
    #[must_use]
    pub fn has(&self, destination: &Destination) -> bool {
        self.destinations().contains(destination)
    }

    /// The other destination of that kind that is bound.
    #[must_use]
    pub fn replaced_by(&self, destination: &Destination) -> Option<Destination> {
        let bound = match destination {
            Destination::Phone(_) => self.phone.clone().map(Destination::Phone),
            Destination::Email(_) => self.email.clone().map(Destination::Email),
        };
        bound.filter(|bound| bound != destination)
    }

    /// Whether another destination of that kind is bound.
    #[must_use]
    pub fn would_replace(&self, destination: &Destination) -> bool {
        self.replaced_by(destination).is_some()
    }

    /// The texts that no password of this member may be: phone and mail, in the spellings a person uses.
    #[must_use]
    pub fn contacts(&self) -> Vec<String> {
        let mut contacts = Vec::new();
        if let Some(phone) = &self.phone {
            contacts.extend([phone.as_str().to_owned(), phone.as_str().trim_start_matches('+').to_owned()]);
            contacts.extend(phone.parts().map(|(_, national)| national.to_owned()));
        }
        contacts.extend(self.email.iter().map(|email| email.as_str().to_owned()));
        contacts
    }
}

/// Item `phone#<E.164>` or `email#<address>` / `owner`: a phone or an address belongs to one member.
#[derive(Serialize, Deserialize)]
struct Owner {
    member: MemberId,
}

/// The key of a member.
#[must_use]
pub fn key(id: MemberId) -> Key {
    Key::new(format!("member#{id}"), "member")
}

/// The key of the item that tells to whom a phone or a mail address belongs.
#[must_use]
pub fn owner_key(destination: &Destination) -> Key {
    Key::new(destination.key(), "owner")
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
    write(Owner { member: of }, owner_key(destination))
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
        Ok(self.get::<Owner>(owner_key(destination)).await?.map(|owner| owner.member))
    }

    /// Creates a member together with the ownership of phone and mail address.
    ///
    /// # Errors
    /// [`Error::PhoneInUse`], [`Error::EmailInUse`], [`Error::Busy`], [`Error::Internal`].
    pub async fn create_member(&self, member: &Member) -> Result<(), Error> {
        let absent = |item| Put::builder().set_item(Some(item)).condition_expression(ABSENT);
        let mut transaction = Transaction::default();
        let exists = |_| Error::internal("a member of that id exists");
        transaction.put(absent(write(member, key(member.id))?), &self.table, Some(Box::new(exists)))?;
        for destination in member.destinations() {
            let in_use = match destination {
                Destination::Phone(_) => |_| Error::PhoneInUse,
                Destination::Email(_) => |_| Error::EmailInUse,
            };
            let put = absent(owner(member.id, &destination)?);
            transaction.put(put, &self.table, Some(Box::new(in_use)))?;
        }
        self.commit(transaction).await
    }
}

impl Transaction {
    /// Gives a phone or an address to a member, and sets free the one that it replaces.
    pub(super) fn own(
        &mut self,
        member: &Member,
        destination: &Destination,
        table: &str,
    ) -> Result<(), Error> {
        let in_use = match destination {
            Destination::Phone(_) => |_| Error::PhoneInUse,
            Destination::Email(_) => |_| Error::EmailInUse,
        };
        self.put(claim(member.id, destination)?, table, Some(Box::new(in_use)))?;
        let Some(replaced) = member.replaced_by(destination) else { return Ok(()) };
        let not_own = |_| Error::internal("a member's contact belongs to somebody else");
        self.delete(release(member.id, &replaced), table, Some(Box::new(not_own)))
    }
}
