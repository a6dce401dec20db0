//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a client that lost a response repeats its request
//! with the same key. It receives the stored response, and the request has no second effect.
//!
//! Responses contain tokens and grants, so they are encrypted with AES-256-GCM. They never contain a session.

use crate::{
    ExposeSecret, Secret,
    clock::Timestamp,
    domain::{
        keys::{Key, KeyPurpose, Keys},
        session::Claims,
    },
    error::{Error, Field},
    random,
};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    constant_time, digest,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::sync::atomic::{AtomicBool, Ordering};

/// The longest key, in bytes: seven times a UUID, which the draft recommends (2.2).
pub const MAX_KEY_BYTES: usize = 255;

/// How many requests may differ from the first one under their key. A mismatch discloses that a parameter was guessed
/// wrong, and a match that it was right, so the guesses at a pay password or a code must be few. A client that keeps
/// its keys apart causes no mismatch at all.
pub(crate) const MAX_MISMATCHES: u32 = 5;

/// Parses the value of the header. The draft's syntax is a quoted string; most clients omit the quotes.
///
/// # Errors
/// [`Error::NotValid`] unless the key is 1 to [`MAX_KEY_BYTES`] printable ASCII characters.
pub(crate) fn parse_key(header: &str) -> Result<&str, Error> {
    let key = header.trim().trim_matches('"');
    if (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(key)
    } else {
        Err(Error::NotValid(Field::IdempotencyKey))
    }
}

/// The client to whom an idempotency key belongs. The keys of different callers are independent.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// The holder of a session with these claims. Sessions of another login or of other credentials of the same member
    /// are another caller: a revoked session never receives the response to a live one, nor an old login that to a
    /// recent one.
    Session(Claims),
    /// The holder of this `verification`, in a request without a session.
    Verification(Secret),
    /// The services that may invoke this function. IAM authenticates them; the event does not identify which one sent it.
    Service(String),
}

impl Caller {
    /// Returns a text that differs for different callers.
    fn id(&self) -> String {
        match self {
            Self::Session(Claims { member, credential_version, auth_time, amr }) => {
                format!("session#{member}#{credential_version}#{}#{}", auth_time.0, amr.join(","))
            }
            Self::Verification(verification) => format!("verification#{}", verification.expose_secret()),
            Self::Service(function) => format!("service#{function}"),
        }
    }
}

/// A request with an idempotency key, as claimed by this process.
#[derive(Debug)]
pub struct IdempotentRequest {
    /// SHA-256 over the caller and the key, in base64url.
    pub(crate) id: String,
    /// Identifies this process among those that receive the same request.
    pub(crate) holder: String,
    /// The end of this invocation. Afterwards another process may claim the request.
    pub(crate) until: Timestamp,
    /// The caller.
    caller: Caller,
    /// The function and every input of its handler except the session.
    content: Secret,
    /// Whether the response is stored.
    completed: AtomicBool,
}

impl IdempotentRequest {
    /// Identifies a request by its caller and key. A repetition must have the same `content`.
    ///
    /// # Errors
    /// [`random::RandomError`] if the random source fails.
    pub(crate) fn new(
        caller: Caller,
        key: &str,
        content: Secret,
        until: Timestamp,
    ) -> Result<Self, random::RandomError> {
        let mut hash = digest::Context::new(&digest::SHA256);
        for part in [&caller.id(), "\0", key] {
            hash.update(part.as_bytes());
        }
        Ok(Self {
            id: URL_SAFE_NO_PAD.encode(hash.finish()),
            holder: random::uuid()?.to_string(),
            until,
            caller,
            content,
            completed: AtomicBool::new(false),
        })
    }

    /// Returns the claims of the session that a replay issues, given those of the session in the stored response.
    ///
    /// - For a session, the member and the login are those of the repeating session, so a replay neither changes the
    ///   member nor makes a login recent. The credential version is the stored one, because the client that lost the
    ///   response to a change of the login password needs a session that is valid after it.
    /// - For a service, they are those of the stored session, which the service logged the member in for.
    pub(crate) fn replayed(&self, stored: Claims) -> Option<Claims> {
        match &self.caller {
            Caller::Session(claims) => {
                Some(Claims { credential_version: stored.credential_version, ..claims.clone() })
            }
            Caller::Service(_) => Some(stored),
            Caller::Verification(_) => None,
        }
    }

    /// Returns a MAC of the content under the current key, with that key's id. A plain hash would disclose the
    /// content, which includes passwords and codes.
    pub(crate) fn fingerprint(&self, keys: &Keys) -> String {
        self.fingerprint_under(keys.current())
    }

    /// Returns a MAC of the content that is comparable to a stored fingerprint: under the same key, unless that key was
    /// removed. In that case they differ.
    pub(crate) fn fingerprint_like(&self, keys: &Keys, stored: &str) -> String {
        let key = stored.split_once('.').and_then(|(id, _)| keys.by_id(id));
        self.fingerprint_under(key.unwrap_or_else(|| keys.current()))
    }

    /// Returns whether a stored fingerprint matches this request's content.
    pub(crate) fn matches(&self, keys: &Keys, stored: &str) -> bool {
        let own = self.fingerprint_like(keys, stored);
        constant_time::verify_slices_are_equal(own.as_bytes(), stored.as_bytes()).is_ok()
    }

    fn fingerprint_under(&self, key: &Key) -> String {
        let mac = key.mac(KeyPurpose::Request, &[self.content.expose_secret().as_bytes()]);
        format!("{}.{}", key.id, URL_SAFE_NO_PAD.encode(mac))
    }

    /// Encrypts a response under the current key.
    ///
    /// # Errors
    /// [`Error::Internal`] if encryption fails.
    pub(crate) fn seal(&self, keys: &Keys, mut response: Vec<u8>) -> Result<SealedResponse<'_>, Error> {
        let key = keys.current();
        let nonce = cipher(key)?
            .seal_in_place_append_tag(Aad::from(&self.id), &mut response)
            .map_err(|_| Error::internal("a response could not be encrypted"))?;
        let sealed = [nonce.as_ref().as_slice(), &response].concat();
        Ok(SealedResponse { request: self, text: format!("{}.{}", key.id, URL_SAFE_NO_PAD.encode(sealed)) })
    }

    /// Decrypts the response to the same request. Returns `None` if it is malformed or its key was removed.
    pub(crate) fn open(&self, keys: &Keys, sealed: &str) -> Option<Vec<u8>> {
        let (id, sealed) = sealed.split_once('.')?;
        let cipher = cipher(keys.by_id(id)?).ok()?;
        let mut sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        cipher.open_in_place(nonce, Aad::from(&self.id), sealed).ok().map(|response| response.to_vec())
    }

    /// Returns whether the response is stored.
    pub(crate) fn is_completed(&self) -> bool {
        self.completed.load(Ordering::Relaxed)
    }
}

/// The encrypted response to a request, as stored.
pub(crate) struct SealedResponse<'a> {
    /// The request that the response belongs to.
    pub(crate) request: &'a IdempotentRequest,
    /// `<key id>.<nonce, ciphertext and tag in base64url>`.
    pub(crate) text: String,
}

impl SealedResponse<'_> {
    /// Records that the response is stored.
    pub(crate) fn mark_completed(&self) {
        self.request.completed.store(true, Ordering::Relaxed);
    }
}

fn cipher(key: &Key) -> Result<RandomizedNonceKey, Error> {
    // The nonces are random, so one key may encrypt 2^32 responses (NIST SP 800-38D, 8.3).
    RandomizedNonceKey::new(&AES_256_GCM, key.bytes(KeyPurpose::Response))
        .map_err(|_| Error::internal("a key cannot encrypt responses"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        keys::tests::{secret, two_keys},
        member::MemberId,
    };

    fn claims() -> Claims {
        let member = MemberId(uuid::uuid!("6f1a6e4c-5a0e-4a7a-9a39-1d3a5f0f6c11"));
        let amr = vec!["pwd".to_owned()];
        Claims { member, credential_version: 3, auth_time: Timestamp(1_700_000_000), amr }
    }

    fn request(caller: Caller, content: &str) -> IdempotentRequest {
        IdempotentRequest::new(caller, "key", content.into(), Timestamp(0)).unwrap()
    }

    #[test]
    fn callers_differ_in_every_claim() {
        let other_member = MemberId(uuid::uuid!("6f1a6e4c-5a0e-4a7a-9a39-1d3a5f0f6c12"));
        let callers = [
            Caller::Session(claims()),
            Caller::Session(Claims { member: other_member, ..claims() }),
            Caller::Session(Claims { credential_version: 4, ..claims() }),
            Caller::Session(Claims { auth_time: Timestamp(1_700_000_001), ..claims() }),
            Caller::Session(Claims { amr: vec!["sms".to_owned()], ..claims() }),
            Caller::Service("log-in".to_owned()),
            Caller::Service("spend-receipt".to_owned()),
            Caller::Verification("a".into()),
            Caller::Verification("b".into()),
        ];
        let ids = callers.map(|caller| request(caller, "content").id);
        for (n, id) in ids.iter().enumerate() {
            assert!(!ids[..n].contains(id), "{n}");
        }
        assert_eq!(request(Caller::Session(claims()), "other").id, ids[0]);
    }

    #[test]
    fn replay_keeps_the_login_of_its_caller() {
        let stored = Claims { credential_version: 4, auth_time: Timestamp(1_800_000_000), ..claims() };
        let replayed = |caller: Caller| request(caller, "content").replayed(stored.clone());
        let of_session = Claims { credential_version: 4, ..claims() };
        assert_eq!(replayed(Caller::Session(claims())), Some(of_session));
        assert_eq!(replayed(Caller::Service("log-in".to_owned())), Some(stored.clone()));
        assert_eq!(replayed(Caller::Verification("a".into())), None);
    }

    #[test]
    fn fingerprint_matches_after_a_key_rotation() {
        let (before, after) = (Keys::parse(&secret("old")).unwrap(), two_keys());
        let stored = request(Caller::Session(claims()), "content").fingerprint(&before);
        assert!(request(Caller::Session(claims()), "content").matches(&after, &stored));
        assert!(!request(Caller::Session(claims()), "other").matches(&after, &stored));
        let removed = format!("removed.{}", stored.split_once('.').unwrap().1);
        assert!(!request(Caller::Session(claims()), "content").matches(&after, &removed));
    }
}
