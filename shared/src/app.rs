//! What a handler may use. Built once a process, before the first request.

use crate::{
    aws::Clients,
    clock::Timestamp,
    contact::{Destination, Phone},
    domain::{
        code::{Holder, Purpose},
        keys::Keys,
        member::{Member, MemberId},
        password::{self, Password, PasswordHash, PasswordPolicy},
        pay_password,
        session::{self, Session},
        token::Token,
    },
    error::{Cause, Error, Field},
    http::{parameter::Parameter, reply::Reply, request::Request},
    metrics,
    send::{mail::MailSender, sms::SmsSender},
    settings::Settings,
    store::{
        Store,
        change::{Change, ChangedMeanwhile},
        counter::{self, Counter},
    },
};
use secrecy::ExposeSecret;
use std::time::Duration;

/// The bundle's working parts.
#[derive(Debug)]
pub struct App {
    /// The settings.
    pub settings: Settings,
    /// The keys.
    pub keys: Keys,
    /// The rules and costs of passwords.
    pub passwords: PasswordPolicy,
    /// The table.
    pub store: Store,
    /// SMS.
    pub sms: SmsSender,
    /// Mail.
    pub mail: MailSender,
}

/// How long the first connection to the store may hold up the start: far more than a TLS handshake
/// within a region takes, and far less than the 10 s that Lambda gives to init.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// How often a member is read for one request while other requests change them. Two at once is a finger that
/// taps twice; more are no person's.
const READS: u32 = 3;

impl App {
    /// Reads the keys and opens the connection to the store, both at once.
    ///
    /// # Errors
    /// Where there are no keys. A store that does not answer yet is no reason not to start.
    pub async fn start(settings: Settings) -> Result<Self, Cause> {
        let clients = Clients::new(&settings.aws)?;
        let store = Store::new(clients.dynamodb(&settings.aws), settings.table_name.clone());
        let (secret, ()) = tokio::join!(clients.secret(&settings), connect(&store, &settings));
        let keys = secret
            .map_err(Cause::from)
            .and_then(|secret| Ok(Keys::parse(secret.expose_secret())?))
            .map_err(|fault| format!("{}: {fault}", settings.keys.setting()))?;
        let sms = SmsSender::new(clients.sns(&settings.aws), settings.sms_sender_id.clone());
        let mail = MailSender::new(clients.sesv2(&settings.aws), settings.mail_from.clone());
        Ok(Self { passwords: PasswordPolicy::from(&settings), settings, keys, store, sms, mail })
    }

    /// Lets the handler answer, and anew where another request changed the member between its read and its
    /// write: of that request nothing was written.
    pub(crate) async fn handle<H, F>(&'static self, request: Request, handler: H) -> Result<Reply, Error>
    where
        H: Fn(&'static Self, Request) -> F,
        F: Future<Output = Result<Reply, Error>>,
    {
        for _ in 1..READS {
            match handler(self, request.clone()).await {
                Err(Error::Busy(cause)) if cause.is::<ChangedMeanwhile>() => (),
                answer => return answer,
            }
        }
        handler(self, request).await
    }

    /// The session that was sent with a request.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] where there is none, or not a good one.
    pub async fn session(&self, request: &Request) -> Result<Session, Error> {
        let token = request.session_token.as_ref().ok_or(Error::InvalidToken)?;
        let claims = session::verify(&self.keys, &self.settings, token.expose_secret())?;
        let member = self.store.member(claims.member).await?;
        match &member {
            Some(member) if member.credential_version != claims.credential_version => {
                Err(Error::InvalidToken)
            }
            _ => Ok(Session { claims, member }),
        }
    }

    /// The session that was sent with a request that needs none. One that is sent must still be good.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] where one was sent that is not.
    pub async fn session_if_sent(&self, request: &Request) -> Result<Option<Session>, Error> {
        match &request.session_token {
            Some(_) => self.session(request).await.map(Some),
            None => Ok(None),
        }
    }

    /// The session anew, after an answer that ended none.
    ///
    /// # Errors
    /// [`Error::Internal`] where signing fails.
    pub fn renewed(&self, session: &Session) -> Result<String, Error> {
        self.renew(session, session.claims.credential_version)
    }

    /// The session anew, where one was sent with a request that needs none.
    ///
    /// # Errors
    /// [`Error::Internal`] where signing fails.
    pub fn renewed_if_sent(&self, session: Option<&Session>) -> Result<Option<String>, Error> {
        session.map(|session| self.renewed(session)).transpose()
    }

    /// The session anew, under the member's credential version as it is now.
    ///
    /// # Errors
    /// [`Error::Internal`] where signing fails.
    pub fn renew(&self, session: &Session, credential_version: u64) -> Result<String, Error> {
        self.issue(session.claims.member, credential_version, session.claims.auth_time)
    }

    /// A session of a member who logged in at `auth_time`.
    ///
    /// # Errors
    /// [`Error::Internal`] where signing fails.
    pub fn issue(
        &self,
        member: MemberId,
        credential_version: u64,
        auth_time: Timestamp,
    ) -> Result<String, Error> {
        session::issue(&self.keys, &self.settings, member, credential_version, auth_time)
    }

    /// Reads a phone number that a person typed.
    ///
    /// # Errors
    /// [`Error::NotValid`].
    pub fn phone(&self, typed: &str) -> Result<Phone, Error> {
        self.settings.phones.parse(typed).map_err(|_| Error::NotValid(Field::Phone))
    }

    /// Reads a mail address that a person typed.
    ///
    /// # Errors
    /// [`Error::NotValid`].
    pub fn email(&self, typed: &str) -> Result<Destination, Error> {
        typed.parse().map(Destination::Email).map_err(|_| Error::NotValid(Field::Email))
    }

    /// In whose hands a member's code must be: the member's, and, where a token was sent as well, those
    /// of its flow.
    ///
    /// # Errors
    /// [`Error::NotValid`] for a token of another destination or purpose.
    pub fn holder(
        &self,
        member: &Member,
        destination: &Destination,
        purpose: Purpose,
        verification: Option<&str>,
    ) -> Result<Holder, Error> {
        let Some(verification) = verification else { return Ok(Holder::Member(member.id)) };
        let asked = Token::open_verification(&self.keys, verification, &[purpose])?;
        if asked.destination != *destination {
            return Err(Error::NotValid(Field::Verification));
        }
        Ok(Holder::MemberInFlow(member.id, asked.flow))
    }

    /// Takes a new login password, before it is known to be allowed: what is not acceptable costs nothing.
    ///
    /// # Errors
    /// [`Error::NotValid`] where it is not acceptable.
    pub fn acceptable_password(&self, typed: &str, member: Option<&Member>) -> Result<Password, Error> {
        let contacts = member.map(Member::contacts).unwrap_or_default();
        self.passwords.accept(typed, &contacts).ok_or(Error::NotValid(Field::NewPassword))
    }

    /// Takes a new pay password.
    ///
    /// # Errors
    /// [`Error::NotValid`] where it is not acceptable.
    pub fn acceptable_pay_password(&self, typed: &str, member: &Member) -> Result<Password, Error> {
        pay_password::accept(typed, member.phone.as_ref()).ok_or(Error::NotValid(Field::PayPassword))
    }

    /// Hashes a password that was found acceptable.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn hash(&self, password: &Password) -> Result<PasswordHash, Error> {
        self.passwords.hash(&self.keys, password)
    }

    /// Makes a change, and answers with the reply once it is made.
    ///
    /// # Errors
    /// As [`Store::make`].
    pub async fn make(&self, change: Change<'_>, reply: Reply) -> Result<Reply, Error> {
        let sealed = self.sealed(change.request(), &reply)?;
        self.store.make(&change, sealed.as_ref()).await?;
        metrics::change(change.action());
        if let Some(code) = change.code() {
            self.came_back(code).await;
        }
        Ok(reply)
    }

    /// Counts a try of the member's login password on this session, then compares.
    ///
    /// # Errors
    /// [`Error::NotValid`] where it is wrong or the member has none, [`Error::TooManyAttempts`].
    pub async fn check_password(
        &self,
        session: &Session,
        member: &Member,
        typed: &str,
    ) -> Result<Right, Error> {
        let failures = Counter::lock(
            counter::of_password(member.id),
            self.settings.password_max_failures,
            self.settings.password_lock_seconds,
        )
        .part(session.claims.auth_time.0.to_string());
        self.check(failures, member.password.as_ref(), typed).await
    }

    /// Asks for a recent login, or the login `password` in its place, before a phone or a mail address
    /// is replaced: with either, whoever found a session open could take the account over by a recovery.
    ///
    /// # Errors
    /// [`Error::ReauthenticationRequired`], or as [`App::check_password`].
    pub async fn reauthenticate(
        &self,
        session: &Session,
        member: &Member,
        request: &Request,
    ) -> Result<Option<Right>, Error> {
        if let Some(password) = request.optional(Parameter::Password) {
            return self.check_password(session, member, password).await.map(Some);
        }
        let recent = session.claims.auth_time.plus(self.settings.reauthentication_seconds) > Timestamp::now();
        if recent { Ok(None) } else { Err(Error::ReauthenticationRequired) }
    }

    /// Counts a try of the pay password, then compares.
    ///
    /// # Errors
    /// [`Error::PayPasswordNotSet`], [`Error::NotValid`] where it is wrong, [`Error::TooManyAttempts`].
    pub async fn check_pay_password(&self, member: &Member, typed: &str) -> Result<Right, Error> {
        let kept = member.pay_password.as_ref().ok_or(Error::PayPasswordNotSet)?;
        self.check(self.pay_password_failures(member), Some(kept), typed).await
    }

    /// The row of wrong pay passwords, which a lock of `PAY_PASSWORD_LOCK_SECONDS` ends.
    #[must_use]
    pub fn pay_password_failures(&self, member: &Member) -> Counter {
        Counter::lock(
            counter::of_pay_password(member.id),
            self.settings.pay_password_max_failures,
            self.settings.pay_password_lock_seconds,
        )
    }

    async fn check(
        &self,
        failures: Counter,
        kept: Option<&PasswordHash>,
        typed: &str,
    ) -> Result<Right, Error> {
        let left = self.store.count(&failures).await?;
        let kept = match kept {
            Some(kept) if password::verify(&self.keys, typed, kept)? => kept,
            Some(_) | None => {
                metrics::wrong_try(left);
                return Err(Error::NotValid(Field::OldPassword));
            }
        };
        let outdated = self.passwords.is_outdated(&self.keys, kept);
        let rehashed = outdated.then(|| self.hash(&Password::existing(typed))).transpose()?;
        Ok(Right { failures, rehashed })
    }
}

/// A password that was right.
#[derive(Debug)]
pub struct Right {
    /// The row of failures that it ends, with the change that it allows.
    pub failures: Counter,
    /// The same password under the settings of now, where its hash had fallen behind them.
    pub rehashed: Option<PasswordHash>,
}

/// Gets the TLS handshake out of the first request's way, while init still has a whole processor. An
/// endpoint without TLS, such as the local stack's, has no handshake.
async fn connect(store: &Store, settings: &Settings) {
    let plain =
        settings.aws.dynamodb_endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    if !plain {
        // A store that does not answer yet is no reason not to start: the first request will tell.
        let _ = tokio::time::timeout(CONNECT_LIMIT, store.connect()).await;
    }
}
