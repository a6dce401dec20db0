//! Passwords: accepting new ones and verifying typed ones. An attempt is counted before the password is compared.

use crate::{
    app::App,
    clock::Timestamp,
    contact::Destination,
    domain::{
        counter::Counter,
        member::Member,
        password::{self, Password, PasswordHash},
        pay_password,
        proof::{IssuedProof, Reauthenticated, VerifiedPassword, VerifiedPayPassword},
        session::Session,
    },
    error::{Error, Field},
    http::{parameter::Parameter, request::Request},
    metrics,
};
use lambda_http::tracing;

impl App {
    /// Accepts a new login password. Handlers call this first, so that an unacceptable password uses up neither an
    /// attempt nor a code.
    ///
    /// # Errors
    /// [`Error::NotValid`] if it is too short, too long, too common, or one of the member's `contacts`.
    pub fn accept_password(&self, typed: &str, contacts: &[Destination]) -> Result<Password, Error> {
        let contacts: Vec<_> = contacts.iter().flat_map(Destination::spellings).collect();
        self.passwords.accept(typed, &contacts).ok_or(Error::NotValid(Field::NewPassword))
    }

    /// Accepts a new pay password.
    ///
    /// # Errors
    /// [`Error::NotValid`] if it is malformed or easily guessed.
    pub fn accept_pay_password(&self, typed: &str, member: &Member) -> Result<Password, Error> {
        pay_password::accept(typed, member.phone.as_ref()).ok_or(Error::NotValid(Field::PayPassword))
    }

    /// Hashes an accepted password.
    ///
    /// # Errors
    /// [`Error::Internal`] if hashing fails.
    pub fn hash(&self, password: &Password) -> Result<PasswordHash, Error> {
        self.passwords.hash(&self.keys, password)
    }

    /// Hashes a new login password that the request does not prove to differ from the current one. Handlers call this
    /// last: the comparison is a guess at the current password, which must cost an attempt at a code or a grant. One
    /// that has ended allows no guess.
    ///
    /// # Errors
    /// The errors of [`IssuedProof::require_basis`], [`Error::NotValid`] if it equals the current one,
    /// [`Error::Internal`] if hashing fails.
    pub fn hash_unlike_current(
        &self,
        password: &Password,
        member: &Member,
        proof: &impl IssuedProof,
    ) -> Result<PasswordHash, Error> {
        proof.require_basis(member)?;
        self.hash_unlike(password, member.password.as_ref(), Field::NewPassword)
    }

    /// Hashes a new pay password in the same way.
    ///
    /// # Errors
    /// The errors of [`App::hash_unlike_current`].
    pub fn hash_pay_password_unlike_current(
        &self,
        password: &Password,
        member: &Member,
        proof: &impl IssuedProof,
    ) -> Result<PasswordHash, Error> {
        proof.require_basis(member)?;
        self.hash_unlike(password, member.pay_password.as_ref(), Field::PayPassword)
    }

    /// Verifies the member's login password.
    ///
    /// # Errors
    /// [`Error::OldPasswordNotValid`] if it is wrong or the member has none, [`Error::TooManyAttempts`] during a lockout
    /// of the session's login.
    pub async fn verify_password(
        &self,
        session: &Session,
        member: &Member,
        typed: &str,
    ) -> Result<VerifiedPassword, Error> {
        let failures = Counter::of_passwords(
            member.id,
            &session.claims.auth_time.0.to_string(),
            self.settings.password_max_failures,
            self.settings.password_lock_seconds,
        );
        let stored = self.verify(&failures, member.password.as_ref(), typed).await?;
        let rehashed = self.passwords.upgrade(&self.keys, typed, stored)?;
        Ok(VerifiedPassword { credential_version: member.credential_version, failures, rehashed })
    }

    /// Verifies the member's pay password.
    ///
    /// # Errors
    /// [`Error::PayPasswordNotSet`], [`Error::OldPasswordNotValid`] if it is wrong, [`Error::TooManyAttempts`] during a
    /// lockout.
    pub async fn verify_pay_password(
        &self,
        member: &Member,
        typed: &str,
    ) -> Result<VerifiedPayPassword, Error> {
        let stored = member.pay_password.as_ref().ok_or(Error::PayPasswordNotSet)?;
        let failures = self.pay_password_failures(member);
        let hash = self.verify(&failures, Some(stored), &pay_password::typed(typed)).await?.clone();
        Ok(VerifiedPayPassword { hash, failures })
    }

    /// Returns the reauthentication of a request: its login `password` or, without one, a recent login. [`Change`] decides
    /// what a change requires or delays without it.
    ///
    /// [`Change`]: crate::domain::change::Change
    ///
    /// # Errors
    /// The errors of [`App::verify_password`], if a password was sent.
    pub async fn reauthentication(
        &self,
        session: &Session,
        member: &Member,
        request: &Request,
    ) -> Result<Option<Reauthenticated>, Error> {
        if let Some(password) = request.optional(Parameter::Password) {
            let rehashed = self.confirm_password(session, member, password).await?;
            return Ok(Some(Reauthenticated::ByPassword { rehashed }));
        }
        let recent = session.claims.is_recent_login(Timestamp::now(), self.settings.reauthentication_seconds);
        Ok(recent.then_some(Reauthenticated::ByLogin))
    }

    /// Verifies the member's login password where it is not the proof of a change, and ends its row of failures at once:
    /// it was right, even if the rest of the request is refused. Returns a hash under the current settings if the stored
    /// one is outdated.
    ///
    /// # Errors
    /// The errors of [`App::verify_password`].
    pub async fn confirm_password(
        &self,
        session: &Session,
        member: &Member,
        typed: &str,
    ) -> Result<Option<PasswordHash>, Error> {
        let verified = self.verify_password(session, member, typed).await?;
        self.store.reset(&verified.failures).await?;
        Ok(verified.rehashed)
    }

    /// Returns the counter of consecutive wrong pay passwords, whose lockout lasts `PAY_PASSWORD_LOCK_SECONDS`.
    #[must_use]
    pub fn pay_password_failures(&self, member: &Member) -> Counter {
        Counter::of_pay_passwords(
            member.id,
            self.settings.pay_password_max_failures,
            self.settings.pay_password_lock_seconds,
        )
    }

    fn hash_unlike(
        &self,
        password: &Password,
        current: Option<&PasswordHash>,
        field: Field,
    ) -> Result<PasswordHash, Error> {
        match current.map(|current| password.matches(&self.keys, current)) {
            Some(Ok(true)) => return Err(Error::NotValid(field)),
            // A corrupt hash must not keep the member from replacing it.
            Some(Err(cause)) => {
                tracing::warn!(%cause, "the new password was not compared with the current one");
            }
            Some(Ok(false)) | None => (),
        }
        self.hash(password)
    }

    async fn verify<'a>(
        &self,
        failures: &Counter,
        stored: Option<&'a PasswordHash>,
        typed: &str,
    ) -> Result<&'a PasswordHash, Error> {
        let left = self.store.count(failures).await?;
        match stored {
            Some(stored) if password::verify(&self.keys, typed, stored)? => Ok(stored),
            Some(_) | None => {
                metrics::wrong_attempt(left);
                Err(Error::OldPasswordNotValid { attempts_left: left })
            }
        }
    }
}
