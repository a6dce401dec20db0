//! `authorize`: the authorizer of other APIs.

use crate::{
    bundle::{Bundle, CHANGE, NEW_PASSWORD, OLD_PASSWORD, Response},
    events,
    proxy::{InjectedFault, On, Proxy, STORE},
};
use reqwest::Method;
use serde_json::{Value, json};
use shared::session;

const STAGE: &str = "arn:aws:execute-api:us-east-1:123456789012:abcdef1234/live/*";
const DEFAULT_STAGE: &str = "arn:aws:execute-api:us-east-1:123456789012:abcdef1234/$default/*";

/// The events whose response is a policy, with the policy's resource.
const POLICIES: [(&str, &str); 3] =
    [("rest-token", STAGE), ("rest-request", STAGE), ("http-api-1", DEFAULT_STAGE)];

fn event(case: &str, session: &str) -> Value {
    serde_json::from_str(&events::event("authorize", case).replace("SESSION_TOKEN", session)).unwrap()
}

async fn invoke(bundle: &Bundle, event: &Value) -> Response {
    bundle.invoke("authorize", event).await
}

/// Invokes the authorizer of a REST API with a session.
pub async fn authorize(bundle: &Bundle, session: &str) -> Response {
    invoke(bundle, &event("rest-token", session)).await
}

/// Asserts that an event is refused in the way of its API.
async fn assert_refused(bundle: &Bundle, event: &Value) {
    let response = invoke(bundle, event).await;
    if event["version"] == "2.0" {
        assert!(!response.headers.contains_key("x-amz-function-error"), "{}", response.text);
        assert_eq!(response.text, r#"{"isAuthorized":false}"#, "{event}");
    } else {
        assert_eq!(response.headers["x-amz-function-error"], "Unhandled", "{event}");
        let expected = json!({ "errorType": "Unauthorized", "errorMessage": "Unauthorized" });
        assert_eq!(response.body, expected, "{event}");
    }
}

/// Asserts that an event fails, and not as a refusal.
async fn assert_failed(bundle: &Bundle, event: &Value) {
    let response = invoke(bundle, event).await;
    assert_eq!(response.headers["x-amz-function-error"], "Unhandled", "{event}: {}", response.text);
    assert!(!response.text.contains("Unauthorized"), "{event}: {}", response.text);
}

#[tokio::test]
async fn valid_session_is_allowed_on_the_stage() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let claims = bundle.claims(&member.token);
    let expires_at =
        session::verify_signed(&bundle.keys(), &bundle.settings(), &member.token).unwrap().expires_at;
    let context = json!({
        "memberId": member.id, "authTime": claims.auth_time.0.to_string(),
        "expiresAt": expires_at.0.to_string(), "amr": "pwd",
    });
    for (case, resource) in POLICIES {
        let response = invoke(&bundle, &event(case, &member.token)).await;
        assert!(!response.headers.contains_key("x-amz-function-error"), "{case}: {}", response.text);
        let expected = json!({
            "principalId": member.id,
            "policyDocument": {
                "Version": "2012-10-17",
                "Statement": [{ "Action": "execute-api:Invoke", "Effect": "Allow", "Resource": resource }],
            },
            "context": context,
        });
        assert_eq!(response.body, expected, "{case}");
    }
    let response = invoke(&bundle, &event("http-api-2", &member.token)).await;
    assert_eq!(response.body, json!({ "isAuthorized": true, "context": context }));
    let warm = invoke(&bundle, &event("warm-up", "")).await;
    assert_eq!(warm.text, r#"{"warm":true}"#);
}

#[tokio::test]
async fn policy_is_for_the_partition_of_the_api() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let mut event = event("rest-token", &member.token);
    event["methodArn"] = json!("arn:aws-cn:execute-api:cn-north-1:123456789012:abcdef1234/live/PUT/");
    let response = invoke(&bundle, &event).await;
    let resource = &response.body["policyDocument"]["Statement"][0]["Resource"];
    assert_eq!(*resource, "arn:aws-cn:execute-api:cn-north-1:123456789012:abcdef1234/live/*");
}

#[tokio::test]
async fn ended_session_is_refused() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    let renewed = bundle.call(Method::PUT, CHANGE).session(&member.token).json(&body).await.ok();
    let removed = bundle.other_member().await;
    bundle.remove(&removed).await;
    for case in ["rest-token", "rest-request", "http-api-1", "http-api-2"] {
        for session in [&*member.token, &removed.token, "not-a-session", ""] {
            assert_refused(&bundle, &event(case, session)).await;
        }
        let allowed = invoke(&bundle, &event(case, renewed.token())).await;
        assert!(!allowed.headers.contains_key("x-amz-function-error"), "{case}: {}", allowed.text);
        assert_ne!(allowed.body["isAuthorized"], false, "{case}");
    }
}

#[tokio::test]
async fn header_is_read_in_any_case() {
    let bundle = Bundle::start().await;
    let token = bundle.member().await.token;
    let request = |headers: Value, all: Value| {
        let mut event = event("rest-request", "");
        (event["headers"], event["multiValueHeaders"]) = (headers, all);
        event
    };
    for (name, scheme) in
        [("Authorization", "bearer"), ("AUTHORIZATION", "BEARER"), ("authorization", "Bearer")]
    {
        let value = format!("{scheme} {token}");
        for event in [
            request(json!({ name: value }), json!({ name: [value] })),
            request(json!({ name: value }), Value::Null),
        ] {
            let allowed = invoke(&bundle, &event).await;
            assert_eq!(allowed.body["policyDocument"]["Statement"][0]["Resource"], STAGE, "{event}");
        }
    }
    // As in every endpoint, the header `token` stands in for an absent `Authorization`.
    let allowed = invoke(&bundle, &request(json!({ "token": token }), Value::Null)).await;
    assert_eq!(allowed.body["policyDocument"]["Statement"][0]["Resource"], STAGE);

    let value = format!("Bearer {token}");
    for refused in [
        request(json!({ "Authorization": value }), json!({ "Authorization": [value, value] })),
        request(json!({ "Authorization": value, "authorization": value }), Value::Null),
        request(json!({ "Authorization": format!("{value}, {value}") }), Value::Null),
        request(json!({ "Authorization": token }), Value::Null),
        request(json!({ "Authorization": format!("Basic {token}") }), Value::Null),
        request(json!({}), json!({})),
        request(Value::Null, Value::Null),
    ] {
        assert_refused(&bundle, &refused).await;
    }
    let mut twice = event("http-api-2", &token);
    twice["headers"]["authorization"] = json!(format!("{value},{value}"));
    assert_refused(&bundle, &twice).await;
}

#[tokio::test]
async fn fault_of_the_store_is_never_a_refusal() {
    let (proxy, bundle) = Proxy::between(STORE, &[]).await;
    let token = bundle.member().await.token;
    for code in ["AccessDeniedException", "ThrottlingException"] {
        proxy.fault(On::all("GetItem"), InjectedFault::Refuse(code));
        for case in ["rest-token", "rest-request", "http-api-1", "http-api-2"] {
            assert_failed(&bundle, &event(case, &token)).await;
            // A session that is not signed here needs no store to be refused.
            assert_refused(&bundle, &event(case, "not-a-session")).await;
        }
        proxy.heal();
    }
}

#[tokio::test]
async fn event_of_another_kind_fails() {
    let bundle = Bundle::start().await;
    let token = bundle.member().await.token;
    let mut of_all_methods = event("rest-token", &token);
    of_all_methods["methodArn"] = json!("*");
    let proxied: Value = serde_json::from_str(&events::event("change-password", "http-api")).unwrap();
    for event in [json!({}), json!([]), json!(null), proxied, of_all_methods] {
        assert_failed(&bundle, &event).await;
    }
}

#[tokio::test]
async fn one_read_takes_the_credential_version_only() {
    let (proxy, bundle) = Proxy::between(STORE, &[]).await;
    let member = bundle.member().await;
    bundle.call(Method::GET, "/_local/health").send().await.ok();
    proxy.requests();
    invoke(&bundle, &event("http-api-2", &member.token)).await;
    let requests = proxy.take();
    let [request] = requests.as_slice() else { panic!("{} requests", requests.len()) };
    assert_eq!(request.operation, "GetItem");
    let body: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(body["ProjectionExpression"], "credential_version");
    assert_eq!(body["Key"]["pk"]["S"], format!("member#{}", member.id));
    assert_eq!(body["ConsistentRead"], true);
}
