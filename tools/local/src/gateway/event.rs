//! The event of a REST API's proxy integration (payload format 1.0).

use std::net::IpAddr;

use axum::http::{HeaderMap, request::Parts};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::{aws, clock};

/// The name of the API's stage.
const STAGE: &str = "local";

/// Converts a request from `source` into an event. The path is also the resource, because no route has a parameter.
pub(super) fn rest(
    request: &Parts,
    body: &[u8],
    source: IpAddr,
    request_id: &str,
    time: OffsetDateTime,
) -> Value {
    let path = request.uri.path();
    let method = request.method.as_str();
    let header =
        |name: &str| request.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let headers = headers(&request.headers, source, time);
    let query = request.uri.query().unwrap_or_default().as_bytes();
    let query = form_urlencoded::parse(query).into_owned().collect::<Pairs>();
    let (text, is_base64_encoded) = match std::str::from_utf8(body) {
        Ok("") => (Value::Null, false),
        Ok(text) => (Value::from(text), false),
        Err(_) => (Value::from(BASE64_STANDARD.encode(body)), true),
    };
    json!({
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": headers.single(),
        "multiValueHeaders": headers.multiple(),
        "queryStringParameters": query.single(),
        "multiValueQueryStringParameters": query.multiple(),
        "pathParameters": null,
        "stageVariables": null,
        "requestContext": {
            "accountId": aws::ACCOUNT_ID,
            "apiId": "local",
            "resourceId": "local",
            "resourcePath": path,
            "path": format!("/{STAGE}{path}"),
            "stage": STAGE,
            "domainName": header("host"),
            "domainPrefix": "local",
            "httpMethod": method,
            "protocol": format!("{:?}", request.version),
            "requestId": request_id,
            "extendedRequestId": request_id,
            "requestTime": clock::common_log(time),
            "requestTimeEpoch": i64::try_from(clock::epoch_millis(time)).unwrap_or_default(),
            "identity": {
                "accessKey": null,
                "accountId": null,
                "caller": null,
                "cognitoAuthenticationProvider": null,
                "cognitoAuthenticationType": null,
                "cognitoIdentityId": null,
                "cognitoIdentityPoolId": null,
                "principalOrgId": null,
                "sourceIp": source.to_string(),
                "user": null,
                "userAgent": header("user-agent"),
                "userArn": null,
            },
        },
        "body": text,
        "isBase64Encoded": is_base64_encoded,
    })
}

/// Returns the request's headers with those that API Gateway adds.
fn headers(sent: &HeaderMap, source: IpAddr, time: OffsetDateTime) -> Pairs {
    let mut headers = sent.clone();
    let forwarded_for = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .chain([source.to_string()])
        .collect::<Vec<_>>()
        .join(", ");
    for (name, value) in [
        ("x-amzn-trace-id", aws::trace_id(time)),
        ("x-forwarded-for", forwarded_for),
        ("x-forwarded-proto", "http".to_owned()),
    ] {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    }
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

/// Pairs of a name and a value, in their order in the request. A name may occur more than once.
struct Pairs(Vec<(String, String)>);

impl FromIterator<(String, String)> for Pairs {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(pairs: T) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl Pairs {
    /// Maps each name to its last value. Returns null if there are no pairs.
    fn single(&self) -> Value {
        self.non_empty(
            self.0.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect(),
        )
    }

    /// Maps each name to all its values. Returns null if there are no pairs.
    fn multiple(&self) -> Value {
        let mut all = Map::new();
        for (name, value) in &self.0 {
            let values = all.entry(name.as_str()).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(values) = values {
                values.push(Value::from(value.as_str()));
            }
        }
        self.non_empty(all)
    }

    fn non_empty(&self, map: Map<String, Value>) -> Value {
        if self.0.is_empty() { Value::Null } else { Value::Object(map) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use std::net::Ipv4Addr;

    fn event(request: axum::http::request::Builder, body: &[u8]) -> Value {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let time = OffsetDateTime::from_unix_timestamp(1_787_392_805).unwrap();
        rest(&parts, body, Ipv4Addr::LOCALHOST.into(), "the-id", time)
    }

    #[test]
    fn event_matches_that_of_api_gateway() {
        let request = Request::put("/web/security?phone=%2B86+1&a=1&a=2")
            .header("host", "127.0.0.1:3000")
            .header("user-agent", "curl/8")
            .header("x-forwarded-for", "192.0.2.1")
            .header("cookie", "verification=a.b; theme=dark")
            .header("accept", "text/html")
            .header("accept", "application/json");
        let event = event(request, b"{}");
        assert_eq!(event["path"], "/web/security");
        assert_eq!(event["httpMethod"], "PUT");
        assert_eq!(event["headers"]["accept"], "application/json");
        assert_eq!(event["headers"]["cookie"], "verification=a.b; theme=dark");
        assert_eq!(event["multiValueHeaders"]["cookie"], json!(["verification=a.b; theme=dark"]));
        assert_eq!(event["headers"]["x-forwarded-for"], "192.0.2.1, 127.0.0.1");
        assert_eq!(event["multiValueHeaders"]["accept"], json!(["text/html", "application/json"]));
        assert_eq!(event["queryStringParameters"], json!({"phone": "+86 1", "a": "2"}));
        assert_eq!(event["multiValueQueryStringParameters"], json!({"phone": ["+86 1"], "a": ["1", "2"]}));
        assert_eq!(event["body"], "{}");
        assert_eq!(event["isBase64Encoded"], false);
        let context = &event["requestContext"];
        assert_eq!(context["path"], "/local/web/security");
        assert_eq!(context["resourcePath"], "/web/security");
        assert_eq!(context["protocol"], "HTTP/1.1");
        assert_eq!(context["requestTime"], "22/Aug/2026:10:00:05 +0000");
        assert_eq!(context["requestTimeEpoch"], 1_787_392_805_000_i64);
        assert_eq!(context["identity"]["sourceIp"], "127.0.0.1");
        assert_eq!(context["identity"]["userAgent"], "curl/8");
    }

    #[test]
    fn absent_parts_are_null_and_binary_bodies_base64() {
        let empty = event(Request::get("/x"), b"");
        for field in ["body", "queryStringParameters", "multiValueQueryStringParameters", "pathParameters"] {
            assert_eq!(empty[field], Value::Null, "{field}");
        }
        let binary = event(Request::post("/x"), &[0xff, 0x00]);
        assert_eq!((&binary["body"], &binary["isBase64Encoded"]), (&json!("/wA="), &json!(true)));
    }
}
