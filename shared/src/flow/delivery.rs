//! Delivery of queued notices. Notices of changes and lockouts are delivered at least once, codes at most once.

use crate::{
    app::App,
    clock::Timestamp,
    contact::Destination,
    domain::{
        message::{self, NoticeTexts},
        notice::Notice,
    },
    error::{Error, SendError},
    language::Language,
    send::{EmailMessage, gate::Message},
};
use lambda_http::tracing;

impl App {
    /// Delivers a notice. A code that has expired is skipped.
    ///
    /// # Errors
    /// [`Error::SendFailed`], [`Error::Busy`] and [`Error::Internal`], after which the stream retries the delivery.
    pub async fn deliver(&self, notice: &Notice) -> Result<(), Error> {
        match notice {
            Notice::Changed(changed) => {
                let link = self.report_link(changed);
                let texts = message::of_change(changed, link.is_some());
                self.notify(&changed.destination, changed.language, &texts, link.as_deref()).await
            }
            Notice::PayPasswordLocked(locked) => {
                let texts = message::of_lockout(locked);
                self.notify(&locked.destination, locked.language, &texts, None).await
            }
            Notice::Code(requested) if requested.valid_until > Timestamp::now() => {
                self.deliver_code(requested).await
            }
            Notice::Code(_) => Ok(()),
            Notice::LogInLocked(locked) => match self.store.owner(&locked.destination).await? {
                Some(member) => self.store.record_lockout(member, locked).await,
                None => Ok(()),
            },
        }
    }

    /// Sends a notice to its destination. One that is refused for good is dropped.
    async fn notify(
        &self,
        destination: &Destination,
        language: Language,
        texts: &NoticeTexts,
        link: Option<&str>,
    ) -> Result<(), Error> {
        match self.send_notice(destination, language, texts, link).await {
            Err(error) if error.is_permanent() => {
                tracing::warn!(cause = %error, "a notice is dropped");
                Ok(())
            }
            sent => sent.map_err(|error| error.into_error(destination)),
        }
    }

    async fn send_notice(
        &self,
        destination: &Destination,
        language: Language,
        texts: &NoticeTexts,
        link: Option<&str>,
    ) -> Result<(), SendError> {
        let message = match destination {
            Destination::Phone(to) => Message::NoticeBySms {
                to,
                text: texts.sms.clone(),
                last: message::MORE_CHANGES.in_language(language),
            },
            Destination::Email(to) => {
                let email = EmailMessage::of_notice(&texts.subject, &texts.paragraphs, link, language)?;
                Message::NoticeByEmail(to, email)
            }
        };
        self.gate.send(&self.store, message, Timestamp::now()).await
    }
}
