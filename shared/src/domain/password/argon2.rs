//! Our own hash: a PHC string of Argon2id over the keyed MAC of a secret. Its `keyid` names the pepper's key.

use crate::{
    domain::keys::{Key, KeyPurpose, Keys},
    error::Error,
    random,
    settings::{ARGON2_MEMORY_KIB, ARGON2_PASSES},
};
use ::argon2::{Algorithm, Argon2, Block, KeyId, Params, ParamsBuilder, Version, password_hash::phc};
use aws_lc_rs::constant_time;
use secrecy::zeroize::Zeroizing;

/// The salt's length: RFC 9106, 3.1 recommends 16 bytes.
const SALT_BYTES: usize = 16;

/// The working memory of Argon2. A caller that computes many hashes reuses one value: on two cores, allocating it for
/// each hash costs as much as the hash itself, and it fragments the heap.
#[derive(Default)]
pub struct Memory(Zeroizing<Vec<Block>>);

impl Memory {
    fn blocks(&mut self, argon2: &Argon2<'_>) -> &mut [Block] {
        self.0.resize(argon2.params().block_count(), Block::new());
        &mut self.0
    }
}

/// Hashes a secret under a key's pepper, with the given memory in KiB and number of passes.
///
/// # Errors
/// Fails with [`Error::Internal`] if randomness or memory is not available.
pub(super) fn hash(
    costs: (u32, u32),
    key: &Key,
    secret: &[u8],
    memory: &mut Memory,
) -> Result<String, Error> {
    let salt = random::bytes::<SALT_BYTES>()?;
    let params = params(costs, key)?;
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    argon2
        .hash_password_into_with_memory(&peppered(key, secret), &salt, &mut output, memory.blocks(&argon2))
        .map_err(Error::internal)?;
    phc_string(&params, &salt, &output)
}

fn params((memory_kib, passes): (u32, u32), key: &Key) -> Result<Params, Error> {
    let key_id = KeyId::new(key.id.as_bytes()).map_err(Error::internal)?;
    let mut params = ParamsBuilder::new();
    // One lane: a function has less than two cores at all but the largest memory sizes.
    params.m_cost(memory_kib).t_cost(passes).p_cost(1).keyid(key_id);
    params.build().map_err(Error::internal)
}

fn phc_string(params: &Params, salt: &[u8], output: &[u8]) -> Result<String, Error> {
    let hash = phc::PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: phc::ParamsString::try_from(params).map_err(Error::internal)?,
        salt: Some(phc::Salt::new(salt).map_err(Error::internal)?),
        hash: Some(phc::Output::new(output).map_err(Error::internal)?),
    };
    Ok(hash.to_string())
}

/// Whether `secret` matches a hash, compared in constant time. A hash under a removed key never matches.
///
/// # Errors
/// Fails with [`Error::Internal`] if the hash is malformed.
pub(super) fn verify(keys: &Keys, secret: &[u8], hash: &str, memory: &mut Memory) -> Result<bool, Error> {
    let hash = phc::PasswordHash::new(hash).map_err(Error::internal)?;
    let params = Params::try_from(&hash).map_err(Error::internal)?;
    let key_id = std::str::from_utf8(params.keyid()).map_err(Error::internal)?;
    if key_id.is_empty() {
        return Err(Error::internal("a password hash does not name a key"));
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

/// Returns a hash that no secret matches, with the given memory in KiB and number of passes. Verifying it takes the time
/// of a real one.
///
/// # Errors
/// Fails with [`Error::Internal`] if the costs are out of bounds.
pub(super) fn placeholder(costs: (u32, u32), key: &Key) -> Result<String, Error> {
    phc_string(&params(costs, key)?, &[0; SALT_BYTES], &[0; Params::DEFAULT_OUTPUT_LEN])
}

/// Returns the id of the key whose pepper a hash uses.
pub(super) fn key_id(hash: &str) -> Option<String> {
    let params = params_of(hash)?;
    String::from_utf8(params.keyid().to_vec()).ok().filter(|id| !id.is_empty())
}

/// Whether a hash has less memory (in KiB) or fewer passes than given, does not use the current pepper, or is not a
/// PHC string of Argon2.
pub(super) fn is_outdated((memory_kib, passes): (u32, u32), keys: &Keys, hash: &str) -> bool {
    params_of(hash).is_none_or(|params| {
        params.m_cost() < memory_kib
            || params.t_cost() < passes
            || params.keyid() != keys.current().id.as_bytes()
    })
}

/// Whether a hash could have been made by [`hash`]: salt and digest have its lengths, and the costs are within the
/// bounds of the settings.
pub(super) fn is_well_formed(hash: &str) -> bool {
    let parse = || {
        let hash = phc::PasswordHash::new(hash).ok()?;
        let params = Params::try_from(&hash).ok()?;
        let is_own = hash.algorithm == Algorithm::Argon2id.ident()
            && hash.salt?.len() == SALT_BYTES
            && hash.hash?.len() == Params::DEFAULT_OUTPUT_LEN;
        Some(
            is_own
                && params.p_cost() == 1
                && ARGON2_MEMORY_KIB.contains(&params.m_cost())
                && ARGON2_PASSES.contains(&params.t_cost()),
        )
    };
    parse().unwrap_or_default()
}

/// Returns the keyed MAC that Argon2 hashes instead of the secret, so that an attacker who steals the table cannot
/// guess passwords offline without the keys (NIST SP 800-63B-4, 3.1.1.2).
pub(super) fn peppered(key: &Key, secret: &[u8]) -> [u8; 32] {
    key.mac(KeyPurpose::Pepper, &[secret])
}

fn params_of(hash: &str) -> Option<Params> {
    Params::try_from(&phc::PasswordHash::new(hash).ok()?).ok()
}
