//! The table: who is in it, what is written to it, and the keys beside it.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, CancellationReason, Put, TableDescription, TransactWriteItem, builders::PutBuilder,
    },
};
use aws_types::SdkConfig;
use shared::{
    ExposeSecret, Secret,
    audit::Operation,
    contact::{Destination, Email},
    keys::Keys,
    member::{Member, MemberId},
    random,
    settings::{KeysSource, Settings},
    store::{Item, Store, audit},
};

use crate::error::Error;

/// What [`Settings`] wants of the environment and no command has a use for.
pub const UNUSED: &str = "unused";

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

impl Table {
    /// A table under those settings, at AWS's own endpoint or another.
    pub fn new(config: SdkConfig, endpoint: Option<String>, settings: Settings, actor: String) -> Self {
        let mut builder = aws_sdk_dynamodb::config::Builder::from(&config);
        if endpoint.is_some() {
            builder.set_endpoint_url(endpoint);
        }
        let client = Client::from_conf(builder.build());
        let name = settings.table_name.clone();
        Self {
            store: Store::from_client(client.clone(), name.clone()),
            client,
            name,
            settings,
            actor,
            config,
        }
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

    /// All items of a partition.
    pub async fn partition(&self, pk: String) -> Result<Vec<Item>, Error> {
        let query = self.client.query().table_name(&self.name).consistent_read(true);
        let query = query.key_condition_expression("pk = :pk").expression_attribute_values(":pk", text(pk));
        let items = query.into_paginator().items().send().collect::<Result<_, _>>().await;
        items.map_err(Error::of_call("DynamoDB"))
    }

    /// A write of a transaction.
    pub fn put(&self, put: PutBuilder) -> Result<TransactWriteItem, Error> {
        let put = put.table_name(&self.name).build().map_err(Error::internal)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// The record of what is done to a member, as a write of the transaction that does it.
    pub fn record_of(&self, of: MemberId, operation: Operation) -> Result<TransactWriteItem, Error> {
        self.put(Put::builder().set_item(Some(audit::operation(Some(of), operation, &self.actor)?)))
    }

    /// Sends a transaction that nothing but another one can be in the way of, until none is.
    pub async fn write(&self, writes: Vec<TransactWriteItem>) -> Result<(), Error> {
        for attempt in 0..ATTEMPTS {
            match self.transact(writes.clone()).await? {
                Sent::Written => return Ok(()),
                Sent::Refused(reasons) if reasons.iter().any(has_failed) => {
                    return Err(Error::Absent("there is no such member any more".to_owned()));
                }
                Sent::Refused(_) => yield_to_others(attempt).await,
            }
        }
        Err(Error::contended())
    }

    /// Sends a transaction once; the SDK tries again where no answer comes, under the same token.
    pub async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<Sent, Error> {
        let token = random::uuid().map_err(Error::internal)?.to_string();
        let request = self.client.transact_write_items().set_transact_items(Some(writes));
        match request.client_request_token(token).send().await {
            Ok(_) => Ok(Sent::Written),
            Err(error) => match canceled(&error) {
                Some(reasons) => Ok(Sent::Refused(reasons)),
                None => Err(Error::of_call("DynamoDB")(error)),
            },
        }
    }

    /// Records what is done to a member, or to no one member.
    pub async fn record(&self, of: Option<MemberId>, operation: Operation) -> Result<(), Error> {
        let item = audit::operation(of, operation, &self.actor)?;
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        put.send().await.map(drop).map_err(Error::of_call("DynamoDB"))
    }

    /// What tells this table from every other, and from one that had its name before.
    pub async fn identity(&self) -> Result<String, Error> {
        let described = self.describe().await?;
        let (arn, id) = (described.table_arn().unwrap_or_default(), described.table_id().unwrap_or_default());
        Ok(format!("{arn} {id}"))
    }

    async fn describe(&self) -> Result<TableDescription, Error> {
        let described = self.client.describe_table().table_name(&self.name).send().await;
        let table = described.map_err(Error::of_call("DynamoDB"))?.table;
        table.ok_or_else(|| Error::Absent(format!("there is no table {}", self.name)))
    }

    /// Whether the table is marked as production. One whose marks cannot be read may be.
    pub async fn is_production(&self) -> Result<bool, Error> {
        let described = self.describe().await?;
        let arn = described.table_arn().unwrap_or_default();
        let mut token = None;
        loop {
            let tags = self.client.list_tags_of_resource().resource_arn(arn).set_next_token(token);
            let page = tags.send().await.map_err(Error::of_call("DynamoDB"))?;
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

/// What came of a transaction.
pub enum Sent {
    /// All of it is written.
    Written,
    /// Nothing is; why not, by item.
    Refused(Vec<CancellationReason>),
}

/// How often a write is tried that others are in the way of.
pub const ATTEMPTS: u32 = 8;

/// Waits until those who are in the way should be done.
pub async fn yield_to_others(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(25) * 2_u32.saturating_pow(attempt)).await;
}

/// Whether a write was refused by its condition.
pub fn has_failed(reason: &CancellationReason) -> bool {
    reason.code() == Some("ConditionalCheckFailed")
}

fn canceled<R>(error: &SdkError<TransactWriteItemsError, R>) -> Option<Vec<CancellationReason>> {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
            Some(canceled.cancellation_reasons().to_vec())
        }
        _ => None,
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
