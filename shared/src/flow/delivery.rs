//! Delivery of queued notices. Notices of changes are delivered at least once, codes at most once.

use crate::{
    app::App,
    clock::Timestamp,
    contact::Destination,
    domain::{
        message,
        notice::{Changed, Notice},
    },
    error::{Error, SendError},
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
            Notice::Changed(changed) => match self.notify(changed).await {
                Ok(()) => Ok(()),
                Err(error) if error.is_permanent() => {
                    tracing::warn!(cause = %error, action = %changed.action, "a notice is dropped");
                    Ok(())
                }
                Err(error) => Err(error.into_error(&changed.destination)),
            },
            Notice::Code(requested) if requested.valid_until > Timestamp::now() => {
                self.deliver_code(requested).await
            }
            Notice::Code(_) => Ok(()),
        }
    }

    async fn notify(&self, changed: &Changed) -> Result<(), SendError> {
        let message = match &changed.destination {
            Destination::Phone(to) => Message::NoticeBySms {
                to,
                text: message::change_by_sms(changed),
                last: message::MORE_CHANGES.in_language(changed.language),
            },
            Destination::Email(to) => {
                let link = self.report_link(changed);
                let (subject, paragraphs) = message::change_by_mail(changed, link.is_some());
                let (link, language) = (link.as_deref(), changed.language);
                let email = EmailMessage::of_change(&subject, &paragraphs, link, language)?;
                Message::NoticeByEmail(to, email)
            }
        };
        self.gate.send(&self.store, message, Timestamp::now()).await
    }
}
