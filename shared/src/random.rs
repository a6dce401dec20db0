//! The only source of randomness: the operating system's, through aws-lc.

use aws_lc_rs::rand;
use uuid::{Builder, Uuid};

/// The operating system gave no randomness. Nothing can be issued then.
#[derive(Debug, thiserror::Error)]
#[error("the operating system's random source failed")]
pub struct RandomError;

/// `N` random bytes.
///
/// # Errors
/// [`RandomError`] where the operating system has none.
pub fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| RandomError)?;
    Ok(bytes)
}

/// A random UUID (version 4).
///
/// # Errors
/// [`RandomError`] where the operating system has no randomness.
pub fn uuid() -> Result<Uuid, RandomError> {
    Ok(Builder::from_random_bytes(bytes()?).into_uuid())
}

/// `length` decimal digits, each uniform over 0 to 9.
///
/// # Errors
/// [`RandomError`] where the operating system has no randomness.
pub fn digits(length: usize) -> Result<String, RandomError> {
    let mut digits = String::with_capacity(length);
    while digits.len() < length {
        let [byte] = bytes()?;
        // 250 is the largest multiple of ten in a byte: what is above would favour the low digits.
        if byte < 250 {
            digits.push(char::from(b'0' + byte % 10));
        }
    }
    Ok(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_have_the_asked_length_and_every_digit_occurs_evenly() {
        let drawn = digits(20_000).unwrap();
        assert_eq!(drawn.len(), 20_000);
        for digit in '0'..='9' {
            let count = drawn.matches(digit).count();
            // Six standard deviations (42) around 2,000: a false alarm once in 10^8 runs.
            assert!((1_745..2_255).contains(&count), "{digit} came {count} times in 20,000");
        }
    }
}
