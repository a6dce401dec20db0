//! Logs contain nothing of a request.

use crate::{
    bundle::{
        Bundle, CHANGE, CHANGE_BY_MESSAGE, EMAIL, NEW_PASSWORD, OLD_PASSWORD, OTHER_EMAIL, OTHER_PHONE,
        PHONE, RECOVERY, SEND_CODE, SEND_MAIL, VERIFY_MAIL, root,
    },
    journey::{Encoding, Journey},
    proxy::{Proxy, REFUSED},
};
use reqwest::Method;
use serde_json::json;
use std::{collections::BTreeSet, fs};

#[test]
fn template_traces_and_samples_no_request() {
    // A trace of the API has the URL with its query string, and a firewall's sample has the headers.
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    let all = |name: &str| -> BTreeSet<&str> {
        let values = template.match_indices(name).map(|(at, _)| &template[at + name.len()..]);
        values.map(|value| value.split([',', '}', '\n']).next().unwrap().trim()).collect()
    };
    assert_eq!(all("TracingEnabled:"), ["false"].into());
    assert_eq!(all("DataTraceEnabled:"), ["false"].into());
    assert_eq!(all("LoggingLevel:"), ["'OFF'"].into());
    assert_eq!(all("SampledRequestsEnabled:"), ["false"].into());
}

/// Whether a text contains a secret. A secret of a few digits counts only as a separate word, because the same
/// digits occur by chance in times, ids and hashes.
fn contains_secret(text: &str, secret: &str) -> bool {
    let few_digits = secret.len() <= 10 && secret.bytes().all(|byte| byte.is_ascii_digit());
    text.match_indices(secret).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + secret.len()..].chars().next());
        !few_digits || ![before, after].into_iter().flatten().any(|next| next.is_ascii_alphanumeric())
    })
}

#[tokio::test]
async fn log_lines_contain_no_credential_or_whole_contact() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (phone_info, code) = bundle.request_change_code(&member).await;
    let call = || bundle.call(Method::POST, CHANGE_BY_MESSAGE).session(&member.token);
    call().json(&json!({ "phoneInfo": phone_info, "code": "000000", "newPassword": NEW_PASSWORD })).await;
    call().json(&json!({ "phoneInfo": phone_info, "code": code, "newPassword": "short" })).await;
    call().json(&json!({ "phoneInfo": phone_info, "code": code, "newPassword": NEW_PASSWORD, "oldPassword": "wrong-one" })).await;
    // An event whose conversion panics with a message that would contain the event.
    let mut event: serde_json::Value =
        serde_json::from_str(include_str!("../events/change-password/refusal.json")).unwrap();
    event["body"] = json!("the-body-that-is-not-base64");
    event["isBase64Encoded"] = json!(true);
    bundle.invoke("change-password", &event).await;
    // A corrupt hash in the store is an internal error, which is logged.
    let set = json!({
        "Key": { "pk": { "S": format!("member#{}", member.id) }, "sk": { "S": "member" } },
        "UpdateExpression": "SET #p = :p", "ExpressionAttributeNames": { "#p": "password" },
        "ExpressionAttributeValues": { ":p": { "S": "the-broken-hash" } },
    });
    bundle.dynamodb("UpdateItem", set).await;
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    let failed = bundle.call(Method::PUT, CHANGE).session(&member.token).json(&body).await;
    assert_eq!(failed.refusal(), (500, "INTERNAL_SERVER_ERROR"));
    call().json(&json!({ "phoneInfo": phone_info, "code": code, "newPassword": NEW_PASSWORD })).await.ok();

    let lines = bundle.stack.log_lines();
    let request_id = failed.headers["x-request-id"].to_str().unwrap();
    assert!(
        lines.iter().any(|line| line.text.contains(request_id)),
        "the log must contain the cause with the request id"
    );
    let secrets = [
        &code,
        &phone_info,
        &member.token,
        PHONE,
        "li@example.com",
        OLD_PASSWORD,
        "wrong-one",
        NEW_PASSWORD,
        "the-body-that-is-not-base64",
        "the-broken-hash",
    ];
    for line in lines {
        for secret in secrets {
            assert!(!contains_secret(&line.text, secret), "{secret} is in {}", line.text);
        }
    }
}

#[tokio::test]
async fn refused_sms_is_logged_without_the_number() {
    let (proxy, settings) = Proxy::before("AWS_ENDPOINT_URL_SNS").await;
    let bundle = Bundle::with(&[settings.pair()]).await;
    let member = bundle.member().await;
    let send = async || bundle.call(Method::POST, crate::bundle::SEND).session(&member.token).send().await;
    // Without an upstream the proxy refuses as SNS does, and its message contains the number.
    assert_eq!(send().await.refusal(), (500, "SEND_MESSAGE_ERROR"));
    assert_eq!(send().await.refusal(), (500, "SEND_MESSAGE_ERROR"));
    assert_eq!(proxy.requests().len(), 2, "expected one attempt each: a retry could send a second SMS");
    let lines = bundle.stack.log_lines();
    assert!(lines.iter().any(|line| line.text.contains("SEND_MESSAGE_ERROR") && line.text.contains(REFUSED)));
    assert!(lines.iter().all(|line| !line.text.contains(PHONE)));
}

#[tokio::test]
async fn no_call_logs_or_stores_a_plaintext_secret() {
    // Ten digits do not occur in other text by chance.
    let bundle = Bundle::with(&[("CODE_LENGTH", "10"), ("MAIL_CODE_LENGTH", "10")]).await;
    let Journey { secrets, stored_texts, .. } = Journey::run(&bundle, Encoding::Json).await;
    assert!(secrets.len() > 40 && stored_texts.len() > 500, "{} and {}", secrets.len(), stored_texts.len());
    for secret in &secrets {
        for line in bundle.stack.log_lines() {
            assert!(!contains_secret(&line.text, secret), "{secret} is in {}", line.text);
        }
        for text in stored_texts.iter().filter(|_| ![PHONE, EMAIL].contains(&secret.as_str())) {
            assert!(!contains_secret(text, secret), "{secret} is stored in {text}");
        }
    }
}

#[tokio::test]
async fn refused_messages_are_logged_without_the_recipient() {
    let (_sns, sms) = Proxy::before("AWS_ENDPOINT_URL_SNS").await;
    let (_ses, mail) = Proxy::before("AWS_ENDPOINT_URL_SESV2").await;
    let bundle = Bundle::with(&[sms.pair(), mail.pair()]).await;
    let member = bundle.member().await;
    // Codes that a member requests, recovery codes, and notices, each by SMS and by email.
    for (caller, phone, email) in [(Some(&member), OTHER_PHONE, OTHER_EMAIL), (None, PHONE, EMAIL)] {
        let by_sms =
            bundle.call(Method::GET, SEND_CODE).session_of(caller).query(&[("phone", phone)]).send().await;
        let by_mail =
            bundle.call(Method::POST, SEND_MAIL).session_of(caller).json(&json!({ "email": email })).await;
        let expected = if caller.is_some() { 500 } else { 200 };
        assert_eq!((by_sms.status.as_u16(), by_mail.status.as_u16()), (expected, expected));
    }
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    bundle.call(Method::PUT, CHANGE).session(&member.token).json(&body).await.ok();
    bundle.settled().await;
    let lines = bundle.stack.log_lines();
    for function in ["send-code", "send-mail", "deliver-notices"] {
        let logged =
            |line: &&local::LogLine| line.function == function && line.text.contains("SEND_MESSAGE_ERROR");
        assert!(lines.iter().any(|line| logged(&line)), "{function}: {lines:#?}");
    }
    for line in lines {
        for secret in [PHONE, OTHER_PHONE, EMAIL, OTHER_EMAIL, OLD_PASSWORD, NEW_PASSWORD, &member.token] {
            assert!(!contains_secret(&line.text, secret), "{secret} is in {}", line.text);
        }
    }
}

#[tokio::test]
async fn corrupt_items_are_logged_without_the_request() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let requested =
        [bundle.request_sms_code(None, PHONE).await, bundle.request_email_code(None, EMAIL).await];
    for item in bundle.items().await {
        let pk = item["pk"]["S"].as_str().unwrap();
        if pk.starts_with("code#") || pk.starts_with("member#") {
            let mut broken = item.clone();
            broken["valid_until"] = json!({ "S": "the-broken-item" });
            broken["revision"] = json!({ "S": "the-broken-item" });
            bundle.dynamodb("PutItem", json!({ "Item": broken })).await;
        }
    }
    let by_sms = json!({ "verification": requested[0].0, "message": requested[0].1 });
    let by_mail = json!({ "verification": requested[1].0, "code": requested[1].1 });
    let bind = json!({ "phone": OTHER_PHONE });
    let mut ids = Vec::new();
    for (caller, method, path, body) in [
        (None, Method::POST, RECOVERY, by_sms),
        (None, Method::POST, VERIFY_MAIL, by_mail),
        (Some(&member), Method::GET, SEND_CODE, bind),
    ] {
        let failed = bundle.call(method, path).session_of(caller).json(&body).await;
        assert_eq!(failed.refusal(), (500, "INTERNAL_SERVER_ERROR"), "{path}");
        ids.push(failed.headers["x-request-id"].to_str().unwrap().to_owned());
    }
    let lines = bundle.stack.log_lines();
    for id in ids {
        assert!(
            lines.iter().any(|line| line.text.contains(&id)),
            "the log must contain the cause with the request id"
        );
    }
    let codes = requested.iter().flat_map(|(verification, code)| [verification.as_str(), code]);
    for secret in codes.chain([PHONE, OTHER_PHONE, EMAIL, &member.token, "the-broken-item"]) {
        for line in &lines {
            assert!(!contains_secret(&line.text, secret), "{secret} is in {}", line.text);
        }
    }
}
