//! A password hash of another system, kept until its first right use makes it one of ours.
//!
//! The digest that the other system made of the password is nowhere at rest: in its place is a proof of it
//! under the pepper, so that a stolen table cannot be searched without the secret. A digest that is quickly
//! made, by MD5, SHA-256 or phpass, is proven by Argon2id under the current settings, any other by a MAC.
//!
//! ```text
//! kept   = "$foreign$v=1,in=" input ",l=" bytes of the digest "$" recipe "$" salt "$" proof
//! input  = "typed" / "nfkc" / "trimmed" / "sha256-hex" / "wp-sha384"
//! scheme = "bcrypt$c=" cost
//!        / ("pbkdf2-sha256" / "pbkdf2-sha512") "$i=" iterations
//!        / "scrypt$ln=" log2 of N ",r=" r ",p=" p
//!        / ("argon2d" / "argon2i" / "argon2id") "$v=" version ",m=" KiB ",t=" passes ",p=" lanes
//!        / "phpass$ln=" log2 of the rounds
//!        / ("md5" / "sha256") "$salt=" ("before" / "after")
//! salt   = base64                                    ; as all here of RFC 4648, 4, without padding
//! proof  = "hmac-sha256$keyid=" id "$" base64        ; the pepper's MAC of the digest
//!        / a hash of ours, of the digest, without its first "$"
//! ```
//!
//! All numbers are decimal. [`format`] reads what other systems write, [`scheme`] makes their digests.

mod format;
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

pub(super) use format::read;
pub use format::{HashFormat, Salt};
pub use scheme::ImportHashError;

/// What a kept hash of another system begins with.
pub(super) const PREFIX: &str = "$foreign$";

/// The version of the grammar above.
const VERSION: &str = "v=1,in=";

/// The name of the proof by a MAC, up to the key's id.
const MAC: &str = "hmac-sha256$keyid=";

/// Bytes of that MAC: HMAC-SHA-256.
const MAC_BYTES: usize = 32;

/// A longer password was none in any of those systems. Some of them read it again for every round.
const MAX_TYPED_BYTES: usize = 4096;

/// A hash of another system, as it is kept.
pub(super) struct LegacyHash {
    scheme: Scheme,
    proof: Proof,
}

/// What stands in the place of a digest.
enum Proof {
    /// The pepper's MAC of it, under the key of that id.
    Mac { key_id: String, mac: Vec<u8> },
    /// A PHC string of Argon2id over that MAC.
    Argon2(String),
}

impl Digest {
    /// Puts the proof in the place of the digest, by Argon2id where it was quickly made.
    pub(super) fn proven(
        self,
        key: &Key,
        argon2: impl FnOnce(&[u8]) -> Result<String, Error>,
    ) -> Result<LegacyHash, Error> {
        let proof = if self.scheme.is_quick() {
            Proof::Argon2(argon2(&self.bytes)?)
        } else {
            Proof::Mac { key_id: key.id.clone(), mac: peppered(key, &self.bytes).to_vec() }
        };
        Ok(LegacyHash { scheme: self.scheme, proof })
    }
}

impl LegacyHash {
    /// Reads what was kept, after its [`PREFIX`].
    pub(super) fn read(kept: &str) -> Option<Self> {
        let mut parts = kept.strip_prefix(VERSION)?.splitn(5, '$');
        let mut part = || parts.next();
        let (input, length) = part()?.split_once(",l=")?;
        let (function, parameters, salt, proof) = (part()?, part()?, part()?, part()?);
        let salt = BASE64_STANDARD_NO_PAD.decode(salt).ok()?;
        let function = scheme::Function::read(function, parameters)?;
        let scheme = Scheme::new(Preprocess::read(input)?, function, salt, length.parse().ok()?).ok()?;
        let proof = match proof.strip_prefix(MAC) {
            Some(proof) => {
                let (key_id, mac) = proof.split_once('$')?;
                Proof::Mac { key_id: key_id.to_owned(), mac: BASE64_STANDARD_NO_PAD.decode(mac).ok()? }
            }
            None => Proof::Argon2(format!("${proof}")),
        };
        Some(Self { scheme, proof })
    }

    /// The id of the key under which it is proven.
    pub(super) fn key_id(&self) -> Option<String> {
        match &self.proof {
            Proof::Mac { key_id, .. } => Some(key_id.clone()),
            Proof::Argon2(hash) => argon2::key_id(hash),
        }
    }

    /// Whether its proof is one that could have been made here.
    pub(super) fn is_whole(&self) -> bool {
        match &self.proof {
            Proof::Mac { mac, .. } => !self.scheme.is_quick() && mac.len() == MAC_BYTES,
            Proof::Argon2(hash) => self.scheme.is_quick() && argon2::is_whole(hash),
        }
    }

    /// Whether `typed` is the password, compared in constant time. As with our own, what was proven under a
    /// key that was removed since is no password any more.
    pub(super) fn verify(&self, keys: &Keys, typed: &str) -> Result<bool, Error> {
        if typed.len() > MAX_TYPED_BYTES {
            return Ok(false);
        }
        self.proves(keys, &self.scheme.digest(typed)?, &mut Memory::default())
    }

    /// Whether it was made of that digest.
    pub(super) fn is_of(&self, keys: &Keys, digest: &Digest, memory: &mut Memory) -> Result<bool, Error> {
        Ok(self.scheme == digest.scheme && self.proves(keys, &digest.bytes, memory)?)
    }

    fn proves(&self, keys: &Keys, digest: &[u8], memory: &mut Memory) -> Result<bool, Error> {
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
        let Scheme { input, function, length, .. } = &self.scheme;
        write!(f, "{PREFIX}{VERSION}{},l={length}${function}${salt}$", input.name())?;
        match &self.proof {
            Proof::Mac { key_id, mac } => write!(f, "{MAC}{key_id}${}", BASE64_STANDARD_NO_PAD.encode(mac)),
            Proof::Argon2(hash) => f.write_str(hash.trim_start_matches('$')),
        }
    }
}

#[cfg(test)]
mod tests;
