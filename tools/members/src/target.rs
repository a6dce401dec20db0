//! Which table: a stack's, one by its name, or that of a local stack.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, timeout::TimeoutConfig,
};
use aws_smithy_http_client::{Builder, tls};
use aws_types::SdkConfig;
use shared::{ExposeSecret, settings::Settings};

use crate::{
    actor, environment,
    error::Error,
    table::{Table, UNUSED},
};

/// Which table a command works on.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which table")]
pub struct Target {
    /// The table, the keys and the settings of a CloudFormation stack
    #[arg(long, global = true, value_name = "NAME", conflicts_with_all = ["table", "env"])]
    stack: Option<String>,
    /// A table by its name; settings come from environment variables of their names
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "env")]
    table: Option<String>,
    /// The table, the keys and the settings of a local stack, as `cargo run -- --env FILE` wrote them
    #[arg(long, global = true, value_name = "FILE")]
    env: Option<PathBuf>,
    /// With --table: the secret that holds the keys, by its name or ARN
    #[arg(long, global = true, value_name = "ID")]
    keys_secret: Option<String>,
    /// With --table: another endpoint of DynamoDB than AWS's own
    #[arg(long, global = true, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The region, in the place of the profile's
    #[arg(long, global = true, value_name = "REGION")]
    region: Option<String>,
    /// The profile whose credentials are used
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,
}

impl Target {
    /// Whether a table is named.
    pub fn is_named(&self) -> bool {
        self.stack.is_some() || self.table.is_some() || self.env.is_some()
    }

    /// Finds the table.
    pub async fn open(&self) -> Result<Table, Error> {
        // What clap would ask for before it has seen the options behind the command.
        if self.table.is_none() && (self.keys_secret.is_some() || self.endpoint_url.is_some()) {
            return Err(Error::Usage("--keys-secret and --endpoint-url go with --table NAME".to_owned()));
        }
        match (&self.stack, &self.table, &self.env) {
            (Some(stack), None, None) => self.of_stack(stack).await,
            (None, Some(table), None) => self.of_name(table).await,
            (None, None, Some(path)) => of_local(&environment::file(path)?),
            _ => Err(Error::Usage("say which table: --stack NAME, --table NAME, or --env FILE".to_owned())),
        }
    }

    /// Region and credentials by the ordinary chain: environment, profile, single sign-on, role.
    async fn aws(&self) -> SdkConfig {
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

    async fn of_stack(&self, name: &str) -> Result<Table, Error> {
        let config = self.aws().await;
        let client = aws_sdk_cloudformation::Client::new(&config);
        let answer = client.describe_stacks().stack_name(name).send().await;
        let answer = answer.map_err(Error::of_call("CloudFormation"))?;
        let stack = answer.stacks().first().ok_or_else(|| Error::Absent(format!("no stack {name}")))?;
        let output = |key: &str| {
            let output = stack.outputs().iter().find(|output| output.output_key() == Some(key));
            let value = output.and_then(|output| output.output_value());
            value
                .map(str::to_owned)
                .ok_or_else(|| Error::Absent(format!("the stack {name} has no output {key}")))
        };
        let (table, secret) = (output("TableName")?, output("KeysSecretArn")?);
        let parameters: BTreeMap<_, _> = stack
            .parameters()
            .iter()
            .filter_map(|parameter| Some((parameter.parameter_key()?, parameter.parameter_value()?)))
            .collect();
        let settings = settings(&table, Some(&secret), |name| {
            parameters.get(camel(name).as_str()).map(|&value| value.to_owned())
        })?;
        let actor = actor::of_account(&config).await?;
        Ok(Table::new(config, None, settings, actor))
    }

    async fn of_name(&self, table: &str) -> Result<Table, Error> {
        let config = self.aws().await;
        let settings = settings(table, self.keys_secret.as_deref(), environment::variable)?;
        // A database on this machine knows no identities.
        let actor = match self.endpoint_url.as_deref().map(is_of_machine) {
            Some(true) => actor::of_machine(),
            Some(false) | None => actor::of_account(&config).await?,
        };
        Ok(Table::new(config, self.endpoint_url.clone(), settings, actor))
    }
}

/// The functions' settings, of which the template's parameters have the names.
fn settings(
    table: &str,
    secret: Option<&str>,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Settings, Error> {
    let settings = Settings::read(|name| match name {
        "TABLE_NAME" => Some(table.to_owned()),
        "KEYS" => None,
        "KEYS_SECRET_ARN" => Some(secret.unwrap_or(UNUSED).to_owned()),
        name if name.starts_with("AWS_") => Some(UNUSED.to_owned()),
        name => lookup(name),
    });
    Ok(settings?)
}

fn camel(name: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        first.to_owned() + &rest.to_lowercase()
    };
    name.split('_').map(word).collect()
}

fn of_local(variables: &BTreeMap<String, String>) -> Result<Table, Error> {
    let settings = Settings::read(|name| variables.get(name).cloned())?;
    let aws = &settings.aws;
    let secret = aws.secret_access_key.expose_secret();
    // So the stack's own requests can be told from a command's.
    let credentials = Credentials::new("members", secret, None, None, "environment file");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(aws.region.clone()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client())
        .timeout_config(timeouts())
        .build();
    let endpoint = aws.dynamodb_endpoint.clone();
    Ok(Table::new(config, endpoint, settings, actor::of_machine()))
}

fn is_of_machine(url: &str) -> bool {
    let authority = url.split("://").nth(1).unwrap_or_default().split('/').next().unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    ["localhost", "127.0.0.1", "[::1]"].contains(&host)
}

/// What hangs ends, and is told.
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
    fn a_settings_parameter_has_its_name_in_camel_case() {
        assert_eq!(camel("ALLOWED_CALLING_CODES"), "AllowedCallingCodes");
        assert_eq!(camel("ARGON2_MEMORY_KIB"), "Argon2MemoryKib");
    }

    #[test]
    fn a_stacks_parameters_are_its_settings() {
        let lookup = |name: &str| (name == "ALLOWED_CALLING_CODES").then(|| "86,49".to_owned());
        let settings = settings("accounts", None, lookup).unwrap();
        assert!(settings.phones.parse("+4915112345678").is_ok());
    }
}
