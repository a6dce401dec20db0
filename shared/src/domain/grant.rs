//! Grants. A verified code is exchanged for a grant if the change follows in a later call.

use crate::{Secret, random};
use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::ExposeSecret;

/// 256 random bits, of which only the hash is stored.
#[derive(Debug)]
pub struct Grant(Secret);

/// The length of 32 bytes in base64url without padding.
const CHARACTERS: usize = 43;

impl Grant {
    /// Generates a new grant.
    ///
    /// # Errors
    /// [`random::RandomError`] if the random source fails.
    pub fn draw() -> Result<Self, random::RandomError> {
        Ok(Self(URL_SAFE_NO_PAD.encode(random::bytes::<32>()?).into()))
    }

    /// Parses a text in the form of a grant. Returns `None` for any other `verification`, which is then a token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let well_formed = text.len() == CHARACTERS && URL_SAFE_NO_PAD.decode(text).is_ok();
        well_formed.then(|| Self(text.into()))
    }

    /// Returns the grant's text, for the client that receives it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Returns the SHA-256 of the text in base64url. No key is needed, because 256 random bits cannot be guessed.
    #[must_use]
    pub fn hash(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, self.expose().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grant_round_trips_and_its_hash_differs() {
        let grant = Grant::draw().unwrap();
        let parsed = Grant::parse(grant.expose()).unwrap();
        assert_eq!(parsed.hash(), grant.hash());
        assert_ne!(grant.hash(), grant.expose());
        assert!(!format!("{grant:?}").contains(grant.expose()));
    }

    #[test]
    fn malformed_grants_do_not_parse() {
        let grant = Grant::draw().unwrap();
        for text in ["", &grant.expose()[1..], &format!("{}A", grant.expose()), &"!".repeat(43)] {
            assert!(Grant::parse(text).is_none(), "{text}");
        }
    }
}
