//! The current time and the formats in which AWS services write it.

use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

/// Returns the current time in UTC.
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// Returns the milliseconds between 1970 and `time`.
pub(crate) fn epoch_millis(time: OffsetDateTime) -> i128 {
    time.unix_timestamp_nanos() / 1_000_000
}

/// Formats `time` as RFC 3339: `2026-08-22T10:00:00Z`.
pub(crate) fn rfc3339(time: OffsetDateTime) -> String {
    // Formatting fails only for years after 9999.
    time.truncate_to_second().format(&Rfc3339).unwrap_or_default()
}

/// Formats `time` in the Common Log Format: `22/Aug/2026:10:00:00 +0000`.
pub(crate) fn common_log(time: OffsetDateTime) -> String {
    let format = format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");
    time.format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_match_those_of_aws() {
        let time = OffsetDateTime::from_unix_timestamp_nanos(1_787_392_805_123_456_789).unwrap();
        assert_eq!(epoch_millis(time), 1_787_392_805_123);
        assert_eq!(rfc3339(time), "2026-08-22T10:00:05Z");
        assert_eq!(common_log(time), "22/Aug/2026:10:00:05 +0000");
    }
}
