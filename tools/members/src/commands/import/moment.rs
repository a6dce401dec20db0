//! Times in seconds since 1970.

use shared::clock::Timestamp;

use super::field_error::FieldError;

/// 2000-01-01T00:00:00Z. No account is older: an earlier time is a zero date or has another unit.
const EARLIEST: u64 = 946_684_800;

/// How far the other system's clock may be ahead, in seconds: as far as that of a session's issuer.
const CLOCK_SKEW_SECONDS: u64 = 300;

/// Other units, and how many of each a second has.
const UNITS: [(&str, u64); 3] =
    [("milliseconds", 1_000), ("microseconds", 1_000_000), ("nanoseconds", 1_000_000_000)];

/// Parses the time in a field. It cannot be before 2000 or after `now`.
pub fn parse(name: &'static str, text: &str, now: Timestamp) -> Result<Timestamp, FieldError> {
    let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_number);
    let number: u64 = number.ok_or_else(|| FieldError::new(name, "not a number of seconds since 1970"))?;
    let is_plausible = |seconds| (EARLIEST..=now.plus(CLOCK_SKEW_SECONDS).0).contains(&seconds);
    if is_plausible(number) {
        return Ok(Timestamp(number));
    }
    let unit = UNITS.into_iter().find(|(_, per_second)| is_plausible(number / per_second));
    Err(match unit {
        Some((unit, per_second)) => {
            FieldError::new(name, format!("in {unit}, not seconds; divide it by {per_second}"))
        }
        None if number < EARLIEST => FieldError::new(name, "before 2000; leave it empty if it is not known"),
        None => FieldError::new(name, "later than now"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000);

    #[test]
    fn plausible_seconds_are_accepted() {
        for text in ["946684800", "1700000000", "1800000000", "1800000300", "0001700000000"] {
            assert_eq!(parse("created_at", text, NOW).map(|at| at.0), Ok(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn implausible_time_is_refused_with_its_reason() {
        for (text, expected) in [
            ("1700000000000", "in milliseconds, not seconds; divide it by 1000"),
            ("946684800000", "in milliseconds, not seconds; divide it by 1000"),
            ("1700000000000000", "in microseconds, not seconds; divide it by 1000000"),
            ("1700000000000000000", "in nanoseconds, not seconds; divide it by 1000000000"),
            ("0", "before 2000; leave it empty if it is not known"),
            ("946684799", "before 2000; leave it empty if it is not known"),
            ("20231114", "before 2000; leave it empty if it is not known"),
            ("1800000301", "later than now"),
            ("4102444800", "later than now"),
            ("20231114221320", "later than now"),
            ("18446744073709551615", "later than now"),
            ("18446744073709551616", "not a number of seconds since 1970"),
            ("+1700000000", "not a number of seconds since 1970"),
            ("-1", "not a number of seconds since 1970"),
            ("1.7E+09", "not a number of seconds since 1970"),
            ("1700000000.5", "not a number of seconds since 1970"),
            ("１７０００００００００", "not a number of seconds since 1970"),
            ("2023-11-14T22:13:20Z", "not a number of seconds since 1970"),
            ("2023-11-14 22:13:20", "not a number of seconds since 1970"),
            ("", "not a number of seconds since 1970"),
        ] {
            assert_eq!(parse("created_at", text, NOW).unwrap_err().reason, expected, "{text}");
        }
    }
}
