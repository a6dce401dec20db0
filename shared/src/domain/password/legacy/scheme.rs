//! How other systems compute the digest of a password.

use crate::error::Error;
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::{Engine, prelude::BASE64_STANDARD};
use md5::{Digest as _, Md5};
use secrecy::zeroize::Zeroizing;
use std::{fmt, num::NonZeroU32, ops::RangeInclusive, str::FromStr};
use unicode_normalization::UnicodeNormalization;

/// The most memory that a digest may take, in KiB. A function that hashes has 1769 MB, and may be given less.
const MAX_MEMORY_KIB: u64 = 512 * 1024;

/// The most memory in KiB times passes over it. This limit and those below each allow 2 to 4 of the 10 seconds of a
/// function.
const MAX_KIB_PASSES: u64 = 2 * 1024 * 1024;

/// The costs that bcrypt defines. Each step doubles the time.
const BCRYPT_COSTS: RangeInclusive<u32> = 4..=31;
const MAX_BCRYPT_COST: u32 = 15;

/// The most HMACs of PBKDF2: the iterations times the blocks of the digest.
const MAX_PBKDF2_HMACS: u64 = 5_000_000;

/// log2 of the rounds that phpass defines.
const PHPASS_ROUNDS: RangeInclusive<u32> = 7..=30;
const MAX_PHPASS_ROUNDS: u32 = 18;

/// The lengths of a digest, in bytes. Other passwords match a shorter one by chance; a longer one is not a password
/// hash.
const DIGEST_BYTES: RangeInclusive<usize> = 16..=64;
const BCRYPT_BYTES: usize = 23;

/// The longest salt, in bytes.
const MAX_SALT_BYTES: usize = 256;

/// The bytes of a password that bcrypt reads, including the zero byte at its end.
const BCRYPT_INPUT_BYTES: usize = 72;

/// The characters that PHP's `trim` removes.
const PHP_SPACE: [char; 6] = [' ', '\t', '\n', '\r', '\0', '\x0b'];

/// The reason why a hash cannot be imported. It contains nothing of the hash.
#[derive(Debug, thiserror::Error)]
pub enum ImportHashError {
    /// The text does not have the given format or, without one, does not identify a known one.
    #[error("not a password hash of a known form")]
    Unknown,
    /// The text identifies a scheme that is not verified here.
    #[error("{0} is not verified; leave the field empty, so that the member recovers the password")]
    NotVerified(&'static str),
    /// The text is marked as a password that is not hashed.
    #[error("a plaintext, not a hash; hash it first, such as with bcrypt")]
    Plaintext,
    /// Verifying the hash could exceed the memory or the time of a function.
    #[error("its cost exceeds what a function can spend")]
    TooCostly,
    /// The hash cannot be wrapped under the pepper.
    #[error("cannot be wrapped: {0}")]
    Failed(Error),
}

/// How another system computes a digest: the preprocessing of the password, the function, the salt and the length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scheme {
    pub(super) preprocess: Preprocess,
    pub(super) function: Function,
    pub(super) salt: Vec<u8>,
    pub(super) length: usize,
}

/// A digest of another system with its scheme.
pub(in crate::domain::password) struct Digest {
    pub(super) scheme: Scheme,
    pub(super) bytes: Vec<u8>,
}

/// How the password is preprocessed before hashing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preprocess {
    /// Unchanged, as it was typed.
    Typed,
    /// NFKC: better-auth.
    Nfkc,
    /// White space removed from both ends: phpass in `WordPress`.
    Trimmed,
    /// SHA-256 in hex: Django.
    Sha256Hex,
    /// Trimmed, then Base64 of its HMAC-SHA-384 under the key `wp-sha384`: `WordPress` since 6.8.
    WpSha384,
    /// The first 72 bytes: an upgraded hash of bcrypt.
    First72,
}

/// A hash function with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Bcrypt { cost: u32 },
    Pbkdf2 { sha: Sha2, iterations: NonZeroU32 },
    Scrypt { log_n: u32, r: u32, p: u32 },
    Argon2 { algorithm: Algorithm, version: Version, memory_kib: u32, passes: u32, lanes: u32 },
    Phpass { log_rounds: u32 },
    Md5(Order),
    Sha256(Order),
}

/// The hash function of PBKDF2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sha2 {
    Sha256,
    Sha512,
}

/// The position of the salt relative to the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Before,
    After,
}

impl Scheme {
    /// Fails if the function is not defined for these parameters or costs too much.
    pub(super) fn new(
        preprocess: Preprocess,
        function: Function,
        salt: Vec<u8>,
        length: usize,
    ) -> Result<Self, ImportHashError> {
        if !function.is_defined_for(&salt, length) {
            return Err(ImportHashError::Unknown);
        }
        if function.is_too_costly(length) {
            return Err(ImportHashError::TooCostly);
        }
        Ok(Self { preprocess, function, salt, length })
    }

    /// Whether the function is too fast to protect the password against guessing.
    pub(super) fn is_fast(&self) -> bool {
        matches!(self.function, Function::Phpass { .. } | Function::Md5(_) | Function::Sha256(_))
    }

    /// Computes the digest of a typed password.
    pub(super) fn digest(&self, typed: &str) -> Result<Vec<u8>, Error> {
        self.function.digest(&self.preprocess.apply(typed), &self.salt, self.length)
    }

    /// Returns the scheme of an upgraded hash. Its digest is fast, so it is stored as a hash of our own.
    pub(super) fn upgraded(preprocess: Preprocess) -> Self {
        let length = digest::SHA256_OUTPUT_LEN;
        Self { preprocess, function: Function::Sha256(Order::Before), salt: Vec::new(), length }
    }

    /// Whether this is the scheme of an upgraded hash.
    pub(super) fn is_upgraded(&self) -> bool {
        self.preprocess.merges_texts() && *self == Self::upgraded(self.preprocess)
    }

    /// Returns the preprocessing that an upgraded hash has to keep, because the scheme accepts other texts than `typed`
    /// as the same password.
    pub(super) fn kept_preprocess(&self, typed: &str) -> Option<Preprocess> {
        match (self.preprocess, self.function) {
            (preprocess, _) if preprocess.merges_texts() => Some(preprocess),
            (Preprocess::Typed, Function::Bcrypt { .. }) if typed.len() >= BCRYPT_INPUT_BYTES => {
                Some(Preprocess::First72)
            }
            _ => None,
        }
    }
}

impl Preprocess {
    const ALL: [Self; 6] =
        [Self::Typed, Self::Nfkc, Self::Trimmed, Self::Sha256Hex, Self::WpSha384, Self::First72];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Typed => "typed",
            Self::Nfkc => "nfkc",
            Self::Trimmed => "trimmed",
            Self::Sha256Hex => "sha256-hex",
            Self::WpSha384 => "wp-sha384",
            Self::First72 => "first-72",
        }
    }

    /// Whether it maps several texts that a person could type to one.
    fn merges_texts(self) -> bool {
        match self {
            Self::Nfkc | Self::Trimmed | Self::WpSha384 | Self::First72 => true,
            Self::Typed | Self::Sha256Hex => false,
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preprocess| preprocess.name() == name)
    }

    fn apply(self, typed: &str) -> Zeroizing<Vec<u8>> {
        let trimmed = typed.trim_matches(PHP_SPACE);
        Zeroizing::new(match self {
            Self::Typed => typed.into(),
            Self::Nfkc => typed.nfkc().collect::<String>().into(),
            Self::Trimmed => trimmed.into(),
            Self::Sha256Hex => hex::encode(digest::digest(&digest::SHA256, typed.as_bytes())).into(),
            Self::WpSha384 => {
                let key = hmac::Key::new(hmac::HMAC_SHA384, b"wp-sha384");
                BASE64_STANDARD.encode(hmac::sign(&key, trimmed.as_bytes())).into()
            }
            Self::First72 => typed.bytes().take(BCRYPT_INPUT_BYTES).collect(),
        })
    }
}

impl Function {
    /// Parses the name and the parameters that [`fmt::Display`] writes.
    pub(super) fn parse(name: &str, parameters: &str) -> Option<Self> {
        Some(match name {
            "bcrypt" => Self::Bcrypt { cost: only_number(parameters, "c")? },
            "pbkdf2-sha256" => Self::Pbkdf2 { sha: Sha2::Sha256, iterations: only_number(parameters, "i")? },
            "pbkdf2-sha512" => Self::Pbkdf2 { sha: Sha2::Sha512, iterations: only_number(parameters, "i")? },
            "scrypt" => {
                let [log_n, r, p] = fields(parameters, ["ln", "r", "p"])?;
                Self::Scrypt { log_n: number(log_n)?, r: number(r)?, p: number(p)? }
            }
            "argon2d" | "argon2i" | "argon2id" => {
                let [version, memory, passes, lanes] = fields(parameters, ["v", "m", "t", "p"])?;
                Self::Argon2 {
                    algorithm: name.parse().ok()?,
                    version: number::<u32>(version)?.try_into().ok()?,
                    memory_kib: number(memory)?,
                    passes: number(passes)?,
                    lanes: number(lanes)?,
                }
            }
            "phpass" => Self::Phpass { log_rounds: only_number(parameters, "ln")? },
            "md5" => Self::Md5(Order::parse(parameters)?),
            "sha256" => Self::Sha256(Order::parse(parameters)?),
            _ => return None,
        })
    }

    /// Whether the function is defined for its parameters, the salt and a digest of `length` bytes.
    fn is_defined_for(&self, salt: &[u8], length: usize) -> bool {
        let is_defined = match *self {
            Self::Bcrypt { cost } => {
                BCRYPT_COSTS.contains(&cost) && salt.len() == 16 && length == BCRYPT_BYTES
            }
            Self::Pbkdf2 { .. } => true,
            Self::Scrypt { log_n, r, p } => scrypt_params(log_n, r, p).is_some(),
            Self::Argon2 { memory_kib, passes, lanes, .. } => {
                salt.len() >= argon2::MIN_SALT_LEN && Params::new(memory_kib, passes, lanes, None).is_ok()
            }
            Self::Phpass { log_rounds } => {
                PHPASS_ROUNDS.contains(&log_rounds) && salt.len() == 8 && length == 16
            }
            Self::Md5(_) => length == 16,
            Self::Sha256(_) => length == 32,
        };
        // No system's digest has another length, so the text was truncated.
        let is_complete = matches!(*self, Self::Bcrypt { .. }) || length.is_multiple_of(4);
        is_defined && is_complete && DIGEST_BYTES.contains(&length) && salt.len() <= MAX_SALT_BYTES
    }

    /// Whether one digest and one hash of our own could exceed the memory or the 10 seconds of a function.
    fn is_too_costly(&self, length: usize) -> bool {
        match *self {
            Self::Bcrypt { cost } => cost > MAX_BCRYPT_COST,
            Self::Pbkdf2 { sha, iterations } => {
                let blocks = length.div_ceil(sha.bytes()) as u64;
                u64::from(iterations.get()) * blocks > MAX_PBKDF2_HMACS
            }
            Self::Scrypt { log_n, r, p } => {
                // scrypt writes and then reads N blocks of 128 r bytes, p times.
                let kib =
                    1u64.checked_shl(log_n).and_then(|n| n.checked_mul(r.into())).map(|blocks| blocks / 8);
                exceeds_memory_limits(kib, p.saturating_mul(2))
            }
            Self::Argon2 { memory_kib, passes, .. } => exceeds_memory_limits(Some(memory_kib.into()), passes),
            Self::Phpass { log_rounds } => log_rounds > MAX_PHPASS_ROUNDS,
            Self::Md5(_) | Self::Sha256(_) => false,
        }
    }

    fn digest(&self, input: &[u8], salt: &[u8], length: usize) -> Result<Vec<u8>, Error> {
        let mut digest = vec![0; length];
        match *self {
            Self::Bcrypt { cost } => {
                let terminated =
                    input.iter().copied().chain([0]).take(BCRYPT_INPUT_BYTES).collect::<Vec<_>>();
                let salt = salt.try_into().map_err(Error::internal)?;
                digest = bcrypt::bcrypt(cost, salt, &terminated).to_vec();
                digest.truncate(length);
            }
            Self::Pbkdf2 { sha, iterations } => {
                pbkdf2::derive(sha.algorithm(), iterations, salt, input, &mut digest);
            }
            Self::Scrypt { log_n, r, p } => {
                let params = scrypt_params(log_n, r, p)
                    .ok_or_else(|| Error::internal("the parameters of scrypt are invalid"))?;
                scrypt::scrypt(input, salt, &params, &mut digest).map_err(Error::internal)?;
            }
            Self::Argon2 { algorithm, version, memory_kib, passes, lanes } => {
                let params = Params::new(memory_kib, passes, lanes, None).map_err(Error::internal)?;
                Argon2::new(algorithm, version, params)
                    .hash_password_into(input, salt, &mut digest)
                    .map_err(Error::internal)?;
            }
            Self::Phpass { log_rounds } => {
                let round = |hash: &[u8]| Md5::new().chain_update(hash).chain_update(input).finalize();
                digest = (0..1u64 << log_rounds).fold(round(salt), |hash, _| round(&hash)).to_vec();
            }
            Self::Md5(order) => digest = Md5::digest(order.join(salt, input)).to_vec(),
            Self::Sha256(order) => {
                digest = digest::digest(&digest::SHA256, &order.join(salt, input)).as_ref().to_vec();
            }
        }
        Ok(digest)
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Bcrypt { cost } => write!(f, "bcrypt$c={cost}"),
            Self::Pbkdf2 { sha: Sha2::Sha256, iterations } => write!(f, "pbkdf2-sha256$i={iterations}"),
            Self::Pbkdf2 { sha: Sha2::Sha512, iterations } => write!(f, "pbkdf2-sha512$i={iterations}"),
            Self::Scrypt { log_n, r, p } => write!(f, "scrypt$ln={log_n},r={r},p={p}"),
            Self::Argon2 { algorithm, version, memory_kib, passes, lanes } => {
                let version = u32::from(version);
                write!(f, "{algorithm}$v={version},m={memory_kib},t={passes},p={lanes}")
            }
            Self::Phpass { log_rounds } => write!(f, "phpass$ln={log_rounds}"),
            Self::Md5(order) => write!(f, "md5$salt={}", order.name()),
            Self::Sha256(order) => write!(f, "sha256$salt={}", order.name()),
        }
    }
}

impl Sha2 {
    fn algorithm(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Sha256 => digest::SHA256_OUTPUT_LEN,
            Self::Sha512 => digest::SHA512_OUTPUT_LEN,
        }
    }
}

impl Order {
    fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }

    fn parse(parameters: &str) -> Option<Self> {
        let [name] = fields(parameters, ["salt"])?;
        [Self::Before, Self::After].into_iter().find(|order| order.name() == name)
    }

    fn join(self, salt: &[u8], input: &[u8]) -> Vec<u8> {
        match self {
            Self::Before => [salt, input].concat(),
            Self::After => [input, salt].concat(),
        }
    }
}

fn scrypt_params(log_n: u32, r: u32, p: u32) -> Option<scrypt::Params> {
    // `Params::new` multiplies them without a check for overflow.
    r.checked_mul(p)?;
    scrypt::Params::new(log_n.try_into().ok()?, r, p).ok()
}

/// Whether the passes over the memory exceed a limit. `None` stands for an overflow.
fn exceeds_memory_limits(kib: Option<u64>, passes: u32) -> bool {
    kib.is_none_or(|kib| kib > MAX_MEMORY_KIB || kib.saturating_mul(passes.into()) > MAX_KIB_PASSES)
}

/// Returns the values of `a=1,b=2`, if the text has exactly these names in this order.
pub(super) fn fields<'a, const N: usize>(text: &'a str, names: [&str; N]) -> Option<[&'a str; N]> {
    let mut values = [""; N];
    let mut parts = text.split(',');
    for (value, name) in values.iter_mut().zip(names) {
        *value = parts.next()?.strip_prefix(name)?.strip_prefix('=')?;
    }
    parts.next().is_none().then_some(values)
}

/// Parses the number of `name=number`.
fn only_number<T: FromStr>(text: &str, name: &str) -> Option<T> {
    let [value] = fields(text, [name])?;
    number(value)
}

/// Parses a decimal number that consists only of digits.
pub(super) fn number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
