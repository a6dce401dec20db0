//! The audit trail: who changed what, when, and from where.

use super::{Item, ItemKey, Store, read, store_error, text, transaction::Transaction, write};
use crate::{
    clock::{self, Timestamp},
    domain::{
        audit::{Action, AdminAction, AuditEvent, Origin},
        member::MemberId,
    },
    error::Error,
    random,
};
use aws_sdk_dynamodb::types::Put;
use serde::{Deserialize, Serialize};

/// How long a record is kept: 400 days, a year and the time to notice.
const RETENTION_SECONDS: u64 = 400 * 86_400;

/// A record. Item `audit#<member>` / `<milliseconds>#<request id>`: a partition of its own, so that who records a
/// change need not be allowed to put a member.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// What was done.
    pub action: AuditEvent,
    /// When.
    pub at: Timestamp,
    /// The operator who did it, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// From where.
    #[serde(flatten)]
    pub origin: Origin,
    /// When the record goes.
    pub expires_at: Timestamp,
}

/// No record is written over.
const ABSENT: &str = "attribute_not_exists(pk)";

fn partition(of: MemberId) -> String {
    format!("{PREFIX}{of}")
}

/// What the partition of every trail begins with.
pub const PREFIX: &str = "audit#";

/// The end of the partition in which stands what operators do that concerns no one member.
pub const OPERATOR: &str = "operator";

/// The item of what an operator does now, to a member or to no one member.
///
/// # Errors
/// [`Error::Internal`] where there is no randomness.
pub fn operation(of: Option<MemberId>, operation: AdminAction, actor: &str) -> Result<Item, Error> {
    let at = Timestamp::now();
    let record = Record {
        action: AuditEvent::AdminAction(operation),
        at,
        actor: Some(actor.to_owned()),
        origin: Origin { request_id: random::uuid()?.to_string(), source_ip: None, user_agent: None },
        expires_at: at.plus(RETENTION_SECONDS),
    };
    let pk = of.map_or_else(|| format!("{PREFIX}{OPERATOR}"), partition);
    let sk = sort_key(&record.origin);
    write(record, ItemKey::new(pk, sk))
}

fn sort_key(origin: &Origin) -> String {
    format!("{:013}#{}", clock::now_millis(), origin.request_id)
}

impl Store {
    /// The member's trail, the newest first, at most one page (1 MB) of it.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn audit_trail(&self, member: MemberId) -> Result<Vec<Record>, Error> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(partition(member)))
            .scan_index_forward(false)
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| store_error(&error))?;
        answer.items.unwrap_or_default().into_iter().map(read).collect()
    }
}

impl Transaction {
    /// Adds the record of a change.
    pub(super) fn record(&mut self, of: MemberId, action: Action, origin: &Origin) -> Result<(), Error> {
        let at = Timestamp::now();
        let record = Record {
            action: AuditEvent::Change(action),
            at,
            actor: None,
            origin: origin.clone(),
            expires_at: at.plus(RETENTION_SECONDS),
        };
        let item = write(record, ItemKey::new(partition(of), sort_key(origin)))?;
        let put = Put::builder().set_item(Some(item)).condition_expression(ABSENT);
        let exists = |_| Error::internal("a record of that change exists");
        self.put(put, Some(Box::new(exists)))
    }
}
