//! 重置支付密码: a member removes or replaces the payment PIN with a code to their phone.

use crate::{
    bundle::{
        BIND_PHONE, Bundle, CookieJar, Member, NEW_PASSWORD, NEW_PIN, OTHER_PHONE, PHONE, PIN, RECOVERY,
        RESET_PAY_PASSWORD, SEND_CODE, wrong_code,
    },
    pay_password::{enter_wrong_pins, has_pin, payer, reset, set, update},
};
use reqwest::Method;
use serde_json::json;

/// Returns a grant to reset the pay password of the member with this phone.
async fn granted(bundle: &Bundle, member: &Member, phone: &str) -> String {
    bundle.grant(&bundle.request_sms_code(Some(member), phone).await).await
}

#[tokio::test]
async fn documented_calls_reset_the_pin() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let call = bundle.call(Method::GET, SEND_CODE).session(&member.token);
    call.query(&[("phone", PHONE)]).send().await.documented(200);
    let code = bundle.code_to("+8613627140483").await;
    let call = bundle.call(Method::PUT, RESET_PAY_PASSWORD).session(&member.token);
    let response = call.form(&[("phone", PHONE), ("message", &code)]).await.documented(201);
    assert_eq!(response.headers["authorization"], format!("Bearer {}", response.token()));
    let stored = bundle.inspect(&member).await;
    assert_eq!((&stored["hasPayPassword"], &stored["credentialVersion"]), (&json!(false), &json!(1)));
    assert_eq!(stored["audit"][0]["action"], "pay-password-reset");
    set(&bundle, &member, &json!({ "payPasswordFirst": NEW_PIN })).await.ok();
}

#[tokio::test]
async fn reset_works_during_the_lockout_and_ends_it() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    enter_wrong_pins(&bundle, &member, 5).await;
    let (_, code) = bundle.request_sms_code(Some(&member), PHONE).await;
    reset(&bundle, &member, &json!({ "phone": PHONE, "message": code, "payPasswordFirst": NEW_PIN }))
        .await
        .ok();
    update(&bundle, &member, NEW_PIN, PIN).await.ok();
}

#[tokio::test]
async fn reset_removes_or_replaces_the_pin_if_any() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    for (new, set) in [(None, false), (None, false), (Some(NEW_PIN), true), (Some(PIN), true)] {
        let (_, code) = bundle.request_sms_code(Some(&member), PHONE).await;
        reset(&bundle, &member, &json!({ "phone": PHONE, "message": code, "payPasswordFirst": new }))
            .await
            .ok();
        assert_eq!(has_pin(&bundle, &member).await, set, "{new:?}");
        bundle.age("sent#phone#", 120).await;
    }
    update(&bundle, &member, PIN, NEW_PIN).await.ok();
}

#[tokio::test]
async fn invalid_reset_names_its_parameter_and_changes_nothing() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let (verification, code) = bundle.request_sms_code(Some(&member), PHONE).await;
    assert_eq!(bundle.call(Method::PUT, RESET_PAY_PASSWORD).send().await.refusal(), (401, "INVALID_TOKEN"));
    let wrong = wrong_code(&code);
    for (body, expected) in [
        (json!({}), "{PHONE}_REQUIRED"),
        (json!({ "message": code }), "{PHONE}_REQUIRED"),
        (json!({ "message": code, "phone": "hello" }), "{PHONE}_NOT_VALID"),
        (json!({ "message": code, "phone": OTHER_PHONE }), "USER_PHONE_NOT_MATCH"),
        (json!({ "phone": PHONE }), "{MESSAGE}_REQUIRED"),
        (json!({ "phone": PHONE, "message": wrong }), "{CODE}_NOT_VALID"),
        (json!({ "phone": PHONE, "message": wrong, "verification": verification }), "{CODE}_NOT_VALID"),
        (json!({ "phone": PHONE, "message": code, "verification": "forged" }), "{VERIFICATION}_NOT_VALID"),
        // The token of a send is not a grant.
        (json!({ "phone": PHONE, "verification": verification }), "{MESSAGE}_REQUIRED"),
        (json!({ "phone": PHONE, "verification": "A".repeat(43) }), "{VERIFICATION}_NOT_VALID"),
    ] {
        assert_eq!(reset(&bundle, &member, &body).await.refusal(), (400, expected), "{body}");
    }
    assert!(has_pin(&bundle, &member).await);
    reset(&bundle, &member, &json!({ "phone": PHONE, "message": code, "verification": verification }))
        .await
        .ok();
}

#[tokio::test]
async fn wrong_codes_count_down_to_the_attempt_limit() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let (verification, code) = bundle.request_sms_code(Some(&member), PHONE).await;
    for left in (0..5).rev() {
        // Both calls share the attempts of the code.
        let refused = if left % 2 == 0 {
            reset(&bundle, &member, &json!({ "phone": PHONE, "message": wrong_code(&code) })).await
        } else {
            let body = json!({ "verification": verification, "message": wrong_code(&code) });
            bundle.call(Method::POST, RECOVERY).json(&body).await
        };
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
        assert_eq!(refused.body["attemptsLeft"], left);
    }
    let refused = reset(&bundle, &member, &json!({ "phone": PHONE, "message": code })).await;
    assert_eq!(refused.refusal(), (429, "TOO_MANY_ATTEMPTS"));
    assert!(has_pin(&bundle, &member).await);
}

#[tokio::test]
async fn code_of_another_purpose_is_refused() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let assert_refused = async |code: &str| {
        let refused = reset(&bundle, &member, &json!({ "phone": PHONE, "message": code })).await;
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
        bundle.age("sent#phone#", 120).await;
    };
    assert_refused(&bundle.request_change_code(&member).await.1).await;
    assert_refused(&bundle.request_sms_code(None, PHONE).await.1).await;
    let call = bundle.call(Method::GET, SEND_CODE).session(&member.token);
    call.query(&[("phone", PHONE), ("purpose", "bind")]).send().await.ok();
    assert_refused(&bundle.code_to("+8613627140483").await).await;
}

#[tokio::test]
async fn code_works_once_within_300_seconds() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let (_, code) = bundle.request_sms_code(Some(&member), PHONE).await;
    let body = json!({ "phone": PHONE, "message": code });
    reset(&bundle, &member, &body).await.ok();
    assert_eq!(reset(&bundle, &member, &body).await.refusal(), (400, "{CODE}_NOT_VALID"));
    bundle.age("sent#phone#", 120).await;
    let (_, code) = bundle.request_sms_code(Some(&member), PHONE).await;
    bundle.age("code#", 300).await;
    let refused = reset(&bundle, &member, &json!({ "phone": PHONE, "message": code })).await;
    assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
}

#[tokio::test]
async fn grant_is_accepted_instead_of_the_code() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let grant = granted(&bundle, &member, PHONE).await;
    let body = json!({ "phone": PHONE, "verification": grant, "payPasswordFirst": NEW_PIN });
    reset(&bundle, &member, &body).await.documented(201);
    update(&bundle, &member, NEW_PIN, PIN).await.ok();
    assert_eq!(
        reset(&bundle, &member, &body).await.refusal(),
        (400, "{VERIFICATION}_NOT_VALID"),
        "expected the grant to work once"
    );
}

#[tokio::test]
async fn browser_resets_with_documented_parameters_only() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let mut jar = CookieJar::new();
    let call = bundle.call(Method::GET, SEND_CODE).session(&member.token).cookies(&jar);
    jar.store(&call.query(&[("phone", PHONE)]).send().await.ok());
    let code = bundle.code_to("+8613627140483").await;
    let verify = bundle.call(Method::POST, RECOVERY).cookies(&jar);
    jar.store(&verify.form(&[("message", &code)]).await.ok());
    let call = bundle.call(Method::PUT, RESET_PAY_PASSWORD).session(&member.token).cookies(&jar);
    jar.store(&call.form(&[("phone", PHONE)]).await.documented(201));
    assert_eq!(jar.verification(), None, "expected the consumed grant to be cleared");
    assert!(!has_pin(&bundle, &member).await);
}

#[tokio::test]
async fn leftover_cookie_does_not_block_the_code() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let (_, code) = bundle.request_sms_code(Some(&member), PHONE).await;
    let call = bundle.call(Method::PUT, RESET_PAY_PASSWORD).session(&member.token);
    let body = json!({ "phone": PHONE, "message": code });
    call.header("Cookie", "verification=of-yesterday").json(&body).await.ok();
}

#[tokio::test]
async fn grant_must_match_member_purpose_and_lifetime() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let other = bundle.other_member().await;
    let refused = async |caller: &Member, phone: &str, grant: &str, why: &str| {
        let response = reset(&bundle, caller, &json!({ "phone": phone, "verification": grant })).await;
        assert_eq!(response.refusal(), (400, "{VERIFICATION}_NOT_VALID"), "{why}");
    };
    let others = granted(&bundle, &other, OTHER_PHONE).await;
    refused(&member, PHONE, &others, "of another member").await;
    let to_recover = bundle.grant(&bundle.request_sms_code(None, PHONE).await).await;
    refused(&member, PHONE, &to_recover, "to recover the login password").await;
    let by_mail = bundle.grant_by_mail(&bundle.request_email_code(None, "li@example.com").await).await;
    refused(&member, PHONE, &by_mail, "by email").await;
    bundle.age("sent#phone#", 120).await;
    let own = granted(&bundle, &member, PHONE).await;
    refused(&other, OTHER_PHONE, &own, "used by another member").await;
    reset(&bundle, &other, &json!({ "phone": OTHER_PHONE, "verification": others })).await.ok();
    bundle.age("grant#", 600).await;
    refused(&member, PHONE, &own, "600 seconds old").await;
    assert!(has_pin(&bundle, &member).await);
}

#[tokio::test]
async fn unacceptable_pin_does_not_consume_the_grant() {
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
async fn concurrent_resets_succeed_once() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let grant = granted(&bundle, &member, PHONE).await;
    let body = json!({ "phone": PHONE, "verification": grant });
    let responses =
        bundle.concurrently("reset-pay-password", 40, async |_| reset(&bundle, &member, &body).await).await;
    assert_eq!(responses.iter().filter(|response| response.status.is_success()).count(), 1, "{responses:#?}");
    let losers = responses.iter().filter(|response| response.refusal() == (400, "{VERIFICATION}_NOT_VALID"));
    assert_eq!(losers.count(), 39, "{responses:#?}");
}

/// Asserts that a reset is refused for the rest of 24 hours, at the send as well, that it does not consume the code, and
/// that it works afterwards.
async fn assert_cooling_off(bundle: &Bundle, member: &Member, phone: &str) {
    let own = format!("member#{}", member.id);
    let assert_refused = |refused: crate::bundle::Response| {
        assert_eq!(refused.refusal(), (403, "COOLING_OFF"));
        let seconds = refused.body["retryAfter"].as_u64().unwrap();
        assert!((86_300..=86_400).contains(&seconds), "{seconds}");
        assert_eq!(refused.headers["retry-after"], seconds.to_string());
    };
    let send = bundle.call(Method::GET, SEND_CODE).session(&member.token).query(&[("phone", phone)]);
    assert_refused(send.send().await);
    // The code of a member who is not in a cooling-off period.
    bundle.age(&own, 86_400).await;
    let (_, code) = bundle.request_sms_code(Some(member), phone).await;
    bundle.age(&own, -86_400).await;
    let body = json!({ "phone": phone, "message": code });
    for _ in 0..6 {
        assert_refused(reset(bundle, member, &body).await);
    }
    bundle.age(&own, 86_200).await;
    assert_eq!(reset(bundle, member, &body).await.refusal(), (403, "COOLING_OFF"));
    // The pay password can still be changed with the old one.
    update(bundle, member, PIN, NEW_PIN).await.ok();
    bundle.age(&own, 200).await;
    reset(bundle, member, &body).await.ok();
}

#[tokio::test]
async fn reset_waits_24_hours_after_a_phone_change() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let (_, code) = bundle.request_sms_code(Some(&member), OTHER_PHONE).await;
    let body = json!({ "message": code, "phone": OTHER_PHONE });
    bundle.call(Method::PUT, BIND_PHONE).session(&member.token).json(&body).await.ok();
    bundle.age("sent#phone#", 120).await;
    assert_cooling_off(&bundle, &member, OTHER_PHONE).await;
}

#[tokio::test]
async fn reset_waits_24_hours_after_a_recovery() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let grant = bundle.grant(&bundle.request_sms_code(None, PHONE).await).await;
    let body = json!({ "phone": PHONE, "passwordFirst": NEW_PASSWORD, "verification": grant });
    bundle.call(Method::PUT, RECOVERY).json(&body).await.ok();
    bundle.age("sent#phone#", 120).await;
    assert_cooling_off(&bundle, &bundle.logged_in(&member, 0).await, PHONE).await;
}

#[tokio::test]
async fn unchanged_pin_costs_an_attempt_and_no_proof() {
    for by_grant in [false, true] {
        let bundle = Bundle::start().await;
        let member = payer(&bundle).await;
        let sent = bundle.request_sms_code(Some(&member), PHONE).await;
        let mut body = json!({ "phone": PHONE, "message": sent.1, "payPasswordFirst": PIN });
        if by_grant {
            body =
                json!({ "phone": PHONE, "verification": bundle.grant(&sent).await, "payPasswordFirst": PIN });
        }
        for _ in 0..4 {
            assert_eq!(reset(&bundle, &member, &body).await.refusal(), (400, "{PAY_PASSWORD}_NOT_VALID"));
        }
        let mut last = body.clone();
        last["payPasswordFirst"] = json!(NEW_PIN);
        reset(&bundle, &member, &last).await.ok();
        update(&bundle, &member, NEW_PIN, PIN).await.ok();
    }
}

#[tokio::test]
async fn grant_compares_the_pin_five_times() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let grant = granted(&bundle, &member, PHONE).await;
    let mut body = json!({ "phone": PHONE, "verification": grant, "payPasswordFirst": PIN });
    for _ in 0..5 {
        assert_eq!(reset(&bundle, &member, &body).await.refusal(), (400, "{PAY_PASSWORD}_NOT_VALID"));
    }
    body["payPasswordFirst"] = json!(NEW_PIN);
    assert_eq!(reset(&bundle, &member, &body).await.refusal(), (400, "{VERIFICATION}_NOT_VALID"));
}
