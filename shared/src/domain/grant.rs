//! The grant: what a right code becomes, for the one call that comes after it.

use crate::{Secret, random};
use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::ExposeSecret;

/// 256 random bits, of which the store has only the hash.
#[derive(Debug)]
pub struct Grant(Secret);

/// Characters of 32 bytes in base64url without padding.
const CHARACTERS: usize = 43;

impl Grant {
    /// A new grant.
    ///
    /// # Errors
    /// [`random::RandomError`].
    pub fn draw() -> Result<Self, random::RandomError> {
        Ok(Self(URL_SAFE_NO_PAD.encode(random::bytes::<32>()?).into()))
    }

    /// What could be a grant. A `verification` that is none is a token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let well_formed = text.len() == CHARACTERS && URL_SAFE_NO_PAD.decode(text).is_ok();
        well_formed.then(|| Self(text.into()))
    }

    /// The grant's text, for whoever it is given to.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// SHA-256 of the text, in base64url: 256 random bits need no key to be safe at rest.
    #[must_use]
    pub fn hash(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, self.expose().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_itself_again_and_its_hash_is_another_text() {
        let grant = Grant::draw().unwrap();
        let parsed = Grant::parse(grant.expose()).unwrap();
        assert_eq!(parsed.hash(), grant.hash());
        assert_ne!(grant.hash(), grant.expose());
        assert!(!format!("{grant:?}").contains(grant.expose()));
    }

    #[test]
    fn other_texts_are_no_grant() {
        let grant = Grant::draw().unwrap();
        for text in ["", &grant.expose()[1..], &format!("{}A", grant.expose()), &"!".repeat(43)] {
            assert!(Grant::parse(text).is_none(), "{text}");
        }
    }
}
