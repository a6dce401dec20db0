//! `members keys list`: the keys, and how many password hashes use each.

use std::collections::BTreeMap;

use serde_json::json;
use shared::audit::AdminAction;

use super::{key_set::KeySet, storage::KeyStorage, usage};
use crate::{error::Error, output, table::MemberTable};

/// Prints the keys.
pub async fn run(storage: &KeyStorage<'_>, table: Option<&MemberTable>, json: bool) -> Result<(), Error> {
    let Some(table) = table else {
        return Err(Error::Usage(
            "no table is named; pass --stack NAME, --table NAME or --env FILE".to_owned(),
        ));
    };
    table.record(None, AdminAction::KeysCounted).await?;
    let keys = storage.read().await?;
    let mut counts = usage::hashes_by_key(table).await?;
    for id in keys.ids() {
        counts.entry(id.clone()).or_default();
    }
    print_result(&keys, &counts, json)
}

fn print_result(keys: &KeySet, counts: &BTreeMap<String, u64>, json: bool) -> Result<(), Error> {
    if json {
        return output::json(&json!({ "current": keys.current(), "passwords": counts }));
    }
    for (id, count) in counts {
        let state = match (id == keys.current(), keys.contains(id)) {
            (true, _) => " (current)",
            (false, true) => "",
            (false, false) => " (key removed; these hashes can no longer be verified)",
        };
        output::line(format_args!("{id}: {count} password hashes{state}"))?;
    }
    Ok(())
}
