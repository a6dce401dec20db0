//! The transaction of a login.

use super::{Store, change::Conflict, transaction::Transaction};
use crate::{
    domain::{
        audit::{Origin, Use},
        idempotency::SealedResponse,
        log_in::{LogInFailures, LogInProof},
        session::Claims,
    },
    error::Error,
};

/// The refusal of a login whose items other requests write at the same time. Only logins of one member, or from one
/// source address, do.
const CONTENDED: Error = Error::TooManyAttempts { retry_after: 1 };

impl Store {
    /// Commits a login with these claims: consumes its proof and records it, with the sealed response to an idempotent
    /// request.
    ///
    /// # Errors
    /// The sessions of the member ended since the member was read: [`Error::Busy`] with a [`Conflict`] for a password, which
    /// must be compared again, [`Error::CodeNotValid`] for a code, as if it had been consumed.
    /// [`Error::TooManyAttempts`] if logins contend, [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn commit_log_in(
        &self,
        claims: &Claims,
        proof: LogInProof<'_>,
        origin: &Origin,
        sealed: Option<&SealedResponse<'_>>,
    ) -> Result<(), Error> {
        let mut transaction = self.transaction();
        transaction.complete(sealed)?;
        let (member, version) = (claims.member, claims.credential_version);
        match proof {
            LogInProof::Password(failures) => {
                transaction.require_version(member, version, |_| Error::Busy(Conflict.into()))?;
                transaction.end(failures)?;
            }
            LogInProof::Code(code) => {
                let ended = |_| Error::CodeNotValid { attempts_left: 0 };
                transaction.consume_code(code, Some(member))?;
                transaction.require_version(member, version, ended)?;
            }
        }
        transaction.record(member, Use::LoggedIn, origin)?;
        self.commit_own(transaction, CONTENDED).await?;
        sealed.inspect(|sealed| sealed.mark_completed());
        Ok(())
    }

    /// Ends the row of failures of a login whose password was right, and which is refused nevertheless.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`] if logins contend, [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn end_failures(&self, failures: &LogInFailures) -> Result<(), Error> {
        let mut transaction = self.transaction();
        transaction.end(failures)?;
        self.commit_own(transaction, CONTENDED).await
    }
}

impl Transaction {
    /// Ends the row of failures of a login whose password was right, and takes it out of the other counts.
    fn end(&mut self, failures: &LogInFailures) -> Result<(), Error> {
        self.reset(&failures.row)?;
        self.take_back(&failures.day)?;
        self.take_back(&failures.source)
    }
}
