//! The member.

use crate::{
    clock::Timestamp,
    contact::{Destination, Email, Phone},
    domain::password::PasswordHash,
    error::Error,
    language::Language,
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

    /// Whether a phone or email address is the member's own.
    #[must_use]
    pub fn owns(&self, destination: &Destination) -> bool {
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

    /// Fails unless a phone is the member's own.
    ///
    /// # Errors
    /// [`Error::UserPhoneNotMatch`].
    pub fn require_own(&self, phone: &Destination) -> Result<(), Error> {
        if self.owns(phone) { Ok(()) } else { Err(Error::UserPhoneNotMatch) }
    }

    /// Fails if a pay password is set.
    ///
    /// # Errors
    /// [`Error::PayPasswordAlreadySet`].
    pub fn require_no_pay_password(&self) -> Result<(), Error> {
        if self.pay_password.is_some() { Err(Error::PayPasswordAlreadySet) } else { Ok(()) }
    }

    /// Fails within `seconds` of a replaced phone or a recovered password: an attacker who took either over must not
    /// empty the account on the same day.
    ///
    /// # Errors
    /// [`Error::CoolingOff`].
    pub fn require_cooled_off(&self, seconds: u64) -> Result<(), Error> {
        let until = self.cooling_since.map(|since| since.plus(seconds));
        match until.map(|until| Timestamp::now().until(until)) {
            Some(retry_after @ 1..) => Err(Error::CoolingOff { retry_after }),
            _ => Ok(()),
        }
    }
}
