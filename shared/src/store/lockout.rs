//! The lockout of a pay password: its audit record and its notices.

use super::{Item, Store};
use crate::{
    domain::{
        audit::{Origin, Use},
        counter::Counter,
        member::Member,
        notice::Notice,
    },
    error::Error,
    language::Language,
};

/// The lockout has ended, or its notices are already queued.
#[derive(Debug, thiserror::Error)]
#[error("the lockout has ended or was notified before")]
struct Notified;

impl Store {
    /// Records that wrong pay passwords reached the limit of a counter, and queues a notice to every address of the member.
    /// Returns `false` if that was done before in the same lockout, or a right pay password has ended it.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn lock_pay_password(
        &self,
        member: &Member,
        reached: &Counter,
        origin: &Origin,
        language: Language,
    ) -> Result<bool, Error> {
        let mut transaction = self.transaction();
        transaction.mark_notified(reached, Box::new(|_: Option<Item>| Error::Busy(Notified.into())))?;
        transaction.record(member.id, Use::PayPasswordLocked, origin)?;
        for destination in member.destinations() {
            transaction.queue(&Notice::pay_password_locked(origin.clone(), language, destination))?;
        }
        match self.commit(transaction).await {
            Ok(()) => Ok(true),
            Err(Error::Busy(cause)) if cause.is::<Notified>() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
