//! The audit records of commands that write nothing else.

use shared::{audit::AdminAction, member::MemberId};

use crate::{error::Error, table::MemberTable};

impl MemberTable {
    /// Records an action on a member, or one that concerns no single member.
    pub async fn record(&self, member: Option<MemberId>, action: AdminAction) -> Result<(), Error> {
        Ok(self.store.record_action(member, action, &self.actor).await?)
    }
}

/// Records an action that concerns no single member, if the command works on a table.
pub async fn record_if_named(table: Option<&MemberTable>, action: AdminAction) -> Result<(), Error> {
    match table {
        Some(table) => table.record(None, action).await,
        None => Ok(()),
    }
}
