//! HTTP events of API Gateway, function URLs and load balancers.

use super::{
    Handler,
    guard::{Event, catch_unwind, log, outcome},
};
use crate::{
    Secret,
    app::App,
    clock::Timestamp,
    domain::{
        audit::{MAX_USER_AGENT_CHARACTERS, Origin},
        idempotency::IdempotentRequest,
    },
    error::Error,
    http::{
        cookie,
        envelope::{Api, Format},
        reply::{Reply, Verification},
        request::{Parameters, Request, SESSION},
    },
    language::Language,
    metrics,
    settings::web_origin::WebOrigin,
};
use lambda_http::{
    Adapter, Body, LambdaEvent, RequestExt, Response,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{
            ACCEPT_LANGUAGE, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_EXPOSE_HEADERS, AUTHORIZATION, AsHeaderName, CACHE_CONTROL,
            CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST, ORIGIN, REFERRER_POLICY, RETRY_AFTER,
            SET_COOKIE, USER_AGENT, VARY, X_CONTENT_TYPE_OPTIONS,
        },
    },
    lambda_runtime::tower::Service,
    request::{LambdaRequest, RequestContext},
    service_fn,
};
use serde_json::{Value, json};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    convert::Infallible,
    mem,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// draft-ietf-httpapi-idempotency-key-header, 2.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The headers that a page of another origin may read (Fetch Standard, "CORS protocol"). A REST API of API Gateway
/// renames `Authorization` to the third (Amazon API Gateway Developer Guide, "Important notes").
const EXPOSED_HEADERS: &str = "Authorization, Retry-After, X-Amzn-Remapped-Authorization, X-Request-Id";

/// W3C Fetch Metadata Request Headers, 2.3.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// The cookie that carries `verification` from one call of a flow to the next.
const VERIFICATION: &str = "verification";

/// Responds to an event as its gateway expects, even if it is not an HTTP request.
pub(super) async fn respond_to_event<A: Api>(
    app: &'static App,
    handler: impl Handler<A>,
    event: Event,
) -> Value {
    let LambdaEvent { payload, context } = event;
    let (request_id, deadline) = (context.request_id.clone(), context.deadline);
    // `lambda_http` panics on some events, such as one with an invalid Host header.
    let adapted = catch_unwind(async move {
        let mut request: LambdaRequest = serde_json::from_str(payload.get()).ok()?;
        keep_every_field(&mut request);
        let query: Arc<[_]> = take_query(&mut request).into();
        let respond = move |request: lambda_http::Request| {
            let query = Arc::clone(&query);
            async move {
                let mut response = respond(app, handler, &request, &query, deadline).await;
                allow_origin(app, response.headers_mut());
                Ok::<_, Infallible>(response)
            }
        };
        match Adapter::from(service_fn(respond)).call(LambdaEvent::new(request, context)).await {
            Ok(response) => serde_json::to_value(response).ok(),
            Err(never) => match never {},
        }
    })
    .await;
    adapted.flatten().unwrap_or_else(|| malformed::<A>(app, &request_id))
}

/// Keeps every field of a header that was sent more than once. [`Adapter`] would replace the list of them by the single
/// value that the event contains too. It would also drop all cookies of an HTTP API if one of them were malformed.
fn keep_every_field(request: &mut LambdaRequest) {
    let (single, all) = match request {
        LambdaRequest::ApiGatewayV1(event) => (&mut event.headers, &event.multi_value_headers),
        LambdaRequest::Alb(event) => (&mut event.headers, &event.multi_value_headers),
        LambdaRequest::ApiGatewayV2(event) => {
            for cookie in event.cookies.take().unwrap_or_default() {
                if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                    event.headers.append(COOKIE, cookie);
                }
            }
            return;
        }
        _ => return,
    };
    for name in all.keys().filter(|name| all.get_all(*name).iter().count() > 1) {
        single.remove(name);
    }
}

/// Takes the parameters of the query out of an event, decoded once. [`Adapter`] would decode those of a load balancer
/// twice, and would panic if the query of an HTTP API had a character that a URL must not have.
///
/// REST APIs decode the query (Amazon API Gateway Developer Guide, "Important notes"), load balancers do not (Elastic
/// Load Balancing, "Lambda functions as targets"), and HTTP APIs and function URLs pass it on as it was sent.
pub(super) fn take_query(request: &mut LambdaRequest) -> Vec<(String, String)> {
    match request {
        LambdaRequest::ApiGatewayV1(event) => {
            let single = mem::take(&mut event.query_string_parameters);
            let all = mem::take(&mut event.multi_value_query_string_parameters);
            let pairs = if all.is_empty() { single } else { all };
            pairs.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        }
        LambdaRequest::ApiGatewayV2(event) => decoded(&event.raw_query_string.take().unwrap_or_default()),
        LambdaRequest::Alb(event) => {
            let single = mem::take(&mut event.query_string_parameters);
            let all = mem::take(&mut event.multi_value_query_string_parameters);
            let pairs = if all.is_empty() { single } else { all };
            pairs.iter().flat_map(|(name, value)| decoded(&format!("{name}={value}"))).collect()
        }
        _ => Vec::new(),
    }
}

/// Decodes a query as the URL Standard does ("application/x-www-form-urlencoded parsing"). Bytes that are not UTF-8
/// become U+FFFD, which [`Parameters::read`] refuses.
fn decoded(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// Refuses an event that is not an HTTP request. Every gateway accepts this response format.
fn malformed<A: Api>(app: &App, request_id: &str) -> Value {
    let language = app.settings.default_language;
    let mut response = failure::<A>(app, &Error::BodyNotValid, language, Format::Json, request_id);
    allow_origin(app, response.headers_mut());
    let headers: BTreeMap<_, _> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()))
        .collect();
    let body = match response.body() {
        Body::Text(text) => text,
        _ => "",
    };
    json!({ "statusCode": response.status().as_u16(), "headers": headers, "body": body })
}

/// Allows pages of `CORS_ORIGIN` to read the response, even to a request with cookies.
fn allow_origin(app: &App, headers: &mut HeaderMap) {
    let Some(origin) = &app.settings.cors_origin else { return };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.header());
    headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
    headers.insert(VARY, HeaderValue::from_static("Origin"));
}

async fn respond<A: Api>(
    app: &'static App,
    handler: impl Handler<A>,
    event: &lambda_http::Request,
    query: &[(String, String)],
    deadline: u64,
) -> Response<Body> {
    let requested_language = header(event.headers(), ACCEPT_LANGUAGE).and_then(Language::of_header);
    let language = requested_language.unwrap_or(app.settings.default_language);
    let format = A::format(event.method(), event.headers());
    let origin = origin(event, app.settings.trusted_proxies);
    let request_id = origin.request_id.clone();
    let reply = async {
        let is_cross_site = is_cross_site(event.headers(), app.settings.cors_origin.as_ref());
        let mut request =
            Request { requested_language, is_cross_site, ..request(event, query, origin, language)? };
        if format == Format::Json {
            request.idempotent = idempotent(app, &request, event, deadline)?.map(Arc::new);
        }
        app.run_once(request, |app, request| handler.handle(app, request)).await
    };
    match outcome(deadline, reply).await.and_then(|reply| success(app, &reply, format, &request_id)) {
        Ok(response) => response,
        Err(error) => {
            log(&error, &request_id);
            if error.is_server_error() {
                metrics::failed_request(A::FAMILY);
            }
            failure::<A>(app, &error, language, format, &request_id)
        }
    }
}

/// Reads the request that an event contains.
fn request(
    event: &lambda_http::Request,
    query: &[(String, String)],
    origin: Origin,
    language: Language,
) -> Result<Request, Error> {
    let headers = event.headers();
    let query = query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let parameters = Parameters::read(query, header(headers, CONTENT_TYPE), event.body())?;
    let session_token = text(headers, AUTHORIZATION)
        .and_then(|authorization| bearer(&authorization).map(Secret::from))
        .or_else(|| {
            let token = text(headers, SESSION)?;
            Some(token.trim()).filter(|token| !token.is_empty()).map(Secret::from)
        })
        .or_else(|| parameters.in_body(SESSION).cloned());
    let cookies = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let verification_cookie = cookie::find(cookies, VERIFICATION);
    let method = event.method().clone();
    Ok(Request {
        language,
        requested_language: None,
        origin,
        parameters,
        session_token,
        verification_cookie,
        method,
        is_cross_site: false,
        idempotent: None,
    })
}

/// Returns whether a browser states that another site caused the request. `Origin` takes precedence over
/// `Sec-Fetch-Site`, in which the allowed origin may be another site too. Other clients send neither header.
fn is_cross_site(headers: &HeaderMap, allowed: Option<&WebOrigin>) -> bool {
    let host = headers.get(HOST).map_or(&[][..], HeaderValue::as_bytes);
    let is_own = |origin: &HeaderValue| {
        let origin = origin.as_bytes();
        let authority = origin.strip_prefix(b"https://").or_else(|| origin.strip_prefix(b"http://"));
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    };
    match headers.get(ORIGIN) {
        Some(origin) if allowed.is_some_and(|allowed| allowed.header() == origin) => false,
        Some(origin) if !is_own(origin) => true,
        _ => headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site"),
    }
}

/// Returns the request's idempotency key, if it sent one.
fn idempotent(
    app: &App,
    request: &Request,
    event: &lambda_http::Request,
    deadline: u64,
) -> Result<Option<IdempotentRequest>, Error> {
    let context = event.lambda_context_ref();
    let function = context.map(|context| context.env_config.function_name.as_str()).unwrap_or_default();
    // Rounded up: another process must not acquire the claim before this invocation ends.
    let until = Timestamp(deadline / 1000 + 1);
    // An unreadable key becomes an empty one, which is refused. Without a key the request would run more than once.
    let key = event.headers().get(IDEMPOTENCY_KEY).map(|key| key.to_str().unwrap_or_default());
    app.idempotent_request(request, key, function, until)
}

/// Returns the token of `Bearer …`. The scheme is case-insensitive (RFC 9110, 11.1).
pub(super) fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn origin(event: &lambda_http::Request, trusted_proxies: usize) -> Origin {
    Origin {
        request_id: event.lambda_context_ref().map(|context| context.request_id.clone()).unwrap_or_default(),
        source_ip: source_ip(event, trusted_proxies).map(|address| address.to_string()),
        user_agent: text(event.headers(), USER_AGENT)
            .map(|agent| agent.chars().take(MAX_USER_AGENT_CHARACTERS).collect()),
    }
}

/// Returns the caller's address: as the gateway reports it, or with trusted proxies the entry of `X-Forwarded-For`
/// that the outermost of them appended. The caller may have written the entries before that one.
fn source_ip(event: &lambda_http::Request, trusted_proxies: usize) -> Option<IpAddr> {
    let text = match (trusted_proxies, event.request_context_ref()?) {
        (0, RequestContext::ApiGatewayV1(context)) => context.identity.source_ip.clone()?,
        (0, RequestContext::ApiGatewayV2(context)) => context.http.source_ip.clone()?,
        // A load balancer reports it only in the entry that it appends to this header.
        (0, RequestContext::Alb(_)) => forwarded_for(event.headers(), 1)?,
        (0, _) => return None,
        (position, _) => forwarded_for(event.headers(), position)?,
    };
    text.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
}

/// Returns the entry at this position, from the right, of all fields of `X-Forwarded-For` (RFC 9110, 5.3: their
/// values form one list).
fn forwarded_for(headers: &HeaderMap, position: usize) -> Option<String> {
    let fields = headers.get_all("x-forwarded-for").iter();
    let fields: Vec<_> = fields.map(|field| String::from_utf8_lossy(field.as_bytes())).collect();
    let list = fields.join(",");
    let entry = list.rsplit(',').nth(position.checked_sub(1)?)?;
    Some(entry.trim().to_owned())
}

fn header(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Returns the first value of a header as text. A byte that is not UTF-8 becomes U+FFFD, so that a session with such a
/// byte is one that was sent and is not valid.
fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<Cow<'_, str>> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()))
}

fn success<A: Api>(
    app: &App,
    reply: &Reply<A>,
    format: Format,
    request_id: &str,
) -> Result<Response<Body>, Error> {
    let body = A::success(reply, format)?;
    let status = http_status::<A>(app, A::status(&reply.success), format);
    let mut response = response(status, body, format, request_id);
    let headers = response.headers_mut();
    let added = &reply.added;
    if let Some(session) = added.token().and_then(|token| format!("Bearer {token}").parse().ok()) {
        headers.insert(AUTHORIZATION, session);
    }
    let cookie = match &added.verification {
        Verification::Unchanged => None,
        Verification::Is(verification) => {
            set_cookie(verification, added.expires_in.unwrap_or_default()).parse().ok()
        }
        Verification::Consumed => set_cookie("", 0).parse().ok(),
    };
    if let Some(cookie) = cookie {
        headers.insert(SET_COOKIE, cookie);
    }
    Ok(response)
}

fn set_cookie(value: &str, seconds: u64) -> String {
    format!("{VERIFICATION}={value}; HttpOnly; Secure; SameSite=Lax; Path=/; Max-Age={seconds}")
}

fn failure<A: Api>(
    app: &App,
    error: &Error,
    language: Language,
    format: Format,
    request_id: &str,
) -> Response<Body> {
    // Writing an error does not fail. If it did, the response would still have the right status.
    let body = A::failure(error, language, format).unwrap_or_default();
    let status = http_status::<A>(app, A::error_status(error), format);
    let mut response = response(status, body, format, request_id);
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// Returns the HTTP status of a response whose envelope has this status. `HTTP_200_FAMILIES` does not apply to a page,
/// which has no envelope.
fn http_status<A: Api>(app: &App, status: StatusCode, format: Format) -> StatusCode {
    let is_in_body_only = format == Format::Json && app.settings.http_200_families.contains(&A::FAMILY);
    if is_in_body_only { StatusCode::OK } else { status }
}

/// The policy of a page: no scripts, no subresources, no framing.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

fn response(status: StatusCode, body: String, format: Format, request_id: &str) -> Response<Body> {
    let mut response = Response::new(Body::Text(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    match format {
        Format::Json => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        }
        Format::Page => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
            // The page's URL contains the code.
            headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        }
    }
    if let Ok(request_id) = request_id.parse() {
        headers.insert("x-request-id", request_id);
    }
    response
}
