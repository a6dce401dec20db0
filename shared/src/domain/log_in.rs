//! Logins: the counters of failed ones, and the proof of a right one.

use crate::{
    contact::Destination,
    domain::{
        basis::Basis,
        counter::{Counter, failed_log_ins},
        device::Device,
        keys::Keys,
        proof::VerifiedCode,
    },
    settings::Settings,
};

/// The limits of failed logins.
#[derive(Clone, Copy, Debug)]
pub struct LogInLimits {
    /// Failures in a row before the lockout.
    pub max_failures: u32,
    /// The duration of the lockout, in seconds.
    pub lock_seconds: u64,
    /// Failures in 24 hours.
    pub per_day: u32,
    /// Failures of one source address in an hour, across all phones and email addresses.
    pub source_per_hour: u32,
}

impl From<&Settings> for LogInLimits {
    fn from(settings: &Settings) -> Self {
        Self {
            max_failures: settings.password_max_failures,
            lock_seconds: settings.password_lock_seconds,
            per_day: settings.log_in_failures_per_day,
            source_per_hour: settings.source_log_in_failures_per_hour,
        }
    }
}

/// The counters of a login with a password. Each counts it as failed before the password is compared.
///
/// Those of a phone or an email address exist whether a member has it or not, and contain only a MAC of it. A known
/// device has counters of its own, so that strangers use up neither its row nor its day.
#[derive(Debug)]
pub struct LogInFailures {
    /// Failures in a row, which lock the password.
    pub(crate) row: Counter,
    /// Failures in 24 hours.
    pub(crate) day: Counter,
    /// Failures of the source address in an hour.
    pub(crate) source: Counter,
}

impl LogInFailures {
    /// Returns the counters of a login. `source` is [`Origin::source`](crate::domain::audit::Origin::source).
    #[must_use]
    pub fn new(
        keys: &Keys,
        destination: &Destination,
        device: Option<&Device>,
        source: &str,
        limits: &LogInLimits,
    ) -> Self {
        let subject = failed_log_ins(keys.current(), destination);
        let part = device.map_or_else(|| "identifier".to_owned(), |device| format!("device#{}", device.id()));
        Self {
            row: Counter::of_log_ins_in_a_row(&subject, &part, limits.max_failures, limits.lock_seconds),
            day: Counter::of_log_ins_in_a_day(&subject, &part, limits.per_day),
            source: Counter::of_log_ins_from(source, limits.source_per_hour),
        }
    }

    /// Returns all of them.
    pub(crate) fn all(&self) -> [&Counter; 3] {
        [&self.row, &self.day, &self.source]
    }
}

/// What a login is made with. The transaction of the login consumes it.
#[derive(Clone, Copy, Debug)]
pub enum LogInProof<'a> {
    /// The password matched. It was counted as these failures.
    Password(&'a LogInFailures),
    /// A code matched.
    Code(&'a VerifiedCode<Option<Basis>>),
}
