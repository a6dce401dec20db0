//! Runs a request once: a repetition under the same `Idempotency-Key` receives the stored response.

use crate::{
    ExposeSecret,
    app::App,
    clock::Timestamp,
    domain::{
        idempotency::{IdempotentRequest, SealedResponse, parse_key},
        session,
    },
    error::Error,
    http::{envelope::Api, parameter::Parameter, reply::Reply, request::Request},
    store::idempotency::Claim,
};
use lambda_http::tracing;
use std::time::Duration;

/// How often a repetition polls for the response while the first request is in progress: for four seconds in all,
/// in which every request ends that meets no fault.
const POLLS: u32 = 40;
const POLL_INTERVAL: Duration = Duration::from_millis(100);

impl App {
    /// Reads a request's idempotency key. Returns `None` without one, and for an invalid session, which the handler
    /// refuses.
    ///
    /// # Errors
    /// [`Error::NotValid`] for a malformed key.
    pub(crate) fn idempotent_request(
        &self,
        request: &Request,
        key: Option<&str>,
        function: &str,
        until: Timestamp,
    ) -> Result<Option<IdempotentRequest>, Error> {
        let Some(key) = key.map(parse_key).transpose()? else { return Ok(None) };
        let Some(caller) = self.idempotency_caller(request) else { return Ok(None) };
        let content = format!("{function}\0{}", request.parameters.canonical());
        Ok(Some(IdempotentRequest::new(&caller, key, content.into(), until)?))
    }

    /// Identifies the caller, since the keys of different callers are independent. A caller with neither session nor
    /// `verification` is identified by source address, so that no one receives another's response by guessing a key.
    fn idempotency_caller(&self, request: &Request) -> Option<String> {
        if let Some(token) = &request.session_token {
            let claims = session::verify(&self.keys, &self.settings, token.expose_secret()).ok()?;
            return Some(format!("member#{}", claims.member));
        }
        let verification = request.optional(Parameter::Verification);
        Some(verification.map_or_else(
            || format!("source#{}", request.origin.source()),
            |verification| format!("verification#{verification}"),
        ))
    }

    /// Runs the handler, or returns the stored response to the same request.
    pub(crate) async fn run_once<A, H, F>(
        &'static self,
        request: Request,
        handler: H,
    ) -> Result<Reply<A>, Error>
    where
        A: Api,
        H: Fn(&'static App, Request) -> F,
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
                // The change was committed, and DynamoDB's response to that was lost.
                Some(sealed) => self.opened(&idempotent, &sealed).unwrap_or(response),
                None => response,
            },
            Ok(_) | Err(_) => {
                let sealed = idempotent.seal(&self.keys, serialized(response.as_ref())?)?;
                if let Err(error) = self.store.complete(&sealed).await {
                    // The effect of the request is not undone by this.
                    tracing::warn!(cause = %error, "a response could not be stored for repetitions");
                }
                response
            }
        }
    }

    /// Claims a request for this process, or returns the response if it is completed.
    async fn claim<A: Api>(
        &self,
        idempotent: &IdempotentRequest,
    ) -> Result<Option<Result<Reply<A>, Error>>, Error> {
        for _ in 0..POLLS {
            match self.store.claim(idempotent, idempotent.fingerprint(&self.keys)).await? {
                Claim::Acquired => return Ok(None),
                Claim::Claimed { fingerprint, .. } if !idempotent.matches(&self.keys, &fingerprint) => {
                    return Err(Error::IdempotencyKeyReused);
                }
                Claim::Claimed { response: Some(sealed), .. } => {
                    let removed = || Error::internal("a response was stored under a key that was removed");
                    return self.opened(idempotent, &sealed).ok_or_else(removed).map(Some);
                }
                Claim::Claimed { response: None, .. } => tokio::time::sleep(POLL_INTERVAL).await,
            }
        }
        Err(Error::Busy("the same request is still in progress".into()))
    }

    fn opened<A: Api>(
        &self,
        idempotent: &IdempotentRequest,
        sealed: &str,
    ) -> Option<Result<Reply<A>, Error>> {
        serde_json::from_slice(&idempotent.open(&self.keys, sealed)?).ok()
    }

    /// Encrypts the reply to an idempotent request, for the transaction that commits its change.
    pub(super) fn sealed<'a, A: Api>(
        &self,
        request: &'a Request,
        reply: &Reply<A>,
    ) -> Result<Option<SealedResponse<'a>>, Error> {
        let Some(idempotent) = &request.idempotent else { return Ok(None) };
        idempotent.seal(&self.keys, serialized(Ok(reply))?).map(Some)
    }
}

fn serialized<A: Api>(response: Result<&Reply<A>, &Error>) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(&response).map_err(Error::internal)
}
