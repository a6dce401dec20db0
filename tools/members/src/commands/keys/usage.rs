//! Which keys the password hashes of all members use.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use shared::member::Member;

use crate::{
    error::Error,
    scan::{self, Filter},
    table::MemberTable,
};

/// Counts the password hashes that use each key, by the key's id. Scans the whole table.
pub async fn hashes_by_key(table: &MemberTable) -> Result<BTreeMap<String, u64>, Error> {
    let filter = Filter::members();
    let mut counts = BTreeMap::new();
    let mut items = std::pin::pin!(scan::items(table, &filter));
    while let Some(item) = items.try_next().await? {
        let member: Member = serde_dynamo::from_item(item).map_err(Error::internal)?;
        for hash in member.password.iter().chain(&member.pay_password) {
            if let Some(id) = hash.key_id() {
                *counts.entry(id).or_default() += 1;
            }
        }
    }
    Ok(counts)
}
