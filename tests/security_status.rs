//! `security-status`: what an account-security page shows of a member.

use crate::bundle::{
    BIND_PHONE, Bundle, CHANGE, EMAIL, Member, NEW_PASSWORD, NEW_PIN, OLD_PASSWORD, OTHER_EMAIL, PHONE, PIN,
    Response, STATUS, UPDATE_PAY_PASSWORD, VERIFY_MAIL,
};
use reqwest::Method;
use serde_json::{Value, json};

const DAY: u64 = 86_400;
/// The age of a login that is not recent, in seconds.
const OLD: i64 = 20 * 86_400;
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1";

async fn status(bundle: &Bundle, member: &Member) -> Response {
    bundle.call(Method::GET, STATUS).session(&member.token).send().await
}

/// Returns the `data` of the response.
async fn data(bundle: &Bundle, member: &Member) -> Value {
    status(bundle, member).await.ok().body["data"].clone()
}

fn number(item: &Value, name: &str) -> u64 {
    item[name]["N"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn status_shows_what_is_set_and_changed() {
    let bundle = Bundle::start().await;
    let new = json!({ "phone": PHONE, "email": EMAIL, "password": OLD_PASSWORD, "payPassword": PIN });
    let member = bundle.member_with(new).await;
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    let call = bundle.call(Method::PUT, CHANGE).session(&member.token).header("User-Agent", IPHONE);
    let member = Member { token: call.json(&body).await.ok().token().to_owned(), ..member };

    let shown = status(&bundle, &member).await.ok();
    let at = bundle.inspect(&member).await["audit"][0]["at"].clone();
    let expected = json!({
        "phone": { "masked": "136****0483" },
        "email": { "masked": "l***@example.com" },
        "hasPassword": true,
        "hasPayPassword": true,
        "payPasswordLockedUntil": null,
        "coolingOffUntil": null,
        "authTime": bundle.claims(&member.token).auth_time,
        "recent": [
            { "action": "password-changed", "at": at, "sourceIp": "127.0.0.*", "device": "iPhone · Safari" },
        ],
    });
    assert_eq!(shown.body["data"], expected);
    assert_eq!((&shown.body["code"], &shown.body["msg"]), (&json!("200"), &json!("success")));
    assert_eq!(shown.headers["authorization"], format!("Bearer {}", shown.token()));
    for whole in [PHONE, EMAIL, "argon2", "127.0.0.1", "Mozilla"] {
        assert!(!shown.body["data"].to_string().contains(whole), "{whole}");
    }
}

#[tokio::test]
async fn status_of_a_bare_member_is_empty() {
    let bundle = Bundle::start().await;
    let member = bundle.member_with(json!({})).await;
    let expected = json!({
        "phone": null, "email": null, "hasPassword": false, "hasPayPassword": false,
        "payPasswordLockedUntil": null, "coolingOffUntil": null,
        "authTime": bundle.claims(&member.token).auth_time, "recent": [],
    });
    assert_eq!(data(&bundle, &member).await, expected);
    assert_eq!(bundle.call(Method::GET, STATUS).send().await.refusal(), (401, "INVALID_TOKEN"));
    bundle.remove(&member).await;
    assert_eq!(status(&bundle, &member).await.refusal(), (400, "USER_NOT_FOUND"));
}

#[tokio::test]
async fn immature_contacts_show_when_they_mature() {
    let bundle = Bundle::start().await;
    let member = bundle.logged_in(&bundle.member_with(json!({ "password": OLD_PASSWORD })).await, OLD).await;
    let (_, code) = bundle.request_sms_code(Some(&member), PHONE).await;
    let body = json!({ "phone": PHONE, "message": code });
    bundle.call(Method::PUT, BIND_PHONE).session(&member.token).json(&body).await.ok();
    let (verification, code) = bundle.request_email_code(Some(&member), OTHER_EMAIL).await;
    let body = json!({ "verification": verification, "code": code });
    bundle.call(Method::POST, VERIFY_MAIL).json(&body).await.ok();

    let stored = bundle.item(&format!("member#{}", member.id), "member").await;
    let shown = data(&bundle, &member).await;
    for (contact, since) in [("phone", "phone_immature_since"), ("email", "email_immature_since")] {
        assert_eq!(shown[contact]["maturesAt"], number(&stored, since) + DAY, "{contact}");
    }
    bundle.age(&format!("member#{}", member.id), i64::try_from(DAY).unwrap()).await;
    let shown = data(&bundle, &member).await;
    assert_eq!(shown["phone"], json!({ "masked": "136****0483" }));
    assert_eq!(shown["email"], json!({ "masked": "w***@example.com" }));
}

#[tokio::test]
async fn cooling_off_and_lockout_show_their_end() {
    let bundle = Bundle::start().await;
    let member = bundle.member_with(json!({ "phone": PHONE, "password": OLD_PASSWORD })).await;
    let late = bundle.logged_in(&member, OLD).await;
    let set = json!({ "payPasswordFirst": PIN });
    let path = crate::bundle::SET_PAY_PASSWORD;
    bundle.call(Method::PUT, path).session(&late.token).json(&set).await.ok();
    let wrong = json!({ "oldPassword": "258036", "payPasswordFirst": NEW_PIN });
    for _ in 0..4 {
        bundle.call(Method::PUT, UPDATE_PAY_PASSWORD).session(&late.token).json(&wrong).await;
    }
    assert_eq!(data(&bundle, &late).await["payPasswordLockedUntil"], Value::Null);
    bundle.call(Method::PUT, UPDATE_PAY_PASSWORD).session(&late.token).json(&wrong).await;

    let stored = bundle.item(&format!("member#{}", member.id), "member").await;
    let counter = bundle.item(&format!("failures#pay-password#{}", member.id), "counter").await;
    let shown = data(&bundle, &late).await;
    assert_eq!(shown["coolingOffUntil"], number(&stored, "cooling_since") + DAY);
    assert_eq!(shown["payPasswordLockedUntil"], number(&counter, "expires_at"));
    assert_eq!(shown["authTime"], json!(bundle.claims(&late.token).auth_time));

    bundle.age("failures#", 10_800).await;
    bundle.age("member#", i64::try_from(DAY).unwrap()).await;
    let shown = data(&bundle, &late).await;
    assert_eq!((&shown["coolingOffUntil"], &shown["payPasswordLockedUntil"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn later_end_of_two_lockouts_is_shown() {
    let settings = [("PAY_PASSWORD_MAX_FAILURES", "2"), ("PAY_PASSWORD_FAILURES_PER_DAY", "2")];
    let bundle = Bundle::with(&settings).await;
    let member = bundle.member_with(json!({ "phone": PHONE, "payPassword": PIN })).await;
    let wrong = json!({ "oldPassword": "258036", "payPasswordFirst": NEW_PIN });
    for _ in 0..2 {
        bundle.call(Method::PUT, UPDATE_PAY_PASSWORD).session(&member.token).json(&wrong).await;
    }
    let partition = format!("failures#pay-password#{}", member.id);
    let (row, day) = (bundle.item(&partition, "counter").await, bundle.item(&partition, "day").await);
    assert!(number(&day, "expires_at") > number(&row, "expires_at"));
    let shown = data(&bundle, &member).await;
    assert_eq!(shown["payPasswordLockedUntil"], number(&day, "expires_at"));
}

#[tokio::test]
async fn recent_has_the_twenty_newest_records() {
    let bundle = Bundle::start().await;
    let member = bundle.member_with(json!({})).await;
    for number in 0..25 {
        let at = 1_700_000_000 + number;
        let item = json!({
            "pk": { "S": format!("audit#{}", member.id) }, "sk": { "S": format!("{at}000#{number}") },
            "action": { "S": "shown" }, "at": { "N": at.to_string() }, "actor": { "S": "arn:aws:iam::1:user/wu" },
            "request_id": { "S": number.to_string() }, "expires_at": { "N": "1999999999" },
        });
        bundle.dynamodb("PutItem", json!({ "Item": item })).await;
    }
    let shown = data(&bundle, &member).await;
    let times: Vec<_> =
        shown["recent"].as_array().unwrap().iter().map(|event| event["at"].as_u64().unwrap()).collect();
    assert_eq!(times, (1_700_000_005..=1_700_000_024).rev().collect::<Vec<_>>());
    assert!(!shown.to_string().contains("arn:"), "an operator must not be named");
}
