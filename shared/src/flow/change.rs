//! Committing a change.

use crate::{
    app::App,
    domain::change::{Change, Consumed},
    error::Error,
    http::{envelope::Api, reply::Reply, request::Request},
    metrics,
    store::change::Conflict,
};

/// How often a change is committed when other requests modify the member first. Two covers a double tap.
const COMMITS: u32 = 3;

impl App {
    /// Commits a change and returns the reply. If another request modified the member first, reads the member again and
    /// commits the same change with the same proof. No attempt is counted again.
    ///
    /// # Errors
    /// The refusal, if the member as read again does not meet the change's conditions, the proof was consumed by another
    /// request, or the credentials were changed ([`Error::InvalidToken`]); [`Error::Busy`], [`Error::Internal`].
    pub async fn commit<A: Api>(
        &self,
        mut change: Change,
        request: &Request,
        reply: Reply<A>,
    ) -> Result<Reply<A>, Error> {
        let sealed = self.sealed(request, &reply)?;
        let mut commits = 1;
        loop {
            let plan = change.plan()?;
            let language = request.notice_language(plan.member);
            match self.store.commit_change(&plan, &request.origin, language, sealed.as_ref()).await {
                Ok(()) => {
                    metrics::change(plan.action);
                    if let Some(Consumed::Code(code)) = plan.consumes {
                        self.record_verified(code).await;
                    }
                    return Ok(reply);
                }
                Err(Error::Busy(cause)) if cause.is::<Conflict>() && commits < COMMITS => commits += 1,
                Err(error) => return Err(error),
            }
            let member = self.store.member(change.member().id).await?.ok_or(Error::UserNotFound)?;
            if member.credential_version != change.member().credential_version {
                return Err(Error::InvalidToken);
            }
            change = change.on(member);
        }
    }
}
