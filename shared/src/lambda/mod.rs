//! The only module that knows Lambda: events become requests, replies become responses.
//!
//! [`serve`] cannot fail towards the runtime: whatever an event holds, and even if a handler
//! panics, there is an answer and the process goes on.

mod http;
mod stream;

use crate::{
    app::App,
    clock,
    domain::notice::Notice,
    error::Error,
    http::{envelope::Api, reply::Reply, request::Request},
    metrics::{self, Metrics},
    settings::Settings,
};
use lambda_http::{
    Context, LambdaEvent, lambda_runtime, service_fn,
    tracing::{self, subscriber},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json, value::RawValue};
use std::{
    convert::Infallible,
    future::Future,
    panic::{self, AssertUnwindSafe},
    pin::pin,
    process::ExitCode,
    task::Poll,
    time::Duration,
};

/// An event as it arrives: parsed by whoever answers it, since no event may fail the invocation.
type Event = LambdaEvent<Box<RawValue>>;

/// Runs the function of an endpoint: builds the [`App`] once, then answers events until the runtime ends.
///
/// A setting that is out of range, or a secret that cannot be read, ends the process at init with a
/// log line that names it.
pub fn serve<A, H, F>(handler: H) -> ExitCode
where
    A: Api,
    H: Fn(&'static App, Request) -> F + Copy + Send + Sync + 'static,
    F: Future<Output = Result<Reply<A>, Error>> + Send + 'static,
{
    run(move |app, event| http::respond_to_event(app, handler, event))
}

/// What [`serve`] does with one event, for whoever has a runtime of their own, and so no time limit: whatever
/// the event is, an answer that its gateway takes.
pub async fn respond<A, H, F>(app: &'static App, handler: H, event: Box<RawValue>, request_id: &str) -> Value
where
    A: Api,
    H: Fn(&'static App, Request) -> F + Copy + Send + Sync + 'static,
    F: Future<Output = Result<Reply<A>, Error>> + Send + 'static,
{
    let mut context = Context::default();
    request_id.clone_into(&mut context.request_id);
    context.deadline = u64::MAX;
    let event = LambdaEvent::new(event, context);
    match ping(app, &event).await {
        Some(pong) => pong,
        None => http::respond_to_event(app, handler, event).await,
    }
}

/// Runs the function that the table's stream calls with queued notices: in their order, and no
/// further than the first that cannot be delivered, from which the stream then goes on.
pub fn serve_notices<H, F>(handler: H) -> ExitCode
where
    H: Fn(&'static App, Notice) -> F + Copy + Send + Sync + 'static,
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    run(move |app, event| stream::deliver(app, handler, event))
}

fn run<H, F>(handler: H) -> ExitCode
where
    H: Fn(&'static App, Event) -> F + Copy + Send + Sync + 'static,
    F: Future<Output = Value> + Send + 'static,
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
    let metrics = match Metrics::start(settings.metrics_namespace.as_deref()) {
        Ok(metrics) => metrics,
        Err(fault) => return stop(&fault),
    };
    runtime.block_on(async {
        // It lives as long as the process.
        let app: &'static App = match App::start(settings).await {
            Ok(app) => Box::leak(Box::new(app)),
            Err(fault) => return stop(&fault),
        };
        let service = service_fn(move |mut event: Event| async move {
            event.context.deadline = deadline(event.context.deadline);
            let answer = match ping(app, &event).await {
                Some(pong) => pong,
                None => handler(app, event).await,
            };
            metrics.print();
            Ok::<_, Infallible>(answer)
        });
        match lambda_runtime::run(service).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(fault) => stop(&fault),
        }
    })
}

/// The longest that Lambda lets a function run, in milliseconds.
const LONGEST_INVOCATION: u64 = 900_000;

/// An invocation's deadline. One that was over before its event came is none: `cargo lambda watch` writes ten
/// minutes after 1970.
fn deadline(said: u64) -> u64 {
    if clock::until_millis(said).is_zero() {
        u64::try_from(clock::now_millis()).map_or(u64::MAX, |now| now + LONGEST_INVOCATION)
    } else {
        said
    }
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

/// Answers a ping, once the connection to the store is open.
async fn ping(app: &App, event: &Event) -> Option<Value> {
    if !Ping::is_in(event.payload.get()) {
        return None;
    }
    let warm = app.store.connect().await.inspect_err(|error| log(error, &event.context.request_id));
    Some(json!({ "warm": warm.is_ok() }))
}

/// The one place that logs, for what an operator must look at: never the event, nor what it carried.
fn log(error: &Error, request_id: &str) {
    if error.is_server_error() {
        metrics::failure(error);
        tracing::error!(request_id, symbol = %error.symbol(), cause = %error, "a request failed");
    }
}

/// What is kept back of an invocation's time for its answer, also where a hash holds the processor.
const ANSWER_TIME: Duration = Duration::from_millis(500);

/// What a handler comes to: [`Error::Internal`] where it panicked, [`Error::Busy`] where it would take longer
/// than the invocation, which then ended without an answer.
async fn outcome<T>(deadline: u64, handled: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let limit = clock::until_millis(deadline).saturating_sub(ANSWER_TIME);
    match catch_unwind(tokio::time::timeout(limit, handled)).await {
        Some(Ok(outcome)) => outcome,
        Some(Err(_)) => Err(Error::Busy("the invocation's time is over".into())),
        None => Err(Error::internal("the handler panicked")),
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

    #[test]
    fn a_deadline_that_was_over_before_its_event_came_leaves_time() {
        assert!(clock::until_millis(deadline(600_000)) > ANSWER_TIME);
        let ahead = u64::try_from(clock::now_millis()).unwrap() + 10_000;
        assert_eq!(deadline(ahead), ahead);
    }

    #[test]
    fn what_would_outlast_the_invocation_is_busy() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let deadline = u64::try_from(clock::now_millis()).unwrap() + 510;
        let late = runtime.block_on(outcome::<()>(deadline, std::future::pending()));
        assert!(matches!(late, Err(Error::Busy(_))), "{late:?}");
        assert_eq!(runtime.block_on(outcome(deadline + 60_000, async { Ok(7) })).unwrap(), 7);
    }
}
