use super::*;
use crate::{
    contact::Phone,
    domain::{
        basis::Basis,
        code::{Binding, CodeMac, FlowId},
        keys::tests::two_keys,
        member::MemberId,
        report::{LINK_TTL_SECONDS, ReportId},
    },
};

const LI: MemberId = MemberId(uuid::uuid!("6f1a6e4c-5a0e-4a7a-9a39-1d3a5f0f6c11"));
const LEI: MemberId = MemberId(uuid::uuid!("0b6f3a52-7a53-4f0e-8d43-52f5a8a7b1c9"));
const OWN: &str = "13627140483";
const OTHER: &str = "13800138000";
const COOLING_OFF_SECONDS: u64 = 86_400;
const RULES: ChangeRules = ChangeRules { cooling_off_seconds: COOLING_OFF_SECONDS, changes_per_hour: 3 };

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
        phone_immature_since: None,
        email_immature_since: None,
        phone_bound_at: None,
        email_bound_at: None,
        frozen: None,
        cooling_since: None,
        changed_at: Vec::new(),
        language: None,
        created_at: Timestamp(0),
    }
}

fn failures() -> Counter {
    Counter::of_passwords(LI, "0", 5, 60)
}

fn pay_password_failures() -> PayPasswordFailures {
    PayPasswordFailures {
        row: Counter::of_pay_passwords(LI, 5, 60),
        day: Counter::of_pay_passwords_in_a_day(LI, 20),
    }
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
        reauthenticated: false,
        sent_at: Timestamp(0),
        mac: CodeMac::absent(&two_keys()),
        failures: failures(),
        guesses: failures(),
    }
}

fn grant(member: MemberId, purpose: Purpose, destination: Destination) -> ValidGrant {
    let basis = Basis { member, credential_version: 3, replaces: None };
    ValidGrant { basis, destination, purpose, hash: "hash".to_owned() }
}

fn ago(seconds: u64) -> Timestamp {
    Timestamp(Timestamp::now().0 - seconds)
}

fn session() -> Session {
    let claims =
        serde_json::json!({ "sub": LI, "ver": 3, "iat": 0, "exp": 0, "auth_time": 0, "amr": ["pwd"] });
    Session { claims: serde_json::from_value(claims).unwrap(), member: None }
}

fn refusal(change: &Change) -> String {
    change.plan(&RULES).unwrap_err().symbol().into_owned()
}

#[test]
fn password_change_refuses_another_credential_version() {
    let changed = |version| Change::password_changed(&member(), hash("new"), password_at(version));
    assert_eq!(refusal(&changed(2)), "INVALID_TOKEN");
    let change = changed(3);
    let plan = change.plan(&RULES).unwrap();
    assert_eq!((plan.action, plan.writes.credential_version), (Action::PasswordChanged, Some(4)));
    assert_eq!(plan.writes.cooling_since, None);
    assert_eq!(plan.resets, [&failures()]);
    assert_eq!(plan.notifies, [phone(OWN), email("li@example.com")]);
}

#[test]
fn password_change_by_message_requires_the_own_phone() {
    let changed = |destination| {
        let proof = code(Purpose::ChangePassword, destination);
        Change::password_changed_by_message(&member(), hash("new"), proof)
    };
    let change = changed(phone(OWN));
    let plan = change.plan(&RULES).unwrap();
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
    let plan = change.plan(&RULES).unwrap();
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
        let plan = change.plan(&RULES).unwrap();
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
        let plan = change.plan(&RULES).unwrap();
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
        let proof = VerifiedCode { reauthenticated: true, ..proof };
        let change = Change::email_bound(&member, proof);
        let plan = change.plan(&RULES).unwrap();
        assert_eq!((plan.action, plan.notifies.len()), (action, notices), "{bound:?}");
    }
}

#[test]
fn pay_password_change_refuses_a_changed_hash() {
    let changed = |verified| {
        let proof = VerifiedPayPassword { hash: hash(verified), failures: pay_password_failures() };
        Change::pay_password_changed(&member(), hash("new"), proof)
    };
    let change = changed("pay password");
    let plan = change.plan(&RULES).unwrap();
    let failures = pay_password_failures();
    assert_eq!(plan.action, Action::PayPasswordChanged);
    assert_eq!((plan.resets, plan.takes_back), (vec![&failures.row], Some(&failures.day)));
    assert_eq!(refusal(&changed("another")), "{OLD_PASSWORD}_NOT_VALID");
    let removed = changed("pay password").on(Member { pay_password: None, ..member() });
    assert_eq!(refusal(&removed), "{OLD_PASSWORD}_NOT_VALID");
}

#[test]
fn reset_refuses_cooling_off_and_foreign_proofs() {
    let reset =
        |member: &Member, proof| Change::pay_password_reset(member, None, proof, pay_password_failures());
    let granted =
        |holder, national| Possession::ByGrant(grant(holder, Purpose::ResetPayPassword, phone(national)));
    let since = |seconds| Member { cooling_since: Some(ago(seconds)), ..member() };
    let immature = |seconds| Member { phone_immature_since: Some(ago(seconds)), ..member() };
    for (member, proof, refused) in [
        (member(), granted(LEI, OWN), "{VERIFICATION}_NOT_VALID"),
        (member(), granted(LI, OTHER), "USER_PHONE_NOT_MATCH"),
        (since(COOLING_OFF_SECONDS - 60), granted(LI, OWN), "COOLING_OFF"),
        (immature(COOLING_OFF_SECONDS - 60), granted(LI, OWN), "COOLING_OFF"),
    ] {
        assert_eq!(refusal(&reset(&member, proof)), refused);
    }
    let change = reset(&since(COOLING_OFF_SECONDS), granted(LI, OWN));
    let plan = change.plan(&RULES).unwrap();
    assert!(matches!(plan.writes.pay_password, Some(None)), "the reset removes the pay password");
    let failures = pay_password_failures();
    assert_eq!(plan.resets, [&failures.row, &failures.day]);
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
            pay_password_failures(),
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

#[test]
fn email_replacement_requires_a_reauthenticated_code() {
    let bound = |reauthenticated| {
        let proof = code(Purpose::BindMail, email("new@example.com"));
        Change::email_bound(&member(), VerifiedCode { reauthenticated, ..proof })
    };
    assert_eq!(refusal(&bound(false)), "REAUTHENTICATION_REQUIRED");
    assert_eq!(bound(true).plan(&RULES).unwrap().action, Action::EmailReplaced);
}

/// Returns what binding the own phone and the own address of a member makes of their maturity.
fn maturity(member: &Member, is_reauthenticated: bool) -> [Maturity; 2] {
    let by_phone = code_for(member, Purpose::BindPhone, phone(OWN));
    let by_mail = code_for(member, Purpose::BindMail, email("li@example.com"));
    let by_mail = VerifiedCode { reauthenticated: is_reauthenticated, ..by_mail };
    let reauthenticated = is_reauthenticated.then_some(Reauthenticated::ByLogin);
    [Change::phone_bound(member, by_phone, reauthenticated), Change::email_bound(member, by_mail)]
        .map(|change| change.plan(&RULES).unwrap().writes.maturity)
}

#[test]
fn first_contact_is_immature_without_reauthentication() {
    let unbound = Member { phone: None, email: None, ..member() };
    let now = Timestamp::now();
    for (password, pay_password) in [(true, true), (true, false), (false, true)] {
        let member = Member {
            password: password.then(|| hash("password")),
            pay_password: pay_password.then(|| hash("pay password")),
            ..unbound.clone()
        };
        for maturity in maturity(&member, false) {
            assert!(matches!(maturity, Maturity::ImmatureSince(since) if since >= now), "{maturity:?}");
        }
        assert_eq!(maturity(&member, true), [Maturity::Mature; 2]);
    }
    let unprotected = Member { password: None, pay_password: None, ..unbound };
    assert_eq!(maturity(&unprotected, false), [Maturity::Mature; 2]);
}

#[test]
fn rebinding_matures_a_contact_only_with_reauthentication() {
    let immature =
        Member { phone_immature_since: Some(ago(60)), email_immature_since: Some(ago(60)), ..member() };
    for member in [member(), immature] {
        assert_eq!(maturity(&member, false), [Maturity::Unchanged; 2]);
        assert_eq!(maturity(&member, true), [Maturity::Mature; 2]);
    }
}

#[test]
fn immature_contact_resets_nothing() {
    for (seconds, allowed) in [(0, false), (COOLING_OFF_SECONDS - 60, false), (COOLING_OFF_SECONDS, true)] {
        let member = Member {
            phone_immature_since: Some(ago(seconds)),
            email_immature_since: Some(ago(seconds)),
            ..member()
        };
        let own = |purpose| code(purpose, phone(OWN));
        let by_phone = grant(LI, Purpose::RecoverPassword, phone(OWN));
        let by_mail = grant(LI, Purpose::RecoverByMail, email("li@example.com"));
        let by_code = Possession::ByCode(own(Purpose::ResetPayPassword));
        for (change, refused) in [
            (
                Change::password_changed_by_message(&member, hash("new"), own(Purpose::ChangePassword)),
                "COOLING_OFF",
            ),
            (Change::pay_password_reset(&member, None, by_code, pay_password_failures()), "COOLING_OFF"),
            (Change::password_recovered(&member, hash("new"), by_phone), "{VERIFICATION}_NOT_VALID"),
            (Change::password_recovered(&member, hash("new"), by_mail), "{VERIFICATION}_NOT_VALID"),
        ] {
            if allowed {
                assert!(change.plan(&RULES).is_ok(), "{change:?}");
            } else {
                assert_eq!(refusal(&change), refused, "{change:?}");
            }
        }
        // The old password is a proof of its own.
        assert!(Change::password_changed(&member, hash("new"), password_at(3)).plan(&RULES).is_ok());
    }
}

#[test]
fn first_pin_cools_off_without_reauthentication() {
    let session = session();
    let cooling = |password: bool, reauthenticated| {
        let password = password.then(|| hash("password"));
        let member = Member { password, pay_password: None, ..member() };
        let change = Change::pay_password_set(&member, hash("new"), &session, reauthenticated);
        change.plan(&RULES).unwrap().writes.cooling_since.is_some()
    };
    assert!(cooling(true, None));
    assert!(!cooling(true, Some(Reauthenticated::ByLogin)));
    assert!(!cooling(true, Some(Reauthenticated::ByPassword { rehashed: None })));
    assert!(!cooling(false, None), "without a login password there is nothing to reauthenticate with");
}

#[test]
fn changes_are_limited_in_any_hour() {
    let changed = |seconds: &[u64]| {
        let member = Member { changed_at: seconds.iter().map(|seconds| ago(*seconds)).collect(), ..member() };
        Change::password_changed(&member, hash("new"), password_at(3))
    };
    for seconds in [&[3_590, 60, 0][..], &[0, 0, 0], &[3_700, 3_000, 10, 10], &[10, 3_590, 60]] {
        assert_eq!(refusal(&changed(seconds)), "TOO_MANY_CHANGES", "{seconds:?}");
    }
    for (seconds, wait) in [(&[3_000, 60, 0][..], 600), (&[3_000, 2_000, 1_000, 0], 1_600)] {
        let retry_after = changed(seconds).plan(&RULES).unwrap_err().retry_after().unwrap();
        assert!((wait - 5..=wait).contains(&retry_after), "{retry_after}");
    }
    for (seconds, kept) in [(&[][..], 1), (&[60, 0], 3), (&[3_600, 3_600, 3_600, 60], 2)] {
        assert_eq!(changed(seconds).plan(&RULES).unwrap().changed_at.len(), kept, "{seconds:?}");
    }
}

#[test]
fn recovery_is_exempt_from_the_change_limit() {
    let member = Member { changed_at: vec![ago(0); 3], ..member() };
    let proof = grant(LI, Purpose::RecoverPassword, phone(OWN));
    let change = Change::password_recovered(&member, hash("new"), proof);
    assert_eq!(change.plan(&RULES).unwrap().changed_at.len(), 4);
}

/// Returns a report of a change that replaced `replaced`, by the link in the notice to `through`.
fn report(through: &str, replaced: Option<Destination>, taken: Vec<Destination>) -> ValidReport {
    let change = ReportableChange { member: LI, destination: email(through), replaced };
    ValidReport { change, taken, id: ReportId(uuid::Uuid::nil()) }
}

/// Returns the member with a phone and an email address that were bound this many seconds ago.
fn bound(seconds_ago: u64) -> Member {
    let at = Some(Timestamp(Timestamp::now().0 - seconds_ago));
    Member { phone_bound_at: at, email_bound_at: at, ..member() }
}

#[test]
fn report_restores_only_over_recent_contacts() {
    let former = "former@example.com";
    let contacts = [email(former), phone(OTHER)];
    for (seconds_ago, taken, restored) in [
        (60, vec![], &contacts[..]),
        (LINK_TTL_SECONDS - 60, vec![phone(OTHER)], &contacts[..1]),
        (60, contacts.to_vec(), &[]),
    ] {
        let change = Change::reported(&bound(seconds_ago), report(former, Some(phone(OTHER)), taken));
        let plan = change.plan(&RULES).unwrap();
        assert!(plan.restores.iter().copied().eq(restored), "{:?}", plan.restores);
        assert_eq!((plan.action, plan.writes.credential_version), (Action::ChangeReported, Some(4)));
        assert_eq!(plan.notifies, [&member().destinations(), restored].concat());
        assert!(matches!(&plan.freeze, Freeze::Begins(frozen) if frozen.through == email(former)));
        assert!(plan.reportable().is_none() && !plan.ends_with_sessions());
    }
    let change = Change::reported(&bound(LINK_TTL_SECONDS), report(former, None, vec![]));
    assert_eq!(refusal(&change), "{VERIFICATION}_NOT_VALID");
    let other = Change::reported(&Member { id: LEI, ..bound(60) }, report("li@example.com", None, vec![]));
    assert_eq!(refusal(&other), "{VERIFICATION}_NOT_VALID");
}

#[test]
fn only_settled_contacts_are_reportable() {
    let replaced = |member: &Member| {
        let proof = code_for(member, Purpose::BindPhone, phone(OTHER));
        let change = Change::phone_bound(member, proof, Some(Reauthenticated::ByLogin));
        change.plan(&RULES).unwrap().reportable()
    };
    let expected =
        |replaced| Some(ReportableChange { member: LI, destination: email("li@example.com"), replaced });
    assert_eq!(replaced(&member()), expected(Some(phone(OWN))));
    assert_eq!(replaced(&bound(LINK_TTL_SECONDS)), expected(Some(phone(OWN))));
    assert_eq!(replaced(&bound(60)), None);
    assert_eq!(replaced(&Member { email_bound_at: None, ..bound(60) }), expected(None));
    assert_eq!(replaced(&Member { email: None, ..member() }), None);
}

#[test]
fn frozen_member_only_recovers_through_one_address() {
    let frozen = Frozen { since: Timestamp(1), through: email("li@example.com") };
    let frozen = Member { frozen: Some(frozen), ..member() };
    let recovered = |destination| {
        let proof = grant(LI, Purpose::RecoverPassword, destination);
        Change::password_recovered(&frozen, hash("new"), proof)
    };
    assert_eq!(recovered(email("li@example.com")).plan(&RULES).unwrap().freeze, Freeze::Ends);
    assert_eq!(refusal(&recovered(phone(OWN))), "ACCOUNT_FROZEN");
    assert_eq!(refusal(&Change::password_changed(&frozen, hash("new"), password_at(3))), "ACCOUNT_FROZEN");
    assert!(Change::reported(&frozen, report("li@example.com", None, vec![])).plan(&RULES).is_ok());
}

#[test]
fn closing_takes_a_current_proof_of_the_member() {
    let session = session();
    let closed = |member: &Member, proof| Change::closed(member, &session, proof);
    let by_code = |proof| Some(ClosingProof::ByCode(proof));
    let own = phone(OWN);

    let change = closed(&member(), Some(ClosingProof::ByPassword(password_at(3))));
    let plan = change.plan(&RULES).unwrap();
    assert!(plan.closes() && plan.reportable().is_none() && plan.ends_with_sessions());
    assert_eq!((plan.action, plan.resets), (Action::Closed, vec![&failures()]));
    assert_eq!(plan.notifies, [own.clone(), email("li@example.com")]);
    let change = closed(&member(), by_code(code(Purpose::CloseAccount, own.clone())));
    assert!(matches!(change.plan(&RULES).unwrap().consumes, Some(Consumed::Code(_))));

    let outdated = Some(ClosingProof::ByPassword(password_at(2)));
    assert_eq!(refusal(&closed(&member(), outdated)), "INVALID_TOKEN");
    for (member, proof, expected) in [
        (member(), code(Purpose::ResetPayPassword, own.clone()), "INTERNAL_SERVER_ERROR"),
        (member(), code(Purpose::CloseAccount, phone(OTHER)), "USER_PHONE_NOT_MATCH"),
        (
            Member { credential_version: 4, ..member() },
            code(Purpose::CloseAccount, own.clone()),
            "{CODE}_NOT_VALID",
        ),
        (
            Member { phone_immature_since: Some(ago(60)), ..member() },
            code(Purpose::CloseAccount, own.clone()),
            "COOLING_OFF",
        ),
    ] {
        assert_eq!(refusal(&closed(&member, by_code(proof))), expected);
    }
}

#[test]
fn session_closes_only_without_any_other_proof() {
    let session = session();
    let bare = Member { phone: None, email: None, password: None, ..member() };
    assert!(Change::closed(&bare, &session, None).plan(&RULES).unwrap().closes());
    for (member, expected) in [
        (member(), "{OLD_PASSWORD}_REQUIRED"),
        (Member { password: Some(hash("password")), ..bare.clone() }, "{OLD_PASSWORD}_REQUIRED"),
        (Member { password: None, phone: None, ..member() }, "{MESSAGE}_REQUIRED"),
        (Member { password: None, email: None, ..member() }, "{MESSAGE}_REQUIRED"),
    ] {
        assert_eq!(refusal(&Change::closed(&member, &session, None)), expected);
    }
}
