//! A function's answer to a proxy event as an HTTP response.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING},
    },
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    headers: Option<BTreeMap<String, Value>>,
    multi_value_headers: Option<BTreeMap<String, Vec<Value>>>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
}

/// The response that `payload` stands for; `None` when it is malformed.
pub(super) fn response(payload: &[u8]) -> Option<Response> {
    let answer: Answer = serde_json::from_slice(payload).ok()?;
    let status = StatusCode::from_u16(answer.status_code).ok().filter(|status| !status.is_informational())?;
    let text = answer.body.unwrap_or_default();
    let body = match answer.is_base64_encoded {
        Some(true) => Body::from(BASE64_STANDARD.decode(text).ok()?),
        _ => Body::from(text),
    };
    let mut headers = HeaderMap::new();
    for (name, values) in answer.multi_value_headers.unwrap_or_default() {
        for value in values {
            add(&mut headers, &name, &value)?;
        }
    }
    for (name, value) in answer.headers.unwrap_or_default() {
        add(&mut headers, &name, &value)?;
    }
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    // These belong to the connection, which is the stack's own.
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    Some((status, headers, body).into_response())
}

/// Adds a header, once where the answer's two maps both have it.
fn add(headers: &mut HeaderMap, name: &str, value: &Value) -> Option<()> {
    let name: HeaderName = name.parse().ok()?;
    let value: HeaderValue = match value {
        Value::String(text) => text.parse().ok()?,
        Value::Number(_) | Value::Bool(_) => value.to_string().parse().ok()?,
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    if !headers.get_all(&name).iter().any(|known| known == value) {
        headers.append(name, value);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use serde_json::json;

    #[tokio::test]
    async fn headers_of_both_maps_are_merged() {
        let answer = json!({
            "statusCode": 201,
            "headers": {"Set-Cookie": "b=2", "Retry-After": 5, "Content-Length": "999"},
            "multiValueHeaders": {"set-cookie": ["a=1", "b=2"]},
            "body": "/wA=",
            "isBase64Encoded": true,
        });
        let response = response(answer.to_string().as_bytes()).unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1", "b=2"]);
        assert_eq!(response.headers()["retry-after"], "5");
        assert_eq!(response.headers()["content-type"], "application/json");
        assert!(!response.headers().contains_key("content-length"));
        assert_eq!(to_bytes(response.into_body(), 9).await.unwrap().as_ref(), [0xff, 0x00]);
    }

    #[tokio::test]
    async fn a_page_is_passed_on_as_it_is() {
        let page = "<!doctype html><title>验证</title>";
        let answer = json!({
            "statusCode": 400,
            "headers": {"content-type": "text/html; charset=utf-8", "content-security-policy": "default-src 'none'"},
            "multiValueHeaders": {"content-type": ["text/html; charset=utf-8"]},
            "body": page,
            "isBase64Encoded": false,
        });
        let response = response(answer.to_string().as_bytes()).unwrap();
        let kinds: Vec<_> = response.headers().get_all("content-type").iter().collect();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(kinds, ["text/html; charset=utf-8"]);
        assert_eq!(response.headers()["content-security-policy"], "default-src 'none'");
        assert_eq!(to_bytes(response.into_body(), 99).await.unwrap(), page);
    }

    #[test]
    fn a_malformed_answer_is_no_response() {
        for answer in [
            json!(null),
            json!("text"),
            json!({"body": "no status"}),
            json!({"statusCode": 99}),
            json!({"statusCode": 200, "body": {}}),
            json!({"statusCode": 200, "headers": {"a": ["b"]}}),
            json!({"statusCode": 200, "headers": {"a": "b\n"}}),
            json!({"statusCode": 200, "body": "?", "isBase64Encoded": true}),
        ] {
            assert!(response(answer.to_string().as_bytes()).is_none(), "{answer}");
        }
    }
}
