//! Committing a change.

use crate::{
    app::App,
    domain::{
        change::{Change, ChangeRules, Consumed},
        member::Member,
        session::Session,
    },
    error::Error,
    http::{envelope::Family, reply::Reply, request::Request},
    metrics,
    store::{Contention, change::Conflict},
};

/// How many times a commit is attempted if other requests modify the member first. Two covers a double tap.
const MAX_COMMITS: u32 = 3;

impl App {
    /// Returns the member of a session, who is about to make a change. Handlers call this before anything that costs an
    /// attempt or a hash. [`App::commit`] checks the same again.
    ///
    /// # Errors
    /// [`Error::UserNotFound`] if the member was deleted, [`Error::AccountFrozen`] if the member reported a change,
    /// [`Error::TooManyChanges`] if the member made too many changes in the last hour.
    pub fn changing_member<'a>(&self, session: &'a Session) -> Result<&'a Member, Error> {
        let member = session.member()?;
        member.require_not_frozen()?;
        self.change_rules().require_changeable(member)?;
        Ok(member)
    }

    /// Returns the rules of time that changes obey.
    #[must_use]
    pub fn change_rules(&self) -> ChangeRules {
        ChangeRules::from(&self.settings)
    }

    /// Commits a change and returns the reply. If another request modified the member first, the member is read again
    /// and the same change is committed with the same proof, without counting another attempt.
    ///
    /// # Errors
    /// - [`Error::InvalidToken`] if the credentials changed since the proof was verified.
    /// - An error of the change, if the member no longer meets its conditions or another request consumed its proof.
    /// - [`Error::TooManyChanges`] if other requests of the member are changing it during every attempt.
    /// - [`Error::Busy`], [`Error::Internal`].
    pub async fn commit<A: Family>(
        &self,
        mut change: Change,
        request: &Request,
        reply: Reply<A>,
    ) -> Result<Reply<A>, Error> {
        let (sealed, rules) = (self.seal(request, &reply)?, self.change_rules());
        let mut commits = 1;
        loop {
            let plan = change.plan(&rules)?;
            let (language, ends_with_sessions) =
                (request.notice_language(plan.member), plan.ends_with_sessions());
            // Without links in emails nothing can be reported.
            let reportable = self.settings.mail_link_base_url.as_ref().and_then(|_| plan.reportable());
            let commit = self.store.commit_change(
                &plan,
                &request.origin,
                language,
                reportable.as_ref(),
                sealed.as_ref(),
            );
            match commit.await {
                Ok(()) => {
                    metrics::change(plan.action);
                    if let Some(Consumed::Code(code)) = plan.consumes {
                        self.record_verified(code).await;
                    }
                    return Ok(reply);
                }
                Err(Error::Busy(cause)) if cause.is::<Conflict>() && commits < MAX_COMMITS => commits += 1,
                // The member's other requests caused this, not the store.
                Err(Error::Busy(cause)) if cause.is::<Conflict>() || cause.is::<Contention>() => {
                    return Err(Error::TooManyChanges { retry_after: 1 });
                }
                Err(error) => return Err(error),
            }
            let member = self.store.member(change.member().id).await?.ok_or(Error::UserNotFound)?;
            if ends_with_sessions && member.credential_version != change.member().credential_version {
                return Err(Error::InvalidToken);
            }
            change = change.on(member);
        }
    }
}
