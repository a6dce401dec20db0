//! The secret that contains a deployment's keys.

use aws_sdk_secretsmanager::Client;
use aws_types::SdkConfig;
use shared::{ExposeSecret, Secret, keys::Keys, settings::KeysSource};

use crate::error::Error;

/// A placeholder for settings that the functions require and this command does not use.
pub const UNUSED: &str = "unused";

/// The secret that contains a deployment's keys.
pub struct KeysSecret {
    source: KeysSource,
    config: SdkConfig,
}

impl KeysSecret {
    /// Returns the secret at that source.
    pub fn new(source: KeysSource, config: SdkConfig) -> Self {
        Self { source, config }
    }

    /// Reads the secret and parses its keys.
    pub async fn keys(&self) -> Result<Keys, Error> {
        Ok(Keys::parse(self.read().await?.expose_secret())?)
    }

    /// Reads the secret's text.
    pub async fn read(&self) -> Result<Secret, Error> {
        if let KeysSource::Inline(text) = &self.source {
            return Ok(text.clone());
        }
        let response = self.client().get_secret_value().secret_id(self.id()?).send().await;
        let text = response.map_err(Error::from_call("Secrets Manager"))?.secret_string;
        text.map(Into::into).ok_or_else(|| {
            Error::NotFound("the secret has no text value; it must contain the keys as JSON".to_owned())
        })
    }

    /// Replaces the secret's text.
    pub async fn write(&self, text: String) -> Result<(), Error> {
        let put = self.client().put_secret_value().secret_id(self.id()?).secret_string(text);
        put.send().await.map(drop).map_err(Error::from_call("Secrets Manager"))
    }

    /// Returns the secret's name or ARN.
    fn id(&self) -> Result<&str, Error> {
        match &self.source {
            KeysSource::SecretsManager(id) if id != UNUSED => Ok(id),
            KeysSource::SecretsManager(_) => Err(Error::Usage(
                "this command needs the keys; with --table, pass --keys-secret ID".to_owned(),
            )),
            KeysSource::Inline(_) => {
                Err(Error::Usage("the keys of a local stack are in a file; pass --file FILE.keys".to_owned()))
            }
        }
    }

    fn client(&self) -> Client {
        Client::new(&self.config)
    }
}
