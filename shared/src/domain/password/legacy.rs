//! A password hash that was imported from another system. The first successful verification upgrades it.
//!
//! The digest that the other system computed is never stored. A proof of it under the pepper is stored instead, so
//! that an attacker who steals the table cannot guess passwords offline without the keys. The proof of a fast digest
//! (MD5, SHA-256, phpass) is an Argon2id hash with the costs of the settings. The proof of any other digest is a MAC.
//!
//! ```text
//! stored = "$foreign$v=1,in=" input ",l=" bytes of the digest "$" scheme "$" salt "$" proof
//! input  = "typed" / "nfkc" / "trimmed" / "sha256-hex" / "wp-sha384" / "first-72"   ; how the password is preprocessed
//! scheme = "bcrypt$c=" cost
//!        / ("pbkdf2-sha256" / "pbkdf2-sha512") "$i=" iterations
//!        / "scrypt$ln=" log2 of N ",r=" r ",p=" p
//!        / ("argon2d" / "argon2i" / "argon2id") "$v=" version ",m=" KiB ",t=" passes ",p=" lanes
//!        / "phpass$ln=" log2 of the rounds
//!        / ("md5" / "sha256") "$salt=" ("before" / "after")
//! salt   = base64                                    ; everywhere RFC 4648, section 4, without padding
//! proof  = "hmac-sha256$keyid=" id "$" base64        ; MAC of the digest under the pepper
//!        / our own hash of the digest, without its first "$"
//! ```
//!
//! A hash of a system that looked at the whole password is upgraded to a hash of our own. Any other system accepted
//! several texts as one password: with and without white space around it, or with any text after its 72nd byte. The
//! upgrade then keeps the preprocessing, because the text that was typed now may not be the one that the member types
//! next: the upgraded hash is of this form, with the preprocessing of the other system, SHA-256 without a salt, and a
//! proof under the current costs and pepper.
//!
//! All numbers are decimal. [`format`] parses the hashes of other systems, [`prefixed`] those after the name of their
//! scheme, [`scheme`] computes their digests.

mod format;
mod prefixed;
mod scheme;

use super::argon2::{self, Memory, peppered};
use crate::{
    domain::keys::{Key, Keys},
    error::Error,
};
use aws_lc_rs::constant_time;
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use scheme::{Digest, Preprocess, Scheme};
use std::fmt;

pub(super) use format::parse;
pub use format::{HashFormat, HashFormatError, Salt};
pub use scheme::ImportHashError;

/// The prefix of every stored hash of another system.
pub(super) const PREFIX: &str = "$foreign$";

/// The version of the grammar above, and the name of its first field.
const VERSION: &str = "v=1,in=";

/// The start of a proof by MAC, up to the key's id.
const MAC: &str = "hmac-sha256$keyid=";

/// The length of the MAC, which is HMAC-SHA-256.
const MAC_BYTES: usize = 32;

/// The longest password that is verified. None of those systems accepts a longer one, and some of their schemes hash
/// the whole password in every round.
const MAX_TYPED_BYTES: usize = 4096;

/// A hash of another system, as it is stored.
pub(super) struct LegacyHash {
    scheme: Scheme,
    proof: Proof,
}

/// The proof that is stored instead of a digest.
enum Proof {
    /// The MAC of the digest under the pepper of a key.
    Mac { key_id: String, mac: Vec<u8> },
    /// A PHC string of Argon2id over the same MAC.
    Argon2(String),
}

impl Digest {
    /// Replaces the digest by its proof. `argon2` hashes a fast digest.
    pub(super) fn into_legacy_hash(
        self,
        key: &Key,
        argon2: impl FnOnce(&[u8]) -> Result<String, Error>,
    ) -> Result<LegacyHash, Error> {
        let proof = if self.scheme.is_fast() {
            Proof::Argon2(argon2(&self.bytes)?)
        } else {
            Proof::Mac { key_id: key.id.clone(), mac: peppered(key, &self.bytes).to_vec() }
        };
        Ok(LegacyHash { scheme: self.scheme, proof })
    }
}

impl LegacyHash {
    /// Parses a stored hash from which [`PREFIX`] was stripped.
    pub(super) fn parse(stored: &str) -> Option<Self> {
        let mut parts = stored.strip_prefix(VERSION)?.splitn(5, '$');
        let mut part = || parts.next();
        let (preprocess, length) = part()?.split_once(",l=")?;
        let (function, parameters, salt, proof) = (part()?, part()?, part()?, part()?);
        let salt = BASE64_STANDARD_NO_PAD.decode(salt).ok()?;
        let function = scheme::Function::parse(function, parameters)?;
        let preprocess = Preprocess::from_name(preprocess)?;
        let scheme = Scheme::new(preprocess, function, salt, length.parse().ok()?).ok()?;
        let proof = match proof.strip_prefix(MAC) {
            Some(proof) => {
                let (key_id, mac) = proof.split_once('$')?;
                Proof::Mac { key_id: key_id.to_owned(), mac: BASE64_STANDARD_NO_PAD.decode(mac).ok()? }
            }
            None => Proof::Argon2(format!("${proof}")),
        };
        Some(Self { scheme, proof })
    }

    /// Returns the id of the key whose pepper the proof uses.
    pub(super) fn key_id(&self) -> Option<String> {
        match &self.proof {
            Proof::Mac { key_id, .. } => Some(key_id.clone()),
            Proof::Argon2(hash) => argon2::key_id(hash),
        }
    }

    /// Whether the proof has the kind and the length that [`Digest::into_legacy_hash`] gives it.
    pub(super) fn is_well_formed(&self) -> bool {
        match &self.proof {
            Proof::Mac { mac, .. } => !self.scheme.is_fast() && mac.len() == MAC_BYTES,
            Proof::Argon2(hash) => self.scheme.is_fast() && argon2::is_well_formed(hash),
        }
    }

    /// Whether `typed` matches the hash, compared in constant time. A hash under a removed key never matches.
    pub(super) fn verify(&self, keys: &Keys, typed: &str) -> Result<bool, Error> {
        if typed.len() > MAX_TYPED_BYTES {
            return Ok(false);
        }
        self.matches(keys, &self.scheme.digest(typed)?, &mut Memory::default())
    }

    /// Returns the upgraded hash of a password that matches, made with `argon2`. Returns `None` if the system looked at
    /// all of `typed`, so that a hash of our own takes its place.
    pub(super) fn upgrade(
        &self,
        typed: &str,
        key: &Key,
        argon2: impl FnOnce(&[u8]) -> Result<String, Error>,
    ) -> Result<Option<Self>, Error> {
        let Some(preprocess) = self.scheme.kept_preprocess(typed) else { return Ok(None) };
        let scheme = Scheme::upgraded(preprocess);
        let bytes = scheme.digest(typed)?;
        Digest { scheme, bytes }.into_legacy_hash(key, argon2).map(Some)
    }

    /// Returns the hash of our own inside an upgraded hash.
    pub(super) fn upgraded_proof(&self) -> Option<&str> {
        match &self.proof {
            Proof::Argon2(hash) if self.scheme.is_upgraded() => Some(hash),
            Proof::Argon2(_) | Proof::Mac { .. } => None,
        }
    }

    /// Whether the hash was made from a digest: the schemes are equal, and the proof matches.
    pub(super) fn was_made_from(
        &self,
        keys: &Keys,
        digest: &Digest,
        memory: &mut Memory,
    ) -> Result<bool, Error> {
        Ok(self.scheme == digest.scheme && self.matches(keys, &digest.bytes, memory)?)
    }

    fn matches(&self, keys: &Keys, digest: &[u8], memory: &mut Memory) -> Result<bool, Error> {
        match &self.proof {
            Proof::Mac { key_id, mac } => {
                let Some(key) = keys.by_id(key_id) else { return Ok(false) };
                Ok(constant_time::verify_slices_are_equal(&peppered(key, digest), mac).is_ok())
            }
            Proof::Argon2(hash) => argon2::verify(keys, digest, hash, memory),
        }
    }
}

impl fmt::Display for LegacyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let salt = BASE64_STANDARD_NO_PAD.encode(&self.scheme.salt);
        let Scheme { preprocess, function, length, .. } = &self.scheme;
        write!(f, "{PREFIX}{VERSION}{},l={length}${function}${salt}$", preprocess.name())?;
        match &self.proof {
            Proof::Mac { key_id, mac } => write!(f, "{MAC}{key_id}${}", BASE64_STANDARD_NO_PAD.encode(mac)),
            Proof::Argon2(hash) => f.write_str(hash.trim_start_matches('$')),
        }
    }
}

#[cfg(test)]
mod tests;
