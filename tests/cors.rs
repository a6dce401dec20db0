//! CORS: calls by a page of another origin in a browser.

use crate::{
    bundle::{
        Bundle, CHANGE, Call, EMAIL, Member, NEW_PASSWORD, OLD_PASSWORD, PHONE, RECOVERY, Response, SEND,
        SEND_CODE, SEND_MAIL, VERIFY_MAIL, root,
    },
    proxy::{ANY, InjectedFault, On, Proxy, STORE},
};
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use template::Template;

const ORIGIN: &str = "https://app.example.com";
const SETTINGS: [(&str, &str); 1] = [("CORS_ORIGIN", ORIGIN)];

/// Returns the items of a list in a header, as a browser reads them.
fn header_list(headers: &HeaderMap, name: &str) -> BTreeSet<String> {
    headers[name].to_str().unwrap().split(',').map(|item| item.trim().to_ascii_lowercase()).collect()
}

/// Asserts that a page of the allowed origin may read the response and the headers that it needs.
fn assert_readable(response: &Response) {
    let headers = &response.headers;
    assert_eq!(headers["access-control-allow-origin"], ORIGIN, "{response:?}");
    assert_eq!(headers["access-control-allow-credentials"], "true");
    assert_eq!(headers["vary"], "Origin");
    let exposed = ["authorization", "retry-after", "x-amzn-remapped-authorization", "x-request-id"];
    let exposed = exposed.map(str::to_owned);
    assert_eq!(header_list(headers, "access-control-expose-headers"), exposed.into());
}

fn assert_no_cors_headers(response: &Response) {
    let is_cors = |name: &str| name.starts_with("access-control-") || name == "vary";
    assert!(!response.headers.keys().any(|name| is_cors(name.as_str())), "{response:?}");
}

async fn preflight(bundle: &Bundle, path: &str, method: &str) -> Response {
    let call = bundle.call(Method::OPTIONS, path).header("Origin", ORIGIN);
    let call = call.header("Access-Control-Request-Method", method);
    call.header("Access-Control-Request-Headers", "authorization,idempotency-key").send().await
}

/// Returns the methods of each path in the template.
fn routes() -> BTreeMap<String, BTreeSet<String>> {
    let mut routes = BTreeMap::<_, BTreeSet<_>>::new();
    let template = Template::load(&root().join("template.yaml")).unwrap();
    for route in template.functions.into_iter().flat_map(|function| function.routes) {
        routes.entry(route.path).or_default().insert(route.method.to_ascii_lowercase());
    }
    routes
}

#[tokio::test]
async fn allowed_origin_reads_successes_refusals_and_failures() {
    let bundle = Bundle::with(&SETTINGS).await;
    let member = bundle.member().await;
    let change = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    let changed = bundle.call(Method::PUT, CHANGE).session(&member.token).json(&change).await.ok();
    assert!(changed.headers.contains_key("authorization"));
    assert_readable(&changed);
    let code = bundle.call(Method::GET, SEND_CODE).query(&[("phone", PHONE)]);
    assert_readable(&code.send().await.ok());
    let again = bundle.call(Method::GET, SEND_CODE).query(&[("phone", PHONE)]).send().await;
    assert!(again.headers.contains_key("retry-after"), "{again:?}");
    assert_readable(&again);
    for (refused, status) in [
        (bundle.call(Method::POST, SEND).send().await, 401),
        (bundle.call(Method::POST, RECOVERY).body("[").await, 400),
        (bundle.call(Method::POST, RECOVERY).body(" ".repeat(20_000)).await, 413),
    ] {
        assert_eq!(refused.status, status);
        assert_readable(&refused);
    }
    let page = bundle.call(Method::GET, VERIFY_MAIL).query(&[("verification", "no-token"), ("code", "1")]);
    let page = page.send().await.ok();
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert_readable(&page);

    let (store, bundle) = Proxy::between(STORE, &SETTINGS).await;
    store.fault(On::all(ANY), InjectedFault::Refuse("AccessDeniedException"));
    let failed = bundle.call(Method::POST, SEND_MAIL).form(&[("email", EMAIL)]).await;
    assert_eq!(failed.refusal(), (500, "INTERNAL_SERVER_ERROR"));
    assert_readable(&failed);
}

#[tokio::test]
async fn response_to_an_invalid_event_is_readable() {
    let bundle = Bundle::with(&SETTINGS).await;
    let response = bundle.invoke("send-mail", &json!({ "not": "a request" })).await.body;
    assert_eq!(response["statusCode"], 400);
    assert_eq!(response["headers"]["access-control-allow-origin"], ORIGIN);
    assert_eq!(response["headers"]["access-control-allow-credentials"], "true");
    assert_eq!(response["headers"]["vary"], "Origin");
}

#[tokio::test]
async fn preflight_allows_the_methods_of_each_path() {
    let bundle = Bundle::with(&SETTINGS).await;
    let routes = routes();
    assert!(routes.len() > 8, "{routes:?}");
    for (path, mut methods) in routes {
        methods.insert("options".to_owned());
        let response = preflight(&bundle, &path, "PUT").await;
        assert_eq!((response.status.as_u16(), response.text.as_str()), (200, "{}\n"), "{path}");
        assert_eq!(header_list(&response.headers, "access-control-allow-methods"), methods, "{path}");
        assert_eq!(response.headers["access-control-allow-origin"], ORIGIN);
        assert_eq!(response.headers["access-control-allow-credentials"], "true");
        assert_eq!(response.headers["access-control-max-age"], "7200");
        let headers = ["accept-language", "authorization", "content-type", "idempotency-key", "token"];
        let allowed = header_list(&response.headers, "access-control-allow-headers");
        assert_eq!(allowed, headers.map(str::to_owned).into());
    }
    let elsewhere = preflight(&bundle, "/no/such/path", "PUT").await;
    assert_eq!(elsewhere.status, 403);
    assert_eq!(elsewhere.headers["access-control-allow-origin"], ORIGIN);
}

#[tokio::test]
async fn cross_origin_calls_are_refused_without_the_setting() {
    let bundle = Bundle::start().await;
    // The gateway allows an origin that cannot exist.
    let response = preflight(&bundle, SEND_MAIL, "POST").await;
    assert_eq!(response.headers["access-control-allow-origin"], "https://none.invalid");
    let response =
        bundle.call(Method::POST, SEND_MAIL).header("Origin", ORIGIN).form(&[("email", EMAIL)]).await;
    assert_eq!(response.refusal(), (403, "ORIGIN_NOT_ALLOWED"));
    assert_no_cors_headers(&response);
    let no_request = bundle.invoke("send-mail", &Value::Null).await.body;
    assert_eq!(no_request["headers"]["access-control-allow-origin"], Value::Null);
}

/// A GET and two POSTs that send a code, without a preflight if a page of another site makes them.
async fn sends(bundle: &Bundle, member: &Member, headers: &[(&str, &str)]) -> [Response; 3] {
    let with = |call: Call| headers.iter().fold(call, |call, (name, value)| call.header(name, value));
    let by_sms = with(bundle.call(Method::GET, SEND_CODE).query(&[("phone", PHONE)]));
    let by_mail = with(bundle.call(Method::POST, SEND_MAIL));
    let to_change = with(bundle.call(Method::POST, SEND));
    let session = [("token", member.token.as_str())];
    [by_sms.send().await, by_mail.form(&[("email", EMAIL)]).await, to_change.form(&session).await]
}

#[tokio::test]
async fn cross_site_send_is_refused_and_stores_nothing() {
    for settings in [&SETTINGS[..], &[]] {
        let bundle = Bundle::with(settings).await;
        let member = bundle.member().await;
        bundle.settled().await;
        let before = bundle.items().await.len();
        let host = bundle.stack.url().trim_start_matches("http://").to_owned();
        let subdomain = format!("http://evil.{host}");
        let other_port = format!("http://{}1", host.trim_end_matches(|digit: char| digit.is_ascii_digit()));
        for headers in [
            &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Dest", "image")][..],
            &[("Origin", "https://evil.example")],
            &[("Origin", "https://evil.example"), ("Sec-Fetch-Site", "same-origin")],
            &[("Origin", "null")],
            &[("Origin", "https://app.example.com.evil.example")],
            &[("Origin", "http://app.example.com")],
            &[("Origin", &subdomain)],
            &[("Origin", &other_port)],
        ] {
            for response in sends(&bundle, &member, headers).await {
                assert_eq!(response.refusal(), (403, "ORIGIN_NOT_ALLOWED"), "{headers:?}");
                assert!(!response.headers.contains_key("set-cookie"), "{response:?}");
            }
        }
        bundle.settled().await;
        assert_eq!(bundle.stack.messages().len(), 0);
        assert_eq!(bundle.items().await.len(), before);
    }
}

#[tokio::test]
async fn own_and_allowed_pages_may_send() {
    let bundle = Bundle::with(&SETTINGS).await;
    let own = bundle.stack.url().to_owned();
    for (number, headers) in [
        &[][..],
        &[("Origin", own.as_str()), ("Sec-Fetch-Site", "same-origin")],
        &[("Origin", ORIGIN), ("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-origin")],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Sec-Fetch-Site", "none")],
    ]
    .into_iter()
    .enumerate()
    {
        let call =
            bundle.call(Method::GET, SEND_CODE).query(&[("phone", format!("1380013800{number}").as_str())]);
        headers.iter().fold(call, |call, (name, value)| call.header(name, value)).send().await.ok();
    }
}

#[tokio::test]
async fn refused_origin_is_not_replayed_to_others() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let call = || bundle.call(Method::POST, SEND).session(&member.token).header("Idempotency-Key", "the-key");
    let refused = call().header("Origin", ORIGIN).send().await;
    assert_eq!(refused.refusal(), (403, "ORIGIN_NOT_ALLOWED"));
    call().send().await.ok();
}

#[tokio::test]
async fn other_calls_of_another_site_are_served() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let change = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    let call = bundle.call(Method::PUT, CHANGE).session(&member.token);
    call.header("Origin", ORIGIN).header("Sec-Fetch-Site", "cross-site").json(&change).await.ok();
}
