//! The only reader of the wall clock.

use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment in whole seconds since 1970-01-01T00:00:00Z, the unit of DynamoDB's TTL and of the dates in a JWT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Returns the present moment.
    #[must_use]
    pub fn now() -> Self {
        Self(since_epoch().as_secs())
    }

    /// Returns the moment `seconds` later.
    #[must_use]
    pub fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Returns the seconds from `self` until `later`, or 0 if `later` has passed.
    #[must_use]
    pub fn until(self, later: Self) -> u64 {
        later.0.saturating_sub(self.0)
    }
}

/// Returns the present moment in milliseconds, by which audit records are sorted.
#[must_use]
pub fn now_millis() -> u128 {
    since_epoch().as_millis()
}

/// Returns the time until a moment in milliseconds since 1970-01-01T00:00:00Z, the form of an invocation's deadline
/// in Lambda. Returns zero if it has passed.
#[must_use]
pub fn until_millis(moment: u64) -> Duration {
    Duration::from_millis(moment).saturating_sub(since_epoch())
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
fn since_epoch() -> Duration {
    // A clock before 1970 counts as 1970. Every session is then from the future, and is rejected.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
