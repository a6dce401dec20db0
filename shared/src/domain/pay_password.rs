//! The pay password: a six-digit payment PIN.

use crate::{contact::Phone, domain::password::Password};

/// The length of a pay password.
const DIGITS: usize = 6;

/// Accepts a new pay password, or returns `None` if it can be guessed. A pay password has exactly 6 digits. They
/// are not one digit repeated, not a run up or down, and not a part of the member's phone number.
#[must_use]
pub fn accept(typed: &str, phone: Option<&Phone>) -> Option<Password> {
    let six_digits = typed.len() == DIGITS && typed.bytes().all(|byte| byte.is_ascii_digit());
    let acceptable = six_digits
        && !has_step(typed, 0)
        && !has_step(typed, 1)
        && !has_step(typed, -1)
        && !phone.is_some_and(|phone| phone.as_str().contains(typed));
    acceptable.then(|| Password::existing(typed))
}

/// Returns whether each digit differs from the one before it by `step`.
fn has_step(digits: &str, step: i16) -> bool {
    let pairs = digits.bytes().zip(digits.bytes().skip(1));
    pairs.map(|(digit, next)| i16::from(next) - i16::from(digit)).all(|difference| difference == step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::PhoneRules;
    use phonenumber::country;

    #[test]
    fn guessable_or_malformed_pay_password_is_refused() {
        let rules = PhoneRules { default_region: country::CN, allowed_regions: vec![country::CN] };
        let phone = rules.parse("13627140483").unwrap();
        for typed in [
            "000000", "777777", "012345", "123456", "456789", "987654", "543210", "136271", "140483",
            "714048",
        ] {
            assert!(accept(typed, Some(&phone)).is_none(), "{typed}");
        }
        for typed in ["", "12345", "1234567", "12345a", "１２３４５６", "      ", "-12345"] {
            assert!(accept(typed, None).is_none(), "{typed}");
        }
        for typed in ["258036", "112233", "890123", "135792"] {
            assert!(accept(typed, Some(&phone)).is_some(), "{typed}");
        }
        assert!(accept("140483", None).is_some());
    }
}
