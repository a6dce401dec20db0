//! The changes of a member's credentials. A change takes its proof by value, so a change without a proof does not
//! compile.
//!
//! Only [`Change::plan`] decides the effects of a change: its action, the attributes that it writes, the
//! cooling-off period, the proof that it consumes, and its notices. If another request modifies the member first,
//! the member is read again and the plan is repeated.

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

/// A change of a member's credentials, with its proof.
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
    /// Changes the login password, with the old one as proof. Ends every session except the one that the reply
    /// renews.
    pub fn password_changed(member: &Member, hash: PasswordHash, proof: VerifiedPassword) -> Self {
        Self::new(member, Kind::PasswordChanged { hash, proof })
    }

    /// Changes the login password, with a code that was sent to the member's own phone as proof. The request may
    /// contain the old password as well. Ends every session except the one that the reply renews.
    pub fn password_changed_by_message(
        member: &Member,
        hash: PasswordHash,
        proof: VerifiedCode,
        old: Option<VerifiedPassword>,
    ) -> Self {
        Self::new(member, Kind::PasswordChangedByMessage { hash, proof, old })
    }

    /// Replaces a forgotten login password, with a grant as proof. Ends every session and begins a cooling-off
    /// period.
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

    /// Binds the email address that the code was sent to. If the address replaces another, `send-mail` has required
    /// reauthentication before it sent the code.
    pub fn email_bound(member: &Member, proof: VerifiedCode) -> Self {
        Self::new(member, Kind::EmailBound { proof })
    }

    /// Sets the first pay password, with the session as proof.
    pub fn pay_password_set(member: &Member, hash: PasswordHash, _: &Session) -> Self {
        Self::new(member, Kind::PayPasswordSet { hash })
    }

    /// Changes the pay password, with the old one as proof.
    pub fn pay_password_changed(member: &Member, hash: PasswordHash, proof: VerifiedPayPassword) -> Self {
        Self::new(member, Kind::PayPasswordChanged { hash, proof })
    }

    /// Removes the pay password, or replaces it with `hash`. Ends its lockout by resetting the counter `failures`.
    /// Fails during a cooling-off period of `cooling_off_seconds`.
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

    /// Decides the effects of the change on the member as read.
    ///
    /// # Errors
    /// The refusal, if the member no longer meets the conditions of the change, or the proof is for another member
    /// or purpose.
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        let member = &self.member;
        match &self.kind {
            Kind::PasswordChanged { hash, proof } => {
                if proof.credential_version != member.credential_version {
                    return Err(Error::InvalidToken);
                }
                Ok(self.password_plan(Action::PasswordChanged, hash).resetting(&proof.failures))
            }
            Kind::PasswordChangedByMessage { hash, proof, old } => {
                require_purpose(Purpose::ChangePassword, proof.binding.purpose)?;
                member.require_own(&proof.binding.destination)?;
                let plan = self.password_plan(Action::PasswordChangedByMessage, hash);
                let plan = Plan { consumes: Some(Consumed::Code(proof)), ..plan };
                Ok(old.iter().fold(plan, |plan, old| plan.resetting(&old.failures)))
            }
            Kind::PasswordRecovered { hash, proof } => {
                if !member.owns(&proof.destination) {
                    return Err(Error::NotValid(Field::Verification));
                }
                let plan = self.password_plan(Action::PasswordRecovered, hash).cooling_off();
                Ok(Plan { consumes: Some(Consumed::Grant(proof)), ..plan })
            }
            Kind::PhoneBound { proof, reauthenticated } => {
                require_purpose(Purpose::BindPhone, proof.binding.purpose)?;
                if !member.would_replace(&proof.binding.destination) {
                    return Ok(self.binding_plan(Action::PhoneBound, proof));
                }
                let plan = self.binding_plan(Action::PhoneReplaced, proof).cooling_off();
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
                require_purpose(Purpose::BindMail, proof.binding.purpose)?;
                let replaces = member.would_replace(&proof.binding.destination);
                Ok(self
                    .binding_plan(if replaces { Action::EmailReplaced } else { Action::EmailBound }, proof))
            }
            Kind::PayPasswordSet { hash } => {
                member.require_no_pay_password()?;
                Ok(self.pay_password_plan(Action::PayPasswordSet, Some(hash)))
            }
            Kind::PayPasswordChanged { hash, proof } => {
                if member.pay_password.as_ref().is_none_or(|current| current.as_str() != proof.hash.as_str())
                {
                    return Err(Error::NotValid(Field::OldPassword));
                }
                Ok(self.pay_password_plan(Action::PayPasswordChanged, Some(hash)).resetting(&proof.failures))
            }
            Kind::PayPasswordReset { hash, proof, failures, cooling_off_seconds } => {
                require_purpose(Purpose::ResetPayPassword, proof.purpose())?;
                if proof.member() != member.id {
                    return Err(Error::NotValid(Field::Verification));
                }
                member.require_own(proof.destination())?;
                member.require_cooled_off(*cooling_off_seconds)?;
                let plan =
                    self.pay_password_plan(Action::PayPasswordReset, hash.as_ref()).resetting(failures);
                let consumed = match proof {
                    Possession::ByCode(code) => Consumed::Code(code),
                    Possession::ByGrant(grant) => Consumed::Grant(grant),
                };
                Ok(Plan { consumes: Some(consumed), ..plan })
            }
        }
    }

    fn base_plan(&self, action: Action) -> Plan<'_> {
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

    fn password_plan<'a>(&'a self, action: Action, hash: &'a PasswordHash) -> Plan<'a> {
        let credential_version = Some(self.credential_version());
        let writes = Writes { credential_version, password: Some(hash), ..Writes::default() };
        Plan { writes, ..self.base_plan(action) }
    }

    fn pay_password_plan<'a>(&'a self, action: Action, hash: Option<&'a PasswordHash>) -> Plan<'a> {
        let writes = Writes { pay_password: Some(hash), ..Writes::default() };
        Plan { writes, ..self.base_plan(action) }
    }

    fn binding_plan<'a>(&'a self, action: Action, proof: &'a VerifiedCode) -> Plan<'a> {
        let destination = &proof.binding.destination;
        let mut plan = self.base_plan(action);
        // Notices go to every address that the member had before the change or has after it.
        if !plan.notifies.contains(destination) {
            plan.notifies.push(destination.clone());
        }
        Plan { binds: Some(destination), consumes: Some(Consumed::Code(proof)), ..plan }
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
    /// The member's attributes that it writes.
    pub(crate) writes: Writes<'a>,
    /// The phone or email address that becomes the member's own.
    pub(crate) binds: Option<&'a Destination>,
    /// The code or grant that it consumes.
    pub(crate) consumes: Option<Consumed<'a>>,
    /// The counter of failures that it resets.
    pub(crate) resets: Option<&'a Counter>,
    /// The destinations of its notices.
    pub(crate) notifies: Vec<Destination>,
}

/// The member's attributes that a change writes.
#[derive(Debug, Default)]
pub(crate) struct Writes<'a> {
    pub(crate) credential_version: Option<u64>,
    pub(crate) password: Option<&'a PasswordHash>,
    /// The pay password: `None` to leave it, `Some(None)` to remove it, `Some(Some(hash))` to set it.
    #[expect(clippy::option_option, reason = "the attribute is left, removed or set")]
    pub(crate) pay_password: Option<Option<&'a PasswordHash>>,
    pub(crate) cooling_since: Option<Timestamp>,
}

/// A proof that a change consumes, so that it is valid only once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Consumed<'a> {
    Code(&'a VerifiedCode),
    Grant(&'a ValidGrant),
}

impl<'a> Plan<'a> {
    fn resetting(self, failures: &'a Counter) -> Self {
        Self { resets: Some(failures), ..self }
    }

    /// Begins a cooling-off period, in case the caller has taken the account over.
    fn cooling_off(mut self) -> Self {
        self.writes.cooling_since = Some(Timestamp::now());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contact::Phone,
        domain::{
            code::{Binding, CodeMac, FlowId},
            keys::tests::two_keys,
            member::MemberId,
        },
    };

    const LI: MemberId = MemberId(uuid::uuid!("6f1a6e4c-5a0e-4a7a-9a39-1d3a5f0f6c11"));
    const LEI: MemberId = MemberId(uuid::uuid!("0b6f3a52-7a53-4f0e-8d43-52f5a8a7b1c9"));
    const OWN: &str = "13627140483";
    const OTHER: &str = "13800138000";
    const COOLING_OFF_SECONDS: u64 = 86_400;

    fn phone(national: &str) -> Destination {
        Destination::of_parts("86", national)
    }

    fn email(address: &str) -> Destination {
        Destination::of_address(address)
    }

    fn hash(text: &str) -> PasswordHash {
        serde_json::from_value(text.into()).unwrap()
    }

    /// Returns a member with a phone, an email address and both passwords, at credential version 3.
    fn member() -> Member {
        Member {
            id: LI,
            credential_version: 3,
            revision: 1,
            phone: Some(serde_json::from_value::<Phone>(format!("+86{OWN}").into()).unwrap()),
            email: Some("li@example.com".parse().unwrap()),
            password: Some(hash("password")),
            pay_password: Some(hash("pay password")),
            cooling_since: None,
            language: None,
            created_at: Timestamp(0),
        }
    }

    fn failures() -> Counter {
        Counter::of_pay_passwords(LI, 5, 60)
    }

    fn password_at(credential_version: u64) -> VerifiedPassword {
        VerifiedPassword { credential_version, failures: failures(), rehashed: Some(hash("rehashed")) }
    }

    fn code(purpose: Purpose, destination: Destination) -> VerifiedCode {
        VerifiedCode {
            binding: Binding { destination, purpose, flow: FlowId::draw().unwrap() },
            member: LI,
            sent_at: Timestamp(0),
            mac: CodeMac::absent(&two_keys()),
            failures: failures(),
        }
    }

    fn grant(member: MemberId, purpose: Purpose, destination: Destination) -> ValidGrant {
        ValidGrant { member, destination, purpose, hash: "hash".to_owned() }
    }

    fn refusal(change: &Change) -> String {
        change.plan().unwrap_err().symbol().into_owned()
    }

    #[test]
    fn password_change_refuses_another_credential_version() {
        let changed = |version| Change::password_changed(&member(), hash("new"), password_at(version));
        assert_eq!(refusal(&changed(2)), "INVALID_TOKEN");
        let change = changed(3);
        let plan = change.plan().unwrap();
        assert_eq!((plan.action, plan.writes.credential_version), (Action::PasswordChanged, Some(4)));
        assert_eq!(plan.writes.cooling_since, None);
        assert_eq!(plan.resets, Some(&failures()));
        assert_eq!(plan.notifies, [phone(OWN), email("li@example.com")]);
    }

    #[test]
    fn password_change_by_message_requires_the_own_phone() {
        let changed = |destination| {
            let proof = code(Purpose::ChangePassword, destination);
            Change::password_changed_by_message(&member(), hash("new"), proof, None)
        };
        let change = changed(phone(OWN));
        let plan = change.plan().unwrap();
        assert_eq!(plan.writes.credential_version, Some(4));
        assert!(matches!(plan.consumes, Some(Consumed::Code(_))));
        assert_eq!(refusal(&changed(phone(OTHER))), "USER_PHONE_NOT_MATCH");
    }

    #[test]
    fn recovery_begins_cooling_off_and_notifies_every_address() {
        let recovered = |destination| {
            let proof = grant(LI, Purpose::RecoverPassword, destination);
            Change::password_recovered(&member(), hash("new"), proof)
        };
        let change = recovered(email("li@example.com"));
        let plan = change.plan().unwrap();
        assert_eq!((plan.action, plan.writes.credential_version), (Action::PasswordRecovered, Some(4)));
        assert!(plan.writes.cooling_since.is_some());
        assert!(matches!(plan.consumes, Some(Consumed::Grant(_))));
        assert_eq!(plan.notifies, [phone(OWN), email("li@example.com")]);
        assert_eq!(refusal(&recovered(phone(OTHER))), "{VERIFICATION}_NOT_VALID");
    }

    #[test]
    fn phone_replacement_requires_reauthentication() {
        let bound = |national, proof| {
            Change::phone_bound(&member(), code(Purpose::BindPhone, phone(national)), proof)
        };
        assert_eq!(refusal(&bound(OTHER, None)), "REAUTHENTICATION_REQUIRED");
        for (proof, rehashed) in [
            (Reauthenticated::ByLogin, None),
            (Reauthenticated::ByPassword(password_at(3)), Some("rehashed")),
        ] {
            let change = bound(OTHER, Some(proof));
            let plan = change.plan().unwrap();
            assert_eq!((plan.action, plan.binds), (Action::PhoneReplaced, Some(&phone(OTHER))));
            assert!(plan.writes.cooling_since.is_some());
            assert_eq!(plan.writes.password.map(PasswordHash::as_str), rehashed);
            assert_eq!(plan.notifies, [phone(OWN), email("li@example.com"), phone(OTHER)]);
        }
    }

    #[test]
    fn binding_without_replacement_begins_no_cooling_off() {
        for member in [member(), Member { phone: None, ..member() }] {
            let change = Change::phone_bound(&member, code(Purpose::BindPhone, phone(OWN)), None);
            let plan = change.plan().unwrap();
            assert_eq!((plan.action, plan.binds), (Action::PhoneBound, Some(&phone(OWN))));
            assert_eq!(plan.writes.cooling_since, None);
            assert!(plan.notifies.contains(&phone(OWN)) && plan.notifies.len() == 2);
        }
    }

    #[test]
    fn email_action_depends_on_the_bound_address() {
        for (bound, action, notices) in [
            (None, Action::EmailBound, 2),
            (Some("new@example.com"), Action::EmailBound, 2),
            (Some("li@example.com"), Action::EmailReplaced, 3),
        ] {
            let member = Member { email: bound.map(|address| address.parse().unwrap()), ..member() };
            let change = Change::email_bound(&member, code(Purpose::BindMail, email("new@example.com")));
            let plan = change.plan().unwrap();
            assert_eq!((plan.action, plan.notifies.len()), (action, notices), "{bound:?}");
        }
    }

    #[test]
    fn pay_password_change_refuses_a_changed_hash() {
        let changed = |verified| {
            let proof = VerifiedPayPassword { hash: hash(verified), failures: failures() };
            Change::pay_password_changed(&member(), hash("new"), proof)
        };
        assert_eq!(changed("pay password").plan().unwrap().action, Action::PayPasswordChanged);
        assert_eq!(refusal(&changed("another")), "{OLD_PASSWORD}_NOT_VALID");
        let removed = changed("pay password").on(Member { pay_password: None, ..member() });
        assert_eq!(refusal(&removed), "{OLD_PASSWORD}_NOT_VALID");
    }

    #[test]
    fn reset_refuses_cooling_off_and_foreign_proofs() {
        let reset = |member: &Member, proof| {
            Change::pay_password_reset(member, None, proof, failures(), COOLING_OFF_SECONDS)
        };
        let granted =
            |holder, national| Possession::ByGrant(grant(holder, Purpose::ResetPayPassword, phone(national)));
        let since =
            |seconds| Member { cooling_since: Some(Timestamp(Timestamp::now().0 - seconds)), ..member() };
        for (member, proof, refused) in [
            (member(), granted(LEI, OWN), "{VERIFICATION}_NOT_VALID"),
            (member(), granted(LI, OTHER), "USER_PHONE_NOT_MATCH"),
            (since(COOLING_OFF_SECONDS - 60), granted(LI, OWN), "COOLING_OFF"),
        ] {
            assert_eq!(refusal(&reset(&member, proof)), refused);
        }
        let change = reset(&since(COOLING_OFF_SECONDS), granted(LI, OWN));
        let plan = change.plan().unwrap();
        assert!(matches!(plan.writes.pay_password, Some(None)), "the reset removes the pay password");
        assert_eq!(plan.resets, Some(&failures()));
    }

    #[test]
    fn proof_of_another_purpose_is_refused() {
        let recovery = |destination| code(Purpose::RecoverPassword, destination);
        for change in [
            Change::password_changed_by_message(&member(), hash("new"), recovery(phone(OWN)), None),
            Change::phone_bound(&member(), recovery(phone(OWN)), None),
            Change::email_bound(&member(), recovery(email("li@example.com"))),
            Change::pay_password_reset(
                &member(),
                None,
                Possession::ByCode(recovery(phone(OWN))),
                failures(),
                COOLING_OFF_SECONDS,
            ),
        ] {
            assert_eq!(refusal(&change), "INTERNAL_SERVER_ERROR", "{change:?}");
        }
    }
}
