//! The audit trail: who changed what, when, and from where.

use super::{Key, Store, fault, read, text, transaction::Transaction, write};
use crate::{
    audit::Action,
    clock::{self, Timestamp},
    error::Error,
    request::Origin,
    store::member::MemberId,
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
    pub action: Action,
    /// When.
    pub at: Timestamp,
    /// From where.
    #[serde(flatten)]
    pub origin: Origin,
    /// When the record goes.
    pub expires_at: Timestamp,
}

/// No record is written over.
const ABSENT: &str = "attribute_not_exists(pk)";

fn partition(of: MemberId) -> String {
    format!("audit#{of}")
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
            .map_err(|error| fault(&error))?;
        answer.items.unwrap_or_default().into_iter().map(read).collect()
    }
}

impl Transaction {
    /// Adds the record of a change.
    pub(super) fn record(
        &mut self,
        of: MemberId,
        action: Action,
        origin: &Origin,
        table: &str,
    ) -> Result<(), Error> {
        let at = Timestamp::now();
        let record = Record { action, at, origin: origin.clone(), expires_at: at.plus(RETENTION_SECONDS) };
        let sort_key = format!("{:013}#{}", clock::now_millis(), origin.request_id);
        let item = write(record, Key::new(partition(of), sort_key))?;
        let put = Put::builder().set_item(Some(item)).condition_expression(ABSENT);
        let exists = |_| Error::internal("a record of that change exists");
        self.put(put, table, Some(Box::new(exists)))
    }
}
