//! The pay password: a six-digit payment PIN.

use crate::{contact::Phone, domain::password::Password, text};
use std::borrow::Cow;

/// The length of a pay password.
const DIGITS: usize = 6;

/// Returns six digits in full-width or other compatibility characters as ASCII digits. Returns any other text as it is,
/// because a hash that was imported from another system can be of any text.
#[must_use]
pub fn typed(text: &str) -> Cow<'_, str> {
    let normalized: String = text::typed(text).take(DIGITS + 1).collect();
    if is_six_digits(&normalized) { normalized.into() } else { text.into() }
}

fn is_six_digits(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Accepts a new pay password, or returns `None` if it can be guessed. A pay password has exactly 6 digits. They
/// are not one digit repeated, not a run up or down, and not a part of the member's phone number.
#[must_use]
pub fn accept(typed: &str, phone: Option<&Phone>) -> Option<Password> {
    let typed = self::typed(typed);
    let acceptable = is_six_digits(&typed)
        && !has_step(&typed, 0)
        && !has_step(&typed, 1)
        && !has_step(&typed, -1)
        && !phone.is_some_and(|phone| phone.as_str().contains(&*typed));
    acceptable.then(|| Password::existing(&typed))
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
        for typed in ["", "12345", "1234567", "12345a", "１２３４５６", "      ", "-12345", "258 036"] {
            assert!(accept(typed, None).is_none(), "{typed}");
        }
        for typed in ["258036", "112233", "890123", "135792"] {
            assert!(accept(typed, Some(&phone)).is_some(), "{typed}");
        }
        assert!(accept("140483", None).is_some());
    }

    #[test]
    fn full_width_digits_are_the_same_pay_password() {
        for text in ["258036", "２５８０３６", "\u{feff}258036", "②⑤⑧⓪③⑥"] {
            assert_eq!(typed(text), "258036", "{text:?}");
            assert!(accept(text, None).unwrap().is("258036"), "{text:?}");
        }
        for text in ["２５８０３", "258 036", "ａｂｃｄｅｆ", "ﬁ", "5f4dcc3b5aa765d61d8327deb882cf99", ""]
        {
            assert_eq!(typed(text), text);
        }
    }
}
