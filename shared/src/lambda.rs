//! The only module that knows Lambda: events become requests, replies become responses.
//!
//! [`serve`] cannot fail towards the runtime: whatever an event holds, and even if a handler
//! panics, there is an answer and the process goes on.

use crate::{
    app::App,
    envelope::Envelope,
    error::Error,
    language::Language,
    reply::Reply,
    request::{MAX_USER_AGENT_CHARACTERS, Origin, Parameters, Request},
    settings::Settings,
};
use lambda_http::{
    Adapter, Body, LambdaEvent, RequestExt, Response,
    http::{
        self, HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT_LANGUAGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, USER_AGENT},
    },
    lambda_runtime::{self, tower::Service},
    request::{LambdaRequest, RequestContext},
    service_fn,
    tracing::{self, subscriber},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json, value::RawValue};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::Future,
    panic::{self, AssertUnwindSafe},
    pin::pin,
    process::ExitCode,
    task::Poll,
};

/// A parameter of the body that names the session, where no header does.
const TOKEN: &str = "token";

/// Runs a function: builds the [`App`] once, then answers events until the runtime ends.
///
/// A setting that is out of range, or a secret that cannot be read, ends the process at init with a
/// log line that names it.
pub fn serve<H, F>(envelope: Envelope, handler: H) -> ExitCode
where
    H: Fn(&'static App, Request) -> F + Copy + Send + Sync + 'static,
    F: Future<Output = Result<Reply, Error>> + Send + 'static,
{
    // Never below INFO: the SDK's debug events hold requests, and so members' data.
    subscriber::fmt().json().with_max_level(tracing::Level::INFO).with_ansi(false).with_target(false).init();
    // A panic's message can hold what a request carried; where it happened cannot.
    panic::set_hook(Box::new(|panicked| {
        tracing::error!(location = panicked.location().map(ToString::to_string), "a panic was caught");
    }));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(fault) => return stop(&fault),
    };
    let settings = match Settings::from_environment() {
        Ok(settings) => settings,
        Err(faults) => return stop(&faults),
    };
    runtime.block_on(async {
        // It lives as long as the process.
        let app: &'static App = match App::start(settings).await {
            Ok(app) => Box::leak(Box::new(app)),
            Err(fault) => return stop(&fault),
        };
        let ended = lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
            Ok::<_, Infallible>(answer(app, envelope, handler, event).await)
        }))
        .await;
        match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(fault) => stop(&fault),
        }
    })
}

fn stop(fault: &dyn std::fmt::Display) -> ExitCode {
    tracing::error!("the function cannot start: {fault}");
    ExitCode::FAILURE
}

/// A scheduled event that asks for nothing but a warm function.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ping {
    #[serde(default)]
    source: Value,
    #[serde(default)]
    warmer: Value,
    /// What every HTTP event has: a request whose body looks like a ping is a request.
    request_context: Option<IgnoredAny>,
}

impl Ping {
    fn is_in(event: &str) -> bool {
        serde_json::from_str(event).is_ok_and(|Self { source, warmer, request_context }| {
            let scheduled =
                matches!(source.as_str(), Some("aws.scheduler" | "aws.events" | "serverless-plugin-warmup"));
            request_context.is_none() && (scheduled || warmer == Value::Bool(true))
        })
    }
}

async fn answer<H, F>(
    app: &'static App,
    envelope: Envelope,
    handler: H,
    event: LambdaEvent<Box<RawValue>>,
) -> Value
where
    H: Fn(&'static App, Request) -> F + Copy + Send + Sync + 'static,
    F: Future<Output = Result<Reply, Error>> + Send + 'static,
{
    let LambdaEvent { payload, context } = event;
    if Ping::is_in(payload.get()) {
        return match app.store.connect().await {
            Ok(()) => json!({ "warm": true }),
            Err(error) => {
                log(&error, &context.request_id);
                json!({ "warm": false })
            }
        };
    }
    let request_id = context.request_id.clone();
    // `lambda_http` panics on some events, such as one whose Host is no host.
    let adapted = catch_unwind(async move {
        let request: LambdaRequest = serde_json::from_str(payload.get()).ok()?;
        let respond = move |request: lambda_http::Request| async move {
            Ok::<_, Infallible>(respond(app, envelope, handler, request).await)
        };
        match Adapter::from(service_fn(respond)).call(LambdaEvent::new(request, context)).await {
            Ok(response) => serde_json::to_value(response).ok(),
            Err(never) => match never {},
        }
    })
    .await;
    adapted.flatten().unwrap_or_else(|| {
        let response = failure(envelope, &Error::BodyNotValid, app.settings.default_language, &request_id);
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
    })
}

async fn respond<H, F>(
    app: &'static App,
    envelope: Envelope,
    handler: H,
    event: lambda_http::Request,
) -> Response<Body>
where
    H: Fn(&'static App, Request) -> F + Copy,
    F: Future<Output = Result<Reply, Error>>,
{
    let language = header(event.headers(), ACCEPT_LANGUAGE)
        .and_then(Language::of_header)
        .unwrap_or(app.settings.default_language);
    let origin = origin(&event);
    let request_id = origin.request_id.clone();
    let reply = async {
        let request = request(&event, origin, language)?;
        handler(app, request).await
    };
    let outcome = catch_unwind(reply).await.unwrap_or_else(|| Err(Error::internal("the handler panicked")));
    match outcome {
        Ok(reply) => success(envelope, &reply, language, &request_id),
        Err(error) => {
            log(&error, &request_id);
            failure(envelope, &error, language, &request_id)
        }
    }
}

/// What the handler sees of an event.
fn request(event: &lambda_http::Request, origin: Origin, language: Language) -> Result<Request, Error> {
    let query = event.query_string_parameters();
    let content_type = header(event.headers(), http::header::CONTENT_TYPE);
    let parameters = Parameters::read(query.iter(), content_type, event.body())?;
    let session_token = header(event.headers(), AUTHORIZATION)
        .and_then(bearer)
        .or_else(|| header(event.headers(), TOKEN).filter(|token| !token.trim().is_empty()))
        .map(|token| token.trim().into())
        .or_else(|| parameters.in_body(TOKEN).cloned());
    Ok(Request { language, origin, parameters, session_token })
}

/// The token of `Bearer …`, whose scheme is spelled in any case (RFC 9110, 11.1).
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn origin(event: &lambda_http::Request) -> Origin {
    let source_ip = match event.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.identity.source_ip.clone(),
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.clone(),
        // A load balancer says it in a header alone, as the last of the list: what is before it the caller wrote.
        Some(RequestContext::Alb(_)) => header(event.headers(), "x-forwarded-for")
            .and_then(|list| list.rsplit(',').next())
            .map(|address| address.trim().to_owned()),
        _ => None,
    };
    Origin {
        request_id: event.lambda_context_ref().map(|context| context.request_id.clone()).unwrap_or_default(),
        source_ip,
        user_agent: header(event.headers(), USER_AGENT)
            .map(|agent| agent.chars().take(MAX_USER_AGENT_CHARACTERS).collect()),
    }
}

fn header(headers: &HeaderMap, name: impl http::header::AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn success(envelope: Envelope, reply: &Reply, language: Language, request_id: &str) -> Response<Body> {
    let body = match envelope.success(reply) {
        Ok(body) => body,
        Err(fault) => {
            let error = Error::internal(fault);
            log(&error, request_id);
            return failure(envelope, &error, language, request_id);
        }
    };
    let mut response = response(reply.status, body, request_id);
    if let Some(session) = reply.token.as_ref().and_then(|token| format!("Bearer {token}").parse().ok()) {
        response.headers_mut().insert(AUTHORIZATION, session);
    }
    response
}

fn failure(envelope: Envelope, error: &Error, language: Language, request_id: &str) -> Response<Body> {
    // The serializer cannot fail on these shapes; if it did, the status would still be right.
    let body = envelope.failure(error, language).unwrap_or_default();
    let mut response = response(error.status(envelope), body, request_id);
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn response(status: StatusCode, body: String, request_id: &str) -> Response<Body> {
    let mut response = Response::new(Body::Text(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(request_id) = request_id.parse() {
        headers.insert("x-request-id", request_id);
    }
    response
}

/// The one place that logs, for what an operator must look at: never the event, nor what it carried.
fn log(error: &Error, request_id: &str) {
    if matches!(error, Error::Internal(_) | Error::SendFailed(_) | Error::Busy(_)) {
        tracing::error!(request_id, symbol = %error.symbol(), cause = %error, "a request failed");
    }
}

/// The future's output, or `None` where it panicked.
async fn catch_unwind<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        match panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_is_told_from_a_request_whose_body_looks_like_one() {
        for event in [
            r#"{"source":"aws.scheduler","warmer":true}"#,
            r#"{"source":"aws.events","detail-type":"Scheduled Event","detail":{}}"#,
            r#"{"source":"serverless-plugin-warmup"}"#,
            r#"{"warmer":true,"concurrency":3}"#,
        ] {
            assert!(Ping::is_in(event), "{event}");
        }
        for event in [
            r#"{"source":"aws.scheduler","requestContext":{}}"#,
            r#"{"source":"aws.s3"}"#,
            r#"{"warmer":false}"#,
            r#"{"warmer":"true"}"#,
            r#"{"body":"{\"warmer\":true}","httpMethod":"POST"}"#,
            "[]",
            "null",
        ] {
            assert!(!Ping::is_in(event), "{event}");
        }
    }

    #[test]
    fn a_panic_becomes_nothing_and_what_follows_goes_on() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(catch_unwind(async { panic!("on purpose") as u8 })), None);
        assert_eq!(runtime.block_on(catch_unwind(async { 7 })), Some(7));
    }
}
