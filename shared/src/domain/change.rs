//! The changes of a member's credentials. A change takes its proof by value, so a change without a proof does not
//! compile.
//!
//! Only [`Change::plan`] decides the effects of a change: its action, the attributes that it writes, the
//! cooling-off period, the proof that it consumes, and its notices. If another request modifies the member first,
//! the member is read again and the plan is repeated.

mod rules;

pub use rules::ChangeRules;

use super::{
    audit::Action,
    code::Purpose,
    counter::{Counter, PayPasswordFailures},
    member::{Frozen, Member},
    password::PasswordHash,
    proof::{
        ClosingProof, IssuedProof, Possession, Reauthenticated, ValidGrant, ValidReport, VerifiedCode,
        VerifiedPassword, VerifiedPayPassword,
    },
    report::ReportableChange,
    session::Session,
};
use crate::{
    clock::Timestamp,
    contact::Destination,
    error::{Error, Field},
};

/// A change of a member's credentials, with its proof.
#[derive(Debug)]
#[must_use = "a change takes effect when `App::commit` commits it"]
pub struct Change {
    member: Member,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    PasswordChanged { hash: PasswordHash, proof: VerifiedPassword },
    PasswordChangedByMessage { hash: PasswordHash, proof: VerifiedCode },
    PasswordRecovered { hash: PasswordHash, proof: ValidGrant },
    PhoneBound { proof: VerifiedCode, reauthenticated: Option<Reauthenticated> },
    EmailBound { proof: VerifiedCode },
    PayPasswordSet { hash: PasswordHash, reauthenticated: Option<Reauthenticated> },
    PayPasswordChanged { hash: PasswordHash, proof: VerifiedPayPassword },
    PayPasswordReset { hash: Option<PasswordHash>, proof: Possession, failures: PayPasswordFailures },
    Reported { proof: ValidReport },
    Closed { proof: Option<ClosingProof> },
}

impl Change {
    /// Changes the login password, with the old one as proof. Ends every session except the one that the reply
    /// renews.
    pub fn password_changed(member: &Member, hash: PasswordHash, proof: VerifiedPassword) -> Self {
        Self::new(member, Kind::PasswordChanged { hash, proof })
    }

    /// Changes the login password, with a code that was sent to the member's own phone as proof. The request may
    /// contain the old password as well. Ends every session except the one that the reply renews.
    pub fn password_changed_by_message(member: &Member, hash: PasswordHash, proof: VerifiedCode) -> Self {
        Self::new(member, Kind::PasswordChangedByMessage { hash, proof })
    }

    /// Replaces a forgotten login password, with a grant as proof. Ends every session and begins a cooling-off
    /// period.
    pub fn password_recovered(member: &Member, hash: PasswordHash, proof: ValidGrant) -> Self {
        Self::new(member, Kind::PasswordRecovered { hash, proof })
    }

    /// Binds the phone that the code was sent to. Replacing another phone requires a reauthentication and begins a
    /// cooling-off period. Without a reauthentication, the first phone of a member with a password is immature.
    pub fn phone_bound(
        member: &Member,
        proof: VerifiedCode,
        reauthenticated: Option<Reauthenticated>,
    ) -> Self {
        Self::new(member, Kind::PhoneBound { proof, reauthenticated })
    }

    /// Binds the email address that the code was sent to. Replacing another address requires that the member
    /// reauthenticated when requesting the code. Otherwise the first address of a member with a password is immature.
    pub fn email_bound(member: &Member, proof: VerifiedCode) -> Self {
        Self::new(member, Kind::EmailBound { proof })
    }

    /// Sets the first pay password, with the session as proof. If the member has a login password, this begins a
    /// cooling-off period unless the member reauthenticated.
    pub fn pay_password_set(
        member: &Member,
        hash: PasswordHash,
        _: &Session,
        reauthenticated: Option<Reauthenticated>,
    ) -> Self {
        Self::new(member, Kind::PayPasswordSet { hash, reauthenticated })
    }

    /// Changes the pay password, with the old one as proof.
    pub fn pay_password_changed(member: &Member, hash: PasswordHash, proof: VerifiedPayPassword) -> Self {
        Self::new(member, Kind::PayPasswordChanged { hash, proof })
    }

    /// Removes the pay password, or replaces it with `hash`. Ends its lockouts by resetting the counters `failures`.
    /// Fails during a cooling-off period, and while the phone is immature.
    pub fn pay_password_reset(
        member: &Member,
        hash: Option<PasswordHash>,
        proof: Possession,
        failures: PayPasswordFailures,
    ) -> Self {
        Self::new(member, Kind::PayPasswordReset { hash, proof, failures })
    }

    /// Reports a change that another person made, with the link in its notice as proof. Ends every session, freezes the
    /// member until a recovery through the address that got the link, and binds the contacts again that were replaced
    /// since the link was sent, unless they belong to another member.
    pub fn reported(member: &Member, proof: ValidReport) -> Self {
        Self::new(member, Kind::Reported { proof })
    }

    /// Closes the account: deletes the member and everything that belongs to it, and leaves a tombstone. Only a member
    /// with neither a login password nor a phone nor an email address does so with the session as the only proof.
    pub fn closed(member: &Member, _: &Session, proof: Option<ClosingProof>) -> Self {
        Self::new(member, Kind::Closed { proof })
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
            | Kind::PasswordRecovered { .. }
            | Kind::Reported { .. } => self.member.credential_version + 1,
            Kind::PhoneBound { .. }
            | Kind::EmailBound { .. }
            | Kind::PayPasswordSet { .. }
            | Kind::PayPasswordChanged { .. }
            | Kind::PayPasswordReset { .. }
            | Kind::Closed { .. } => self.member.credential_version,
        }
    }

    /// Decides the effects of the change on the member as read.
    ///
    /// A recovery is exempt from the limit of changes per hour: an attacker who used it up must not keep the member from
    /// recovering the account. Its codes limit it.
    ///
    /// # Errors
    /// The refusal, if the member no longer meets the conditions of the change, the proof is for another member or
    /// purpose, or the rules do not allow the change yet.
    pub(crate) fn plan(&self, rules: &ChangeRules) -> Result<Plan<'_>, Error> {
        let member = &self.member;
        self.require_not_frozen()?;
        if !matches!(self.kind, Kind::PasswordRecovered { .. } | Kind::Reported { .. }) {
            rules.require_changeable(member)?;
        }
        match &self.kind {
            Kind::PasswordChanged { hash, proof } => {
                proof.require_current(member)?;
                Ok(self.password_plan(Action::PasswordChanged, hash).resetting([&proof.failures]))
            }
            Kind::PasswordChangedByMessage { hash, proof } => {
                require_purpose(Purpose::ChangePassword, proof.binding.purpose)?;
                member.require_own(&proof.binding.destination)?;
                proof.require_basis(member)?;
                rules.require_mature(member, &proof.binding.destination)?;
                let plan = self.password_plan(Action::PasswordChangedByMessage, hash);
                Ok(Plan { consumes: Some(Consumed::Code(proof)), ..plan })
            }
            Kind::PasswordRecovered { hash, proof } => {
                proof.require_basis(member)?;
                // The refusal does not disclose that the contact is a member's: no code was sent to it.
                rules
                    .require_mature(member, &proof.destination)
                    .map_err(|_| Error::NotValid(Field::Verification))?;
                let plan = self.password_plan(Action::PasswordRecovered, hash).cooling_off();
                let freeze = if member.frozen.is_some() { Freeze::Ends } else { Freeze::Unchanged };
                Ok(Plan { consumes: Some(Consumed::Grant(proof)), freeze, ..plan })
            }
            Kind::PhoneBound { proof, reauthenticated } => {
                require_purpose(Purpose::BindPhone, proof.binding.purpose)?;
                let actions = [Action::PhoneBound, Action::PhoneReplaced];
                let plan = self.binding_plan(actions, proof, reauthenticated.is_some())?;
                let plan = plan.rehashing(reauthenticated.as_ref());
                Ok(if plan.action == Action::PhoneReplaced { plan.cooling_off() } else { plan })
            }
            Kind::EmailBound { proof } => {
                require_purpose(Purpose::BindMail, proof.binding.purpose)?;
                let actions = [Action::EmailBound, Action::EmailReplaced];
                self.binding_plan(actions, proof, proof.reauthenticated)
            }
            Kind::PayPasswordSet { hash, reauthenticated } => {
                member.require_no_pay_password()?;
                let plan = self.pay_password_plan(Action::PayPasswordSet, Some(hash));
                Ok(match reauthenticated {
                    None if member.password.is_some() => plan.cooling_off(),
                    _ => plan.rehashing(reauthenticated.as_ref()),
                })
            }
            Kind::PayPasswordChanged { hash, proof } => {
                if member.pay_password.as_ref().is_none_or(|current| current.as_str() != proof.hash.as_str())
                {
                    return Err(Error::NotValid(Field::OldPassword));
                }
                let plan = self.pay_password_plan(Action::PayPasswordChanged, Some(hash));
                let PayPasswordFailures { row, day } = &proof.failures;
                Ok(Plan { takes_back: Some(day), ..plan.resetting([row]) })
            }
            Kind::PayPasswordReset { hash, proof, failures } => {
                require_purpose(Purpose::ResetPayPassword, proof.purpose())?;
                if proof.member() != member.id {
                    return Err(Error::NotValid(Field::Verification));
                }
                member.require_own(proof.destination())?;
                rules.require_pay_reset_allowed(member, proof.destination())?;
                let plan = self.pay_password_plan(Action::PayPasswordReset, hash.as_ref());
                let plan = plan.resetting([&failures.row, &failures.day]);
                proof.require_basis(member)?;
                let consumed = match proof {
                    Possession::ByCode(code) => Consumed::Code(code),
                    Possession::ByGrant(grant) => Consumed::Grant(grant),
                };
                Ok(Plan { consumes: Some(consumed), ..plan })
            }
            Kind::Reported { proof } => self.report_plan(proof),
            Kind::Closed { proof } => self.closing_plan(proof.as_ref(), rules),
        }
    }

    /// Fails if the member is frozen, unless the change is a report or the recovery that lifts the freeze.
    fn require_not_frozen(&self) -> Result<(), Error> {
        let through = self.member.frozen.as_ref().map(|frozen| &frozen.through);
        match &self.kind {
            Kind::Reported { .. } => Ok(()),
            Kind::PasswordRecovered { proof, .. } if through == Some(&proof.destination) => Ok(()),
            _ => self.member.require_not_frozen(),
        }
    }

    fn report_plan<'a>(&'a self, proof: &'a ValidReport) -> Result<Plan<'a>, Error> {
        let (member, through) = (&self.member, &proof.change.destination);
        // The link ends if an operator replaced its address.
        let is_entitled = member.owns(through) || member.can_restore(through);
        if proof.change.member != member.id || !is_entitled {
            return Err(Error::NotValid(Field::Verification));
        }
        let plan = self.base_plan(Action::ChangeReported);
        let is_restored =
            |contact: &&Destination| member.can_restore(contact) && !proof.taken.contains(contact);
        let restores: Vec<_> = proof.change.contacts().filter(is_restored).collect();
        let mut notifies = plan.notifies;
        notifies.extend(restores.iter().copied().cloned());
        let frozen = Frozen { since: Timestamp::now(), through: through.clone() };
        let credential_version = Some(self.credential_version());
        Ok(Plan {
            writes: Writes { credential_version, ..Writes::default() },
            restores,
            freeze: Freeze::Begins(frozen),
            consumes: Some(Consumed::Report(proof)),
            notifies,
            ..plan
        })
    }

    fn closing_plan<'a>(
        &'a self,
        proof: Option<&'a ClosingProof>,
        rules: &ChangeRules,
    ) -> Result<Plan<'a>, Error> {
        let (member, plan) = (&self.member, self.base_plan(Action::Closed));
        match proof {
            None => {
                member.require_no_other_proof()?;
                Ok(plan)
            }
            Some(ClosingProof::ByPassword(proof)) => {
                proof.require_current(member)?;
                Ok(plan.resetting([&proof.failures]))
            }
            Some(ClosingProof::ByCode(proof)) => {
                require_purpose(Purpose::CloseAccount, proof.binding.purpose)?;
                member.require_own(&proof.binding.destination)?;
                proof.require_basis(member)?;
                rules.require_mature(member, &proof.binding.destination)?;
                Ok(Plan { consumes: Some(Consumed::Code(proof)), ..plan })
            }
        }
    }

    fn base_plan(&self, action: Action) -> Plan<'_> {
        Plan {
            member: &self.member,
            action,
            changed_at: rules::with_another_change(&self.member),
            writes: Writes::default(),
            binds: None,
            restores: Vec::new(),
            freeze: Freeze::Unchanged,
            consumes: None,
            resets: Vec::new(),
            takes_back: None,
            notifies: self.member.destinations(),
        }
    }

    fn password_plan<'a>(&'a self, action: Action, hash: &'a PasswordHash) -> Plan<'a> {
        let credential_version = Some(self.credential_version());
        let writes = Writes { credential_version, password: Some(hash), ..Writes::default() };
        Plan { writes, ..self.base_plan(action) }
    }

    fn pay_password_plan<'a>(&'a self, action: Action, hash: Option<&'a PasswordHash>) -> Plan<'a> {
        let writes = Writes { pay_password: Some(hash), ..Writes::default() };
        Plan { writes, ..self.base_plan(action) }
    }

    /// Plans a bind. Of the two actions, the second one is that of a bind that replaces another contact.
    fn binding_plan<'a>(
        &'a self,
        [bound, replaced]: [Action; 2],
        proof: &'a VerifiedCode,
        is_reauthenticated: bool,
    ) -> Result<Plan<'a>, Error> {
        let (member, destination) = (&self.member, &proof.binding.destination);
        proof.require_basis(member)?;
        member.require_bindable(destination, is_reauthenticated)?;
        let mut plan = self.base_plan(if member.would_replace(destination) { replaced } else { bound });
        plan.writes.maturity = if is_reauthenticated {
            Maturity::Mature
        } else if member.owns(destination) {
            Maturity::Unchanged
        } else if member.has_password() {
            Maturity::ImmatureSince(Timestamp::now())
        } else {
            Maturity::Mature
        };
        // Notices go to every address that the member had before the change or has after it.
        if !plan.notifies.contains(destination) {
            plan.notifies.push(destination.clone());
        }
        Ok(Plan { binds: Some(destination), consumes: Some(Consumed::Code(proof)), ..plan })
    }
}

/// Fails if a handler passed a proof of another purpose.
fn require_purpose(expected: Purpose, proven: Purpose) -> Result<(), Error> {
    if proven == expected {
        Ok(())
    } else {
        Err(Error::internal("the change's proof is for another purpose"))
    }
}

/// The effects of a change, which its transaction commits together.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// The member as read.
    pub(crate) member: &'a Member,
    /// The action of the audit record and the notices.
    pub(crate) action: Action,
    /// The times of the changes in the last hour, with this one.
    pub(crate) changed_at: Vec<Timestamp>,
    /// The member's attributes that only some changes write.
    pub(crate) writes: Writes<'a>,
    /// The phone or email address that becomes the member's own.
    pub(crate) binds: Option<&'a Destination>,
    /// The former contacts that become the member's own again.
    pub(crate) restores: Vec<&'a Destination>,
    /// Its effect on the freeze.
    pub(crate) freeze: Freeze,
    /// The code, grant or report that it consumes.
    pub(crate) consumes: Option<Consumed<'a>>,
    /// The counters of failures that it resets.
    pub(crate) resets: Vec<&'a Counter>,
    /// The counter of failures that it takes its own attempt out of.
    pub(crate) takes_back: Option<&'a Counter>,
    /// The destinations of its notices.
    pub(crate) notifies: Vec<Destination>,
}

/// The member's attributes that only some changes write.
#[derive(Debug, Default)]
pub(crate) struct Writes<'a> {
    pub(crate) credential_version: Option<u64>,
    pub(crate) password: Option<&'a PasswordHash>,
    /// The pay password: `None` to leave it, `Some(None)` to remove it, `Some(Some(hash))` to set it.
    #[expect(clippy::option_option, reason = "the attribute is left, removed or set")]
    pub(crate) pay_password: Option<Option<&'a PasswordHash>>,
    /// The maturity of the contact that is bound.
    pub(crate) maturity: Maturity,
    pub(crate) cooling_since: Option<Timestamp>,
}

/// The maturity of a contact after a bind. An immature contact resets nothing yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Maturity {
    /// The same as before.
    #[default]
    Unchanged,
    Mature,
    ImmatureSince(Timestamp),
}

/// A proof that a change consumes, so that it is valid only once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Consumed<'a> {
    Code(&'a VerifiedCode),
    Grant(&'a ValidGrant),
    Report(&'a ValidReport),
}

/// The effect of a change on the freeze of a member.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Freeze {
    Unchanged,
    Begins(Frozen),
    Ends,
}

impl<'a> Plan<'a> {
    /// Returns the contact that the member did not have before, whose time of binding is stored.
    pub(crate) fn new_contact(&self) -> Option<&'a Destination> {
        self.binds.filter(|destination| !self.member.owns(destination))
    }

    /// Returns what the notice of the change lets the member report, if it may have a link: it goes to the address that
    /// the member had before the change, and only if that was settled. Only a settled contact can be restored.
    pub(crate) fn reportable(&self) -> Option<ReportableChange> {
        let destination = self.member.email.clone().map(Destination::Email)?;
        let replaced = self.binds.and_then(|bound| self.member.replaced_by(bound));
        let can_be_reported = !matches!(self.action, Action::ChangeReported | Action::Closed);
        let is_reportable = can_be_reported && self.member.is_settled(&destination);
        is_reportable.then(|| ReportableChange {
            member: self.member.id,
            destination,
            replaced: replaced.filter(|replaced| self.member.is_settled(replaced)),
        })
    }

    /// Whether the change closes the account.
    pub(crate) fn closes(&self) -> bool {
        self.action == Action::Closed
    }

    /// Whether the proof ends with the member's sessions. A report is valid whatever was changed in the meantime.
    pub(crate) fn ends_with_sessions(&self) -> bool {
        !matches!(self.consumes, Some(Consumed::Report(_)))
    }

    fn resetting(self, failures: impl Into<Vec<&'a Counter>>) -> Self {
        Self { resets: failures.into(), ..self }
    }

    /// Upgrades the hash of the login password that was typed for the reauthentication.
    fn rehashing(mut self, reauthenticated: Option<&'a Reauthenticated>) -> Self {
        if let Some(Reauthenticated::ByPassword { rehashed }) = reauthenticated {
            self.writes.password = rehashed.as_ref();
        }
        self
    }

    /// Begins a cooling-off period, in case the caller has taken the account over.
    fn cooling_off(mut self) -> Self {
        self.writes.cooling_since = Some(Timestamp::now());
        self
    }
}

#[cfg(test)]
mod tests;
