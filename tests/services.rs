//! The functions that other services invoke: events, results and failures.

use crate::{
    bundle::{Bundle, Response},
    events,
    pay_password::payer,
    proxy::{InjectedFault, On, Proxy, STORE},
    receipts,
    wiring::endpoints::Endpoints,
};
use serde_json::{Value, json};

/// Returns the functions whose results are those of the family. That of `authorize` are API Gateway's.
fn functions() -> Vec<String> {
    let functions = Endpoints::load().functions.into_iter();
    let names: Vec<_> = functions.filter(|function| function.service).map(|function| function.name).collect();
    let names: Vec<_> = names.into_iter().filter(|name| name != "authorize").collect();
    assert!(!names.is_empty());
    names
}

/// Asserts that an event is refused as a result, and returns the message.
pub fn refused(response: &Response, symbol: &str) -> String {
    assert!(!response.headers.contains_key("x-amz-function-error"), "{}", response.text);
    assert_eq!((&response.body["success"], &response.body["error"]), (&json!(false), &json!(symbol)));
    assert!(response.body["requestId"].is_string(), "{}", response.text);
    response.body["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn unknown_field_is_named() {
    let bundle = Bundle::start().await;
    for function in functions() {
        let event = json!({ "colour": "hunter2", "language": "en" });
        let message = refused(&bundle.invoke(&function, &event).await, "BODY_NOT_VALID");
        assert!(message.contains("unknown field `colour`"), "{function}: {message}");
        assert!(!message.contains("hunter2"), "{function}: {message}");
    }
}

#[tokio::test]
async fn event_of_a_gateway_reaches_no_service() {
    let bundle = Bundle::start().await;
    for function in functions() {
        for case in ["http-api", "refusal"] {
            let mut event: Value = serde_json::from_str(&events::event("change-password", case)).unwrap();
            event["language"] = json!("en");
            let message = refused(&bundle.invoke(&function, &event).await, "BODY_NOT_VALID");
            assert!(message.contains("comes from a gateway"), "{function} {case}: {message}");
        }
    }
}

#[tokio::test]
async fn malformed_events_are_refused_as_results() {
    let bundle = Bundle::start().await;
    for function in functions() {
        for event in
            [json!({}), json!([]), json!(null), json!("text"), json!(7), json!({ "sourceIp": "here" })]
        {
            refused(&bundle.invoke(&function, &event).await, "BODY_NOT_VALID");
        }
        let large = json!({ "receipt": "r".repeat(17_000) });
        refused(&bundle.invoke(&function, &large).await, "BODY_TOO_LARGE");
        let warm = bundle.invoke(&function, &json!({ "source": "aws.scheduler", "warmer": true })).await;
        assert_eq!(warm.text, r#"{"warm":true}"#);
    }
}

#[tokio::test]
async fn fault_fails_the_invocation_without_its_cause() {
    let (proxy, bundle) = Proxy::between(STORE, &[]).await;
    let receipt = receipts::issue(&bundle, &payer(&bundle).await).await;
    for (code, symbol) in
        [("AccessDeniedException", "INTERNAL_SERVER_ERROR"), ("ThrottlingException", "SERVICE_BUSY")]
    {
        proxy.fault(On::all("GetItem"), InjectedFault::Refuse(code));
        let failed = bundle.invoke("spend-receipt", &receipts::event(&receipt)).await;
        proxy.heal();
        assert_eq!(failed.headers["x-amz-function-error"], "Unhandled", "{}", failed.text);
        assert_eq!(failed.body["errorType"], symbol);
        assert!(!failed.text.contains(code), "{}", failed.text);
        let lines = bundle.stack.log_lines();
        let is_logged = |line: &str| line.contains("checkout-7f1c") && line.contains(symbol);
        assert!(lines.iter().any(|line| is_logged(&line.text)), "{symbol}");
        assert!(lines.iter().all(|line| !line.text.contains(&receipt)), "{symbol}");
    }
    assert_eq!(bundle.invoke("spend-receipt", &receipts::event(&receipt)).await.body["first"], true);
}
