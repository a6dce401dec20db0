//! The audit trail: who changed what, when and from where.

use super::{
    Item, ItemKey, Store, closing::OperatorClosing, read, store_error, text, transaction::Transaction, write,
};
use crate::{
    clock::{self, Timestamp},
    domain::{
        audit::{Action, AdminAction, AuditEvent, Origin, Use},
        member::MemberId,
        notice::LogInLocked,
    },
    error::Error,
    random,
};
use serde::{Deserialize, Serialize};

/// How long a record is stored: 400 days, which is a year and the time to notice that something happened.
const RETENTION_SECONDS: u64 = 400 * 86_400;

/// A record. Item `audit#<member>` / `<milliseconds>#<uuid>`, or `audit#operator` for an action that concerns
/// no single member. It has a partition of its own, because a function that records a change may not put a member.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The action.
    pub action: AuditEvent,
    /// The time of the action.
    pub at: Timestamp,
    /// The MAC of the reference of the order that the action confirmed, if it confirmed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The operator, if one performed the action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The operator's reason to close a member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The origin of the request.
    #[serde(flatten)]
    pub origin: Origin,
    /// When the record expires.
    pub expires_at: Timestamp,
}

/// A record of any audit trail.
#[derive(Debug)]
pub struct TrailEntry {
    /// The member's id, or `operator`.
    pub subject: String,
    /// The record.
    pub record: Record,
    /// Orders the records of all trails by their time.
    pub sort_key: String,
}

/// The beginning of every trail's partition key.
pub(super) const PREFIX: &str = "audit#";

/// The subject of operators' actions that concern no single member.
const OPERATOR: &str = "operator";

fn partition(member: MemberId) -> String {
    format!("{PREFIX}{member}")
}

impl Record {
    fn of_operator(action: impl Into<AuditEvent>, actor: &str) -> Result<Self, Error> {
        let origin = Origin { request_id: random::uuid()?.to_string(), source_ip: None, user_agent: None };
        Ok(Self::new(action.into(), Some(actor.to_owned()), origin))
    }

    fn new(action: AuditEvent, actor: Option<String>, origin: Origin) -> Self {
        let at = Timestamp::now();
        let expires_at = at.plus(RETENTION_SECONDS);
        Self { action, at, reference: None, actor, reason: None, origin, expires_at }
    }

    /// Returns the item of a record that is written now. A service chooses its request ids, and can use one for several
    /// requests, so they do not identify a record.
    fn into_item(self, partition: String) -> Result<Item, Error> {
        let sort_key = format!("{:013}#{}", clock::now_millis(), random::uuid()?);
        write(self, ItemKey::new(partition, sort_key))
    }
}

impl TrailEntry {
    pub(super) fn read(item: Item) -> Result<Self, Error> {
        let ItemKey { pk, sk } = read(item.clone())?;
        let subject = pk.strip_prefix(PREFIX).unwrap_or_default().to_owned();
        Ok(Self { subject, record: read(item)?, sort_key: sk })
    }
}

impl Store {
    /// Returns a member's trail, the newest record first, at most one page (1 MB) of it.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn audit_trail(&self, member: MemberId) -> Result<Vec<Record>, Error> {
        self.latest_records(member, None).await
    }

    /// Returns the newest records of a member's trail, at most `limit` or one page (1 MB).
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn latest_records(
        &self,
        member: MemberId,
        limit: Option<i32>,
    ) -> Result<Vec<Record>, Error> {
        let output = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(partition(member)))
            .scan_index_forward(false)
            .set_limit(limit)
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| store_error(&error))?;
        output.items.unwrap_or_default().into_iter().map(read).collect()
    }

    /// Returns all records of a member's trail, the oldest first.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn whole_audit_trail(&self, member: MemberId) -> Result<Vec<Record>, Error> {
        self.partition(partition(member)).await
    }

    /// Records a lockout by failed logins. The same lockout is recorded once, however often its notice is delivered.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn record_lockout(&self, member: MemberId, locked: &LogInLocked) -> Result<(), Error> {
        let LogInLocked { at, origin, .. } = locked;
        let event = AuditEvent::Use(Use::LogInLocked);
        let expires_at = at.plus(RETENTION_SECONDS);
        let record = Record {
            action: event,
            at: *at,
            reference: None,
            actor: None,
            reason: None,
            origin: origin.clone(),
            expires_at,
        };
        let sort_key = format!("{:013}#{event}", at.0 * 1_000);
        self.put_once(write(record, ItemKey::new(partition(member), sort_key))?).await.map(drop)
    }

    /// Records an action of an operator on a member, or one that concerns no single member.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn record_action(
        &self,
        member: Option<MemberId>,
        action: AdminAction,
        actor: &str,
    ) -> Result<(), Error> {
        let partition = member.map_or_else(|| format!("{PREFIX}{OPERATOR}"), partition);
        let item = Record::of_operator(action, actor)?.into_item(partition)?;
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map(drop).map_err(|error| store_error(&error))
    }
}

impl Transaction {
    /// Adds the record of a change or of a use of the credentials.
    pub(super) fn record(
        &mut self,
        member: MemberId,
        event: impl Into<AuditEvent>,
        origin: &Origin,
    ) -> Result<(), Error> {
        self.put_record(member, Record::new(event.into(), None, origin.clone()))
    }

    /// Adds the record of a checked pay password, with the MAC of the order's reference.
    pub(super) fn record_check(
        &mut self,
        member: MemberId,
        reference: String,
        origin: &Origin,
    ) -> Result<(), Error> {
        let record = Record::new(Use::PayPasswordChecked.into(), None, origin.clone());
        self.put_record(member, Record { reference: Some(reference), ..record })
    }

    /// Adds the record of an operator's action on a member.
    pub(super) fn record_action(
        &mut self,
        member: MemberId,
        action: AdminAction,
        actor: &str,
    ) -> Result<(), Error> {
        self.put_record(member, Record::of_operator(action, actor)?)
    }

    /// Adds the record of a closing by an operator.
    pub(super) fn record_closing(
        &mut self,
        member: MemberId,
        OperatorClosing { actor, reason }: OperatorClosing<'_>,
    ) -> Result<(), Error> {
        let record = Record::of_operator(Action::Closed, actor)?;
        self.put_record(member, Record { reason: Some(reason.to_owned()), ..record })
    }

    fn put_record(&mut self, member: MemberId, record: Record) -> Result<(), Error> {
        let item = record.into_item(partition(member))?;
        self.put_new(item, |_| Error::internal("this action is already recorded"))
    }
}
