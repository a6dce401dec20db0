//! Events: those of every kind of gateway, pings, and malformed ones.

use crate::{
    bundle::{Bundle, CHANGE, EMAIL, Member, NEW_PASSWORD, OLD_PASSWORD, PHONE, Response, root},
    wiring::endpoints::Endpoints,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

/// Returns each function with the statuses of its success and of its refusal.
fn functions() -> Vec<(String, u16, u16)> {
    let functions = Endpoints::load().functions.into_iter();
    let of_member = |caller: Option<String>| caller.as_deref() == Some("member");
    functions
        .filter_map(|function| {
            let refusal = if of_member(function.caller) { 401 } else { 400 };
            Some((function.name, function.success?, refusal))
        })
        .collect()
}

/// Returns the text of `events/<function>/<case>.json`.
pub fn event(function: &str, case: &str) -> String {
    fs::read_to_string(root().join("events").join(function).join(format!("{case}.json"))).unwrap()
}

/// Invokes a function with an event of its folder.
async fn invoke(bundle: &Bundle, function: &str, case: &str) -> Response {
    bundle.invoke(function, &serde_json::from_str(&event(function, case)).unwrap()).await
}

/// Returns an event with its placeholders filled in for this member. Requests a code if the function needs one.
async fn filled(bundle: &Bundle, member: &Member, function: &str, case: &str) -> Value {
    let (token, code) = match function {
        "change-password-by-message" => bundle.request_change_code(member).await,
        "bind-phone" => bundle.request_sms_code(Some(member), "13727140484").await,
        "reset-pay-password" => bundle.request_sms_code(Some(member), PHONE).await,
        "verify-recovery-code" => bundle.request_sms_code(None, PHONE).await,
        "recover-password" => {
            (bundle.grant(&bundle.request_sms_code(None, PHONE).await).await, String::new())
        }
        "verify-mail" => bundle.request_email_code(Some(member), EMAIL).await,
        "report-change" => (reportable(bundle, member).await, String::new()),
        _ => (String::new(), String::new()),
    };
    let text = event(function, case)
        .replace("CODE", &code)
        .replace("PHONE_INFO", &token)
        .replace("VERIFICATION", &token)
        .replace("SESSION_TOKEN", &member.token);
    serde_json::from_str(&text).unwrap()
}

/// Changes the password of a member with an email address, and returns the `verification` of the link in the notice.
async fn reportable(bundle: &Bundle, member: &Member) -> String {
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    bundle.call(Method::PUT, CHANGE).session(&member.token).json(&body).await.ok();
    bundle.report_link(EMAIL).await
}

fn status(response: &Response) -> &Value {
    assert!(!response.headers.contains_key("x-amz-function-error"), "{}", response.text);
    &response.body["statusCode"]
}

/// Starts a bundle with the member that the events refer to.
async fn with_member(function: &str) -> (Bundle, Member) {
    let bundle = Bundle::start().await;
    let mut member = json!({ "phone": PHONE, "password": "password-of-old" });
    if function == "report-change" {
        member = json!({ "phone": PHONE, "email": EMAIL, "password": OLD_PASSWORD });
    }
    if ["update-pay-password", "reset-pay-password"].contains(&function) {
        member["payPassword"] = json!("739154");
    }
    let member = bundle.member_with(member).await;
    (bundle, member)
}

#[tokio::test]
async fn event_files_get_the_response_they_are_named() {
    for (function, success, refusal) in functions() {
        let function = function.as_str();
        for case in ["success", "http-api"] {
            let (bundle, member) = with_member(function).await;
            let event = filled(&bundle, &member, function, case).await;
            let response = bundle.invoke(function, &event).await;
            assert_eq!(status(&response), success, "{function} {case}: {}", response.text);
        }
        let bundle = Bundle::start().await;
        let refused = invoke(&bundle, function, "refusal").await;
        assert_eq!(status(&refused), refusal, "{function}: {}", refused.text);
        assert_eq!(invoke(&bundle, function, "warm-up").await.text, r#"{"warm":true}"#, "{function}");
    }
}

#[tokio::test]
async fn opened_link_event_returns_a_page() {
    for function in ["verify-mail", "report-change"] {
        let (bundle, member) = with_member(function).await;
        let event = filled(&bundle, &member, function, "page").await;
        let response = bundle.invoke(function, &event).await;
        assert_eq!(status(&response), 200, "{}", response.text);
        assert_eq!(response.body["multiValueHeaders"]["content-type"], json!(["text/html; charset=utf-8"]));
    }
}

#[tokio::test]
async fn stream_events_are_delivered() {
    let bundle = Bundle::start().await;
    for case in ["changed", "empty"] {
        let delivered = invoke(&bundle, "deliver-notices", case).await;
        assert_eq!(delivered.text, r#"{"batchItemFailures":[]}"#, "{case}");
    }
    let recipients: Vec<_> = bundle.stack.messages().into_iter().map(|message| message.to).collect();
    assert_eq!(recipients, ["+8613627140483"]);
}

#[test]
fn event_folders_contain_no_other_files() {
    let mut found: Vec<PathBuf> = Vec::new();
    for function in fs::read_dir(root().join("events")).unwrap() {
        found.extend(fs::read_dir(function.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    let (opened_links, stream_events, of_members, of_receipts, of_authorizers) = (2, 2, 4, 3, 5);
    let others = opened_links + stream_events + of_members + of_receipts + of_authorizers;
    assert_eq!(found.len(), functions().len() * 4 + others, "{found:?}");
}

/// Asserts that a change without a session, sent as this event, is refused, and returns the response.
async fn refused_through(bundle: &Bundle, event: Value) -> Value {
    let response = bundle.invoke("change-password", &event).await;
    assert_eq!(status(&response), 401, "{}", response.text);
    let body: Value = serde_json::from_str(response.body["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["error"], "INVALID_TOKEN");
    response.body
}

#[tokio::test]
async fn load_balancer_and_function_url_events_are_served() {
    let bundle = Bundle::start().await;
    let load_balancer = json!({
        "requestContext": { "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/a/b" } },
        "httpMethod": "PUT", "path": "/member/userservice/security", "queryStringParameters": {},
        "headers": { "host": "example.com", "x-forwarded-for": "198.51.100.7, 203.0.113.9" },
        "body": "", "isBase64Encoded": false,
    });
    refused_through(&bundle, load_balancer).await;
    let mut function_url: Value = serde_json::from_str(&event("change-password", "http-api")).unwrap();
    function_url["headers"].as_object_mut().unwrap().remove("authorization");
    function_url["requestContext"]["domainName"] = json!("abcdefg.lambda-url.us-east-1.on.aws");
    function_url["requestContext"]["routeKey"] = json!("$default");
    let response = refused_through(&bundle, function_url).await;
    assert_eq!(response["headers"]["cache-control"], "no-store");
}

#[tokio::test]
async fn source_address_comes_from_the_gateway() {
    let bundle = Bundle::start().await;
    let member = bundle.member_with(json!({ "password": OLD_PASSWORD })).await;
    let load_balancer = json!({
        "requestContext": { "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/a/b" } },
        "httpMethod": "PUT", "path": "/member/userservice/security",
        "queryStringParameters": { "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD },
        "headers": {
            "host": "example.com", "x-forwarded-for": "198.51.100.7, 203.0.113.9", "authorization": format!("Bearer {}", member.token),
        },
        "body": "", "isBase64Encoded": false,
    });
    let response = bundle.invoke("change-password", &load_balancer).await;
    assert_eq!(status(&response), 201, "{}", response.text);
    assert_eq!(bundle.inspect(&member).await["audit"][0]["source_ip"], "203.0.113.9");
}

#[tokio::test]
async fn forged_source_text_reaches_no_message() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let load_balancer = json!({
        "requestContext": { "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/a/b" } },
        "httpMethod": "PUT", "path": "/member/userservice/security",
        "queryStringParameters": { "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD },
        "headers": {
            "host": "example.com", "x-forwarded-for": "198.51.100.7, go http://evil.example/x",
            "authorization": format!("Bearer {}", member.token),
        },
        "body": "", "isBase64Encoded": false,
    });
    let response = bundle.invoke("change-password", &load_balancer).await;
    assert_eq!(status(&response), 201, "{}", response.text);
    assert_eq!(bundle.inspect(&member).await["audit"][0]["source_ip"], Value::Null);
    bundle.settled().await;
    let messages = bundle.stack.messages();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages.iter().all(|message| !message.text.contains("evil.example")), "{messages:?}");
}

#[tokio::test]
async fn request_that_resembles_a_ping_is_served() {
    let bundle = Bundle::start().await;
    let mut request: Value = serde_json::from_str(&event("change-password", "refusal")).unwrap();
    request["body"] = json!(r#"{"source":"aws.scheduler","warmer":true}"#);
    request["source"] = json!("aws.scheduler");
    request["warmer"] = json!(true);
    refused_through(&bundle, request).await;
}

#[tokio::test]
async fn malformed_events_do_not_crash_the_function() {
    let bundle = Bundle::start().await;
    let request: Value = serde_json::from_str(&event("change-password", "refusal")).unwrap();
    let with = |path: &str, value: Value| {
        let mut request = request.clone();
        *request.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value;
        request
    };
    let mut no_context = request.clone();
    no_context.as_object_mut().unwrap().remove("requestContext");
    let mut bad_base64 = with("/body", json!("%%% not base64"));
    bad_base64["isBase64Encoded"] = json!(true);
    let mut bad_host = with("/headers/Host", json!("not a host \u{7f}/?#"));
    bad_host["multiValueHeaders"] = json!({});
    let mut bad_proto = with("/headers/X-Forwarded-Proto", json!("no scheme at all"));
    bad_proto["multiValueHeaders"] = json!({});
    let poison = [
        json!({}),
        json!([]),
        json!(null),
        json!("text"),
        json!(7),
        json!({ "Records": [{ "eventSource": "aws:s3" }] }),
        json!({ "source": "aws.s3", "detail": {} }),
        json!({ "requestContext": {} }),
        json!({ "requestContext": { "http": { "method": "PUT" } } }),
        json!({ "httpMethod": "PUT" }),
        json!({ "httpMethod": "\u{0}", "requestContext": {}, "headers": {} }),
        no_context,
        bad_base64,
        bad_host,
        bad_proto,
        with("/headers", json!({ "Authorization": "Bearer \u{e9}\u{0}" })),
        with("/path", json!("no slash ?#\u{0}")),
        with("/path", Value::Null),
        with("/body", Value::Null),
        with("/body", json!({ "oldPassword": "an object" })),
        with("/queryStringParameters", json!({ "oldPassword": null })),
        with("/multiValueQueryStringParameters", json!({ "oldPassword": [] })),
    ];
    for event in poison {
        let response = bundle.invoke("change-password", &event).await;
        assert!(!response.headers.contains_key("x-amz-function-error"), "{event}\n{}", response.text);
        let status =
            response.body["statusCode"].as_u64().unwrap_or_else(|| panic!("{event}\n{}", response.text));
        assert!((400..500).contains(&status), "{event}\n{}", response.text);
        let body: Value = serde_json::from_str(response.body["body"].as_str().unwrap()).unwrap();
        assert!(
            body["error"].is_string() && body["code"].as_str() == Some(&status.to_string()),
            "{event}\n{}",
            response.text
        );
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let response = bundle
        .call(reqwest::Method::POST, "/2015-03-31/functions/change-password/invocations")
        .body(deep)
        .await;
    assert_eq!(status(&response), 400, "{}", response.text);
    let refused = bundle.invoke("change-password", &request).await;
    assert_eq!(status(&refused), 401, "the process must continue");
}
