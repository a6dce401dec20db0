//! 发送邮件, 验证邮件: a member binds an email address with the code that was sent to it.

use crate::{
    bundle::{
        Bundle, EMAIL, Member, OLD_PASSWORD, OTHER_PHONE, PHONE, Response, SEND_MAIL, VERIFY_MAIL, e164,
        wrong_code,
    },
    proxy::Proxy,
};
use local::Channel;
use reqwest::Method;
use serde_json::{Value, json};

pub const NEW_EMAIL: &str = "li.lei@example.org";

pub async fn verify(bundle: &Bundle, (verification, code): &(String, String)) -> Response {
    let body = json!({ "verification": verification, "code": code });
    bundle.call(Method::POST, VERIFY_MAIL).json(&body).await
}

/// Requests a code to this address and verifies it.
async fn request_and_verify(bundle: &Bundle, member: &Member, email: &str) {
    verify(bundle, &bundle.request_email_code(Some(member), email).await).await.ok();
}

pub async fn without_email(bundle: &Bundle) -> Member {
    bundle.member_with(json!({ "phone": PHONE, "password": OLD_PASSWORD })).await
}

#[tokio::test]
async fn app_verifies_with_the_code_as_documented() {
    let bundle = Bundle::start().await;
    let member = without_email(&bundle).await;
    let requested = bundle.request_email_code(Some(&member), NEW_EMAIL).await;
    assert_eq!(requested.1.len(), 8);
    verify(&bundle, &requested).await.documented(200);
    assert_eq!(bundle.inspect(&member).await["email"], NEW_EMAIL);
}

#[tokio::test]
async fn removed_member_binds_no_email() {
    let bundle = Bundle::start().await;
    let member = without_email(&bundle).await;
    let requested = bundle.request_email_code(Some(&member), NEW_EMAIL).await;
    bundle.remove(&member).await;
    assert_eq!(verify(&bundle, &requested).await.refusal(), (400, "USER_NOT_FOUND"));
}

#[tokio::test]
async fn email_has_code_and_link_in_the_language() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    for (caller, address) in [(Some(&member), NEW_EMAIL), (None, EMAIL)] {
        for language in ["en", "zh-CN"] {
            let call =
                bundle.call(Method::POST, SEND_MAIL).session_of(caller).header("Accept-Language", language);
            call.json(&json!({ "email": address })).await.ok();
            let mail = bundle.sent_to(address).await.remove(0);
            assert_eq!(mail.channel, Channel::Mail);
            let (code, link) = (mail.code.unwrap(), mail.link.unwrap());
            assert_eq!(code.len(), 8);
            let text = mail.text.replace(&link, "").replace(&code, "");
            assert!(!text.contains('<'), "expected plain text: {text}");
            assert_eq!(text.is_ascii(), language == "en", "{text}");
            assert!(text.contains(if language == "en" { "code" } else { "验证码" }), "{text}");
            assert!(text.contains("10"), "expected the lifetime in minutes: {text}");
            bundle.age("sent#email#", 120).await;
        }
    }
}

#[tokio::test]
async fn invalid_send_names_its_parameter_and_sends_nothing() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    for caller in [None, Some(&member)] {
        for (body, expected) in [
            (json!({}), "{EMAIL}_REQUIRED"),
            (json!({ "email": " " }), "{EMAIL}_REQUIRED"),
            (json!({ "email": "li" }), "{EMAIL}_NOT_VALID"),
            (json!({ "email": "Li <li@example.com>" }), "{EMAIL}_NOT_VALID"),
            (json!({ "email": "li@example.com,wu@example.com" }), "{EMAIL}_NOT_VALID"),
            (json!({ "email": "ü@example.com" }), "{EMAIL}_NOT_VALID"),
            (json!({ "email": "li@-.example" }), "{EMAIL}_NOT_VALID"),
            (json!({ "email": "li@example.com\r\nBcc: wu@example.com" }), "{EMAIL}_NOT_VALID"),
        ] {
            let refused = bundle.call(Method::POST, SEND_MAIL).session_of(caller).json(&body).await;
            assert_eq!(refused.refusal(), (400, expected), "{body}");
        }
    }
    bundle.settled().await;
    assert_eq!(bundle.stack.messages(), []);
}

#[tokio::test]
async fn resend_to_an_address_waits_120_seconds() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    for (sent, caller) in [(1, Some(&member)), (3, None)] {
        bundle.request_email_code(caller, EMAIL).await;
        let refused =
            bundle.call(Method::POST, SEND_MAIL).session_of(caller).json(&json!({ "email": EMAIL })).await;
        assert_eq!(refused.refusal(), (429, "SEND_MESSAGE_FREQUENTLY"));
        let seconds = refused.body["retryAfter"].as_u64().unwrap();
        assert!((100..=120).contains(&seconds), "{seconds}");
        bundle.settled().await;
        assert_eq!(bundle.stack.messages().len(), sent);
        bundle.age("sent#email#", 120).await;
        bundle.request_email_code(caller, EMAIL).await;
    }
}

#[tokio::test]
async fn spellings_of_a_mailbox_share_one_owner() {
    let bundle = Bundle::start().await;
    let (member, other) = (without_email(&bundle).await, bundle.other_member().await);
    let bound = "Li.Lei@example.org";
    request_and_verify(&bundle, &member, bound).await;
    assert_eq!(bundle.inspect(&member).await["email"], bound);
    assert_eq!(bundle.owner("email#li.lei@example.org").await.as_ref(), Some(&member.id));

    bundle.age("sent#email#", 120).await;
    let requested = bundle.request_email_code(Some(&other), "LI.LEI@example.org").await;
    assert_eq!(verify(&bundle, &requested).await.refusal(), (409, "EMAIL_IN_USE"));

    // Another spelling of the bound address replaces nothing, so it requires no reauthentication.
    bundle.age("sent#email#", 120).await;
    let old = bundle.logged_in(&member, 901).await;
    request_and_verify(&bundle, &old, "li.Lei@example.org").await;
    let stored = bundle.inspect(&member).await;
    assert_eq!(
        (&stored["email"], &stored["audit"][0]["action"]),
        (&json!("li.Lei@example.org"), &json!("email-bound"))
    );
    assert_eq!(bundle.owner("email#li.lei@example.org").await, Some(member.id));
}

#[tokio::test]
async fn spellings_of_a_mailbox_share_the_cooldown() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    for (first, second) in [
        ("wu@example.com", "WU@Example.com"),
        ("li@bücher.example", "Li@xn--bcher-kva.example"),
        ("li@ｅｘａｍｐｌｅ．org", "li@example.org"),
    ] {
        for caller in [Some(&member), None] {
            let send = async |email: &str| {
                let call = bundle.call(Method::POST, SEND_MAIL).session_of(caller);
                call.json(&json!({ "email": email })).await
            };
            send(first).await.ok();
            assert_eq!(send(second).await.refusal(), (429, "SEND_MESSAGE_FREQUENTLY"), "{second}");
            bundle.age("sent#email#", 120).await;
        }
    }
}

#[tokio::test]
async fn recovery_email_goes_to_the_bound_spelling() {
    let bundle = Bundle::start().await;
    let bound = "Li.Lei@example.org";
    bundle.member_with(json!({ "email": bound, "password": OLD_PASSWORD })).await;
    let body = json!({ "email": "LI.lei@Example.ORG" });
    let sent = bundle.call(Method::POST, SEND_MAIL).json(&body).await.ok();
    let mail = bundle.sent_to(bound).await.remove(0);
    assert_eq!(bundle.stack.messages().len(), 1);
    // The code works with the client's own verification as well as with that of the link.
    let grant = bundle.grant_by_mail(&(sent.verification().to_owned(), mail.code.unwrap())).await;
    let body =
        json!({ "email": "li.LEI@example.org", "passwordFirst": "a-new-password", "verification": grant });
    bundle.call(Method::PUT, crate::bundle::RECOVERY).json(&body).await.ok();
}

#[tokio::test]
async fn invalid_verification_names_its_parameter_and_binds_nothing() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (to_bind_a_phone, _) = bundle.request_sms_code(Some(&member), OTHER_PHONE).await;
    let (to_reset, _) = bundle.request_sms_code(Some(&member), PHONE).await;
    bundle.age("sent#phone#", 120).await;
    let (to_recover, _) = bundle.request_sms_code(None, PHONE).await;
    bundle.age("sent#phone#", 120).await;
    let (phone_info, _) = bundle.request_change_code(&member).await;
    let (to_recover_by_mail, _) = bundle.request_email_code(None, EMAIL).await;
    let (verification, code) = bundle.request_email_code(Some(&member), NEW_EMAIL).await;
    let wrong = wrong_code(&code);
    for (body, expected) in [
        (json!({}), "{VERIFICATION}_REQUIRED"),
        (json!({ "code": code }), "{VERIFICATION}_REQUIRED"),
        (json!({ "verification": verification }), "{CODE}_REQUIRED"),
        (json!({ "verification": "forged", "code": code }), "{VERIFICATION}_NOT_VALID"),
        (json!({ "verification": verification.to_lowercase(), "code": code }), "{VERIFICATION}_NOT_VALID"),
        (json!({ "verification": phone_info, "code": code }), "{VERIFICATION}_NOT_VALID"),
        (json!({ "verification": to_bind_a_phone, "code": code }), "{VERIFICATION}_NOT_VALID"),
        (json!({ "verification": to_reset, "code": code }), "{VERIFICATION}_NOT_VALID"),
        (json!({ "verification": to_recover, "code": code }), "{VERIFICATION}_NOT_VALID"),
        (json!({ "verification": to_recover_by_mail, "code": code }), "{CODE}_NOT_VALID"),
        (json!({ "verification": verification, "code": wrong }), "{CODE}_NOT_VALID"),
    ] {
        let refused = bundle.call(Method::POST, VERIFY_MAIL).json(&body).await;
        assert_eq!(refused.refusal(), (400, expected), "{body}");
    }
    let with_a_bad_session = bundle.call(Method::POST, VERIFY_MAIL).session("a.b.c");
    let body = json!({ "verification": verification, "code": code });
    assert_eq!(with_a_bad_session.json(&body).await.refusal(), (401, "INVALID_TOKEN"));
    assert_eq!(bundle.inspect(&member).await["email"], EMAIL);
    verify(&bundle, &(verification, code)).await.ok();
}

#[tokio::test]
async fn codes_have_eight_digits_by_email() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    assert_eq!(bundle.request_email_code(None, EMAIL).await.1.len(), 8);
    assert_eq!(bundle.request_email_code(Some(&member), "lei@example.com").await.1.len(), 8);
    assert_eq!(bundle.request_change_code(&member).await.1.len(), 6);
}

#[tokio::test]
async fn wrong_codes_count_down_to_the_attempt_limit() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    for caller in [Some(&member), None] {
        let (verification, code) = bundle.request_email_code(caller, EMAIL).await;
        for left in (0..5).rev() {
            let refused = verify(&bundle, &(verification.clone(), wrong_code(&code).to_owned())).await;
            assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
            assert_eq!(refused.body["attemptsLeft"], left);
        }
        let refused = verify(&bundle, &(verification, code)).await;
        assert_eq!(refused.refusal(), (429, "TOO_MANY_ATTEMPTS"));
        bundle.age("sent#email#", 120).await;
    }
}

#[tokio::test]
async fn code_works_once_within_600_seconds() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let requested = bundle.request_email_code(Some(&member), NEW_EMAIL).await;
    bundle.age("code#", 600).await;
    let refused = verify(&bundle, &requested).await;
    assert_eq!((refused.refusal(), &refused.body["attemptsLeft"]), ((400, "{CODE}_NOT_VALID"), &json!(0)));
    bundle.age("sent#email#", 120).await;
    let requested = bundle.request_email_code(Some(&member), NEW_EMAIL).await;
    bundle.age("code#", 580).await;
    verify(&bundle, &requested).await.ok();
    assert_eq!(verify(&bundle, &requested).await.refusal(), (400, "{CODE}_NOT_VALID"));
}

#[tokio::test]
async fn replaced_email_becomes_free_and_all_are_notified() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    request_and_verify(&bundle, &member, NEW_EMAIL).await;
    let stored = bundle.inspect(&member).await;
    assert_eq!(
        (&stored["email"], &stored["audit"][0]["action"]),
        (&json!(NEW_EMAIL), &json!("email-replaced"))
    );
    assert_eq!(bundle.owner("email#li.lei@example.org").await.as_ref(), Some(&member.id));
    for to in [EMAIL, NEW_EMAIL, &e164(PHONE)] {
        assert_eq!(bundle.notices_to(to).await.len(), 1, "{to}");
    }
    bundle.age("sent#email#", 120).await;
    // The old address no longer recovers the password.
    let before = bundle.sent_to(EMAIL).await.len();
    bundle.call(Method::POST, SEND_MAIL).json(&json!({ "email": EMAIL })).await.ok();
    assert_eq!(bundle.sent_to(EMAIL).await.len(), before);
    let other = bundle.member_with(json!({})).await;
    bundle.age("sent#email#", 120).await;
    request_and_verify(&bundle, &other, EMAIL).await;
    assert_eq!(bundle.owner("email#li@example.com").await, Some(other.id));
}

#[tokio::test]
async fn bound_email_can_be_verified_again() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    request_and_verify(&bundle, &member, EMAIL).await;
    assert_eq!(bundle.inspect(&member).await["email"], EMAIL);
    assert_eq!(bundle.owner("email#li@example.com").await, Some(member.id));
}

#[tokio::test]
async fn concurrent_verifications_bind_once() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let requested = bundle.request_email_code(Some(&member), NEW_EMAIL).await;
    let responses = bundle.concurrently("verify-mail", 40, async |_| verify(&bundle, &requested).await).await;
    assert_eq!(responses.iter().filter(|response| response.status.is_success()).count(), 1, "{responses:#?}");
    assert_eq!(bundle.inspect(&member).await["audit"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn refused_email_is_reported_and_can_be_resent() {
    let (proxy, setting) = Proxy::before("AWS_ENDPOINT_URL_SESV2").await;
    let bundle = Bundle::with(&[setting.pair()]).await;
    let member = bundle.member().await;
    for _ in 0..2 {
        let call = bundle.call(Method::POST, SEND_MAIL).session(&member.token);
        assert_eq!(call.json(&json!({ "email": NEW_EMAIL })).await.refusal(), (500, "SEND_MESSAGE_ERROR"));
    }
    assert_eq!(proxy.requests().len(), 2, "expected one attempt each: a retry could send a second email");
    assert!(bundle.stack.log_lines().iter().all(|line| !line.text.contains(NEW_EMAIL)));
}

#[tokio::test]
async fn email_without_a_sender_is_not_available() {
    let bundle = Bundle::with(&[("MAIL_FROM", "")]).await;
    let member = bundle.member().await;
    for caller in [Some(&member), None] {
        for email in [EMAIL, NEW_EMAIL] {
            let call = bundle.call(Method::POST, SEND_MAIL).session_of(caller);
            let refused = call.header("Idempotency-Key", "k").json(&json!({ "email": email })).await;
            assert_eq!(refused.refusal(), (400, "MAIL_NOT_AVAILABLE"));
        }
    }
    let items = bundle.items().await;
    assert!(items.iter().all(|item| item["sk"]["S"] != "sent"), "a refused send must not count");

    // A change is notified by SMS only. The stream does not retry the email.
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": "a-new-password" });
    bundle.call(Method::PUT, crate::bundle::CHANGE).session(&member.token).json(&body).await.ok();
    assert_eq!(bundle.notices_to(&e164(PHONE)).await.len(), 1);
    let logged: Vec<_> = bundle.stack.log_lines().into_iter().map(|line| line.text).collect();
    assert!(
        logged.iter().any(|line| line.contains("a notice is dropped") && line.contains("MAIL_FROM")),
        "{logged:#?}"
    );
    assert!(logged.iter().any(|line| line.contains(r#""NoticesDropped":1"#)), "{logged:#?}");
    assert!(
        !logged.iter().any(|line| line.contains("NoticesFailed") || line.contains("Failures")),
        "{logged:#?}"
    );
}

#[tokio::test]
async fn old_login_replaces_an_email_only_with_password() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let old = bundle.logged_in(&member, 901).await;
    let send = async |body: &Value| bundle.call(Method::POST, SEND_MAIL).session(&old.token).json(body).await;
    let refused = send(&json!({ "email": NEW_EMAIL })).await;
    assert_eq!(refused.refusal(), (403, "REAUTHENTICATION_REQUIRED"));
    let refused = send(&json!({ "email": NEW_EMAIL, "password": "wrong" })).await;
    assert_eq!(refused.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
    assert!(bundle.sent_to(NEW_EMAIL).await.is_empty());
    send(&json!({ "email": NEW_EMAIL, "password": OLD_PASSWORD })).await.ok();
    assert_eq!(bundle.sent_to(NEW_EMAIL).await.len(), 1);
    // The bound address and a member's first address need neither a recent login nor the password.
    send(&json!({ "email": EMAIL })).await.ok();
    let first = bundle.logged_in(&bundle.member_with(json!({})).await, 901).await;
    let body = json!({ "email": "wu@example.com" });
    bundle.call(Method::POST, SEND_MAIL).session(&first.token).json(&body).await.ok();
}

#[tokio::test]
async fn correct_password_at_send_is_not_a_failure() {
    let bundle = Bundle::with(&[("PASSWORD_MAX_FAILURES", "1")]).await;
    let old = bundle.logged_in(&bundle.member().await, 901).await;
    for _ in 0..2 {
        let body = json!({ "email": NEW_EMAIL, "password": OLD_PASSWORD });
        bundle.call(Method::POST, SEND_MAIL).session(&old.token).json(&body).await.ok();
        bundle.age("sent#email#", 120).await;
    }
}
