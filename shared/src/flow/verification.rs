//! Verification: a code goes to a destination, and comes back from whoever holds it.
//!
//! One mechanism for both channels and all purposes. A member's code is sent in the request. The code
//! of somebody who is not logged in is only asked for in the request, and drawn where the notice queue
//! is delivered, if the destination has a member: so the answer and its time cannot tell.

use crate::{
    Secret,
    app::App,
    clock::Timestamp,
    contact::{Destination, Phone},
    domain::{
        code::{self, Binding, Flow, Holder, NewCode, Purpose},
        grant::Grant,
        member::MemberId,
        message,
        notice::{CodeAsked, Notice},
        token::Token,
        traffic::{Limits, Slot, Stop},
    },
    error::{Error, SendFault, SendLimit},
    http::{reply::Reply, request::Request},
    language::Language,
    metrics,
    send::mail::Mail,
    settings::BreakerAction,
    store::{
        code::{Drawn, RightCode, Try},
        sends::Sending,
    },
};
use lambda_http::tracing;
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
        request: &Request,
    ) -> Result<NewCode, Error> {
        let new = self.new_code(destination, purpose)?;
        let code = code::draw(self.settings.code_length)?;
        let sending = sending(&new, Some(member), request);
        let drawn = Drawn::Now(new.binding.mac(&self.keys, &code));
        self.store.put_code(&self.settings, &sending, drawn).await?;
        if let Err(not_sent) = self.send(&new.binding, &code, request.language, sending.at).await {
            if !not_sent.may_have_left {
                self.store.withdraw_code(&self.settings, &sending).await?;
            }
            return Err(not_sent.why);
        }
        Ok(new)
    }

    /// Asks for a code that is drawn and sent later, if the destination has a member.
    ///
    /// # Errors
    /// [`Error::SendFrequently`].
    pub async fn ask_code(
        &self,
        destination: &Destination,
        purpose: Purpose,
        request: &Request,
    ) -> Result<NewCode, Error> {
        let new = self.new_code(destination, purpose)?;
        let sending = sending(&new, None, request);
        if let Destination::Phone(phone) = destination {
            // Looked at here and counted at the delivery: what nobody is sent costs a country nothing.
            self.judge(phone, &self.store.traffic(phone).await?, sending.at)?;
        }
        let notice = Notice::Code(CodeAsked {
            destination: destination.clone(),
            purpose,
            flow: new.binding.flow.clone(),
            language: request.language,
            valid_until: sending.at.plus(new.expires_in),
        });
        self.store.put_code(&self.settings, &sending, Drawn::Later(&notice)).await?;
        Ok(new)
    }

    /// Draws and sends a code that was asked for, if the destination has a member. A duplicate of
    /// what was delivered sends nothing.
    ///
    /// # Errors
    /// [`Error::SendFailed`] where the provider refused: worth another delivery.
    pub(crate) async fn deliver_code(&self, asked: &CodeAsked) -> Result<(), Error> {
        let Some(member) = self.store.owner(&asked.destination).await? else { return Ok(()) };
        let (binding, now) = (asked.binding(), Timestamp::now());
        let code = code::draw(self.settings.code_length)?;
        if !self.store.fill_code(&binding, member, &binding.mac(&self.keys, &code), now).await? {
            return Ok(());
        }
        match self.send(&binding, &code, asked.language, now).await {
            // What was stopped would be stopped again, and was logged.
            Ok(()) | Err(NotSent { why: Error::SendFrequently { .. }, .. }) => Ok(()),
            // It is not sent again: the member would hold two codes, one of them dead.
            Err(NotSent { why, may_have_left: true }) => {
                tracing::error!(cause = %why, "a code may have left or not");
                Ok(())
            }
            Err(NotSent { why, .. }) => {
                self.store.unfill_code(&binding).await?;
                Err(why)
            }
        }
    }

    /// Sends a code that was kept, where its calling code's traffic allows another.
    async fn send(
        &self,
        binding: &Binding,
        code: &Secret,
        language: Language,
        now: Timestamp,
    ) -> Result<(), NotSent> {
        let Destination::Phone(phone) = &binding.destination else {
            return Ok(self.message(binding, code, language).await?);
        };
        let traffic = self.store.count_sent(phone, now).await?;
        let sent = match self.judge(phone, &traffic, now) {
            Ok(()) => self.message(binding, code, language).await.map_err(NotSent::from),
            Err(stopped) => Err(stopped.into()),
        };
        if sent.as_ref().is_err_and(|not_sent| !not_sent.may_have_left) {
            self.store.uncount_sent(phone, now).await?;
        }
        sent
    }

    /// Refuses another code to a calling code whose budget is used up or whose breaker is open.
    fn judge(&self, phone: &Phone, traffic: &[Slot], now: Timestamp) -> Result<(), Error> {
        let Some((stop, retry_after)) = Limits::from(&self.settings).stop(traffic, now) else {
            return Ok(());
        };
        let calling_code = phone.parts().map(|(calling_code, _)| calling_code).unwrap_or_default();
        let limit = match stop {
            Stop::Budget => {
                tracing::warn!(calling_code, "the hourly budget of a calling code is used up");
                SendLimit::Budget
            }
            Stop::Breaker => {
                metrics::breaker_open();
                tracing::warn!(
                    calling_code,
                    "too few codes to a calling code come back: its breaker is open"
                );
                if self.settings.breaker_action == BreakerAction::Record {
                    return Ok(());
                }
                SendLimit::Breaker
            }
        };
        Err(Error::SendFrequently { retry_after, limit }).inspect_err(metrics::send_refused)
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

    /// Turns a right code into a grant for the call that comes after it, and lets the reply carry it.
    ///
    /// # Errors
    /// [`Error::CodeNotValid`] where the code was spent meanwhile.
    pub async fn exchange(&self, request: &Request, code: &RightCode, reply: Reply) -> Result<Reply, Error> {
        let (grant, ttl) = (Grant::draw()?, self.settings.grant_ttl_seconds);
        let reply = reply.granting(&grant, ttl);
        let sealed = self.sealed(request, &reply)?;
        self.store.exchange(code, &grant, ttl, sealed.as_ref()).await?;
        self.came_back(code).await;
        Ok(reply)
    }

    /// Counts a code that was spent among those of its calling code that came back.
    pub(crate) async fn came_back(&self, code: &RightCode) {
        metrics::code_verified(&code.binding.destination);
        let Destination::Phone(phone) = &code.binding.destination else { return };
        if let Err(error) = self.store.count_verified(phone, code.sent_at).await {
            // The change is made, whatever becomes of the count.
            tracing::warn!(cause = %error, "a code that came back was not counted");
        }
    }

    fn new_code(&self, destination: &Destination, purpose: Purpose) -> Result<NewCode, Error> {
        let expires_in = match destination {
            Destination::Phone(_) => self.settings.code_ttl_seconds,
            Destination::Email(_) => self.settings.mail_code_ttl_seconds,
        };
        let binding = Binding { destination: destination.clone(), purpose, flow: Flow::draw()? };
        Ok(NewCode { binding, expires_in, resend_in: self.settings.resend_after_seconds })
    }

    async fn message(&self, binding: &Binding, code: &Secret, language: Language) -> Result<(), SendFault> {
        let code = code.expose_secret();
        let Binding { destination, purpose, .. } = binding;
        let settings = &self.settings;
        let sent = match destination {
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
        };
        metrics::code_sent(destination, &sent);
        sent
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

/// Why a code that was kept was not sent, or perhaps not.
struct NotSent {
    why: Error,
    may_have_left: bool,
}

impl From<SendFault> for NotSent {
    fn from(fault: SendFault) -> Self {
        let may_have_left = matches!(fault, SendFault::Unknown(_));
        Self { why: Error::SendFailed(fault.into()), may_have_left }
    }
}

impl From<Error> for NotSent {
    fn from(why: Error) -> Self {
        Self { why, may_have_left: false }
    }
}

fn sending<'a>(code: &'a NewCode, member: Option<MemberId>, request: &Request) -> Sending<'a> {
    Sending { code, member, source: request.origin.source(), at: Timestamp::now() }
}
