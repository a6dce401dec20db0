//! Creating members: several in one transaction, each of them completely or not at all.

use std::sync::Arc;

use shared::store::{Backoff, Creation};

use super::{
    context::Context, existing::Existing, field_error::FieldError, outcome::Outcome, pending,
    record::ImportedMember, update::update,
};
use crate::error::Error;

/// Writes a batch. Returns the outcome of each line.
///
/// If a transaction is canceled, the members that caused it get their outcome, and the others are sent again. Of two
/// lines that conflict, the first one wins.
pub async fn write(
    context: &Arc<Context>,
    batch: Vec<Result<ImportedMember, FieldError>>,
) -> Result<Vec<Outcome>, Error> {
    let (mut outcomes, mut pending) = pending::split(batch);
    let mut backoff = Backoff::of_command();
    while !pending.is_empty() {
        let members: Vec<_> = pending.iter().map(|(_, imported)| &imported.member).collect();
        let creations = context.table.store.create_members(&members).await?;
        if creations.iter().any(|creation| *creation != Creation::Pending) {
            backoff = Backoff::of_command();
        } else if !backoff.wait().await {
            return Err(Error::conflict());
        }
        let mut left = Vec::new();
        for ((index, imported), creation) in pending.into_iter().zip(creations) {
            let outcome = match creation {
                Creation::Pending => {
                    left.push((index, imported));
                    continue;
                }
                Creation::Created => Outcome::Imported,
                Creation::Closed => Outcome::Rejected(FieldError::closed()),
                Creation::PhoneInUse => Outcome::Rejected(FieldError::phone_taken()),
                Creation::EmailInUse => Outcome::Rejected(FieldError::email_taken()),
                Creation::Exists if context.existing == Existing::Skip => Outcome::Skipped,
                Creation::Exists => update(context, imported).await?,
            };
            outcomes.push((index, outcome));
        }
        pending = left;
    }
    Ok(pending::in_order(outcomes))
}
