//! The HTTP response that a function returns for a proxy event.

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
struct ProxyResponse {
    status_code: u16,
    headers: Option<BTreeMap<String, Value>>,
    multi_value_headers: Option<BTreeMap<String, Vec<Value>>>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
}

/// Converts the response of a function into an HTTP response. Returns `None` if `payload` is malformed.
pub(super) fn from_payload(payload: &[u8]) -> Option<Response> {
    let proxied: ProxyResponse = serde_json::from_slice(payload).ok()?;
    let status =
        StatusCode::from_u16(proxied.status_code).ok().filter(|status| !status.is_informational())?;
    let text = proxied.body.unwrap_or_default();
    let body = match proxied.is_base64_encoded {
        Some(true) => Body::from(BASE64_STANDARD.decode(text).ok()?),
        _ => Body::from(text),
    };
    let mut headers = HeaderMap::new();
    for (name, values) in proxied.multi_value_headers.unwrap_or_default() {
        for value in values {
            add(&mut headers, &name, &value)?;
        }
    }
    for (name, value) in proxied.headers.unwrap_or_default() {
        add(&mut headers, &name, &value)?;
    }
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    // These describe the connection between client and stack, which the server sets itself.
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    Some((status, headers, body).into_response())
}

/// Adds a header, unless the other map of the response has added the same value.
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
        let payload = json!({
            "statusCode": 201,
            "headers": {"Set-Cookie": "b=2", "Retry-After": 5, "Content-Length": "999"},
            "multiValueHeaders": {"set-cookie": ["a=1", "b=2"]},
            "body": "/wA=",
            "isBase64Encoded": true,
        });
        let response = from_payload(payload.to_string().as_bytes()).unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1", "b=2"]);
        assert_eq!(response.headers()["retry-after"], "5");
        assert_eq!(response.headers()["content-type"], "application/json");
        assert!(!response.headers().contains_key("content-length"));
        assert_eq!(to_bytes(response.into_body(), 9).await.unwrap().as_ref(), [0xff, 0x00]);
    }

    #[tokio::test]
    async fn page_is_returned_unchanged() {
        let page = "<!doctype html><title>验证</title>";
        let payload = json!({
            "statusCode": 400,
            "headers": {"content-type": "text/html; charset=utf-8", "content-security-policy": "default-src 'none'"},
            "multiValueHeaders": {"content-type": ["text/html; charset=utf-8"]},
            "body": page,
            "isBase64Encoded": false,
        });
        let response = from_payload(payload.to_string().as_bytes()).unwrap();
        let kinds: Vec<_> = response.headers().get_all("content-type").iter().collect();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(kinds, ["text/html; charset=utf-8"]);
        assert_eq!(response.headers()["content-security-policy"], "default-src 'none'");
        assert_eq!(to_bytes(response.into_body(), 99).await.unwrap(), page);
    }

    #[test]
    fn malformed_payload_is_rejected() {
        for payload in [
            json!(null),
            json!("text"),
            json!({"body": "no status"}),
            json!({"statusCode": 99}),
            json!({"statusCode": 200, "body": {}}),
            json!({"statusCode": 200, "headers": {"a": ["b"]}}),
            json!({"statusCode": 200, "headers": {"a": "b\n"}}),
            json!({"statusCode": 200, "body": "?", "isBase64Encoded": true}),
        ] {
            assert!(from_payload(payload.to_string().as_bytes()).is_none(), "{payload}");
        }
    }
}
