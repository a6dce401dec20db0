//! Creating members: several in one transaction, each of them completely or not at all.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

use aws_sdk_dynamodb::types::{CancellationReason, Put, TransactWriteItem};
use shared::store::member;

use super::{
    context::Context,
    existing::Existing,
    field_error::FieldError,
    items,
    outcome::Outcome,
    pending::{self, Indexed},
    record::ImportedMember,
    update::update,
};
use crate::{
    error::Error,
    table::MemberTable,
    transaction::{MAX_ATTEMPTS, TransactionResult, back_off, condition_failed},
};

/// Why a member of a transaction was not created.
enum Obstacle {
    /// The member exists.
    Exists,
    /// A phone or email address belongs to another member.
    Taken(FieldError),
}

/// Writes a batch. Returns the outcome of each line.
///
/// A transaction applies completely or not at all. If it is canceled, the members that caused it get their outcome,
/// and the others are sent again.
pub async fn write(
    context: &Arc<Context>,
    batch: Vec<Result<ImportedMember, FieldError>>,
) -> Result<Vec<Outcome>, Error> {
    let (mut outcomes, mut pending) = pending::split(batch);
    let mut attempt = 0;
    while !pending.is_empty() {
        let (writes, round) = transaction(&context.table, &pending)?;
        let mut settled: HashMap<usize, Result<(), Obstacle>> = HashMap::new();
        match context.table.transact(writes).await? {
            TransactionResult::Committed => settled.extend(round.into_iter().map(|(at, _)| (at, Ok(())))),
            TransactionResult::Canceled(reasons) => {
                for (at, range) in round {
                    if let (Some((_, imported)), Some(reasons)) = (pending.get(at), reasons.get(range))
                        && let Some(obstacle) = obstacle(imported, reasons)
                    {
                        settled.insert(at, Err(obstacle));
                    }
                }
            }
        }
        if settled.is_empty() {
            attempt += 1;
            if attempt == MAX_ATTEMPTS {
                return Err(Error::conflict());
            }
            back_off(attempt).await;
        } else {
            attempt = 0;
        }
        let mut left = Vec::new();
        for (at, (index, imported)) in pending.into_iter().enumerate() {
            let outcome = match settled.remove(&at) {
                None => {
                    left.push((index, imported));
                    continue;
                }
                Some(Ok(())) => Outcome::Imported,
                Some(Err(Obstacle::Taken(error))) => Outcome::Rejected(error),
                Some(Err(Obstacle::Exists)) if context.existing == Existing::Skip => Outcome::Skipped,
                Some(Err(Obstacle::Exists)) => update(context, imported).await?,
            };
            outcomes.push((index, outcome));
        }
        pending = left;
    }
    Ok(pending::in_order(outcomes))
}

/// The writes of a transaction, and by the position of each of its members the range of the member's writes.
type Round = (Vec<TransactWriteItem>, Vec<(usize, Range<usize>)>);

/// Returns a transaction that creates as many pending members as one transaction can.
fn transaction(table: &MemberTable, pending: &Indexed<ImportedMember>) -> Result<Round, Error> {
    let mut writes = Vec::new();
    let mut round = Vec::new();
    for at in disjoint(pending) {
        let Some((_, imported)) = pending.get(at) else { continue };
        let begin = writes.len();
        for item in member::items(&imported.member)? {
            let put = Put::builder().set_item(Some(item)).condition_expression(member::ABSENT);
            writes.push(table.put(put)?);
        }
        round.push((at, begin..writes.len()));
    }
    Ok((writes, round))
}

/// Returns the positions of members that share no item with an earlier one. A transaction may contain an item only
/// once, and of two lines that conflict the first one wins.
fn disjoint(pending: &Indexed<ImportedMember>) -> Vec<usize> {
    let mut seen = HashSet::new();
    let mut round = Vec::new();
    for (at, (_, imported)) in pending.iter().enumerate() {
        let partitions: Vec<_> = items::keys(&imported.member).iter().map(items::partition).collect();
        if partitions.iter().all(|partition| !seen.contains(partition)) {
            round.push(at);
        }
        seen.extend(partitions);
    }
    round
}

/// Returns why a member was not created, or `None` if it can be sent again.
///
/// The member's own item comes first. If it exists, so do its phone and email items, which then prove nothing. They
/// show that another member owns them only if the member's own item raised no objection at all, not even a conflict.
fn obstacle(imported: &ImportedMember, reasons: &[CancellationReason]) -> Option<Obstacle> {
    let failed = reasons.iter().position(condition_failed)?;
    match (failed, reasons.first().and_then(CancellationReason::code)) {
        (0, _) => Some(Obstacle::Exists),
        (failed, None | Some("None")) => {
            let destinations = imported.member.destinations();
            destinations.get(failed - 1).map(FieldError::taken).map(Obstacle::Taken)
        }
        _ => None,
    }
}
