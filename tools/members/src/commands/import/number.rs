//! Numbers that a program has rewritten, and whose digits it may have lost.

/// Describes a rewritten number.
pub const REWRITTEN: &str =
    "a number in scientific or decimal form, whose digits can be lost; export the column as text";

/// Whether a text is a number as spreadsheets and floating point print it: `1.36E+10`, `1.3627140483E10`, `7.0`, `-0`.
///
/// Digits are left, and so is a text such as `12e4` or `1.5`, which can be an id.
pub fn is_rewritten(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = split(unsigned, ['e', 'E']);
    // Some languages write a decimal comma.
    let (whole, fraction) = split(mantissa, ['.', ',']);
    if whole.is_empty() || !are_digits(whole) || !fraction.is_none_or(are_digits) {
        return false;
    }
    match (exponent, fraction) {
        (Some(exponent), _) => {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            let is_unambiguous = fraction.is_some() || digits.len() < exponent.len();
            is_unambiguous && !digits.is_empty() && are_digits(digits)
        }
        (None, Some(fraction)) => are_zeros(fraction),
        (None, None) => text.starts_with('-') && are_zeros(whole),
    }
}

fn split<const N: usize>(text: &str, at: [char; N]) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn are_digits(text: &str) -> bool {
    text.bytes().all(|digit| digit.is_ascii_digit())
}

fn are_zeros(text: &str) -> bool {
    text.bytes().all(|digit| digit == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewritten_numbers_are_distinguished_from_digits() {
        for text in [
            "1.36E+10",
            "1.36271E+10",
            "1,36E+10",
            "1E+10",
            "1e+21",
            "1.3627140483E10",
            "1.3627140483e10",
            "8.61363E+12",
            "+8.61363E+12",
            "1.5e-7",
            "7.0",
            "7.",
            "7,00",
            "13627140483.0",
            "-7.0",
            "-0",
            "-0.0",
            "-00",
        ] {
            assert!(is_rewritten(text), "{text}");
        }
        for text in [
            "",
            "0",
            "7",
            "007",
            "-7",
            "+7",
            "13627140483",
            "+8613627140483",
            "1.5",
            "1.10",
            "1e5",
            "12e4",
            "e5",
            "1e",
            "1e+",
            ".",
            "1.2.0",
            "a.0",
            "136-2714-0483",
            "1,234,567",
            "0x10",
            "2a",
            "１.０",
        ] {
            assert!(!is_rewritten(text), "{text}");
        }
    }
}
