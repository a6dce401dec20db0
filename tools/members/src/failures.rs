//! A member's failed password and code attempts, as the functions count them.

use serde::{Deserialize, Serialize};
use shared::{
    clock::Timestamp,
    member::Member,
    store::{Item, counter},
};

use crate::{error::Error, table::MemberTable};

/// Failed attempts of one kind.
#[derive(Debug, Serialize)]
pub struct FailedAttempts {
    /// What was wrong, in the plural.
    pub of: &'static str,
    /// The number of attempts.
    pub count: i64,
    /// When the counter expires.
    pub until: Timestamp,
}

#[derive(Deserialize)]
struct CounterItem {
    count: i64,
    expires_at: Timestamp,
}

impl FailedAttempts {
    /// Reads a counter item.
    pub fn from_item(item: Item) -> Result<Self, Error> {
        let of = match item.get("pk").and_then(|pk| pk.as_s().ok()) {
            Some(pk) if pk.starts_with("failures#password#") => "wrong login passwords",
            Some(pk) if pk.starts_with("failures#pay-password#") => "wrong pay passwords",
            _ => "wrong codes",
        };
        let CounterItem { count, expires_at } = serde_dynamo::from_item(item).map_err(Error::internal)?;
        Ok(Self { of, count, until: expires_at })
    }
}

/// Reads the items of every counter that can lock a member out, expired ones included.
pub async fn counters(table: &MemberTable, member: &Member) -> Result<Vec<Item>, Error> {
    let mut counters = Vec::new();
    for partition in counter::partitions(member) {
        counters.extend(table.partition(partition).await?);
    }
    Ok(counters)
}
