//! Maturity: a phone or an email address that was bound without a recent login or the password resets nothing for a day.

use crate::{
    bundle::{
        BIND_PHONE, Bundle, CHANGE, CHANGE_BY_MESSAGE, EMAIL, Member, NEW_PASSWORD, NEW_PIN, OLD_PASSWORD,
        OTHER_EMAIL, PHONE, PIN, RESET_PAY_PASSWORD, Response, SEND, SEND_CODE, SEND_MAIL, VERIFY_MAIL, e164,
    },
    recovery::{granted, recover},
};
use reqwest::Method;
use serde_json::{Value, json};

/// The age of a login that is not recent, in seconds.
const OLD: i64 = 20 * 86_400;
const DAY: i64 = 86_400;

fn with_email() -> Value {
    json!({ "email": EMAIL, "password": OLD_PASSWORD, "payPassword": PIN })
}

fn with_phone() -> Value {
    json!({ "phone": PHONE, "password": OLD_PASSWORD, "payPassword": PIN })
}

/// Creates a member and returns their session, whose login was this long ago.
async fn logged_in(bundle: &Bundle, member: Value, seconds_ago: i64) -> Member {
    bundle.logged_in(&bundle.member_with(member).await, seconds_ago).await
}

async fn put(bundle: &Bundle, path: &str, member: &Member, body: &Value) -> Response {
    bundle.call(Method::PUT, path).session(&member.token).json(body).await
}

/// Sends a code to the phone as the member, who can name a purpose.
async fn send_code(bundle: &Bundle, member: &Member, purpose: &str) -> Response {
    let call = bundle.call(Method::GET, SEND_CODE).session(&member.token);
    call.query(&[("phone", PHONE), ("purpose", purpose)]).send().await
}

/// Binds the phone with the parameters of `more`.
async fn bind_phone(bundle: &Bundle, member: &Member, more: Value) {
    send_code(bundle, member, "bind").await.ok();
    let mut body = more;
    body["phone"] = json!(PHONE);
    body["message"] = json!(bundle.code_to(&e164(PHONE)).await);
    put(bundle, BIND_PHONE, member, &body).await.documented(201);
    bundle.age("sent#", 120).await;
}

/// Binds an email address with the parameters of `more` at the send.
async fn bind_email(bundle: &Bundle, member: &Member, email: &str, more: Value) {
    let mut body = more;
    body["email"] = json!(email);
    let sent = bundle.call(Method::POST, SEND_MAIL).session(&member.token).json(&body).await.documented(200);
    let code = bundle.code_to(email).await;
    let body = json!({ "verification": sent.verification(), "code": code });
    bundle.call(Method::POST, VERIFY_MAIL).json(&body).await.documented(200);
    bundle.age("sent#", 120).await;
}

/// Requests a recovery by this channel, and returns whether a code was sent.
async fn is_recovery_sent(bundle: &Bundle, destination: &str) -> bool {
    let (to, call) = if destination.contains('@') {
        let call = bundle.call(Method::POST, SEND_MAIL).with_json(&json!({ "email": destination }));
        (destination.to_owned(), call)
    } else {
        let call = bundle.call(Method::GET, SEND_CODE).query(&[("phone", destination)]);
        (e164(destination), call)
    };
    let codes = async || {
        let messages = bundle.sent_to(&to).await;
        messages.iter().filter(|message| message.code.is_some()).count()
    };
    let before = codes().await;
    call.send().await.documented(200);
    bundle.age("sent#", 120).await;
    codes().await > before
}

/// Returns the responses to the calls by which the phone resets a password.
async fn resets_by_phone(bundle: &Bundle, member: &Member) -> [Response; 4] {
    let body = json!({ "phone": PHONE, "message": "123456", "payPasswordFirst": NEW_PIN });
    let phone_info = shared::token::Token {
        destination: serde_json::from_value(json!(format!("phone#{}", e164(PHONE)))).unwrap(),
        purpose: shared::code::Purpose::ChangePassword,
        flow: None,
    };
    let phone_info = phone_info.sign(&bundle.keys()).unwrap();
    let change = json!({ "phoneInfo": phone_info, "code": "123456", "newPassword": NEW_PASSWORD });
    let sent = bundle.call(Method::POST, SEND).session(&member.token).send().await;
    bundle.age("sent#", 120).await;
    let responses = [
        sent,
        bundle.call(Method::POST, CHANGE_BY_MESSAGE).session(&member.token).json(&change).await,
        send_code(bundle, member, "pay").await,
        put(bundle, RESET_PAY_PASSWORD, member, &body).await,
    ];
    bundle.age("sent#", 120).await;
    responses
}

/// Asserts that the phone resets neither password, and that the refusals name the seconds that remain.
async fn assert_immature(bundle: &Bundle, member: &Member) {
    for refused in resets_by_phone(bundle, member).await {
        assert_eq!(refused.refusal(), (403, "COOLING_OFF"));
        let seconds = refused.body["retryAfter"].as_u64().unwrap();
        assert!((86_300..=86_400).contains(&seconds), "{seconds}");
        assert_eq!(refused.headers["retry-after"], seconds.to_string());
    }
    assert!(!is_recovery_sent(bundle, PHONE).await);
}

/// Asserts that the phone resets both passwords: only the code is wrong.
async fn assert_mature(bundle: &Bundle, member: &Member) {
    for response in resets_by_phone(bundle, member).await {
        let expected = [(200, "OK"), (200, "200"), (400, "{CODE}_NOT_VALID")];
        assert!(expected.contains(&response.refusal()), "{response:?}");
    }
    assert!(is_recovery_sent(bundle, PHONE).await);
}

#[tokio::test]
async fn first_phone_of_old_login_resets_nothing() {
    let bundle = Bundle::start().await;
    let old = logged_in(&bundle, with_email(), OLD).await;
    bind_phone(&bundle, &old, json!({})).await;
    assert_immature(&bundle, &old).await;
    // The pay password and the login password still change with the old ones.
    let body = json!({ "oldPassword": PIN, "payPasswordFirst": NEW_PIN });
    put(&bundle, crate::bundle::UPDATE_PAY_PASSWORD, &old, &body).await.documented(201);
    bundle.age("member#", DAY).await;
    assert_mature(&bundle, &old).await;
}

#[tokio::test]
async fn first_phone_with_reauthentication_is_mature() {
    for (seconds_ago, more) in [(0, json!({})), (OLD, json!({ "password": OLD_PASSWORD }))] {
        let bundle = Bundle::start().await;
        let member = logged_in(&bundle, with_email(), seconds_ago).await;
        bind_phone(&bundle, &member, more).await;
        assert_mature(&bundle, &member).await;
    }
}

#[tokio::test]
async fn first_phone_without_any_password_is_mature() {
    let bundle = Bundle::start().await;
    let old = logged_in(&bundle, json!({ "email": EMAIL }), OLD).await;
    bind_phone(&bundle, &old, json!({})).await;
    assert_mature(&bundle, &old).await;
}

#[tokio::test]
async fn pay_password_only_makes_first_phone_immature() {
    let bundle = Bundle::start().await;
    let old = logged_in(&bundle, json!({ "payPassword": PIN }), OLD).await;
    bind_phone(&bundle, &old, json!({})).await;
    assert_immature(&bundle, &old).await;
}

#[tokio::test]
async fn rebinding_with_password_makes_the_phone_mature() {
    let limits = ["SENDS_PER_HOUR", "SENDS_PER_DAY", "MEMBER_SENDS_PER_DAY"].map(|name| (name, "100"));
    let bundle = Bundle::with(&limits).await;
    let old = logged_in(&bundle, with_email(), OLD).await;
    bind_phone(&bundle, &old, json!({})).await;
    bind_phone(&bundle, &old, json!({})).await;
    assert_immature(&bundle, &old).await;
    bind_phone(&bundle, &old, json!({ "password": OLD_PASSWORD })).await;
    assert_mature(&bundle, &old).await;
    // Without the password, a mature phone remains mature.
    bind_phone(&bundle, &old, json!({})).await;
    assert_mature(&bundle, &old).await;
}

#[tokio::test]
async fn wrong_password_beside_first_phone_is_refused() {
    let bundle = Bundle::start().await;
    let member = logged_in(&bundle, with_email(), 0).await;
    let (_, code) = bundle.request_sms_code(Some(&member), PHONE).await;
    let body = json!({ "phone": PHONE, "message": code, "password": "wrong" });
    let refused = put(&bundle, BIND_PHONE, &member, &body).await;
    assert_eq!(refused.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
}

#[tokio::test]
async fn first_email_of_old_login_recovers_nothing() {
    let bundle = Bundle::start().await;
    let old = logged_in(&bundle, with_phone(), OLD).await;
    bind_email(&bundle, &old, EMAIL, json!({})).await;
    assert!(!is_recovery_sent(&bundle, EMAIL).await);
    // Another send, with the code that is bound, does not mature the address either.
    bind_email(&bundle, &old, EMAIL, json!({})).await;
    assert!(!is_recovery_sent(&bundle, EMAIL).await);
    // The phone is another contact, and mature.
    assert!(is_recovery_sent(&bundle, PHONE).await);
    bundle.age("member#", DAY).await;
    assert!(is_recovery_sent(&bundle, EMAIL).await);
}

#[tokio::test]
async fn first_email_with_reauthentication_is_mature() {
    for (seconds_ago, more) in [(0, json!({})), (OLD, json!({ "password": OLD_PASSWORD }))] {
        let bundle = Bundle::start().await;
        let member = logged_in(&bundle, with_phone(), seconds_ago).await;
        bind_email(&bundle, &member, EMAIL, more).await;
        assert!(is_recovery_sent(&bundle, EMAIL).await);
    }
}

#[tokio::test]
async fn replaced_contact_is_mature() {
    let bundle = Bundle::start().await;
    let old = logged_in(&bundle, with_phone(), OLD).await;
    bind_email(&bundle, &old, EMAIL, json!({})).await;
    assert!(!is_recovery_sent(&bundle, EMAIL).await);
    bind_email(&bundle, &old, OTHER_EMAIL, json!({ "password": OLD_PASSWORD })).await;
    assert!(is_recovery_sent(&bundle, OTHER_EMAIL).await);
}

#[tokio::test]
async fn immature_phone_is_silent_as_an_unknown_one() {
    let bundle = Bundle::start().await;
    let old = logged_in(&bundle, with_email(), OLD).await;
    bind_phone(&bundle, &old, json!({})).await;
    let mut shapes = Vec::new();
    for phone in [PHONE, crate::bundle::OTHER_PHONE] {
        let sent = bundle.call(Method::GET, SEND_CODE).query(&[("phone", phone)]).send().await.ok();
        bundle.settled().await;
        let body = json!({ "verification": sent.verification(), "message": "123456" });
        let refused = crate::recovery::verify(&bundle, &body).await;
        let names: Vec<_> = sent.body.as_object().unwrap().keys().cloned().collect();
        shapes.push((names, refused.text.clone()));
    }
    assert_eq!(shapes[0], shapes[1]);
}

#[tokio::test]
async fn grant_of_an_immature_phone_is_refused() {
    let bundle = Bundle::start().await;
    let member = bundle.member_with(with_phone()).await;
    let grant = granted(&bundle, PHONE).await;
    let pk = format!("member#{}", member.id);
    let mut item = bundle.item(&pk, "member").await;
    item["phone_immature_since"] = json!({ "N": shared::clock::Timestamp::now().0.to_string() });
    bundle.dynamodb("PutItem", json!({ "Item": item })).await;
    let body = json!({ "phone": PHONE, "verification": grant, "passwordFirst": NEW_PASSWORD });
    assert_eq!(recover(&bundle, &body).await.refusal(), (400, "{VERIFICATION}_NOT_VALID"));
    assert!(bundle.has_password(&member, OLD_PASSWORD).await);
}

/// The attack: a stolen session of a member without a phone binds one, and takes both passwords over with it.
#[tokio::test]
async fn stolen_session_takes_no_password_over() {
    let bundle = Bundle::start().await;
    let stolen = logged_in(&bundle, with_email(), OLD).await;
    bind_phone(&bundle, &stolen, json!({})).await;
    assert_immature(&bundle, &stolen).await;
    // The member is notified at the old address, and ends the sessions.
    assert_eq!(bundle.notices_to(EMAIL).await.len(), 1);
    let fresh = bundle.logged_in(&stolen, 0).await;
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    put(&bundle, CHANGE, &fresh, &body).await.documented(201);
    bundle.age("member#", DAY).await;
    for refused in resets_by_phone(&bundle, &stolen).await {
        assert_eq!(refused.refusal(), (401, "INVALID_TOKEN"));
    }
}
