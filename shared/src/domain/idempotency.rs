//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a client that lost a response repeats its request
//! with the same key. It receives the stored response, and the request has no second effect.
//!
//! Responses contain sessions and grants, so they are encrypted with AES-256-GCM.

use crate::{
    ExposeSecret, Secret,
    clock::Timestamp,
    domain::keys::{Key, KeyPurpose, Keys},
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

/// A request with an idempotency key, as claimed by this process.
#[derive(Debug)]
pub struct IdempotentRequest {
    /// SHA-256 over the caller and the key, in base64url.
    pub(crate) id: String,
    /// Identifies this process among those that receive the same request.
    pub(crate) holder: String,
    /// The end of this invocation. Afterwards another process may claim the request.
    pub(crate) until: Timestamp,
    /// The function and its parameters.
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
        caller: &str,
        key: &str,
        content: Secret,
        until: Timestamp,
    ) -> Result<Self, random::RandomError> {
        let mut hash = digest::Context::new(&digest::SHA256);
        for part in [caller, "\0", key] {
            hash.update(part.as_bytes());
        }
        Ok(Self {
            id: URL_SAFE_NO_PAD.encode(hash.finish()),
            holder: random::uuid()?.to_string(),
            until,
            content,
            completed: AtomicBool::new(false),
        })
    }

    /// Returns a MAC of the content under the current key, with that key's id. A plain hash would disclose the
    /// content, which includes passwords and codes.
    pub(crate) fn fingerprint(&self, keys: &Keys) -> String {
        self.fingerprint_under(keys.current())
    }

    /// Returns whether a stored fingerprint matches this request's content.
    pub(crate) fn matches(&self, keys: &Keys, fingerprint: &str) -> bool {
        let key = fingerprint.split_once('.').and_then(|(id, _)| keys.by_id(id));
        key.is_some_and(|key| {
            let own = self.fingerprint_under(key);
            constant_time::verify_slices_are_equal(own.as_bytes(), fingerprint.as_bytes()).is_ok()
        })
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
