//! Counters of failed attempts and of notices, which expire by themselves.
//!
//! Item `failures#<subject>` or `notices#<subject>` / `counter`, or `failures#<subject>` / `<part>`.

use super::{
    ABSENT, Item, ItemKey, Store, failed_condition, number, read, store_error,
    transaction::{Backoff, MAX_WRITES, Refusal, Transaction, Verdict},
    write_id::{IS_LAST, NOT_YET, WriteId},
};
use crate::{
    clock::Timestamp,
    domain::{
        audit::AdminAction,
        counter::{self, Counter, CounterKind, Window},
        keys::Keys,
        member::{Member, MemberId},
    },
    error::Error,
};
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, ReturnValue, ReturnValuesOnConditionCheckFailure::AllOld, Update,
};
use serde::Deserialize;

/// How often a count is repeated when other requests count at the same time. Each of those moves the item on, so that
/// the next repetition ends the race.
const RACES: u32 = 4;

/// The sort key of a counter without parts.
const WHOLE: &str = "counter";

/// Condition: the window has not ended, and has room for another attempt.
const HAS_ROOM: &str = "#count < :limit AND expires_at > :now";
/// Condition: the attempts are used up, and no notice of that was queued.
const LOCKS_UNNOTIFIED: &str = "#count >= :limit AND expires_at > :now AND attribute_not_exists(notified)";
/// Condition: the window ended, and no one has begun another since it was read.
const ENDED_AS_READ: &str = "expires_at = :ended";

#[derive(Deserialize)]
struct CounterItem {
    /// Below zero if an attempt was taken back after its window ended.
    count: i64,
    expires_at: Timestamp,
}

/// A counter's item with its key.
#[derive(Deserialize)]
struct StoredCounter {
    pk: String,
    sk: String,
    count: i64,
    expires_at: Timestamp,
}

/// The window of a counter ended, at this time. `None` if another request has begun the next one, or removed the item.
#[derive(Debug, thiserror::Error)]
#[error("the window of a counter ended")]
struct Ended(Option<Timestamp>);

/// The state of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CounterState {
    /// The attempts that are left.
    pub(crate) left: u32,
    /// When its window ends.
    pub(crate) expires_at: Timestamp,
}

impl CounterState {
    /// Returns when the lockout ends, if no attempt is left.
    pub(crate) fn locked_until(self) -> Option<Timestamp> {
        (self.left == 0 && self.expires_at > Timestamp::now()).then_some(self.expires_at)
    }
}

/// The failed attempts of one counter that can lock a member out.
#[derive(Clone, Debug)]
pub struct FailureCounter {
    /// The kind of the failed attempts.
    pub kind: FailureKind,
    /// Their number. Below zero if an attempt was taken back after its window ended.
    pub count: i64,
    /// When the counter expires. It can be in the past, because DynamoDB deletes expired items with a delay.
    pub expires_at: Timestamp,
    key: ItemKey,
}

/// A kind of failed attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Wrong login passwords.
    Password,
    /// Failed logins.
    LogIn,
    /// Wrong pay passwords in a row.
    PayPassword,
    /// Wrong pay passwords in a day.
    PayPasswordOfDay,
    /// Wrong codes.
    Code,
}

impl FailureKind {
    fn of(subject: &str, part: &str) -> Self {
        match subject.split('#').next() {
            Some("password") => Self::Password,
            Some("log-in") => Self::LogIn,
            Some("pay-password") if part == WHOLE => Self::PayPassword,
            Some("pay-password") => Self::PayPasswordOfDay,
            _ => Self::Code,
        }
    }
}

fn partition(kind: CounterKind, subject: &str) -> String {
    match kind {
        CounterKind::Failures => format!("failures#{subject}"),
        CounterKind::Notices => format!("notices#{subject}"),
    }
}

fn key(counter: &Counter) -> ItemKey {
    let partition = partition(counter.kind, &counter.subject);
    ItemKey::new(partition, counter.part.as_deref().unwrap_or(WHOLE))
}

/// The assignment of the window's end by one more attempt.
fn extend(window: Window) -> &'static str {
    match window {
        Window::Fixed => "expires_at = if_not_exists(expires_at, :until)",
        Window::Lockout => "expires_at = :until",
    }
}

impl Store {
    /// Counts an attempt or a notice, and returns how many are left.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`] if none was left. Then nothing is counted.
    pub(crate) async fn count(&self, counter: &Counter) -> Result<u32, Error> {
        let now = Timestamp::now();
        let write_id = WriteId::draw()?;
        let left = |item: Item| -> Result<u32, Error> {
            let count = read::<CounterItem>(item)?.count;
            Ok(u32::try_from(i64::from(counter.limit) - count).unwrap_or_default())
        };
        // The end of a window that has ended and was not yet swept. Then the count starts over.
        let mut ended: Option<Timestamp> = None;
        for _ in 0..RACES {
            let update = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key(counter).into_item()))
                .expression_attribute_names("#count", "count")
                .expression_attribute_values(":one", number(1))
                .expression_attribute_values(":until", number(now.plus(counter.window_seconds).0))
                .return_values(ReturnValue::AllNew)
                .return_values_on_condition_check_failure(AllOld);
            let update = match ended {
                None => update
                    .update_expression(format!("SET {}, {IS_LAST} ADD #count :one", extend(counter.window)))
                    .condition_expression(format!("{ABSENT} OR ({HAS_ROOM} AND {NOT_YET})"))
                    .expression_attribute_values(":limit", number(counter.limit))
                    .expression_attribute_values(":now", number(now.0)),
                Some(end) => update
                    .update_expression(format!(
                        "SET expires_at = :until, #count = :one, {IS_LAST} REMOVE notified"
                    ))
                    .condition_expression(ENDED_AS_READ)
                    .expression_attribute_values(":ended", number(end.0)),
            };
            let stored = match write_id.attach(update).send().await {
                Ok(output) => return left(output.attributes.unwrap_or_default()),
                Err(error) => failed_condition(error)?,
            };
            if let Some(item) = stored.as_ref().filter(|item| write_id.wrote(item)) {
                return left(item.clone());
            }
            ended = match stored.map(read::<CounterItem>).transpose()? {
                Some(item) if item.expires_at <= now => Some(item.expires_at),
                Some(item) if item.count >= i64::from(counter.limit) => {
                    return Err(Error::TooManyAttempts { retry_after: now.until(item.expires_at) });
                }
                _ => None,
            };
        }
        Err(Error::Busy("too many requests restarted a counter at once".into()))
    }

    /// Counts an attempt on several counters, on all or on none.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`] if one of the counters had none left, with the longest wait, or if other requests count
    /// on them during every attempt. Then nothing is counted.
    pub(crate) async fn count_on_all(&self, counters: &[&Counter]) -> Result<(), Error> {
        let now = Timestamp::now();
        // The ends of windows that have ended and were not yet swept, as in `count`.
        let mut ended = vec![None; counters.len()];
        let mut backoff = Backoff::of_request();
        for _ in 0..RACES {
            let mut transaction = self.transaction();
            for (counter, ended) in counters.iter().zip(&ended) {
                transaction.count(counter, *ended, now)?;
            }
            let Some(verdicts) = self.attempt(transaction).await? else { return Ok(()) };
            let (mut wait, mut is_conflict) = (None, false);
            for (verdict, ended) in verdicts.into_iter().zip(&mut ended) {
                match verdict {
                    Verdict::Blameless => (),
                    Verdict::Conflict => is_conflict = true,
                    Verdict::Refused(Error::TooManyAttempts { retry_after }) => {
                        wait = wait.max(Some(retry_after));
                    }
                    Verdict::Refused(Error::Busy(cause)) if cause.is::<Ended>() => {
                        *ended = cause.downcast_ref().and_then(|Ended(end)| *end);
                    }
                    Verdict::Refused(error) => return Err(error),
                }
            }
            if let Some(retry_after) = wait {
                return Err(Error::TooManyAttempts { retry_after });
            }
            if is_conflict && !backoff.wait().await {
                break;
            }
        }
        Err(Error::TooManyAttempts { retry_after: 1 })
    }

    /// Returns the state of a counter.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn counter(&self, counter: &Counter) -> Result<CounterState, Error> {
        let item: Option<CounterItem> = self.get(key(counter)).await?;
        let (count, expires_at) = item.map_or((0, Timestamp(0)), |item| (item.count, item.expires_at));
        let left = u32::try_from(i64::from(counter.limit) - count).unwrap_or_default();
        Ok(CounterState { left, expires_at })
    }

    /// Resets a counter after a right attempt that allows no change.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn reset(&self, counter: &Counter) -> Result<(), Error> {
        let delete =
            self.client.delete_item().table_name(&self.table).set_key(Some(key(counter).into_item()));
        delete.send().await.map(drop).map_err(|error| store_error(&error))
    }

    /// Takes one count back: the attempt turned out right, or the notice was not sent.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn take_back(&self, counter: &Counter) -> Result<(), Error> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(counter).into_item()))
            .update_expression("ADD #count :back")
            // If the window has ended and TTL has removed the item, the count no longer matters.
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#count", "count")
            .expression_attribute_values(":back", number(-1));
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) => failed_condition(error).map(drop),
        }
    }

    /// Returns every counter that can lock a member out, expired ones included.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn failure_counters(&self, member: &Member, keys: &Keys) -> Result<Vec<FailureCounter>, Error> {
        let mut counters = Vec::new();
        for subject in counter::subjects(member, keys) {
            for stored in self.partition::<StoredCounter>(partition(CounterKind::Failures, &subject)).await? {
                let StoredCounter { pk, sk, count, expires_at } = stored;
                let kind = FailureKind::of(&subject, &sk);
                counters.push(FailureCounter { kind, count, expires_at, key: ItemKey::new(pk, sk) });
            }
        }
        Ok(counters)
    }

    /// Deletes these counters of a member, and records the action even without any.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn clear_failures(
        &self,
        member: MemberId,
        counters: &[FailureCounter],
        actor: &str,
    ) -> Result<(), Error> {
        let mut rest = counters;
        loop {
            // One write of each transaction is the audit record.
            let (cleared, later) = rest.split_at_checked(MAX_WRITES - 1).unwrap_or((rest, &[]));
            let mut transaction = self.transaction();
            for counter in cleared {
                let delete = Delete::builder().set_key(Some(counter.key.clone().into_item()));
                transaction.delete(delete, None)?;
            }
            transaction.record_action(member, AdminAction::Unlocked, actor)?;
            self.commit_with(Backoff::of_command(), transaction).await?;
            if later.is_empty() {
                return Ok(());
            }
            rest = later;
        }
    }
}

impl Transaction {
    /// Counts an attempt, unless none is left. `ended` is the end of a window that has ended and was not yet swept.
    fn count(&mut self, counter: &Counter, ended: Option<Timestamp>, now: Timestamp) -> Result<(), Error> {
        let limit = counter.limit;
        let update = Update::builder()
            .set_key(Some(key(counter).into_item()))
            .expression_attribute_names("#count", "count")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":until", number(now.plus(counter.window_seconds).0));
        let update = match ended {
            None => update
                .update_expression(format!("SET {} ADD #count :one", extend(counter.window)))
                .condition_expression(format!("{ABSENT} OR ({HAS_ROOM})"))
                .expression_attribute_values(":limit", number(limit))
                .expression_attribute_values(":now", number(now.0)),
            Some(end) => update
                .update_expression("SET expires_at = :until, #count = :one")
                .condition_expression(ENDED_AS_READ)
                .expression_attribute_values(":ended", number(end.0)),
        };
        let refusal = move |stored: Option<Item>| match stored.map(read::<CounterItem>).transpose() {
            Ok(Some(item)) if item.expires_at > now && item.count >= i64::from(limit) => {
                Error::TooManyAttempts { retry_after: now.until(item.expires_at) }
            }
            // Another request has begun a window, or removed the item, since the end of the last one was read.
            Ok(Some(item)) if item.expires_at > now => Error::Busy(Ended(None).into()),
            Ok(item) => Error::Busy(Ended(item.map(|item| item.expires_at)).into()),
            Err(error) => error,
        };
        self.update(update, Some(Box::new(refusal)))
    }

    /// Takes one attempt back, because it turned out right.
    pub(super) fn take_back(&mut self, counter: &Counter) -> Result<(), Error> {
        // A sweep may have removed the item. Setting `expires_at` keeps the new one from staying forever.
        let update = Update::builder()
            .set_key(Some(key(counter).into_item()))
            .update_expression("SET expires_at = if_not_exists(expires_at, :now) ADD #count :back")
            .expression_attribute_names("#count", "count")
            .expression_attribute_values(":back", number(-1))
            .expression_attribute_values(":now", number(Timestamp::now().0));
        self.update(update, None)
    }

    /// Marks the lockout of a counter as notified, unless it is already or no attempt used up the limit.
    pub(super) fn mark_notified(&mut self, counter: &Counter, refusal: Refusal) -> Result<(), Error> {
        let update = Update::builder()
            .set_key(Some(key(counter).into_item()))
            .update_expression("SET notified = :true")
            .condition_expression(LOCKS_UNNOTIFIED)
            .expression_attribute_names("#count", "count")
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":limit", number(counter.limit))
            .expression_attribute_values(":now", number(Timestamp::now().0));
        self.update(update, Some(refusal))
    }

    /// Resets a counter: the row of failures has ended.
    pub(super) fn reset(&mut self, counter: &Counter) -> Result<(), Error> {
        self.delete(Delete::builder().set_key(Some(key(counter).into_item())), None)
    }
}
