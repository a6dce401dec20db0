//! Metrics for operators, in CloudWatch's embedded metric format: an invocation that recorded something ends with one
//! line of JSON per set of dimensions.
//!
//! A dimension has few values, and none of them identifies a member, an address or a request.

use crate::{
    domain::{
        audit::Action,
        traffic::{Audience, Carrier, MessageKind, Route},
    },
    error::{Cause, Error, SendError},
    settings::ApiFamily,
};
use ::metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use lambda_http::tracing;
use metrics_cloudwatch_embedded::{Builder, Collector};
use std::{io, time::Instant};

/// Counts codes that a provider accepted, or may have accepted: by `Channel`, for SMS also by `CallingCode`, and those to
/// register also by `Purpose`.
const CODES_SENT: &str = "CodesSent";
/// Counts codes that were verified and consumed: by the same.
const CODES_VERIFIED: &str = "CodesVerified";
/// Counts codes that were not sent, by `Reason`: a rate limit, a region that is not allowed, email without sender, or
/// the provider.
const CODES_REFUSED: &str = "CodesRefused";
/// Counts attempts with a wrong code by `Channel`. An attempt without a stored code is not counted.
const WRONG_CODES: &str = "WrongCodes";
/// Counts sends that met an open circuit breaker, also if it only records. An anonymous request can count twice: when
/// the code is requested and when it is sent.
const BREAKER_OPEN: &str = "BreakerOpen";
/// Counts committed changes by `Action`.
const CHANGES: &str = "Changes";
/// Counts failure counters that reached their limit: of passwords, of pay passwords, of a day's codes, or of the codes
/// from a source address in an hour.
const LOCKOUTS: &str = "Lockouts";
/// Counts lockouts of pay passwords of which the member is notified.
const PAY_PASSWORD_LOCKOUTS: &str = "PayPasswordLockouts";
/// Milliseconds until a `Provider` responded or the call was abandoned.
const PROVIDER_TIME: &str = "ProviderTime";
/// Counts notices of changes that a provider accepted, or may have accepted: by `Channel`, and for SMS also by
/// `CallingCode`.
const NOTICES_SENT: &str = "NoticesSent";
/// Counts notices of changes that are not sent, and not retried, because their destination cannot be reached or a rate
/// limit is exceeded: by `Reason`.
const NOTICES_DROPPED: &str = "NoticesDropped";
/// Counts failed deliveries of queued notices and codes. The stream retries them.
const NOTICES_FAILED: &str = "NoticesFailed";
/// Counts requests, deliveries and pings that failed through no fault of the caller: by `Symbol`, and requests also by
/// `Family`, whatever the HTTP status of their responses. The log has the cause.
const FAILURES: &str = "Failures";

/// Counts sessions that `authorize` checked: by `Outcome`, which is `allowed`, `refused` or `failed`.
const AUTHORIZATIONS: &str = "Authorizations";

/// Counts logins: by `Outcome`, which is `succeeded`, `failed`, or `locked` if the password was not compared.
const LOG_INS: &str = "LogIns";

const COUNTS: [&str; 14] = [
    CODES_SENT,
    CODES_VERIFIED,
    CODES_REFUSED,
    WRONG_CODES,
    BREAKER_OPEN,
    CHANGES,
    LOCKOUTS,
    PAY_PASSWORD_LOCKOUTS,
    NOTICES_SENT,
    NOTICES_DROPPED,
    NOTICES_FAILED,
    FAILURES,
    AUTHORIZATIONS,
    LOG_INS,
];

/// Prints the recorded metrics, if a namespace is set.
#[derive(Clone, Copy)]
pub(crate) struct Metrics(Option<&'static Collector>);

impl Metrics {
    /// Starts recording metrics. Without a namespace nothing is recorded.
    ///
    /// # Errors
    /// Fails if the process already records metrics.
    pub(crate) fn start(namespace: Option<&str>) -> Result<Self, Cause> {
        let Some(namespace) = namespace else { return Ok(Self(None)) };
        let collector = Builder::new().cloudwatch_namespace(namespace.to_owned()).init()?;
        // The format does not contain descriptions.
        for name in COUNTS {
            describe_counter!(name, Unit::Count, "");
        }
        describe_histogram!(PROVIDER_TIME, Unit::Milliseconds, "");
        Ok(Self(Some(collector)))
    }

    /// Prints the metrics recorded since the last call.
    pub(crate) fn print(self) {
        if let Some(Err(error)) = self.0.map(|collector| collector.flush(io::stdout())) {
            tracing::warn!(cause = %error, "the metrics could not be printed");
        }
    }
}

/// Records the outcome of sending a message on a route.
pub(crate) fn sent(route: &Route, kind: MessageKind, outcome: &Result<(), SendError>) {
    let name = match kind {
        MessageKind::Code => CODES_SENT,
        MessageKind::Notice => NOTICES_SENT,
    };
    match (kind, outcome) {
        (_, Ok(()) | Err(SendError::Unknown(_))) => count_on(name, route),
        (MessageKind::Code, Err(error)) => code_refused(error),
        (MessageKind::Notice, Err(error)) if error.is_permanent() => {
            counter!(NOTICES_DROPPED, "Reason" => error.reason()).increment(1);
        }
        // The stream retries the delivery, which counts as failed.
        (MessageKind::Notice, Err(_)) => (),
    }
}

/// Records that a code could not be sent.
pub(crate) fn code_refused(error: &SendError) {
    counter!(CODES_REFUSED, "Reason" => error.reason()).increment(1);
}

/// Records that a code was verified and consumed.
pub(crate) fn code_verified(route: &Route) {
    count_on(CODES_VERIFIED, route);
}

/// Records the failure of a send, if a rate limit refused it.
pub(crate) fn send_refused(error: &Error) {
    if let Error::SendFrequently { limit, .. } = error {
        counter!(CODES_REFUSED, "Reason" => limit.to_string()).increment(1);
    }
}

/// Records an attempt with a wrong code, after which `left` more are allowed.
pub(crate) fn wrong_code(route: &Route, left: u32) {
    counter!(WRONG_CODES, "Channel" => channel(route)).increment(1);
    wrong_attempt(left);
}

/// Records an attempt with a wrong password or code, after which `left` more are allowed.
pub(crate) fn wrong_attempt(left: u32) {
    if left == 0 {
        lockout();
    }
}

/// Records that wrong attempts locked a pay password.
pub(crate) fn pay_password_locked() {
    counter!(PAY_PASSWORD_LOCKOUTS).increment(1);
}

/// Records that a failure counter reached its limit.
pub(crate) fn lockout() {
    counter!(LOCKOUTS).increment(1);
}

/// Records that a send met an open circuit breaker.
pub(crate) fn breaker_open() {
    counter!(BREAKER_OPEN).increment(1);
}

/// Records a committed change.
pub(crate) fn change(action: Action) {
    counter!(CHANGES, "Action" => action.to_string()).increment(1);
}

/// Records that a queued notice or code was not delivered.
pub(crate) fn notice_failed() {
    counter!(NOTICES_FAILED).increment(1);
}

/// Records an error that an operator must investigate.
pub(crate) fn failure(error: &Error) {
    counter!(FAILURES, "Symbol" => error.symbol().into_owned()).increment(1);
}

/// Records a request that failed through no fault of the caller.
pub(crate) fn failed_request(family: ApiFamily) {
    counter!(FAILURES, "Family" => family.name()).increment(1);
}

/// Records the outcome of checking a session for another API: `allowed`, `refused` or `failed`.
pub(crate) fn authorization(outcome: &'static str) {
    counter!(AUTHORIZATIONS, "Outcome" => outcome).increment(1);
}

/// Records the outcome of a login: `succeeded`, `failed` or `locked`.
pub(crate) fn log_in(outcome: &'static str) {
    counter!(LOG_INS, "Outcome" => outcome).increment(1);
}

/// A provider of messages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Provider {
    /// Amazon SNS, for SMS.
    Sns,
    /// Amazon SES, for email.
    Ses,
}

/// Measures a call to a provider until it is dropped, so that abandoned calls are measured too.
pub(crate) struct ProviderTimer(Provider, Instant);

/// Starts measuring a call to a provider.
pub(crate) fn time_call(provider: Provider) -> ProviderTimer {
    ProviderTimer(provider, Instant::now())
}

impl Drop for ProviderTimer {
    fn drop(&mut self) {
        let Self(provider, started) = self;
        let name = match provider {
            Provider::Sns => "sns",
            Provider::Ses => "ses",
        };
        histogram!(PROVIDER_TIME, "Provider" => name).record(started.elapsed().as_secs_f64() * 1_000.0);
    }
}

fn count_on(name: &'static str, route: &Route) {
    counter!(name, "Channel" => channel(route)).increment(1);
    if let Carrier::CallingCode(code) = &route.carrier {
        counter!(name, "CallingCode" => code.clone()).increment(1);
    }
    if route.audience == Audience::Anyone {
        counter!(name, "Purpose" => "register").increment(1);
    }
}

fn channel(route: &Route) -> &'static str {
    match route.carrier {
        Carrier::CallingCode(_) => "sms",
        Carrier::Mail => "mail",
    }
}
