//! The member, and who owns a phone or a mail address.

use super::{Key, Store, transaction::Transaction, write};
use crate::{
    clock::Timestamp,
    contact::{Destination, Email, Phone},
    error::Error,
    password::PasswordHash,
};
use aws_sdk_dynamodb::types::Put;
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
    /// When the member was created.
    pub created_at: Timestamp,
}

impl Member {
    /// The texts that no password of this member may be: phone and mail, in the spellings a person uses.
    #[must_use]
    pub fn contacts(&self) -> Vec<String> {
        let mut contacts = Vec::new();
        if let Some(phone) = &self.phone {
            contacts.extend([phone.as_str().to_owned(), phone.as_str().trim_start_matches('+').to_owned()]);
            contacts.extend(phone.parts().map(|(_, national)| national));
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

pub(super) fn key(id: MemberId) -> Key {
    Key::new(format!("member#{id}"), "member")
}

fn owner_key(destination: &Destination) -> Key {
    Key::new(destination.key(), "owner")
}

/// The condition of what must not be there yet.
const ABSENT: &str = "attribute_not_exists(pk)";

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
        let owner = |destination: Destination| {
            write(Owner { member: member.id }, owner_key(&destination)).map(absent)
        };
        if let Some(phone) = &member.phone {
            let put = owner(Destination::Phone(phone.clone()))?;
            transaction.put(put, &self.table, Some(Box::new(|_| Error::PhoneInUse)))?;
        }
        if let Some(email) = &member.email {
            let put = owner(Destination::Email(email.clone()))?;
            transaction.put(put, &self.table, Some(Box::new(|_| Error::EmailInUse)))?;
        }
        self.commit(transaction).await
    }
}
