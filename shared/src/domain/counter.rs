//! Counters up to a limit. A counter of failed attempts either limits the failures in a window of time, or locks out
//! after too many in a row. Another limits the notices to a phone.

use crate::{
    contact::{Destination, Phone},
    domain::{
        code::Purpose,
        member::{Member, MemberId},
    },
};

/// A counter up to a limit. An attempt is counted before it is compared, and a notice before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    pub(crate) kind: CounterKind,
    /// The attempts or notices that are counted, such as the passwords of one member.
    pub(crate) subject: String,
    /// A part of the subject with its own count, such as one session.
    pub(crate) part: Option<String>,
    pub(crate) limit: u32,
    pub(crate) window_seconds: u64,
    pub(crate) window: Window,
}

/// What a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CounterKind {
    /// Failed attempts.
    Failures,
    /// Notices of changes.
    Notices,
}

/// The attempt that a counter's window begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    /// The first attempt.
    Fixed,
    /// The last attempt.
    Lockout,
}

const SECONDS_PER_HOUR: u64 = 3_600;
const SECONDS_PER_DAY: u64 = 86_400;

/// How many wrong passwords the repetitions of a registration may have: no more than the consecutive failures that NIST
/// SP 800-63B-4, 3.2.2 allows, and enough for calls at the same time, each of which counts until it is compared.
const REGISTRATION_FAILURES: u32 = 100;

impl Counter {
    /// Returns the counter of wrong codes for a destination and purpose in 24 hours, across all codes sent.
    #[must_use]
    pub fn of_codes(destination: &Destination, purpose: Purpose, limit: u32) -> Self {
        Self::new(codes(destination, purpose), limit, SECONDS_PER_DAY, Window::Fixed)
    }

    /// Returns the counter of wrong codes from a source address in an hour, across all destinations. `source` is
    /// [`Origin::source`](crate::domain::audit::Origin::source).
    #[must_use]
    pub fn of_guesses(source: &str, limit: u32) -> Self {
        Self::new(format!("source#{source}"), limit, SECONDS_PER_HOUR, Window::Fixed)
    }

    /// Returns the counter of notices by SMS to a phone in 24 hours.
    #[must_use]
    pub fn of_notices(phone: &Phone, limit: u32) -> Self {
        let subject = format!("phone#{}", phone.as_str());
        Self { kind: CounterKind::Notices, ..Self::new(subject, limit, SECONDS_PER_DAY, Window::Fixed) }
    }

    /// Returns the counter of wrong login passwords in a row on one login. At `limit` they lock the password checks
    /// of that login for `lock_seconds`.
    #[must_use]
    pub fn of_passwords(member: MemberId, login: &str, limit: u32, lock_seconds: u64) -> Self {
        let part = Some(login.to_owned());
        Self { part, ..Self::new(passwords(member), limit, lock_seconds, Window::Lockout) }
    }

    /// Returns the counter of wrong passwords in repetitions of a registration, in 24 hours.
    #[must_use]
    pub fn of_registrations(member: MemberId) -> Self {
        let part = Some("registration".to_owned());
        let counter = Self::new(passwords(member), REGISTRATION_FAILURES, SECONDS_PER_DAY, Window::Fixed);
        Self { part, ..counter }
    }

    /// Returns the counter of wrong pay passwords in a row. At `limit` they lock the pay password for
    /// `lock_seconds`.
    #[must_use]
    pub fn of_pay_passwords(member: MemberId, limit: u32, lock_seconds: u64) -> Self {
        Self::new(pay_passwords(member), limit, lock_seconds, Window::Lockout)
    }

    fn new(subject: String, limit: u32, window_seconds: u64, window: Window) -> Self {
        Self { kind: CounterKind::Failures, subject, part: None, limit, window_seconds, window }
    }
}

/// Returns the subject of every counter that can lock a member out.
pub(crate) fn subjects(member: &Member) -> Vec<String> {
    let codes_to = |destination: Destination| Purpose::ALL.map(|purpose| codes(&destination, purpose));
    let all_codes = member.destinations().into_iter().flat_map(codes_to);
    [passwords(member.id), pay_passwords(member.id)].into_iter().chain(all_codes).collect()
}

fn passwords(member: MemberId) -> String {
    format!("password#{member}")
}

fn pay_passwords(member: MemberId) -> String {
    format!("pay-password#{member}")
}

fn codes(destination: &Destination, purpose: Purpose) -> String {
    format!("{}#{}", destination.key(), purpose.flag())
}
