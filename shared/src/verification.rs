//! Verification: a code goes to a destination, and comes back from whoever holds it.

use crate::{
    app::App,
    code::{self, Binding, Flow, Purpose},
    contact::{Destination, Phone},
    error::Error,
    language::Language,
    message,
    send::sms::SendFault,
    store::{
        code::{NewCode, RightCode, Try},
        member::{Member, MemberId},
    },
};
use secrecy::ExposeSecret;
use serde::Serialize;

/// How long a code that was sent is good, and when the next may be asked for. Both in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// Until the code ends.
    pub expires_in: u64,
    /// Until another may be asked for.
    pub resend_in: u64,
}

impl App {
    /// Draws a code for a member, keeps it, and sends it by SMS.
    ///
    /// # Errors
    /// [`Error::SendFrequently`]; [`Error::SendFailed`], after which the member may ask again at
    /// once where the provider refused, and after the wait where the SMS may have left.
    pub async fn send_code(
        &self,
        member: MemberId,
        phone: &Phone,
        purpose: Purpose,
        language: Language,
    ) -> Result<Sent, Error> {
        let sent = Sent {
            expires_in: self.settings.code_ttl_seconds,
            resend_in: self.settings.resend_after_seconds,
        };
        let code = code::draw(self.settings.code_length)?;
        let binding =
            Binding { destination: Destination::Phone(phone.clone()), purpose, flow: Flow::draw()? };
        let kept = NewCode {
            mac: binding.mac(&self.keys, &code),
            binding,
            member,
            ttl_seconds: sent.expires_in,
            resend_after_seconds: sent.resend_in,
        };
        self.store.put_code(&kept).await?;
        let text = message::code_by_sms(code.expose_secret(), sent.expires_in, language);
        match self.sms.send(phone, &text).await {
            Ok(()) => Ok(sent),
            Err(fault) => {
                if let SendFault::Refused(_) = &fault {
                    self.store.withdraw_code(&kept.binding).await?;
                }
                Err(Error::SendFailed(fault.into()))
            }
        }
    }

    /// Tries the code that was sent to a member's phone.
    ///
    /// # Errors
    /// [`Error::CodeNotValid`], [`Error::TooManyAttempts`].
    pub async fn try_code(
        &self,
        member: &Member,
        phone: &Phone,
        purpose: Purpose,
        guess: &str,
    ) -> Result<RightCode, Error> {
        let destination = Destination::Phone(phone.clone());
        let a_try = Try::new(&self.settings, destination, purpose, member.id);
        self.store.try_code(&self.keys, &a_try, guess).await
    }
}
