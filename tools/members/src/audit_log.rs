//! The audit records that this command writes.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use shared::{audit::AdminAction, member::MemberId, store::audit};

use crate::{error::Error, table::MemberTable};

impl MemberTable {
    /// Records an operation on a member, or one that concerns no single member.
    pub async fn record(&self, member: Option<MemberId>, operation: AdminAction) -> Result<(), Error> {
        let item = audit::operation(member, operation, &self.actor)?;
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        put.send().await.map(drop).map_err(Error::from_call("DynamoDB"))
    }

    /// Returns the record of an operation on a member, as a write of the transaction that performs the operation.
    pub fn record_write(&self, member: MemberId, operation: AdminAction) -> Result<TransactWriteItem, Error> {
        self.put(Put::builder().set_item(Some(audit::operation(Some(member), operation, &self.actor)?)))
    }
}

/// Records an operation that concerns no single member, if the command works on a table.
pub async fn record_if_named(table: Option<&MemberTable>, operation: AdminAction) -> Result<(), Error> {
    match table {
        Some(table) => table.record(None, operation).await,
        None => Ok(()),
    }
}
