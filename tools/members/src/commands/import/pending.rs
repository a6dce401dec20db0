//! The members of a batch that are still to be written.

use super::{field_error::FieldError, outcome::Outcome, record::ImportedMember};

/// Values with the position of their line in the batch.
pub type Indexed<T> = Vec<(usize, T)>;

/// Splits a parsed batch into the outcomes of rejected lines, and the members that are still to be written.
pub fn split(batch: Vec<Result<ImportedMember, FieldError>>) -> (Indexed<Outcome>, Indexed<ImportedMember>) {
    let (mut outcomes, mut pending) = (Vec::new(), Vec::new());
    for (index, parsed) in batch.into_iter().enumerate() {
        match parsed {
            Ok(imported) => pending.push((index, imported)),
            Err(error) => outcomes.push((index, Outcome::Rejected(error))),
        }
    }
    (outcomes, pending)
}

/// Returns the outcomes in the order of their lines.
pub fn in_order(mut outcomes: Indexed<Outcome>) -> Vec<Outcome> {
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}
