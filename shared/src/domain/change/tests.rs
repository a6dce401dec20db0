use super::*;
use crate::{
    contact::Phone,
    domain::{
        basis::Basis,
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
    code_for(&member(), purpose, destination)
}

fn code_for(member: &Member, purpose: Purpose, destination: Destination) -> VerifiedCode {
    VerifiedCode {
        basis: Basis::new(member, &destination),
        binding: Binding { destination, purpose, flow: FlowId::draw().unwrap() },
        sent_at: Timestamp(0),
        mac: CodeMac::absent(&two_keys()),
        failures: failures(),
    }
}

fn grant(member: MemberId, purpose: Purpose, destination: Destination) -> ValidGrant {
    let basis = Basis { member, credential_version: 3, replaces: None };
    ValidGrant { basis, destination, purpose, hash: "hash".to_owned() }
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
        Change::password_changed_by_message(&member(), hash("new"), proof)
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
    let bound =
        |national, proof| Change::phone_bound(&member(), code(Purpose::BindPhone, phone(national)), proof);
    assert_eq!(refusal(&bound(OTHER, None)), "REAUTHENTICATION_REQUIRED");
    let by_password = Reauthenticated::ByPassword { rehashed: Some(hash("rehashed")) };
    for (proof, rehashed) in [(Reauthenticated::ByLogin, None), (by_password, Some("rehashed"))] {
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
        let proof = code_for(&member, Purpose::BindPhone, phone(OWN));
        let change = Change::phone_bound(&member, proof, None);
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
        let proof = code_for(&member, Purpose::BindMail, email("new@example.com"));
        let change = Change::email_bound(&member, proof);
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
    let since = |seconds| Member { cooling_since: Some(Timestamp(Timestamp::now().0 - seconds)), ..member() };
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
        Change::password_changed_by_message(&member(), hash("new"), recovery(phone(OWN))),
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

#[test]
fn proof_ends_with_the_state_of_its_issue() {
    let other = Member { credential_version: 4, ..member() };
    let own = |purpose| code(purpose, phone(OWN));
    for change in [
        Change::password_changed_by_message(&other, hash("new"), own(Purpose::ChangePassword)),
        Change::phone_bound(&other, own(Purpose::BindPhone), None),
        Change::email_bound(&other, code(Purpose::BindMail, email("li@example.com"))),
    ] {
        assert_eq!(refusal(&change), "{CODE}_NOT_VALID", "{change:?}");
    }
    let proof = grant(LI, Purpose::RecoverPassword, phone(OWN));
    assert_eq!(refusal(&Change::password_recovered(&other, hash("new"), proof)), "{VERIFICATION}_NOT_VALID");
    // The code was issued while the member had no address, and another one was bound since.
    let unbound = Member { email: None, ..member() };
    let proof = code_for(&unbound, Purpose::BindMail, email("new@example.com"));
    assert_eq!(refusal(&Change::email_bound(&member(), proof)), "{CODE}_NOT_VALID");
}
