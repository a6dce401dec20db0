//! Proofs: values that show that a caller may make a change. Only the flows create them, after they counted and
//! compared an attempt. A [`Change`](super::change::Change) takes its proof by value.

use super::{
    basis::Basis,
    code::{Binding, CodeMac, Purpose},
    counter::{Counter, PayPasswordFailures},
    member::{Member, MemberId},
    password::PasswordHash,
    report::{ReportId, ReportableChange},
};
use crate::{
    clock::Timestamp,
    contact::Destination,
    error::{Error, Field},
};

/// A code that matched. It authorizes nothing until a change, a grant or a login consumes it.
///
/// A change or a grant takes a code that was sent for a member. A code to log in or to register is an
/// `Option<Basis>`, because the code to register is sent to anyone.
#[derive(Debug)]
pub struct VerifiedCode<B = Basis> {
    /// The destination, purpose and flow that the code is bound to.
    pub binding: Binding,
    /// The member for whom the code was sent, in the state that it was issued on.
    pub basis: B,
    /// Whether the member reauthenticated when requesting the code.
    pub reauthenticated: bool,
    /// When the code was sent.
    pub sent_at: Timestamp,
    pub(crate) mac: CodeMac,
    /// The counter of the day's wrong codes. Consuming this code gives its attempt back.
    pub(crate) failures: Counter,
    /// The counter of wrong codes from the source address, to which this attempt is given back as well.
    pub(crate) guesses: Counter,
}

impl VerifiedCode<Option<Basis>> {
    /// Returns the code if it was sent for a member.
    pub(crate) fn of_member(self) -> Option<VerifiedCode> {
        let Self { binding, basis, reauthenticated, sent_at, mac, failures, guesses } = self;
        Some(VerifiedCode { binding, basis: basis?, reauthenticated, sent_at, mac, failures, guesses })
    }
}

/// A grant that is valid for a member. It authorizes nothing until a change consumes it.
#[derive(Debug)]
pub struct ValidGrant {
    /// The member to whom the grant was issued, in the state that its code was issued on.
    pub basis: Basis,
    /// The phone or address that the grant's code was sent to.
    pub destination: Destination,
    /// The purpose of the grant.
    pub purpose: Purpose,
    pub(crate) hash: String,
}

/// A report of a change that is valid. It has no effect until a change consumes it.
#[derive(Debug)]
pub struct ValidReport {
    /// The reported change.
    pub change: ReportableChange,
    /// The contacts of the reported change that belong to another member since.
    pub(crate) taken: Vec<Destination>,
    pub(crate) id: ReportId,
}

/// A login password that matched.
#[derive(Debug)]
pub struct VerifiedPassword {
    /// The member's credential version when the password matched.
    pub(crate) credential_version: u64,
    /// The counter of failures, which the change resets.
    pub(crate) failures: Counter,
    /// A hash of the same password under the current settings, if the stored one is outdated.
    pub(crate) rehashed: Option<PasswordHash>,
}

impl VerifiedPassword {
    /// Fails if the member's credentials changed since the password matched.
    pub(crate) fn require_current(&self, member: &Member) -> Result<(), Error> {
        if self.credential_version == member.credential_version { Ok(()) } else { Err(Error::InvalidToken) }
    }
}

/// A pay password that matched.
#[derive(Debug)]
pub struct VerifiedPayPassword {
    /// The stored hash that it matched.
    pub(crate) hash: PasswordHash,
    /// The counters of failures. Its use resets those in a row, and takes its own attempt out of those of the day.
    pub(crate) failures: PayPasswordFailures,
}

/// A reauthentication: a recent login or, instead, the login password.
#[derive(Debug)]
pub enum Reauthenticated {
    /// The session's login is recent.
    ByLogin,
    /// The request had the login password.
    ByPassword {
        /// A hash of it under the current settings, if the stored one is outdated.
        rehashed: Option<PasswordHash>,
    },
}

/// A proof of possession of a phone: a code in the same call, or a grant for a code in an earlier call.
#[derive(Debug)]
pub enum Possession {
    /// A code in the same call.
    ByCode(VerifiedCode),
    /// A grant from an earlier call.
    ByGrant(ValidGrant),
}

/// A proof that a member closes their own account.
#[derive(Debug)]
pub enum ClosingProof {
    /// The login password.
    ByPassword(VerifiedPassword),
    /// A code that was sent to the member's own phone or email address.
    ByCode(VerifiedCode),
}

impl Possession {
    /// Returns the phone or email address.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        match self {
            Self::ByCode(code) => &code.binding.destination,
            Self::ByGrant(grant) => &grant.destination,
        }
    }

    pub(crate) fn member(&self) -> MemberId {
        match self {
            Self::ByCode(code) => code.basis.member,
            Self::ByGrant(grant) => grant.basis.member,
        }
    }

    pub(crate) fn purpose(&self) -> Purpose {
        match self {
            Self::ByCode(code) => code.binding.purpose,
            Self::ByGrant(grant) => grant.purpose,
        }
    }
}

/// A proof that was issued for a member, and that ends when the member is no longer in the state that it was issued on.
pub trait IssuedProof {
    /// Fails if the proof has ended for the member as read.
    ///
    /// # Errors
    /// [`Error::CodeNotValid`] or [`Error::NotValid`], as if it had been consumed.
    fn require_basis(&self, member: &Member) -> Result<(), Error>;
}

impl IssuedProof for VerifiedCode {
    fn require_basis(&self, member: &Member) -> Result<(), Error> {
        let holds = self.basis.holds(member, &self.binding.destination);
        if holds { Ok(()) } else { Err(Error::CodeNotValid { attempts_left: 0 }) }
    }
}

impl IssuedProof for ValidGrant {
    fn require_basis(&self, member: &Member) -> Result<(), Error> {
        let holds = self.basis.holds(member, &self.destination);
        if holds { Ok(()) } else { Err(Error::NotValid(Field::Verification)) }
    }
}

impl IssuedProof for Possession {
    fn require_basis(&self, member: &Member) -> Result<(), Error> {
        match self {
            Self::ByCode(code) => code.require_basis(member),
            Self::ByGrant(grant) => grant.require_basis(member),
        }
    }
}
