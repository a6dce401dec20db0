//! How other systems make a digest of a password.

use crate::{Secret, error::Error};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::{Engine, prelude::BASE64_STANDARD};
use md5::{Digest as _, Md5};
use secrecy::ExposeSecret;
use std::{fmt, num::NonZeroU32, ops::RangeInclusive, str::FromStr};
use unicode_normalization::UnicodeNormalization;

/// The largest memory that is taken, in KiB: a function that hashes has 1769 MB, and may be given less.
const MAX_MEMORY_KIB: u64 = 512 * 1024;

/// Passes over a KiB of memory. As all of these limits it stands for 2 to 4 of a function's 10 seconds.
const MAX_KIB_PASSES: u64 = 2 * 1024 * 1024;

/// bcrypt's cost: each step doubles the time. 4 to 31 are defined.
const BCRYPT_COSTS: RangeInclusive<u32> = 4..=31;
const MAX_BCRYPT_COST: u32 = 15;

/// HMACs of a PBKDF2.
const MAX_PBKDF2_HMACS: u64 = 5_000_000;

/// log2 of phpass' rounds. 7 to 30 are defined.
const PHPASS_ROUNDS: RangeInclusive<u32> = 7..=30;
const MAX_PHPASS_ROUNDS: u32 = 18;

/// Bytes of a digest: what is shorter is found by chance, what is longer no password hash.
const DIGEST_BYTES: RangeInclusive<usize> = 16..=64;
const BCRYPT_BYTES: usize = 23;

/// Bytes of a salt.
const MAX_SALT_BYTES: usize = 256;

/// bcrypt reads no more of a password, its closing zero included.
const BCRYPT_INPUT_BYTES: usize = 72;

/// What PHP's `trim` takes off.
const PHP_SPACE: [char; 6] = [' ', '\t', '\n', '\r', '\0', '\x0b'];

/// Why a hash was not taken. Shows nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum ImportHashError {
    /// It has none of the forms that are known, and none is guessed.
    #[error("it is no password hash of a known form")]
    Unknown,
    /// A function would run out of its memory or its time over it.
    #[error("it costs more to verify than a function has")]
    TooCostly,
    /// It could not be wrapped.
    #[error("it could not be wrapped: {0}")]
    Failed(Error),
}

/// How another system makes a digest of a password: of what of it, by which function, with which salt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scheme {
    pub(super) input: Preprocess,
    pub(super) function: Function,
    pub(super) salt: Vec<u8>,
    pub(super) length: usize,
}

/// A digest with the recipe that it was made by: what the text of another system says.
pub(in crate::domain::password) struct Digest {
    pub(super) scheme: Scheme,
    pub(super) bytes: Vec<u8>,
}

/// What of a password goes into the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preprocess {
    /// Its bytes, as they were typed.
    Typed,
    /// Its NFKC form: better-auth.
    Nfkc,
    /// Without white space around it: phpass in `WordPress`.
    Trimmed,
    /// Its SHA-256 in hex: Django.
    Sha256Hex,
    /// Base64 of its HMAC-SHA-384 under the key `wp-sha384`, trimmed before: `WordPress` since 6.8.
    WpSha384,
}

/// A function with its parameters.
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

/// The hash of a PBKDF2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sha2 {
    Sha256,
    Sha512,
}

/// Where a salt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Before,
    After,
}

impl Scheme {
    /// A recipe that a function can follow.
    pub(super) fn new(
        input: Preprocess,
        function: Function,
        salt: Vec<u8>,
        length: usize,
    ) -> Result<Self, ImportHashError> {
        if !function.takes(&salt, length) {
            return Err(ImportHashError::Unknown);
        }
        if function.is_too_costly(length) {
            return Err(ImportHashError::TooCostly);
        }
        Ok(Self { input, function, salt, length })
    }

    /// Whether a digest is made so quickly that it is no protection.
    pub(super) fn is_quick(&self) -> bool {
        matches!(self.function, Function::Phpass { .. } | Function::Md5(_) | Function::Sha256(_))
    }

    /// The digest of what was typed.
    pub(super) fn digest(&self, typed: &str) -> Result<Vec<u8>, Error> {
        let input = self.input.of(typed);
        self.function.digest(input.expose_secret().as_bytes(), &self.salt, self.length)
    }
}

impl Preprocess {
    const ALL: [Self; 5] = [Self::Typed, Self::Nfkc, Self::Trimmed, Self::Sha256Hex, Self::WpSha384];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Typed => "typed",
            Self::Nfkc => "nfkc",
            Self::Trimmed => "trimmed",
            Self::Sha256Hex => "sha256-hex",
            Self::WpSha384 => "wp-sha384",
        }
    }

    pub(super) fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|input| input.name() == name)
    }

    fn of(self, typed: &str) -> Secret {
        let trimmed = typed.trim_matches(PHP_SPACE);
        match self {
            Self::Typed => typed.to_owned(),
            Self::Nfkc => typed.nfkc().collect(),
            Self::Trimmed => trimmed.to_owned(),
            Self::Sha256Hex => hex::encode(digest::digest(&digest::SHA256, typed.as_bytes())),
            Self::WpSha384 => {
                let key = hmac::Key::new(hmac::HMAC_SHA384, b"wp-sha384");
                BASE64_STANDARD.encode(hmac::sign(&key, trimmed.as_bytes()))
            }
        }
        .into()
    }
}

impl Function {
    /// Reads the name and the parameters that [`fmt::Display`] writes.
    pub(super) fn read(name: &str, parameters: &str) -> Option<Self> {
        Some(match name {
            "bcrypt" => Self::Bcrypt { cost: one(parameters, "c")? },
            "pbkdf2-sha256" => Self::Pbkdf2 { sha: Sha2::Sha256, iterations: one(parameters, "i")? },
            "pbkdf2-sha512" => Self::Pbkdf2 { sha: Sha2::Sha512, iterations: one(parameters, "i")? },
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
            "phpass" => Self::Phpass { log_rounds: one(parameters, "ln")? },
            "md5" => Self::Md5(Order::read(parameters)?),
            "sha256" => Self::Sha256(Order::read(parameters)?),
            _ => return None,
        })
    }

    /// Whether the function is defined for its parameters, a salt and a digest of that length.
    fn takes(&self, salt: &[u8], length: usize) -> bool {
        let defined = match *self {
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
        // A length that no system has is that of a text which was cut.
        let whole = matches!(*self, Self::Bcrypt { .. }) || length.is_multiple_of(4);
        defined && whole && DIGEST_BYTES.contains(&length) && salt.len() <= MAX_SALT_BYTES
    }

    /// Whether a function would run out of its memory, or its 10 seconds, over one digest and a hash of ours.
    fn is_too_costly(&self, length: usize) -> bool {
        match *self {
            Self::Bcrypt { cost } => cost > MAX_BCRYPT_COST,
            Self::Pbkdf2 { sha, iterations } => {
                let blocks = length.div_ceil(sha.bytes()) as u64;
                u64::from(iterations.get()) * blocks > MAX_PBKDF2_HMACS
            }
            Self::Scrypt { log_n, r, p } => {
                // N blocks of 128 r bytes are written and then read, p times.
                let kib =
                    1u64.checked_shl(log_n).and_then(|n| n.checked_mul(r.into())).map(|blocks| blocks / 8);
                is_too_much(kib, p.saturating_mul(2))
            }
            Self::Argon2 { memory_kib, passes, .. } => is_too_much(Some(memory_kib.into()), passes),
            Self::Phpass { log_rounds } => log_rounds > MAX_PHPASS_ROUNDS,
            Self::Md5(_) | Self::Sha256(_) => false,
        }
    }

    fn digest(&self, input: &[u8], salt: &[u8], length: usize) -> Result<Vec<u8>, Error> {
        let mut digest = vec![0; length];
        match *self {
            Self::Bcrypt { cost } => {
                let closed = input.iter().copied().chain([0]).take(BCRYPT_INPUT_BYTES).collect::<Vec<_>>();
                let salt = salt.try_into().map_err(Error::internal)?;
                digest = bcrypt::bcrypt(cost, salt, &closed).to_vec();
                digest.truncate(length);
            }
            Self::Pbkdf2 { sha, iterations } => {
                pbkdf2::derive(sha.algorithm(), iterations, salt, input, &mut digest);
            }
            Self::Scrypt { log_n, r, p } => {
                let params =
                    scrypt_params(log_n, r, p).ok_or_else(|| Error::internal("scrypt's parameters"))?;
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

    fn read(parameters: &str) -> Option<Self> {
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
    // `Params::new` multiplies them unchecked.
    r.checked_mul(p)?;
    scrypt::Params::new(log_n.try_into().ok()?, r, p).ok()
}

/// Whether so many passes over so much memory are too much. `None` is more than can be counted.
fn is_too_much(kib: Option<u64>, passes: u32) -> bool {
    kib.is_none_or(|kib| kib > MAX_MEMORY_KIB || kib.saturating_mul(passes.into()) > MAX_KIB_PASSES)
}

/// The values of `a=1,b=2`, if it has these names in this order and no other.
pub(super) fn fields<'a, const N: usize>(text: &'a str, names: [&str; N]) -> Option<[&'a str; N]> {
    let mut values = [""; N];
    let mut parts = text.split(',');
    for (value, name) in values.iter_mut().zip(names) {
        *value = parts.next()?.strip_prefix(name)?.strip_prefix('=')?;
    }
    parts.next().is_none().then_some(values)
}

fn one<T: FromStr>(text: &str, name: &str) -> Option<T> {
    let [value] = fields(text, [name])?;
    number(value)
}

/// A decimal number, of digits alone.
pub(super) fn number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
