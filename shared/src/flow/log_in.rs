//! Logins, with the password or with a code.
//!
//! A login with a password makes the same requests and does the same work for a phone or an email address without a
//! member, a member without a password, and a wrong password. So neither the response nor its time discloses which it is.

use crate::{
    app::App,
    clock::Timestamp,
    contact::Destination,
    domain::{
        basis::Basis,
        code::{CodeHolder, Purpose},
        device::Device,
        grant::Grant,
        log_in::{LogInFailures, LogInLimits, LogInProof},
        member::{Member, MemberId},
        notice::{LogInLocked, Notice},
        password::PasswordHash,
        proof::VerifiedCode,
        session::{self, Claims, LogInMethod},
        token::Token,
    },
    error::{Error, Field, Registration},
    http::{
        log_in::{Credential, Identifier, LogIn},
        reply::Reply,
        request::Request,
        service::ServiceApi,
    },
    metrics,
    store::{CounterState, StoredHash, change::Conflict},
};
use lambda_http::tracing;
use serde::Serialize;
use uuid::Uuid;

/// How many times a password is compared if the member's sessions end at the same time.
const MAX_COMPARISONS: u32 = 2;

/// The success of a login.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoggedIn<'a> {
    member: MemberId,
    auth_time: Timestamp,
    amr: &'a [String],
    device: String,
}

impl App {
    /// Logs a member in.
    ///
    /// # Errors
    /// - [`Error::CredentialsNotValid`] for a phone or an email address without a member, a member without a password, and a
    ///   wrong password.
    /// - [`Error::TooManyAttempts`] during a lockout, in which the password is not compared.
    /// - [`Error::CodeNotValid`], [`Error::NotValid`] for a wrong code and for the `verification` of another send.
    /// - [`Error::MemberNotFound`] with a grant to register, after a right code for an address without a member.
    /// - [`Error::AccountFrozen`], [`Error::CoolingOff`] after a right password or code, if the member reported a change, or
    ///   bound the address too recently for a code.
    /// - [`Error::EventNotValid`] without `sourceIp`, [`Error::Busy`], [`Error::Internal`].
    pub async fn log_in(&self, log_in: LogIn, request: &Request) -> Result<Reply<ServiceApi>, Error> {
        request.require_source_ip()?;
        let destination = self.identified(&log_in.identifier)?;
        let logged_in = match &log_in.credential {
            Credential::Password(password) => {
                let device = log_in.device.as_ref();
                let device = device.and_then(|token| Device::open(&self.keys, token.expose(), &destination));
                self.log_in_by_password(&destination, password.expose(), device.as_ref(), request).await
            }
            Credential::Code { code, verification } => {
                self.log_in_by_code(&destination, code.expose(), verification.expose(), request).await
            }
        };
        match &logged_in {
            Ok(_) => metrics::log_in("succeeded"),
            Err(Error::TooManyAttempts { .. }) => metrics::log_in("locked"),
            Err(Error::CredentialsNotValid { .. } | Error::CodeNotValid { .. }) => metrics::log_in("failed"),
            Err(_) => (),
        }
        logged_in
    }

    /// Parses a phone or an email address that identifies a member.
    ///
    /// # Errors
    /// [`Error::NotValid`] unless it is a phone number of an allowed region, or an accepted email address.
    pub fn identified(&self, identifier: &Identifier) -> Result<Destination, Error> {
        match identifier {
            Identifier::Phone(phone) => self.phone(phone),
            Identifier::Email(email) => self.email(email),
        }
    }

    async fn log_in_by_password(
        &self,
        destination: &Destination,
        typed: &str,
        device: Option<&Device>,
        request: &Request,
    ) -> Result<Reply<ServiceApi>, Error> {
        let (source, limits) = (request.origin.source(), LogInLimits::from(&self.settings));
        let failures = LogInFailures::new(&self.keys, destination, device, &source, &limits);
        self.store.count_on_all(&failures.all()).await?;
        for _ in 0..MAX_COMPARISONS {
            let member = self.member_with(destination).await?;
            let stored = member.as_ref().and_then(|member| member.password.as_ref());
            let matches = self.passwords.verify_or_pad(&self.keys, typed, stored)?;
            let (Some(member), Some(stored), true) = (&member, stored, matches) else {
                return Err(self.failed(&failures, destination, request).await?);
            };
            if let Err(frozen) = member.require_not_frozen() {
                self.store.end_failures(&failures).await?;
                return Err(frozen);
            }
            let (method, proof) = (LogInMethod::Password, LogInProof::Password(&failures));
            match self.commit_log_in(member, method, destination, proof, request).await {
                // The member's sessions ended since the read, possibly because the password was changed.
                Err(Error::Busy(cause)) if cause.is::<Conflict>() => (),
                Err(error) => return Err(error),
                Ok(reply) => {
                    self.rehash(member.id, typed, stored).await;
                    return Ok(reply);
                }
            }
        }
        Err(Error::TooManyAttempts { retry_after: 1 })
    }

    /// Returns the refusal of a password that did not match. Queues the lockout if the failure began one.
    async fn failed(
        &self,
        failures: &LogInFailures,
        destination: &Destination,
        request: &Request,
    ) -> Result<Error, Error> {
        // The transaction that counted the failure returned no count.
        let CounterState { left, expires_at } = self.store.counter(&failures.row).await?;
        if left == 0 {
            let (destination, origin) = (destination.clone(), request.origin.clone());
            let notice = Notice::LogInLocked(LogInLocked { destination, at: Timestamp::now(), origin });
            if self.store.queue_lockout(&notice, &failures.row, expires_at).await? {
                metrics::lockout();
            }
        }
        Ok(Error::CredentialsNotValid { attempts_left: left })
    }

    /// Replaces an outdated or imported hash of a password that matched. The login has succeeded whether this does or not.
    async fn rehash(&self, member: MemberId, typed: &str, stored: &PasswordHash) {
        let rehashed = async {
            match self.passwords.upgrade(&self.keys, typed, stored)? {
                Some(hash) => self.store.replace_hash(member, StoredHash::Password(stored), &hash).await,
                None => Ok(()),
            }
        };
        if let Err(cause) = rehashed.await {
            tracing::warn!(%cause, "an outdated password hash was not replaced");
        }
    }

    async fn log_in_by_code(
        &self,
        destination: &Destination,
        typed: &str,
        verification: &str,
        request: &Request,
    ) -> Result<Reply<ServiceApi>, Error> {
        let purposes = [Purpose::LogIn, Purpose::Register];
        let requested = Token::open_verification(&self.keys, verification, &purposes)?;
        if requested.destination != *destination {
            return Err(Error::NotValid(Field::Verification));
        }
        let guess = self.code(typed, destination)?;
        let holder = CodeHolder::Flow(requested.flow);
        let code = self.verify_sent_code(destination, requested.purpose, holder, &guess, request).await?;
        let Some(member) = self.holder_of(&code).await? else {
            return Err(self.grant_registration(&code, request).await?);
        };
        member.require_not_frozen()?;
        self.change_rules().require_mature(&member, destination)?;
        let (method, proof) = (LogInMethod::from(destination), LogInProof::Code(&code));
        let reply = self.commit_log_in(&member, method, destination, proof, request).await?;
        self.record_verified(&code).await;
        Ok(reply)
    }

    /// Returns the member who has the destination of a code now. Only a code to register can have none.
    ///
    /// # Errors
    /// [`Error::CodeNotValid`] if the code was sent for a member whose sessions ended, or who has another address, since.
    async fn holder_of(&self, code: &VerifiedCode<Option<Basis>>) -> Result<Option<Member>, Error> {
        let destination = &code.binding.destination;
        match &code.basis {
            Some(basis) => {
                let member = self.store.member(basis.member).await?;
                let holds = |member: &Member| member.owns(destination) && basis.holds(member, destination);
                let member = member.filter(holds).ok_or(Error::CodeNotValid { attempts_left: 0 })?;
                Ok(Some(member))
            }
            None => match self.store.owner(destination).await? {
                Some(owner) => self.store.member(owner).await,
                None => Ok(None),
            },
        }
    }

    /// Exchanges a code for a grant to register, and returns the refusal of the login with that grant.
    async fn grant_registration(
        &self,
        code: &VerifiedCode<Option<Basis>>,
        request: &Request,
    ) -> Result<Error, Error> {
        let (grant, ttl) = (Grant::draw()?, self.settings.grant_ttl_seconds);
        let refusal = Error::MemberNotFound(Registration::new(grant.expose(), ttl));
        let sealed = self.seal_refusal::<ServiceApi>(request, &refusal)?;
        self.store.exchange(code, None, &grant, ttl, sealed.as_ref()).await?;
        self.record_verified(code).await;
        Ok(refusal)
    }

    /// Commits a login, and returns the reply with its session.
    async fn commit_log_in(
        &self,
        member: &Member,
        method: LogInMethod,
        destination: &Destination,
        proof: LogInProof<'_>,
        request: &Request,
    ) -> Result<Reply<ServiceApi>, Error> {
        let claims = Claims::of_log_in(member, method);
        let fields = LoggedIn {
            member: member.id,
            auth_time: claims.auth_time,
            amr: &claims.amr,
            device: Device::draw()?.token(&self.keys, destination),
        };
        let reply = Reply::service(&fields)?
            .with_session(self.issue_session(claims.clone())?)
            .with_lifetime(session::lifetime(&self.settings, claims.auth_time));
        let sealed = self.seal(request, &reply)?;
        self.store.commit_log_in(&claims, proof, &request.origin, sealed.as_ref()).await?;
        Ok(reply)
    }

    /// Returns the member who has a phone or an email address. Without one, it reads an item that does not exist.
    async fn member_with(&self, destination: &Destination) -> Result<Option<Member>, Error> {
        let owner = self.store.owner(destination).await?;
        let member = self.store.member(owner.unwrap_or(MemberId(Uuid::nil()))).await?;
        Ok(member.filter(|member| owner == Some(member.id)))
    }
}
