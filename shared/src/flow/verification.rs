//! Verification: a one-time code is sent to a destination, typed by its holder, and verified.
//!
//! Both channels and all purposes share this mechanism. A member's code is sent while the request runs. An anonymous
//! request only queues a code, and `deliver-notices` generates and sends it if the destination has a member. Neither
//! the response nor its time therefore discloses whether an account exists.

use crate::{
    Secret,
    app::App,
    clock::Timestamp,
    contact::{Destination, Email, Phone},
    domain::{
        basis::Basis,
        code::{self, Binding, Code, CodeHolder, CodeMac, FlowId, NewCode, Purpose},
        counter::Counter,
        grant::Grant,
        member::Member,
        message,
        notice::{CodeRequested, Notice},
        proof::{Reauthenticated, ValidGrant, VerifiedCode},
        sends::SendLimits,
        token::Token,
        traffic::Route,
    },
    error::{Error, Field, SendError},
    http::{
        envelope::{Family, MemberApi},
        reply::Reply,
        request::Request,
    },
    language::Language,
    metrics,
    send::{EmailMessage, gate::Message},
    store::{
        code::{Attempt, CodeItem, Generation, Refund},
        sends::CodeSend,
    },
};
use lambda_http::tracing;
use secrecy::ExposeSecret;

impl App {
    /// Parses a phone number as a person types it.
    ///
    /// # Errors
    /// [`Error::NotValid`] unless it is a phone number of an allowed calling code.
    pub fn phone(&self, typed: &str) -> Result<Destination, Error> {
        self.parse_phone(typed).map(Destination::Phone)
    }

    pub(super) fn parse_phone(&self, typed: &str) -> Result<Phone, Error> {
        self.settings.phones.parse(typed).map_err(|_| Error::NotValid(Field::Phone))
    }

    /// Parses an email address as a person types it.
    ///
    /// # Errors
    /// [`Error::NotValid`] unless it is an accepted email address.
    pub fn email(&self, typed: &str) -> Result<Destination, Error> {
        parse_email(typed).map(Destination::Email)
    }

    /// Parses a code that was sent to `destination`, as a person types or pastes it. Handlers call this before anything
    /// that counts an attempt, so that a text that cannot be right costs none.
    ///
    /// # Errors
    /// [`Error::NotValid`] unless it has as many digits as the codes that are sent there.
    pub fn code(&self, typed: &str, destination: &Destination) -> Result<Code, Error> {
        Code::parse(typed, self.code_length(destination)).ok_or(Error::NotValid(Field::Code))
    }

    /// Returns the number of digits of the codes that are sent to a destination.
    fn code_length(&self, destination: &Destination) -> usize {
        match destination {
            Destination::Phone(_) => self.settings.code_length,
            Destination::Email(_) => self.settings.mail_code_length,
        }
    }

    /// Returns who may use a member's code: the member and, if a verification token was sent, only that flow.
    ///
    /// # Errors
    /// [`Error::NotValid`] if the token is invalid, or was issued for another destination or purpose.
    pub fn code_holder(
        &self,
        member: &Member,
        destination: &Destination,
        purpose: Purpose,
        verification: Option<&str>,
    ) -> Result<CodeHolder, Error> {
        let Some(verification) = verification else { return Ok(CodeHolder::Member(member.id)) };
        self.code_in_flow(member, destination, &[purpose], verification).map(|(_, holder)| holder)
    }

    /// Returns the purpose of a verification token, and who may use its code: the member in that flow.
    ///
    /// # Errors
    /// [`Error::NotValid`] if the token is invalid, or was issued for another destination or for none of the purposes.
    pub(super) fn code_in_flow(
        &self,
        member: &Member,
        destination: &Destination,
        purposes: &[Purpose],
        verification: &str,
    ) -> Result<(Purpose, CodeHolder), Error> {
        let requested = Token::open_verification(&self.keys, verification, purposes)?;
        if requested.destination != *destination {
            return Err(Error::NotValid(Field::Verification));
        }
        Ok((requested.purpose, CodeHolder::MemberInFlow(member.id, requested.flow)))
    }

    /// Generates a code for a member, stores it, and sends it. The code records whether the member reauthenticated.
    ///
    /// # Errors
    /// [`Error::OriginNotAllowed`] if another site caused the request, [`Error::AccountFrozen`] if the member reported a
    /// change, [`Error::NotValid`] if the destination is not allowed or the provider refuses it,
    /// [`Error::MailNotAvailable`] without a sender of email, [`Error::SendFrequently`] if a rate limit is exceeded,
    /// [`Error::Busy`] if the store or the provider throttles, [`Error::SendFailed`] if the code was not sent or may
    /// not have been sent. If the provider refused it, the member can request another code at once; otherwise the
    /// resend cooldown applies.
    pub async fn send_code(
        &self,
        member: &Member,
        destination: &Destination,
        purpose: Purpose,
        reauthenticated: Option<&Reauthenticated>,
        request: &Request,
    ) -> Result<NewCode, Error> {
        request.check_site()?;
        member.require_not_frozen()?;
        self.require_sendable(destination)?;
        let new = self.new_code(destination, purpose)?;
        let code = code::generate(self.code_length(destination))?;
        let limits = SendLimits::from(&self.settings);
        let send = CodeSend {
            is_own: member.owns(destination),
            reauthenticated: reauthenticated.is_some(),
            ..code_send(&new, Some(Basis::new(member, destination)), request)
        };
        let generation = Generation::Immediate(new.binding.mac(&self.keys, &code));
        self.store.put_code(&limits, &send, generation).await.inspect_err(metrics::send_refused)?;
        if let Err(error) = self.publish(&new.binding, &code, request.language, send.at).await {
            if !error.may_have_been_sent() {
                let refund = match error {
                    SendError::Limited { .. } => Refund::All,
                    _ => Refund::Destination,
                };
                self.store.withdraw_code(&limits, &send, refund).await?;
            }
            return Err(error.into_error(destination));
        }
        Ok(new)
    }

    /// Requests a code that `deliver-notices` generates and sends, if the destination has a member. A code to register is
    /// sent to any destination.
    ///
    /// # Errors
    /// [`Error::OriginNotAllowed`] if another site caused the request, [`Error::NotValid`] if the destination is not
    /// allowed, [`Error::MailNotAvailable`] without a sender of email, [`Error::SendFrequently`] if a rate limit is
    /// exceeded.
    pub async fn request_code(
        &self,
        destination: &Destination,
        purpose: Purpose,
        request: &Request,
    ) -> Result<NewCode, Error> {
        request.check_site()?;
        self.require_sendable(destination)?;
        let new = self.new_code(destination, purpose)?;
        let send = code_send(&new, None, request);
        let route = Route::of_code(destination, purpose).map_err(Error::internal)?;
        // Only checked here. Delivery counts codes, so codes that are never sent do not use up the budget.
        let checked = self.gate.check_traffic(&self.store, &route, send.at).await;
        checked.map_err(|refused| refused.into_error(destination))?;
        let notice = Notice::Code(CodeRequested {
            destination: destination.clone(),
            purpose,
            flow: new.binding.flow.clone(),
            language: request.language,
            valid_until: send.at.plus(new.expires_in),
        });
        let limits = SendLimits::from(&self.settings);
        let generation = Generation::Deferred(&notice);
        self.store.put_code(&limits, &send, generation).await.inspect_err(metrics::send_refused)?;
        Ok(new)
    }

    /// Checks whether codes can be sent to a destination. A phone that the member bound earlier may not be allowed
    /// any more, and email may have no sender. Such a request is refused before it counts.
    ///
    /// # Errors
    /// [`Error::NotValid`] or [`Error::MailNotAvailable`] if they cannot.
    pub fn require_sendable(&self, destination: &Destination) -> Result<(), Error> {
        let checked = self.gate.check(destination).inspect_err(metrics::code_refused);
        checked.map_err(|refused| refused.into_error(destination))
    }

    /// Generates and sends a requested code, if there is a recipient. A duplicate delivery sends nothing.
    ///
    /// # Errors
    /// [`Error::SendFailed`] if the provider refused the code, so that the stream retries the delivery.
    pub(super) async fn deliver_code(&self, requested: &CodeRequested) -> Result<(), Error> {
        let Some((destination, basis)) = self.recipient(requested).await? else { return Ok(()) };
        let (binding, now) = (Binding { destination, ..requested.binding() }, Timestamp::now());
        let code = code::generate(self.code_length(&binding.destination))?;
        let mac = binding.mac(&self.keys, &code);
        if !self.store.mark_delivered(&binding, basis.as_ref(), &mac, now).await? {
            return Ok(());
        }
        match self.publish(&binding, &code, requested.language, now).await {
            Ok(()) => Ok(()),
            // Not retried: the member could receive two codes, of which only one is valid.
            Err(error) if error.may_have_been_sent() => {
                tracing::error!(cause = %error, "a code may not have been sent");
                Ok(())
            }
            Err(error) => {
                self.store.unmark_delivered(&binding).await?;
                // A retry would be refused again. The refusal is already logged or counted.
                if error.is_permanent() { Ok(()) } else { Err(error.into_error(&binding.destination)) }
            }
        }
    }

    /// Returns where a requested code is sent, and the state of the member whom it is for. Returns `None` if it is not
    /// sent, and no member only for a code to register.
    async fn recipient(
        &self,
        requested: &CodeRequested,
    ) -> Result<Option<(Destination, Option<Basis>)>, Error> {
        let is_for_anyone = requested.purpose == Purpose::Register;
        let Some(owner) = self.store.owner(&requested.destination).await? else {
            return Ok(is_for_anyone.then(|| (requested.destination.clone(), None)));
        };
        let Some(member) = self.store.member(owner).await? else { return Ok(None) };
        // The code goes to the spelling that the member bound. The client may have typed another one, which can be
        // another mailbox on a server that distinguishes case.
        let Some(destination) = member.bound(&requested.destination) else { return Ok(None) };
        // A recovery or a login through an immature contact looks the same as one through an unknown contact.
        if !is_for_anyone && self.change_rules().require_mature(&member, &destination).is_err() {
            return Ok(None);
        }
        let basis = Basis::new(&member, &destination);
        Ok(Some((destination, Some(basis))))
    }

    /// Verifies a code that was sent for a member. The attempt is counted before the code is compared: for the code, for
    /// its destination, and for the source address.
    ///
    /// # Errors
    /// [`Error::CodeNotValid`] if it is wrong, consumed or expired, [`Error::TooManyAttempts`] if the attempts of the
    /// code, of the destination's day, or of the source address's hour are used up, [`Error::NotValid`] if another
    /// flow requested it.
    pub async fn verify_code(
        &self,
        destination: &Destination,
        purpose: Purpose,
        holder: CodeHolder,
        guess: &Code,
        request: &Request,
    ) -> Result<VerifiedCode, Error> {
        let code = self.verify_sent_code(destination, purpose, holder, guess, request).await?;
        code.of_member().ok_or(Error::CodeNotValid { attempts_left: 0 })
    }

    /// Verifies a code in the same way, whether it was sent for a member or not.
    ///
    /// # Errors
    /// The errors of [`App::verify_code`].
    pub(super) async fn verify_sent_code(
        &self,
        destination: &Destination,
        purpose: Purpose,
        holder: CodeHolder,
        guess: &Code,
        request: &Request,
    ) -> Result<VerifiedCode<Option<Basis>>, Error> {
        let max_attempts = self.settings.code_max_attempts;
        let attempt = Attempt { destination, purpose, holder: &holder };
        let source = request.origin.source();
        let guesses = Counter::of_guesses(&source, self.settings.source_wrong_codes_per_hour);
        let (left_for_source, item) =
            tokio::join!(self.store.count(&guesses), self.store.record_attempt(&attempt, max_attempts));
        let (left_for_source, item) = (left_for_source?, item?);
        let basis = item.basis();
        let CodeItem { reauthenticated, flow, mac, tries, sent_at, .. } = item;
        let failures = Counter::of_codes(destination, purpose, self.settings.failures_per_day);
        let left = self.store.count(&failures).await?.min(left_for_source);
        let binding = Binding { destination: destination.clone(), purpose, flow };
        // A code that was not sent has no MAC. Comparing with an absent one takes the same time.
        let absent = CodeMac::absent(&self.keys);
        let matches = binding.matches(&self.keys, mac.as_ref().unwrap_or(&absent), guess);
        match mac {
            Some(mac) if matches => {
                Ok(VerifiedCode { binding, basis, reauthenticated, sent_at, mac, failures, guesses })
            }
            _ => {
                metrics::wrong_code(
                    &Route::of_code(destination, binding.purpose).map_err(Error::internal)?,
                    left,
                );
                let attempts_left = max_attempts.saturating_sub(tries).min(left);
                Err(Error::CodeNotValid { attempts_left })
            }
        }
    }

    /// Exchanges a verified code for a grant, and returns the reply with that grant.
    ///
    /// # Errors
    /// [`Error::CodeNotValid`] if another request consumed the code.
    pub async fn exchange<A: Family>(
        &self,
        code: VerifiedCode,
        request: &Request,
        reply: Reply<A>,
    ) -> Result<Reply<A>, Error> {
        let (grant, ttl) = (Grant::draw()?, self.settings.grant_ttl_seconds);
        let reply = reply.with_grant(&grant, ttl);
        let sealed = self.seal(request, &reply)?;
        self.store.exchange(&code, Some(&code.basis), &grant, ttl, sealed.as_ref()).await?;
        self.record_verified(&code).await;
        Ok(reply)
    }

    /// Verifies a grant for a purpose and destination. Each use counts as an attempt, up to `CODE_MAX_ATTEMPTS`.
    ///
    /// # Errors
    /// [`Error::NotValid`] if it is expired, consumed, used too often, or for another purpose or destination.
    pub async fn verify_grant(
        &self,
        grant: &Grant,
        purpose: Purpose,
        destination: &Destination,
    ) -> Result<ValidGrant, Error> {
        self.store.grant(grant, purpose, destination, self.settings.code_max_attempts).await
    }

    /// Returns the reply to a send, with the code's lifetime, its resend cooldown, and the token of its flow.
    ///
    /// # Errors
    /// [`Error::Internal`] if the token cannot be signed.
    pub fn sent(&self, code: NewCode) -> Result<Reply<MemberApi>, Error> {
        self.with_code(Reply::ok(), code)
    }

    /// Adds the same to a reply.
    ///
    /// # Errors
    /// [`Error::Internal`] if the token cannot be signed.
    pub fn with_code<A: Family>(&self, reply: Reply<A>, code: NewCode) -> Result<Reply<A>, Error> {
        let reply = reply.with_expiry(&code);
        Ok(reply.with_verification(Token::from(code.binding).sign(&self.keys)?))
    }

    /// Counts a consumed code as verified traffic of its route, and takes its attempt out of the wrong codes of the
    /// source address. Not in the transaction, which would conflict with every other request on these items.
    pub(super) async fn record_verified<B>(&self, code: &VerifiedCode<B>) {
        let Binding { destination, purpose, .. } = &code.binding;
        let route = Route::of_code(destination, *purpose).map_err(Error::internal);
        let verified = async {
            let route = route?;
            metrics::code_verified(&route);
            self.store.count_verified(&route, code.sent_at).await
        };
        let counted = tokio::join!(verified, self.store.take_back(&code.guesses));
        for error in [counted.0, counted.1].into_iter().filter_map(Result::err) {
            // The code is already consumed, so this does not fail the request.
            tracing::warn!(cause = %error, "a verified code was not counted");
        }
    }

    fn new_code(&self, destination: &Destination, purpose: Purpose) -> Result<NewCode, Error> {
        let expires_in = match destination {
            Destination::Phone(_) => self.settings.code_ttl_seconds,
            Destination::Email(_) => self.settings.mail_code_ttl_seconds,
        };
        let binding = Binding { destination: destination.clone(), purpose, flow: FlowId::draw()? };
        Ok(NewCode { binding, expires_in, resend_in: self.settings.resend_after_seconds })
    }

    /// Sends a stored code by SMS or email, if the limits admit it.
    async fn publish(
        &self,
        binding: &Binding,
        code: &Secret,
        language: Language,
        now: Timestamp,
    ) -> Result<(), SendError> {
        let code = code.expose_secret();
        let Binding { destination, purpose, .. } = binding;
        let settings = &self.settings;
        let message = match destination {
            Destination::Phone(phone) => {
                let (ttl, domain) = (settings.code_ttl_seconds, settings.web_otp_domain.as_deref());
                let text = message::code_by_sms(code, *purpose, ttl, domain, language);
                Message::CodeBySms(phone, text, *purpose)
            }
            Destination::Email(email) => {
                let (subject, opening) =
                    message::code_by_mail(*purpose, settings.mail_code_ttl_seconds, language);
                let link = self.link(binding, code).map_err(|error| SendError::Refused(error.to_string()))?;
                let message = EmailMessage::with_code(&subject, &opening, code, link.as_deref(), language)?;
                Message::CodeByEmail(email, message, *purpose)
            }
        };
        let sent = self.gate.send(&self.store, message, now).await;
        sent.inspect_err(|error| {
            if let SendError::AddressRefused(_) = error {
                tracing::warn!(cause = %error, "a code was not sent");
            }
        })
    }

    /// Returns the URL of the `verify-mail` page, where one click verifies the code. A code of another purpose is typed
    /// where it was requested.
    fn link(&self, binding: &Binding, code: &str) -> Result<Option<String>, Error> {
        if !matches!(binding.purpose, Purpose::BindMail | Purpose::RecoverByMail) {
            return Ok(None);
        }
        let Some(base) = &self.settings.mail_link_base_url else { return Ok(None) };
        let verification = Token::from(binding.clone()).sign(&self.keys)?;
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("verification", &verification)
            .append_pair("code", code)
            .finish();
        Ok(Some(format!("{}/web/userservice/security/verifyMail?{query}", base.trim_end_matches('/'))))
    }
}

fn code_send<'a>(code: &'a NewCode, basis: Option<Basis>, request: &Request) -> CodeSend<'a> {
    let (source, at) = (request.origin.source(), Timestamp::now());
    CodeSend { code, basis, is_own: false, reauthenticated: false, source, at }
}

pub(super) fn parse_email(typed: &str) -> Result<Email, Error> {
    typed.parse().map_err(|_| Error::NotValid(Field::Email))
}
