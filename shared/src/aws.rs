//! The AWS clients, which share one HTTP client, one TLS configuration, region, credentials and timeouts.
//!
//! Lambda provides the credentials in the environment. `aws-config` would also look for profiles, which slows down
//! every cold start.

use crate::{
    ExposeSecret,
    settings::{AwsSettings, KeysSource, Settings},
};
use aws_sdk_dynamodb::{
    config::{
        BehaviorVersion, Credentials, Region, SharedCredentialsProvider,
        interceptors::InterceptorContext,
        retry::{ClassifyRetry, RetryAction, RetryConfig},
        timeout::TimeoutConfig,
    },
    operation::{delete_item::DeleteItemError, put_item::PutItemError, update_item::UpdateItemError},
};
use aws_smithy_http_client::{Builder, tls};
use aws_types::SdkConfig;
use std::{sync::LazyLock, time::Duration};

/// The root certificates of Amazon Trust Services. Every endpoint of AWS's commercial partition has a chain to one.
const ROOTS: &[u8] = include_bytes!("../data/amazon-trust-services.pem");

/// Connecting within a region takes milliseconds. A second allows one retransmission of a lost packet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The timeout of one attempt. DynamoDB and SNS respond within tens of milliseconds, so a slower attempt is lost.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// The timeout of one call with all its attempts. Reading the secret therefore ends within the 10 s of init.
/// `lambda::guard` limits a request as a whole.
const OPERATION_TIMEOUT: Duration = Duration::from_millis(4_500);

/// Retries a single write after a conflict with a transaction on its item, which the SDK does not do.
#[derive(Debug)]
struct RetryTransactionConflict;

impl ClassifyRetry for RetryTransactionConflict {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let failed = context.output_or_error().and_then(Result::err);
        let is_conflict = failed.and_then(|error| error.as_operation_error()).is_some_and(|error| {
            let put = error.downcast_ref().is_some_and(PutItemError::is_transaction_conflict_exception);
            let update = error.downcast_ref().is_some_and(UpdateItemError::is_transaction_conflict_exception);
            let delete = error.downcast_ref().is_some_and(DeleteItemError::is_transaction_conflict_exception);
            put || update || delete
        });
        if is_conflict { RetryAction::transient_error() } else { RetryAction::NoActionIndicated }
    }

    fn name(&self) -> &'static str {
        "transaction conflict"
    }
}

/// A value that is built on first use. A function uses only one or two of the clients.
pub type Lazy<T> = LazyLock<T, Box<dyn FnOnce() -> T + Send>>;

fn lazy<T>(build: impl FnOnce() -> T + Send + 'static) -> Lazy<T> {
    LazyLock::new(Box::new(build))
}

/// Builds the clients of one process.
pub(crate) struct Clients {
    shared: SdkConfig,
}

impl Clients {
    /// Prepares the configuration that all clients share.
    ///
    /// # Errors
    /// Fails if the TLS configuration cannot be built.
    pub(crate) fn new(aws: &AwsSettings) -> Result<Self, crate::error::Cause> {
        let roots = tls::TrustStore::empty().with_pem_certificate(ROOTS);
        let http = Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
            .tls_context(tls::TlsContext::builder().with_trust_store(roots).build()?)
            .build_https();
        let credentials = Credentials::new(
            &aws.access_key_id,
            aws.secret_access_key.expose_secret(),
            aws.session_token.as_ref().map(|token| token.expose_secret().to_owned()),
            None,
            "environment",
        );
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let shared = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(aws.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(50)))
            .build();
        Ok(Self { shared })
    }

    pub(crate) fn dynamodb(&self, aws: &AwsSettings) -> Lazy<aws_sdk_dynamodb::Client> {
        let (shared, endpoint) = (self.shared.clone(), aws.dynamodb_endpoint.clone());
        lazy(move || {
            let mut config =
                aws_sdk_dynamodb::config::Builder::from(&shared).retry_classifier(RetryTransactionConflict);
            config.set_endpoint_url(endpoint);
            aws_sdk_dynamodb::Client::from_conf(config.build())
        })
    }

    /// Returns a client without retries, because a retry after a lost response would send a second SMS.
    pub(crate) fn sns(&self, aws: &AwsSettings) -> Lazy<aws_sdk_sns::Client> {
        let (shared, endpoint) = (self.shared.clone(), aws.sns_endpoint.clone());
        lazy(move || {
            let mut config =
                aws_sdk_sns::config::Builder::from(&shared).retry_config(RetryConfig::disabled());
            config.set_endpoint_url(endpoint);
            aws_sdk_sns::Client::from_conf(config.build())
        })
    }

    /// Returns a client without retries, because a retry after a lost response would send a second email.
    pub(crate) fn sesv2(&self, aws: &AwsSettings) -> Lazy<aws_sdk_sesv2::Client> {
        let (shared, endpoint) = (self.shared.clone(), aws.sesv2_endpoint.clone());
        lazy(move || {
            let mut config =
                aws_sdk_sesv2::config::Builder::from(&shared).retry_config(RetryConfig::disabled());
            config.set_endpoint_url(endpoint);
            aws_sdk_sesv2::Client::from_conf(config.build())
        })
    }

    /// Reads the secret that contains the keys.
    ///
    /// # Errors
    /// [`SecretError`] if it cannot be read.
    pub(crate) async fn secret(&self, settings: &Settings) -> Result<crate::Secret, SecretError> {
        let arn = match &settings.keys {
            KeysSource::Inline(text) => return Ok(text.clone()),
            KeysSource::SecretsManager(arn) => arn,
        };
        let mut config = aws_sdk_secretsmanager::config::Builder::from(&self.shared);
        config.set_endpoint_url(settings.aws.secrets_manager_endpoint.clone());
        let response = aws_sdk_secretsmanager::Client::from_conf(config.build())
            .get_secret_value()
            .secret_id(arn)
            .send()
            .await
            .map_err(|error| {
                use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
                SecretError(error.code().unwrap_or("no response").to_owned())
            })?;
        response
            .secret_string
            .map(Into::into)
            .ok_or_else(|| SecretError("it does not contain text".to_owned()))
    }
}

/// The secret cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the secret cannot be read: {0}")]
pub(crate) struct SecretError(String);
