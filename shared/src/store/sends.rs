//! The rate limits of sends: per destination, per member and per source address.
//!
//! The items of a destination and a member store the times of the last sends, the newest as `at0`. Every send shifts
//! them by one. So a limit holds in any stretch of time, not only in each hour of the clock, and needs no read before
//! the write. Many members can share a source address, whose limit may be in the thousands: its item counts by the
//! hour of the clock.

use super::{Item, ItemKey, number, text, transaction::Transaction};
use crate::{
    clock::Timestamp,
    domain::{basis::Basis, code::NewCode, member::MemberId, sends::SendLimits},
    error::{Error, SendLimit},
};
use aws_sdk_dynamodb::types::{Update, builders::UpdateBuilder};
use std::iter;

/// A send of a code, as the rate limits count it.
#[derive(Debug)]
pub(crate) struct CodeSend<'a> {
    /// The code.
    pub(crate) code: &'a NewCode,
    /// The member who requested it, if it was one, in the state that it is issued on.
    pub(crate) basis: Option<Basis>,
    /// Whether the destination is the member's own.
    pub(crate) is_own: bool,
    /// Whether the member reauthenticated in the request.
    pub(crate) reauthenticated: bool,
    /// The source address of the request, by [`Origin::source`](crate::domain::audit::Origin::source).
    pub(crate) source: String,
    /// The time of the request.
    pub(crate) at: Timestamp,
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
    /// The attribute of the send that must have left the window before another is allowed.
    fn oldest(self) -> String {
        at(self.count.saturating_sub(1))
    }

    /// Returns the seconds until another send is allowed.
    fn wait(self, log: &Item, now: Timestamp) -> u64 {
        let sent = log.get(&self.oldest()).and_then(|at| at.as_n().ok()?.parse().ok());
        sent.map_or(0, |sent| now.until(Timestamp(sent).plus(self.seconds)))
    }
}

/// The sort key of a log of sends that the owner of the destination requested, or of a member's sends.
const OWNER: &str = "sent";
/// The sort key of a log of sends that other members requested.
const OTHERS: &str = "others";
/// The sort key of a log of sends that anonymous clients requested.
const ANONYMOUS: &str = "anonymous";

/// The last sends to a destination, items `sent#<destination>` / `sent`, `others` and `anonymous`, or requested by a member,
/// item `sent#member#<id>` / `sent`. It has a partition of its own, because a function that sends may not write members or
/// owners.
pub(super) struct SendLog {
    key: ItemKey,
    limits: Vec<Limit>,
}

impl SendLog {
    fn new(subject: &str, requester: &str, limits: impl Into<Vec<Limit>>) -> Self {
        Self { key: ItemKey::new(format!("sent#{subject}"), requester), limits: limits.into() }
    }

    /// Returns the log of a send to its destination. The owner, other members and anonymous clients have a log each, so
    /// that strangers, registered or not, neither use up nor observe what the owner sends.
    pub(super) fn of_destination(send: &CodeSend<'_>, limits: &SendLimits) -> Self {
        let windows = [
            Limit { name: SendLimit::Resend, count: 1, seconds: limits.resend_after_seconds },
            Limit { name: SendLimit::Hour, count: limits.per_hour, seconds: HOUR },
            Limit { name: SendLimit::Day, count: limits.per_day, seconds: DAY },
        ];
        let requester = match send.basis {
            Some(_) if send.is_own => OWNER,
            Some(_) => OTHERS,
            None => ANONYMOUS,
        };
        Self::new(&send.code.binding.destination.key(), requester, windows)
    }

    pub(super) fn of_member(member: MemberId, limits: &SendLimits) -> Self {
        let limit = Limit { name: SendLimit::Member, count: limits.member_per_day, seconds: DAY };
        Self::new(&format!("member#{member}"), OWNER, [limit])
    }

    /// Returns the number of times that the item stores: one more than any limit needs, so that taking a send back
    /// restores the item.
    fn length(&self) -> u32 {
        self.limits.iter().map(|limit| limit.count).max().unwrap_or_default() + 1
    }

    /// Returns the seconds after a send for which the item is needed.
    fn seconds(&self) -> u64 {
        self.limits.iter().map(|limit| limit.seconds).max().unwrap_or_default()
    }

    /// Returns an update with these assignments, in which `:never` stands for no send.
    fn update(&self, assignments: impl Iterator<Item = String>) -> UpdateBuilder {
        let assignments: Vec<_> = assignments.collect();
        Update::builder()
            .set_key(Some(self.key.clone().into_item()))
            .update_expression(format!("SET {}", assignments.join(", ")))
            .expression_attribute_values(":never", number(0))
    }
}

/// Returns the name of the attribute for the send that `later` others followed.
fn at(later: u32) -> String {
    format!("at{later}")
}

fn shift(from: u32, to: u32) -> String {
    format!("{} = if_not_exists({}, :never)", at(to), at(from))
}

impl Transaction {
    /// Records a send, unless a limit is exceeded.
    pub(super) fn log_send(&mut self, log: SendLog, send: &CodeSend<'_>) -> Result<(), Error> {
        let now = send.at;
        let newest = ["at0 = :now", "flow = :flow", "expires_at = :until"].map(str::to_owned);
        let has_room = log.limits.iter().enumerate().map(|(number, limit)| {
            let oldest = limit.oldest();
            format!("(attribute_not_exists({oldest}) OR {oldest} <= :before{number})")
        });
        let update = log
            .update(newest.into_iter().chain((1..log.length()).map(|to| shift(to - 1, to))))
            .condition_expression(has_room.collect::<Vec<_>>().join(" AND "))
            .expression_attribute_values(":now", number(now.0))
            .expression_attribute_values(":flow", text(send.code.binding.flow.as_str()))
            .expression_attribute_values(":until", number(now.plus(log.seconds()).0));
        let update = log.limits.iter().enumerate().fold(update, |update, (index, limit)| {
            let before = now.0.saturating_sub(limit.seconds);
            update.expression_attribute_values(format!(":before{index}"), number(before))
        });
        let refusal = move |stored: Option<Item>| {
            let stored = stored.unwrap_or_default();
            match log.limits.iter().max_by_key(|limit| limit.wait(&stored, now)) {
                Some(limit) => {
                    let retry_after = limit.wait(&stored, now).max(1);
                    Error::SendFrequently { retry_after, limit: limit.name }
                }
                None => Error::internal("a send was refused without a limit"),
            }
        };
        self.update(update, Some(Box::new(refusal)))
    }

    /// Removes the newest send of a destination if it is this one, because it was certainly not sent.
    pub(super) fn unlog_own_send(&mut self, log: &SendLog, send: &CodeSend<'_>) -> Result<(), Error> {
        let update = unshift(log)
            .condition_expression("flow = :flow")
            .expression_attribute_values(":flow", text(send.code.binding.flow.as_str()));
        let followed =
            |_| Error::internal("cannot remove an unsent code from the rate limits: another one followed");
        self.update(update, Some(Box::new(followed)))
    }

    /// Removes the newest send of a member: this one, or one of the same moment.
    pub(super) fn unlog_send(&mut self, log: &SendLog) -> Result<(), Error> {
        self.update(unshift(log), None)
    }

    /// Counts a send of a source address, unless the limit of its hour is exceeded.
    pub(super) fn count_source(&mut self, send: &CodeSend<'_>, limits: &SendLimits) -> Result<(), Error> {
        let (update, now, end) = (of_source(send, 1), send.at, end_of_hour(send.at));
        let update = update
            .condition_expression("attribute_not_exists(pk) OR #count < :limit")
            .expression_attribute_values(":limit", number(limits.source_per_hour));
        let refusal =
            move |_| Error::SendFrequently { retry_after: now.until(end), limit: SendLimit::Source };
        self.update(update, Some(Box::new(refusal)))
    }

    /// Takes that count back, because the code was certainly not sent.
    pub(super) fn uncount_source(&mut self, send: &CodeSend<'_>) -> Result<(), Error> {
        self.update(of_source(send, -1), None)
    }
}

fn unshift(log: &SendLog) -> UpdateBuilder {
    let last = format!("{} = :never", at(log.length() - 1));
    log.update((1..log.length()).map(|from| shift(from, from - 1)).chain(iter::once(last)))
}

/// Returns an update of item `source#<address>#<hour>` / `sent`.
fn of_source(send: &CodeSend<'_>, change: i8) -> UpdateBuilder {
    let end = end_of_hour(send.at);
    let key = ItemKey::new(format!("source#{}#{}", send.source, end.0 / HOUR), "sent");
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
    fn longest_log_fits_into_an_expression() {
        let log =
            SendLog::new("", OWNER, [Limit { name: SendLimit::Day, count: MAX_LOGGED_SENDS, seconds: DAY }]);
        let update = log.update((1..log.length()).map(|to| shift(to - 1, to)));
        let expression = update.get_update_expression().as_deref().unwrap();
        // The remaining assignments are shorter than the rest of 4 KB.
        assert!(expression.len() < 4_000, "{}", expression.len());
    }
}
