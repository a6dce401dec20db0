//! The time of day, in the forms that the AWS services write it.

use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

/// The time in UTC.
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// Milliseconds since 1970.
pub(crate) fn epoch_millis(time: OffsetDateTime) -> i128 {
    time.unix_timestamp_nanos() / 1_000_000
}

/// As `2026-08-22T10:00:00Z`.
pub(crate) fn rfc3339(time: OffsetDateTime) -> String {
    // It fails only for years past 9999.
    time.truncate_to_second().format(&Rfc3339).unwrap_or_default()
}

/// As `22/Aug/2026:10:00:00 +0000`, the Common Log Format.
pub(crate) fn common_log(time: OffsetDateTime) -> String {
    let format = format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");
    time.format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_aws_writes_them() {
        let time = OffsetDateTime::from_unix_timestamp_nanos(1_787_392_805_123_456_789).unwrap();
        assert_eq!(epoch_millis(time), 1_787_392_805_123);
        assert_eq!(rfc3339(time), "2026-08-22T10:00:05Z");
        assert_eq!(common_log(time), "22/Aug/2026:10:00:05 +0000");
    }
}
