//! The event of a REST API's proxy integration (payload format 1.0).

use std::net::IpAddr;

use axum::http::{HeaderMap, request::Parts};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::{aws, clock};

/// The name of the API's stage.
const STAGE: &str = "local";

/// Returns the parameters in a path of this resource, such as `file` in `/account/{file}`, or `None` if the path is not
/// one of the resource.
pub(super) fn path_parameters(resource: &str, path: &str) -> Option<Map<String, Value>> {
    let (mut names, mut segments) = (resource.split('/'), path.split('/'));
    let mut parameters = Map::new();
    loop {
        match (names.next(), segments.next()) {
            (None, None) => return Some(parameters),
            (Some(name), Some(segment)) if name == segment => (),
            (Some(name), Some(segment)) if !segment.is_empty() => {
                let name = name.strip_prefix('{')?.strip_suffix('}')?;
                parameters.insert(name.to_owned(), segment.into());
            }
            _ => return None,
        }
    }
}

/// Converts a request from `source` to a resource into an event.
///
/// The template names no binary media types, so that API Gateway takes every body as UTF-8 text. As in the query and
/// in the headers, U+FFFD replaces the bytes that are not.
pub(super) fn rest(
    request: &Parts,
    resource: &str,
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
    // A semicolon separates parameters too (Amazon API Gateway Developer Guide, "Important notes").
    let query = request.uri.query().unwrap_or_default().replace(';', "&");
    let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect::<Pairs>();
    let text = Some(String::from_utf8_lossy(body)).filter(|text| !text.is_empty());
    json!({
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": headers.single(),
        "multiValueHeaders": headers.multiple(),
        "queryStringParameters": query.single(),
        "multiValueQueryStringParameters": query.multiple(),
        "pathParameters": path_parameters(resource, path).filter(|parameters| !parameters.is_empty()),
        "stageVariables": null,
        "requestContext": {
            "accountId": aws::ACCOUNT_ID,
            "apiId": "local",
            "resourceId": "local",
            "resourcePath": resource,
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
        "isBase64Encoded": false,
    })
}

/// Returns the request's headers with those that API Gateway adds. The server does not keep the case of their names, so
/// each gets the one that clients of HTTP/1.1 usually send.
fn headers(sent: &HeaderMap, source: IpAddr, time: OffsetDateTime) -> Pairs {
    let mut headers = sent.clone();
    let host = sent.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let port = host.rsplit_once(':').map_or("80", |(_, port)| port);
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
        ("x-forwarded-port", port.to_owned()),
        ("x-forwarded-proto", "http".to_owned()),
    ] {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    }
    headers
        .iter()
        .map(|(name, value)| {
            (title_case(name.as_str()), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect()
}

/// Returns a name such as `Content-Type`.
fn title_case(name: &str) -> String {
    let mut starts_word = true;
    let upper = |letter: char| {
        let letter = if starts_word { letter.to_ascii_uppercase() } else { letter };
        starts_word = letter == '-';
        letter
    };
    name.chars().map(upper).collect()
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
    use axum::http::{HeaderValue, Request};
    use std::net::Ipv4Addr;

    fn event(request: axum::http::request::Builder, body: &[u8]) -> Value {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let time = OffsetDateTime::from_unix_timestamp(1_787_392_805).unwrap();
        rest(&parts, parts.uri.path(), body, Ipv4Addr::LOCALHOST.into(), "the-id", time)
    }

    #[test]
    fn path_parameters_fill_whole_segments() {
        for (resource, path, file) in [
            ("/account/{file}", "/account/phone", Some("phone")),
            ("/account/{file}", "/account/", None),
            ("/account/{file}", "/account", None),
            ("/account/{file}", "/account/a/b", None),
            ("/account/{file}", "/accounts/a", None),
        ] {
            let parameters = path_parameters(resource, path);
            assert_eq!(parameters.map(Value::Object), file.map(|file| json!({ "file": file })), "{path}");
        }
        assert_eq!(path_parameters("/account", "/account"), Some(Map::new()));
    }

    #[test]
    fn event_matches_that_of_api_gateway() {
        let request = Request::put("/web/security?phone=%2B86+1&a=1&a=2")
            .header("host", "127.0.0.1:3000")
            .header("user-agent", "curl/8")
            .header("x-forwarded-for", "192.0.2.1")
            .header("cookie", "verification=a.b; theme=dark")
            .header("idempotency-key", "k")
            .header("accept", "text/html")
            .header("accept", "application/json");
        let event = event(request, b"{}");
        assert_eq!(event["path"], "/web/security");
        assert_eq!(event["httpMethod"], "PUT");
        assert_eq!(event["headers"]["Accept"], "application/json");
        assert_eq!(event["headers"]["Idempotency-Key"], "k");
        assert_eq!(event["headers"]["Cookie"], "verification=a.b; theme=dark");
        assert_eq!(event["multiValueHeaders"]["Cookie"], json!(["verification=a.b; theme=dark"]));
        assert_eq!(event["headers"]["X-Forwarded-For"], "192.0.2.1, 127.0.0.1");
        assert_eq!(event["headers"]["X-Forwarded-Port"], "3000");
        assert_eq!(event["headers"]["X-Forwarded-Proto"], "http");
        assert!(event["headers"]["X-Amzn-Trace-Id"].as_str().unwrap().starts_with("Root=1-"));
        assert_eq!(event["multiValueHeaders"]["Accept"], json!(["text/html", "application/json"]));
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
    fn absent_parts_are_null() {
        for target in ["/x", "/x?", "/x?&&", "/x?;"] {
            let empty = event(Request::get(target), b"");
            for field in [
                "body",
                "queryStringParameters",
                "multiValueQueryStringParameters",
                "pathParameters",
                "stageVariables",
            ] {
                assert_eq!(empty[field], Value::Null, "{target} {field}");
            }
        }
    }

    #[test]
    fn query_is_decoded_once() {
        for (query, single, multiple) in [
            ("a=%E5%AF%86%E7%A0%81", json!({"a": "密码"}), json!({"a": ["密码"]})),
            ("a=1%2B1", json!({"a": "1+1"}), json!({"a": ["1+1"]})),
            ("a=1+1", json!({"a": "1 1"}), json!({"a": ["1 1"]})),
            ("a=%252B", json!({"a": "%2B"}), json!({"a": ["%2B"]})),
            ("a=1%261", json!({"a": "1&1"}), json!({"a": ["1&1"]})),
            ("a=1=1", json!({"a": "1=1"}), json!({"a": ["1=1"]})),
            ("a%5B%5D=1", json!({"a[]": "1"}), json!({"a[]": ["1"]})),
            ("a&b=", json!({"a": "", "b": ""}), json!({"a": [""], "b": [""]})),
            ("a=1;b=2", json!({"a": "1", "b": "2"}), json!({"a": ["1"], "b": ["2"]})),
            ("a=1%3Bb", json!({"a": "1;b"}), json!({"a": ["1;b"]})),
            ("a=1&A=2&a=3", json!({"a": "3", "A": "2"}), json!({"a": ["1", "3"], "A": ["2"]})),
            ("a=%", json!({"a": "%"}), json!({"a": ["%"]})),
        ] {
            let event = event(Request::get(format!("/x?{query}")), b"");
            assert_eq!(event["queryStringParameters"], single, "{query}");
            assert_eq!(event["multiValueQueryStringParameters"], multiple, "{query}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        let name = HeaderValue::from_bytes(b"name=\xc0\xee").unwrap();
        let event = event(Request::post("/x?a=%C3%DC").header("cookie", name), b"a=\xc3\xdc");
        assert_eq!(event["queryStringParameters"]["a"], "\u{fffd}\u{fffd}");
        assert_eq!(event["headers"]["Cookie"], "name=\u{fffd}\u{fffd}");
        assert_eq!(event["body"], "a=\u{fffd}\u{fffd}");
        assert_eq!(event["isBase64Encoded"], false);
    }
}
