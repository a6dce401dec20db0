//! The parameters that every call accepts, and the properties of every response.

use crate::{
    bundle::{
        BIND_PHONE, Bundle, CHANGE, CHANGE_BY_MESSAGE, EMAIL, OLD_PASSWORD, OTHER_EMAIL, OTHER_PHONE, PHONE,
        PIN, RECOVERY, RESET_PAY_PASSWORD, SEND, SEND_CODE, SEND_MAIL, SET_PAY_PASSWORD, UPDATE_PAY_PASSWORD,
        VERIFY_MAIL, e164,
    },
    journey::{Encoding, Journey},
};
use reqwest::Method;
use serde_json::json;
use std::process::Command;

#[tokio::test]
async fn json_form_and_query_are_equivalent_body_wins() {
    let bundle = Bundle::start().await;
    let mut member = bundle.member().await;
    let mut passwords = [OLD_PASSWORD, "密码 & 密码=1+1", "30313233343536", "the-last-password"];
    for round in 0..3 {
        let [old, new] = [passwords[0], passwords[1]];
        let call = bundle.call(Method::PUT, CHANGE).session(&member.token);
        let changed = match round {
            0 => {
                call.query(&[("newPasswordFirst", "from-the-query")])
                    .json(&json!({ "oldPassword": old, "newPasswordFirst": new }))
                    .await
            }
            // A JSON number is read as its digits.
            1 => {
                call.query(&[("oldPassword", old)])
                    .header("content-type", "application/json")
                    .body(format!(r#"{{"newPasswordFirst":{new}}}"#))
                    .await
            }
            _ => call.form(&[("oldPassword", old), ("newPasswordFirst", new)]).await,
        };
        member.token = changed.ok().token().to_owned();
        passwords.rotate_left(1);
    }
    let changed = bundle
        .call(Method::PUT, CHANGE)
        .session(&member.token)
        .query(&[("oldPassword", "the-last-password"), ("newPasswordFirst", "wörd & + %25 的")])
        .send()
        .await;
    assert_eq!(changed.status, 201, "{}", changed.text);
    assert!(bundle.has_password(&member, "wörd & + %25 的").await);
}

#[tokio::test]
async fn every_call_accepts_json_form_and_query() {
    for encoding in [Encoding::Json, Encoding::Form, Encoding::Query] {
        Journey::run(&Bundle::start().await, encoding).await;
    }
}

#[tokio::test]
async fn every_response_forbids_content_sniffing() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (page, phone) = ([("verification", "no-token"), ("code", "1")], [("phone", OTHER_PHONE)]);
    for (response, status) in [
        (bundle.call(Method::POST, SEND).session(&member.token).send().await, 200),
        (bundle.call(Method::GET, SEND_CODE).query(&phone).send().await, 200),
        (bundle.call(Method::GET, VERIFY_MAIL).query(&page).send().await, 200),
        (bundle.call(Method::POST, SEND).send().await, 401),
        (bundle.call(Method::POST, RECOVERY).body("[").await, 400),
        (bundle.call(Method::POST, RECOVERY).body(" ".repeat(20_000)).await, 413),
        (bundle.call(Method::GET, SEND_CODE).query(&phone).send().await, 429),
    ] {
        assert_eq!(response.status, status, "{}", response.text);
        let options = response.headers.get("x-content-type-options");
        assert_eq!(options.map(|value| value.to_str().unwrap()), Some("nosniff"), "{response:?}");
    }
    for function in ["send-change-password-message", "send-mail", "verify-mail"] {
        for event in [json!({ "not": "a request" }), json!(null), json!(["a"])] {
            let malformed = bundle.invoke(function, &event).await.body;
            assert_eq!(malformed["statusCode"], 400, "{malformed}");
            assert_eq!(malformed["headers"]["x-content-type-options"], "nosniff", "{function}");
        }
    }
}

#[tokio::test]
async fn every_response_to_a_session_renews_it() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let to_recover = bundle.request_sms_code(None, PHONE).await;
    let to_bind = bundle.request_email_code(Some(&member), OTHER_EMAIL).await;
    bundle.age("sent#phone#", 120).await;
    // The endpoints that do not require a session. The flows of the others test the renewal.
    for (method, path, body) in [
        (Method::POST, RECOVERY, json!({ "verification": to_recover.0, "message": to_recover.1 })),
        (Method::POST, VERIFY_MAIL, json!({ "verification": to_bind.0, "code": to_bind.1 })),
        (Method::POST, SEND_MAIL, json!({ "email": EMAIL })),
        (Method::GET, SEND_CODE, json!({ "phone": PHONE, "purpose": "recover" })),
    ] {
        let response = bundle.call(method, path).session(&member.token).json(&body).await.ok();
        assert!(response.body["token"].is_string(), "{path}: {}", response.text);
        assert_eq!(response.headers["authorization"], format!("Bearer {}", response.token()), "{path}");
    }
}

#[tokio::test]
async fn session_of_removed_member_gets_user_not_found() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    bundle.remove(&member).await;
    for (method, path, body) in [
        (Method::POST, SEND, json!({})),
        (Method::GET, SEND_CODE, json!({ "phone": PHONE })),
        (Method::PUT, BIND_PHONE, json!({ "message": "123456", "phone": PHONE })),
        (Method::PUT, SET_PAY_PASSWORD, json!({ "payPasswordFirst": PIN })),
        (Method::PUT, UPDATE_PAY_PASSWORD, json!({ "oldPassword": "258036", "payPasswordFirst": PIN })),
        (Method::PUT, RESET_PAY_PASSWORD, json!({ "message": "123456", "phone": PHONE })),
        (Method::POST, SEND_MAIL, json!({ "email": EMAIL })),
    ] {
        let refused = bundle.call(method, path).session(&member.token).json(&body).await;
        assert_eq!(refused.refusal(), (400, "USER_NOT_FOUND"), "{path}");
    }
}

#[tokio::test]
async fn sms_ends_with_the_web_otp_domain() {
    let bundle = Bundle::with(&[("WEB_OTP_DOMAIN", "shop.example.com")]).await;
    let member = bundle.member().await;
    let (_, code) = bundle.request_sms_code(Some(&member), PHONE).await;
    let text = bundle.sent_to(&e164(PHONE)).await.remove(0).text;
    assert_eq!(text.lines().last(), Some(format!("@shop.example.com #{code}").as_str()), "{text}");
}

#[tokio::test]
async fn malformed_body_gets_the_error_of_its_envelope() {
    let bundle = Bundle::start().await;
    for (method, path) in [
        (Method::POST, SEND),
        (Method::POST, CHANGE_BY_MESSAGE),
        (Method::PUT, CHANGE),
        (Method::GET, SEND_CODE),
        (Method::PUT, BIND_PHONE),
        (Method::PUT, SET_PAY_PASSWORD),
        (Method::PUT, RESET_PAY_PASSWORD),
        (Method::PUT, UPDATE_PAY_PASSWORD),
        (Method::POST, RECOVERY),
        (Method::PUT, RECOVERY),
        (Method::POST, SEND_MAIL),
        (Method::POST, VERIFY_MAIL),
    ] {
        let call = || bundle.call(method.clone(), path).header("content-type", "application/json");
        assert_eq!(call().body("[").await.refusal(), (400, "BODY_NOT_VALID"));
        assert_eq!(call().body(vec![0xff, 0xfe]).await.refusal(), (400, "BODY_NOT_VALID"));
        assert_eq!(
            call().body(format!("{{\"a\":\"{}\"}}", "x".repeat(16 * 1024))).await.refusal(),
            (413, "BODY_TOO_LARGE")
        );
        assert_eq!(call().body("[".repeat(16 * 1024)).await.refusal(), (400, "BODY_NOT_VALID"));
    }
    let first = bundle.call(Method::POST, CHANGE_BY_MESSAGE).header("accept-language", "en").body("x").await;
    assert_eq!(
        first.text,
        r#"{"status":400,"code":"BODY_NOT_VALID","message":"The request is neither a JSON object nor a form.","success":false}"#
    );
    let second = bundle.call(Method::PUT, CHANGE).header("accept-language", "en").body("x").await;
    assert_eq!(
        second.text,
        r#"{"code":"400","msg":"The request is neither a JSON object nor a form.","data":null,"error":"BODY_NOT_VALID"}"#
    );
}

#[tokio::test]
async fn messages_follow_the_language_but_codes_do_not() {
    let bundle = Bundle::start().await;
    let send = async |language: &str| {
        bundle.call(Method::POST, SEND).header("accept-language", language).send().await
    };
    for (language, message) in [
        ("zh-CN", "登录已过期或无效，请重新登录"),
        ("fr", "登录已过期或无效，请重新登录"),
        ("en-US,zh;q=0.5", "Your session has expired or is not valid. Please log in again."),
    ] {
        let refused = send(language).await;
        assert_eq!(refused.body["message"], message, "{language}");
        assert_eq!(refused.body["code"], "INVALID_TOKEN");
    }
    let member = bundle.member().await;
    bundle.call(Method::POST, SEND).session(&member.token).header("accept-language", "en").send().await.ok();
    assert!(bundle.stack.messages()[0].text.contains("is your code to change the login password"));
    bundle.age("sent#phone#", 120).await;
    bundle.call(Method::POST, SEND).session(&member.token).send().await.ok();
    assert!(bundle.stack.messages()[0].text.starts_with("您正在修改登录密码，验证码"));
}

#[tokio::test]
async fn responses_are_uncached_and_have_a_request_id() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let refused = bundle.call(Method::POST, SEND).send().await;
    let sent = bundle.call(Method::POST, SEND).session(&member.token).send().await;
    assert_ne!(refused.headers["x-request-id"], sent.headers["x-request-id"]);
    for response in [refused, sent] {
        assert_eq!(response.headers["cache-control"], "no-store");
        assert_eq!(response.headers["content-type"], "application/json; charset=utf-8");
        assert_eq!(response.headers["x-request-id"].len(), 36);
    }
}

#[test]
fn invalid_setting_stops_the_function_and_is_named() {
    let environment = [("CODE_LENGTH", "5"), ("KEYS", "{}"), ("AWS_REGION", "us-east-1")];
    let ended =
        Command::new(env!("CARGO_BIN_EXE_change-password")).env_clear().envs(environment).output().unwrap();
    assert!(!ended.status.success());
    let log = String::from_utf8(ended.stdout).unwrap();
    assert!(log.contains("the function cannot start: CODE_LENGTH must be a number from 6 to 10\\n"), "{log}");
    assert!(log.contains("\\nTABLE_NAME must be set\\n"), "{log}");
}
