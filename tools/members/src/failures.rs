//! A member's failed password and code attempts, as this command prints them.

use serde::Serialize;
use shared::{
    clock::Timestamp,
    store::{FailureCounter, FailureKind},
};

/// Failed attempts of one kind.
#[derive(Debug, Serialize)]
pub struct FailedAttempts {
    /// What was wrong, in the plural.
    pub of: &'static str,
    /// The number of attempts.
    pub count: i64,
    /// When the counter expires.
    pub until: Timestamp,
}

impl From<&FailureCounter> for FailedAttempts {
    fn from(counter: &FailureCounter) -> Self {
        let of = match counter.kind {
            FailureKind::Password => "wrong login passwords",
            FailureKind::LogIn => "failed logins",
            FailureKind::PayPassword => "wrong pay passwords",
            FailureKind::PayPasswordOfDay => "wrong pay passwords in a day",
            FailureKind::Code => "wrong codes",
        };
        Self { of, count: counter.count, until: counter.expires_at }
    }
}
