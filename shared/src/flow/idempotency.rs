//! Idempotent requests: a replay with the same `Idempotency-Key` receives the stored response.

use crate::{
    ExposeSecret,
    app::App,
    clock::Timestamp,
    domain::{
        idempotency::{Caller, IdempotentRequest, SealedResponse, parse_key},
        session,
    },
    error::Error,
    http::{
        envelope::Family,
        reply::{RenewedSession, Reply},
        request::Request,
    },
    store::idempotency::Claim,
};
use lambda_http::tracing;
use std::time::Duration;

/// How many times a replay polls for the response of a request that is in progress. Together with the interval this
/// is four seconds, in which a request ends unless the store or a provider fails.
const POLLS: u32 = 40;
const POLL_INTERVAL: Duration = Duration::from_millis(100);

impl App {
    /// Returns the idempotent request if a key was sent. Returns `None` as well if the session is invalid, because
    /// the handler refuses such a request, and for an anonymous request without `verification`, because nothing
    /// distinguishes its sender from another client with the same key.
    ///
    /// # Errors
    /// [`Error::NotValid`] if the key is malformed.
    pub(crate) fn idempotent_request(
        &self,
        request: &Request,
        key: Option<&str>,
        function: &str,
        until: Timestamp,
    ) -> Result<Option<IdempotentRequest>, Error> {
        let Some(key) = key.map(parse_key).transpose()? else { return Ok(None) };
        let Some(caller) = self.idempotency_caller(request) else { return Ok(None) };
        let content = format!("{function}\0{}", request.canonical().expose_secret());
        Ok(Some(IdempotentRequest::new(caller, key, content.into(), until)?))
    }

    /// Returns the caller, to whom idempotency keys are scoped: the session or, without one, the `verification`. Both
    /// are secret, so guessing a key does not yield another caller's response.
    fn idempotency_caller(&self, request: &Request) -> Option<Caller> {
        match &request.session_token {
            Some(token) => {
                let claims = session::verify(&self.keys, &self.settings, token.expose_secret());
                claims.ok().map(Caller::Session)
            }
            None => request.verification().map(|verification| Caller::Verification(verification.into())),
        }
    }

    /// Runs the handler, or returns the response that is stored for the same request.
    pub(crate) async fn run_once<A, H, F>(
        &'static self,
        request: Request,
        handler: H,
    ) -> Result<Reply<A>, Error>
    where
        A: Family,
        H: FnOnce(&'static App, Request) -> F,
        F: Future<Output = Result<Reply<A>, Error>>,
    {
        let Some(idempotent) = request.idempotent.clone() else { return handler(self, request).await };
        if let Some(response) = self.claim(&idempotent).await? {
            return response;
        }
        let response = handler(self, request).await;
        match &response {
            _ if idempotent.is_completed() => response,
            Err(error) if !error.is_permanent() => match self.store.release(&idempotent).await? {
                // The change was committed, but DynamoDB's response was lost.
                Some(sealed) => self.open(&idempotent, &sealed).unwrap_or(response),
                None => response,
            },
            Ok(_) | Err(_) => {
                let sealed = idempotent.seal(&self.keys, serialize(response.as_ref())?)?;
                if let Err(error) = self.store.complete(&sealed).await {
                    // The request took effect, so this does not fail it.
                    tracing::warn!(cause = %error, "a response could not be stored for repetitions");
                }
                response
            }
        }
    }

    /// Claims a request for this process, or returns the response if another process completed it.
    ///
    /// # Errors
    /// [`Error::IdempotencyKeyReused`] if the key was used for another request, [`Error::TooManyAttempts`] if it was
    /// reused too often, [`Error::Busy`] if the other process is still running after the last poll.
    async fn claim<A: Family>(
        &self,
        idempotent: &IdempotentRequest,
    ) -> Result<Option<Result<Reply<A>, Error>>, Error> {
        let mut is_compared = false;
        for _ in 0..POLLS {
            let claim = self.store.claim(idempotent, idempotent.fingerprint(&self.keys)).await?;
            if let Claim::Claimed { fingerprint, .. } = &claim
                && !is_compared
            {
                let own = idempotent.fingerprint_like(&self.keys, fingerprint);
                self.store.compare(idempotent, &own).await?;
                is_compared = true;
            }
            match claim {
                Claim::Acquired => return Ok(None),
                // The key was claimed again since the comparison.
                Claim::Claimed { fingerprint, .. } if !idempotent.matches(&self.keys, &fingerprint) => {
                    return Err(Error::IdempotencyKeyReused);
                }
                Claim::Claimed { response: Some(sealed), .. } => {
                    let unreadable = || Error::internal("a stored response uses a removed key");
                    return self.open(idempotent, &sealed).ok_or_else(unreadable).map(Some);
                }
                Claim::Claimed { response: None, .. } => tokio::time::sleep(POLL_INTERVAL).await,
            }
        }
        Err(Error::Busy("the same request is still in progress".into()))
    }

    /// Decrypts a stored response. Returns `None` if its key was removed.
    fn open<A: Family>(
        &self,
        idempotent: &IdempotentRequest,
        sealed: &str,
    ) -> Option<Result<Reply<A>, Error>> {
        let stored: Result<Reply<A>, Error> =
            serde_json::from_slice(&idempotent.open(&self.keys, sealed)?).ok()?;
        Some(stored.and_then(|reply| self.with_session_of(idempotent, reply)))
    }

    /// Issues the session of a stored reply again, for the caller that repeats the request, with the stored credential
    /// version. That does not revive a revoked session. A service gets the session that was issued then, which ended if
    /// it was revoked. For a session:
    ///
    /// - The repeating session has the claims of the first one, version included, or it would be another caller.
    /// - If the request did not raise the version, the stored one is that of the repeating session. If that session was
    ///   revoked, so is the new one.
    /// - If the request raised the version, it set the login password, and the repeating client sent that password too,
    ///   or the fingerprints would differ. A later revocation raises the version again, and ends the new session.
    ///
    /// A replay has no service token: it would be valid whatever ended the session since.
    fn with_session_of<A: Family>(
        &self,
        idempotent: &IdempotentRequest,
        mut reply: Reply<A>,
    ) -> Result<Reply<A>, Error> {
        let claims = reply.added.session.take().and_then(|stored| idempotent.replayed(stored.claims));
        let session = claims.map(|claims| self.issue_session(claims)).transpose()?;
        Ok(reply.with_session(session.map(RenewedSession::without_service_token)))
    }

    /// Encrypts the reply to an idempotent request, so that the transaction of its change can store it.
    pub(super) fn seal<'a, A: Family>(
        &self,
        request: &'a Request,
        reply: &Reply<A>,
    ) -> Result<Option<SealedResponse<'a>>, Error> {
        self.seal_response(request, Ok(reply))
    }

    /// Encrypts the refusal of an idempotent request whose transaction consumes its proof nevertheless.
    pub(super) fn seal_refusal<'a, A: Family>(
        &self,
        request: &'a Request,
        refusal: &Error,
    ) -> Result<Option<SealedResponse<'a>>, Error> {
        self.seal_response::<A>(request, Err(refusal))
    }

    fn seal_response<'a, A: Family>(
        &self,
        request: &'a Request,
        response: Result<&Reply<A>, &Error>,
    ) -> Result<Option<SealedResponse<'a>>, Error> {
        let Some(idempotent) = &request.idempotent else { return Ok(None) };
        idempotent.seal(&self.keys, serialize(response)?).map(Some)
    }
}

fn serialize<A: Family>(response: Result<&Reply<A>, &Error>) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(&response).map_err(Error::internal)
}
