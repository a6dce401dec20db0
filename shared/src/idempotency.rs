//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a request that says which one it is can be
//! repeated when its answer was lost. The repetition gets the same answer and has no second effect.
//!
//! The answer to a change is kept in the transaction that makes it. Answers hold sessions and grants, so
//! they are kept under AES-256-GCM.

use crate::{
    ExposeSecret, Secret,
    app::App,
    clock::Timestamp,
    error::Error,
    keys::{Key, Keys, Use},
    parameter::{Field, Parameter},
    random,
    reply::Reply,
    request::Request,
    session,
    store::idempotency::Begun,
};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    constant_time, digest,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use lambda_http::tracing;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// The longest key, in bytes: seven times a UUID, which the draft recommends (2.2).
pub const MAX_KEY_BYTES: usize = 255;

/// How often a repetition looks whether the request itself, still under way, has its answer: for four seconds
/// in all, in which every request ends that meets no fault.
const LOOKS: u32 = 40;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A request that says which one it is, as this process holds it.
#[derive(Debug)]
pub struct Once {
    /// SHA-256 over who asks and the key, in base64url.
    pub(crate) id: String,
    /// Tells this process from others that hold the same.
    pub(crate) holder: String,
    /// When this process is over, so that another may begin anew.
    pub(crate) until: Timestamp,
    /// What is asked: the function and its parameters.
    asked: Secret,
    /// Whether the answer is kept.
    answered: AtomicBool,
}

impl Once {
    /// What the request says by its header, if anything. One whose session is not good is refused anyway.
    ///
    /// # Errors
    /// [`Error::NotValid`] for a key that is none.
    pub(crate) fn of(
        app: &App,
        request: &Request,
        key: Option<&str>,
        function: &str,
        until: Timestamp,
    ) -> Result<Option<Self>, Error> {
        let Some(key) = key else { return Ok(None) };
        // The draft's syntax is a quoted string; most clients leave the quotes out.
        let key = key.trim().trim_matches('"');
        if !(1..=MAX_KEY_BYTES).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::NotValid(Field::IdempotencyKey));
        }
        let Some(caller) = caller(app, request) else { return Ok(None) };
        let mut hash = digest::Context::new(&digest::SHA256);
        for part in [caller.as_str(), "\0", key] {
            hash.update(part.as_bytes());
        }
        Ok(Some(Self {
            id: URL_SAFE_NO_PAD.encode(hash.finish()),
            holder: random::uuid()?.to_string(),
            until,
            asked: format!("{function}\0{}", request.parameters.canonical()).into(),
            answered: AtomicBool::new(false),
        }))
    }

    /// A MAC of what is asked, under the current key, with that key's id: parameters are passwords and codes.
    pub(crate) fn fingerprint(&self, keys: &Keys) -> String {
        self.fingerprint_under(keys.current())
    }

    /// Whether a fingerprint that is kept is of what is asked here.
    pub(crate) fn asks(&self, keys: &Keys, kept: &str) -> bool {
        let under = kept.split_once('.').and_then(|(id, _)| keys.by_id(id));
        under.is_some_and(|key| {
            let own = self.fingerprint_under(key);
            constant_time::verify_slices_are_equal(own.as_bytes(), kept.as_bytes()).is_ok()
        })
    }

    fn fingerprint_under(&self, key: &Key) -> String {
        let mac = key.mac(Use::Request, &[self.asked.expose_secret().as_bytes()]);
        format!("{}.{}", key.id, URL_SAFE_NO_PAD.encode(mac))
    }

    fn seal(&self, keys: &Keys, answer: Result<&Reply, &Error>) -> Result<Sealed<'_>, Error> {
        let key = keys.current();
        let mut sealed = serde_json::to_vec(&answer).map_err(Error::internal)?;
        let cipher = cipher(key)?;
        let nonce = cipher.seal_in_place_append_tag(Aad::from(&self.id), &mut sealed);
        let nonce = nonce.map_err(|_| Error::internal("an answer could not be sealed"))?;
        let whole = [nonce.as_ref().as_slice(), &sealed].concat();
        Ok(Sealed { once: self, text: format!("{}.{}", key.id, URL_SAFE_NO_PAD.encode(whole)) })
    }

    fn open(&self, keys: &Keys, kept: &str) -> Option<Result<Reply, Error>> {
        let (id, sealed) = kept.split_once('.')?;
        let cipher = cipher(keys.by_id(id)?).ok()?;
        let mut sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let answer = cipher.open_in_place(nonce, Aad::from(&self.id), sealed).ok()?;
        serde_json::from_slice(answer).ok()
    }
}

/// The answer to a request that says which it is, as it is kept.
pub(crate) struct Sealed<'a> {
    /// The request.
    pub(crate) once: &'a Once,
    /// `<key id>.<nonce, ciphertext and tag in base64url>`.
    pub(crate) text: String,
}

impl Sealed<'_> {
    /// Notes that the answer is kept.
    pub(crate) fn kept(&self) {
        self.once.answered.store(true, Ordering::Relaxed);
    }
}

fn cipher(key: &Key) -> Result<RandomizedNonceKey, Error> {
    // Nonces are random: NIST SP 800-38D, 8.3 allows 2^32 of them under one key.
    RandomizedNonceKey::new(&AES_256_GCM, key.bytes(Use::Answer))
        .map_err(|_| Error::internal("a key cannot seal answers"))
}

/// Who asks: keys of different callers have nothing to do with one another. Whoever can show neither session
/// nor `verification` is known by the source address, so that nobody gets another's answer by guessing a key.
fn caller(app: &App, request: &Request) -> Option<String> {
    if let Some(token) = &request.session_token {
        let claims = session::verify(&app.keys, &app.settings, token.expose_secret()).ok()?;
        return Some(format!("member#{}", claims.member));
    }
    let verification = request.optional(Parameter::Verification);
    Some(verification.map_or_else(
        || format!("source#{}", request.origin.source()),
        |verification| format!("verification#{verification}"),
    ))
}

impl App {
    /// Answers a request: by the handler, or, where it repeats one that says which it is, as that one was
    /// answered.
    pub(crate) async fn once<H, F>(&'static self, request: Request, handler: H) -> Result<Reply, Error>
    where
        H: Fn(&'static App, Request) -> F,
        F: Future<Output = Result<Reply, Error>>,
    {
        let Some(once) = request.once.clone() else { return self.handle(request, handler).await };
        if let Some(answer) = self.begin(&once).await? {
            return answer;
        }
        let answer = self.handle(request, handler).await;
        match &answer {
            _ if once.answered.load(Ordering::Relaxed) => answer,
            Err(error) if !error.is_final() => match self.store.give_up(&once).await? {
                // The transaction of the change had happened, and its answer was lost on the way back.
                Some(kept) => once.open(&self.keys, &kept).unwrap_or(answer),
                None => answer,
            },
            Ok(_) | Err(_) => {
                let sealed = once.seal(&self.keys, answer.as_ref())?;
                if let Err(error) = self.store.keep_answer(&sealed).await {
                    // What it tells of has happened all the same.
                    tracing::warn!(cause = %error, "an answer was not kept for its repetition");
                }
                answer
            }
        }
    }

    /// Begins, or answers what was answered already.
    async fn begin(&self, once: &Once) -> Result<Option<Result<Reply, Error>>, Error> {
        for _ in 0..LOOKS {
            match self.store.begin(&self.keys, once).await? {
                Begun::Here => return Ok(None),
                Begun::Answered(kept) => {
                    let retired = || Error::internal("an answer was kept under a key that is retired");
                    return once.open(&self.keys, &kept).ok_or_else(retired).map(Some);
                }
                Begun::Elsewhere => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
        Err(Error::Busy("the same request is still under way".into()))
    }

    /// The reply to a request that says which it is, for the transaction that makes its change.
    pub(crate) fn sealed<'a>(
        &self,
        request: &'a Request,
        reply: &Reply,
    ) -> Result<Option<Sealed<'a>>, Error> {
        request.once.as_ref().map(|once| once.seal(&self.keys, Ok(reply))).transpose()
    }
}
