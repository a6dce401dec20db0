//! The only reader of the wall clock.

use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment, in whole seconds since 1970-01-01T00:00:00Z: the unit of DynamoDB's TTL and of JWT's dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The present moment.
    #[must_use]
    pub fn now() -> Self {
        Self(since_epoch().as_secs())
    }

    /// The moment `seconds` later.
    #[must_use]
    pub fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `self` until `later`; 0 when that has passed.
    #[must_use]
    pub fn until(self, later: Self) -> u64 {
        later.0.saturating_sub(self.0)
    }
}

/// The present moment in milliseconds, for what is ordered by time (audit records).
#[must_use]
pub fn now_millis() -> u128 {
    since_epoch().as_millis()
}

/// The time until a moment that is given in milliseconds since 1970-01-01T00:00:00Z, as Lambda gives an
/// invocation's deadline; none when it has passed.
#[must_use]
pub fn until_millis(moment: u64) -> Duration {
    Duration::from_millis(moment).saturating_sub(since_epoch())
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
fn since_epoch() -> Duration {
    // A clock before 1970 reads as 1970, where every session and code has yet to be issued.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
