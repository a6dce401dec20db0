//! The member: a person with an account, as stored.

use crate::{
    clock::Timestamp,
    contact::{Destination, Email, Phone},
    domain::{password::PasswordHash, report::LINK_TTL_SECONDS},
    error::{Error, Field},
    language::Language,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// The id of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub Uuid);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A person with an account. Stored as item `member#<id>` / `member`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Member {
    /// The member's id.
    pub id: MemberId,
    /// A number that every change of the login password raises. Sessions with another one are invalid.
    pub credential_version: u64,
    /// A number that every write raises, for the optimistic lock: a change requires the revision it was planned
    /// from.
    pub revision: u64,
    /// The bound phone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    /// The verified email address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// The hash of the login password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<PasswordHash>,
    /// The hash of the pay password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pay_password: Option<PasswordHash>,
    /// Since when the bound phone is immature: it was bound without a reauthentication. `None` if it is mature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_immature_since: Option<Timestamp>,
    /// Since when the bound email address is immature, in the same sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_immature_since: Option<Timestamp>,
    /// When the phone was bound. Absent if the member was created with it, an operator bound it, or a report restored it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_bound_at: Option<Timestamp>,
    /// When the email address was bound, in the same sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_bound_at: Option<Timestamp>,
    /// The freeze that a reported change began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Frozen>,
    /// When the phone was replaced, the password recovered, or the first pay password set without a reauthentication. A
    /// cooling-off period follows, in which the pay password cannot be reset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooling_since: Option<Timestamp>,
    /// The times of the changes in the hour before the last one, for the limit of changes per hour.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed_at: Vec<Timestamp>,
    /// The language of notices, if the request that makes a change requests none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// When the member was created.
    pub created_at: Timestamp,
}

/// A freeze: no change except a recovery through one address is possible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// When the change was reported.
    pub since: Timestamp,
    /// The email address that got the link of the report. A recovery through it lifts the freeze.
    pub through: Destination,
}

impl Member {
    /// Returns the phone and the email address that are bound. Each was verified when it was bound.
    #[must_use]
    pub fn destinations(&self) -> Vec<Destination> {
        let phone = self.phone.clone().map(Destination::Phone);
        phone.into_iter().chain(self.email.clone().map(Destination::Email)).collect()
    }

    /// Returns whether a phone or email address is the member's own.
    #[must_use]
    pub fn owns(&self, destination: &Destination) -> bool {
        self.destinations().contains(destination)
    }

    /// Returns the member's own destination in the spelling that the member bound.
    #[must_use]
    pub fn bound(&self, destination: &Destination) -> Option<Destination> {
        self.destinations().into_iter().find(|bound| bound == destination)
    }

    /// Returns the bound destination of the same kind that `destination` would replace.
    #[must_use]
    pub fn replaced_by(&self, destination: &Destination) -> Option<Destination> {
        let bound = match destination {
            Destination::Phone(_) => self.phone.clone().map(Destination::Phone),
            Destination::Email(_) => self.email.clone().map(Destination::Email),
        };
        bound.filter(|bound| bound != destination)
    }

    /// Returns whether binding `destination` would replace another of the same kind.
    #[must_use]
    pub fn would_replace(&self, destination: &Destination) -> bool {
        self.replaced_by(destination).is_some()
    }

    /// Returns since when the bound contact of the same kind as `destination` is immature, if it is.
    #[must_use]
    pub fn immature_since(&self, destination: &Destination) -> Option<Timestamp> {
        match destination {
            Destination::Phone(_) => self.phone_immature_since,
            Destination::Email(_) => self.email_immature_since,
        }
    }

    /// Returns whether the member has a login or pay password, which a new phone or email address could reset.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.password.is_some() || self.pay_password.is_some()
    }

    /// Returns whether a phone or email address is the member's own and was bound before the oldest valid link to report
    /// a change was sent.
    #[must_use]
    pub fn is_settled(&self, destination: &Destination) -> bool {
        let bound_at = match destination {
            Destination::Phone(_) => self.phone_bound_at,
            Destination::Email(_) => self.email_bound_at,
        };
        let settled_at = bound_at.map(|at| at.plus(LINK_TTL_SECONDS));
        self.owns(destination) && settled_at.is_none_or(|at| at <= Timestamp::now())
    }

    /// Returns whether a report may bind a former phone or email address again: the one that the member has instead was
    /// bound after the oldest valid link was sent, and not by an operator.
    #[must_use]
    pub fn can_restore(&self, former: &Destination) -> bool {
        self.replaced_by(former).is_some_and(|current| !self.is_settled(&current))
    }

    /// Fails unless a phone is the member's own.
    ///
    /// # Errors
    /// [`Error::UserPhoneNotMatch`] if it is not.
    pub fn require_own(&self, phone: &Destination) -> Result<(), Error> {
        if self.owns(phone) { Ok(()) } else { Err(Error::UserPhoneNotMatch) }
    }

    /// Fails if the member reported a change and has not recovered the password since.
    ///
    /// # Errors
    /// [`Error::AccountFrozen`] if so.
    pub fn require_not_frozen(&self) -> Result<(), Error> {
        if self.frozen.is_some() { Err(Error::AccountFrozen) } else { Ok(()) }
    }

    /// Returns the hash of the pay password.
    ///
    /// # Errors
    /// [`Error::PayPasswordNotSet`] if no pay password is set.
    pub fn require_pay_password(&self) -> Result<&PasswordHash, Error> {
        self.pay_password.as_ref().ok_or(Error::PayPasswordNotSet)
    }

    /// Fails if a login password, a phone or an email address can prove that the member makes a request, so that a
    /// session does not suffice.
    ///
    /// # Errors
    /// [`Error::Missing`] with the proof that is missing.
    pub fn require_no_other_proof(&self) -> Result<(), Error> {
        if self.password.is_some() {
            Err(Error::Missing(Field::OldPassword))
        } else if self.destinations().is_empty() {
            Ok(())
        } else {
            Err(Error::Missing(Field::Message))
        }
    }

    /// Fails if a pay password is set.
    ///
    /// # Errors
    /// [`Error::PayPasswordAlreadySet`] if it is.
    pub fn require_no_pay_password(&self) -> Result<(), Error> {
        if self.pay_password.is_some() { Err(Error::PayPasswordAlreadySet) } else { Ok(()) }
    }

    /// Fails if binding a phone or an email address would replace another one without a reauthentication. An attacker
    /// with an open session could otherwise take over the account.
    ///
    /// # Errors
    /// [`Error::ReauthenticationRequired`] if it would.
    pub fn require_bindable(&self, destination: &Destination, is_reauthenticated: bool) -> Result<(), Error> {
        if self.would_replace(destination) && !is_reauthenticated {
            Err(Error::ReauthenticationRequired)
        } else {
            Ok(())
        }
    }
}
