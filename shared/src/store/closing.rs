//! Closed members: what the closing deletes, and the tombstone that it leaves.
//!
//! The tombstone keeps the id from being created again, and from it a closing is replayed after an older state of the
//! table was restored. Its insertion is the record in the table's stream by which other services learn of the
//! closing, so it contains nothing but the id and the time.

use super::{
    ABSENT, Item, ItemKey, Store,
    change::Conflict,
    code,
    transaction::{Backoff, Refusal, Transaction},
    write,
};
use crate::{
    clock::Timestamp,
    contact::Destination,
    domain::{
        audit::{Action, Origin},
        member::{Member, MemberId},
        notice::Notice,
        proof::VerifiedCode,
    },
    error::Error,
    language::Language,
    random,
};
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put};
use serde::{Deserialize, Serialize};

/// How long a tombstone is stored: 450 days. The record of the closing expires after 400 days, and point-in-time
/// recovery restores what the table contained up to 35 days ago (Amazon DynamoDB Developer Guide, "Point-in-time
/// recovery"). The other 15 days are for the delay with which DynamoDB deletes expired items. So nothing that the
/// member left, in the table or in a backup of it, is older than the tombstone.
const RETENTION_SECONDS: u64 = 450 * 86_400;

/// The beginning of every tombstone's partition key.
pub(super) const PREFIX: &str = "closed#";

/// The sort key of a tombstone.
pub(super) const SORT_KEY: &str = "member";

/// What remains of a closed member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The member's id.
    pub id: MemberId,
    /// When the member was closed.
    pub closed_at: Timestamp,
}

/// Item `closed#<id>` / `member`.
#[derive(Serialize)]
struct TombstoneItem {
    #[serde(flatten)]
    tombstone: Tombstone,
    expires_at: Timestamp,
}

/// A closing by an operator.
#[derive(Clone, Copy, Debug)]
pub struct OperatorClosing<'a> {
    /// The identity of the operator.
    pub actor: &'a str,
    /// The reason, which the audit trail stores. It must not contain a phone or an email address.
    pub reason: &'a str,
}

/// Returns the key of the tombstone of a member.
pub(super) fn key(id: MemberId) -> ItemKey {
    ItemKey::new(format!("{PREFIX}{id}"), SORT_KEY)
}

impl Tombstone {
    /// Returns the tombstone of a member who is closed now.
    pub(super) fn new(id: MemberId) -> Self {
        Self { id, closed_at: Timestamp::now() }
    }
}

impl Store {
    /// Closes a member as read for an operator, records that, and queues a notice to each phone and email address in
    /// this language. Makes one attempt: after a [conflict](super::is_conflict), the caller has to read the member
    /// again.
    ///
    /// # Errors
    /// [`Error::UserNotFound`] if the member was deleted, [`Error::Busy`], [`Error::Internal`].
    pub async fn close_member(
        &self,
        member: &Member,
        closing: OperatorClosing<'_>,
        language: Language,
    ) -> Result<(), Error> {
        let origin = Origin { request_id: random::uuid()?.to_string(), source_ip: None, user_agent: None };
        let owned = self.owned(member).await?;
        let mut transaction = self.transaction();
        transaction.close(member, &owned, Tombstone::new(member.id), None, refusal())?;
        transaction.record_closing(member.id, closing)?;
        for destination in member.destinations() {
            let origin = origin.clone();
            let notice = Notice::changed(member.id, Action::Closed, origin, language, destination, None);
            transaction.queue(&notice)?;
        }
        self.commit_with(Backoff::none(), transaction).await
    }

    /// Closes a member again who was restored, and records that. A member who is not in the table gets the tombstone
    /// only. Queues no notices: the member was notified when the account was closed. Returns whether anything was
    /// written, which a repetition does not. Makes one attempt, as [`Store::close_member`].
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn replay_closing(
        &self,
        tombstone: Tombstone,
        closing: OperatorClosing<'_>,
    ) -> Result<bool, Error> {
        let mut transaction = self.transaction();
        match self.member(tombstone.id).await? {
            Some(member) => {
                let owned = self.owned(&member).await?;
                transaction.close(&member, &owned, tombstone, None, refusal())?;
            }
            None if self.get::<Tombstone>(key(tombstone.id)).await?.is_some() => return Ok(false),
            None => transaction.put_tombstone(tombstone)?,
        }
        transaction.record_closing(tombstone.id, closing)?;
        self.commit_with(Backoff::none(), transaction).await?;
        Ok(true)
    }

    /// Returns the contacts of a member that the member owns. Of two members who have one mailbox in two spellings,
    /// only one owns it.
    pub(super) async fn owned(&self, member: &Member) -> Result<Vec<Destination>, Error> {
        let mut owned = Vec::new();
        for destination in member.destinations() {
            if self.owner(&destination).await? == Some(member.id) {
                owned.push(destination);
            }
        }
        Ok(owned)
    }
}

impl Transaction {
    /// Closes a member: deletes the member, the ownership of these contacts, and the codes whose keys are known,
    /// except the one that was `verified`, which the transaction consumes; and leaves a tombstone. What has another
    /// key ends with the member, because it is valid only for the member's credential version.
    pub(super) fn close(
        &mut self,
        member: &Member,
        owned: &[Destination],
        tombstone: Tombstone,
        verified: Option<&VerifiedCode>,
        changed: Refusal,
    ) -> Result<(), Error> {
        self.delete_member(member, changed)?;
        let used = verified.map(|code| code::key_of(code, Some(member.id)));
        for destination in owned {
            self.release(member, destination, Box::new(|_| Error::Busy(Conflict.into())))?;
            for pending in code::keys_of_owner(destination, member.id) {
                if used.as_ref() != Some(&pending) {
                    self.delete(Delete::builder().set_key(Some(pending.into_item())), None)?;
                }
            }
        }
        self.put_tombstone(tombstone)
    }

    /// Requires that no member with this id was closed.
    pub(super) fn require_never_closed(&mut self, id: MemberId) -> Result<(), Error> {
        let check = ConditionCheck::builder().set_key(Some(key(id).into_item())).condition_expression(ABSENT);
        self.check(check, Box::new(|_| Error::MemberClosed))
    }

    fn put_tombstone(&mut self, tombstone: Tombstone) -> Result<(), Error> {
        let item = TombstoneItem { tombstone, expires_at: tombstone.closed_at.plus(RETENTION_SECONDS) };
        self.put(Put::builder().set_item(Some(write(item, key(tombstone.id))?)), None)
    }
}

/// Returns the refusal if another request changed the member, or deleted it.
fn refusal() -> Refusal {
    Box::new(|stored: Option<Item>| match stored {
        Some(_) => Error::Busy(Conflict.into()),
        None => Error::UserNotFound,
    })
}
