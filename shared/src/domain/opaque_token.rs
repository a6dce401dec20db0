//! Opaque tokens: random texts that authorize their holder, of which only the hash is stored.

use crate::{Secret, random};
use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::ExposeSecret;

/// 256 random bits, of which only the hash is stored.
#[derive(Debug)]
pub struct OpaqueToken(Secret);

/// The length of 32 bytes in base64url without padding.
const CHARACTERS: usize = 43;

impl OpaqueToken {
    /// Generates a new token.
    ///
    /// # Errors
    /// [`random::RandomError`] if the random source fails.
    pub fn draw() -> Result<Self, random::RandomError> {
        Ok(Self(URL_SAFE_NO_PAD.encode(random::bytes::<32>()?).into()))
    }

    /// Parses a text in the form of such a token. Returns `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let well_formed = text.len() == CHARACTERS && URL_SAFE_NO_PAD.decode(text).is_ok();
        well_formed.then(|| Self(text.into()))
    }

    /// Returns the token's text, for the client that receives it.
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
    fn token_round_trips_and_its_hash_differs() {
        let token = OpaqueToken::draw().unwrap();
        let parsed = OpaqueToken::parse(token.expose()).unwrap();
        assert_eq!(parsed.hash(), token.hash());
        assert_ne!(token.hash(), token.expose());
        assert!(!format!("{token:?}").contains(token.expose()));
    }

    #[test]
    fn malformed_tokens_do_not_parse() {
        let token = OpaqueToken::draw().unwrap();
        for text in ["", &token.expose()[1..], &format!("{}A", token.expose()), &"!".repeat(43)] {
            assert!(OpaqueToken::parse(text).is_none(), "{text}");
        }
    }
}
