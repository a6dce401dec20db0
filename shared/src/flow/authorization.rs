//! The check of a session for the team's other APIs.

use crate::{
    app::Authorizer,
    domain::session::{self, SignedSession},
    error::Error,
};

impl Authorizer {
    /// Checks a session as every endpoint does, and requires that its member exists.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] if it is invalid, or the credentials changed since it was issued; [`Error::Busy`],
    /// [`Error::Internal`].
    pub async fn authorize(&self, token: &str) -> Result<SignedSession, Error> {
        let session = session::verify_signed(&self.keys, &self.settings, token)?;
        let version = self.store.credential_version(session.claims.member).await?;
        if version == Some(session.claims.credential_version) {
            Ok(session)
        } else {
            Err(Error::InvalidToken)
        }
    }
}
