//! Nothing that a request carries reaches a log.

use crate::{
    bundle::{Bundle, CHANGE, CHANGE_BY_MESSAGE, NEW_PASSWORD, OLD_PASSWORD, PHONE},
    proxy::Proxy,
};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn no_code_password_session_or_whole_contact_is_in_any_log_line() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (phone_info, code) = bundle.ask(&member).await;
    let call = || bundle.call(Method::POST, CHANGE_BY_MESSAGE).session(&member.token);
    call().json(&json!({ "phoneInfo": phone_info, "code": "no-code", "newPassword": NEW_PASSWORD })).await;
    call().json(&json!({ "phoneInfo": phone_info, "code": code, "newPassword": "short" })).await;
    call().json(&json!({ "phoneInfo": phone_info, "code": code, "newPassword": NEW_PASSWORD, "oldPassword": "wrong-one" })).await;
    // A panic in the conversion of an event, whose message would repeat the event.
    let mut event: serde_json::Value =
        serde_json::from_str(include_str!("../events/change-password/refusal.json")).unwrap();
    event["body"] = json!("the-body-that-is-no-base64");
    event["isBase64Encoded"] = json!(true);
    bundle.invoke("change-password", &event).await;
    // A member whose stored hash is broken: an internal error, which is logged.
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
        "the cause is in the log under the request id"
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
        "the-body-that-is-no-base64",
        "the-broken-hash",
    ];
    for line in lines {
        for secret in secrets {
            assert!(!line.text.contains(secret), "{secret} is in {}", line.text);
        }
    }
}

#[tokio::test]
async fn a_provider_that_refuses_is_logged_without_the_number_and_the_member_may_ask_again_at_once() {
    let (proxy, settings) = Proxy::before("AWS_ENDPOINT_URL_SNS").await;
    let bundle = Bundle::with(&[settings.pair()]).await;
    let member = bundle.member().await;
    let send = async || bundle.call(Method::POST, crate::bundle::SEND).session(&member.token).send().await;
    // Nothing stands behind the proxy: it refuses as SNS does, repeating the number.
    assert_eq!(send().await.refusal(), (500, "SEND_MESSAGE_ERROR"));
    assert_eq!(send().await.refusal(), (500, "SEND_MESSAGE_ERROR"));
    assert_eq!(proxy.requests().len(), 2, "one try each: a retry could be a second SMS");
    let lines = bundle.stack.log_lines();
    assert!(
        lines
            .iter()
            .any(|line| line.text.contains("SEND_MESSAGE_ERROR") && line.text.contains("InvalidParameter"))
    );
    assert!(lines.iter().all(|line| !line.text.contains(PHONE)));
}
