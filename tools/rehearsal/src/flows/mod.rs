//! What a user relies on, one function a promise.

mod mail;
mod operator;
mod password;
mod pay_password;
mod phone;
mod promises;
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

/// What is worth saying of a flow that held; mostly nothing.
pub type Outcome = Result<Option<String>, Failure>;

/// A flow that begins when it is awaited.
pub type Flow<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// Every flow by its promise. Each has members of its own, so none waits for another.
pub fn all(cloud: &Cloud) -> Vec<(&'static str, Flow<'_>)> {
    vec![
        ("every function answers a ping and is warm", Box::pin(promises::pings(cloud))),
        ("no session is INVALID_TOKEN", Box::pin(promises::sessions_are_asked_for(cloud))),
        ("the password changes by a code from the member's phone", Box::pin(password::by_message(cloud))),
        ("the password changes by the old one", Box::pin(password::by_the_old_one(cloud))),
        ("a phone is bound where there was none", Box::pin(phone::bound(cloud))),
        ("a phone is replaced by another", Box::pin(phone::replaced(cloud))),
        ("the pay password is set, changed, and reset by a code", Box::pin(pay_password::whole_life(cloud))),
        ("a mail address is bound by the page that the link opens", Box::pin(mail::bound_by_page(cloud))),
        ("a mail address is bound by an app", Box::pin(mail::bound_by_app(cloud))),
        (
            "the password is recovered by SMS, with a cookie jar alone",
            Box::pin(recovery::by_sms_in_a_browser(cloud)),
        ),
        (
            "the password is recovered by SMS, with parameters alone",
            Box::pin(recovery::by_sms_in_an_app(cloud)),
        ),
        ("the password is recovered by mail", Box::pin(recovery::by_mail(cloud))),
        ("a code works once", Box::pin(promises::codes_work_once(cloud))),
        ("a second code has to be waited for", Box::pin(promises::codes_are_waited_for(cloud))),
        ("a member is told of a change by SMS and by mail", Box::pin(promises::changes_are_told(cloud))),
        ("sessions end with a change, but for the answer's", Box::pin(promises::sessions_end(cloud))),
        ("a repeated request has one effect and one answer", Box::pin(promises::repeated_requests(cloud))),
        (
            "an answer renews the session in its Authorization header",
            Box::pin(promises::sessions_are_renewed(cloud)),
        ),
        (
            "a member comes along, changes the old password, and is shown, unlocked, revoked, exported",
            Box::pin(operator::members_come_along(cloud)),
        ),
        ("keys are added, counted and retired", Box::pin(operator::keys_rotate(cloud))),
        ("a change is recorded, and what is temporary says when it goes", Box::pin(promises::table(cloud))),
    ]
}

/// A member with that phone and the password.
fn with_phone(phone: &str) -> NewMember {
    NewMember { phone: Some(phone.to_owned()), password: Some(PASSWORD.to_owned()), ..NewMember::default() }
}

/// A member with that mail address and the password.
fn with_mail(email: &str) -> NewMember {
    NewMember { email: Some(email.to_owned()), password: Some(PASSWORD.to_owned()), ..NewMember::default() }
}

/// A phone of the default region as messages are addressed to it.
fn e164(phone: &str) -> String {
    format!("+86{phone}")
}

fn ensure(holds: bool, otherwise: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Wrong(otherwise.to_owned())) }
}

/// Whether the member's password is this one: it can be changed by it.
async fn has_password(
    cloud: &Cloud,
    member: &local::members::Created,
    password: &str,
) -> Result<(), Failure> {
    let version = cloud.app.store.member(member.id).await?.map(|member| member.credential_version);
    let Some(version) = version else { return Err(Failure::Wrong("the member is gone".to_owned())) };
    let mut app = cloud.app_of(member);
    app.session = Some(cloud.app.issue(member.id, version, shared::clock::Timestamp::now())?);
    let parameters = [("oldPassword", password), ("newPasswordFirst", "yet-another-password")];
    app.put(SECURITY, &parameters).await?.ok().map(drop)
}
