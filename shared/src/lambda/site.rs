//! HTTP events for the account pages.

use super::{
    guard::{Event, catch_unwind},
    http::take_query,
};
use crate::{app::Pages, http::site::Found, language::Language};
use lambda_http::{
    Adapter, Body, LambdaEvent, Response,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
            LOCATION, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
        },
    },
    lambda_runtime::tower::Service,
    request::LambdaRequest,
    service_fn,
};
use serde_json::{Value, json};
use std::convert::Infallible;

/// The policy of the account pages: scripts, styles and images of this origin only, nothing inline, no framing, and no
/// text that becomes markup or script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// `WebOTP` is allowed to the page itself only, and what it does not use to no one.
const PERMISSIONS: &str = "otp-credentials=(self), camera=(), geolocation=(), microphone=(), payment=()";

/// A file under the hash of its content never changes (RFC 8246).
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// The parameter with the languages that the person prefers, separated by spaces (`OpenID` Connect Core, 3.1.2.1).
const UI_LOCALES: &str = "ui_locales";

/// The parameter with the address of the app.
const RETURN: &str = "return";

/// Responds to an event as its gateway expects, even if it is not an HTTP request.
pub(super) async fn respond(pages: &'static Pages, event: Event) -> Value {
    let LambdaEvent { payload, context } = event;
    let adapted = catch_unwind(async move {
        let mut request: LambdaRequest = serde_json::from_str(payload.get()).ok()?;
        let query = take_query(&mut request);
        let respond = |request: lambda_http::Request| {
            let response = response(pages, request.uri().path(), &query, request.headers());
            async move { Ok::<_, Infallible>(response) }
        };
        match Adapter::from(service_fn(respond)).call(LambdaEvent::new(request, context)).await {
            Ok(response) => serde_json::to_value(response).ok(),
            Err(never) => match never {},
        }
    })
    .await;
    adapted.flatten().unwrap_or_else(|| json!({ "statusCode": 400, "body": "" }))
}

fn response(pages: &Pages, path: &str, query: &[(String, String)], headers: &HeaderMap) -> Response<Body> {
    let site = pages.site();
    let parameter = |name: &str| query.iter().find(|(sent, _)| sent == name).map(|(_, value)| value.as_str());
    let (status, body, headers) = match site.find(path) {
        Found::Page { prefix } => {
            let accepted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
            let language = parameter(UI_LOCALES)
                .and_then(|tags| tags.split_whitespace().find_map(Language::of_tag))
                .or_else(|| accepted.and_then(Language::of_header))
                .unwrap_or(pages.settings.default_language);
            let headers = [
                (CONTENT_TYPE, "text/html; charset=utf-8"),
                (CACHE_CONTROL, "no-store"),
                (CONTENT_LANGUAGE, language.tag()),
                (VARY, "Accept-Language"),
                (CONTENT_SECURITY_POLICY, POLICY),
                (HeaderName::from_static("permissions-policy"), PERMISSIONS),
                (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            ];
            (StatusCode::OK, site.page(prefix, language, parameter(RETURN)), headers.to_vec())
        }
        Found::File { file, is_current } => {
            let caching = if is_current { IMMUTABLE } else { "no-store" };
            let headers = vec![(CONTENT_TYPE, file.media_type), (CACHE_CONTROL, caching)];
            (StatusCode::OK, file.text.clone(), headers)
        }
        Found::Moved(path) => {
            (StatusCode::FOUND, String::new(), vec![(LOCATION, path), (CACHE_CONTROL, "no-store")])
        }
        Found::Missing => {
            let headers = vec![(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
            (StatusCode::NOT_FOUND, "404 Not Found\n".to_owned(), headers)
        }
    };
    let mut response = Response::new(Body::Text(body));
    *response.status_mut() = status;
    let common = [(X_CONTENT_TYPE_OPTIONS, "nosniff"), (REFERRER_POLICY, "no-referrer")];
    for (name, value) in headers.into_iter().chain(common) {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
