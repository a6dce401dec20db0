//! The limit of changes per hour.

use crate::{
    bundle::{
        BIND_PHONE, Bundle, CHANGE, CHANGE_BY_MESSAGE, Member, NEW_PASSWORD, NEW_PIN, OLD_PASSWORD,
        OTHER_EMAIL, OTHER_PHONE, PHONE, PIN, RESET_PAY_PASSWORD, Response, SET_PAY_PASSWORD,
        UPDATE_PAY_PASSWORD,
    },
    mail,
    pay_password::{payer, update},
    recovery::{granted, recover},
};
use reqwest::Method;
use serde_json::json;

/// Changes the pay password this many times.
async fn change_pins(bundle: &Bundle, member: &Member, times: usize) {
    let pins = [PIN, NEW_PIN];
    for at in 0..times {
        update(bundle, member, pins[at % 2], pins[(at + 1) % 2]).await.ok();
    }
}

fn assert_refused(refused: &Response, seconds: std::ops::RangeInclusive<u64>) {
    assert_eq!(refused.refusal(), (429, "TOO_MANY_CHANGES"));
    let retry_after = refused.body["retryAfter"].as_u64().unwrap();
    assert!(seconds.contains(&retry_after), "{retry_after}");
    assert_eq!(refused.headers["retry-after"], retry_after.to_string());
}

#[tokio::test]
async fn eleventh_change_in_an_hour_is_refused() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    change_pins(&bundle, &member, 10).await;
    let notices = bundle.notices_to("li@example.com").await.len();
    assert_refused(&update(&bundle, &member, PIN, NEW_PIN).await, 3_500..=3_600);
    assert_eq!(bundle.notices_to("li@example.com").await.len(), notices);
    bundle.age("member#", 3_500).await;
    assert_refused(&update(&bundle, &member, PIN, NEW_PIN).await, 1..=100);
    bundle.age("member#", 100).await;
    change_pins(&bundle, &member, 10).await;
    assert_refused(&update(&bundle, &member, PIN, NEW_PIN).await, 3_500..=3_600);
}

#[tokio::test]
async fn limit_covers_every_change_before_an_attempt() {
    let bundle = Bundle::with(&[
        ("CHANGES_PER_HOUR", "1"),
        ("PASSWORD_MAX_FAILURES", "1"),
        ("CODE_MAX_ATTEMPTS", "1"),
    ])
    .await;
    let member = payer(&bundle).await;
    let (phone_info, change_code) = bundle.request_change_code(&member).await;
    let (_, bind_code) = bundle.request_sms_code(Some(&member), OTHER_PHONE).await;
    let by_mail = bundle.request_email_code(Some(&member), OTHER_EMAIL).await;
    change_pins(&bundle, &member, 1).await;
    let put = Method::PUT;
    let calls = || {
        [
            (put.clone(), CHANGE, json!({ "oldPassword": "wrong", "newPasswordFirst": NEW_PASSWORD })),
            (
                Method::POST,
                CHANGE_BY_MESSAGE,
                json!({ "phoneInfo": phone_info, "code": "000000", "newPassword": NEW_PASSWORD }),
            ),
            (
                put.clone(),
                BIND_PHONE,
                json!({ "phone": OTHER_PHONE, "message": "000000", "password": "wrong" }),
            ),
            (put.clone(), SET_PAY_PASSWORD, json!({ "payPasswordFirst": PIN, "password": "wrong" })),
            (put.clone(), RESET_PAY_PASSWORD, json!({ "phone": PHONE, "message": "000000" })),
            (put.clone(), UPDATE_PAY_PASSWORD, json!({ "oldPassword": "111111", "payPasswordFirst": PIN })),
        ]
    };
    for (method, path, body) in calls() {
        let refused = bundle.call(method, path).session(&member.token).json(&body).await;
        assert_refused(&refused, 3_500..=3_600);
    }
    // The member of this call is in the code, so its attempt counts first. The code is not consumed.
    assert_refused(&mail::verify(&bundle, &by_mail).await, 3_500..=3_600);

    // None of the calls counted an attempt at a password or a code.
    bundle.age("member#", 3_600).await;
    let body = json!({ "phone": OTHER_PHONE, "message": bind_code, "password": OLD_PASSWORD });
    bundle.call(Method::PUT, BIND_PHONE).session(&member.token).json(&body).await.ok();
    let body = json!({ "phoneInfo": phone_info, "code": change_code, "newPassword": NEW_PASSWORD });
    let refused = bundle.call(Method::POST, CHANGE_BY_MESSAGE).session(&member.token).json(&body).await;
    assert_refused(&refused, 3_500..=3_600);
}

#[tokio::test]
async fn recovery_works_after_too_many_changes() {
    let bundle = Bundle::with(&[("CHANGES_PER_HOUR", "2")]).await;
    let member = payer(&bundle).await;
    change_pins(&bundle, &member, 2).await;
    assert_refused(&update(&bundle, &member, PIN, NEW_PIN).await, 3_500..=3_600);
    let body = json!({ "phone": PHONE, "passwordFirst": NEW_PASSWORD, "verification": granted(&bundle, PHONE).await });
    recover(&bundle, &body).await.documented(201);
    let member = bundle.logged_in(&member, 0).await;
    assert_refused(&update(&bundle, &member, PIN, NEW_PIN).await, 3_500..=3_600);
}

#[tokio::test]
async fn concurrent_changes_do_not_exceed_the_limit() {
    let bundle = Bundle::with(&[("CHANGES_PER_HOUR", "1")]).await;
    let member = bundle.member().await;
    let mut calls = Vec::new();
    for number in 0..3 {
        let body =
            json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": format!("new-password-{number}") });
        calls.push((CHANGE, body));
        calls.push((SET_PAY_PASSWORD, json!({ "payPasswordFirst": PIN })));
    }
    let responses =
        futures_util::future::join_all(calls.iter().map(async |(path, body)| {
            bundle.call(Method::PUT, path).session(&member.token).json(body).await
        }))
        .await;
    assert_eq!(responses.iter().filter(|response| response.status.is_success()).count(), 1, "{responses:#?}");
    assert_eq!(bundle.inspect(&member).await["audit"].as_array().unwrap().len(), 1);
}
