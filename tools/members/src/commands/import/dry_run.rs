//! What an import would do, without writing.

use std::{collections::HashMap, sync::Arc};

use aws_sdk_dynamodb::types::KeysAndAttributes;
use shared::{
    contact::Destination,
    store::{Item, member},
};

use super::{
    context::Context, existing::Existing, field_error::FieldError, items, outcome::Outcome, pending,
    record::ImportedMember, update::MemberUpdate,
};
use crate::{
    attribute::text,
    error::Error,
    table::MemberTable,
    transaction::{MAX_ATTEMPTS, back_off},
};

/// Returns the outcome that each line of a batch would have, given the table and the lines of the same batch.
pub async fn predict(
    context: &Arc<Context>,
    batch: Vec<Result<ImportedMember, FieldError>>,
) -> Result<Vec<Outcome>, Error> {
    let (mut outcomes, pending) = pending::split(batch);
    let mut keys = HashMap::new();
    for (_, ImportedMember { member, .. }) in &pending {
        keys.extend(items::keys(member).into_iter().map(|key| (items::partition(&key), key)));
    }
    let mut found = read(&context.table, keys.into_values().collect()).await?;
    for (index, imported) in pending {
        let id = imported.member.id;
        let existing = found.get(&items::partition(&member::key(id).into_item())).cloned();
        let is_taken = |destination: &&Destination| {
            let owner = found.get(&items::partition(&member::owner_key(destination).into_item()));
            owner.is_some_and(|owner| owner.get("member") != Some(&text(id.to_string())))
        };
        let taken = imported.member.destinations().iter().find(is_taken).map(FieldError::taken);
        let mut written = member::items(&imported.member)?;
        let outcome = match (existing, taken) {
            (Some(_), _) if context.existing == Existing::Skip => Outcome::Skipped,
            (_, Some(error)) => Outcome::Rejected(error),
            (Some(item), None) => {
                // An update leaves the member's own item in place.
                written.remove(0);
                let member = serde_dynamo::from_item(item).map_err(Error::internal)?;
                match MemberUpdate::compare(context, member, imported).await? {
                    (_, Some(_)) => Outcome::Updated,
                    (_, None) => Outcome::Skipped,
                }
            }
            (None, None) => Outcome::Imported,
        };
        if matches!(outcome, Outcome::Imported | Outcome::Updated) {
            found.extend(written.into_iter().map(|item| (items::partition(&item), item)));
        }
        outcomes.push((index, outcome));
    }
    Ok(pending::in_order(outcomes))
}

/// Reads the items that exist, by their partition key.
async fn read(table: &MemberTable, mut keys: Vec<Item>) -> Result<HashMap<String, Item>, Error> {
    let mut found = HashMap::new();
    let mut attempt = 0;
    while !keys.is_empty() {
        let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
        let request = request.build().map_err(Error::internal)?;
        let response = table.client.batch_get_item().request_items(&table.name, request).send().await;
        let response = response.map_err(Error::from_call("DynamoDB"))?;
        let items = response.responses.unwrap_or_default().remove(&table.name).unwrap_or_default();
        found.extend(items.into_iter().map(|item| (items::partition(&item), item)));
        let unprocessed = response.unprocessed_keys.unwrap_or_default().remove(&table.name);
        keys = unprocessed.map(|unprocessed| unprocessed.keys).unwrap_or_default();
        if !keys.is_empty() {
            back_off(attempt).await;
            attempt = (attempt + 1).min(MAX_ATTEMPTS);
        }
    }
    Ok(found)
}
