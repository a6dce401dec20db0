//! The figures by which an operator sees how the functions do, in CloudWatch's embedded metric format: an
//! invocation that counted something ends with one line of JSON for each set of dimensions.
//!
//! A dimension takes few values, and none of them names a member, an address or a request.

use crate::{
    contact::Destination,
    domain::audit::Action,
    error::{Cause, Error, SendError},
};
use ::metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use lambda_http::tracing;
use metrics_cloudwatch_embedded::{Builder, Collector};
use std::{io, time::Instant};

/// Count by `Channel`, and of SMS by `CallingCode`: a provider was handed a code, and did not refuse it.
const CODES_SENT: &str = "CodesSent";
/// Count by `Channel`, and of SMS by `CallingCode`: a code came back right and was spent.
const CODES_VERIFIED: &str = "CodesVerified";
/// Count by `Reason`: a code was not sent, because of a limit or because its provider refused it.
const CODES_REFUSED: &str = "CodesRefused";
/// Count: a wrong code was tried. Not where there was none to try.
const WRONG_CODES: &str = "WrongCodes";
/// Count: a send met an open breaker, whether that refuses or records. A code that is asked for without a
/// login can meet it twice, when it is asked for and when it is sent.
const BREAKER_OPEN: &str = "BreakerOpen";
/// Count by `Action`: a change was made.
const CHANGES: &str = "Changes";
/// Count: a row of wrong passwords, wrong pay passwords or a day's wrong codes reached its limit.
const LOCKOUTS: &str = "Lockouts";
/// Milliseconds by `Provider`: how long it took to answer, or not to.
const PROVIDER_TIME: &str = "ProviderTime";
/// Count: a notice of a change was sent.
const NOTICES_SENT: &str = "NoticesSent";
/// Count: a queued notice, or code, was not delivered; the stream comes back to it.
const NOTICES_FAILED: &str = "NoticesFailed";
/// Count by `Symbol`: a request, a delivery or a ping failed, and the log tells why.
const FAILURES: &str = "Failures";

const COUNTS: [&str; 10] = [
    CODES_SENT,
    CODES_VERIFIED,
    CODES_REFUSED,
    WRONG_CODES,
    BREAKER_OPEN,
    CHANGES,
    LOCKOUTS,
    NOTICES_SENT,
    NOTICES_FAILED,
    FAILURES,
];

/// What prints the metrics, where they have a namespace.
#[derive(Clone, Copy)]
pub(crate) struct Metrics(Option<&'static Collector>);

impl Metrics {
    /// From now on what is counted is kept until it is printed. Without a namespace nothing is.
    ///
    /// # Errors
    /// Where the process has begun already.
    pub(crate) fn start(namespace: Option<&str>) -> Result<Self, Cause> {
        let Some(namespace) = namespace else { return Ok(Self(None)) };
        let collector = Builder::new().cloudwatch_namespace(namespace.to_owned()).init()?;
        // Descriptions have no place in the format.
        for name in COUNTS {
            describe_counter!(name, Unit::Count, "");
        }
        describe_histogram!(PROVIDER_TIME, Unit::Milliseconds, "");
        Ok(Self(Some(collector)))
    }

    /// Prints what was counted since the last time.
    pub(crate) fn print(self) {
        if let Some(Err(fault)) = self.0.map(|collector| collector.flush(io::stdout())) {
            tracing::warn!(cause = %fault, "the metrics were not printed");
        }
    }
}

/// A code went to its provider, with this outcome.
pub(crate) fn code_sent(to: &Destination, outcome: &Result<(), SendError>) {
    match outcome {
        Ok(()) | Err(SendError::Unknown(_)) => count_to(CODES_SENT, to),
        Err(SendError::Refused(_)) => counter!(CODES_REFUSED, "Reason" => "provider").increment(1),
    }
}

/// A code that was sent there was spent.
pub(crate) fn code_verified(sent_to: &Destination) {
    count_to(CODES_VERIFIED, sent_to);
}

/// A send ended with this error, which is counted where it is a limit's.
pub(crate) fn send_refused(error: &Error) {
    if let Error::SendFrequently { limit, .. } = error {
        counter!(CODES_REFUSED, "Reason" => limit.to_string()).increment(1);
    }
}

/// A wrong code was tried, after which so many tries are left for the day.
pub(crate) fn wrong_code(left_today: u32) {
    counter!(WRONG_CODES).increment(1);
    wrong_attempt(left_today);
}

/// A wrong password or code was tried, after which so many tries are left.
pub(crate) fn wrong_attempt(left: u32) {
    if left == 0 {
        counter!(LOCKOUTS).increment(1);
    }
}

/// A breaker was found open.
pub(crate) fn breaker_open() {
    counter!(BREAKER_OPEN).increment(1);
}

/// A change was made.
pub(crate) fn change(action: Action) {
    counter!(CHANGES, "Action" => action.to_string()).increment(1);
}

/// A notice of a change was sent.
pub(crate) fn notice_sent() {
    counter!(NOTICES_SENT).increment(1);
}

/// What was queued was not delivered.
pub(crate) fn notice_failed() {
    counter!(NOTICES_FAILED).increment(1);
}

/// An error that an operator must look at.
pub(crate) fn failure(error: &Error) {
    counter!(FAILURES, "Symbol" => error.symbol().into_owned()).increment(1);
}

/// Who takes messages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Provider {
    /// Of SMS.
    Sns,
    /// Of mail.
    Ses,
}

/// A call to a provider, whose time ends when this is dropped, also where nobody waits for the answer any more.
pub(crate) struct Timed(Provider, Instant);

/// Begins a call to a provider.
pub(crate) fn timed(provider: Provider) -> Timed {
    Timed(provider, Instant::now())
}

impl Drop for Timed {
    fn drop(&mut self) {
        let Self(provider, begun) = self;
        let name = match provider {
            Provider::Sns => "sns",
            Provider::Ses => "ses",
        };
        histogram!(PROVIDER_TIME, "Provider" => name).record(begun.elapsed().as_secs_f64() * 1_000.0);
    }
}

fn count_to(name: &'static str, destination: &Destination) {
    match destination {
        Destination::Email(_) => counter!(name, "Channel" => "mail").increment(1),
        Destination::Phone(phone) => {
            counter!(name, "Channel" => "sms").increment(1);
            // A number that is none was not sent to.
            if let Ok((calling_code, _)) = phone.parts() {
                counter!(name, "CallingCode" => calling_code.to_owned()).increment(1);
            }
        }
    }
}
