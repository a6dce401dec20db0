//! The login password: which are acceptable, and how they are kept.

mod blocklist;
mod foreign;

pub use foreign::{Form, NotTaken, Salt};

use crate::{
    Secret,
    domain::keys::{Key, Keys, Use},
    error::Error,
    random,
    settings::{ARGON2_MEMORY_KIB, ARGON2_PASSES, Settings},
};
use argon2::{Algorithm, Argon2, Block, KeyId, Params, ParamsBuilder, Version, password_hash::phc};
use aws_lc_rs::constant_time;
use foreign::Foreign;
use secrecy::{ExposeSecret, zeroize::Zeroizing};
use serde::{Deserialize, Serialize};
use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// The longest login password, in code points. NIST SP 800-63B-4, 3.1.1.2 asks for 64 at least.
pub const MAX_CODE_POINTS: usize = 128;

/// The salt's length: RFC 9106, 3.1 recommends 16 bytes.
const SALT_BYTES: usize = 16;

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
        let is_whole = match text.strip_prefix(foreign::PREFIX) {
            Some(kept) => Foreign::read(kept)?.is_whole(),
            None => is_whole(text),
        };
        let hash = Self(text.to_owned());
        let key_id = hash.key_id().filter(|_| is_whole)?;
        keys.by_id(&key_id).is_some().then_some(hash)
    }

    /// Whether [`PasswordPolicy::import`] of that text would keep this again, but for what it draws.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn is_import_of(
        &self,
        keys: &Keys,
        text: &str,
        form: Option<Form<'_>>,
        memory: &mut Memory,
    ) -> Result<bool, NotTaken> {
        let digest = foreign::read_text(text, form)?;
        let kept = self.0.strip_prefix(foreign::PREFIX).and_then(Foreign::read);
        let Some(kept) = kept else { return Ok(false) };
        kept.is_of(keys, &digest, memory).map_err(NotTaken::Failed)
    }

    /// The id of the key whose pepper it has.
    #[must_use]
    pub fn key_id(&self) -> Option<String> {
        match self.0.strip_prefix(foreign::PREFIX) {
            Some(kept) => Foreign::read(kept)?.key_id(),
            None => argon2_key_id(&self.0),
        }
    }
}

/// The id of the key that the hash of a peppered secret names.
fn argon2_key_id(hash: &str) -> Option<String> {
    let params = Params::try_from(&phc::PasswordHash::new(hash).ok()?).ok()?;
    String::from_utf8(params.keyid().to_vec()).ok().filter(|id| !id.is_empty())
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// What Argon2 works in. Whoever makes many hashes hands over the same again: to take it anew for each costs as much
/// as the hash where two cores do it, and scatters what the allocator has.
#[derive(Default)]
pub struct Memory(Zeroizing<Vec<Block>>);

impl Memory {
    fn blocks(&mut self, argon2: &Argon2<'_>) -> &mut [Block] {
        self.0.resize(argon2.params().block_count(), Block::new());
        &mut self.0
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
        self.argon2(keys.current(), secret, &mut Memory::default()).map(PasswordHash)
    }

    /// Takes the hash of another system, under the current pepper. Its text says of itself what it is, or
    /// `form` does; nothing is guessed. A password that matches it is to be hashed anew: see
    /// [`PasswordPolicy::is_outdated`].
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn import(
        &self,
        keys: &Keys,
        text: &str,
        form: Option<Form<'_>>,
        memory: &mut Memory,
    ) -> Result<PasswordHash, NotTaken> {
        let key = keys.current();
        let foreign = foreign::read_text(text, form)?.proven(key, |digest| self.argon2(key, digest, memory));
        foreign.map(|foreign| PasswordHash(foreign.to_string())).map_err(NotTaken::Failed)
    }

    fn argon2(&self, key: &Key, secret: &[u8], memory: &mut Memory) -> Result<String, Error> {
        let salt = random::bytes::<SALT_BYTES>()?;
        let params = self.params(key)?;
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        argon2
            .hash_password_into_with_memory(
                &peppered(key, secret),
                &salt,
                &mut output,
                memory.blocks(&argon2),
            )
            .map_err(Error::internal)?;
        let hash = phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: phc::ParamsString::try_from(&params).map_err(Error::internal)?,
            salt: Some(phc::Salt::new(&salt).map_err(Error::internal)?),
            hash: Some(phc::Output::new(&output).map_err(Error::internal)?),
        };
        Ok(hash.to_string())
    }

    /// Whether a kept hash costs less than the settings ask now, has an earlier pepper, or is another system's.
    #[must_use]
    pub fn is_outdated(&self, keys: &Keys, kept: &PasswordHash) -> bool {
        let params = phc::PasswordHash::new(&kept.0).ok().and_then(|hash| Params::try_from(&hash).ok());
        params.is_none_or(|params| {
            params.m_cost() < self.memory_kib
                || params.t_cost() < self.passes
                || params.keyid() != keys.current().id.as_bytes()
        })
    }

    fn params(&self, key: &Key) -> Result<Params, Error> {
        let key_id = KeyId::new(key.id.as_bytes()).map_err(Error::internal)?;
        let mut params = ParamsBuilder::new();
        // One lane: a function has less than two cores for all but the largest memory sizes.
        params.m_cost(self.memory_kib).t_cost(self.passes).p_cost(1).keyid(key_id);
        params.build().map_err(Error::internal)
    }
}

/// Whether `typed` is the password that was kept, compared in constant time. What was kept under a key that
/// was removed since is no password any more: the member recovers another.
///
/// # Errors
/// [`Error::Internal`] where the hash is malformed.
pub fn verify(keys: &Keys, typed: &str, kept: &PasswordHash) -> Result<bool, Error> {
    if let Some(kept) = kept.0.strip_prefix(foreign::PREFIX) {
        let foreign = Foreign::read(kept).ok_or_else(|| Error::internal("a foreign hash is malformed"))?;
        return foreign.verify(keys, typed);
    }
    let normalised = Secret::from(typed.nfc().collect::<String>());
    verify_argon2(keys, normalised.expose_secret().as_bytes(), &kept.0, &mut Memory::default())
}

/// Whether a PHC string of Argon2id has salt and digest as they are made here, and costs that the settings allow.
fn is_whole(hash: &str) -> bool {
    let read = || {
        let hash = phc::PasswordHash::new(hash).ok()?;
        let params = Params::try_from(&hash).ok()?;
        let is_ours = hash.algorithm == Algorithm::Argon2id.ident()
            && hash.salt?.len() == SALT_BYTES
            && hash.hash?.len() == Params::DEFAULT_OUTPUT_LEN;
        Some(
            is_ours
                && params.p_cost() == 1
                && ARGON2_MEMORY_KIB.contains(&params.m_cost())
                && ARGON2_PASSES.contains(&params.t_cost()),
        )
    };
    read().unwrap_or_default()
}

/// Whether `secret` is what was hashed, compared in constant time.
fn verify_argon2(keys: &Keys, secret: &[u8], hash: &str, memory: &mut Memory) -> Result<bool, Error> {
    let hash = phc::PasswordHash::new(hash).map_err(Error::internal)?;
    let params = Params::try_from(&hash).map_err(Error::internal)?;
    let key_id = std::str::from_utf8(params.keyid()).map_err(Error::internal)?;
    if key_id.is_empty() {
        return Err(Error::internal("a password hash names no key"));
    }
    let Some(key) = keys.by_id(key_id) else { return Ok(false) };
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
        return Err(Error::internal("a password hash has no salt or no digest"));
    };
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(Error::internal)?;
    let version = hash.version.map(Version::try_from).transpose().map_err(Error::internal)?;
    let argon2 = Argon2::new(algorithm, version.unwrap_or_default(), params);
    let mut output = vec![0; expected.len()];
    argon2
        .hash_password_into_with_memory(&peppered(key, secret), salt, &mut output, memory.blocks(&argon2))
        .map_err(Error::internal)?;
    Ok(constant_time::verify_slices_are_equal(&output, expected.as_ref()).is_ok())
}

/// The keyed MAC that Argon2 hashes in the password's place: a stolen table cannot be searched
/// without the secret (NIST SP 800-63B-4, 3.1.1.2).
fn peppered(key: &Key, secret: &[u8]) -> [u8; 32] {
    key.mac(Use::Pepper, &[secret])
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
            let hash = policy.argon2(keys.current(), b"a-new-password", &mut memory).unwrap();
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
