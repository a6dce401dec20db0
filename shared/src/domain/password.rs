//! The login password: which are acceptable, and how they are kept.

mod argon2;
mod blocklist;
mod legacy;

pub use argon2::Memory;
pub use legacy::{HashFormat, ImportHashError, Salt};

use crate::{Secret, domain::keys::Keys, error::Error, settings::Settings};
use legacy::LegacyHash;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// The longest login password, in code points. NIST SP 800-63B-4, 3.1.1.2 asks for 64 at least.
pub const MAX_CODE_POINTS: usize = 128;

/// A login password that was found acceptable, NFC-normalised.
#[derive(Debug)]
pub struct Password(Secret);

impl Password {
    /// A password that a member has already, whatever the rules are now.
    #[must_use]
    pub fn existing(typed: &str) -> Self {
        Self(typed.nfc().collect::<String>().into())
    }

    /// Whether `typed` is this password, in whatever spelling NFC makes the same.
    #[must_use]
    pub fn is(&self, typed: &str) -> bool {
        typed.nfc().eq(self.0.expose_secret().chars())
    }
}

/// A password as it is kept: a PHC string of Argon2id whose `keyid` names the pepper, or, of a member who came
/// along from another system and has not used it since, what `foreign` describes.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The text that is kept.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A hash that was kept here before, if it is one, whole and within the settings' bounds, and its key is still
    /// there.
    #[must_use]
    pub fn kept(keys: &Keys, text: &str) -> Option<Self> {
        let is_whole = match text.strip_prefix(legacy::PREFIX) {
            Some(kept) => LegacyHash::read(kept)?.is_whole(),
            None => argon2::is_whole(text),
        };
        let hash = Self(text.to_owned());
        let key_id = hash.key_id().filter(|_| is_whole)?;
        keys.by_id(&key_id).is_some().then_some(hash)
    }

    /// Whether [`PasswordPolicy::import`] of that text would keep this again, but for what it draws.
    ///
    /// # Errors
    /// [`ImportHashError`].
    pub fn is_import_of(
        &self,
        keys: &Keys,
        text: &str,
        form: Option<HashFormat<'_>>,
        memory: &mut Memory,
    ) -> Result<bool, ImportHashError> {
        let digest = legacy::read(text, form)?;
        let kept = self.0.strip_prefix(legacy::PREFIX).and_then(LegacyHash::read);
        let Some(kept) = kept else { return Ok(false) };
        kept.is_of(keys, &digest, memory).map_err(ImportHashError::Failed)
    }

    /// The id of the key whose pepper it has.
    #[must_use]
    pub fn key_id(&self) -> Option<String> {
        match self.0.strip_prefix(legacy::PREFIX) {
            Some(kept) => LegacyHash::read(kept)?.key_id(),
            None => argon2::key_id(&self.0),
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// The rules and costs of passwords.
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
    /// Takes a new login password if it is acceptable: 8 (setting) to 128 code points after NFC, not
    /// among the commonest, and none of `contacts` (the member's own phone and mail, in any spelling).
    #[must_use]
    pub fn accept(&self, typed: &str, contacts: &[impl AsRef<str>]) -> Option<Password> {
        let normalised: String = typed.nfc().collect();
        let lower = normalised.to_lowercase();
        let acceptable = (self.min_code_points..=MAX_CODE_POINTS).contains(&normalised.chars().count())
            && !blocklist::has(&lower)
            && !contacts.iter().any(|contact| contact.as_ref().to_lowercase() == lower);
        acceptable.then(|| Password(normalised.into()))
    }

    /// Hashes an acceptable password under the current pepper.
    ///
    /// # Errors
    /// [`Error::Internal`] where there is no randomness or no memory.
    pub fn hash(&self, keys: &Keys, password: &Password) -> Result<PasswordHash, Error> {
        let secret = password.0.expose_secret().as_bytes();
        argon2::hash(self.costs(), keys.current(), secret, &mut Memory::default()).map(PasswordHash)
    }

    /// Takes the hash of another system, under the current pepper. Its text says of itself what it is, or
    /// `form` does; nothing is guessed. A password that matches it is to be hashed anew: see
    /// [`PasswordPolicy::is_outdated`].
    ///
    /// # Errors
    /// [`ImportHashError`].
    pub fn import(
        &self,
        keys: &Keys,
        text: &str,
        form: Option<HashFormat<'_>>,
        memory: &mut Memory,
    ) -> Result<PasswordHash, ImportHashError> {
        let key = keys.current();
        let digest = legacy::read(text, form)?;
        let legacy = digest.proven(key, |digest| argon2::hash(self.costs(), key, digest, memory));
        legacy.map(|legacy| PasswordHash(legacy.to_string())).map_err(ImportHashError::Failed)
    }

    /// Whether a hash costs less than the settings, has the pepper of an earlier key, or is another system's.
    #[must_use]
    pub fn is_outdated(&self, keys: &Keys, hash: &PasswordHash) -> bool {
        argon2::is_outdated(self.costs(), keys, &hash.0)
    }

    fn costs(&self) -> (u32, u32) {
        (self.memory_kib, self.passes)
    }
}

/// Whether `typed` is the password that was kept, compared in constant time. What was kept under a key that
/// was removed since is no password any more: the member recovers another.
///
/// # Errors
/// [`Error::Internal`] where the hash is malformed.
pub fn verify(keys: &Keys, typed: &str, kept: &PasswordHash) -> Result<bool, Error> {
    if let Some(kept) = kept.0.strip_prefix(legacy::PREFIX) {
        let legacy = LegacyHash::read(kept).ok_or_else(|| Error::internal("a legacy hash is malformed"))?;
        return legacy.verify(keys, typed);
    }
    let normalised = Secret::from(typed.nfc().collect::<String>());
    argon2::verify(keys, normalised.expose_secret().as_bytes(), &kept.0, &mut Memory::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::keys::tests::{secret, two_keys};

    const NO_CONTACTS: &[&str] = &[];
    const POLICY: PasswordPolicy = PasswordPolicy { min_code_points: 8, memory_kib: 7 * 1024, passes: 1 };

    #[test]
    fn length_is_counted_in_code_points_after_nfc() {
        // U+0065 U+0301 is one code point after NFC.
        assert!(
            POLICY.accept("e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}", NO_CONTACTS).is_none()
        );
        assert!(POLICY.accept("密码密码密码密码", NO_CONTACTS).is_some());
        assert!(POLICY.accept(&"长".repeat(128), NO_CONTACTS).is_some());
        assert!(POLICY.accept(&"长".repeat(129), NO_CONTACTS).is_none());
        assert!(POLICY.accept("1234567", NO_CONTACTS).is_none());
    }

    #[test]
    fn common_ones_and_the_members_own_contacts_are_refused() {
        for typed in
            ["password", "Password1", "12345678", "iloveyou", "QWERTYUIOP", "li@example.com", "13627140483"]
        {
            assert!(POLICY.accept(typed, &["Li@example.com", "13627140483"]).is_none(), "{typed}");
        }
    }

    #[test]
    fn the_documents_examples_and_a_legacy_md5_are_acceptable_passwords() {
        let local = PasswordPolicy { min_code_points: 6, ..POLICY };
        assert!(local.accept("026129", NO_CONTACTS).is_some());
        assert!(POLICY.accept("5f4dcc3b5aa765d61d8327deb882cf99", NO_CONTACTS).is_some());
    }

    #[test]
    fn memory_that_was_hashed_in_before_changes_no_hash() {
        let mut memory = Memory::default();
        let keys = two_keys();
        for memory_kib in [7 * 1024, 64, 1024] {
            let policy = PasswordPolicy { memory_kib, ..POLICY };
            let hash = argon2::hash(policy.costs(), keys.current(), b"a-new-password", &mut memory).unwrap();
            assert!(verify(&keys, "a-new-password", &PasswordHash(hash)).unwrap(), "{memory_kib}");
        }
    }

    #[test]
    fn a_hash_is_argon2id_with_its_costs_and_pepper_and_verifies_in_every_spelling() {
        let keys = two_keys();
        let hash = POLICY.hash(&keys, &POLICY.accept("pässword-of-li", NO_CONTACTS).unwrap()).unwrap();
        // `keyid` is "new" in Base64.
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=7168,t=1,p=1,keyid=bmV3$"), "{}", hash.as_str());
        assert!(verify(&keys, "pässword-of-li", &hash).unwrap());
        assert!(verify(&keys, "pa\u{308}ssword-of-li", &hash).unwrap());
        assert!(!verify(&keys, "password-of-li", &hash).unwrap());
    }

    #[test]
    fn an_earlier_pepper_verifies_until_it_is_retired_and_is_outdated_meanwhile() {
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
    fn one_that_was_kept_here_is_taken_as_it_was_if_it_is_whole_and_costs_what_the_settings_allow() {
        let keys = two_keys();
        let whole = POLICY.hash(&keys, &Password::existing("a-new-password")).unwrap().0;
        assert!(PasswordHash::kept(&keys, &whole).is_some());
        let (parameters, _) = whole.rsplit_once('$').unwrap();
        for broken in [
            parameters.to_owned(),
            whole[..whole.len() - 4].to_owned(),
            whole.replace("m=7168", "m=4000000"),
            whole.replace("t=1", "t=200"),
            whole.replace("argon2id", "argon2i"),
            whole.replace("keyid=bmV3", "keyid=eHh4"),
        ] {
            assert!(PasswordHash::kept(&keys, &broken).is_none(), "{broken}");
        }
    }

    #[test]
    fn a_malformed_hash_is_a_fault_and_never_a_match() {
        for kept in
            ["", "password-of-li", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ", "$2b$12$abcdefghijklmnopqrstuv"]
        {
            assert!(verify(&two_keys(), "password-of-li", &PasswordHash(kept.to_owned())).is_err(), "{kept}");
        }
    }
}
