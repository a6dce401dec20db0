//! CORS: calls by a page of another origin in a browser.

use crate::{
    bundle::{
        Bundle, CHANGE, EMAIL, NEW_PASSWORD, OLD_PASSWORD, PHONE, RECOVERY, Response, SEND, SEND_CODE,
        SEND_MAIL, VERIFY_MAIL, root,
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
    for (path, methods) in routes {
        let response = preflight(&bundle, &path, "PUT").await;
        assert_eq!((response.status.as_u16(), response.text.as_str()), (204, ""), "{path}");
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
    assert_no_cors_headers(&elsewhere);
}

#[tokio::test]
async fn cross_origin_calls_are_refused_without_the_setting() {
    let bundle = Bundle::start().await;
    let response = preflight(&bundle, SEND_MAIL, "POST").await;
    assert_eq!(response.status, 403);
    assert_no_cors_headers(&response);
    let response =
        bundle.call(Method::POST, SEND_MAIL).header("Origin", ORIGIN).form(&[("email", EMAIL)]).await;
    assert_no_cors_headers(&response.ok());
    let no_request = bundle.invoke("send-mail", &Value::Null).await.body;
    assert_eq!(no_request["headers"]["access-control-allow-origin"], Value::Null);
}
