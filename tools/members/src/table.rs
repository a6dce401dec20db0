//! The table that a command works on.

use aws_sdk_dynamodb::{Client, types::TableDescription};
use aws_types::SdkConfig;
use shared::{
    contact::{Destination, Email},
    member::{Member, MemberId},
    settings::Settings,
    store::Store,
};

use crate::{error::Error, keys_secret::KeysSecret};

/// The table that a command works on, with the settings and the keys of its functions.
pub struct MemberTable {
    /// The table's items, which only the store reads and writes.
    pub store: Store,
    /// The functions' settings.
    pub settings: Settings,
    /// The functions' keys.
    pub keys_secret: KeysSecret,
    /// The identity that runs the command, for audit records.
    pub actor: String,
    /// For the table's description and tags.
    client: Client,
    name: String,
}

impl MemberTable {
    /// Returns the table that the settings name, at the given DynamoDB endpoint or at AWS's own.
    pub fn new(config: SdkConfig, endpoint: Option<String>, settings: Settings, actor: String) -> Self {
        let mut builder = aws_sdk_dynamodb::config::Builder::from(&config);
        if endpoint.is_some() {
            builder.set_endpoint_url(endpoint);
        }
        let client = Client::from_conf(builder.build());
        let name = settings.table_name.clone();
        let store = Store::from_client(client.clone(), name.clone());
        let keys_secret = KeysSecret::new(settings.keys.clone(), config);
        Self { store, settings, keys_secret, actor, client, name }
    }

    /// Finds a member by id, phone or email address.
    pub async fn find(&self, member: &str) -> Result<Member, Error> {
        let id = self.find_id(member).await?;
        self.store.member(id).await?.ok_or_else(not_found)
    }

    /// Finds the id of a member by phone or email address. An id is returned as it is, because a closed member has
    /// nothing else.
    pub async fn find_id(&self, member: &str) -> Result<MemberId, Error> {
        let member = member.trim();
        if let Ok(id) = member.parse() {
            return Ok(MemberId(id));
        }
        let destination = match member.parse::<Email>() {
            Ok(email) => Destination::Email(email),
            Err(_) => self.phone(member).ok_or_else(|| {
                Error::Usage(
                    "expected a member id, an allowed or international phone number, or an email address"
                        .to_owned(),
                )
            })?,
        };
        self.store.owner(&destination).await?.ok_or_else(not_found)
    }

    /// Parses a phone. A member can have a phone that is no longer allowed, which is found by its international form.
    fn phone(&self, text: &str) -> Option<Destination> {
        if let Ok(phone) = self.settings.phones.parse(text) {
            return Some(Destination::Phone(phone));
        }
        let digits: String = text.strip_prefix('+')?.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let is_international = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        Destination::try_from(format!("phone#+{digits}")).ok().filter(|_| is_international)
    }

    /// Returns a text that identifies this table, and that changes if the table is deleted and created again.
    pub async fn identity(&self) -> Result<String, Error> {
        let described = self.describe().await?;
        let (arn, id) = (described.table_arn().unwrap_or_default(), described.table_id().unwrap_or_default());
        Ok(format!("{arn} {id}"))
    }

    /// Whether the table is tagged `environment=production`. Fails if its tags cannot be read.
    pub async fn is_production(&self) -> Result<bool, Error> {
        let described = self.describe().await?;
        let arn = described.table_arn().unwrap_or_default();
        let mut token = None;
        loop {
            let tags = self.client.list_tags_of_resource().resource_arn(arn).set_next_token(token);
            let page = tags.send().await.map_err(Error::from_call("DynamoDB"))?;
            if page.tags().iter().any(|tag| tag.key() == "environment" && tag.value() == "production") {
                return Ok(true);
            }
            token = page.next_token;
            if token.is_none() {
                return Ok(false);
            }
        }
    }

    async fn describe(&self) -> Result<TableDescription, Error> {
        let described = self.client.describe_table().table_name(&self.name).send().await;
        let table = described.map_err(Error::from_call("DynamoDB"))?.table;
        table.ok_or_else(|| Error::NotFound(format!("DynamoDB did not describe table {}", self.name)))
    }
}

fn not_found() -> Error {
    Error::NotFound("no such member".to_owned())
}
