//! The traffic to a calling code, counted by slots of time. No transaction touches it: every send and every
//! right code of a country would meet in it.
//!
//! Item `calling-code#<calling code>` / `traffic`, with `sent<n>` and `verified<n>` for slot number `n`. A
//! count takes the slots along that are over, so that the item stays as small as an hour's.

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

/// So many slots are taken along when they are over. What a silence of more than five hours leaves behind
/// takes a request of its own.
const SWEPT: u64 = 4 * SLOTS;

/// How long the item is of use.
const HOUR: u64 = SLOTS * SLOT_SECONDS;

impl Store {
    /// The traffic to a phone's calling code.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn traffic(&self, phone: &Phone) -> Result<Vec<Slot>, Error> {
        Ok(slots(&self.get_item(key(phone)?).await?.unwrap_or_default()))
    }

    /// Counts a code that is about to be sent, and answers the traffic before it.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn count_sent(&self, phone: &Phone, at: Timestamp) -> Result<Vec<Slot>, Error> {
        let current = slot(at);
        let oldest = current.saturating_sub(SLOTS - 1);
        let counted = self
            .update_traffic(phone)?
            .update_expression(format!(
                "SET expires_at = :until ADD {SENT}{current} :one {}",
                remove(oldest.saturating_sub(SWEPT)..oldest)
            ))
            .expression_attribute_values(":until", number(at.plus(HOUR).0))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllOld)
            .send()
            .await
            .map_err(|error| store_error(&error))?;
        let before = slots(&counted.attributes.unwrap_or_default());
        let left: Vec<_> = before.iter().map(|slot| slot.number).filter(|n| n + SWEPT < oldest).collect();
        if !left.is_empty() {
            let swept = self.update_traffic(phone)?.update_expression(remove(left)).send().await;
            swept.map_err(|error| store_error(&error))?;
        }
        Ok(before)
    }

    /// Takes a count back, because nothing left.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn uncount_sent(&self, phone: &Phone, at: Timestamp) -> Result<(), Error> {
        self.add(phone, SENT, at, -1).await
    }

    /// Counts a code that came back right, in the slot that it was sent in.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn count_verified(&self, phone: &Phone, sent_at: Timestamp) -> Result<(), Error> {
        self.add(phone, VERIFIED, sent_at, 1).await
    }

    async fn add(&self, phone: &Phone, what: &str, at: Timestamp, change: i8) -> Result<(), Error> {
        let add = self
            .update_traffic(phone)?
            .update_expression(format!("ADD {what}{} :change", slot(at)))
            // Where the item was swept, there is nothing left to judge by.
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

fn remove(slots: impl IntoIterator<Item = u64>) -> String {
    let names: Vec<_> = slots.into_iter().map(|slot| format!("{SENT}{slot}, {VERIFIED}{slot}")).collect();
    format!("REMOVE {}", names.join(", "))
}

fn slots(item: &Item) -> Vec<Slot> {
    let mut slots = BTreeMap::<u64, Slot>::new();
    for (name, value) in item {
        let numbered = |what| name.strip_prefix(what)?.parse().ok();
        let count = value.as_n().ok().and_then(|count| count.parse().ok()).unwrap_or_default();
        if let Some(number) = numbered(SENT) {
            slots.entry(number).or_default().sent = count;
        } else if let Some(number) = numbered(VERIFIED) {
            slots.entry(number).or_default().verified = count;
        }
    }
    slots.into_iter().map(|(number, slot)| Slot { number, ..slot }).collect()
}
