//! Reports of changes: the link in a notice, and the change that it authorizes.

use crate::{
    app::App,
    clock::Timestamp,
    domain::{
        change::Change,
        notice::Changed,
        proof::ValidReport,
        report::{LINK_TTL_SECONDS, ReportId},
    },
    error::{Error, Field},
};

impl App {
    /// Returns the URL of the page that reports the change of a notice, if the notice has a link and it has not expired.
    pub(super) fn report_link(&self, changed: &Changed) -> Option<String> {
        let base = self.settings.mail_link_base_url.as_ref()?;
        let id = changed.report.filter(|_| changed.at.plus(LINK_TTL_SECONDS) > Timestamp::now())?;
        let (base, verification) = (base.trim_end_matches('/'), id.sign(&self.keys));
        Some(format!("{base}/web/userservice/security/notMe?verification={verification}"))
    }

    /// Returns the change that a link makes: the report of the change in its notice.
    ///
    /// # Errors
    /// [`Error::NotValid`] if the change was reported, the link has expired, or the member was deleted.
    pub async fn report(&self, id: ReportId) -> Result<Change, Error> {
        let change = self.store.reportable_change(id).await?;
        let member = self.store.member(change.member).await?;
        let member = member.ok_or(Error::NotValid(Field::Verification))?;
        let mut taken = Vec::new();
        for contact in change.contacts().filter(|contact| member.can_restore(contact)) {
            if self.store.owner(contact).await?.is_some_and(|owner| owner != member.id) {
                taken.push(contact.clone());
            }
        }
        Ok(Change::reported(&member, ValidReport { change, taken, id }))
    }
}
