//! The outbox: notices that wait in the table until its stream delivers them to `deliver-notices`.

use super::{ItemKey, Store, transaction::Transaction, write};
use crate::{
    clock::Timestamp,
    domain::{counter::Counter, notice::Notice},
    error::Error,
    random,
};
use aws_sdk_dynamodb::types::Put;
use serde::Serialize;

/// How long a notice is stored: two days, twice as long as a record remains in DynamoDB's stream, so that an operator
/// can investigate a failed delivery.
const RETENTION_SECONDS: u64 = 2 * 86_400;

/// Item `notice#<uuid>` / `notice`, or `notice#<counter>#<its expiry>` / `notice` of a lockout.
#[derive(Serialize)]
struct NoticeItem<'a> {
    #[serde(flatten)]
    notice: &'a Notice,
    expires_at: Timestamp,
}

impl<'a> NoticeItem<'a> {
    fn new(notice: &'a Notice) -> Self {
        Self { notice, expires_at: Timestamp::now().plus(RETENTION_SECONDS) }
    }
}

impl Store {
    /// Queues the notice of a lockout by a counter that expires at this time, and returns whether it did: not if another
    /// request queued it.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn queue_lockout(
        &self,
        notice: &Notice,
        counter: &Counter,
        expires_at: Timestamp,
    ) -> Result<bool, Error> {
        let Counter { subject, part, .. } = counter;
        let part = part.as_deref().unwrap_or_default();
        let key = ItemKey::new(format!("notice#{subject}#{part}#{}", expires_at.0), "notice");
        self.put_once(write(NoticeItem::new(notice), key)?).await
    }
}

impl Transaction {
    /// Queues a notice.
    pub(super) fn queue(&mut self, notice: &Notice) -> Result<(), Error> {
        let item = NoticeItem::new(notice);
        let key = ItemKey::new(format!("notice#{}", random::uuid()?), "notice");
        self.put(Put::builder().set_item(Some(write(item, key)?)), None)
    }
}
