//! `members unlock`: a member's wrong tries are forgotten.

use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};
use serde::{Deserialize, Serialize};
use shared::{
    audit::Operation,
    clock::Timestamp,
    member::Member,
    store::{Item, counter},
};

use crate::{error::Error, output, table::Table};

/// Wrong tries of something that are counted.
#[derive(Debug, Serialize)]
pub struct Failures {
    /// Of what.
    pub of: &'static str,
    /// How many.
    pub count: i64,
    /// When they are forgotten.
    pub until: Timestamp,
}

#[derive(Deserialize)]
struct Counted {
    count: i64,
    expires_at: Timestamp,
}

/// A transaction takes 100 items: one is the record.
const AT_ONCE: usize = 99;

/// Forgets them.
pub async fn run(table: &Table, who: &str, json: bool) -> Result<(), Error> {
    let member = table.find(who).await?;
    let counters = counters(table, &member).await?;
    let mut chunks: Vec<_> = counters.chunks(AT_ONCE).collect();
    if chunks.is_empty() {
        chunks.push(&[]);
    }
    for chunk in chunks {
        let mut writes = Vec::new();
        for counter in chunk {
            let key = ["pk", "sk"]
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), counter.get(name)?.clone())));
            let delete = Delete::builder().table_name(&table.name).set_key(Some(key.collect()));
            let delete = delete.build().map_err(Error::internal)?;
            writes.push(TransactWriteItem::builder().delete(delete).build());
        }
        writes.push(table.record_of(member.id, Operation::Unlocked)?);
        table.write(writes).await?;
    }
    let forgotten = told(counters)?;
    if json {
        return output::json(&forgotten);
    }
    for Failures { of, count, .. } in &forgotten {
        output::line(format_args!("{count} of {of} forgotten"))?;
    }
    if forgotten.is_empty() {
        output::line("there was nothing to forget")?;
    }
    Ok(())
}

/// What of a member's wrong tries is counted.
pub async fn failures(table: &Table, member: &Member) -> Result<Vec<Failures>, Error> {
    let mut failures = told(counters(table, member).await?)?;
    let now = Timestamp::now();
    failures.retain(|failures| failures.count > 0 && failures.until > now);
    Ok(failures)
}

async fn counters(table: &Table, member: &Member) -> Result<Vec<Item>, Error> {
    let mut counters = Vec::new();
    for partition in counter::partitions(member) {
        counters.extend(table.partition(partition).await?);
    }
    Ok(counters)
}

fn told(counters: Vec<Item>) -> Result<Vec<Failures>, Error> {
    let told = |item: Item| {
        let of = match item.get("pk").and_then(|pk| pk.as_s().ok()) {
            Some(pk) if pk.starts_with("failures#password#") => "wrong login passwords",
            Some(pk) if pk.starts_with("failures#pay-password#") => "wrong pay passwords",
            _ => "wrong codes",
        };
        let Counted { count, expires_at } = serde_dynamo::from_item(item).map_err(Error::internal)?;
        Ok(Failures { of, count, until: expires_at })
    };
    counters.into_iter().map(told).collect()
}
