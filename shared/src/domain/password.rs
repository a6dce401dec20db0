//! Passwords: which are acceptable, and how they are hashed and verified.

mod argon2;
mod blocklist;
mod legacy;

pub use argon2::Memory;
pub use legacy::{HashFormat, HashFormatError, ImportHashError, Salt};

use crate::{Secret, domain::keys::Keys, error::Error, settings::Settings};
use aws_lc_rs::constant_time;
use legacy::LegacyHash;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// The longest login password, in code points. NIST SP 800-63B-4, 3.1.1.2 requires at least 64.
pub const MAX_CODE_POINTS: usize = 128;

/// What a client sends that turns a missing or wrong value into text by mistake. A member who never typed it must not
/// have it as a password.
const RESERVED: [&str; 4] = ["undefined", "null", "nan", "[object object]"];

/// A password, as it was typed, that was accepted under a policy or that a member already has.
#[derive(Debug)]
pub struct Password(Secret);

impl Password {
    /// Wraps a password that a member already has. The current policy does not apply to it.
    #[must_use]
    pub fn existing(typed: &str) -> Self {
        Self(typed.into())
    }

    /// Whether `typed` is this password after NFC normalization.
    #[must_use]
    pub fn is(&self, typed: &str) -> bool {
        typed.nfc().eq(self.0.expose_secret().nfc())
    }

    /// Whether this is the password of a stored hash.
    ///
    /// # Errors
    /// The errors of [`verify`].
    pub fn matches(&self, keys: &Keys, hash: &PasswordHash) -> Result<bool, Error> {
        verify(keys, self.0.expose_secret(), hash)
    }
}

/// A password hash as it is stored: either a PHC string of Argon2id whose `keyid` names the pepper's key, or a hash
/// that was imported from another system (see the `legacy` module).
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Returns the stored text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses a hash that this system stored before, such as one from an export. Returns `None` unless it is
    /// complete, its costs are within the bounds of the settings, and its key still exists.
    #[must_use]
    pub fn parse_stored(keys: &Keys, text: &str) -> Option<Self> {
        let is_well_formed = match text.strip_prefix(legacy::PREFIX) {
            Some(stored) => LegacyHash::parse(stored)?.is_well_formed(),
            None => argon2::is_well_formed(text),
        };
        let hash = Self(text.to_owned());
        let key_id = hash.key_id().filter(|_| is_well_formed)?;
        keys.by_id(&key_id).is_some().then_some(hash)
    }

    /// Whether [`PasswordPolicy::import`] made this from the same hash of another system. The stored texts of two
    /// such imports differ by their random salts and may differ by their keys.
    ///
    /// # Errors
    /// Fails if `text` cannot be imported.
    pub fn is_import_of(
        &self,
        keys: &Keys,
        text: &str,
        format: Option<HashFormat<'_>>,
        memory: &mut Memory,
    ) -> Result<bool, ImportHashError> {
        let digest = legacy::parse(text, format)?;
        let legacy = self.0.strip_prefix(legacy::PREFIX).and_then(LegacyHash::parse);
        let Some(legacy) = legacy else { return Ok(false) };
        legacy.was_made_from(keys, &digest, memory).map_err(ImportHashError::Failed)
    }

    /// Whether [`PasswordPolicy::adopt`] returned this for the same text.
    ///
    /// # Errors
    /// Fails if `text` cannot be adopted.
    pub fn is_adopted_from(
        &self,
        keys: &Keys,
        text: &str,
        format: Option<HashFormat<'_>>,
        memory: &mut Memory,
    ) -> Result<bool, ImportHashError> {
        match Self::parse_stored(keys, text).filter(|_| format.is_none()) {
            Some(hash) => {
                Ok(constant_time::verify_slices_are_equal(hash.0.as_bytes(), self.0.as_bytes()).is_ok())
            }
            None => self.is_import_of(keys, text, format, memory),
        }
    }

    /// Parses a hash that was imported. Returns `None` for one of our own.
    fn legacy(&self) -> Result<Option<LegacyHash>, Error> {
        let Some(stored) = self.0.strip_prefix(legacy::PREFIX) else { return Ok(None) };
        let malformed = || Error::internal("a legacy hash is malformed");
        LegacyHash::parse(stored).ok_or_else(malformed).map(Some)
    }

    /// Returns the id of the key whose pepper the hash uses.
    #[must_use]
    pub fn key_id(&self) -> Option<String> {
        match self.0.strip_prefix(legacy::PREFIX) {
            Some(stored) => LegacyHash::parse(stored)?.key_id(),
            None => argon2::key_id(&self.0),
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// The rules for passwords and the costs of their hashes.
#[derive(Clone, Copy, Debug)]
pub struct PasswordPolicy {
    /// The shortest login password, in code points.
    pub min_code_points: usize,
    /// Argon2's memory, in KiB.
    pub memory_kib: u32,
    /// Argon2's passes.
    pub passes: u32,
}

impl From<&Settings> for PasswordPolicy {
    fn from(settings: &Settings) -> Self {
        Self {
            min_code_points: settings.password_min_length,
            memory_kib: settings.argon2_memory_kib,
            passes: settings.argon2_passes,
        }
    }
}

impl PasswordPolicy {
    /// Accepts a new login password after NFC normalization if it
    ///
    /// - has at least [`PasswordPolicy::min_code_points`] and at most [`MAX_CODE_POINTS`] code points,
    /// - is not on the list of common passwords, and not a text such as `undefined` that a faulty client sends,
    /// - is not one of `contacts`, the member's own phone and email in every notation.
    ///
    /// The last two comparisons ignore case.
    #[must_use]
    pub fn accept(&self, typed: &str, contacts: &[impl AsRef<str>]) -> Option<Password> {
        let normalized: String = typed.nfc().collect();
        let lower = normalized.to_lowercase();
        let acceptable = (self.min_code_points..=MAX_CODE_POINTS).contains(&normalized.chars().count())
            && !blocklist::contains(&lower)
            && !RESERVED.contains(&lower.as_str())
            && !contacts.iter().any(|contact| contact.as_ref().to_lowercase() == lower);
        acceptable.then(|| Password::existing(typed))
    }

    /// Hashes a password under the current pepper, after NFC normalization.
    ///
    /// # Errors
    /// Fails with [`Error::Internal`] if randomness or memory is not available.
    pub fn hash(&self, keys: &Keys, password: &Password) -> Result<PasswordHash, Error> {
        let normalized = Secret::from(password.0.expose_secret().nfc().collect::<String>());
        self.argon2(keys, normalized.expose_secret().as_bytes()).map(PasswordHash)
    }

    /// Hashes a typed password that has just matched a stored hash again, if that hash is outdated. The new hash matches
    /// every text that the system of an imported hash accepted as the same password.
    ///
    /// # Errors
    /// Fails with [`Error::Internal`] if the stored hash is malformed, or randomness or memory is not available.
    pub fn upgrade(
        &self,
        keys: &Keys,
        typed: &str,
        stored: &PasswordHash,
    ) -> Result<Option<PasswordHash>, Error> {
        if !self.is_outdated(keys, stored) {
            return Ok(None);
        }
        if let Some(legacy) = stored.legacy()? {
            let argon2 = |digest: &[u8]| self.argon2(keys, digest);
            if let Some(upgraded) = legacy.upgrade(typed, keys.current(), argon2)? {
                return Ok(Some(PasswordHash(upgraded.to_string())));
            }
        }
        self.hash(keys, &Password::existing(typed)).map(Some)
    }

    /// Wraps a hash of another system under the current pepper. Either the text identifies its own format or `format`
    /// does; the import never guesses. [`PasswordPolicy::is_outdated`] is true for the result, so that
    /// [`PasswordPolicy::upgrade`] replaces it after the first successful verification.
    ///
    /// # Errors
    /// Fails if the format is unknown, verification would cost too much, or wrapping fails.
    pub fn import(
        &self,
        keys: &Keys,
        text: &str,
        format: Option<HashFormat<'_>>,
        memory: &mut Memory,
    ) -> Result<PasswordHash, ImportHashError> {
        let key = keys.current();
        let digest = legacy::parse(text, format)?;
        let legacy = digest.into_legacy_hash(key, |digest| argon2::hash(self.costs(), key, digest, memory));
        legacy.map(|legacy| PasswordHash(legacy.to_string())).map_err(ImportHashError::Failed)
    }

    /// Returns a hash of this system, such as one from an export, as it is, or [imports](PasswordPolicy::import) one of
    /// another system.
    ///
    /// # Errors
    /// The errors of [`PasswordPolicy::import`].
    pub fn adopt(
        &self,
        keys: &Keys,
        text: &str,
        format: Option<HashFormat<'_>>,
        memory: &mut Memory,
    ) -> Result<PasswordHash, ImportHashError> {
        match PasswordHash::parse_stored(keys, text).filter(|_| format.is_none()) {
            Some(hash) => Ok(hash),
            None => self.import(keys, text, format, memory),
        }
    }

    /// Whether a hash should be upgraded: its costs are below the settings, its pepper is not the current one, or it
    /// was made by another system.
    #[must_use]
    pub fn is_outdated(&self, keys: &Keys, hash: &PasswordHash) -> bool {
        match hash.legacy() {
            Ok(Some(legacy)) => {
                legacy.upgraded_proof().is_none_or(|proof| argon2::is_outdated(self.costs(), keys, proof))
            }
            Ok(None) | Err(_) => argon2::is_outdated(self.costs(), keys, &hash.0),
        }
    }

    fn argon2(&self, keys: &Keys, secret: &[u8]) -> Result<String, Error> {
        argon2::hash(self.costs(), keys.current(), secret, &mut Memory::default())
    }

    fn costs(&self) -> (u32, u32) {
        (self.memory_kib, self.passes)
    }
}

/// Whether `typed` matches a stored hash, compared in constant time. A hash under a removed key never matches: the
/// member has to recover the password.
///
/// # Errors
/// Fails with [`Error::Internal`] if the hash is malformed.
pub fn verify(keys: &Keys, typed: &str, hash: &PasswordHash) -> Result<bool, Error> {
    if let Some(legacy) = hash.legacy()? {
        return legacy.verify(keys, typed);
    }
    let normalized = Secret::from(typed.nfc().collect::<String>());
    argon2::verify(keys, normalized.expose_secret().as_bytes(), &hash.0, &mut Memory::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::keys::tests::{secret, two_keys};

    const NO_CONTACTS: &[&str] = &[];
    const POLICY: PasswordPolicy = PasswordPolicy { min_code_points: 8, memory_kib: 7 * 1024, passes: 1 };

    #[test]
    fn length_is_counted_in_code_points_after_nfc() {
        // NFC composes U+0065 U+0301 into one code point.
        assert!(
            POLICY.accept("e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}", NO_CONTACTS).is_none()
        );
        assert!(POLICY.accept("密码密码密码密码", NO_CONTACTS).is_some());
        assert!(POLICY.accept(&"长".repeat(128), NO_CONTACTS).is_some());
        assert!(POLICY.accept(&"长".repeat(129), NO_CONTACTS).is_none());
        assert!(POLICY.accept("1234567", NO_CONTACTS).is_none());
    }

    #[test]
    fn common_passwords_and_own_contacts_are_refused() {
        for typed in
            ["password", "Password1", "12345678", "iloveyou", "QWERTYUIOP", "li@example.com", "13627140483"]
        {
            assert!(POLICY.accept(typed, &["Li@example.com", "13627140483"]).is_none(), "{typed}");
        }
    }

    #[test]
    fn text_of_a_missing_value_is_refused() {
        let short = PasswordPolicy { min_code_points: 1, ..POLICY };
        for typed in
            ["undefined", "Undefined", "null", "NULL", "NaN", "nan", "[object Object]", "[OBJECT OBJECT]"]
        {
            assert!(short.accept(typed, NO_CONTACTS).is_none(), "{typed}");
        }
        assert!(short.accept("undefined-1", NO_CONTACTS).is_some());
    }

    #[test]
    fn documented_example_and_an_md5_digest_are_accepted() {
        let local = PasswordPolicy { min_code_points: 6, ..POLICY };
        assert!(local.accept("026129", NO_CONTACTS).is_some());
        assert!(POLICY.accept("5f4dcc3b5aa765d61d8327deb882cf99", NO_CONTACTS).is_some());
    }

    #[test]
    fn reused_memory_does_not_change_a_hash() {
        let mut memory = Memory::default();
        let keys = two_keys();
        for memory_kib in [7 * 1024, 64, 1024] {
            let policy = PasswordPolicy { memory_kib, ..POLICY };
            let hash = argon2::hash(policy.costs(), keys.current(), b"a-new-password", &mut memory).unwrap();
            assert!(verify(&keys, "a-new-password", &PasswordHash(hash)).unwrap(), "{memory_kib}");
        }
    }

    #[test]
    fn argon2id_hash_verifies_every_unicode_form() {
        let keys = two_keys();
        let hash = POLICY.hash(&keys, &POLICY.accept("pässword-of-li", NO_CONTACTS).unwrap()).unwrap();
        // `keyid` is "new" in Base64.
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=7168,t=1,p=1,keyid=bmV3$"), "{}", hash.as_str());
        assert!(verify(&keys, "pässword-of-li", &hash).unwrap());
        assert!(verify(&keys, "pa\u{308}ssword-of-li", &hash).unwrap());
        assert!(!verify(&keys, "password-of-li", &hash).unwrap());
        assert!(Password::existing("pa\u{308}ssword-of-li").matches(&keys, &hash).unwrap());
        assert!(POLICY.upgrade(&keys, "pässword-of-li", &hash).unwrap().is_none());
    }

    #[test]
    fn earlier_pepper_is_outdated_and_verifies_until_retired() {
        let before = Keys::parse(&secret("old")).unwrap();
        let hash = POLICY.hash(&before, &POLICY.accept("password-of-li", NO_CONTACTS).unwrap()).unwrap();
        assert!(verify(&two_keys(), "password-of-li", &hash).unwrap());
        assert!(POLICY.is_outdated(&two_keys(), &hash));
        assert!(!POLICY.is_outdated(&before, &hash));
        assert!(PasswordPolicy { passes: 2, ..POLICY }.is_outdated(&before, &hash));
        let retired = Keys::parse(&format!(r#"{{"current":"new","new":"{}"}}"#, "n".repeat(64))).unwrap();
        assert!(!verify(&retired, "password-of-li", &hash).unwrap());
    }

    #[test]
    fn stored_hash_parses_only_if_complete_and_affordable() {
        let keys = two_keys();
        let complete = POLICY.hash(&keys, &Password::existing("a-new-password")).unwrap().0;
        assert!(PasswordHash::parse_stored(&keys, &complete).is_some());
        let (parameters, _) = complete.rsplit_once('$').unwrap();
        for broken in [
            parameters.to_owned(),
            complete[..complete.len() - 4].to_owned(),
            complete.replace("m=7168", "m=4000000"),
            complete.replace("t=1", "t=200"),
            complete.replace("argon2id", "argon2i"),
            complete.replace("keyid=bmV3", "keyid=eHh4"),
        ] {
            assert!(PasswordHash::parse_stored(&keys, &broken).is_none(), "{broken}");
        }
    }

    #[test]
    fn malformed_hash_is_an_error_not_a_mismatch() {
        for hash in
            ["", "password-of-li", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ", "$2b$12$abcdefghijklmnopqrstuv"]
        {
            assert!(verify(&two_keys(), "password-of-li", &PasswordHash(hash.to_owned())).is_err(), "{hash}");
        }
    }
}
