//! The only source of randomness: the operating system's, through aws-lc.

use aws_lc_rs::rand;
use uuid::{Builder, Uuid};

/// The operating system's random source failed, so no code, token or grant can be issued.
#[derive(Debug, thiserror::Error)]
#[error("the operating system's random source failed")]
pub struct RandomError;

/// Returns `N` random bytes.
///
/// # Errors
/// [`RandomError`] if the operating system's random source fails.
pub fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| RandomError)?;
    Ok(bytes)
}

/// Returns a random UUID (version 4).
///
/// # Errors
/// [`RandomError`] if the operating system's random source fails.
pub fn uuid() -> Result<Uuid, RandomError> {
    Ok(Builder::from_random_bytes(bytes()?).into_uuid())
}

/// Returns `length` decimal digits, each uniform over 0 to 9.
///
/// # Errors
/// [`RandomError`] if the operating system's random source fails.
pub fn digits(length: usize) -> Result<String, RandomError> {
    let mut digits = String::with_capacity(length);
    while digits.len() < length {
        let [byte] = bytes()?;
        // 250 is the largest multiple of ten in a byte; larger values would favour the low digits.
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
    fn digits_have_requested_length_and_uniform_distribution() {
        let sample = digits(20_000).unwrap();
        assert_eq!(sample.len(), 20_000);
        for digit in '0'..='9' {
            let count = sample.matches(digit).count();
            // Six standard deviations (42) around 2,000, so that one run in 10^8 fails by chance.
            assert!((1_745..2_255).contains(&count), "{digit} occurred {count} times in 20,000");
        }
    }
}
