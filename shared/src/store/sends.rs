//! How often codes may be sent: to a destination, at a member's asking, and at a source address's.
//!
//! For a destination and a member the times of the last sends are kept, the newest as `at0`, in an item
//! that every send shifts by one: so a limit holds in any stretch of time and not only between two ticks
//! of a clock, and takes no read before the write. Many members can share a source address, whose limit
//! may be in the thousands: it has a count by the hour of the clock.

use super::{Item, Key, number, text, transaction::Transaction};
use crate::{
    clock::Timestamp,
    contact::Destination,
    domain::{code::NewCode, member::MemberId},
    error::{Error, SendLimit},
    settings::Settings,
};
use aws_sdk_dynamodb::types::{Update, builders::UpdateBuilder};
use std::iter;

/// A code that is asked for, as the limits of sending look at it.
#[derive(Debug)]
pub struct Sending<'a> {
    /// The code that is to be.
    pub code: &'a NewCode,
    /// The member who asks, where it is one.
    pub member: Option<MemberId>,
    /// The address that it is asked from, as [`Origin::source`](crate::domain::audit::Origin::source) has it.
    pub source: String,
    /// When.
    pub at: Timestamp,
}

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// At most `count` sends in any `seconds`.
#[derive(Clone, Copy)]
struct Limit {
    name: SendLimit,
    count: u32,
    seconds: u64,
}

impl Limit {
    /// The time of the send that must be long enough ago for another to have room.
    fn oldest(self) -> String {
        at(self.count.saturating_sub(1))
    }

    /// Seconds until it has room.
    fn wait(self, log: &Item, now: Timestamp) -> u64 {
        let sent = log.get(&self.oldest()).and_then(|at| at.as_n().ok()?.parse().ok());
        sent.map_or(0, |sent| now.until(Timestamp(sent).plus(self.seconds)))
    }
}

/// The last sends to a destination, item `sent#<destination>` / `sent`, or at a member's asking, item
/// `sent#member#<id>` / `sent`. Its partition is its own: who sends may write no member and no owner.
pub(super) struct Log {
    key: Key,
    limits: Vec<Limit>,
}

impl Log {
    fn of(whose: &str, limits: impl Into<Vec<Limit>>) -> Self {
        Self { key: Key::new(format!("sent#{whose}"), "sent"), limits: limits.into() }
    }

    pub(super) fn of_destination(destination: &Destination, settings: &Settings) -> Self {
        let limits = [
            Limit { name: SendLimit::Resend, count: 1, seconds: settings.resend_after_seconds },
            Limit { name: SendLimit::Hour, count: settings.sends_per_hour, seconds: HOUR },
            Limit { name: SendLimit::Day, count: settings.sends_per_day, seconds: DAY },
        ];
        Self::of(&destination.key(), limits)
    }

    pub(super) fn of_member(member: MemberId, settings: &Settings) -> Self {
        let limit = Limit { name: SendLimit::Member, count: settings.member_sends_per_day, seconds: DAY };
        Self::of(&format!("member#{member}"), [limit])
    }

    /// How many times it keeps: one more than a limit looks at, so that it is as before when a send is taken back.
    fn length(&self) -> u32 {
        self.limits.iter().map(|limit| limit.count).max().unwrap_or_default() + 1
    }

    /// How long it is of use after a send.
    fn seconds(&self) -> u64 {
        self.limits.iter().map(|limit| limit.seconds).max().unwrap_or_default()
    }

    /// An update by these assignments, in which `:never` is the time of no send.
    fn update(&self, assignments: impl Iterator<Item = String>) -> UpdateBuilder {
        let assignments: Vec<_> = assignments.collect();
        Update::builder()
            .set_key(Some(self.key.clone().into_item()))
            .update_expression(format!("SET {}", assignments.join(", ")))
            .expression_attribute_values(":never", number(0))
    }
}

/// The attribute of the time of the send that `later` others came after.
fn at(later: u32) -> String {
    format!("at{later}")
}

fn shift(from: u32, to: u32) -> String {
    format!("{} = if_not_exists({}, :never)", at(to), at(from))
}

impl Transaction {
    /// Logs a send, if there is room for it.
    pub(super) fn log_send(&mut self, log: Log, sending: &Sending<'_>, table: &str) -> Result<(), Error> {
        let now = sending.at;
        let news = ["at0 = :now", "flow = :flow", "expires_at = :until"].map(str::to_owned);
        let has_room = log.limits.iter().enumerate().map(|(number, limit)| {
            let oldest = limit.oldest();
            format!("(attribute_not_exists({oldest}) OR {oldest} <= :before{number})")
        });
        let update = log
            .update(news.into_iter().chain((1..log.length()).map(|to| shift(to - 1, to))))
            .condition_expression(has_room.collect::<Vec<_>>().join(" AND "))
            .expression_attribute_values(":now", number(now.0))
            .expression_attribute_values(":flow", text(sending.code.binding.flow.as_str()))
            .expression_attribute_values(":until", number(now.plus(log.seconds()).0));
        let update = log.limits.iter().enumerate().fold(update, |update, (index, limit)| {
            let before = now.0.saturating_sub(limit.seconds);
            update.expression_attribute_values(format!(":before{index}"), number(before))
        });
        let refusal = move |stood: Option<Item>| {
            let stood = stood.unwrap_or_default();
            match log.limits.iter().max_by_key(|limit| limit.wait(&stood, now)) {
                Some(limit) => {
                    let retry_after = limit.wait(&stood, now).max(1);
                    Error::SendFrequently { retry_after, limit: limit.name }
                }
                None => Error::internal("a log without a limit had no room"),
            }
        };
        self.update(update, table, Some(Box::new(refusal)))
    }

    /// Takes the newest send of a destination out of its log, if it is this one, because nothing left.
    pub(super) fn unlog_own_send(
        &mut self,
        log: &Log,
        sending: &Sending<'_>,
        table: &str,
    ) -> Result<(), Error> {
        let update = unshift(log)
            .condition_expression("flow = :flow")
            .expression_attribute_values(":flow", text(sending.code.binding.flow.as_str()));
        let gone = |_| Error::internal("a send of which nothing left is no longer the newest");
        self.update(update, table, Some(Box::new(gone)))
    }

    /// Takes the newest send of a member out of the log: this one, or one that came at the same moment.
    pub(super) fn unlog_send(&mut self, log: &Log, table: &str) -> Result<(), Error> {
        self.update(unshift(log), table, None)
    }

    /// Counts a send of a source address, if its hour has room for it.
    pub(super) fn count_source(
        &mut self,
        sending: &Sending<'_>,
        settings: &Settings,
        table: &str,
    ) -> Result<(), Error> {
        let (update, now, end) = (of_source(sending, 1), sending.at, end_of_hour(sending.at));
        let update = update
            .condition_expression("attribute_not_exists(pk) OR #count < :limit")
            .expression_attribute_values(":limit", number(settings.source_sends_per_hour));
        let refusal =
            move |_| Error::SendFrequently { retry_after: now.until(end), limit: SendLimit::Source };
        self.update(update, table, Some(Box::new(refusal)))
    }

    /// Takes that count back, because nothing left.
    pub(super) fn uncount_source(&mut self, sending: &Sending<'_>, table: &str) -> Result<(), Error> {
        self.update(of_source(sending, -1), table, None)
    }
}

fn unshift(log: &Log) -> UpdateBuilder {
    let forgotten = format!("{} = :never", at(log.length() - 1));
    log.update((1..log.length()).map(|from| shift(from, from - 1)).chain(iter::once(forgotten)))
}

/// An update of item `source#<address>#<hour>` / `sent`.
fn of_source(sending: &Sending<'_>, change: i8) -> UpdateBuilder {
    let end = end_of_hour(sending.at);
    let key = Key::new(format!("source#{}#{}", sending.source, end.0 / HOUR), "sent");
    Update::builder()
        .set_key(Some(key.into_item()))
        .update_expression("SET expires_at = :end ADD #count :change")
        .expression_attribute_names("#count", "count")
        .expression_attribute_values(":end", number(end.0))
        .expression_attribute_values(":change", number(change))
}

fn end_of_hour(now: Timestamp) -> Timestamp {
    Timestamp((now.0 / HOUR + 1) * HOUR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::MAX_LOGGED_SENDS;

    #[test]
    fn the_longest_log_fits_into_an_expression() {
        let log = Log::of("", [Limit { name: SendLimit::Day, count: MAX_LOGGED_SENDS, seconds: DAY }]);
        let update = log.update((1..log.length()).map(|to| shift(to - 1, to)));
        let expression = update.get_update_expression().as_deref().unwrap();
        // What is set besides is shorter than the rest of 4 KB.
        assert!(expression.len() < 4_000, "{}", expression.len());
    }
}
