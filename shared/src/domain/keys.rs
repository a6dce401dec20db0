//! The keys of the secret, and the subkeys that are derived from them for each purpose.
//!
//! The secret is a flat JSON object, so that CloudFormation can generate the first one:
//! `{"current":"first","first":"64 random characters"}`. `current` is the id of the key that signs. Every other text
//! field is a key under its id. Keys that are not current still verify.
//!
//! `publicKeys` contains the public keys of login services that sign sessions elsewhere:
//! `"publicKeys":{"login":{"alg":"EdDSA","pem":"-----BEGIN PUBLIC KEY-----…"}}`.
//!
//! `serviceKeys` contains the private keys of service tokens. The first one signs, and the public halves of all are
//! published: `"serviceKeys":[{"kid":"s1","alg":"ES256","pem":"-----BEGIN PRIVATE KEY-----…"}]`.

use aws_lc_rs::{hkdf, hmac};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey,
    jwk::{Jwk, PublicKeyUse},
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// The longest id of a key, in bytes: the `keyid` of a PHC string (Argon2 reference encoding) has at most 8.
pub const MAX_ID_BYTES: usize = 8;

/// The shortest key, in characters. 32 random characters of an alphabet of 62 have 190 bits of entropy, more than the
/// 128 that NIST SP 800-131A requires of a MAC key.
const MIN_KEY_CHARACTERS: usize = 32;

/// The purpose of a subkey. A subkey does not reveal anything about the subkeys of other purposes.
#[derive(Clone, Copy, Debug)]
pub enum KeyPurpose {
    /// Signs sessions with HS256.
    Session,
    /// Signs `phoneInfo` and `verification`.
    Token,
    /// Computes the MAC that is stored instead of a code.
    Code,
    /// Computes the MAC of a password that is then hashed.
    Pepper,
    /// Encrypts the responses that are stored for retried requests.
    Response,
    /// Computes the MAC that identifies a retried request.
    Request,
    /// Signs the links that report a change.
    Report,
    /// Computes the MAC of the order that a receipt confirms.
    Receipt,
    /// Computes the MAC of a phone or an email address under which failed logins are counted.
    Identifier,
    /// Signs the tokens of devices on which a member logged in.
    Device,
}

impl KeyPurpose {
    /// Returns the `info` of HKDF (RFC 5869, 3.2). Changing a text invalidates everything made with that subkey.
    fn info(self) -> &'static [u8] {
        match self {
            Self::Session => b"account-security session",
            Self::Token => b"account-security token",
            Self::Code => b"account-security code",
            Self::Pepper => b"account-security pepper",
            Self::Response => b"account-security answer",
            Self::Request => b"account-security request",
            Self::Report => b"account-security report",
            Self::Receipt => b"account-security receipt",
            Self::Identifier => b"account-security identifier",
            Self::Device => b"account-security device",
        }
    }
}

/// One key of the secret: its id and the subkeys that were derived from its text.
pub struct Key {
    /// The id, at most [`MAX_ID_BYTES`] long.
    pub id: String,
    session: [u8; 32],
    token: [u8; 32],
    code: [u8; 32],
    pepper: [u8; 32],
    response: [u8; 32],
    request: [u8; 32],
    report: [u8; 32],
    receipt: [u8; 32],
    identifier: [u8; 32],
    device: [u8; 32],
}

impl Key {
    fn derive(id: String, text: &str) -> Result<Self, KeysError> {
        // The salt is optional (RFC 5869, 3.1), and the key is strong enough without one.
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(text.as_bytes());
        let subkey = |purpose: KeyPurpose| {
            let mut bytes = [0; 32];
            let filled =
                prk.expand(&[purpose.info()], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut bytes));
            filled.map(|()| bytes).map_err(|_| KeysError::Derivation)
        };
        let (session, token) = (subkey(KeyPurpose::Session)?, subkey(KeyPurpose::Token)?);
        let (code, pepper) = (subkey(KeyPurpose::Code)?, subkey(KeyPurpose::Pepper)?);
        let (response, request) = (subkey(KeyPurpose::Response)?, subkey(KeyPurpose::Request)?);
        let (report, receipt) = (subkey(KeyPurpose::Report)?, subkey(KeyPurpose::Receipt)?);
        let (identifier, device) = (subkey(KeyPurpose::Identifier)?, subkey(KeyPurpose::Device)?);
        Ok(Self { id, session, token, code, pepper, response, request, report, receipt, identifier, device })
    }

    /// Returns a subkey: HKDF-SHA-256 of the key's text, with an empty salt and the purpose as `info`.
    #[must_use]
    pub fn bytes(&self, purpose: KeyPurpose) -> &[u8; 32] {
        match purpose {
            KeyPurpose::Session => &self.session,
            KeyPurpose::Token => &self.token,
            KeyPurpose::Code => &self.code,
            KeyPurpose::Pepper => &self.pepper,
            KeyPurpose::Response => &self.response,
            KeyPurpose::Request => &self.request,
            KeyPurpose::Report => &self.report,
            KeyPurpose::Receipt => &self.receipt,
            KeyPurpose::Identifier => &self.identifier,
            KeyPurpose::Device => &self.device,
        }
    }

    /// Computes HMAC-SHA-256 of the parts under a subkey. Each part is preceded by its length, so that parts that are
    /// split differently have different MACs.
    #[must_use]
    pub fn mac(&self, purpose: KeyPurpose, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, self.bytes(purpose)));
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut mac = [0; 32];
        mac.copy_from_slice(context.sign().as_ref());
        mac
    }
}

/// A public key of a login service that signs sessions elsewhere.
pub struct PublicKey {
    /// The only algorithm that is accepted with this key.
    pub algorithm: Algorithm,
    /// The key that verifies signatures.
    pub key: DecodingKey,
}

/// A private key that signs service tokens.
pub struct ServiceKey {
    /// The algorithm, `ES256` or `EdDSA`.
    pub algorithm: Algorithm,
    pub(crate) signer: EncodingKey,
    /// The public half (RFC 7517), with the id as `kid`.
    pub jwk: Jwk,
}

/// The longest id of a service key, in bytes.
const MAX_SERVICE_KEY_ID_BYTES: usize = 64;

impl ServiceKey {
    fn parse(ServiceKeyText { kid, alg, pem }: ServiceKeyText) -> Result<Self, KeysError> {
        let is_well_formed = (1..=MAX_SERVICE_KEY_ID_BYTES).contains(&kid.len())
            && kid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !is_well_formed {
            return Err(KeysError::ServiceKeyId);
        }
        let signer = match alg {
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem.as_bytes()),
            _ => return Err(KeysError::ServiceKey(kid)),
        };
        let read = signer.and_then(|signer| Ok((Jwk::from_encoding_key(&signer, alg)?, signer)));
        let Ok((mut jwk, signer)) = read else { return Err(KeysError::ServiceKey(kid)) };
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        jwk.common.key_id = Some(kid);
        Ok(Self { algorithm: alg, signer, jwk })
    }
}

/// The current key, the other keys that still verify, the public keys of login services, and the keys of service tokens.
pub struct Keys {
    current: Key,
    others: BTreeMap<String, Key>,
    public: BTreeMap<String, PublicKey>,
    service: Vec<ServiceKey>,
}

/// The reason why the secret is invalid. It contains nothing of the secret except well-formed ids: a malformed id may
/// be a key in the wrong place.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The secret is not a JSON object of the documented shape.
    #[error("the secret is not a JSON object with `current` and a key of that name")]
    Shape,
    /// An id is empty, longer than [`MAX_ID_BYTES`], or has other characters than `a-z A-Z 0-9 -`.
    #[error("a key's id must have 1 to {MAX_ID_BYTES} characters of a-z, A-Z, 0-9 and -")]
    Id,
    /// A key is too short.
    #[error("the key {0:?} must have at least {MIN_KEY_CHARACTERS} characters")]
    Short(String),
    /// `current` is not the id of a key.
    #[error("`current` is not the id of a key in the secret")]
    Current,
    /// The library cannot derive a subkey.
    #[error("cannot derive a subkey")]
    Derivation,
    /// A public key is not a PEM, or its algorithm is neither `EdDSA` nor ES256.
    #[error("the public key {0:?} is not a PEM of alg EdDSA or ES256")]
    PublicKey(String),
    /// The `kid` of a service key is malformed, or two have the same.
    #[error(
        "the kid of a service key must be unique, with 1 to {MAX_SERVICE_KEY_ID_BYTES} characters of a-z, A-Z, 0-9, - _ and ."
    )]
    ServiceKeyId,
    /// A service key is not a PEM of PKCS#8, or its algorithm is neither `EdDSA` nor ES256.
    #[error("the service key {0:?} is not a PKCS#8 PEM of alg EdDSA or ES256")]
    ServiceKey(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Secret {
    current: String,
    #[serde(default)]
    public_keys: BTreeMap<String, PublicKeyText>,
    #[serde(default)]
    service_keys: Vec<ServiceKeyText>,
    #[serde(flatten)]
    keys: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct PublicKeyText {
    alg: Algorithm,
    pem: String,
}

#[derive(Deserialize)]
struct ServiceKeyText {
    kid: String,
    alg: Algorithm,
    pem: String,
}

impl Keys {
    /// Parses the secret.
    ///
    /// # Errors
    /// Fails with the first [`KeysError`] that is found.
    pub fn parse(secret: &str) -> Result<Self, KeysError> {
        let secret: Secret = serde_json::from_str(secret).map_err(|_| KeysError::Shape)?;
        for (id, text) in &secret.keys {
            let well_formed = (1..=MAX_ID_BYTES).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            if !well_formed {
                return Err(KeysError::Id);
            }
            if text.chars().count() < MIN_KEY_CHARACTERS {
                return Err(KeysError::Short(id.clone()));
            }
        }
        let mut others = secret
            .keys
            .into_iter()
            .map(|(id, text)| Ok((id.clone(), Key::derive(id, &text)?)))
            .collect::<Result<BTreeMap<_, _>, KeysError>>()?;
        let current = others.remove(&secret.current).ok_or(KeysError::Current)?;
        let public_keys = secret
            .public_keys
            .into_iter()
            .map(|(id, text)| {
                let key = match text.alg {
                    Algorithm::EdDSA => DecodingKey::from_ed_pem(text.pem.as_bytes()),
                    Algorithm::ES256 => DecodingKey::from_ec_pem(text.pem.as_bytes()),
                    _ => return Err(KeysError::PublicKey(id)),
                };
                match key {
                    Ok(key) => Ok((id, PublicKey { algorithm: text.alg, key })),
                    Err(_) => Err(KeysError::PublicKey(id)),
                }
            })
            .collect::<Result<_, _>>()?;
        let service: Vec<_> =
            secret.service_keys.into_iter().map(ServiceKey::parse).collect::<Result<_, _>>()?;
        let ids: BTreeSet<_> = service.iter().map(|key| &key.jwk.common.key_id).collect();
        if ids.len() < service.len() {
            return Err(KeysError::ServiceKeyId);
        }
        Ok(Self { current, others, public: public_keys, service })
    }

    /// Returns the key that signs.
    #[must_use]
    pub fn current(&self) -> &Key {
        &self.current
    }

    /// Returns the key with an id, whether it is current or not.
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<&Key> {
        self.all().find(|key| key.id == id)
    }

    /// Returns every key, the current one first. Values that do not carry a key's id are verified against each.
    pub fn all(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(self.others.values())
    }

    /// Returns the public key with an id.
    #[must_use]
    pub fn public(&self, id: &str) -> Option<&PublicKey> {
        self.public.get(id)
    }

    /// Returns the keys of service tokens. The first one signs.
    #[must_use]
    pub fn service(&self) -> &[ServiceKey] {
        &self.service
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.all().map(|key| &key.id).collect();
        f.debug_struct("Keys").field("ids", &ids).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns the keys `old` and `new`, of which `new` is current.
    pub(crate) fn two_keys() -> Keys {
        Keys::parse(&secret("new")).unwrap()
    }

    pub(crate) fn secret(current: &str) -> String {
        format!(r#"{{"current":"{current}","old":"{}","new":"{}"}}"#, "o".repeat(32), "n".repeat(64))
    }

    #[test]
    fn subkey_equals_hkdf_sha256() {
        // Computed with Python: hmac.new(hmac.new(b"\0"*32, b"n"*64, sha256).digest(), info + b"\x01", sha256)
        assert_eq!(two_keys().current().bytes(KeyPurpose::Session), &SESSION_SUBKEY);
    }

    const SESSION_SUBKEY: [u8; 32] = *b"\x5f\x9f\xb5\x53\xb8\x64\x96\xf2\x55\x9c\x46\x37\x1b\x80\x19\x7d\x17\xc4\x0a\xb1\xfe\x81\xce\x40\xae\x7a\xbb\x3b\x55\x08\xa8\xf7";

    #[test]
    fn subkeys_differ_by_purpose_and_id() {
        let keys = two_keys();
        let mut seen = std::collections::HashSet::new();
        for key in keys.all() {
            for purpose in [
                KeyPurpose::Session,
                KeyPurpose::Token,
                KeyPurpose::Code,
                KeyPurpose::Pepper,
                KeyPurpose::Response,
                KeyPurpose::Request,
                KeyPurpose::Report,
                KeyPurpose::Receipt,
                KeyPurpose::Identifier,
                KeyPurpose::Device,
            ] {
                assert!(seen.insert(*key.bytes(purpose)));
            }
        }
    }

    #[test]
    fn mac_depends_on_the_boundaries_of_parts() {
        let keys = two_keys();
        assert_ne!(
            keys.current().mac(KeyPurpose::Code, &[b"12", b"3"]),
            keys.current().mac(KeyPurpose::Code, &[b"1", b"23"])
        );
    }

    #[test]
    fn invalid_secret_is_refused_without_showing_it() {
        let key = "k".repeat(32);
        for (secret, expected) in [
            (
                "hunter2hunter2".to_owned(),
                "the secret is not a JSON object with `current` and a key of that name",
            ),
            (
                format!(r#"{{"k":"{key}"}}"#),
                "the secret is not a JSON object with `current` and a key of that name",
            ),
            (
                format!(r#"{{"current":"{key}","a":"{key}"}}"#),
                "`current` is not the id of a key in the secret",
            ),
            (r#"{"current":"a","a":"hunter2"}"#.to_owned(), "the key \"a\" must have at least 32 characters"),
            (
                format!(r#"{{"current":"a","{key}":"a"}}"#),
                "a key's id must have 1 to 8 characters of a-z, A-Z, 0-9 and -",
            ),
            (
                format!(r#"{{"current":"a","a":"{key}","publicKeys":{{"p":{{"alg":"HS256","pem":"x"}}}}}}"#),
                "the public key \"p\" is not a PEM of alg EdDSA or ES256",
            ),
            (
                format!(
                    r#"{{"current":"a","a":"{key}","serviceKeys":[{{"kid":"s","alg":"ES256","pem":"hunter2"}}]}}"#
                ),
                "the service key \"s\" is not a PKCS#8 PEM of alg EdDSA or ES256",
            ),
            (
                format!(
                    r#"{{"current":"a","a":"{key}","serviceKeys":[{{"kid":"","alg":"ES256","pem":"hunter2"}}]}}"#
                ),
                "the kid of a service key must be unique, with 1 to 64 characters of a-z, A-Z, 0-9, - _ and .",
            ),
        ] {
            let error = Keys::parse(&secret).unwrap_err().to_string();
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn debug_does_not_show_keys() {
        assert_eq!(format!("{:?}", two_keys()), r#"Keys { ids: ["new", "old"], .. }"#);
    }
}
