//! The options that choose a table: a CloudFormation stack's, one by its name, or a local stack's.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, timeout::TimeoutConfig,
};
use aws_smithy_http_client::{Builder, tls};
use aws_types::SdkConfig;
use shared::{ExposeSecret, settings::Settings};

use crate::{actor, environment, error::Error, keys_secret::UNUSED, table::MemberTable};

/// Which table a command works on.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Target")]
pub struct Target {
    /// Use the table, the keys and the settings of a CloudFormation stack
    #[arg(long, global = true, value_name = "NAME", conflicts_with_all = ["table", "env"])]
    stack: Option<String>,
    /// Use a table by its name; the settings are read from environment variables of the same names
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "env")]
    table: Option<String>,
    /// Use the table, the keys and the settings of a local stack, as written by `cargo run -- --env FILE`
    #[arg(long, global = true, value_name = "FILE")]
    env: Option<PathBuf>,
    /// With --table: the name or ARN of the secret that contains the keys
    #[arg(long, global = true, value_name = "ID")]
    keys_secret: Option<String>,
    /// With --table: a DynamoDB endpoint other than AWS's own
    #[arg(long, global = true, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The AWS region, instead of the profile's
    #[arg(long, global = true, value_name = "REGION")]
    region: Option<String>,
    /// The AWS profile that provides the credentials
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,
}

impl Target {
    /// Whether the command line names a table.
    pub fn is_named(&self) -> bool {
        self.stack.is_some() || self.table.is_some() || self.env.is_some()
    }

    /// Finds the table, and reads its settings.
    pub async fn open(&self) -> Result<MemberTable, Error> {
        // clap would check `requires` before it parses the options that follow the subcommand.
        if self.table.is_none() && (self.keys_secret.is_some() || self.endpoint_url.is_some()) {
            return Err(Error::Usage("--keys-secret and --endpoint-url require --table NAME".to_owned()));
        }
        match (&self.stack, &self.table, &self.env) {
            (Some(stack), None, None) => self.open_stack(stack).await,
            (None, Some(table), None) => self.open_table(table).await,
            (None, None, Some(path)) => open_local(&environment::file(path)?),
            _ => Err(Error::Usage(
                "no table is named; pass --stack NAME, --table NAME or --env FILE".to_owned(),
            )),
        }
    }

    /// Loads region and credentials by AWS's default chain: environment, profile, single sign-on, role.
    async fn load_config(&self) -> SdkConfig {
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http_client())
            .timeout_config(timeouts());
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        loader.load().await
    }

    async fn open_stack(&self, name: &str) -> Result<MemberTable, Error> {
        let config = self.load_config().await;
        let client = aws_sdk_cloudformation::Client::new(&config);
        let response = client.describe_stacks().stack_name(name).send().await;
        let response = response.map_err(Error::from_call("CloudFormation"))?;
        let stack =
            response.stacks().first().ok_or_else(|| Error::NotFound(format!("no such stack: {name}")))?;
        let output = |key: &str| {
            let output = stack.outputs().iter().find(|output| output.output_key() == Some(key));
            let value = output.and_then(|output| output.output_value());
            value.map(str::to_owned).ok_or_else(|| {
                Error::NotFound(format!(
                    "stack {name} has no output {key}; deploy it from this version's template"
                ))
            })
        };
        let (table, secret) = (output("TableName")?, output("KeysSecretArn")?);
        let parameters: BTreeMap<_, _> = stack
            .parameters()
            .iter()
            .filter_map(|parameter| Some((parameter.parameter_key()?, parameter.parameter_value()?)))
            .collect();
        let settings = read_settings(&table, Some(&secret), |name| {
            parameters.get(parameter_name(name).as_str()).map(|&value| value.to_owned())
        })?;
        let actor = actor::aws_identity(&config).await?;
        Ok(MemberTable::new(config, None, settings, actor))
    }

    async fn open_table(&self, table: &str) -> Result<MemberTable, Error> {
        let config = self.load_config().await;
        let settings = read_settings(table, self.keys_secret.as_deref(), environment::variable)?;
        // A database on this machine has no identities.
        let actor = match self.endpoint_url.as_deref().map(is_local_url) {
            Some(true) => actor::local_user(),
            Some(false) | None => actor::aws_identity(&config).await?,
        };
        Ok(MemberTable::new(config, self.endpoint_url.clone(), settings, actor))
    }
}

fn open_local(variables: &BTreeMap<String, String>) -> Result<MemberTable, Error> {
    let settings = Settings::read(|name| variables.get(name).cloned())?;
    let aws = &settings.aws;
    let secret = aws.secret_access_key.expose_secret();
    // The access key id distinguishes this command's requests from those of the stack's functions.
    let credentials = Credentials::new("members", secret, None, None, "environment file");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(aws.region.clone()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client())
        .timeout_config(timeouts())
        .build();
    let endpoint = aws.dynamodb_endpoint.clone();
    Ok(MemberTable::new(config, endpoint, settings, actor::local_user()))
}

/// Reads the functions' settings by `lookup`, with placeholders for those that only a function needs.
fn read_settings(
    table: &str,
    secret: Option<&str>,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Settings, Error> {
    let settings = Settings::read(|name| match name {
        "TABLE_NAME" => Some(table.to_owned()),
        "KEYS" => None,
        "KEYS_SECRET_ARN" => Some(secret.unwrap_or(UNUSED).to_owned()),
        name if name.starts_with("AWS_ENDPOINT_URL") => None,
        name if name.starts_with("AWS_") => Some(UNUSED.to_owned()),
        name => lookup(name),
    });
    Ok(settings?)
}

/// Returns the name of the template parameter for a setting.
fn parameter_name(setting: &str) -> String {
    let camel_case = |word: &str| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        first.to_owned() + &rest.to_lowercase()
    };
    setting.split('_').map(camel_case).collect()
}

/// Whether a URL points to this machine.
fn is_local_url(url: &str) -> bool {
    let authority = url.split("://").nth(1).unwrap_or_default().split('/').next().unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    ["localhost", "127.0.0.1", "[::1]"].contains(&host)
}

/// The SDK has no overall timeout by default: a lost connection would hang the command.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_mins(1))
        .build()
}

fn http_client() -> aws_sdk_dynamodb::config::SharedHttpClient {
    Builder::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc)).build_https()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_name_becomes_a_camel_case_parameter() {
        assert_eq!(parameter_name("ALLOWED_REGIONS"), "AllowedRegions");
        assert_eq!(parameter_name("ARGON2_MEMORY_KIB"), "Argon2MemoryKib");
    }

    #[test]
    fn stack_parameters_become_settings() {
        let lookup = |name: &str| (name == "ALLOWED_REGIONS").then(|| "CN,DE".to_owned());
        let settings = read_settings("accounts", None, lookup).unwrap();
        assert!(settings.phones.parse("+4915112345678").is_ok());
    }
}
