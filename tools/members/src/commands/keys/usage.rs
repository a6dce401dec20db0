//! Which keys the password hashes of all members use.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;

use crate::{error::Error, scan, table::MemberTable};

/// Counts the password hashes that use each key, by the key's id. Scans the whole table.
pub async fn hashes_by_key(table: &MemberTable) -> Result<BTreeMap<String, u64>, Error> {
    let mut counts = BTreeMap::new();
    let mut members = std::pin::pin!(scan::members(table));
    while let Some(member) = members.try_next().await? {
        for hash in member.password.iter().chain(&member.pay_password) {
            if let Some(id) = hash.key_id() {
                *counts.entry(id).or_default() += 1;
            }
        }
    }
    Ok(counts)
}
