//! 忘记密码第一步: a recovery code is requested, verified, and exchanged for a grant.

use crate::{
    bundle::{
        Bundle, EMAIL, NEW_PASSWORD, OTHER_EMAIL, OTHER_PHONE, PHONE, SEND_CODE, SEND_MAIL, data_file,
        wrong_code,
    },
    recovery::{granted, recover, verify},
};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn invalid_first_step_names_its_parameter() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let to_bind = bundle.request_sms_code(Some(&member), OTHER_PHONE).await.0;
    let to_bind_mail = bundle.request_email_code(Some(&member), OTHER_EMAIL).await.0;
    let by_mail = bundle.request_email_code(None, EMAIL).await.0;
    let phone_info = bundle.request_change_code(&member).await.0;
    bundle.age("sent#phone#", 120).await;
    let (verification, code) = bundle.request_sms_code(None, PHONE).await;
    let wrong = wrong_code(&code);
    for (body, expected) in [
        (json!({}), "{MESSAGE}_REQUIRED"),
        (json!({ "verification": verification }), "{MESSAGE}_REQUIRED"),
        (json!({ "message": code }), "{VERIFICATION}_REQUIRED"),
        (json!({ "message": code, "verification": "forged" }), "{VERIFICATION}_NOT_VALID"),
        (json!({ "message": code, "verification": verification.to_uppercase() }), "{VERIFICATION}_NOT_VALID"),
        (
            json!({ "message": code, "verification": &verification[..verification.len() - 4] }),
            "{VERIFICATION}_NOT_VALID",
        ),
        (json!({ "message": code, "verification": phone_info }), "{VERIFICATION}_NOT_VALID"),
        (json!({ "message": code, "verification": to_bind }), "{VERIFICATION}_NOT_VALID"),
        (json!({ "message": code, "verification": to_bind_mail }), "{VERIFICATION}_NOT_VALID"),
        (json!({ "message": code, "verification": by_mail }), "{VERIFICATION}_NOT_VALID"),
        (json!({ "message": code, "verification": "A".repeat(43) }), "{VERIFICATION}_NOT_VALID"),
        (json!({ "message": wrong, "verification": verification }), "{CODE}_NOT_VALID"),
    ] {
        assert_eq!(verify(&bundle, &body).await.refusal(), (400, expected), "{body}");
    }
    verify(&bundle, &json!({ "message": code, "verification": verification })).await.ok();
}

#[tokio::test]
async fn token_of_another_deployment_is_refused() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    let elsewhere = Bundle::start().await;
    elsewhere.member().await;
    let (_, code) = bundle.request_sms_code(None, PHONE).await;
    let (foreign, _) = elsewhere.request_sms_code(None, PHONE).await;
    let refused = verify(&bundle, &json!({ "message": code, "verification": foreign })).await;
    assert_eq!(refused.refusal(), (400, "{VERIFICATION}_NOT_VALID"));
}

#[tokio::test]
async fn concurrent_requests_send_one_code() {
    let bundle = Bundle::with(&[("SOURCE_SENDS_PER_HOUR", "1000")]).await;
    bundle.member().await;
    for (function, method, path) in
        [("send-code", Method::GET, SEND_CODE), ("send-mail", Method::POST, SEND_MAIL)]
    {
        let body = json!({ "phone": PHONE, "email": EMAIL });
        let responses = bundle
            .concurrently(function, 40, async |_| bundle.call(method.clone(), path).json(&body).await)
            .await;
        let count = |status: u16| responses.iter().filter(|response| response.status == status).count();
        assert_eq!((count(200), count(429)), (1, 39), "{responses:#?}");
    }
    bundle.settled().await;
    assert_eq!(bundle.stack.messages().len(), 2, "expected one by SMS and one by email");
}

#[tokio::test]
async fn concurrent_correct_codes_issue_one_grant() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    let (verification, code) = bundle.request_sms_code(None, PHONE).await;
    let body = json!({ "message": code, "verification": verification });
    let responses =
        bundle.concurrently("verify-recovery-code", 40, async |_| verify(&bundle, &body).await).await;
    assert_eq!(responses.iter().filter(|response| response.status.is_success()).count(), 1, "{responses:#?}");
    assert_eq!(verify(&bundle, &body).await.refusal(), (400, "{CODE}_NOT_VALID"));
}

#[tokio::test]
async fn concurrent_wrong_codes_get_five_attempts() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    let (verification, code) = bundle.request_sms_code(None, PHONE).await;
    let body = json!({ "message": wrong_code(&code), "verification": verification });
    let responses =
        bundle.concurrently("verify-recovery-code", 40, async |_| verify(&bundle, &body).await).await;
    let count = |expected| responses.iter().filter(|response| response.refusal() == expected).count();
    assert_eq!(count((400, "{CODE}_NOT_VALID")), 5, "{responses:#?}");
    assert_eq!(count((429, "TOO_MANY_ATTEMPTS")), 35);
}

#[tokio::test]
async fn wrong_codes_count_down_to_the_attempt_limit() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    let (verification, code) = bundle.request_sms_code(None, PHONE).await;
    let body = |code: &str| json!({ "message": code, "verification": verification });
    for left in (0..5).rev() {
        let refused = verify(&bundle, &body(wrong_code(&code))).await;
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
        assert_eq!(refused.body["attemptsLeft"], left);
    }
    let refused = verify(&bundle, &body(&code)).await;
    assert_eq!(refused.refusal(), (429, "TOO_MANY_ATTEMPTS"));
    let seconds = refused.body["retryAfter"].as_u64().unwrap();
    assert!((1..=120).contains(&seconds), "expected the rest of the resend cooldown: {seconds}");
    assert_eq!(refused.headers["retry-after"], seconds.to_string());
}

#[tokio::test]
async fn code_expires_after_300_seconds_before_ttl_deletion() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    let (verification, code) = bundle.request_sms_code(None, PHONE).await;
    bundle.age("code#", 300).await;
    let refused = verify(&bundle, &json!({ "message": code, "verification": verification })).await;
    assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
    assert_eq!(refused.body["attemptsLeft"], 0);
}

#[tokio::test]
async fn code_works_only_for_the_requesting_flow() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (of_another_flow, earlier_code) = bundle.request_sms_code(None, PHONE).await;
    bundle.age("sent#phone#", 120).await;
    let (verification, code) = bundle.request_sms_code(None, PHONE).await;
    for (verification, message, attempts_left) in
        [(&of_another_flow, &code, 4), (&verification, &earlier_code, 4), (&of_another_flow, &code, 3)]
    {
        let refused = verify(&bundle, &json!({ "message": message, "verification": verification })).await;
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
        assert_eq!(refused.body["attemptsLeft"], attempts_left);
    }
    bundle.grant(&(of_another_flow, earlier_code)).await;
    let grant = bundle.grant(&(verification, code)).await;
    let body = json!({ "phone": PHONE, "passwordFirst": NEW_PASSWORD, "verification": grant });
    recover(&bundle, &body).await.ok();
    assert!(bundle.has_password(&member, NEW_PASSWORD).await);
}

#[tokio::test]
async fn daily_failures_count_across_flows_but_not_successes() {
    let bundle = Bundle::with(&[("FAILURES_PER_DAY", "3"), ("SENDS_PER_HOUR", "100")]).await;
    bundle.member().await;
    // Correct codes, whose count is returned.
    for _ in 0..4 {
        granted(&bundle, PHONE).await;
        bundle.age("sent#phone#", 120).await;
    }
    for left in [2, 1, 0] {
        let (verification, code) = bundle.request_sms_code(None, PHONE).await;
        let refused =
            verify(&bundle, &json!({ "message": wrong_code(&code), "verification": verification })).await;
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
        assert_eq!(refused.body["attemptsLeft"], left);
        bundle.age("sent#phone#", 120).await;
    }
    let (verification, code) = bundle.request_sms_code(None, PHONE).await;
    let body = json!({ "message": code, "verification": verification });
    let refused = verify(&bundle, &body).await;
    assert_eq!(refused.refusal(), (429, "TOO_MANY_ATTEMPTS"));
    assert!((86_000..=86_400).contains(&refused.body["retryAfter"].as_u64().unwrap()), "{}", refused.text);
    bundle.age("failures#", 86_400).await;
    verify(&bundle, &body).await.ok();
}

#[tokio::test]
async fn daily_failures_survive_restarts_and_ignore_the_source() {
    let (data, keys) = (data_file("failures"), local::keys::fresh());
    let settings = [("FAILURES_PER_DAY", "2")];
    let bundle = Bundle::with_data(&settings, &data, &keys).await;
    bundle.member().await;
    let (verification, code) = bundle.request_sms_code(None, PHONE).await;
    let refused =
        verify(&bundle, &json!({ "message": wrong_code(&code), "verification": verification })).await;
    assert_eq!((refused.refusal(), &refused.body["attemptsLeft"]), ((400, "{CODE}_NOT_VALID"), &json!(1)));
    bundle.shutdown().await;

    let bundle = Bundle::with_data(&settings, &data, &keys).await;
    bundle.age("sent#phone#", 120).await;
    let (verification, code) = bundle.request_sms_code(None, PHONE).await;
    let mut event: Value =
        serde_json::from_str(include_str!("../events/verify-recovery-code/refusal.json")).unwrap();
    assert_eq!(event["requestContext"]["identity"]["sourceIp"], "203.0.113.7");
    event["body"] = json!(json!({ "message": wrong_code(&code), "verification": verification }).to_string());
    let response = bundle.invoke("verify-recovery-code", &event).await;
    let refused: Value = serde_json::from_str(response.body["body"].as_str().unwrap()).unwrap();
    assert_eq!((&refused["error"], &refused["attemptsLeft"]), (&json!("{CODE}_NOT_VALID"), &json!(0)));
    let refused = verify(&bundle, &json!({ "message": code, "verification": verification })).await;
    assert_eq!(refused.refusal(), (429, "TOO_MANY_ATTEMPTS"));
}

#[tokio::test]
async fn failures_of_one_purpose_leave_others_unaffected() {
    let bundle = Bundle::with(&[("FAILURES_PER_DAY", "1")]).await;
    let member = bundle.member().await;
    let (verification, code) = bundle.request_sms_code(None, PHONE).await;
    let refused =
        verify(&bundle, &json!({ "message": wrong_code(&code), "verification": verification })).await;
    assert_eq!((refused.refusal(), &refused.body["attemptsLeft"]), ((400, "{CODE}_NOT_VALID"), &json!(0)));
    bundle.grant_by_mail(&bundle.request_email_code(None, EMAIL).await).await;
    bundle.age("sent#phone#", 120).await;
    bundle.grant(&bundle.request_sms_code(Some(&member), PHONE).await).await;
}

#[tokio::test]
async fn signed_in_member_can_request_a_recovery_code() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let call = bundle.call(Method::GET, SEND_CODE).session(&member.token);
    let sent = call.query(&[("phone", PHONE), ("purpose", "recover")]).send().await.documented(200);
    let requested = (sent.verification().to_owned(), bundle.code_to("+8613627140483").await);
    let grant = bundle.grant(&requested).await;
    let body = json!({ "phone": PHONE, "passwordFirst": NEW_PASSWORD, "verification": grant });
    recover(&bundle, &body).await.ok();
}
