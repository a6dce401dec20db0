//! The only module that depends on Lambda: events become requests, replies become responses.
//!
//! A function run by [`serve`] responds to every event, even if the event is malformed or its handler panics. The
//! process then continues with the next event. A function that no gateway calls, run by [`serve_service`] or
//! [`serve_authorizer`], fails the invocation by a fault, without its cause.

mod authorizer;
mod guard;
mod http;
mod service;
mod site;
mod stream;

use crate::{
    Secret,
    app::{App, Authorizer, Files, Pages, State},
    domain::{notice::Notice, session::SignedSession},
    error::{Cause, Error},
    http::{envelope::Api, reply::Reply, request::Request, service::ServiceApi},
    metrics::Metrics,
    settings::Settings,
};
use guard::Event;
use lambda_http::{
    Context, LambdaEvent,
    lambda_runtime::{self, Diagnostic},
    service_fn,
    tracing::{self, subscriber},
};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Value, json, value::RawValue};
use std::{future::Future, process::ExitCode};

/// The handler of an endpoint of family `A`: an `async fn` that takes the [`App`] and a [`Request`].
pub trait Handler<A: Api>: Copy + Send + Sync + 'static {
    /// Handles a request.
    fn handle(
        self,
        app: &'static App,
        request: Request,
    ) -> impl Future<Output = Result<Reply<A>, Error>> + Send + 'static;
}

impl<A, H, F> Handler<A> for H
where
    A: Api,
    H: Fn(&'static App, Request) -> F + Copy + Send + Sync + 'static,
    F: Future<Output = Result<Reply<A>, Error>> + Send + 'static,
{
    fn handle(
        self,
        app: &'static App,
        request: Request,
    ) -> impl Future<Output = Result<Reply<A>, Error>> + Send + 'static {
        self(app, request)
    }
}

/// Runs the function of an endpoint: builds the [`App`] once, then responds to events until the runtime ends.
///
/// If a setting is out of range or the secret cannot be read, the process exits during init and logs the reason.
pub fn serve<A: Api>(handler: impl Handler<A>) -> ExitCode {
    run(App::start, move |app, event| async move { Ok(http::respond_to_event(app, handler, event).await) })
}

/// Responds to one event as [`serve`] does, without its runtime and without a deadline. Every response is one that
/// the event's gateway accepts.
pub async fn respond<A: Api>(
    app: &'static App,
    handler: impl Handler<A>,
    event: Box<RawValue>,
    request_id: &str,
) -> Value {
    let mut context = Context::default();
    request_id.clone_into(&mut context.request_id);
    context.deadline = u64::MAX;
    let event = LambdaEvent::new(event, context);
    match respond_to_ping(app, &event).await {
        Some(pong) => pong,
        None => http::respond_to_event(app, handler, event).await,
    }
}

/// Runs the function that receives queued notices from the table's stream. It delivers them in order and stops at the
/// first one that fails, where the stream resumes.
pub fn serve_notices<H, F>(handler: H) -> ExitCode
where
    H: Fn(&'static App, Notice) -> F + Copy + Send + Sync + 'static,
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    run(App::start, move |app, event| async move { Ok(stream::deliver(app, handler, event).await) })
}

/// Runs a function that other services invoke directly. The handler receives the event's own fields, which are typed,
/// and the request with the common ones. `T` must deny unknown fields.
pub fn serve_service<T, H, F>(handler: H) -> ExitCode
where
    T: DeserializeOwned + Send + 'static,
    H: Fn(&'static App, T, Request) -> F + Copy + Send + Sync + 'static,
    F: Future<Output = Result<Reply<ServiceApi>, Error>> + Send + 'static,
{
    run(App::start, move |app, event| service::respond(app, handler, event))
}

/// Runs an authorizer of API Gateway. The handler receives the session, and fails with [`Error::InvalidToken`] to
/// refuse it.
pub fn serve_authorizer<H, F>(handler: H) -> ExitCode
where
    H: Fn(&'static Authorizer, Secret) -> F + Copy + Send + Sync + 'static,
    F: Future<Output = Result<SignedSession, Error>> + Send + 'static,
{
    run(Authorizer::start, move |authorizer, event| authorizer::respond(authorizer, handler, event))
}

/// Runs the function of the account pages. It reads the files once, or again for each request if they are `live`.
pub fn serve_site(files: fn() -> Files, live: bool) -> ExitCode {
    let start = move |settings| async move { Ok(Pages::new(settings, files, live)) };
    run(start, |pages, event| async move { Ok(site::respond(pages, event).await) })
}

fn run<S, B, H, F>(start: impl FnOnce(Settings) -> B, handler: H) -> ExitCode
where
    S: State,
    B: Future<Output = Result<S, Cause>>,
    H: Fn(&'static S, Event) -> F + Copy + Send + Sync + 'static,
    F: Future<Output = Result<Value, Diagnostic>> + Send + 'static,
{
    // Never below INFO: the SDK's debug events contain requests, and therefore members' data.
    subscriber::fmt().json().with_max_level(tracing::Level::INFO).with_ansi(false).with_target(false).init();
    guard::log_panics();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let settings = match Settings::from_environment() {
        Ok(settings) => settings,
        Err(errors) => return fail(&errors),
    };
    let metrics = match Metrics::start(settings.metrics_namespace.as_deref()) {
        Ok(metrics) => metrics,
        Err(error) => return fail(&error),
    };
    runtime.block_on(async {
        // The state lives as long as the process.
        let state: &'static S = match start(settings).await {
            Ok(state) => Box::leak(Box::new(state)),
            Err(error) => return fail(&error),
        };
        let service = service_fn(move |mut event: Event| async move {
            event.context.deadline = guard::deadline(event.context.deadline);
            let response = match respond_to_ping(state, &event).await {
                Some(pong) => Ok(pong),
                None => handler(state, event).await,
            };
            metrics.print();
            response
        });
        match lambda_runtime::run(service).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        }
    })
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    tracing::error!("the function cannot start: {error}");
    ExitCode::FAILURE
}

/// A scheduled event whose only purpose is to keep the function warm.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ping {
    #[serde(default)]
    source: Value,
    #[serde(default)]
    warmer: Value,
    /// Present in every HTTP event. A request whose body resembles a ping is a request.
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

/// Opens the connection to the store and responds, if the event is a ping. Returns `None` for any other event.
async fn respond_to_ping(state: &impl State, event: &Event) -> Option<Value> {
    if !Ping::is_in(event.payload.get()) {
        return None;
    }
    let warm = state.warm().await.inspect_err(|error| guard::log(error, &event.context.request_id));
    Some(json!({ "warm": warm.is_ok() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_are_distinguished_from_requests() {
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
}
