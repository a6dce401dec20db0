//! The traffic to each calling code, counted in slots of time.
//!
//! Item `calling-code#<calling code>` / `traffic`, with the counts `sent<n>` and `verified<n>` of slot number `n`.
//! Each count of a send also removes slots that have ended, so that the item remains as small as one hour's.
//!
//! No transaction writes this item: every send to a country and every verified code of it would conflict on it.

use super::{Item, ItemKey, Store, failed_condition, number, store_error};
use crate::{
    clock::Timestamp,
    contact::Phone,
    domain::traffic::{SLOT_SECONDS, SLOTS, Slot, slot},
    error::Error,
};
use aws_sdk_dynamodb::{operation::update_item::builders::UpdateItemFluentBuilder, types::ReturnValue};
use std::collections::BTreeMap;

const SENT: &str = "sent";
const VERIFIED: &str = "verified";

/// The number of ended slots that each count removes. Removing older ones, after more than five hours without a send,
/// takes another request.
const SWEPT_SLOTS: u64 = 4 * SLOTS;

/// The seconds after a send for which the item is needed.
const HOUR: u64 = SLOTS * SLOT_SECONDS;

impl Store {
    /// Returns the traffic to a phone's calling code.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn traffic(&self, phone: &Phone) -> Result<Vec<Slot>, Error> {
        Ok(slots(&self.get_item(key(phone)?).await?.unwrap_or_default()))
    }

    /// Counts a code that is about to be sent. Returns the traffic before it.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn count_sent(&self, phone: &Phone, at: Timestamp) -> Result<Vec<Slot>, Error> {
        let current = slot(at);
        let oldest = current.saturating_sub(SLOTS - 1);
        let counted = self
            .update_traffic(phone)?
            .update_expression(format!(
                "SET expires_at = :until ADD {SENT}{current} :one {}",
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
            let swept = self.update_traffic(phone)?.update_expression(remove(left)).send().await;
            swept.map_err(|error| store_error(&error))?;
        }
        Ok(before)
    }

    /// Takes a count back, because the code was certainly not sent.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn uncount_sent(&self, phone: &Phone, at: Timestamp) -> Result<(), Error> {
        self.add(phone, SENT, at, -1).await
    }

    /// Counts a verified code in the slot in which it was sent.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn count_verified(&self, phone: &Phone, sent_at: Timestamp) -> Result<(), Error> {
        self.add(phone, VERIFIED, sent_at, 1).await
    }

    async fn add(&self, phone: &Phone, count: &str, at: Timestamp, change: i8) -> Result<(), Error> {
        let add = self
            .update_traffic(phone)?
            .update_expression(format!("ADD {count}{} :change", slot(at)))
            // If TTL has removed the item, the count no longer matters.
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":change", number(change));
        match add.send().await {
            Ok(_) => Ok(()),
            Err(error) => failed_condition(error).map(drop),
        }
    }

    fn update_traffic(&self, phone: &Phone) -> Result<UpdateItemFluentBuilder, Error> {
        let key = key(phone)?.into_item();
        Ok(self.client.update_item().table_name(&self.table).set_key(Some(key)))
    }
}

fn key(phone: &Phone) -> Result<ItemKey, Error> {
    let (calling_code, _) = phone.parts().map_err(Error::internal)?;
    Ok(ItemKey::new(format!("calling-code#{calling_code}"), "traffic"))
}

/// Returns the clause that removes the counts of these slots.
fn remove(slots: impl IntoIterator<Item = u64>) -> String {
    let names: Vec<_> = slots.into_iter().map(|slot| format!("{SENT}{slot}, {VERIFIED}{slot}")).collect();
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
        }
    }
    slots.into_iter().map(|(number, slot)| Slot { number, ..slot }).collect()
}
