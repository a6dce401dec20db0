//! Parsers for the hashes of other systems.

use super::{
    prefixed,
    scheme::{Digest, Function, ImportHashError, Order, Preprocess, Scheme, fields, number},
};
use base64::{
    Engine,
    alphabet::{BCRYPT, STANDARD},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Accepts Base64 with or without padding.
const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, ANY_PADDING);
/// Accepts any trailing bits, because some systems do not set those that bcrypt's Base64 leaves unused to zero.
const BCRYPT_BASE64: GeneralPurpose =
    GeneralPurpose::new(&BCRYPT, ANY_PADDING.with_decode_allow_trailing_bits(true));

/// The digits of crypt's Base64 and numbers, in order of their value.
const CRYPT64: &str = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The length of bcrypt's salt in characters.
const BCRYPT_SALT: usize = 22;

/// The format of a hash whose text does not identify it, such as a row of hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashFormat<'a> {
    /// MD5 of the password and a salt, in hex.
    Md5(Salt<'a>),
    /// SHA-256 of the password and a salt, in hex.
    Sha256(Salt<'a>),
    /// `salt:key` of better-auth, both in hex: scrypt with the parameters of better-auth 1.
    BetterAuth,
}

/// The salt of a hash that was stored beside it, and its position in the hashed text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Salt<'a> {
    /// The hash has no salt.
    None,
    /// The salt precedes the password.
    Before(&'a str),
    /// The salt follows the password.
    After(&'a str),
}

/// Why the name of a form and a salt are not those of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashFormatError {
    /// No form has this name.
    #[error("unknown form")]
    Unknown,
    /// The form takes a salt, which is absent.
    #[error("missing")]
    MissingSalt,
    /// There is a salt that the form would ignore.
    #[error("the form takes no salt")]
    UnusedSalt,
    /// The salt was read in another encoding than its own.
    #[error("contains a replacement character, so the salt is lost")]
    LostSalt,
}

impl HashFormatError {
    /// Returns whether the salt is at fault, and not the name of the form.
    #[must_use]
    pub fn is_of_salt(self) -> bool {
        self != Self::Unknown
    }
}

impl<'a> HashFormat<'a> {
    /// Parses the name of a form, such as `md5-salt-after`, and the salt that was stored beside the hash. Without a name
    /// the hash has to identify its own format.
    ///
    /// # Errors
    /// [`HashFormatError`], also if there is a salt that the form would ignore.
    pub fn parse(form: Option<&str>, salt: Option<&'a str>) -> Result<Option<Self>, HashFormatError> {
        if salt.is_some_and(|salt| salt.contains(char::REPLACEMENT_CHARACTER)) {
            return Err(HashFormatError::LostSalt);
        }
        let required = || salt.ok_or(HashFormatError::MissingSalt);
        let format = match form {
            Some("md5-salt-before") => return Ok(Some(Self::Md5(Salt::Before(required()?)))),
            Some("md5-salt-after") => return Ok(Some(Self::Md5(Salt::After(required()?)))),
            Some("sha256-salt-before") => return Ok(Some(Self::Sha256(Salt::Before(required()?)))),
            Some("sha256-salt-after") => return Ok(Some(Self::Sha256(Salt::After(required()?)))),
            Some("md5") => Some(Self::Md5(Salt::None)),
            Some("sha256") => Some(Self::Sha256(Salt::None)),
            Some("better-auth") => Some(Self::BetterAuth),
            Some(_) => return Err(HashFormatError::Unknown),
            None => None,
        };
        if salt.is_some() { Err(HashFormatError::UnusedSalt) } else { Ok(format) }
    }
}

/// A parsed hash: its preprocessing, function, salt and digest.
pub(super) struct Parsed(pub(super) Preprocess, pub(super) Function, pub(super) Vec<u8>, pub(super) Vec<u8>);

/// Parses a hash of another system.
pub(in super::super) fn parse(text: &str, format: Option<HashFormat<'_>>) -> Result<Digest, ImportHashError> {
    let parsed = match (format, prefixed::split(text)) {
        (None, Some((scheme, hash))) => Some(prefixed::parse(scheme, hash)?),
        (None, None) => self_identifying(text),
        (Some(HashFormat::Md5(salt)), _) => hex_digits(text, Function::Md5, salt),
        (Some(HashFormat::Sha256(salt)), _) => hex_digits(text, Function::Sha256, salt),
        (Some(HashFormat::BetterAuth), _) => better_auth(text),
    };
    let Parsed(preprocess, function, salt, bytes) = parsed.ok_or(ImportHashError::Unknown)?;
    Ok(Digest { scheme: Scheme::new(preprocess, function, salt, bytes.len())?, bytes })
}

fn self_identifying(text: &str) -> Option<Parsed> {
    if text.starts_with('{') {
        keycloak(text)
    } else if let Some(text) = text.strip_prefix('$') {
        crypt(text)
    } else {
        django(text)
    }
}

/// Parses a hash of crypt or a PHC string, after its first `$`.
pub(super) fn crypt(text: &str) -> Option<Parsed> {
    let (name, rest) = text.split_once('$')?;
    match name {
        "2a" | "2b" | "2y" => bcrypt(text, Preprocess::Typed),
        "wp" => bcrypt(rest, Preprocess::WpSha384),
        "P" => phpass(rest, Preprocess::Trimmed),
        "H" => phpass(rest, Preprocess::Typed),
        "7" => scrypt_crypt(rest),
        "argon2d" | "argon2i" | "argon2id" => argon2(name, rest),
        "scrypt" | "pbkdf2-sha256" | "pbkdf2-sha512" => phc(name, rest),
        _ => None,
    }
}

/// Parses Django's `algorithm$…`.
fn django(text: &str) -> Option<Parsed> {
    let (name, rest) = text.split_once('$')?;
    match name {
        "bcrypt" => bcrypt(rest.strip_prefix('$')?, Preprocess::Typed),
        "bcrypt_sha256" => bcrypt(rest.strip_prefix('$')?, Preprocess::Sha256Hex),
        "argon2" => {
            let (name, rest) = rest.split_once('$')?;
            argon2(name, rest)
        }
        "pbkdf2_sha256" => {
            let [iterations, salt, digest] = parts(rest)?;
            let function = Function::parse("pbkdf2-sha256", &format!("i={iterations}"))?;
            Some(Parsed(Preprocess::Typed, function, salt.into(), base64(digest)?))
        }
        "scrypt" => {
            let [n, salt, r, p, digest] = parts(rest)?;
            let n = number::<u64>(n).filter(|n| n.is_power_of_two())?;
            let function = Function::Scrypt { log_n: n.ilog2(), r: number(r)?, p: number(p)? };
            Some(Parsed(Preprocess::Typed, function, salt.into(), base64(digest)?))
        }
        "md5" => {
            let [salt, digest] = parts(rest)?;
            hex_digits(digest, Function::Md5, Salt::Before(salt))
        }
        _ => None,
    }
}

/// Parses `2b$12$` with the salt and the digest in bcrypt's Base64. A correct implementation computes the same for
/// `2a`, `2b` and `2y`. `2x` marks hashes of a faulty implementation and is refused.
pub(super) fn bcrypt(text: &str, preprocess: Preprocess) -> Option<Parsed> {
    let [version, cost, rest] = parts(text)?;
    let known = matches!(version, "2a" | "2b" | "2y") && cost.len() == 2;
    let (salt, digest) = rest.split_at_checked(BCRYPT_SALT).filter(|_| known)?;
    let bytes = |text| BCRYPT_BASE64.decode(text).ok();
    Some(Parsed(preprocess, Function::Bcrypt { cost: number(cost)? }, bytes(salt)?, bytes(digest)?))
}

/// Parses a hash of phpass: log2 of the rounds, 8 characters of salt, and the digest.
fn phpass(text: &str, preprocess: Preprocess) -> Option<Parsed> {
    let (log_rounds, rest) = text.split_at_checked(1)?;
    let (salt, digest) = rest.split_at_checked(8)?;
    let function = Function::Phpass { log_rounds: crypt64_number(log_rounds)? };
    Some(Parsed(preprocess, function, salt.into(), crypt64(digest)?))
}

/// Parses crypt's `$7$`: log2 of N, r and p as crypt's numbers, the salt as text, and the digest.
fn scrypt_crypt(text: &str) -> Option<Parsed> {
    let (setting, digest) = text.split_once('$')?;
    let (log_n, rest) = setting.split_at_checked(1)?;
    let (r, rest) = rest.split_at_checked(5)?;
    let (p, salt) = rest.split_at_checked(5)?;
    let function =
        Function::Scrypt { log_n: crypt64_number(log_n)?, r: crypt64_number(r)?, p: crypt64_number(p)? };
    Some(Parsed(Preprocess::Typed, function, salt.into(), crypt64(digest)?))
}

/// Parses a PHC string of Argon2, after its name. A string without a version has version 0x10, which predates that
/// field. Other parameters are refused: a hash with the `keyid` of another system's secret cannot be verified.
pub(super) fn argon2(name: &str, text: &str) -> Option<Parsed> {
    let (version, text) = if text.starts_with("v=") { text.split_once('$')? } else { ("v=16", text) };
    let [parameters, salt, digest] = parts(text)?;
    let function = Function::parse(name, &format!("{version},{parameters}"))?;
    matches!(function, Function::Argon2 { .. }).then_some(Parsed(
        Preprocess::Typed,
        function,
        base64(salt)?,
        base64(digest)?,
    ))
}

/// Parses a PHC string of scrypt or PBKDF2, after its name. passlib writes only the iterations of PBKDF2, without a
/// name.
pub(super) fn phc(name: &str, text: &str) -> Option<Parsed> {
    let [parameters, salt, digest] = parts(text)?;
    let digest = base64(digest)?;
    let function = match fields(parameters, ["i", "l"]) {
        Some([iterations, length]) if number::<usize>(length)? == digest.len() => {
            Function::parse(name, &format!("i={iterations}"))
        }
        Some(_) => None,
        None if parameters.contains('=') => Function::parse(name, parameters),
        None => Function::parse(name, &format!("i={parameters}")),
    }?;
    Some(Parsed(Preprocess::Typed, function, base64(salt)?, digest))
}

/// Parses a credential from Keycloak's export or table: JSON that contains JSON as text.
fn keycloak(text: &str) -> Option<Parsed> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Credential {
        secret_data: String,
        credential_data: String,
    }
    #[derive(Deserialize)]
    struct Secret {
        value: String,
        salt: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Costs {
        algorithm: String,
        hash_iterations: u32,
        #[serde(default)]
        additional_parameters: BTreeMap<String, Vec<String>>,
    }
    let Credential { secret_data, credential_data } = serde_json::from_str(text).ok()?;
    let Secret { value, salt } = serde_json::from_str(&secret_data).ok()?;
    let Costs { algorithm, hash_iterations, additional_parameters } =
        serde_json::from_str(&credential_data).ok()?;
    let parameter = |name: &str| additional_parameters.get(name)?.first().map(String::as_str);
    let function = match &*algorithm {
        "pbkdf2-sha256" | "pbkdf2-sha512" => Function::parse(&algorithm, &format!("i={hash_iterations}")),
        "argon2" => {
            let version = match parameter("version") {
                Some("1.3") | None => 0x13,
                Some("1.0") => 0x10,
                Some(_) => return None,
            };
            let (kind, memory, lanes) = (parameter("type")?, parameter("memory")?, parameter("parallelism")?);
            let parameters = format!("v={version},m={memory},t={hash_iterations},p={lanes}");
            Function::parse(&format!("argon2{kind}"), &parameters)
        }
        _ => None,
    }?;
    Some(Parsed(Preprocess::Typed, function, base64(&salt)?, base64(&value)?))
}

/// Parses better-auth's `salt:key`. scrypt takes the hex digits of the salt as text, not its bytes.
fn better_auth(text: &str) -> Option<Parsed> {
    let (salt, key) = text.split_once(':')?;
    let (salt_bytes, key) = (hex::decode(salt).ok()?, hex::decode(key).ok()?);
    // better-auth 1: N=16384, r=16, p=1 and a key of 64 bytes.
    let function = Function::Scrypt { log_n: 14, r: 16, p: 1 };
    (salt_bytes.len() == 16 && key.len() == 64).then(|| Parsed(Preprocess::Nfkc, function, salt.into(), key))
}

fn hex_digits(text: &str, function: fn(Order) -> Function, salt: Salt<'_>) -> Option<Parsed> {
    let (order, salt) = match salt {
        Salt::None => (Order::Before, ""),
        Salt::Before(salt) => (Order::Before, salt),
        Salt::After(salt) => (Order::After, salt),
    };
    Some(Parsed(Preprocess::Typed, function(order), salt.into(), hex::decode(text).ok()?))
}

/// Splits a text at each `$`. Returns `None` unless it has exactly `N` parts.
pub(super) fn parts<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.split('$').collect::<Vec<_>>().try_into().ok()
}

/// Decodes Base64. passlib writes `.` for `+`.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.replace('.', "+")).ok()
}

/// Decodes crypt's Base64, in which the first digit has the lowest bits.
fn crypt64(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut value, mut bytes) = (0, 0u32, Vec::new());
    for digit in text.chars() {
        value |= crypt64_digit(digit)? << bits;
        bits += 6;
        if bits >= 8 {
            let [byte, ..] = value.to_le_bytes();
            bytes.push(byte);
            value >>= 8;
            bits -= 8;
        }
    }
    (value == 0 && bits < 6).then_some(bytes)
}

/// Parses a number of up to 5 of crypt's digits, the lowest first.
fn crypt64_number(text: &str) -> Option<u32> {
    text.chars().rev().try_fold(0, |number, digit| Some(number << 6 | crypt64_digit(digit)?))
}

fn crypt64_digit(digit: char) -> Option<u32> {
    CRYPT64.find(digit)?.try_into().ok()
}
