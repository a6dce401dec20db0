//! The flows that a user relies on, one function each.

mod email;
mod invariants;
mod members;
mod password;
mod pay_password;
mod phone;
mod recovery;

use std::pin::Pin;

use local::members::NewMember;

use crate::{cloud::Cloud, failure::Failure};

const SEND: &str = "/v1/user/sendChangePasswordMessage";
const CHANGE_BY_MESSAGE: &str = "/v1/user/changePasswordByMessage";
/// GET sends a code, PUT changes the password.
const SECURITY: &str = "/member/userservice/security";
const BIND_PHONE: &str = "/member/userservice/security/bindingPhone";
const SET_PAY_PASSWORD: &str = "/member/userservice/security/payPassword";
const RESET_PAY_PASSWORD: &str = "/member/userservice/security/resetPayPassword";
const UPDATE_PAY_PASSWORD: &str = "/member/userservice/security/updatePayPassword";
/// POST verifies a recovery code, PUT recovers the password.
const RECOVERY: &str = "/web/userservice/security";
const SEND_MAIL: &str = "/web/userservice/security/sendMail";
const VERIFY_MAIL: &str = "/web/userservice/security/verifyMail";

const PASSWORD: &str = "the-old-password";
const NEW_PASSWORD: &str = "a-new-password";

/// A note on a flow that succeeded, or the reason for which it failed.
pub type Outcome = Result<Option<String>, Failure>;

/// A flow that starts when it is awaited.
pub type Flow<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// Returns every flow with its title. Each flow uses its own members, so that none is slowed down by another's limits.
pub fn all(cloud: &Cloud) -> Vec<(&'static str, Flow<'_>)> {
    vec![
        ("every function responds to a warm-up ping", Box::pin(invariants::warm_up(cloud))),
        (
            "a request without a session returns INVALID_TOKEN",
            Box::pin(invariants::session_is_required(cloud)),
        ),
        (
            "the password is changed with a code sent to the member's phone",
            Box::pin(password::changed_by_message(cloud)),
        ),
        ("the password is changed with the old password", Box::pin(password::changed_by_old_password(cloud))),
        ("a phone is bound to a member without one", Box::pin(phone::bound(cloud))),
        ("a phone is replaced", Box::pin(phone::replaced(cloud))),
        (
            "the pay password is set, changed, and reset with a code",
            Box::pin(pay_password::life_cycle(cloud)),
        ),
        ("an email address is bound through the page behind the link", Box::pin(email::bound_by_page(cloud))),
        ("an email address is bound by an app", Box::pin(email::bound_by_app(cloud))),
        (
            "the password is recovered by SMS, with cookies only",
            Box::pin(recovery::by_sms_in_a_browser(cloud)),
        ),
        (
            "the password is recovered by SMS, with parameters only",
            Box::pin(recovery::by_sms_in_an_app(cloud)),
        ),
        ("the password is recovered by email", Box::pin(recovery::by_email(cloud))),
        ("a code works once", Box::pin(invariants::code_works_once(cloud))),
        (
            "a second code is refused until the resend cooldown ends",
            Box::pin(invariants::resend_cooldown(cloud)),
        ),
        (
            "a member is notified of a change by SMS and by email",
            Box::pin(invariants::change_is_notified(cloud)),
        ),
        (
            "a change ends every session except the one it returns",
            Box::pin(invariants::change_ends_sessions(cloud)),
        ),
        ("a repeated request has one effect and one response", Box::pin(invariants::repeated_request(cloud))),
        (
            "a response renews the session in its Authorization header",
            Box::pin(invariants::session_is_renewed(cloud)),
        ),
        (
            "a member is imported, changes the old password, and is shown, unlocked, revoked and exported",
            Box::pin(members::life_cycle(cloud)),
        ),
        ("a key is added, counted and retired", Box::pin(members::key_rotation(cloud))),
        ("a change is recorded, and temporary items expire", Box::pin(invariants::table(cloud))),
    ]
}

/// Returns a new member with that phone and [`PASSWORD`].
fn with_phone(phone: &str) -> NewMember {
    NewMember { phone: Some(phone.to_owned()), password: Some(PASSWORD.to_owned()), ..NewMember::default() }
}

/// Returns a new member with that email address and [`PASSWORD`].
fn with_email(email: &str) -> NewMember {
    NewMember { email: Some(email.to_owned()), password: Some(PASSWORD.to_owned()), ..NewMember::default() }
}

/// Returns a phone of the default region in the E.164 form that messages are addressed to.
fn e164(phone: &str) -> String {
    format!("+86{phone}")
}

/// Fails with `problem` unless `condition` is true.
fn ensure(condition: bool, problem: &str) -> Result<(), Failure> {
    if condition { Ok(()) } else { Err(Failure::Wrong(problem.to_owned())) }
}

/// Fails unless `password` is the member's: it must authorize a change.
async fn ensure_password(
    cloud: &Cloud,
    member: &local::members::Created,
    password: &str,
) -> Result<(), Failure> {
    let version = cloud.app.store.member(member.id).await?.map(|member| member.credential_version);
    let Some(version) = version else { return Err(Failure::Wrong("the member does not exist".to_owned())) };
    let mut app = cloud.caller(member);
    app.session = Some(cloud.app.issue(member.id, version, shared::clock::Timestamp::now())?);
    let parameters = [("oldPassword", password), ("newPasswordFirst", "yet-another-password")];
    app.put(SECURITY, &parameters).await?.ok().map(drop)
}
