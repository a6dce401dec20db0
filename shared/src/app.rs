//! The working parts of a function, built once per process before the first request.

use crate::{
    aws::Clients,
    domain::{keys::Keys, password::PasswordPolicy},
    error::Cause,
    send::{email::EmailSender, sms::SmsSender},
    settings::Settings,
    store::Store,
};
use secrecy::ExposeSecret;
use std::time::Duration;

/// The working parts of a function. The flows extend it with the steps of a handler.
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
    /// The SMS provider.
    pub sms: SmsSender,
    /// The email provider.
    pub email: EmailSender,
}

/// The time limit for opening the first connection to the store: far more than a TLS handshake within a region takes,
/// and far less than the 10 s that Lambda gives to init.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

impl App {
    /// Reads the keys and opens the connection to the store, both at once. The function starts even if the store cannot
    /// be reached yet.
    ///
    /// # Errors
    /// Fails if the keys cannot be read.
    pub async fn start(settings: Settings) -> Result<Self, Cause> {
        let clients = Clients::new(&settings.aws)?;
        let store = Store::new(clients.dynamodb(&settings.aws), settings.table_name.clone());
        let (secret, ()) = tokio::join!(clients.secret(&settings), connect(&store, &settings));
        let keys = secret
            .map_err(Cause::from)
            .and_then(|secret| Ok(Keys::parse(secret.expose_secret())?))
            .map_err(|error| format!("{}: {error}", settings.keys.setting()))?;
        let sms = SmsSender::new(clients.sns(&settings.aws), settings.sms_sender_id.clone());
        let email = EmailSender::new(clients.sesv2(&settings.aws), settings.mail_from.clone());
        Ok(Self { passwords: PasswordPolicy::from(&settings), settings, keys, store, sms, email })
    }
}

/// Takes the TLS handshake out of the first request, while init still has a whole processor. An endpoint without TLS,
/// such as the local stack's, has no handshake.
async fn connect(store: &Store, settings: &Settings) {
    let plain =
        settings.aws.dynamodb_endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    if !plain {
        // The first request reports a store that cannot be reached.
        let _ = tokio::time::timeout(CONNECT_LIMIT, store.connect()).await;
    }
}
