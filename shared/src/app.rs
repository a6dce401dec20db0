//! The state of a function, built once per process before the first event.

use crate::{
    aws::Clients,
    domain::{keys::Keys, password::PasswordPolicy},
    error::{Cause, Error},
    http::site::Site,
    send::gate::Gate,
    settings::Settings,
    store::Store,
};
use secrecy::ExposeSecret;
use std::{borrow::Cow, future::Future, sync::Arc, time::Duration};

/// The state of a process, which is ready before its first event.
pub(crate) trait State: Sized + Send + Sync + 'static {
    /// Opens the connection that the first request needs.
    ///
    /// # Errors
    /// Fails if the store does not respond.
    fn warm(&self) -> impl Future<Output = Result<(), Error>> + Send;
}

/// The files of the account pages: names and contents.
pub type Files = Vec<(&'static str, Cow<'static, str>)>;

/// The state of `pages`. It has neither keys nor clients, so that its binary links none and starts faster.
#[derive(Debug)]
pub struct Pages {
    pub(crate) settings: Settings,
    files: fn() -> Files,
    /// The site, unless it is built for each request.
    built: Option<Arc<Site>>,
}

impl Pages {
    /// Builds the site of these files, or builds it again for each request if the files are `live`.
    pub(crate) fn new(settings: Settings, files: fn() -> Files, live: bool) -> Self {
        let built = (!live).then(|| Arc::new(Site::new(&files(), &settings)));
        Self { settings, files, built }
    }

    pub(crate) fn site(&self) -> Arc<Site> {
        self.built.clone().unwrap_or_else(|| Arc::new(Site::new(&(self.files)(), &self.settings)))
    }
}

impl State for Pages {
    async fn warm(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// The state of `authorize`. It has no passwords and no providers, so that its binary links none and starts faster: it
/// delays every call of the APIs that use it.
#[derive(Debug)]
pub struct Authorizer {
    pub(crate) settings: Settings,
    pub(crate) keys: Keys,
    pub(crate) store: Store,
}

impl Authorizer {
    /// Reads the keys and opens the connection to the store concurrently.
    ///
    /// # Errors
    /// Fails if the keys cannot be read or parsed.
    pub(crate) async fn start(settings: Settings) -> Result<Self, Cause> {
        let (_, keys, store) = connected(&settings).await?;
        Ok(Self { settings, keys, store })
    }
}

impl State for Authorizer {
    async fn warm(&self) -> Result<(), Error> {
        self.store.connect().await
    }
}

/// The state of a function: settings, keys, and clients. The flows extend it with the operations that handlers call.
#[derive(Debug)]
pub struct App {
    /// The settings.
    pub settings: Settings,
    /// The keys.
    pub keys: Keys,
    /// The rules for login passwords, and the cost of hashing them.
    pub passwords: PasswordPolicy,
    /// The table.
    pub store: Store,
    /// The way to the providers of SMS and email.
    pub gate: Gate,
}

/// The timeout for opening the first connection to the store. A TLS handshake within a region takes far less, and
/// Lambda allows 10 s for init.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

impl App {
    /// Reads the keys and opens the connection to the store concurrently. The function starts even if the store is
    /// unreachable.
    ///
    /// # Errors
    /// Fails if the keys cannot be read or parsed.
    pub async fn start(settings: Settings) -> Result<Self, Cause> {
        let (clients, keys, store) = connected(&settings).await?;
        let gate = Gate::new(clients.sns(&settings.aws), clients.sesv2(&settings.aws), &settings);
        Ok(Self { passwords: PasswordPolicy::from(&settings), settings, keys, store, gate })
    }
}

impl State for App {
    async fn warm(&self) -> Result<(), Error> {
        self.store.connect().await
    }
}

/// Reads the keys and opens the connection to the store concurrently.
async fn connected(settings: &Settings) -> Result<(Clients, Keys, Store), Cause> {
    let clients = Clients::new(&settings.aws)?;
    let store = Store::new(clients.dynamodb(&settings.aws), settings.table_name.clone());
    let (secret, ()) = tokio::join!(clients.secret(settings), connect(&store, settings));
    let keys = secret
        .map_err(Cause::from)
        .and_then(|secret| Ok(Keys::parse(secret.expose_secret())?))
        .map_err(|error| format!("{}: {error}", settings.keys.setting()))?;
    Ok((clients, keys, store))
}

/// Performs the TLS handshake during init, which has a whole core, instead of in the first request. Skips it for an
/// endpoint without TLS, such as the local stack's.
async fn connect(store: &Store, settings: &Settings) {
    let plain =
        settings.aws.dynamodb_endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    if !plain {
        // The first request fails if the store is still unreachable.
        let _ = tokio::time::timeout(CONNECT_LIMIT, store.connect()).await;
    }
}
