//! The success of a handler.

use super::{
    envelope::{Family, MemberApi, MemberSuccess, PageApi, PageSuccess, UserApi, UserSuccess},
    page::LinkedPage,
    service::{ServiceApi, ServiceSuccess},
};
use crate::{
    ExposeSecret, Secret,
    domain::{code::NewCode, grant::Grant, session::Claims},
    error::Error,
};
use lambda_http::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A success of a function of family `A`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Reply<A: Family> {
    pub(crate) success: A::Success,
    pub(crate) added: AddedFields,
}

/// The fields and headers that a success may have beside the documented ones.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct AddedFields {
    pub(crate) session: Option<RenewedSession>,
    pub(crate) expires_in: Option<u64>,
    pub(crate) resend_in: Option<u64>,
    pub(crate) verification: Verification,
}

impl AddedFields {
    /// Returns the renewed session.
    pub(crate) fn token(&self) -> Option<&str> {
        self.session.as_ref().map(|session| session.token.expose_secret())
    }

    /// Returns the service token that was issued with the session.
    pub(crate) fn service_token(&self) -> Option<&str> {
        self.session.as_ref()?.service_token.as_ref().map(ExposeSecret::expose_secret)
    }
}

/// The session that a success issues or renews.
///
/// Only its claims are serialized, so a stored reply contains no session. A replay issues the session again.
#[derive(Debug, Serialize, Deserialize)]
pub struct RenewedSession {
    pub(crate) claims: Claims,
    #[serde(skip)]
    pub(crate) token: Secret,
    /// The service token beside it, if the deployment issues any.
    #[serde(skip)]
    pub(crate) service_token: Option<Secret>,
}

impl RenewedSession {
    pub(crate) fn without_service_token(self) -> Self {
        Self { service_token: None, ..self }
    }
}

/// The effect on `verification`, in the body and in the cookie of that name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) enum Verification {
    /// It remains unchanged.
    #[default]
    Unchanged,
    /// It is replaced by this token or grant.
    Is(String),
    /// It was consumed.
    Consumed,
}

impl Reply<UserApi> {
    /// Creates a success with this `result`.
    pub fn result(result: impl Into<Value>) -> Self {
        Self { success: UserSuccess(result.into()), added: AddedFields::default() }
    }
}

impl Reply<MemberApi> {
    /// Creates the success of a change, with status 201.
    #[must_use]
    pub fn created() -> Self {
        Self::with_status(StatusCode::CREATED)
    }

    /// Creates the success of a send or a page, with status 200.
    #[must_use]
    pub fn ok() -> Self {
        Self::with_status(StatusCode::OK)
    }

    /// Creates a success whose `data` is this object, with status 200.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be serialized.
    pub fn data(data: &impl Serialize) -> Result<Self, Error> {
        let data = serde_json::to_value(data).map_err(Error::internal)?;
        let success = MemberSuccess { status: StatusCode::OK, data };
        Ok(Self { success, added: AddedFields::default() })
    }

    fn with_status(status: StatusCode) -> Self {
        Self { success: MemberSuccess { status, data: "success".into() }, added: AddedFields::default() }
    }

    /// Adds the HTML page that a browser receives instead of the envelope.
    #[must_use]
    pub fn with_page<P: LinkedPage>(self, page: String) -> Reply<PageApi<P>> {
        Reply { success: PageSuccess { member: self.success, page }, added: self.added }
    }
}

impl Reply<ServiceApi> {
    /// Creates the success of a service function with these fields.
    ///
    /// # Errors
    /// [`Error::Internal`] if they are not a JSON object.
    pub fn service(fields: &impl Serialize) -> Result<Self, Error> {
        Ok(Self { success: ServiceSuccess::new(fields)?, added: AddedFields::default() })
    }

    /// Creates the success of a service function without fields of its own.
    #[must_use]
    pub fn service_done() -> Self {
        Self { success: ServiceSuccess::default(), added: AddedFields::default() }
    }

    /// Adds the lifetime of the session, in seconds.
    #[must_use]
    pub fn with_lifetime(mut self, seconds: u64) -> Self {
        self.added.expires_in = Some(seconds);
        self
    }
}

impl<A: Family> Reply<A> {
    /// Adds the lifetime and the resend cooldown of a code.
    #[must_use]
    pub fn with_expiry(mut self, code: &NewCode) -> Self {
        self.added.expires_in = Some(code.expires_in);
        self.added.resend_in = Some(code.resend_in);
        self
    }

    /// Sets `verification` to the token of a code's flow.
    #[must_use]
    pub fn with_verification(mut self, token: String) -> Self {
        self.added.verification = Verification::Is(token);
        self
    }

    /// Sets `verification` to a grant that is valid for `expires_in` seconds.
    #[must_use]
    pub fn with_grant(mut self, grant: &Grant, expires_in: u64) -> Self {
        self.added.expires_in = Some(expires_in);
        self.with_verification(grant.expose().to_owned())
    }

    /// Removes the cookie, because its token or grant was consumed.
    #[must_use]
    pub fn without_verification(mut self) -> Self {
        self.added.verification = Verification::Consumed;
        self
    }

    /// Adds the member's renewed session, in the body and in the `Authorization` header.
    #[must_use]
    pub fn with_session(mut self, session: impl Into<Option<RenewedSession>>) -> Self {
        self.added.session = session.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, domain::member::MemberId};

    #[test]
    fn serialized_reply_contains_no_session() {
        let claims = Claims {
            member: MemberId(uuid::uuid!("6f1a6e4c-5a0e-4a7a-9a39-1d3a5f0f6c11")),
            credential_version: 4,
            auth_time: Timestamp(1_700_000_000),
            amr: vec!["sms".to_owned()],
        };
        let session = RenewedSession {
            claims: claims.clone(),
            token: "header.claims.signature".into(),
            service_token: Some("header.claims.signature".into()),
        };
        let reply = Reply::created().with_session(session);
        assert_eq!(reply.added.token(), Some("header.claims.signature"));
        assert_eq!(reply.added.service_token(), Some("header.claims.signature"));
        let stored = serde_json::to_string(&reply).unwrap();
        assert!(!stored.contains("signature"), "{stored}");
        let replayed: Reply<MemberApi> = serde_json::from_str(&stored).unwrap();
        let session = replayed.added.session.unwrap();
        assert_eq!((session.claims, session.token.expose_secret()), (claims, ""));
        assert!(session.service_token.is_none());
    }
}
