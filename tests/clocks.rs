//! Clocks that differ by five minutes, and expired items that DynamoDB has not deleted yet.

use crate::{
    bundle::{
        BIND_PHONE, Bundle, CHANGE, Member, NEW_PASSWORD, NEW_PIN, OLD_PASSWORD, OTHER_PHONE, PHONE, PIN,
        RECOVERY, RESET_PAY_PASSWORD, Response, SEND_CODE, UPDATE_PAY_PASSWORD, wrong_code,
    },
    changes::{ChangeKind, MANY, PreparedChange},
};
use reqwest::Method;
use serde_json::json;

const FIVE_MINUTES: i64 = 300;

/// Asserts the refusal and returns its `retryAfter` in seconds.
fn retry_after(refused: &Response, expected: (u16, &str)) -> i64 {
    assert_eq!(refused.refusal(), expected);
    refused.body["retryAfter"].as_i64().unwrap()
}

async fn verify(bundle: &Bundle, (verification, code): &(String, String)) -> Response {
    let body = json!({ "verification": verification, "message": code });
    bundle.call(Method::POST, RECOVERY).json(&body).await
}

async fn replace_phone(bundle: &Bundle, member: &Member) -> Response {
    let (_, code) = bundle.request_sms_code(Some(member), OTHER_PHONE).await;
    let body = json!({ "phone": OTHER_PHONE, "message": code });
    bundle.call(Method::PUT, BIND_PHONE).session(&member.token).json(&body).await
}

#[tokio::test]
async fn sessions_are_valid_despite_five_minute_skew() {
    for seconds_ago in [FIVE_MINUTES, -FIVE_MINUTES] {
        let bundle = Bundle::start().await;
        let member = bundle.logged_in(&bundle.member().await, seconds_ago).await;
        let bound = replace_phone(&bundle, &member).await.ok();
        let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
        bundle.call(Method::PUT, CHANGE).session(bound.token()).json(&body).await.ok();
    }
}

#[tokio::test]
async fn login_in_the_future_is_invalid() {
    let bundle = Bundle::start().await;
    let member = bundle.logged_in(&bundle.member().await, -2 * FIVE_MINUTES).await;
    let call = bundle.call(Method::GET, SEND_CODE).session(&member.token);
    assert_eq!(call.query(&[("phone", PHONE)]).send().await.refusal(), (401, "INVALID_TOKEN"));
}

#[tokio::test]
async fn code_from_fast_clock_expires_within_ten_minutes() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    let requested = bundle.request_sms_code(None, PHONE).await;
    for prefix in ["code#", "sent#phone#"] {
        bundle.age(prefix, -FIVE_MINUTES).await;
    }
    let again = bundle.call(Method::GET, SEND_CODE).query(&[("phone", PHONE)]).send().await;
    let seconds = retry_after(&again, (429, "SEND_MESSAGE_FREQUENTLY"));
    assert!((300..=420).contains(&seconds), "{seconds}");
    bundle.age("code#", 600).await;
    assert_eq!(verify(&bundle, &requested).await.refusal(), (400, "{CODE}_NOT_VALID"));
}

#[tokio::test]
async fn code_from_slow_clock_may_expire_early() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    let requested = bundle.request_sms_code(None, PHONE).await;
    for prefix in ["code#", "sent#phone#"] {
        bundle.age(prefix, FIVE_MINUTES).await;
    }
    let refused = verify(&bundle, &requested).await;
    assert_eq!((refused.refusal(), &refused.body["attemptsLeft"]), ((400, "{CODE}_NOT_VALID"), &json!(0)));
    bundle.grant(&bundle.request_sms_code(None, PHONE).await).await;
}

#[tokio::test]
async fn waits_differ_by_at_most_the_clock_skew() {
    let bundle = Bundle::with(&MANY).await;
    let PreparedChange { member, .. } = PreparedChange::new(ChangeKind::PayPasswordByOld, &bundle).await;
    let update = async |old: &str| {
        let body = json!({ "oldPassword": old, "payPasswordFirst": NEW_PIN });
        bundle.call(Method::PUT, UPDATE_PAY_PASSWORD).session(&member.token).json(&body).await
    };
    for _ in 0..5 {
        assert_eq!(update("111111").await.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
    }
    bundle.age("failures#", -FIVE_MINUTES).await;
    let seconds = retry_after(&update(PIN).await, (429, "TOO_MANY_ATTEMPTS"));
    assert!((10_800..=11_100).contains(&seconds), "{seconds}");
    bundle.age("failures#", 2 * FIVE_MINUTES).await;
    let seconds = retry_after(&update(PIN).await, (429, "TOO_MANY_ATTEMPTS"));
    assert!((10_400..=10_500).contains(&seconds), "{seconds}");

    replace_phone(&bundle, &member).await.ok();
    let reset = async || {
        let body = json!({ "phone": OTHER_PHONE, "message": "123456" });
        bundle.call(Method::PUT, RESET_PAY_PASSWORD).session(&member.token).json(&body).await
    };
    bundle.age("member#", -FIVE_MINUTES).await;
    let seconds = retry_after(&reset().await, (403, "COOLING_OFF"));
    assert!((86_400..=86_700).contains(&seconds), "{seconds}");
    bundle.age("member#", 86_400 + FIVE_MINUTES).await;
    assert_eq!(reset().await.refusal(), (400, "{CODE}_NOT_VALID"));
}

#[tokio::test]
async fn expired_items_count_as_deleted_before_ttl_deletion() {
    let bundle = Bundle::with(&[("PAY_PASSWORD_MAX_FAILURES", "1"), ("CODE_MAX_ATTEMPTS", "1")]).await;
    let member =
        bundle.member_with(json!({ "phone": PHONE, "password": OLD_PASSWORD, "payPassword": PIN })).await;
    let grant = bundle.grant(&bundle.request_sms_code(None, PHONE).await).await;
    bundle.age("sent#phone#", 120).await;
    let (verification, code) = bundle.request_sms_code(None, PHONE).await;
    verify(&bundle, &(verification.clone(), wrong_code(&code).to_owned())).await;
    let update = async |old: &str| {
        let body = json!({ "oldPassword": old, "payPasswordFirst": NEW_PIN });
        bundle.call(Method::PUT, UPDATE_PAY_PASSWORD).session(&member.token).json(&body).await
    };
    update("111111").await;
    assert_eq!(update(PIN).await.refusal(), (429, "TOO_MANY_ATTEMPTS"));

    bundle.age("", 7 * 86_400).await;
    assert_eq!(verify(&bundle, &(verification, code)).await.refusal(), (400, "{CODE}_NOT_VALID"));
    let body = json!({ "phone": PHONE, "passwordFirst": NEW_PASSWORD, "verification": grant });
    let refused = bundle.call(Method::PUT, RECOVERY).json(&body).await;
    assert_eq!(refused.refusal(), (400, "{VERIFICATION}_NOT_VALID"));
    update(PIN).await.ok();
    bundle.grant(&bundle.request_sms_code(None, PHONE).await).await;
}
