//! What a handler may use. Built once a process, before the first request.

use crate::{
    aws::Clients,
    clock::Timestamp,
    error::{Cause, Error},
    keys::Keys,
    parameter::Field,
    password::{self, Password, PasswordPolicy},
    request::Request,
    send::sms::SmsSender,
    session::{self, Session},
    settings::Settings,
    store::{
        Store,
        counter::Counter,
        member::{Member, MemberId},
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
}

/// How long the first connection to the store may hold up the start: far more than a TLS handshake
/// within a region takes, and far less than the 10 s that Lambda gives to init.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

impl App {
    /// Reads the keys and opens the connection to the store, both at once.
    ///
    /// # Errors
    /// Where there are no keys. A store that does not answer yet is no reason not to start.
    pub async fn start(settings: Settings) -> Result<Self, Cause> {
        let clients = Clients::new(&settings.aws)?;
        let store = Store::new(clients.dynamodb(&settings.aws), settings.table_name.clone());
        let (secret, ()) = tokio::join!(clients.secret(&settings), connect(&store, &settings));
        let keys = Keys::parse(secret?.expose_secret())?;
        let sms = SmsSender::new(clients.sns(&settings.aws), settings.sms_sender_id.clone());
        Ok(Self { passwords: PasswordPolicy::from(&settings), settings, keys, store, sms })
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

    /// Takes a new login password, before it is known to be allowed: what is not acceptable costs nothing.
    ///
    /// # Errors
    /// [`Error::NotValid`] where it is not acceptable.
    pub fn acceptable_password(&self, typed: &str, member: Option<&Member>) -> Result<Password, Error> {
        let contacts = member.map(Member::contacts).unwrap_or_default();
        self.passwords.accept(typed, &contacts).ok_or(Error::NotValid(Field::NewPassword))
    }

    /// Counts a try of the member's login password on this session, then compares. The counter that
    /// is answered is to be cleared by the change that the right password allows.
    ///
    /// # Errors
    /// [`Error::NotValid`] where it is wrong or the member has none, [`Error::TooManyAttempts`].
    pub async fn check_password(
        &self,
        session: &Session,
        member: &Member,
        typed: &str,
    ) -> Result<Counter, Error> {
        let failures = Counter::lock(
            format!("password#{}#{}", member.id, session.claims.auth_time.0),
            self.settings.password_max_failures,
            self.settings.password_lock_seconds,
        );
        self.store.count(&failures).await?;
        let right = match &member.password {
            Some(kept) => password::verify(&self.keys, typed, kept)?,
            None => false,
        };
        if right { Ok(failures) } else { Err(Error::NotValid(Field::OldPassword)) }
    }
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
