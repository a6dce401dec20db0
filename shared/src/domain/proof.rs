//! Proofs: values that show that a caller may make a change. Only the flows create them, after counting and comparing
//! an attempt, and a [`Change`](super::change::Change) takes them by value.

use super::{
    code::{Binding, CodeMac, Purpose},
    counter::Counter,
    member::MemberId,
    password::PasswordHash,
};
use crate::{clock::Timestamp, contact::Destination};

/// A code that matched. It authorizes nothing until a change or a grant consumes it.
#[derive(Debug)]
pub struct VerifiedCode {
    /// The destination, purpose and flow that the code is bound to.
    pub binding: Binding,
    /// The member whom the code was sent for.
    pub member: MemberId,
    /// When the code was sent.
    pub sent_at: Timestamp,
    pub(crate) mac: CodeMac,
    /// The day's wrong codes, from which the right one is taken back.
    pub(crate) failures: Counter,
}

/// A grant that is valid for a member. It authorizes nothing until a change consumes it.
#[derive(Debug)]
pub struct ValidGrant {
    /// The member whom the grant was issued to.
    pub member: MemberId,
    /// The phone or address that the grant's code was sent to.
    pub destination: Destination,
    /// The only purpose of the grant.
    pub purpose: Purpose,
    pub(crate) hash: String,
}

/// A login password that matched.
#[derive(Debug)]
pub struct VerifiedPassword {
    /// The member's credential version when it matched.
    pub(crate) credential_version: u64,
    /// The row of failures that it ends.
    pub(crate) failures: Counter,
    /// A hash of the same password under the current settings, if the stored one is outdated.
    pub(crate) rehashed: Option<PasswordHash>,
}

/// A pay password that matched.
#[derive(Debug)]
pub struct VerifiedPayPassword {
    /// The stored hash that it matched.
    pub(crate) hash: PasswordHash,
    /// The row of failures that it ends.
    pub(crate) failures: Counter,
}

/// A recent login, or the login password instead.
#[derive(Debug)]
pub enum Reauthenticated {
    /// The session's login is recent.
    ByLogin,
    /// The request had the login password.
    ByPassword(VerifiedPassword),
}

/// The possession of a phone, shown by a code in the same call or by the grant for an earlier one.
#[derive(Debug)]
pub enum Possession {
    /// By a code.
    ByCode(VerifiedCode),
    /// By a grant.
    ByGrant(ValidGrant),
}

impl Possession {
    /// Returns the phone or address.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        match self {
            Self::ByCode(code) => &code.binding.destination,
            Self::ByGrant(grant) => &grant.destination,
        }
    }

    pub(crate) fn member(&self) -> MemberId {
        match self {
            Self::ByCode(code) => code.member,
            Self::ByGrant(grant) => grant.member,
        }
    }

    pub(crate) fn purpose(&self) -> Purpose {
        match self {
            Self::ByCode(code) => code.binding.purpose,
            Self::ByGrant(grant) => grant.purpose,
        }
    }
}
