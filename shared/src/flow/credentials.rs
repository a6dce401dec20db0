//! Passwords: accepting new ones and verifying typed ones. An attempt is counted before the password is compared.

use crate::{
    app::App,
    clock::Timestamp,
    contact::Destination,
    domain::{
        counter::{Counter, PayPasswordFailures},
        member::Member,
        password::{self, Password, PasswordHash},
        pay_password,
        proof::{IssuedProof, Reauthenticated, VerifiedPassword, VerifiedPayPassword},
        session::Session,
    },
    error::{Error, Field},
    http::{parameter::Parameter, request::Request},
    metrics,
    store::StoredHash,
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
        let left = self.store.count(&failures).await?;
        let stored = self.compare(member.password.as_ref(), typed, left)?;
        let rehashed = self.passwords.upgrade(&self.keys, typed, stored)?;
        Ok(VerifiedPassword { credential_version: member.credential_version, failures, rehashed })
    }

    /// Verifies the member's pay password. The wrong attempt that locks it notifies the member.
    ///
    /// # Errors
    /// [`Error::PayPasswordNotSet`], [`Error::OldPasswordNotValid`] if it is wrong, [`Error::TooManyAttempts`] during a
    /// lockout.
    pub async fn verify_pay_password(
        &self,
        member: &Member,
        typed: &str,
        request: &Request,
    ) -> Result<VerifiedPayPassword, Error> {
        let stored = member.require_pay_password()?;
        let failures = self.pay_password_failures(member);
        let (left_in_row, left_in_day) = self.count_pay_password(&failures).await?;
        let left = left_in_row.min(left_in_day);
        match self.compare(Some(stored), &pay_password::typed(typed), left) {
            Ok(stored) => Ok(VerifiedPayPassword { hash: stored.clone(), failures }),
            Err(wrong @ Error::OldPasswordNotValid { attempts_left: 0 }) => {
                let reached = if left_in_row == 0 { &failures.row } else { &failures.day };
                self.lock_pay_password(member, reached, request).await;
                Err(wrong)
            }
            Err(error) => Err(error),
        }
    }

    /// Counts an attempt at a pay password, and returns how many are left in the row and in the day. The counts follow one
    /// another, because attempts that the row refuses must not use up the day. One that the day refuses is not compared,
    /// and so is taken out of the row again.
    async fn count_pay_password(&self, failures: &PayPasswordFailures) -> Result<(u32, u32), Error> {
        let left_in_row = self.store.count(&failures.row).await?;
        let left_in_day = match self.store.count(&failures.day).await {
            Err(refused @ Error::TooManyAttempts { .. }) => {
                self.store.take_back(&failures.row).await?;
                return Err(refused);
            }
            counted => counted?,
        };
        Ok((left_in_row, left_in_day))
    }

    /// Records that a pay password is locked, and notifies the member. A failure is only logged, because the lockout holds
    /// without it.
    async fn lock_pay_password(&self, member: &Member, reached: &Counter, request: &Request) {
        let language = request.notice_language(member);
        match self.store.lock_pay_password(member, reached, &request.origin, language).await {
            Ok(true) => metrics::pay_password_locked(),
            Ok(false) => (),
            Err(error) => tracing::error!(cause = %error, "a lockout was not notified"),
        }
    }

    /// Replaces the hash of a pay password that has just matched, if it is outdated. A failure is only logged: the pay
    /// password was right, and its next use tries again.
    pub async fn upgrade_pay_password(&self, member: &Member, typed: &str, verified: &VerifiedPayPassword) {
        let typed = pay_password::typed(typed);
        let upgraded = match self.passwords.upgrade(&self.keys, &typed, &verified.hash) {
            Ok(Some(hash)) => {
                let stored = StoredHash::PayPassword(&verified.hash);
                self.store.replace_hash(member.id, stored, &hash).await
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = upgraded {
            tracing::warn!(cause = %error, "an outdated hash of a pay password was not replaced");
        }
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

    /// Returns the counters of wrong pay passwords: of those in a row, whose lockout lasts `PAY_PASSWORD_LOCK_SECONDS`, and
    /// of those in a day.
    #[must_use]
    pub fn pay_password_failures(&self, member: &Member) -> PayPasswordFailures {
        let settings = &self.settings;
        PayPasswordFailures {
            row: Counter::of_pay_passwords(
                member.id,
                settings.pay_password_max_failures,
                settings.pay_password_lock_seconds,
            ),
            day: Counter::of_pay_passwords_in_a_day(member.id, settings.pay_password_failures_per_day),
        }
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

    /// Compares a password after its attempt was counted, which left `left` more.
    fn compare<'a>(
        &self,
        stored: Option<&'a PasswordHash>,
        typed: &str,
        left: u32,
    ) -> Result<&'a PasswordHash, Error> {
        match stored {
            Some(stored) if password::verify(&self.keys, typed, stored)? => Ok(stored),
            Some(_) | None => {
                metrics::wrong_attempt(left);
                Err(Error::OldPasswordNotValid { attempts_left: left })
            }
        }
    }
}
