//! What an import would do, without writing.

use std::sync::Arc;

use shared::contact::Destination;

use super::{
    context::Context, existing::Existing, field_error::FieldError, outcome::Outcome, pending,
    record::ImportedMember, update::compare,
};
use crate::error::Error;

/// Returns the outcome that each line of a batch would have, given the table and the lines of the same batch.
pub async fn predict(
    context: &Arc<Context>,
    batch: Vec<Result<ImportedMember, FieldError>>,
) -> Result<Vec<Outcome>, Error> {
    let (mut outcomes, pending) = pending::split(batch);
    let members: Vec<_> = pending.iter().map(|(_, imported)| &imported.member).collect();
    let mut existing = context.table.store.existing_members(&members).await?;
    for (index, imported) in pending {
        let new = imported.member.clone();
        let contacts = new.destinations();
        let is_taken =
            |contact: &&Destination| existing.owners.get(contact).is_some_and(|owner| *owner != new.id);
        let taken = contacts.iter().find(is_taken).map(FieldError::taken);
        let outcome = match (existing.members.get(&new.id), taken) {
            (Some(_), _) if context.existing == Existing::Skip => Outcome::Skipped,
            (None, _) if existing.closed.contains(&new.id) => Outcome::Rejected(FieldError::closed()),
            (_, Some(error)) => Outcome::Rejected(error),
            (Some(member), None) => {
                let (_, update) = compare(context, member.clone(), imported).await?;
                if update.is_empty() { Outcome::Skipped } else { Outcome::Updated }
            }
            (None, None) => Outcome::Imported,
        };
        if matches!(outcome, Outcome::Imported | Outcome::Updated) {
            existing.owners.extend(contacts.into_iter().map(|contact| (contact, new.id)));
            // An update leaves the member's own item in place.
            existing.members.entry(new.id).or_insert(new);
        }
        outcomes.push((index, outcome));
    }
    Ok(pending::in_order(outcomes))
}
