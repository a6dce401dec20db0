//! The delivery of what is queued: at least once, each to its one destination.

use crate::{
    app::App,
    clock::Timestamp,
    contact::Destination,
    domain::{
        message,
        notice::{Changed, Notice},
    },
    error::{Error, SendFault},
    metrics,
    send::mail::Mail,
};

impl App {
    /// Delivers a notice.
    ///
    /// # Errors
    /// [`Error::SendFailed`], [`Error::Busy`]: worth another delivery.
    pub async fn deliver(&self, notice: &Notice) -> Result<(), Error> {
        match notice {
            Notice::Changed(changed) => {
                self.tell(changed).await.map_err(|fault| Error::SendFailed(fault.into()))?;
                metrics::notice_sent();
                Ok(())
            }
            Notice::Code(asked) if asked.valid_until > Timestamp::now() => self.deliver_code(asked).await,
            Notice::Code(_) => Ok(()),
        }
    }

    async fn tell(&self, changed: &Changed) -> Result<(), SendFault> {
        match &changed.destination {
            Destination::Phone(phone) => self.sms.send(phone, &message::change_by_sms(changed)).await,
            Destination::Email(email) => {
                let (subject, paragraphs) = message::change_by_mail(changed);
                self.mail.send(email, &Mail::of_paragraphs(&subject, &paragraphs, changed.language)?).await
            }
        }
    }
}
