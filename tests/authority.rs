//! Authority ends with its cause: what a session requested ends with the session, and what a bind replaces is checked
//! again when it is bound.

use crate::{
    bundle::{
        BIND_PHONE, Bundle, CHANGE, CHANGE_BY_MESSAGE, EMAIL, Member, NEW_PASSWORD, OLD_PASSWORD,
        OTHER_EMAIL, OTHER_PHONE, PHONE, RECOVERY, RESET_PAY_PASSWORD, Response, VERIFY_MAIL,
    },
    recovery::{granted, recover, verify},
};
use reqwest::Method;
use serde_json::{Value, json};

/// The ways to end every session of a member.
const ENDINGS: [Ending; 3] = [Ending::Change, Ending::Recovery, Ending::Revocation];

#[derive(Clone, Copy, Debug)]
enum Ending {
    /// The member changes the password.
    Change,
    /// The member recovers the password by email.
    Recovery,
    /// The operator revokes the sessions.
    Revocation,
}

impl Ending {
    async fn end_sessions(self, bundle: &Bundle, member: &Member) {
        match self {
            Self::Change => {
                let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
                bundle.call(Method::PUT, CHANGE).session(&member.token).json(&body).await.ok();
            }
            Self::Recovery => {
                let grant = bundle.grant_by_mail(&bundle.request_email_code(None, EMAIL).await).await;
                let body = json!({ "email": EMAIL, "verification": grant, "passwordFirst": NEW_PASSWORD });
                recover(bundle, &body).await.ok();
            }
            Self::Revocation => {
                let update = json!({
                    "Key": { "pk": { "S": format!("member#{}", member.id) }, "sk": { "S": "member" } },
                    "UpdateExpression": "ADD credential_version :one, revision :one",
                    "ExpressionAttributeValues": { ":one": { "N": "1" } },
                });
                bundle.dynamodb("UpdateItem", update).await;
            }
        }
    }
}

/// Returns the member with a new session after the sessions ended.
async fn logged_in_again(bundle: &Bundle, member: &Member) -> Member {
    bundle.logged_in(member, 0).await
}

async fn put(bundle: &Bundle, path: &str, member: &Member, body: &Value) -> Response {
    bundle.call(Method::PUT, path).session(&member.token).json(body).await
}

#[tokio::test]
async fn email_code_ends_with_the_sessions() {
    for ending in ENDINGS {
        let bundle = Bundle::start().await;
        let member = bundle.member().await;
        let (verification, code) = bundle.request_email_code(Some(&member), OTHER_EMAIL).await;
        ending.end_sessions(&bundle, &member).await;
        let body = json!({ "verification": verification, "code": code });
        let refused = bundle.call(Method::POST, VERIFY_MAIL).json(&body).await;
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"), "{ending:?}");
        assert_eq!(bundle.owner(&format!("email#{OTHER_EMAIL}")).await, None);
    }
}

#[tokio::test]
async fn phone_code_ends_with_the_sessions() {
    for ending in ENDINGS {
        let bundle = Bundle::start().await;
        let member = bundle.member().await;
        let (_, code) = bundle.request_sms_code(Some(&member), OTHER_PHONE).await;
        ending.end_sessions(&bundle, &member).await;
        let member = logged_in_again(&bundle, &member).await;
        let refused =
            put(&bundle, BIND_PHONE, &member, &json!({ "phone": OTHER_PHONE, "message": code })).await;
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"), "{ending:?}");
    }
}

#[tokio::test]
async fn change_code_ends_with_the_sessions() {
    for ending in ENDINGS {
        let bundle = Bundle::start().await;
        let member = bundle.member().await;
        let (phone_info, code) = bundle.request_change_code(&member).await;
        ending.end_sessions(&bundle, &member).await;
        let member = logged_in_again(&bundle, &member).await;
        let body = json!({ "phoneInfo": phone_info, "code": code, "newPassword": "yet-another-password" });
        let refused = bundle.call(Method::POST, CHANGE_BY_MESSAGE).session(&member.token).json(&body).await;
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"), "{ending:?}");
    }
}

#[tokio::test]
async fn pay_code_and_grant_end_with_sessions() {
    for ending in ENDINGS {
        for exchanged in [false, true] {
            let bundle = Bundle::with(&[("COOLING_OFF_SECONDS", "0")]).await;
            let member = bundle.member().await;
            let sent = bundle.request_sms_code(Some(&member), PHONE).await;
            let mut body = json!({ "phone": PHONE, "message": sent.1 });
            if exchanged {
                body = json!({ "phone": PHONE, "verification": bundle.grant(&sent).await });
            }
            ending.end_sessions(&bundle, &member).await;
            let member = logged_in_again(&bundle, &member).await;
            let refused = put(&bundle, RESET_PAY_PASSWORD, &member, &body).await;
            let symbol = if exchanged { "{VERIFICATION}_NOT_VALID" } else { "{CODE}_NOT_VALID" };
            assert_eq!(refused.refusal(), (400, symbol), "{ending:?}");
        }
    }
}

#[tokio::test]
async fn recovery_code_ends_with_the_sessions() {
    for ending in ENDINGS {
        let bundle = Bundle::start().await;
        let member = bundle.member().await;
        let (verification, code) = bundle.request_sms_code(None, PHONE).await;
        ending.end_sessions(&bundle, &member).await;
        let refused = verify(&bundle, &json!({ "verification": verification, "message": code })).await;
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"), "{ending:?}");
    }
}

#[tokio::test]
async fn recovery_grant_ends_with_the_sessions() {
    for ending in ENDINGS {
        let bundle = Bundle::start().await;
        let member = bundle.member().await;
        let grant = granted(&bundle, PHONE).await;
        ending.end_sessions(&bundle, &member).await;
        let body = json!({ "phone": PHONE, "verification": grant, "passwordFirst": "yet-another-password" });
        let refused = recover(&bundle, &body).await;
        assert_eq!(refused.refusal(), (400, "{VERIFICATION}_NOT_VALID"), "{ending:?}");
    }
}

#[tokio::test]
async fn ended_authority_compares_no_password() {
    for ending in [Ending::Change, Ending::Recovery] {
        let bundle = Bundle::start().await;
        let member = bundle.member().await;
        let (phone_info, code) = bundle.request_change_code(&member).await;
        let grant = granted(&bundle, PHONE).await;
        ending.end_sessions(&bundle, &member).await;
        let member = logged_in_again(&bundle, &member).await;
        // The current password is refused like any other, so that it cannot be guessed.
        let body = json!({ "phone": PHONE, "verification": grant, "passwordFirst": NEW_PASSWORD });
        let refused = recover(&bundle, &body).await;
        assert_eq!(refused.refusal(), (400, "{VERIFICATION}_NOT_VALID"), "{ending:?}");
        let body = json!({ "phoneInfo": phone_info, "code": code, "newPassword": NEW_PASSWORD });
        let refused = bundle.call(Method::POST, CHANGE_BY_MESSAGE).session(&member.token).json(&body).await;
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"), "{ending:?}");
    }
}

#[tokio::test]
async fn code_for_first_email_replaces_no_other() {
    let bundle = Bundle::start().await;
    let member = bundle.member_with(json!({ "phone": PHONE, "password": OLD_PASSWORD })).await;
    let old = bundle.logged_in(&member, 20 * 86_400).await;
    let (verification, code) = bundle.request_email_code(Some(&old), OTHER_EMAIL).await;
    let own = bundle.request_email_code(Some(&member), EMAIL).await;
    let body = json!({ "verification": own.0, "code": own.1 });
    bundle.call(Method::POST, VERIFY_MAIL).json(&body).await.ok();
    let body = json!({ "verification": verification, "code": code });
    let refused = bundle.call(Method::POST, VERIFY_MAIL).json(&body).await;
    assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
    assert_eq!(bundle.owner(&format!("email#{EMAIL}")).await.as_ref(), Some(&member.id));
}

#[tokio::test]
async fn code_for_first_phone_replaces_no_other() {
    let bundle = Bundle::start().await;
    let member = bundle.member_with(json!({ "email": EMAIL, "password": OLD_PASSWORD })).await;
    let (_, code) = bundle.request_sms_code(Some(&member), OTHER_PHONE).await;
    let (_, own) = bundle.request_sms_code(Some(&member), PHONE).await;
    put(&bundle, BIND_PHONE, &member, &json!({ "phone": PHONE, "message": own })).await.ok();
    let refused = put(&bundle, BIND_PHONE, &member, &json!({ "phone": OTHER_PHONE, "message": code })).await;
    assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
}

#[tokio::test]
async fn stranger_voids_no_pending_recovery_code() {
    let bundle = Bundle::with(&[("RESEND_AFTER_SECONDS", "1")]).await;
    bundle.member().await;
    let (verification, code) = bundle.request_sms_code(None, PHONE).await;
    bundle.age("sent#", 10).await;
    bundle.request_sms_code(None, PHONE).await;
    let verified = verify(&bundle, &json!({ "verification": verification, "message": code })).await.ok();
    let body =
        json!({ "phone": PHONE, "verification": verified.verification(), "passwordFirst": NEW_PASSWORD });
    bundle.call(Method::PUT, RECOVERY).json(&body).await.ok();
}
