//! Guards every invocation: its deadline, a panic of its handler, and the log of its failure.

use crate::{clock, error::Error, metrics};
use lambda_http::{LambdaEvent, tracing};
use serde_json::value::RawValue;
use std::{
    future::Future,
    panic::{self, AssertUnwindSafe},
    pin::pin,
    task::Poll,
    time::Duration,
};

/// An event as it arrives. The function parses it, because an event that the runtime cannot parse would fail the
/// invocation.
pub(super) type Event = LambdaEvent<Box<RawValue>>;

/// The longest timeout of a Lambda function, in milliseconds (AWS Lambda Developer Guide, "Lambda quotas").
const LONGEST_INVOCATION_MILLIS: u64 = 900_000;

/// The time before the deadline that is reserved for the response. It is longer than a hash, which blocks the timer.
const RESPONSE_TIME: Duration = Duration::from_millis(500);

/// Returns the deadline of an event that arrives now. `cargo lambda watch` sends a deadline in 1970, so a deadline in
/// the past means none.
pub(super) fn deadline(sent: u64) -> u64 {
    if clock::until_millis(sent).is_zero() {
        u64::try_from(clock::now_millis()).map_or(u64::MAX, |now| now + LONGEST_INVOCATION_MILLIS)
    } else {
        sent
    }
}

/// Runs a handler until shortly before the deadline. Fails with [`Error::Busy`] if the handler takes longer, because
/// the invocation would end without a response, and with [`Error::Internal`] if it panics.
pub(super) async fn outcome<T>(
    deadline: u64,
    handled: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let limit = clock::until_millis(deadline).saturating_sub(RESPONSE_TIME);
    match catch_unwind(tokio::time::timeout(limit, handled)).await {
        Some(Ok(outcome)) => outcome,
        Some(Err(_)) => Err(Error::Busy("the handler exceeded the invocation's deadline".into())),
        None => Err(Error::internal("the handler panicked")),
    }
}

/// Returns the future's output, or `None` if it panicked.
pub(super) async fn catch_unwind<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        match panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

/// Logs the location of every panic without its message, which may contain a part of the request.
pub(super) fn log_panics() {
    panic::set_hook(Box::new(|info| {
        tracing::error!(location = info.location().map(ToString::to_string), "a panic was caught");
    }));
}

/// Logs and counts a failure that an operator must investigate. It is the only place that logs failed requests. It
/// never logs the event or any part of it.
pub(super) fn log(error: &Error, request_id: &str) {
    if error.is_server_error() {
        metrics::failure(error);
        tracing::error!(request_id, symbol = %error.symbol(), cause = %error, "a request failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_is_caught_without_affecting_later_futures() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(catch_unwind(async { panic!("on purpose") as u8 })), None);
        assert_eq!(runtime.block_on(catch_unwind(async { 7 })), Some(7));
    }

    #[test]
    fn deadline_in_the_past_is_replaced() {
        assert!(clock::until_millis(deadline(600_000)) > RESPONSE_TIME);
        let ahead = u64::try_from(clock::now_millis()).unwrap() + 10_000;
        assert_eq!(deadline(ahead), ahead);
    }

    #[test]
    fn handler_is_busy_when_it_exceeds_the_deadline() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let deadline = u64::try_from(clock::now_millis()).unwrap() + 510;
        let late = runtime.block_on(outcome::<()>(deadline, std::future::pending()));
        assert!(matches!(late, Err(Error::Busy(_))), "{late:?}");
        assert_eq!(runtime.block_on(outcome(deadline + 60_000, async { Ok(7) })).unwrap(), 7);
    }
}
