//! The traffic on each route, counted in slots of time.
//!
//! Items `calling-code#<calling code>` / `traffic` and `mail` / `traffic`, and for the codes to register
//! `register#calling-code#<calling code>` / `traffic` and `register#mail` / `traffic`, with the counts `sent<n>` and
//! `verified<n>` of codes and `notices<n>` of notices in slot number `n`. Each count of a message also removes slots that have ended,
//! so that the item remains as small as one hour's.
//!
//! No transaction writes this item: every message on a route and every verified code of it would conflict on it.

use super::{Item, ItemKey, Store, failed_condition, number, store_error};
use crate::{
    clock::Timestamp,
    domain::traffic::{Audience, Carrier, MessageKind, Route, SLOT_SECONDS, SLOTS, Slot, slot},
    error::Error,
};
use aws_sdk_dynamodb::{operation::update_item::builders::UpdateItemFluentBuilder, types::ReturnValue};
use std::collections::BTreeMap;

const SENT: &str = "sent";
const VERIFIED: &str = "verified";
const NOTICES: &str = "notices";

/// The number of ended slots that each count removes. Removing older ones, after more than five hours without a
/// message, takes another request.
const SWEPT_SLOTS: u64 = 4 * SLOTS;

/// The seconds after a send for which the item is needed.
const HOUR: u64 = SLOTS * SLOT_SECONDS;

impl Store {
    /// Returns the traffic on a route.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn traffic(&self, route: &Route) -> Result<Vec<Slot>, Error> {
        Ok(slots(&self.get_item(key(route), None).await?.unwrap_or_default()))
    }

    /// Counts a message that is about to be sent. Returns the traffic before it.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn count_sent(
        &self,
        route: &Route,
        kind: MessageKind,
        at: Timestamp,
    ) -> Result<Vec<Slot>, Error> {
        let (current, sent) = (slot(at), count_of(kind));
        let oldest = current.saturating_sub(SLOTS - 1);
        let counted = self
            .update_traffic(route)
            .update_expression(format!(
                "SET expires_at = :until ADD {sent}{current} :one {}",
                remove(oldest.saturating_sub(SWEPT_SLOTS)..oldest)
            ))
            .expression_attribute_values(":until", number(at.plus(HOUR).0))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllOld)
            .send()
            .await
            .map_err(|error| store_error(&error))?;
        let before = slots(&counted.attributes.unwrap_or_default());
        let left: Vec<_> =
            before.iter().map(|slot| slot.number).filter(|number| number + SWEPT_SLOTS < oldest).collect();
        if !left.is_empty() {
            let swept = self.update_traffic(route).update_expression(remove(left)).send().await;
            swept.map_err(|error| store_error(&error))?;
        }
        Ok(before)
    }

    /// Takes a count back, because the message was certainly not sent.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn uncount_sent(
        &self,
        route: &Route,
        kind: MessageKind,
        at: Timestamp,
    ) -> Result<(), Error> {
        self.add(route, count_of(kind), at, -1).await
    }

    /// Counts a verified code in the slot in which it was sent.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn count_verified(&self, route: &Route, sent_at: Timestamp) -> Result<(), Error> {
        self.add(route, VERIFIED, sent_at, 1).await
    }

    async fn add(&self, route: &Route, count: &str, at: Timestamp, change: i8) -> Result<(), Error> {
        let add = self
            .update_traffic(route)
            .update_expression(format!("ADD {count}{} :change", slot(at)))
            // If TTL has removed the item, the count no longer matters.
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":change", number(change));
        match add.send().await {
            Ok(_) => Ok(()),
            Err(error) => failed_condition(error).map(drop),
        }
    }

    fn update_traffic(&self, route: &Route) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).set_key(Some(key(route).into_item()))
    }
}

fn key(route: &Route) -> ItemKey {
    let carrier = match &route.carrier {
        Carrier::CallingCode(code) => format!("calling-code#{code}"),
        Carrier::Mail => "mail".to_owned(),
    };
    let partition = match route.audience {
        Audience::Members => carrier,
        Audience::Anyone => format!("register#{carrier}"),
    };
    ItemKey::new(partition, "traffic")
}

/// Returns the count of sent messages of a kind.
fn count_of(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Code => SENT,
        MessageKind::Notice => NOTICES,
    }
}

/// Returns the clause that removes the counts of these slots.
fn remove(slots: impl IntoIterator<Item = u64>) -> String {
    let names_of = |slot| format!("{SENT}{slot}, {VERIFIED}{slot}, {NOTICES}{slot}");
    let names: Vec<_> = slots.into_iter().map(names_of).collect();
    format!("REMOVE {}", names.join(", "))
}

/// Returns the slots of an item, the oldest first.
fn slots(item: &Item) -> Vec<Slot> {
    let mut slots = BTreeMap::<u64, Slot>::new();
    for (name, value) in item {
        let slot_of = |count: &str| name.strip_prefix(count)?.parse().ok();
        let count = value.as_n().ok().and_then(|count| count.parse().ok()).unwrap_or_default();
        if let Some(number) = slot_of(SENT) {
            slots.entry(number).or_default().sent = count;
        } else if let Some(number) = slot_of(VERIFIED) {
            slots.entry(number).or_default().verified = count;
        } else if let Some(number) = slot_of(NOTICES) {
            slots.entry(number).or_default().notices = count;
        }
    }
    slots.into_iter().map(|(number, slot)| Slot { number, ..slot }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_sweep_fits_into_an_expression() {
        // A DynamoDB expression has at most 4 KB (Amazon DynamoDB Developer Guide, "Constraints in Amazon DynamoDB").
        let current = slot(Timestamp(9_999_999_999));
        let swept = remove(current - SWEPT_SLOTS..current);
        // The rest of the expression is shorter than 100 bytes.
        assert!(swept.len() < 3_996, "{}", swept.len());
    }
}
