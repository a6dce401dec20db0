//! The first document: a member with a session changes the login password by SMS.

use crate::bundle::{Bundle, CHANGE_BY_MESSAGE, Member, NEW_PASSWORD, OLD_PASSWORD, PHONE, SEND, wrong_code};
use reqwest::Method;
use serde_json::{Value, json};

/// The `phoneInfo` of the document's example, signed with its fixed suffix.
const DOCUMENTED_PHONE_INFO: &str = "T0RZLi5xenktc3AtdG9rZW5ANmNzOTJkLXRva2VuLk1UTTJNamN4TkRBME9ETS4ucXp5LXNwLXRva2VuQDZjczkyZC10b2tlbi5NakEuLnF6eS1zcC10b2tlbkA2Y3M5MmQtdG9rZW4uN2JjYWZkYjA1ZGEzNzM0ZTAxYWMzODVkNjFlYzRjMWE.";

async fn change(bundle: &Bundle, member: &Member, body: &Value) -> crate::bundle::Response {
    bundle.call(Method::POST, CHANGE_BY_MESSAGE).session(&member.token).json(body).await
}

#[tokio::test]
async fn documented_example_works_as_printed() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;

    let sent = bundle.call(Method::POST, SEND).session(&member.token).json(&json!({})).await.ok();
    let body = &sent.body;
    assert_eq!(body["status"], 200);
    assert_eq!(body["code"], "OK");
    assert_eq!(body["success"], true);
    assert_eq!((body["expiresIn"].as_u64(), body["resendIn"].as_u64()), (Some(300), Some(120)));
    let phone_info = body["result"].as_str().unwrap();
    // Up to the flag, the token equals the document's sample.
    assert!(phone_info.starts_with("T0RZLi5xenktc3AtdG9rZW5ANmNzOTJkLXRva2VuLk1UTTJNamN4TkRBME9ETS4ucXp5LXNwLXRva2VuQDZjczkyZC10b2tlbi5NekEuLnF6eS1zcC10b2tlbkA2Y3M5MmQtdG9rZW4u"));

    let sms = &bundle.stack.messages()[0];
    assert_eq!(sms.to, "+8613627140483");
    let code = bundle.code();
    assert_eq!(code.len(), 6);

    let body = json!({ "phoneInfo": phone_info, "code": code, "newPassword": "026129" });
    let changed = bundle.call(Method::POST, CHANGE_BY_MESSAGE).session(sent.token()).json(&body).await.ok();
    assert_eq!((changed.body["status"].as_u64(), changed.body["result"].as_bool()), (Some(200), Some(true)));
    assert!(bundle.has_password(&member, "026129").await);
    assert!(!bundle.has_password(&member, OLD_PASSWORD).await);
}

#[tokio::test]
async fn session_is_required_and_revoked_by_the_change() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    for path in [SEND, CHANGE_BY_MESSAGE] {
        let call = || bundle.call(Method::POST, path);
        assert_eq!(call().send().await.refusal(), (401, "INVALID_TOKEN"));
        assert_eq!(call().session("a.b.c").send().await.refusal(), (401, "INVALID_TOKEN"));
        let query = [("token", member.token.as_str())];
        assert_eq!(call().query(&query).send().await.refusal(), (401, "INVALID_TOKEN"));
    }
    let (phone_info, code) = bundle.request_change_code(&member).await;
    let body = json!({ "phoneInfo": phone_info, "code": code, "newPassword": NEW_PASSWORD });
    let changed = change(&bundle, &member, &body).await.ok();
    assert_eq!(change(&bundle, &member, &body).await.refusal(), (401, "INVALID_TOKEN"));
    assert_eq!(changed.headers["authorization"], format!("Bearer {}", changed.token()));
    let renewed = Member { token: changed.token().to_owned(), ..member };
    assert_eq!(change(&bundle, &renewed, &json!({})).await.refusal(), (400, "{NEW_PASSWORD}_REQUIRED"));
}

#[tokio::test]
async fn session_is_accepted_in_headers_and_body() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let call = || bundle.call(Method::POST, CHANGE_BY_MESSAGE);
    let expected = (400, "{NEW_PASSWORD}_REQUIRED");
    assert_eq!(
        call().header("authorization", &format!("bearer {}", member.token)).send().await.refusal(),
        expected
    );
    assert_eq!(call().header("token", &member.token).send().await.refusal(), expected);
    assert_eq!(call().json(&json!({ "token": member.token })).await.refusal(), expected);
    assert_eq!(call().form(&[("token", &member.token)]).await.refusal(), expected);
    // The first one present counts, valid or not.
    let bad_first = call().session("a.b.c").header("token", &member.token).send().await;
    assert_eq!(bad_first.refusal(), (401, "INVALID_TOKEN"));
}

#[tokio::test]
async fn checks_run_in_the_documented_order() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (phone_info, code) = bundle.request_change_code(&member).await;
    let other = bundle.member_with(json!({ "phone": "13800138000" })).await;
    let others = bundle.request_change_code(&other).await.0;
    let wrong = wrong_code(&code);
    for (body, expected) in [
        (json!({}), "{NEW_PASSWORD}_REQUIRED"),
        (json!({ "newPassword": "123456" }), "{PHONE_INFO}_REQUIRED"),
        (json!({ "newPassword": "123456", "phoneInfo": "forged" }), "{CODE}_REQUIRED"),
        (json!({ "newPassword": "123456", "phoneInfo": "forged", "code": wrong }), "{PHONE_INFO}_NOT_VALID"),
        (
            json!({ "newPassword": "123456", "phoneInfo": DOCUMENTED_PHONE_INFO, "code": wrong }),
            "{PHONE_INFO}_NOT_VALID",
        ),
        (json!({ "newPassword": "123456", "phoneInfo": others, "code": wrong }), "{NEW_PASSWORD}_NOT_VALID"),
        (json!({ "newPassword": NEW_PASSWORD, "phoneInfo": others, "code": wrong }), "USER_PHONE_NOT_MATCH"),
        (json!({ "newPassword": NEW_PASSWORD, "phoneInfo": phone_info, "code": wrong }), "{CODE}_NOT_VALID"),
    ] {
        assert_eq!(change(&bundle, &member, &body).await.refusal(), (400, expected), "{body}");
    }
    let key = json!({ "Key": { "pk": { "S": format!("member#{}", member.id) }, "sk": { "S": "member" } } });
    bundle.dynamodb("DeleteItem", key).await;
    let acceptable = json!({ "newPassword": NEW_PASSWORD, "phoneInfo": others, "code": wrong });
    assert_eq!(change(&bundle, &member, &acceptable).await.refusal(), (400, "USER_NOT_FOUND"));
}

#[tokio::test]
async fn unacceptable_password_does_not_consume_the_code() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (phone_info, code) = bundle.request_change_code(&member).await;
    for password in [
        "12345",
        "password",
        "undefined",
        "[object Object]",
        PHONE,
        "+8613627140483",
        "li@example.com",
        &"x".repeat(129),
    ] {
        for _ in 0..2 {
            let body = json!({ "phoneInfo": phone_info, "code": code, "newPassword": password });
            assert_eq!(
                change(&bundle, &member, &body).await.refusal(),
                (400, "{NEW_PASSWORD}_NOT_VALID"),
                "{password}"
            );
        }
    }
    change(&bundle, &member, &json!({ "phoneInfo": phone_info, "code": code, "newPassword": NEW_PASSWORD }))
        .await
        .ok();
}

#[tokio::test]
async fn unchanged_password_costs_an_attempt_and_no_code() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (phone_info, code) = bundle.request_change_code(&member).await;
    let body = |password: &str| json!({ "phoneInfo": phone_info, "code": code, "newPassword": password });
    for _ in 0..4 {
        let refused = change(&bundle, &member, &body(OLD_PASSWORD)).await;
        assert_eq!(refused.refusal(), (400, "{NEW_PASSWORD}_NOT_VALID"));
    }
    assert_eq!(bundle.inspect(&member).await["credentialVersion"], 1);
    change(&bundle, &member, &body(NEW_PASSWORD)).await.ok();
}

#[tokio::test]
async fn wrong_code_does_not_compare_the_password() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (phone_info, code) = bundle.request_change_code(&member).await;
    for password in [OLD_PASSWORD, NEW_PASSWORD] {
        let body = json!({ "phoneInfo": phone_info, "code": wrong_code(&code), "newPassword": password });
        assert_eq!(change(&bundle, &member, &body).await.refusal(), (400, "{CODE}_NOT_VALID"));
    }
}

#[tokio::test]
async fn old_password_is_optional_but_must_be_correct() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (phone_info, code) = bundle.request_change_code(&member).await;
    let mut body =
        json!({ "phoneInfo": phone_info, "code": code, "newPassword": NEW_PASSWORD, "oldPassword": "wrong" });
    assert_eq!(change(&bundle, &member, &body).await.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
    body["oldPassword"] = json!(OLD_PASSWORD);
    change(&bundle, &member, &body).await.ok();
}

#[tokio::test]
async fn correct_old_password_is_not_a_failure() {
    let bundle = Bundle::with(&[("PASSWORD_MAX_FAILURES", "1")]).await;
    let mut member = bundle.member().await;
    for [old, new] in [[OLD_PASSWORD, NEW_PASSWORD], [NEW_PASSWORD, OLD_PASSWORD]] {
        let (phone_info, code) = bundle.request_change_code(&member).await;
        let body = json!({ "phoneInfo": phone_info, "code": code, "newPassword": new, "oldPassword": old });
        member.token = change(&bundle, &member, &body).await.ok().token().to_owned();
        bundle.age("sent#phone#", 120).await;
    }
}

#[tokio::test]
async fn wrong_codes_count_down_to_the_attempt_limit() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (phone_info, code) = bundle.request_change_code(&member).await;
    let body = |code: &str| json!({ "phoneInfo": phone_info, "code": code, "newPassword": NEW_PASSWORD });
    for left in (0..5).rev() {
        let refused = change(&bundle, &member, &body(wrong_code(&code))).await;
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
        assert_eq!(refused.body["attemptsLeft"], left);
    }
    let refused = change(&bundle, &member, &body(&code)).await;
    assert_eq!(refused.refusal(), (429, "TOO_MANY_ATTEMPTS"));
    let seconds = refused.body["retryAfter"].as_u64().unwrap();
    assert!((1..=120).contains(&seconds), "expected the rest of the resend cooldown: {seconds}");
    assert_eq!(refused.headers["retry-after"], seconds.to_string());
    assert!(bundle.has_password(&member, OLD_PASSWORD).await);
}

#[tokio::test]
async fn resend_waits_120_seconds_and_replaces_the_code() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (phone_info, first) = bundle.request_change_code(&member).await;
    let refused = bundle.call(Method::POST, SEND).session(&member.token).send().await;
    assert_eq!(refused.refusal(), (400, "SEND_MESSAGE_FREQUENTLY"));
    let seconds = refused.body["retryAfter"].as_u64().unwrap();
    assert!((110..=120).contains(&seconds), "{seconds}");
    assert_eq!(refused.headers["retry-after"], seconds.to_string());
    assert_eq!(bundle.stack.messages().len(), 1, "a refused send must not send a message");

    bundle.age("sent#phone#", 120).await;
    let (_, second) = bundle.request_change_code(&member).await;
    let body = |code: &str| json!({ "phoneInfo": phone_info, "code": code, "newPassword": NEW_PASSWORD });
    if first != second {
        assert_eq!(change(&bundle, &member, &body(&first)).await.refusal(), (400, "{CODE}_NOT_VALID"));
    }
    change(&bundle, &member, &body(&second)).await.ok();
}

#[tokio::test]
async fn code_expires_after_300_seconds_before_ttl_deletion() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (phone_info, code) = bundle.request_change_code(&member).await;
    bundle.age("code#", 300).await;
    let refused = change(
        &bundle,
        &member,
        &json!({ "phoneInfo": phone_info, "code": code, "newPassword": NEW_PASSWORD }),
    )
    .await;
    assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
    assert_eq!(refused.body["attemptsLeft"], 0);
}

#[tokio::test]
async fn settings_determine_code_lifetime_cooldown_and_length() {
    let bundle =
        Bundle::with(&[("CODE_TTL_SECONDS", "1"), ("RESEND_AFTER_SECONDS", "1"), ("CODE_LENGTH", "10")])
            .await;
    let member = bundle.member().await;
    let sent = bundle.call(Method::POST, SEND).session(&member.token).send().await.ok();
    assert_eq!((sent.body["expiresIn"].as_u64(), sent.body["resendIn"].as_u64()), (Some(1), Some(1)));
    assert_eq!(bundle.code().len(), 10);
}

#[tokio::test]
async fn code_works_once() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (phone_info, code) = bundle.request_change_code(&member).await;
    let body = json!({ "phoneInfo": phone_info, "code": code, "newPassword": NEW_PASSWORD });
    let changed = change(&bundle, &member, &body).await.ok();
    let renewed = Member { token: changed.token().to_owned(), ..member };
    assert_eq!(change(&bundle, &renewed, &body).await.refusal(), (400, "{CODE}_NOT_VALID"));
}

#[tokio::test]
async fn concurrent_correct_codes_change_the_password_once() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (phone_info, code) = bundle.request_change_code(&member).await;
    let responses = bundle.concurrently("change-password-by-message", 40, async |number| {
        let body =
            json!({ "phoneInfo": phone_info, "code": code, "newPassword": format!("new-password-{number}") });
        change(&bundle, &member, &body).await
    })
    .await;
    let winners: Vec<_> = (0..40).filter(|number| responses[*number].status.is_success()).collect();
    assert_eq!(winners.len(), 1, "{responses:#?}");
    for response in responses.iter().filter(|response| !response.status.is_success()) {
        let expected = [(400, "{CODE}_NOT_VALID"), (429, "TOO_MANY_ATTEMPTS"), (401, "INVALID_TOKEN")];
        assert!(expected.contains(&response.refusal()), "{response:?}");
    }
    assert!(bundle.has_password(&member, &format!("new-password-{}", winners[0])).await);
}

#[tokio::test]
async fn concurrent_wrong_codes_get_five_attempts() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (phone_info, code) = bundle.request_change_code(&member).await;
    let body = json!({ "phoneInfo": phone_info, "code": wrong_code(&code), "newPassword": NEW_PASSWORD });
    let responses = bundle
        .concurrently("change-password-by-message", 40, async |_| change(&bundle, &member, &body).await)
        .await;
    let count = |expected| responses.iter().filter(|response| response.refusal() == expected).count();
    assert_eq!(count((400, "{CODE}_NOT_VALID")), 5, "{responses:#?}");
    assert_eq!(count((429, "TOO_MANY_ATTEMPTS")), 35);
}

#[tokio::test]
async fn concurrent_sends_send_one_code() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let responses = bundle
        .concurrently("send-change-password-message", 40, async |_| {
            bundle.call(Method::POST, SEND).session(&member.token).send().await
        })
        .await;
    assert_eq!(responses.iter().filter(|response| response.status.is_success()).count(), 1, "{responses:#?}");
    assert_eq!(
        responses.iter().filter(|response| response.refusal() == (400, "SEND_MESSAGE_FREQUENTLY")).count(),
        39
    );
    assert_eq!(bundle.stack.messages().len(), 1);
}

#[tokio::test]
async fn daily_failures_count_across_codes_but_not_successes() {
    let bundle = Bundle::with(&[("FAILURES_PER_DAY", "3"), ("SENDS_PER_HOUR", "10")]).await;
    let mut member = bundle.member().await;
    // Correct codes, whose count is returned.
    for round in 0..4 {
        let (phone_info, code) = bundle.request_change_code(&member).await;
        let body =
            json!({ "phoneInfo": phone_info, "code": code, "newPassword": format!("new-password-{round}") });
        member.token = change(&bundle, &member, &body).await.ok().token().to_owned();
        bundle.age("sent#phone#", 120).await;
    }
    for left in [2, 1, 0] {
        let (phone_info, code) = bundle.request_change_code(&member).await;
        let body = json!({ "phoneInfo": phone_info, "code": wrong_code(&code), "newPassword": NEW_PASSWORD });
        let refused = change(&bundle, &member, &body).await;
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
        assert_eq!(refused.body["attemptsLeft"], left);
        bundle.age("sent#phone#", 120).await;
    }
    let (phone_info, code) = bundle.request_change_code(&member).await;
    let body = json!({ "phoneInfo": phone_info, "code": code, "newPassword": NEW_PASSWORD });
    let refused = change(&bundle, &member, &body).await;
    assert_eq!(refused.refusal(), (429, "TOO_MANY_ATTEMPTS"));
    assert!((86_000..=86_400).contains(&refused.body["retryAfter"].as_u64().unwrap()));
    bundle.age("failures#", 86_400).await;
    change(&bundle, &member, &body).await.ok();
}

#[tokio::test]
async fn member_without_phone_gets_phone_required() {
    let bundle = Bundle::start().await;
    let member = bundle.member_with(json!({ "password": OLD_PASSWORD })).await;
    let refused = bundle.call(Method::POST, SEND).session(&member.token).send().await;
    assert_eq!(refused.refusal(), (400, "{PHONE}_REQUIRED"));
}

#[tokio::test]
async fn change_is_recorded_and_the_member_is_notified() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (phone_info, code) = bundle.request_change_code(&member).await;
    let body = json!({ "phoneInfo": phone_info, "code": code, "newPassword": NEW_PASSWORD });
    let changed = bundle
        .call(Method::POST, CHANGE_BY_MESSAGE)
        .session(&member.token)
        .header("User-Agent", "the member's app")
        .header("X-Forwarded-For", "203.0.113.9")
        .header("Accept-Language", "en")
        .json(&body)
        .await
        .ok();
    let stored = bundle.inspect(&member).await;
    assert_eq!(stored["credentialVersion"], 2);
    let [record] = stored["audit"].as_array().unwrap().as_slice() else { panic!("{stored}") };
    assert_eq!(record["action"], "password-changed-by-message");
    assert_eq!(record["source_ip"], "127.0.0.1");
    assert_eq!(record["user_agent"], "the member's app");
    assert_eq!(record["request_id"], changed.headers["x-request-id"].to_str().unwrap());

    for to in ["+8613627140483", "li@example.com"] {
        assert_eq!(bundle.notices_to(to).await.len(), 1, "{to}");
    }
}
