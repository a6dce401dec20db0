//! Verification: a code goes to a destination, and comes back from whoever holds it.
//!
//! One mechanism for both channels and all purposes. A member's code is sent in the request. The code
//! of somebody who is not logged in is only asked for in the request, and drawn where the notice queue
//! is delivered, if the destination has a member: so the answer and its time cannot tell.

use crate::{
    app::App,
    clock::Timestamp,
    code::{self, Binding, Flow, NewCode, Purpose},
    contact::Destination,
    error::Error,
    grant::Grant,
    language::Language,
    message,
    notice::{CodeAsked, Notice},
    send::{SendFault, mail::Mail},
    store::{
        code::{Holder, RightCode, Try},
        member::MemberId,
    },
    token::Token,
};
use secrecy::ExposeSecret;

impl App {
    /// Draws a code for a member, keeps it, and sends it.
    ///
    /// # Errors
    /// [`Error::SendFrequently`]; [`Error::SendFailed`], after which the member may ask again at
    /// once where the provider refused, and after the wait where the message may have left.
    pub async fn send_code(
        &self,
        member: MemberId,
        destination: &Destination,
        purpose: Purpose,
        language: Language,
    ) -> Result<NewCode, Error> {
        let new = self.new_code(destination, purpose)?;
        let code = code::draw(self.settings.code_length)?;
        let drawn = (member, new.binding.mac(&self.keys, &code));
        self.store.put_code(&new, Some(drawn), None).await?;
        match self.message(&new.binding, code.expose_secret(), language).await {
            Ok(()) => Ok(new),
            Err(fault) => {
                if let SendFault::Refused(_) = &fault {
                    self.store.withdraw_code(&new.binding).await?;
                }
                Err(Error::SendFailed(fault.into()))
            }
        }
    }

    /// Asks for a code that is drawn and sent later, if the destination has a member.
    ///
    /// # Errors
    /// [`Error::SendFrequently`].
    pub async fn ask_code(
        &self,
        destination: &Destination,
        purpose: Purpose,
        language: Language,
    ) -> Result<NewCode, Error> {
        let new = self.new_code(destination, purpose)?;
        let notice = Notice::Code(CodeAsked {
            destination: destination.clone(),
            purpose,
            flow: new.binding.flow.clone(),
            language,
            valid_until: Timestamp::now().plus(new.expires_in),
        });
        self.store.put_code(&new, None, Some(&notice)).await?;
        Ok(new)
    }

    /// Draws and sends a code that was asked for, if the destination has a member. A duplicate of
    /// what was delivered sends nothing.
    ///
    /// # Errors
    /// [`Error::SendFailed`] where the provider refused: worth another delivery.
    pub(crate) async fn deliver_code(&self, asked: &CodeAsked) -> Result<(), Error> {
        let Some(member) = self.store.owner(&asked.destination).await? else { return Ok(()) };
        let binding = asked.binding();
        let code = code::draw(self.settings.code_length)?;
        if !self.store.fill_code(&binding, member, &binding.mac(&self.keys, &code)).await? {
            return Ok(());
        }
        match self.message(&binding, code.expose_secret(), asked.language).await {
            // What may have left is not sent again: the member would hold two codes, one of them dead.
            Ok(()) | Err(SendFault::Unknown(_)) => self.store.mark_delivered(&binding).await,
            Err(refused) => Err(Error::SendFailed(refused.into())),
        }
    }

    /// Tries a code.
    ///
    /// # Errors
    /// [`Error::CodeNotValid`], [`Error::TooManyAttempts`]; [`Error::NotValid`] for a flow that is not the code's.
    pub async fn try_code(
        &self,
        destination: &Destination,
        purpose: Purpose,
        holder: Holder,
        guess: &str,
    ) -> Result<RightCode, Error> {
        self.store.try_code(&self.keys, &self.settings, Try { destination, purpose, holder, guess }).await
    }

    /// Turns a right code into a grant for the call that comes after it.
    ///
    /// # Errors
    /// [`Error::CodeNotValid`] where the code was spent meanwhile.
    pub async fn grant(&self, code: &RightCode) -> Result<Grant, Error> {
        let grant = Grant::draw()?;
        self.store.exchange(code, &grant, self.settings.grant_ttl_seconds).await?;
        Ok(grant)
    }

    fn new_code(&self, destination: &Destination, purpose: Purpose) -> Result<NewCode, Error> {
        let expires_in = match destination {
            Destination::Phone(_) => self.settings.code_ttl_seconds,
            Destination::Email(_) => self.settings.mail_code_ttl_seconds,
        };
        let binding = Binding { destination: destination.clone(), purpose, flow: Flow::draw()? };
        Ok(NewCode { binding, expires_in, resend_in: self.settings.resend_after_seconds })
    }

    async fn message(&self, binding: &Binding, code: &str, language: Language) -> Result<(), SendFault> {
        let Binding { destination, purpose, .. } = binding;
        let settings = &self.settings;
        match destination {
            Destination::Phone(phone) => {
                let (ttl, domain) = (settings.code_ttl_seconds, settings.web_otp_domain.as_deref());
                self.sms.send(phone, &message::code_by_sms(code, *purpose, ttl, domain, language)).await
            }
            Destination::Email(email) => {
                let (subject, opening) =
                    message::code_by_mail(*purpose, settings.mail_code_ttl_seconds, language);
                let link = self.link(binding, code).map_err(|fault| SendFault::Refused(fault.to_string()))?;
                let mail = Mail::with_code(&subject, &opening, code, link.as_deref(), language)?;
                self.mail.send(email, &mail).await
            }
        }
    }

    /// The address of `verify-mail`'s page, by which a click verifies what a typed code would.
    fn link(&self, binding: &Binding, code: &str) -> Result<Option<String>, Error> {
        let Some(base) = &self.settings.mail_link_base_url else { return Ok(None) };
        let verification = Token::from(binding.clone()).sign(&self.keys)?;
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("verification", &verification)
            .append_pair("code", code)
            .finish();
        Ok(Some(format!("{}/web/userservice/security/verifyMail?{query}", base.trim_end_matches('/'))))
    }
}
