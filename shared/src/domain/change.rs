//! The changes of a member's credentials. A change takes its proof by value, so a change without proof does not
//! compile.
//!
//! [`Change::plan`] alone decides what a change writes, consumes and reports: action, attributes, cooling-off
//! period and notices. It is repeated for the member as read again if another request wrote the member first.

use super::{
    audit::Action,
    code::Purpose,
    counter::Counter,
    member::Member,
    password::PasswordHash,
    proof::{Possession, Reauthenticated, ValidGrant, VerifiedCode, VerifiedPassword, VerifiedPayPassword},
    session::Session,
};
use crate::{
    clock::Timestamp,
    contact::Destination,
    error::{Error, Field},
};

/// A change with its proof, for a member as read.
#[derive(Debug)]
#[must_use = "a change takes effect when `App::commit` commits it"]
pub struct Change {
    member: Member,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    PasswordChanged {
        hash: PasswordHash,
        proof: VerifiedPassword,
    },
    PasswordChangedByMessage {
        hash: PasswordHash,
        proof: VerifiedCode,
        old: Option<VerifiedPassword>,
    },
    PasswordRecovered {
        hash: PasswordHash,
        proof: ValidGrant,
    },
    PhoneBound {
        proof: VerifiedCode,
        reauthenticated: Option<Reauthenticated>,
    },
    EmailBound {
        proof: VerifiedCode,
    },
    PayPasswordSet {
        hash: PasswordHash,
    },
    PayPasswordChanged {
        hash: PasswordHash,
        proof: VerifiedPayPassword,
    },
    PayPasswordReset {
        hash: Option<PasswordHash>,
        proof: Possession,
        failures: Counter,
        cooling_off_seconds: u64,
    },
}

impl Change {
    /// Changes the login password by the old one. Ends every session but one that is renewed with the reply.
    pub fn password_changed(member: &Member, hash: PasswordHash, proof: VerifiedPassword) -> Self {
        Self::new(member, Kind::PasswordChanged { hash, proof })
    }

    /// Changes the login password by a code that was sent to the member's own phone. A client may send the old
    /// password as well. Ends every session but one that is renewed with the reply.
    pub fn password_changed_by_message(
        member: &Member,
        hash: PasswordHash,
        proof: VerifiedCode,
        old: Option<VerifiedPassword>,
    ) -> Self {
        Self::new(member, Kind::PasswordChangedByMessage { hash, proof, old })
    }

    /// Replaces a forgotten login password. Ends every session and begins a cooling-off period.
    pub fn password_recovered(member: &Member, hash: PasswordHash, proof: ValidGrant) -> Self {
        Self::new(member, Kind::PasswordRecovered { hash, proof })
    }

    /// Binds the phone that the code was sent to. Replacing another phone requires reauthentication and begins a
    /// cooling-off period.
    pub fn phone_bound(
        member: &Member,
        proof: VerifiedCode,
        reauthenticated: Option<Reauthenticated>,
    ) -> Self {
        Self::new(member, Kind::PhoneBound { proof, reauthenticated })
    }

    /// Binds the email address that the code was sent to. `send-mail` sends that code only after reauthentication
    /// if the address replaces another.
    pub fn email_bound(member: &Member, proof: VerifiedCode) -> Self {
        Self::new(member, Kind::EmailBound { proof })
    }

    /// Sets the first pay password. The session is the proof.
    pub fn pay_password_set(member: &Member, hash: PasswordHash, _: &Session) -> Self {
        Self::new(member, Kind::PayPasswordSet { hash })
    }

    /// Changes the pay password by the old one.
    pub fn pay_password_changed(member: &Member, hash: PasswordHash, proof: VerifiedPayPassword) -> Self {
        Self::new(member, Kind::PayPasswordChanged { hash, proof })
    }

    /// Removes the pay password, or replaces it by `hash`. Ends its lockout, whose counter is `failures`.
    pub fn pay_password_reset(
        member: &Member,
        hash: Option<PasswordHash>,
        proof: Possession,
        failures: Counter,
        cooling_off_seconds: u64,
    ) -> Self {
        Self::new(member, Kind::PayPasswordReset { hash, proof, failures, cooling_off_seconds })
    }

    fn new(member: &Member, kind: Kind) -> Self {
        Self { member: member.clone(), kind }
    }

    /// Returns the same change for the member as read again.
    pub(crate) fn on(self, member: Member) -> Self {
        Self { member, ..self }
    }

    /// Returns the member as read.
    #[must_use]
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// Returns the member's credential version after the change.
    #[must_use]
    pub fn credential_version(&self) -> u64 {
        match self.kind {
            Kind::PasswordChanged { .. }
            | Kind::PasswordChangedByMessage { .. }
            | Kind::PasswordRecovered { .. } => self.member.credential_version + 1,
            Kind::PhoneBound { .. }
            | Kind::EmailBound { .. }
            | Kind::PayPasswordSet { .. }
            | Kind::PayPasswordChanged { .. }
            | Kind::PayPasswordReset { .. } => self.member.credential_version,
        }
    }

    /// Decides what the change does to the member as read.
    ///
    /// # Errors
    /// The refusal, if the member no longer meets the conditions of the change or the proof is not for it.
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        let member = &self.member;
        match &self.kind {
            Kind::PasswordChanged { hash, proof } => {
                if proof.credential_version != member.credential_version {
                    return Err(Error::InvalidToken);
                }
                Ok(self.password(Action::PasswordChanged, hash).resetting(&proof.failures))
            }
            Kind::PasswordChangedByMessage { hash, proof, old } => {
                is_for(Purpose::ChangePassword, proof.binding.purpose)?;
                member.require_own(&proof.binding.destination)?;
                let plan = self.password(Action::PasswordChangedByMessage, hash);
                let plan = Plan { consumes: Some(Consumed::Code(proof)), ..plan };
                Ok(old.iter().fold(plan, |plan, old| plan.resetting(&old.failures)))
            }
            Kind::PasswordRecovered { hash, proof } => {
                if !member.owns(&proof.destination) {
                    return Err(Error::NotValid(Field::Verification));
                }
                let plan = self.password(Action::PasswordRecovered, hash).cooling_off();
                Ok(Plan { consumes: Some(Consumed::Grant(proof)), ..plan })
            }
            Kind::PhoneBound { proof, reauthenticated } => {
                is_for(Purpose::BindPhone, proof.binding.purpose)?;
                if !member.would_replace(&proof.binding.destination) {
                    return Ok(self.bound(Action::PhoneBound, proof));
                }
                let plan = self.bound(Action::PhoneReplaced, proof).cooling_off();
                match reauthenticated {
                    None => Err(Error::ReauthenticationRequired),
                    Some(Reauthenticated::ByLogin) => Ok(plan),
                    Some(Reauthenticated::ByPassword(VerifiedPassword { rehashed, failures, .. })) => {
                        let mut plan = plan.resetting(failures);
                        plan.writes.password = rehashed.as_ref();
                        Ok(plan)
                    }
                }
            }
            Kind::EmailBound { proof } => {
                is_for(Purpose::BindMail, proof.binding.purpose)?;
                let replaces = member.would_replace(&proof.binding.destination);
                Ok(self.bound(if replaces { Action::EmailReplaced } else { Action::EmailBound }, proof))
            }
            Kind::PayPasswordSet { hash } => {
                member.require_no_pay_password()?;
                Ok(self.pay_password(Action::PayPasswordSet, Some(hash)))
            }
            Kind::PayPasswordChanged { hash, proof } => {
                if member.pay_password.as_ref().is_none_or(|current| current.as_str() != proof.hash.as_str())
                {
                    return Err(Error::NotValid(Field::OldPassword));
                }
                Ok(self.pay_password(Action::PayPasswordChanged, Some(hash)).resetting(&proof.failures))
            }
            Kind::PayPasswordReset { hash, proof, failures, cooling_off_seconds } => {
                is_for(Purpose::ResetPayPassword, proof.purpose())?;
                if proof.member() != member.id {
                    return Err(Error::NotValid(Field::Verification));
                }
                member.require_own(proof.destination())?;
                member.require_cooled_off(*cooling_off_seconds)?;
                let plan = self.pay_password(Action::PayPasswordReset, hash.as_ref()).resetting(failures);
                let consumed = match proof {
                    Possession::ByCode(code) => Consumed::Code(code),
                    Possession::ByGrant(grant) => Consumed::Grant(grant),
                };
                Ok(Plan { consumes: Some(consumed), ..plan })
            }
        }
    }

    fn plan_of(&self, action: Action) -> Plan<'_> {
        Plan {
            member: &self.member,
            action,
            writes: Writes::default(),
            binds: None,
            consumes: None,
            resets: None,
            notifies: self.member.destinations(),
        }
    }

    fn password<'a>(&'a self, action: Action, hash: &'a PasswordHash) -> Plan<'a> {
        let credential_version = Some(self.credential_version());
        let writes = Writes { credential_version, password: Some(hash), ..Writes::default() };
        Plan { writes, ..self.plan_of(action) }
    }

    fn pay_password<'a>(&'a self, action: Action, hash: Option<&'a PasswordHash>) -> Plan<'a> {
        let writes = Writes { pay_password: Some(hash), ..Writes::default() };
        Plan { writes, ..self.plan_of(action) }
    }

    fn bound<'a>(&'a self, action: Action, proof: &'a VerifiedCode) -> Plan<'a> {
        let destination = &proof.binding.destination;
        let mut plan = self.plan_of(action);
        // Notices go to every address that the member had before the change or has after it.
        if !plan.notifies.contains(destination) {
            plan.notifies.push(destination.clone());
        }
        Plan { binds: Some(destination), consumes: Some(Consumed::Code(proof)), ..plan }
    }
}

/// Fails if a handler took a proof of another purpose.
fn is_for(expected: Purpose, proven: Purpose) -> Result<(), Error> {
    if proven == expected {
        Ok(())
    } else {
        Err(Error::internal("the proof of a change has another purpose"))
    }
}

/// The effects of a change, which its transaction commits together.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// The member as read.
    pub(crate) member: &'a Member,
    /// The action of the audit record and the notices.
    pub(crate) action: Action,
    /// The member's attributes that it writes.
    pub(crate) writes: Writes<'a>,
    /// The phone or address that it binds, and so claims for the member.
    pub(crate) binds: Option<&'a Destination>,
    /// The proof that it consumes.
    pub(crate) consumes: Option<Consumed<'a>>,
    /// The row of failures that it ends.
    pub(crate) resets: Option<&'a Counter>,
    /// The destinations of its notices.
    pub(crate) notifies: Vec<Destination>,
}

/// The member's attributes that a change writes.
#[derive(Debug, Default)]
pub(crate) struct Writes<'a> {
    pub(crate) credential_version: Option<u64>,
    pub(crate) password: Option<&'a PasswordHash>,
    /// A pay password to set, or `Some(None)` to remove it.
    pub(crate) pay_password: Option<Option<&'a PasswordHash>>,
    pub(crate) cooling_since: Option<Timestamp>,
}

/// A proof that is valid once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Consumed<'a> {
    Code(&'a VerifiedCode),
    Grant(&'a ValidGrant),
}

impl<'a> Plan<'a> {
    fn resetting(self, failures: &'a Counter) -> Self {
        Self { resets: Some(failures), ..self }
    }

    /// Begins the cooling-off period, because the caller may have taken the account over.
    fn cooling_off(mut self) -> Self {
        self.writes.cooling_since = Some(Timestamp::now());
        self
    }
}
