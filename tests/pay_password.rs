//! 设置支付密码, 修改支付密码, 重置支付密码: the payment PIN.

use crate::bundle::{
    Answer, BIND_PHONE, Bundle, CHANGE, Jar, Member, NEW_PASSWORD, NEW_PIN, OLD_PASSWORD, OTHER_PHONE, PHONE,
    PIN, RECOVERY, RESET_PAY_PASSWORD, SEND_CODE, SET_PAY_PASSWORD, UPDATE_PAY_PASSWORD, wrong,
};
use reqwest::Method;
use serde_json::{Value, json};

/// Each breaks one rule: 6 digits, not one repeated, no run, no part of the phone number.
const UNACCEPTABLE: [&str; 19] = [
    "12345",
    "1234567",
    "73915a",
    "7391 4",
    "７３９１５４",
    "-73915",
    "+73915",
    "000000",
    "777777",
    "123456",
    "012345",
    "456789",
    "987654",
    "543210",
    "654321",
    "136271",
    "362714",
    "714048",
    "140483",
];

async fn set(bundle: &Bundle, member: &Member, body: &Value) -> Answer {
    bundle.call(Method::PUT, SET_PAY_PASSWORD).session(&member.token).json(body).await
}

async fn update(bundle: &Bundle, member: &Member, old: &str, new: &str) -> Answer {
    let body = json!({ "oldPassword": old, "payPasswordFirst": new });
    bundle.call(Method::PUT, UPDATE_PAY_PASSWORD).session(&member.token).json(&body).await
}

async fn reset(bundle: &Bundle, member: &Member, body: &Value) -> Answer {
    bundle.call(Method::PUT, RESET_PAY_PASSWORD).session(&member.token).json(body).await
}

/// A member with a pay password.
async fn payer(bundle: &Bundle) -> Member {
    let member =
        json!({ "phone": PHONE, "email": "li@example.com", "password": OLD_PASSWORD, "payPassword": PIN });
    bundle.member_with(member).await
}

/// A grant to reset the pay password of a member who has that phone.
async fn granted(bundle: &Bundle, member: &Member, phone: &str) -> String {
    bundle.grant(&bundle.ask_by_sms(Some(member), phone).await).await
}

async fn has_one(bundle: &Bundle, member: &Member) -> bool {
    bundle.shown(member).await["hasPayPassword"].as_bool().unwrap()
}

/// Gives so many wrong pay passwords in a row.
async fn fail(bundle: &Bundle, member: &Member, times: usize) {
    for _ in 0..times {
        let refused = update(bundle, member, "111111", NEW_PIN).await;
        assert_eq!(refused.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
    }
}

#[tokio::test]
async fn the_documents_calls_set_and_update_it() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let call = bundle.call(Method::PUT, SET_PAY_PASSWORD).session(&member.token);
    let answer = call.form(&[("payPasswordFirst", PIN)]).await.documented(201);
    assert_eq!(answer.headers["authorization"], format!("Bearer {}", answer.token()));
    assert!(has_one(&bundle, &member).await);

    let call = bundle.call(Method::PUT, UPDATE_PAY_PASSWORD).session(answer.token());
    let form = [("oldPassword", PIN), ("payPasswordFirst", NEW_PIN)];
    let answer = call.form(&form).await.documented(201);
    assert_eq!(answer.headers["authorization"], format!("Bearer {}", answer.token()));
    assert_eq!(update(&bundle, &member, PIN, "518402").await.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
    update(&bundle, &member, NEW_PIN, "518402").await.ok();

    let shown = bundle.shown(&member).await;
    let actions: Vec<_> = shown["audit"].as_array().unwrap().iter().map(|record| &record["action"]).collect();
    assert_eq!(actions, ["pay-password-changed", "pay-password-changed", "pay-password-set"]);
    assert_eq!(shown["credentialVersion"], 1, "no session ends with a pay password");
}

#[tokio::test]
async fn the_documents_calls_reset_it() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let call = bundle.call(Method::GET, SEND_CODE).session(&member.token);
    call.query(&[("phone", PHONE)]).send().await.documented(200);
    let code = bundle.code_to("+8613627140483").await;
    let call = bundle.call(Method::PUT, RESET_PAY_PASSWORD).session(&member.token);
    let answer = call.form(&[("phone", PHONE), ("message", &code)]).await.documented(201);
    assert_eq!(answer.headers["authorization"], format!("Bearer {}", answer.token()));
    let shown = bundle.shown(&member).await;
    assert_eq!((&shown["hasPayPassword"], &shown["credentialVersion"]), (&json!(false), &json!(1)));
    assert_eq!(shown["audit"][0]["action"], "pay-password-reset");
    set(&bundle, &member, &json!({ "payPasswordFirst": NEW_PIN })).await.ok();
}

#[tokio::test]
async fn what_can_be_guessed_is_refused_wherever_one_is_chosen() {
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
    // None of them cost the code, or counted as a wrong pay password.
    update(&bundle, &payer, PIN, NEW_PIN).await.ok();
    let body = json!({ "phone": PHONE, "message": code, "payPasswordFirst": PIN });
    reset(&bundle, &payer, &body).await.ok();
}

#[tokio::test]
async fn the_first_one_must_be_hard_to_guess_too() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    for pin in UNACCEPTABLE {
        let refused = set(&bundle, &member, &json!({ "payPasswordFirst": pin })).await;
        assert_eq!(refused.refusal(), (400, "{PAY_PASSWORD}_NOT_VALID"), "{pin}");
    }
    assert!(!has_one(&bundle, &member).await);
}

#[tokio::test]
async fn what_breaks_no_rule_is_taken() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let mut old = PIN;
    for pin in ["112233", "123457", "890123", "000001", "135792", "627141"] {
        update(&bundle, &member, old, pin).await.ok();
        old = pin;
    }
}

#[tokio::test]
async fn each_refusal_to_set_one_names_its_parameter() {
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
    assert!(!has_one(&bundle, &member).await);
    set(&bundle, &member, &json!({ "payPasswordFirst": PIN, "payPasswordSecond": PIN })).await.ok();
    let again = set(&bundle, &member, &json!({ "payPasswordFirst": NEW_PIN })).await;
    assert_eq!(again.refusal(), (409, "PAY_PASSWORD_ALREADY_SET"));
    update(&bundle, &member, PIN, NEW_PIN).await.ok();
}

#[tokio::test]
async fn of_40_first_ones_at_once_one_is_set() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let pin = |number: usize| format!("7391{:02}", number + 10);
    let answers = bundle
        .at_once("set-pay-password", 40, async |number| {
            set(&bundle, &member, &json!({ "payPasswordFirst": pin(number) })).await
        })
        .await;
    let winners: Vec<_> = (0..40).filter(|number| answers[*number].status.is_success()).collect();
    assert_eq!(winners.len(), 1, "{answers:#?}");
    for answer in answers.iter().filter(|answer| !answer.status.is_success()) {
        let expected = [(409, "PAY_PASSWORD_ALREADY_SET"), (503, "SERVICE_BUSY")];
        assert!(expected.contains(&answer.refusal()), "{answer:?}");
    }
    update(&bundle, &member, &pin(winners[0]), NEW_PIN).await.ok();
}

#[tokio::test]
async fn each_refusal_to_update_it_names_its_parameter_and_changes_nothing() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    assert_eq!(bundle.call(Method::PUT, UPDATE_PAY_PASSWORD).send().await.refusal(), (401, "INVALID_TOKEN"));
    for (body, expected) in [
        (json!({}), "{OLD_PASSWORD}_REQUIRED"),
        (json!({ "payPasswordFirst": NEW_PIN }), "{OLD_PASSWORD}_REQUIRED"),
        (json!({ "oldPassword": PIN }), "{PAY_PASSWORD}_REQUIRED"),
        (json!({ "oldPassword": NEW_PIN, "payPasswordFirst": "518402" }), "{OLD_PASSWORD}_NOT_VALID"),
        // The login password is another one.
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
async fn who_has_none_has_none_to_update() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    for _ in 0..6 {
        assert_eq!(update(&bundle, &member, PIN, NEW_PIN).await.refusal(), (400, "PAY_PASSWORD_NOT_SET"));
    }
}

#[tokio::test]
async fn five_wrong_in_a_row_lock_it_for_three_hours_on_every_session() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let elsewhere = bundle.logged_in(&member, 3_600).await;
    let answers = bundle
        .at_once("update-pay-password", 12, async |number| {
            let who = if number % 2 == 0 { &member } else { &elsewhere };
            update(&bundle, who, "111111", NEW_PIN).await
        })
        .await;
    let count = |expected| answers.iter().filter(|answer| answer.refusal() == expected).count();
    assert_eq!(count((400, "{OLD_PASSWORD}_NOT_VALID")), 5, "{answers:#?}");
    assert_eq!(count((429, "TOO_MANY_ATTEMPTS")), 7);
    for who in [&member, &elsewhere] {
        let refused = update(&bundle, who, PIN, NEW_PIN).await;
        assert_eq!(refused.refusal(), (429, "TOO_MANY_ATTEMPTS"));
        let seconds = refused.body["retryAfter"].as_u64().unwrap();
        assert!((10_700..=10_800).contains(&seconds), "{seconds}");
        assert_eq!(refused.headers["retry-after"], seconds.to_string());
    }
    bundle.age("failures#", 10_600).await;
    assert_eq!(update(&bundle, &member, PIN, NEW_PIN).await.refusal(), (429, "TOO_MANY_ATTEMPTS"));
    bundle.age("failures#", 200).await;
    fail(&bundle, &member, 1).await;
    update(&bundle, &member, PIN, NEW_PIN).await.ok();
}

#[tokio::test]
async fn the_right_one_ends_the_row() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let mut pins = [PIN, NEW_PIN];
    for _ in 0..2 {
        fail(&bundle, &member, 4).await;
        update(&bundle, &member, pins[0], pins[1]).await.ok();
        pins.swap(0, 1);
    }
}

#[tokio::test]
async fn its_lock_locks_nothing_else() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    fail(&bundle, &member, 5).await;
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    let changed = bundle.call(Method::PUT, CHANGE).session(&member.token).json(&body).await.ok();
    // And another login password does not end it.
    let renewed = Member { token: changed.token().to_owned(), ..member };
    assert_eq!(update(&bundle, &renewed, PIN, NEW_PIN).await.refusal(), (429, "TOO_MANY_ATTEMPTS"));
}

#[tokio::test]
async fn a_reset_works_during_the_lock_and_ends_it() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    fail(&bundle, &member, 5).await;
    let (_, code) = bundle.ask_by_sms(Some(&member), PHONE).await;
    reset(&bundle, &member, &json!({ "phone": PHONE, "message": code, "payPasswordFirst": NEW_PIN }))
        .await
        .ok();
    update(&bundle, &member, NEW_PIN, PIN).await.ok();
}

#[tokio::test]
async fn a_reset_unsets_it_or_sets_another_and_does_not_mind_if_none_is_set() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    for (new, set) in [(None, false), (None, false), (Some(NEW_PIN), true), (Some(PIN), true)] {
        let (_, code) = bundle.ask_by_sms(Some(&member), PHONE).await;
        reset(&bundle, &member, &json!({ "phone": PHONE, "message": code, "payPasswordFirst": new }))
            .await
            .ok();
        assert_eq!(has_one(&bundle, &member).await, set, "{new:?}");
        bundle.age("phone#", 120).await;
    }
    update(&bundle, &member, PIN, NEW_PIN).await.ok();
}

#[tokio::test]
async fn each_refusal_to_reset_it_names_its_parameter_and_changes_nothing() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let (verification, code) = bundle.ask_by_sms(Some(&member), PHONE).await;
    assert_eq!(bundle.call(Method::PUT, RESET_PAY_PASSWORD).send().await.refusal(), (401, "INVALID_TOKEN"));
    let bad = wrong(&code);
    for (body, expected) in [
        (json!({}), "{PHONE}_REQUIRED"),
        (json!({ "message": code }), "{PHONE}_REQUIRED"),
        (json!({ "message": code, "phone": "hello" }), "{PHONE}_NOT_VALID"),
        (json!({ "message": code, "phone": OTHER_PHONE }), "USER_PHONE_NOT_MATCH"),
        (json!({ "phone": PHONE }), "{MESSAGE}_REQUIRED"),
        (json!({ "phone": PHONE, "message": bad }), "{CODE}_NOT_VALID"),
        (json!({ "phone": PHONE, "message": bad, "verification": verification }), "{CODE}_NOT_VALID"),
        (json!({ "phone": PHONE, "message": code, "verification": "forged" }), "{VERIFICATION}_NOT_VALID"),
        // What is no grant proves nothing yet.
        (json!({ "phone": PHONE, "verification": verification }), "{MESSAGE}_REQUIRED"),
        (json!({ "phone": PHONE, "verification": "A".repeat(43) }), "{VERIFICATION}_NOT_VALID"),
    ] {
        assert_eq!(reset(&bundle, &member, &body).await.refusal(), (400, expected), "{body}");
    }
    assert!(has_one(&bundle, &member).await);
    reset(&bundle, &member, &json!({ "phone": PHONE, "message": code, "verification": verification }))
        .await
        .ok();
}

#[tokio::test]
async fn a_wrong_code_says_how_many_tries_are_left_and_the_sixth_is_not_looked_at() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let (verification, code) = bundle.ask_by_sms(Some(&member), PHONE).await;
    for left in (0..5).rev() {
        // The same tries, whichever call they are made with.
        let refused = if left % 2 == 0 {
            reset(&bundle, &member, &json!({ "phone": PHONE, "message": wrong(&code) })).await
        } else {
            let body = json!({ "verification": verification, "message": wrong(&code) });
            bundle.call(Method::POST, RECOVERY).json(&body).await
        };
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
        assert_eq!(refused.body["attemptsLeft"], left);
    }
    let refused = reset(&bundle, &member, &json!({ "phone": PHONE, "message": code })).await;
    assert_eq!(refused.refusal(), (429, "TOO_MANY_ATTEMPTS"));
    assert!(has_one(&bundle, &member).await);
}

#[tokio::test]
async fn a_code_of_another_purpose_is_refused() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let try_to_reset = async |code: &str| {
        let refused = reset(&bundle, &member, &json!({ "phone": PHONE, "message": code })).await;
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
        bundle.age("phone#", 120).await;
    };
    try_to_reset(&bundle.ask(&member).await.1).await;
    try_to_reset(&bundle.ask_by_sms(None, PHONE).await.1).await;
    let call = bundle.call(Method::GET, SEND_CODE).session(&member.token);
    call.query(&[("phone", PHONE), ("purpose", "bind")]).send().await.ok();
    try_to_reset(&bundle.code_to("+8613627140483").await).await;
}

#[tokio::test]
async fn a_code_works_once_and_for_300_seconds() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let (_, code) = bundle.ask_by_sms(Some(&member), PHONE).await;
    let body = json!({ "phone": PHONE, "message": code });
    reset(&bundle, &member, &body).await.ok();
    assert_eq!(reset(&bundle, &member, &body).await.refusal(), (400, "{CODE}_NOT_VALID"));
    bundle.age("phone#", 120).await;
    let (_, code) = bundle.ask_by_sms(Some(&member), PHONE).await;
    bundle.age("code#", 300).await;
    let refused = reset(&bundle, &member, &json!({ "phone": PHONE, "message": code })).await;
    assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
}

#[tokio::test]
async fn a_grant_stands_in_for_the_code() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let grant = granted(&bundle, &member, PHONE).await;
    let body = json!({ "phone": PHONE, "verification": grant, "payPasswordFirst": NEW_PIN });
    reset(&bundle, &member, &body).await.documented(201);
    update(&bundle, &member, NEW_PIN, PIN).await.ok();
    assert_eq!(
        reset(&bundle, &member, &body).await.refusal(),
        (400, "{VERIFICATION}_NOT_VALID"),
        "it works once"
    );
}

#[tokio::test]
async fn a_browser_resets_it_with_the_documented_parameters_alone() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let mut jar = Jar::new();
    let call = bundle.call(Method::GET, SEND_CODE).session(&member.token).cookies(&jar);
    jar.keep(&call.query(&[("phone", PHONE)]).send().await.ok());
    let code = bundle.code_to("+8613627140483").await;
    let verify = bundle.call(Method::POST, RECOVERY).cookies(&jar);
    jar.keep(&verify.form(&[("message", &code)]).await.ok());
    let call = bundle.call(Method::PUT, RESET_PAY_PASSWORD).session(&member.token).cookies(&jar);
    jar.keep(&call.form(&[("phone", PHONE)]).await.documented(201));
    assert_eq!(jar.verification(), None, "what was spent is sent no more");
    assert!(!has_one(&bundle, &member).await);
}

#[tokio::test]
async fn a_browsers_leftover_cookie_does_not_stand_in_the_way_of_the_code() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let (_, code) = bundle.ask_by_sms(Some(&member), PHONE).await;
    let call = bundle.call(Method::PUT, RESET_PAY_PASSWORD).session(&member.token);
    let body = json!({ "phone": PHONE, "message": code });
    call.header("Cookie", "verification=of-yesterday").json(&body).await.ok();
}

#[tokio::test]
async fn a_grant_of_another_member_purpose_or_time_is_refused() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let other = bundle.other_member().await;
    let refused = async |who: &Member, phone: &str, grant: &str, why: &str| {
        let answer = reset(&bundle, who, &json!({ "phone": phone, "verification": grant })).await;
        assert_eq!(answer.refusal(), (400, "{VERIFICATION}_NOT_VALID"), "{why}");
    };
    let others = granted(&bundle, &other, OTHER_PHONE).await;
    refused(&member, PHONE, &others, "of another member").await;
    let to_recover = bundle.grant(&bundle.ask_by_sms(None, PHONE).await).await;
    refused(&member, PHONE, &to_recover, "to recover the login password").await;
    let by_mail = bundle.grant_by_mail(&bundle.ask_by_mail(None, "li@example.com").await).await;
    refused(&member, PHONE, &by_mail, "by mail").await;
    bundle.age("phone#", 120).await;
    let own = granted(&bundle, &member, PHONE).await;
    refused(&other, OTHER_PHONE, &own, "in other hands").await;
    reset(&bundle, &other, &json!({ "phone": OTHER_PHONE, "verification": others })).await.ok();
    bundle.age("grant#", 600).await;
    refused(&member, PHONE, &own, "600 seconds old").await;
    assert!(has_one(&bundle, &member).await);
}

#[tokio::test]
async fn an_unacceptable_new_one_never_costs_the_grant() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let grant = granted(&bundle, &member, PHONE).await;
    let mut body = json!({ "phone": PHONE, "verification": grant, "payPasswordFirst": "123456" });
    assert_eq!(reset(&bundle, &member, &body).await.refusal(), (400, "{PAY_PASSWORD}_NOT_VALID"));
    body["payPasswordFirst"] = json!(NEW_PIN);
    bundle.age("grant#", 590).await;
    reset(&bundle, &member, &body).await.ok();
}

#[tokio::test]
async fn of_40_resets_at_once_one_wins() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let grant = granted(&bundle, &member, PHONE).await;
    let body = json!({ "phone": PHONE, "verification": grant });
    let answers =
        bundle.at_once("reset-pay-password", 40, async |_| reset(&bundle, &member, &body).await).await;
    assert_eq!(answers.iter().filter(|answer| answer.status.is_success()).count(), 1, "{answers:#?}");
    let losers = answers.iter().filter(|answer| answer.refusal() == (400, "{VERIFICATION}_NOT_VALID"));
    assert_eq!(losers.count(), 39, "{answers:#?}");
}

/// A reset is refused for the rest of 24 hours, does not cost the code, and works afterwards.
async fn cools_off(bundle: &Bundle, member: &Member, phone: &str) {
    let (_, code) = bundle.ask_by_sms(Some(member), phone).await;
    let body = json!({ "phone": phone, "message": code });
    for _ in 0..6 {
        let refused = reset(bundle, member, &body).await;
        assert_eq!(refused.refusal(), (403, "COOLING_OFF"));
        let seconds = refused.body["retryAfter"].as_u64().unwrap();
        assert!((86_300..=86_400).contains(&seconds), "{seconds}");
        assert_eq!(refused.headers["retry-after"], seconds.to_string());
    }
    let own = format!("member#{}", member.id);
    bundle.age(&own, 86_200).await;
    assert_eq!(reset(bundle, member, &body).await.refusal(), (403, "COOLING_OFF"));
    // Whoever knows the pay password needs no reset.
    update(bundle, member, PIN, NEW_PIN).await.ok();
    bundle.age(&own, 200).await;
    reset(bundle, member, &body).await.ok();
}

#[tokio::test]
async fn a_reset_waits_for_24_hours_after_the_phone_was_replaced() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let (_, code) = bundle.ask_by_sms(Some(&member), OTHER_PHONE).await;
    let body = json!({ "message": code, "phone": OTHER_PHONE });
    bundle.call(Method::PUT, BIND_PHONE).session(&member.token).json(&body).await.ok();
    bundle.age("phone#", 120).await;
    cools_off(&bundle, &member, OTHER_PHONE).await;
}

#[tokio::test]
async fn a_reset_waits_for_24_hours_after_the_password_was_recovered() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let grant = bundle.grant(&bundle.ask_by_sms(None, PHONE).await).await;
    let body = json!({ "phone": PHONE, "passwordFirst": NEW_PASSWORD, "verification": grant });
    bundle.call(Method::PUT, RECOVERY).json(&body).await.ok();
    bundle.age("phone#", 120).await;
    cools_off(&bundle, &bundle.logged_in(&member, 0).await, PHONE).await;
}

#[tokio::test]
async fn a_reset_need_not_wait_after_the_first_phone_was_bound() {
    let bundle = Bundle::start().await;
    let member = bundle.member_with(json!({ "payPassword": PIN })).await;
    let (_, code) = bundle.ask_by_sms(Some(&member), PHONE).await;
    let body = json!({ "message": code, "phone": PHONE });
    bundle.call(Method::PUT, BIND_PHONE).session(&member.token).json(&body).await.ok();
    bundle.age("phone#", 120).await;
    let (_, code) = bundle.ask_by_sms(Some(&member), PHONE).await;
    reset(&bundle, &member, &json!({ "phone": PHONE, "message": code })).await.ok();
}
