//! Counters that end by themselves: tries within a time, counted before they are looked at.

use super::{
    Item, Key, Store, failed_condition, fault, number,
    operation::{IS_LAST, NOT_YET, Operation},
    read,
    transaction::Transaction,
};
use crate::{
    clock::Timestamp,
    contact::Destination,
    domain::{
        code::Purpose,
        member::{Member, MemberId},
    },
    error::Error,
};
use aws_sdk_dynamodb::types::{Delete, ReturnValue, ReturnValuesOnConditionCheckFailure::AllOld, Update};
use serde::Deserialize;

/// Counts up to `limit` within a window of time. Item `failures#<what>` / `counter`, or `failures#<what>` / `<part>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    what: String,
    part: String,
    limit: u32,
    window_seconds: u64,
    window: Window,
}

/// How often a count is tried that others disturb. A disturbance is another count of the same
/// item between two requests, which moves the item on, so that the next try ends it.
const RACES: u32 = 4;

/// When a counter's window begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Window {
    /// With the first count: a budget per day.
    First,
    /// With the last count: so many in a row, then a lock.
    Last,
}

/// What is counted of a member's wrong login passwords, in a part for each login.
pub(crate) fn of_password(member: MemberId) -> String {
    format!("password#{member}")
}

/// What is counted of a member's wrong pay passwords.
pub(crate) fn of_pay_password(member: MemberId) -> String {
    format!("pay-password#{member}")
}

/// What is counted of the wrong codes that were sent to a destination.
pub(crate) fn of_codes(destination: &Destination, purpose: Purpose) -> String {
    format!("{}#{}", destination.key(), purpose.flag())
}

/// The partitions of every counter that can refuse a member's tries.
#[must_use]
pub fn partitions(member: &Member) -> Vec<String> {
    let of_codes = |destination: Destination| Purpose::ALL.map(|purpose| of_codes(&destination, purpose));
    let codes = member.destinations().into_iter().flat_map(of_codes);
    let passwords = [of_password(member.id), of_pay_password(member.id)];
    passwords.into_iter().chain(codes).map(|what| partition(&what)).collect()
}

fn partition(what: &str) -> String {
    format!("failures#{what}")
}

/// The sort key of a counter that has no parts.
const WHOLE: &str = "counter";

/// Nothing was counted yet.
const ABSENT: &str = "attribute_not_exists(pk)";
/// The window is not over, and takes one more.
const HAS_ROOM: &str = "#count < :limit AND expires_at > :now";
/// The window ended, and nobody began another since it was read.
const ENDED_AS_READ: &str = "expires_at = :ended";

#[derive(Deserialize)]
struct Counted {
    /// Below zero where a try was taken back after its window ended.
    count: i64,
    expires_at: Timestamp,
}

impl Counter {
    /// At most `limit` within `window_seconds` from the first.
    #[must_use]
    pub fn budget(what: String, limit: u32, window_seconds: u64) -> Self {
        Self { what, part: WHOLE.to_owned(), limit, window_seconds, window: Window::First }
    }

    /// At most `limit` in a row, then none for `window_seconds`.
    #[must_use]
    pub fn lock(what: String, limit: u32, window_seconds: u64) -> Self {
        Self { what, part: WHOLE.to_owned(), limit, window_seconds, window: Window::Last }
    }

    /// One of several that belong to the same, and are found together.
    #[must_use]
    pub fn part(self, part: String) -> Self {
        Self { part, ..self }
    }

    fn key(&self) -> Key {
        Key::new(partition(&self.what), self.part.clone())
    }

    /// What one more count makes of the end of the window.
    fn end(&self) -> &'static str {
        match self.window {
            Window::First => "expires_at = if_not_exists(expires_at, :until)",
            Window::Last => "expires_at = :until",
        }
    }
}

impl Store {
    /// Counts one, and says how many are left after it.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`] where no room is left; then nothing was counted.
    pub async fn count(&self, counter: &Counter) -> Result<u32, Error> {
        let now = Timestamp::now();
        let operation = Operation::draw()?;
        let left = |item: Item| -> Result<u32, Error> {
            let count = read::<Counted>(item)?.count;
            Ok(u32::try_from(i64::from(counter.limit) - count).unwrap_or_default())
        };
        // The end of a window that was found over and not yet swept: then the count begins anew.
        let mut ended: Option<Timestamp> = None;
        for _ in 0..RACES {
            let update = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(counter.key().into_item()))
                .expression_attribute_names("#count", "count")
                .expression_attribute_values(":one", number(1))
                .expression_attribute_values(":until", number(now.plus(counter.window_seconds).0))
                .return_values(ReturnValue::AllNew)
                .return_values_on_condition_check_failure(AllOld);
            let update = match ended {
                None => update
                    .update_expression(format!("SET {}, {IS_LAST} ADD #count :one", counter.end()))
                    .condition_expression(format!("{ABSENT} OR ({HAS_ROOM} AND {NOT_YET})"))
                    .expression_attribute_values(":limit", number(counter.limit))
                    .expression_attribute_values(":now", number(now.0)),
                Some(end) => update
                    .update_expression(format!("SET expires_at = :until, #count = :one, {IS_LAST}"))
                    .condition_expression(ENDED_AS_READ)
                    .expression_attribute_values(":ended", number(end.0)),
            };
            let stood = match operation.of(update).send().await {
                Ok(answer) => return left(answer.attributes.unwrap_or_default()),
                Err(error) => failed_condition(error)?,
            };
            if let Some(item) = stood.as_ref().filter(|item| operation.wrote(item)) {
                return left(item.clone());
            }
            ended = match stood.map(read::<Counted>).transpose()? {
                Some(stood) if stood.expires_at <= now => Some(stood.expires_at),
                Some(stood) if stood.count >= i64::from(counter.limit) => {
                    return Err(Error::TooManyAttempts { retry_after: now.until(stood.expires_at) });
                }
                _ => None,
            };
        }
        Err(Error::Busy("a counter was begun anew by too many at once".into()))
    }

    /// Forgets all counts, where a right try allows no change that would.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn forget(&self, counter: &Counter) -> Result<(), Error> {
        let key = counter.key().into_item();
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key));
        delete.send().await.map(drop).map_err(|error| fault(&error))
    }
}

impl Transaction {
    /// Takes one count back, because the try turned out right.
    pub(super) fn give_back(&mut self, counter: &Counter, table: &str) -> Result<(), Error> {
        // `expires_at` is set where a sweep took the item meanwhile: no counter may stay for ever.
        let update = Update::builder()
            .set_key(Some(counter.key().into_item()))
            .update_expression("SET expires_at = if_not_exists(expires_at, :now) ADD #count :back")
            .expression_attribute_names("#count", "count")
            .expression_attribute_values(":back", number(-1))
            .expression_attribute_values(":now", number(Timestamp::now().0));
        self.update(update, table, None)
    }

    /// Forgets all counts: the row of failures is broken.
    pub(super) fn clear(&mut self, counter: &Counter, table: &str) -> Result<(), Error> {
        self.delete(Delete::builder().set_key(Some(counter.key().into_item())), table, None)
    }
}
