//! Requests as clients really send them, through every kind of gateway: text that is not UTF-8, half a surrogate pair,
//! a body of `null`, and cookies.

use crate::bundle::{Bundle, CHANGE, OTHER_PHONE, PHONE, RECOVERY, SEND, SEND_CODE, VERIFY_MAIL, wrong_code};
use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::fmt::Write;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// An HTTP request, before a gateway makes an event of it.
#[derive(Clone, Default)]
struct Http<'a> {
    method: &'a str,
    path: &'a str,
    /// The query as it was sent, percent-encoded.
    query: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    /// The values of the `Cookie` fields.
    cookies: Vec<&'a str>,
    body: Vec<u8>,
}

/// A kind of gateway.
#[derive(Clone, Copy, Debug)]
enum Gateway {
    RestApi,
    /// With binary media types, so that every body is in Base64.
    BinaryRestApi,
    HttpApi,
    FunctionUrl,
    LoadBalancer,
    /// With multi-value headers.
    MultiValueLoadBalancer,
}

impl Gateway {
    const ALL: [Self; 6] = [
        Self::RestApi,
        Self::BinaryRestApi,
        Self::HttpApi,
        Self::FunctionUrl,
        Self::LoadBalancer,
        Self::MultiValueLoadBalancer,
    ];

    /// Whether the gateway takes a body as text, in which U+FFFD replaces bytes that are not UTF-8.
    fn takes_text(self) -> bool {
        matches!(self, Self::RestApi)
    }

    /// Returns the event of a request.
    fn event(self, request: &Http<'_>) -> Value {
        let is_text = self.takes_text()
            || !matches!(self, Self::BinaryRestApi) && std::str::from_utf8(&request.body).is_ok();
        let body = match request.body.as_slice() {
            [] => Value::Null,
            body if is_text => json!(String::from_utf8_lossy(body)),
            body => json!(BASE64_STANDARD.encode(body)),
        };
        let mut headers = Vec::from([("Host", "api.example.com")]);
        headers.extend(request.headers.iter().copied());
        let cookie_fields = request.cookies.iter().map(|cookies| ("Cookie", *cookies));
        let with_cookies: Vec<_> = headers.iter().copied().chain(cookie_fields).collect();
        let raw: Vec<_> = request.query.split('&').filter(|pair| !pair.is_empty()).collect();
        let raw = raw.iter().map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let decoded: Vec<_> = form_urlencoded::parse(request.query.as_bytes()).into_owned().collect();
        let decoded = decoded.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let event = match self {
            Self::RestApi | Self::BinaryRestApi => json!({
                "resource": request.path, "path": request.path, "httpMethod": request.method,
                "headers": last(with_cookies.iter().copied()),
                "multiValueHeaders": all(with_cookies.iter().copied()),
                "queryStringParameters": or_null(last(decoded.clone())),
                "multiValueQueryStringParameters": or_null(all(decoded)),
                "pathParameters": null, "stageVariables": null,
                "requestContext": { "stage": "live", "httpMethod": request.method, "identity": { "sourceIp": "203.0.113.9" } },
            }),
            Self::HttpApi | Self::FunctionUrl => {
                let cookies: Vec<_> = request.cookies.iter().flat_map(|field| field.split("; ")).collect();
                let domain = match self {
                    Self::FunctionUrl => "abcdefg.lambda-url.us-east-1.on.aws",
                    _ => "api.example.com",
                };
                let lower: Vec<_> =
                    headers.iter().map(|(name, value)| (name.to_lowercase(), *value)).collect();
                let mut event = json!({
                    "version": "2.0", "routeKey": "$default", "rawPath": request.path, "rawQueryString": request.query,
                    "headers": last(lower.iter().map(|(name, value)| (name.as_str(), *value))),
                    "requestContext": {
                        "domainName": domain, "stage": "$default",
                        "http": {
                            "method": request.method, "path": request.path, "protocol": "HTTP/1.1",
                            "sourceIp": "203.0.113.9", "userAgent": "curl/8",
                        },
                    },
                });
                if !cookies.is_empty() {
                    event["cookies"] = json!(cookies);
                }
                event
            }
            Self::LoadBalancer | Self::MultiValueLoadBalancer => {
                let lower: Vec<_> =
                    with_cookies.iter().map(|(name, value)| (name.to_lowercase(), *value)).collect();
                let lower = lower.iter().map(|(name, value)| (name.as_str(), *value));
                let mut event = json!({
                    "requestContext": { "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/a/b" } },
                    "httpMethod": request.method, "path": request.path,
                });
                if matches!(self, Self::LoadBalancer) {
                    event["headers"] = last(lower);
                    event["queryStringParameters"] = last(raw);
                } else {
                    event["multiValueHeaders"] = all(lower);
                    event["multiValueQueryStringParameters"] = all(raw);
                }
                event
            }
        };
        let mut event = event;
        event["isBase64Encoded"] = json!(!is_text && !body.is_null());
        event["body"] = body;
        event
    }

    /// Sends a request to a function, and returns the status and the error symbol, or an empty one for a success.
    async fn call(self, bundle: &Bundle, function: &str, request: &Http<'_>) -> (u64, String) {
        let response = bundle.invoke(function, &self.event(request)).await;
        let status = response.body["statusCode"].as_u64().unwrap_or_else(|| panic!("{}", response.text));
        let body: Value = serde_json::from_str(response.body["body"].as_str().unwrap()).unwrap();
        let symbol =
            body["error"].as_str().or(body["code"].as_str().filter(|_| status != 200)).unwrap_or_default();
        (status, symbol.to_owned())
    }
}

/// Maps each name to its last value.
fn last<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    Value::Object(pairs.map(|(name, value)| (name.to_owned(), json!(value))).collect())
}

/// Maps each name to all its values.
fn all<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    let mut map = Map::new();
    for (name, value) in pairs {
        map.entry(name).or_insert_with(|| json!([])).as_array_mut().unwrap().push(json!(value));
    }
    Value::Object(map)
}

fn or_null(map: Value) -> Value {
    if map.as_object().is_some_and(Map::is_empty) { Value::Null } else { map }
}

/// Bodies whose text is not Unicode, with their content types.
fn not_unicode() -> Vec<(&'static str, Vec<u8>)> {
    let utf_16 = "\u{feff}{\"oldPassword\":\"1\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        // "密码" in GBK, as an old form, jQuery with `escape`d GBK, and a C# client with the system's code page send it.
        (FORM, b"oldPassword=%C3%DC%C2%EB&newPasswordFirst=a-good-password".to_vec()),
        ("application/x-www-form-urlencoded; charset=GBK", b"oldPassword=%c3%dc%c2%eb".to_vec()),
        (FORM, b"oldPassword=\xc3\xdc\xc2\xeb".to_vec()),
        (JSON, b"{\"oldPassword\":\"\xc3\xdc\xc2\xeb\"}".to_vec()),
        ("application/json; charset=gbk", b"{\"newPasswordFirst\":\"\xc3\xdc\xc2\xeb\"}".to_vec()),
        // "café" in Latin-1, and half of a UTF-8 sequence.
        (FORM, b"newPasswordFirst=caf%E9".to_vec()),
        (JSON, b"{\"newPasswordFirst\":\"caf\xe9\"}".to_vec()),
        (FORM, b"newPasswordFirst=%E5%AF".to_vec()),
        // Overlong, and CESU-8 as Java's modified UTF-8 has it.
        (FORM, b"newPasswordFirst=%C0%80".to_vec()),
        (FORM, b"newPasswordFirst=%ED%A0%BD%ED%B8%80".to_vec()),
        // A client that has already replaced the bytes.
        (FORM, b"newPasswordFirst=%EF%BF%BD%EF%BF%BD".to_vec()),
        (JSON, "{\"newPasswordFirst\":\"\u{fffd}\u{fffd}\"}".as_bytes().to_vec()),
        (JSON, br#"{"newPasswordFirst":"\ufffd\ufffd"}"#.to_vec()),
        // In a field or a name that no handler reads.
        (FORM, b"time=1&remark=%C3%DC".to_vec()),
        (FORM, b"%C3%DC=1".to_vec()),
        (JSON, utf_16),
        // Half a surrogate pair: a text that was cut between the two, or a filter of emoji.
        (JSON, br#"{"newPasswordFirst":"a-good-password\ud83d"}"#.to_vec()),
        (JSON, br#"{"newPasswordFirst":"a-good-password","newPasswordSecond":"\ud83d"}"#.to_vec()),
        (JSON, br#"{"newPasswordFirst":"\ude00\ud83d"}"#.to_vec()),
        (JSON, br#"{"newPasswordFirst":"\ud83d\n"}"#.to_vec()),
        (JSON, br#"{"token":"\udc00"}"#.to_vec()),
        (JSON, br#"{"remark":"\ud83d"}"#.to_vec()),
        (JSON, br#"{"\ud83d":"1"}"#.to_vec()),
    ]
}

#[tokio::test]
async fn text_that_is_not_unicode_is_refused() {
    let bundle = Bundle::start().await;
    let refused = (400, "BODY_NOT_VALID".to_owned());
    for gateway in Gateway::ALL {
        for (content_type, body) in not_unicode() {
            let shown = String::from_utf8_lossy(&body).into_owned();
            let headers = vec![("Content-Type", content_type)];
            let request = Http { method: "PUT", path: CHANGE, headers, body, ..Http::default() };
            assert_eq!(
                gateway.call(&bundle, "change-password", &request).await,
                refused,
                "{gateway:?} {shown}"
            );
        }
        for query in [
            "oldPassword=%C3%DC%C2%EB",
            "oldPassword=caf%E9",
            "oldPassword=%EF%BF%BD",
            "%C3%DC=1",
            "a=1&b=%E5%AF",
        ] {
            let request = Http { method: "PUT", path: CHANGE, query, ..Http::default() };
            assert_eq!(
                gateway.call(&bundle, "change-password", &request).await,
                refused,
                "{gateway:?} {query}"
            );
        }
    }
}

#[tokio::test]
async fn stack_refuses_text_that_is_not_unicode() {
    let bundle = Bundle::start().await;
    for (content_type, body) in not_unicode() {
        let shown = String::from_utf8_lossy(&body).into_owned();
        for (method, path) in [(Method::PUT, CHANGE), (Method::POST, SEND)] {
            let call = bundle.call(method, path).header("content-type", content_type);
            assert_eq!(call.body(body.clone()).await.refusal(), (400, "BODY_NOT_VALID"), "{path} {shown}");
        }
    }
    for query in ["phone=%D6%D0", "phone=13627140483&a=%FF", "%FF=1"] {
        let sent = bundle.call(Method::GET, &format!("{SEND_CODE}?{query}")).send().await;
        assert_eq!(sent.refusal(), (400, "BODY_NOT_VALID"), "{query}");
    }
    let page = bundle.call(Method::GET, &format!("{VERIFY_MAIL}?verification=%FF&code=1")).send().await;
    assert_eq!((page.status.as_u16(), page.text.contains("</html>")), (400, true), "{}", page.text);
}

/// Passwords in characters of two to four bytes, and with those that queries and forms encode.
const PASSWORDS: [&str; 4] = ["密码密码密码", "😀😀😀😀😀😀", "𠮷野家の丼 a+b&c=d%41", "Zoë's pässword"];

/// Escapes the characters of JSON that are not ASCII.
fn escaped(json: &str) -> String {
    let mut escaped = String::new();
    for character in json.chars() {
        if character.is_ascii() {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(escaped, "\\u{unit:04x}").unwrap();
            }
        }
    }
    escaped
}

#[tokio::test]
async fn every_gateway_passes_the_same_text() {
    let bundle = Bundle::start().await;
    for gateway in Gateway::ALL {
        let member = bundle.member_with(json!({ "password": "the-old-password" })).await;
        let mut old = "the-old-password";
        let mut session = member.token.clone();
        for (round, new) in PASSWORDS.into_iter().cycle().take(8).enumerate() {
            let pairs = [("oldPassword", old), ("newPasswordFirst", new), ("newPasswordSecond", new)];
            let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            let object =
                json!({ "oldPassword": old, "newPasswordFirst": new, "time": 1_690_000_000_000_u64 });
            let (query, content_type, body) = match round % 4 {
                0 => ("", FORM, form.clone()),
                // Python's `json.dumps` escapes what is not ASCII.
                1 => ("", JSON, escaped(&object.to_string())),
                2 => (form.as_str(), JSON, "null".to_owned()),
                _ => ("", JSON, json!({ "oldPassword": old, "newPasswordFirst": new }).to_string()),
            };
            let request = Http {
                method: "PUT",
                path: CHANGE,
                query,
                headers: vec![("Content-Type", content_type), ("token", &session)],
                body: body.into_bytes(),
                ..Http::default()
            };
            let changed = bundle.invoke("change-password", &gateway.event(&request)).await;
            assert_eq!(changed.body["statusCode"], 201, "{gateway:?} {round}: {}", changed.text);
            let body: Value = serde_json::from_str(changed.body["body"].as_str().unwrap()).unwrap();
            session = body["token"].as_str().unwrap().to_owned();
            old = new;
        }
        assert!(bundle.has_password(&member, old).await, "{gateway:?}");
    }
}

#[tokio::test]
async fn last_of_several_values_counts() {
    let bundle = Bundle::start().await;
    for gateway in Gateway::ALL {
        let request = Http { method: "GET", path: SEND_CODE, query: "phone=none&phone=1", ..Http::default() };
        let refused = gateway.call(&bundle, "send-code", &request).await;
        assert_eq!(refused, (400, "{PHONE}_NOT_VALID".to_owned()), "{gateway:?}");
        let request = Http { query: "phone=1&phone=+", ..request };
        // This gateway passes only the last value, which is blank.
        let is_lost = matches!(gateway, Gateway::LoadBalancer);
        let expected = if is_lost { "{PHONE}_REQUIRED" } else { "{PHONE}_NOT_VALID" };
        let refused = gateway.call(&bundle, "send-code", &request).await;
        assert_eq!(refused, (400, expected.to_owned()), "{gateway:?}");
    }
}

#[tokio::test]
async fn null_is_no_body_with_every_method() {
    let bundle = Bundle::start().await;
    let phones = ["13800138001", "13800138002", "13800138003", "13800138004", "13800138005", "13800138006"];
    for (gateway, phone) in Gateway::ALL.into_iter().zip(phones) {
        let query = format!("phone={phone}");
        let headers = vec![("Content-Type", JSON)];
        let request = Http {
            method: "GET",
            path: SEND_CODE,
            query: &query,
            headers,
            body: b"null".to_vec(),
            ..Http::default()
        };
        assert_eq!(gateway.call(&bundle, "send-code", &request).await, (200, String::new()), "{gateway:?}");
    }
    for (method, path, refusal) in [
        (Method::POST, SEND, (401, "INVALID_TOKEN")),
        (Method::PUT, CHANGE, (401, "INVALID_TOKEN")),
        (Method::POST, RECOVERY, (400, "{MESSAGE}_REQUIRED")),
        (Method::GET, SEND_CODE, (400, "{PHONE}_REQUIRED")),
    ] {
        let call = bundle.call(method, path).header("content-type", JSON);
        assert_eq!(call.body("null").await.refusal(), refusal, "{path}");
    }
}

#[tokio::test]
async fn cookie_is_found_through_every_gateway() {
    let limits = [("CODE_MAX_ATTEMPTS", "10"), ("FAILURES_PER_DAY", "100"), ("RESEND_AFTER_SECONDS", "1")];
    for gateway in Gateway::ALL {
        let bundle = Bundle::with(&limits).await;
        bundle.member().await;
        let (token, code) = bundle.request_sms_code(None, PHONE).await;
        let quoted = format!("verification=\"{token}\"");
        let plain = format!("verification={token}");
        let in_the_middle = format!("名字=李雷; {plain}; theme=dark");
        let cases: [&[&str]; 6] = [
            &[&plain],
            &[&quoted],
            &[&in_the_middle],
            &["名字=\u{fffd}\u{fffd}; theme=dark", &quoted],
            &["theme=dark", "visits=7", &plain],
            &["verification=\u{fffd}", &plain],
        ];
        let body = format!("message={}", wrong_code(&code)).into_bytes();
        let headers = vec![("Content-Type", FORM)];
        let request = Http { method: "POST", path: RECOVERY, headers, body, ..Http::default() };
        for cookies in cases {
            let request = Http { cookies: cookies.to_vec(), ..request.clone() };
            let (_, symbol) = gateway.call(&bundle, "verify-recovery-code", &request).await;
            assert_eq!(symbol, "{CODE}_NOT_VALID", "{gateway:?} {cookies:?}");
        }
        for (cookie, refusal) in [
            ("theme=dark", "{VERIFICATION}_REQUIRED"),
            ("verification=", "{VERIFICATION}_REQUIRED"),
            ("verification=\u{fffd}", "{VERIFICATION}_REQUIRED"),
            ("verification=forged", "{VERIFICATION}_NOT_VALID"),
        ] {
            let request = Http { cookies: vec![cookie], ..request.clone() };
            let (_, symbol) = gateway.call(&bundle, "verify-recovery-code", &request).await;
            assert_eq!(symbol, refusal, "{gateway:?} {cookie}");
        }
    }
}

#[tokio::test]
async fn stack_reads_cookies_as_bytes() {
    let bundle = Bundle::with(&[("CODE_MAX_ATTEMPTS", "10")]).await;
    bundle.member().await;
    let (token, code) = bundle.request_sms_code(None, PHONE).await;
    let plain = format!("verification={token}").into_bytes();
    let quoted = format!("verification=\"{token}\"").into_bytes();
    let gbk = [b"name=\xc0\xee\xc0\xd7; ".as_slice(), &plain].concat();
    for fields in [vec![plain.clone()], vec![quoted], vec![gbk], vec![b"name=Zo\xe9".to_vec(), plain]] {
        let mut call = bundle.call(Method::POST, RECOVERY);
        for field in &fields {
            call.request =
                call.request.header("cookie", reqwest::header::HeaderValue::from_bytes(field).unwrap());
        }
        let refused = call.form(&[("message", wrong_code(&code))]).await;
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"), "{fields:?}");
    }
}

#[tokio::test]
async fn session_that_is_not_ascii_is_invalid() {
    let bundle = Bundle::start().await;
    for (name, value) in [
        ("Authorization", "Bearer 会话"),
        ("Authorization", "bearer \u{fffd}"),
        ("token", "会话"),
        ("token", "a.b.c\u{e9}"),
    ] {
        for gateway in Gateway::ALL {
            let query = format!("phone={OTHER_PHONE}");
            let headers = vec![(name, value)];
            let request = Http { method: "GET", path: SEND_CODE, query: &query, headers, ..Http::default() };
            let refused = gateway.call(&bundle, "send-code", &request).await;
            assert_eq!(refused, (401, "INVALID_TOKEN".to_owned()), "{gateway:?} {name}: {value}");
        }
    }
}
