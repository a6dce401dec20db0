//! The outbox: notices that wait in the table until its stream delivers them to `deliver-notices`.

use super::{ItemKey, transaction::Transaction, write};
use crate::{clock::Timestamp, domain::notice::Notice, error::Error, random};
use aws_sdk_dynamodb::types::Put;
use serde::Serialize;

/// How long a notice is stored: two days, twice as long as a record remains in DynamoDB's stream, so that an operator
/// can investigate a failed delivery.
const RETENTION_SECONDS: u64 = 2 * 86_400;

/// Item `notice#<uuid>` / `notice`.
#[derive(Serialize)]
struct NoticeItem<'a> {
    #[serde(flatten)]
    notice: &'a Notice,
    expires_at: Timestamp,
}

impl Transaction {
    /// Queues a notice.
    pub(super) fn queue(&mut self, notice: &Notice) -> Result<(), Error> {
        let item = NoticeItem { notice, expires_at: Timestamp::now().plus(RETENTION_SECONDS) };
        let key = ItemKey::new(format!("notice#{}", random::uuid()?), "notice");
        self.put(Put::builder().set_item(Some(write(item, key)?)), None)
    }
}
