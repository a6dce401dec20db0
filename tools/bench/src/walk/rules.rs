//! The limits under which the walk runs the functions, and the rules of the contract that it expects.

use std::collections::BTreeMap;

/// Seconds for which a code sent by SMS is valid.
pub(super) const SMS_CODE_SECONDS: u64 = 300;
/// Seconds for which a code sent by email is valid.
pub(super) const MAIL_CODE_SECONDS: u64 = 600;
/// Seconds for which a grant is valid.
pub(super) const GRANT_SECONDS: u64 = 600;
/// Digits of a code sent by SMS.
pub(super) const SMS_CODE_DIGITS: usize = 6;
/// Digits of a code sent by email.
pub(super) const MAIL_CODE_DIGITS: usize = 8;
/// Attempts at one code.
pub(super) const CODE_ATTEMPTS: u32 = 3;
/// Wrong codes per destination and purpose in a day.
pub(super) const FAILURES_PER_DAY: u32 = 6;
/// Wrong login passwords in a row before the lockout.
pub(super) const PASSWORD_FAILURES: u32 = 3;
/// Seconds of that lockout.
pub(super) const PASSWORD_LOCK_SECONDS: u64 = 900;
/// Failed logins with one phone or email address, or on one device, in a day.
pub(super) const LOG_IN_FAILURES_PER_DAY: u32 = 5;
/// Failed logins from a source address in an hour.
pub(super) const SOURCE_LOG_IN_FAILURES_PER_HOUR: u32 = 7;
/// Seconds in which a receipt can be spent for the first time.
pub(super) const RECEIPT_SECONDS: u64 = 120;
/// Seconds for which a link to report a change is valid, and after which a new contact is settled.
pub(super) const REPORT_SECONDS: u64 = 3 * DAY;
/// Wrong pay passwords in a row before the lockout.
pub(super) const PAY_PASSWORD_FAILURES: u32 = 3;
/// Seconds of that lockout.
pub(super) const PAY_PASSWORD_LOCK_SECONDS: u64 = 10_800;
/// Wrong pay passwords in a day.
pub(super) const PAY_PASSWORD_FAILURES_PER_DAY: u32 = 5;
/// Seconds of the cooling-off period.
pub(super) const COOLING_OFF_SECONDS: u64 = 86_400;
/// Different requests under an idempotency key before it locks.
pub(super) const MISMATCHES: u32 = 5;
/// Changes of one member in an hour.
pub(super) const CHANGES_PER_HOUR: u32 = 5;
pub(super) const HOUR: u64 = 3_600;
pub(super) const DAY: u64 = 86_400;
/// The sends to one destination, as (count, seconds): at most `count` in any `seconds`.
pub(super) const SENDS_TO_DESTINATION: [(usize, u64); 3] = [(1, 120), (5, HOUR), (10, DAY)];
/// The sends that one member requests.
pub(super) const SENDS_BY_MEMBER: [(usize, u64); 1] = [(10, DAY)];

/// Returns the settings that the walk needs: limits low enough to be reached within one walk, cheap hashes, and none of
/// the limits that all members share.
#[must_use]
pub fn settings() -> BTreeMap<String, String> {
    [
        ("CODE_MAX_ATTEMPTS", CODE_ATTEMPTS),
        ("FAILURES_PER_DAY", FAILURES_PER_DAY),
        ("PASSWORD_MAX_FAILURES", PASSWORD_FAILURES),
        ("LOG_IN_FAILURES_PER_DAY", LOG_IN_FAILURES_PER_DAY),
        ("SOURCE_LOG_IN_FAILURES_PER_HOUR", SOURCE_LOG_IN_FAILURES_PER_HOUR),
        ("PAY_PASSWORD_MAX_FAILURES", PAY_PASSWORD_FAILURES),
        ("PAY_PASSWORD_FAILURES_PER_DAY", PAY_PASSWORD_FAILURES_PER_DAY),
        ("CHANGES_PER_HOUR", CHANGES_PER_HOUR),
        ("ARGON2_MEMORY_KIB", 7_168),
        ("ARGON2_PASSES", 1),
        ("SOURCE_SENDS_PER_HOUR", 100_000),
        ("REGION_SENDS_PER_HOUR", 1_000_000),
        ("MAIL_SENDS_PER_HOUR", 1_000_000),
        ("REGISTER_SENDS_PER_HOUR", 1_000_000),
        ("SOURCE_WRONG_CODES_PER_HOUR", 100_000),
        ("NOTICES_PER_DAY", 1_000),
        ("BREAKER_MIN_VERIFIED_PERCENT", 0),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_string()))
    .into()
}
