//! 设置支付密码, 修改支付密码: a member sets and changes the payment PIN.

use crate::{
    bundle::{
        Bundle, CHANGE, Member, NEW_PASSWORD, NEW_PIN, OLD_PASSWORD, PHONE, PIN, RESET_PAY_PASSWORD,
        Response, SEND_CODE, SET_PAY_PASSWORD, UPDATE_PAY_PASSWORD, VERIFY_MAIL,
    },
    proxy::{InjectedFault, On, Proxy, STORE},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// Each breaks one rule: exactly 6 digits, not one repeated digit, not a sequence, not part of the phone number.
const UNACCEPTABLE: [&str; 18] = [
    "12345", "1234567", "73915a", "7391 4", "-73915", "+73915", "000000", "777777", "123456", "012345",
    "456789", "987654", "543210", "654321", "136271", "362714", "714048", "140483",
];

pub async fn set(bundle: &Bundle, member: &Member, body: &Value) -> Response {
    bundle.call(Method::PUT, SET_PAY_PASSWORD).session(&member.token).json(body).await
}

pub async fn update(bundle: &Bundle, member: &Member, old: &str, new: &str) -> Response {
    let body = json!({ "oldPassword": old, "payPasswordFirst": new });
    bundle.call(Method::PUT, UPDATE_PAY_PASSWORD).session(&member.token).json(&body).await
}

pub async fn reset(bundle: &Bundle, member: &Member, body: &Value) -> Response {
    bundle.call(Method::PUT, RESET_PAY_PASSWORD).session(&member.token).json(body).await
}

/// Creates a member with a pay password.
pub async fn payer(bundle: &Bundle) -> Member {
    let member =
        json!({ "phone": PHONE, "email": "li@example.com", "password": OLD_PASSWORD, "payPassword": PIN });
    bundle.member_with(member).await
}

pub async fn has_pin(bundle: &Bundle, member: &Member) -> bool {
    bundle.inspect(member).await["hasPayPassword"].as_bool().unwrap()
}

/// Enters this many wrong pay passwords in a row.
pub async fn enter_wrong_pins(bundle: &Bundle, member: &Member, times: usize) {
    for _ in 0..times {
        let refused = update(bundle, member, "111111", NEW_PIN).await;
        assert_eq!(refused.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
    }
}

#[tokio::test]
async fn documented_calls_set_and_update_the_pin() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let call = bundle.call(Method::PUT, SET_PAY_PASSWORD).session(&member.token);
    let response = call.form(&[("payPasswordFirst", PIN)]).await.documented(201);
    assert_eq!(response.headers["authorization"], format!("Bearer {}", response.token()));
    assert!(has_pin(&bundle, &member).await);

    let call = bundle.call(Method::PUT, UPDATE_PAY_PASSWORD).session(response.token());
    let form = [("oldPassword", PIN), ("payPasswordFirst", NEW_PIN)];
    let response = call.form(&form).await.documented(201);
    assert_eq!(response.headers["authorization"], format!("Bearer {}", response.token()));
    assert_eq!(update(&bundle, &member, PIN, "518402").await.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
    update(&bundle, &member, NEW_PIN, "518402").await.ok();

    let stored = bundle.inspect(&member).await;
    let actions: Vec<_> =
        stored["audit"].as_array().unwrap().iter().map(|record| &record["action"]).collect();
    assert_eq!(actions, ["pay-password-changed", "pay-password-changed", "pay-password-set"]);
    assert_eq!(stored["credentialVersion"], 1, "a change of the pay password must not end sessions");
}

#[tokio::test]
async fn guessable_pin_is_refused_by_update_and_reset() {
    let bundle = Bundle::start().await;
    let payer = payer(&bundle).await;
    bundle.call(Method::GET, SEND_CODE).session(&payer.token).query(&[("phone", PHONE)]).send().await.ok();
    let code = bundle.code_to("+8613627140483").await;
    for pin in UNACCEPTABLE {
        let expected = (400, "{PAY_PASSWORD}_NOT_VALID");
        assert_eq!(update(&bundle, &payer, PIN, pin).await.refusal(), expected, "{pin}");
        let body = json!({ "phone": PHONE, "message": code, "payPasswordFirst": pin });
        assert_eq!(reset(&bundle, &payer, &body).await.refusal(), expected, "{pin}");
    }
    // None consumed the code or counted as a wrong pay password.
    update(&bundle, &payer, PIN, NEW_PIN).await.ok();
    let body = json!({ "phone": PHONE, "message": code, "payPasswordFirst": PIN });
    reset(&bundle, &payer, &body).await.ok();
}

#[tokio::test]
async fn guessable_first_pin_is_refused() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    for pin in UNACCEPTABLE {
        let refused = set(&bundle, &member, &json!({ "payPasswordFirst": pin })).await;
        assert_eq!(refused.refusal(), (400, "{PAY_PASSWORD}_NOT_VALID"), "{pin}");
    }
    assert!(!has_pin(&bundle, &member).await);
}

#[tokio::test]
async fn first_pin_of_old_login_begins_cooling_off() {
    let password = json!({ "payPasswordFirst": PIN, "password": OLD_PASSWORD });
    let without = json!({ "payPasswordFirst": PIN });
    for (seconds_ago, body, cooling) in [(901, &without, true), (901, &password, false), (0, &without, false)]
    {
        let bundle = Bundle::start().await;
        let member = bundle.logged_in(&bundle.member().await, seconds_ago).await;
        set(&bundle, &member, body).await.documented(201);
        assert_eq!(bundle.notices_to("li@example.com").await.len(), 1);
        let call = bundle.call(Method::GET, SEND_CODE).session(&member.token);
        let sent = call.query(&[("phone", PHONE)]).send().await;
        if cooling {
            assert_eq!(sent.refusal(), (403, "COOLING_OFF"), "{body}");
        } else {
            sent.ok();
        }
    }
    // A member without a login password has nothing to reauthenticate with.
    let bundle = Bundle::start().await;
    let member = bundle.member_with(json!({ "phone": PHONE })).await;
    let old = bundle.logged_in(&member, 901).await;
    set(&bundle, &old, &without).await.documented(201);
    bundle.request_sms_code(Some(&old), PHONE).await;
}

#[tokio::test]
async fn wrong_password_beside_first_pin_is_refused() {
    let bundle = Bundle::with(&[("PASSWORD_MAX_FAILURES", "2")]).await;
    let member = bundle.member().await;
    let body = |password: &str| json!({ "payPasswordFirst": PIN, "password": password });
    for _ in 0..2 {
        let refused = set(&bundle, &member, &body("wrong")).await;
        assert_eq!(refused.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
    }
    assert_eq!(set(&bundle, &member, &body(OLD_PASSWORD)).await.refusal(), (429, "TOO_MANY_ATTEMPTS"));
    assert!(!has_pin(&bundle, &member).await);
}

#[tokio::test]
async fn acceptable_pins_are_accepted() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let mut old = PIN;
    for pin in ["112233", "123457", "890123", "000001", "135792", "627141"] {
        update(&bundle, &member, old, pin).await.ok();
        old = pin;
    }
}

#[tokio::test]
async fn invalid_set_names_its_parameter() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    assert_eq!(bundle.call(Method::PUT, SET_PAY_PASSWORD).send().await.refusal(), (401, "INVALID_TOKEN"));
    for (body, expected) in [
        (json!({}), "{PAY_PASSWORD}_REQUIRED"),
        (json!({ "payPasswordFirst": "  " }), "{PAY_PASSWORD}_REQUIRED"),
        (json!({ "payPasswordSecond": PIN }), "{PAY_PASSWORD}_REQUIRED"),
        (json!({ "payPasswordFirst": PIN, "payPasswordSecond": NEW_PIN }), "{PAY_PASSWORD}_NOT_VALID"),
    ] {
        assert_eq!(set(&bundle, &member, &body).await.refusal(), (400, expected), "{body}");
    }
    assert!(!has_pin(&bundle, &member).await);
    set(&bundle, &member, &json!({ "payPasswordFirst": PIN, "payPasswordSecond": PIN })).await.ok();
    let again = set(&bundle, &member, &json!({ "payPasswordFirst": NEW_PIN })).await;
    assert_eq!(again.refusal(), (409, "PAY_PASSWORD_ALREADY_SET"));
    update(&bundle, &member, PIN, NEW_PIN).await.ok();
}

#[tokio::test]
async fn concurrent_first_pins_set_one() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let pin = |number: usize| format!("7391{:02}", number + 10);
    let responses = bundle
        .concurrently("set-pay-password", 40, async |number| {
            set(&bundle, &member, &json!({ "payPasswordFirst": pin(number) })).await
        })
        .await;
    let winners: Vec<_> = (0..40).filter(|number| responses[*number].status.is_success()).collect();
    assert_eq!(winners.len(), 1, "{responses:#?}");
    for response in responses.iter().filter(|response| !response.status.is_success()) {
        // A request is busy if transaction conflicts in the store persist.
        let expected = [(409, "PAY_PASSWORD_ALREADY_SET"), (503, "SERVICE_BUSY")];
        assert!(expected.contains(&response.refusal()), "{response:?}");
    }
    update(&bundle, &member, &pin(winners[0]), NEW_PIN).await.ok();
}

/// Sets the pay password with a call that reads the member before `meanwhile` and writes after it.
async fn set_late(proxy: &Proxy, bundle: &Bundle, member: &Member, meanwhile: impl Future) -> Response {
    proxy.fault(On::nth("TransactWriteItems", 1), InjectedFault::Delay(Duration::from_millis(500)));
    proxy.requests();
    let body = json!({ "payPasswordFirst": PIN });
    let meanwhile = async {
        while !proxy.requests().contains(&"TransactWriteItems".to_owned()) {
            tokio::task::yield_now().await;
        }
        meanwhile.await;
    };
    tokio::join!(set(bundle, member, &body), meanwhile).0
}

#[tokio::test]
async fn set_succeeds_while_email_is_bound_concurrently() {
    let (proxy, bundle) = Proxy::between(STORE, &[]).await;
    let member = bundle.member().await;
    let (verification, code) = bundle.request_email_code(Some(&member), "lei@example.com").await;
    let body = json!({ "verification": verification, "code": code });
    let bind = async { bundle.call(Method::POST, VERIFY_MAIL).json(&body).await.ok() };
    set_late(&proxy, &bundle, &member, bind).await.ok();
    assert_eq!(bundle.inspect(&member).await["email"], "lei@example.com");
    update(&bundle, &member, PIN, NEW_PIN).await.ok();
}

#[tokio::test]
async fn late_set_gets_already_set() {
    let (proxy, bundle) = Proxy::between(STORE, &[]).await;
    let member = bundle.member().await;
    let body = json!({ "payPasswordFirst": NEW_PIN });
    let late = set_late(&proxy, &bundle, &member, set(&bundle, &member, &body)).await;
    assert_eq!(late.refusal(), (409, "PAY_PASSWORD_ALREADY_SET"));
    update(&bundle, &member, NEW_PIN, PIN).await.ok();
}

#[tokio::test]
async fn invalid_update_names_its_parameter_and_changes_nothing() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    assert_eq!(bundle.call(Method::PUT, UPDATE_PAY_PASSWORD).send().await.refusal(), (401, "INVALID_TOKEN"));
    for (body, expected) in [
        (json!({}), "{OLD_PASSWORD}_REQUIRED"),
        (json!({ "payPasswordFirst": NEW_PIN }), "{OLD_PASSWORD}_REQUIRED"),
        (json!({ "oldPassword": PIN }), "{PAY_PASSWORD}_REQUIRED"),
        (json!({ "oldPassword": NEW_PIN, "payPasswordFirst": "518402" }), "{OLD_PASSWORD}_NOT_VALID"),
        // The login password is not the pay password.
        (json!({ "oldPassword": OLD_PASSWORD, "payPasswordFirst": NEW_PIN }), "{OLD_PASSWORD}_NOT_VALID"),
        (json!({ "oldPassword": PIN, "payPasswordFirst": PIN }), "{PAY_PASSWORD}_NOT_VALID"),
        (
            json!({ "oldPassword": PIN, "payPasswordFirst": NEW_PIN, "payPasswordSecond": PIN }),
            "{PAY_PASSWORD}_NOT_VALID",
        ),
    ] {
        let call = bundle.call(Method::PUT, UPDATE_PAY_PASSWORD).session(&member.token);
        assert_eq!(call.json(&body).await.refusal(), (400, expected), "{body}");
    }
    let twice = json!({ "oldPassword": PIN, "payPasswordFirst": NEW_PIN, "payPasswordSecond": NEW_PIN });
    bundle.call(Method::PUT, UPDATE_PAY_PASSWORD).session(&member.token).json(&twice).await.ok();
}

#[tokio::test]
async fn update_without_a_pin_is_refused() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    for _ in 0..6 {
        assert_eq!(update(&bundle, &member, PIN, NEW_PIN).await.refusal(), (400, "PAY_PASSWORD_NOT_SET"));
    }
}

#[tokio::test]
async fn five_wrong_pins_lock_all_sessions_three_hours() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let elsewhere = bundle.logged_in(&member, 3_600).await;
    let responses = bundle
        .concurrently("update-pay-password", 12, async |number| {
            let caller = if number % 2 == 0 { &member } else { &elsewhere };
            update(&bundle, caller, "111111", NEW_PIN).await
        })
        .await;
    let count = |expected| responses.iter().filter(|response| response.refusal() == expected).count();
    assert_eq!(count((400, "{OLD_PASSWORD}_NOT_VALID")), 5, "{responses:#?}");
    assert_eq!(count((429, "TOO_MANY_ATTEMPTS")), 7);
    for caller in [&member, &elsewhere] {
        let refused = update(&bundle, caller, PIN, NEW_PIN).await;
        assert_eq!(refused.refusal(), (429, "TOO_MANY_ATTEMPTS"));
        let seconds = refused.body["retryAfter"].as_u64().unwrap();
        assert!((10_700..=10_800).contains(&seconds), "{seconds}");
        assert_eq!(refused.headers["retry-after"], seconds.to_string());
    }
    bundle.age("failures#", 10_600).await;
    assert_eq!(update(&bundle, &member, PIN, NEW_PIN).await.refusal(), (429, "TOO_MANY_ATTEMPTS"));
    bundle.age("failures#", 200).await;
    enter_wrong_pins(&bundle, &member, 1).await;
    update(&bundle, &member, PIN, NEW_PIN).await.ok();
}

#[tokio::test]
async fn correct_pin_resets_the_failure_count() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let mut pins = [PIN, NEW_PIN];
    for _ in 0..2 {
        enter_wrong_pins(&bundle, &member, 4).await;
        update(&bundle, &member, pins[0], pins[1]).await.ok();
        pins.swap(0, 1);
    }
}

#[tokio::test]
async fn unchanged_pin_is_refused_without_an_attempt() {
    let bundle = Bundle::with(&[("PAY_PASSWORD_MAX_FAILURES", "1")]).await;
    let member = payer(&bundle).await;
    for _ in 0..2 {
        let refused = update(&bundle, &member, PIN, PIN).await;
        assert_eq!(refused.refusal(), (400, "{PAY_PASSWORD}_NOT_VALID"));
    }
    update(&bundle, &member, PIN, NEW_PIN).await.ok();
}

#[tokio::test]
async fn lockout_does_not_affect_the_login_password() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    enter_wrong_pins(&bundle, &member, 5).await;
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    let changed = bundle.call(Method::PUT, CHANGE).session(&member.token).json(&body).await.ok();
    // A change of the login password does not end the lockout.
    let renewed = Member { token: changed.token().to_owned(), ..member };
    assert_eq!(update(&bundle, &renewed, PIN, NEW_PIN).await.refusal(), (429, "TOO_MANY_ATTEMPTS"));
}
