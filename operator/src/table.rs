//! Which table: a stack's, one by its name, or that of a local stack.

use std::{collections::BTreeMap, path::PathBuf};

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider},
    types::AttributeValue,
};
use aws_smithy_http_client::{Builder, tls};
use aws_types::SdkConfig;
use shared::{
    ExposeSecret, Secret,
    audit::Operation,
    contact::{Destination, Email},
    keys::Keys,
    settings::{KeysSource, Settings},
    store::{
        Store, audit,
        member::{Member, MemberId},
    },
};

use crate::{actor, environment, error::Error};

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
    #[arg(long, global = true, value_name = "ID", requires = "table")]
    keys_secret: Option<String>,
    /// With --table: another endpoint than AWS's own
    #[arg(long, global = true, value_name = "URL", requires = "table")]
    endpoint_url: Option<String>,
    /// The region, in the place of the profile's
    #[arg(long, global = true, value_name = "REGION")]
    region: Option<String>,
    /// The profile whose credentials are used
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,
}

/// A table, with what its functions know of it.
pub struct Table {
    /// The client.
    pub client: Client,
    /// Its name.
    pub name: String,
    /// The table as the functions have it.
    pub store: Store,
    /// The functions' settings.
    pub settings: Settings,
    /// Who runs the command.
    pub actor: String,
    config: SdkConfig,
}

/// What [`Settings`] wants of the environment and no command has a use for.
const UNUSED: &str = "unused";

impl Target {
    /// Whether a table is named.
    pub fn is_named(&self) -> bool {
        self.stack.is_some() || self.table.is_some() || self.env.is_some()
    }

    /// Finds the table.
    pub async fn open(&self) -> Result<Table, Error> {
        match (&self.stack, &self.table, &self.env) {
            (Some(stack), None, None) => self.of_stack(stack).await,
            (None, Some(table), None) => self.of_name(table).await,
            (None, None, Some(path)) => of_local(&environment::file(path)?),
            _ => Err(Error::Usage("say which table: --stack NAME, --table NAME, or --env FILE".to_owned())),
        }
    }

    /// Region and credentials by the ordinary chain: environment, profile, single sign-on, role.
    async fn aws(&self) -> SdkConfig {
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http_client());
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(url) = &self.endpoint_url {
            loader = loader.endpoint_url(url);
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
        // Another endpoint knows no identities.
        let actor = match &self.endpoint_url {
            Some(_) => actor::of_machine(),
            None => actor::of_account(&config).await?,
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
        .build();
    let endpoint = aws.dynamodb_endpoint.clone();
    Ok(Table::new(config, endpoint, settings, actor::of_machine()))
}

fn http_client() -> aws_sdk_dynamodb::config::SharedHttpClient {
    Builder::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc)).build_https()
}

impl Table {
    fn new(config: SdkConfig, endpoint: Option<String>, settings: Settings, actor: String) -> Self {
        let mut builder = aws_sdk_dynamodb::config::Builder::from(&config);
        if endpoint.is_some() {
            builder.set_endpoint_url(endpoint);
        }
        let client = Client::from_conf(builder.build());
        let name = settings.table_name.clone();
        Self { store: Store::of(client.clone(), name.clone()), client, name, settings, actor, config }
    }

    /// The keys.
    pub async fn keys(&self) -> Result<Keys, Error> {
        Ok(Keys::parse(self.secret().await?.expose_secret())?)
    }

    /// The text of the keys' secret.
    pub async fn secret(&self) -> Result<Secret, Error> {
        if let KeysSource::Inline(text) = &self.settings.keys {
            return Ok(text.clone());
        }
        let answer = self.secrets().get_secret_value().secret_id(self.secret_id()?).send().await;
        let text = answer.map_err(Error::of_call("Secrets Manager"))?.secret_string;
        text.map(Into::into).ok_or_else(|| Error::Absent("the secret holds no text".to_owned()))
    }

    /// The secret by its name or ARN.
    pub fn secret_id(&self) -> Result<&str, Error> {
        match &self.settings.keys {
            KeysSource::SecretsManager(id) if id != UNUSED => Ok(id),
            KeysSource::SecretsManager(_) => {
                Err(Error::Usage("with --table the keys are needed as well: --keys-secret ID".to_owned()))
            }
            KeysSource::Inline(_) => Err(Error::Usage(
                "the keys of a local stack are in its FILE.keys: --file FILE.keys".to_owned(),
            )),
        }
    }

    /// Secrets Manager.
    pub fn secrets(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.config)
    }

    /// The member of that id, phone or mail address.
    pub async fn find(&self, who: &str) -> Result<Member, Error> {
        let nobody = || Error::Absent("there is no such member".to_owned());
        let id = if let Ok(id) = who.parse() {
            MemberId(id)
        } else {
            let destination = match who.parse::<Email>() {
                Ok(email) => Destination::Email(email),
                Err(_) => Destination::Phone(self.settings.phones.parse(who).map_err(|_| {
                    Error::Usage("it is no id, no phone that is sent to, and no mail address".to_owned())
                })?),
            };
            self.store.owner(&destination).await?.ok_or_else(nobody)?
        };
        self.store.member(id).await?.ok_or_else(nobody)
    }

    /// Records what is done to a member, or to no one member.
    pub async fn record(&self, of: Option<MemberId>, operation: Operation) -> Result<(), Error> {
        let item = audit::operation(of, operation, &self.actor)?;
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        put.send().await.map(drop).map_err(Error::of_call("DynamoDB"))
    }

    /// Whether the table is marked as production. One whose marks cannot be read may be.
    pub async fn is_production(&self) -> Result<bool, Error> {
        let call = "DynamoDB";
        let described = self.client.describe_table().table_name(&self.name).send().await;
        let described = described.map_err(Error::of_call(call))?;
        let arn = described.table().and_then(|table| table.table_arn()).unwrap_or_default().to_owned();
        let mut token = None;
        loop {
            let tags = self.client.list_tags_of_resource().resource_arn(&arn).set_next_token(token);
            let page = tags.send().await.map_err(Error::of_call(call))?;
            if page.tags().iter().any(|tag| tag.key() == "environment" && tag.value() == "production") {
                return Ok(true);
            }
            token = page.next_token;
            if token.is_none() {
                return Ok(false);
            }
        }
    }
}

/// A text as DynamoDB has it.
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number as DynamoDB has it.
pub fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
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
