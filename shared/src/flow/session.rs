//! Sessions: authenticating a request, and renewing its session in the reply.

use crate::{
    ExposeSecret,
    app::App,
    clock::Timestamp,
    domain::{
        change::Change,
        member::MemberId,
        service_token,
        session::{self, Claims, Session},
    },
    error::Error,
    http::{reply::RenewedSession, request::Request},
};

impl App {
    /// Authenticates the session of a request, and reads its member.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] if the session is missing or invalid, or the credentials changed since it was issued.
    pub async fn authenticate(&self, request: &Request) -> Result<Session, Error> {
        let token = request.session_token.as_ref().ok_or(Error::InvalidToken)?;
        self.authenticate_token(token.expose_secret()).await
    }

    /// Authenticates a session that a service function received as a field.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] if it is invalid, or the credentials changed since it was issued.
    pub async fn authenticate_token(&self, token: &str) -> Result<Session, Error> {
        let claims = session::verify(&self.keys, &self.settings, token)?;
        let member = self.store.member(claims.member).await?;
        match &member {
            Some(member) if member.credential_version != claims.credential_version => {
                Err(Error::InvalidToken)
            }
            _ => Ok(Session { claims, member }),
        }
    }

    /// Authenticates the session of a request in which it is optional.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] if an invalid session was sent.
    pub async fn authenticate_if_sent(&self, request: &Request) -> Result<Option<Session>, Error> {
        match &request.session_token {
            Some(_) => self.authenticate(request).await.map(Some),
            None => Ok(None),
        }
    }

    /// Renews a session.
    ///
    /// # Errors
    /// [`Error::UserNotFound`] if the member was closed, [`Error::Internal`] if signing fails.
    pub fn renew(&self, session: &Session) -> Result<RenewedSession, Error> {
        session.member()?;
        self.reissue(&session.claims, session.claims.credential_version)
    }

    /// Renews an optional session, if it was sent.
    ///
    /// # Errors
    /// The errors of [`App::renew`].
    pub fn renew_if_sent(&self, session: Option<&Session>) -> Result<Option<RenewedSession>, Error> {
        session.map(|session| self.renew(session)).transpose()
    }

    /// Renews a session so that it remains valid after a change. A change of the login password raises the credential
    /// version, which ends every other session.
    ///
    /// # Errors
    /// [`Error::Internal`] if signing fails.
    pub fn renew_after(&self, session: &Session, change: &Change) -> Result<RenewedSession, Error> {
        self.reissue(&session.claims, change.credential_version())
    }

    /// Issues the session that replaces one with these claims. The time of the login remains theirs.
    ///
    /// # Errors
    /// [`Error::Internal`] if signing fails.
    pub(super) fn reissue(&self, claims: &Claims, credential_version: u64) -> Result<RenewedSession, Error> {
        self.issue_session(Claims { credential_version, ..claims.clone() })
    }

    /// Issues a session with these claims, and the service token beside it if the secret has a service key.
    ///
    /// # Errors
    /// [`Error::Internal`] if signing fails.
    pub fn issue_session(&self, claims: Claims) -> Result<RenewedSession, Error> {
        let token = session::sign(&self.keys, &self.settings, &claims)?.into();
        let service_token = service_token::issue(&self.keys, &self.settings, &claims)?;
        Ok(RenewedSession { claims, token, service_token })
    }

    /// Issues a session for a member who logged in with the password at `auth_time`.
    ///
    /// # Errors
    /// [`Error::Internal`] if signing fails.
    pub fn issue(
        &self,
        member: MemberId,
        credential_version: u64,
        auth_time: Timestamp,
    ) -> Result<String, Error> {
        session::issue(&self.keys, &self.settings, member, credential_version, auth_time)
    }
}
