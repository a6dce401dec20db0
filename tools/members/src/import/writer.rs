//! Members are written, many in one transaction, each wholly or not at all.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, KeysAndAttributes, Put, TransactWriteItem, Update,
    builders::UpdateBuilder,
};
use shared::{
    audit::Operation,
    contact::Destination,
    member::{Member, MemberId},
    password::{Memory, PasswordHash},
    store::{Item, ItemKey, member},
};

use super::{Existing, Import, Outcome, field_error::FieldError, newcomer::Newcomer};
use crate::{
    error::Error,
    table::{ATTEMPTS, Sent, Table, has_failed, number, text, yield_to_others},
};

/// Nobody wrote the member since they were read.
const UNCHANGED: &str = "revision = :revision";

/// Writes a batch; an outcome for each.
pub async fn write(
    import: &Arc<Import>,
    batch: Vec<Result<Newcomer, FieldError>>,
) -> Result<Vec<Outcome>, Error> {
    let (mut outcomes, mut waiting) = sorted(batch);
    let mut attempt = 0;
    while !waiting.is_empty() {
        let mut writes = Vec::new();
        // Where the writes of each of them begin and end.
        let mut round = Vec::new();
        for at in disjoint(&waiting) {
            let Some((_, newcomer)) = waiting.get(at) else { continue };
            let begin = writes.len();
            for item in member::items(&newcomer.member)? {
                let put = Put::builder().set_item(Some(item)).condition_expression(member::ABSENT);
                writes.push(import.table.put(put)?);
            }
            round.push((at, begin..writes.len()));
        }
        let mut settled: HashMap<usize, Option<Outcome>> = HashMap::new();
        match import.table.transact(writes).await? {
            Sent::Written => settled.extend(round.into_iter().map(|(at, _)| (at, Some(Outcome::Imported)))),
            Sent::Refused(reasons) => {
                for (at, range) in round {
                    let (Some((_, newcomer)), Some(reasons)) = (waiting.get(at), reasons.get(range)) else {
                        continue;
                    };
                    // The member's own item comes first: whoever exists has their own phone. Only where it is not in
                    // anybody's way the others' tell of another member.
                    let part = reasons.iter().position(has_failed);
                    match (part, reasons.first().and_then(CancellationReason::code)) {
                        (Some(0), _) => drop(settled.insert(at, None)),
                        (Some(part), None | Some("None")) => {
                            let destinations = newcomer.member.destinations();
                            let refused = destinations.get(part - 1).map(taken).map(Outcome::Refused);
                            settled.extend(refused.map(|refused| (at, Some(refused))));
                        }
                        _ => {}
                    }
                }
            }
        }
        if settled.is_empty() {
            attempt += 1;
            if attempt == ATTEMPTS {
                return Err(Error::contended());
            }
            yield_to_others(attempt).await;
        } else {
            attempt = 0;
        }
        let mut left = Vec::new();
        for (at, (index, newcomer)) in waiting.into_iter().enumerate() {
            match settled.remove(&at) {
                None => left.push((index, newcomer)),
                Some(Some(outcome)) => outcomes.push((index, outcome)),
                Some(None) if import.existing == Existing::Skip => outcomes.push((index, Outcome::Skipped)),
                Some(None) => outcomes.push((index, update(import, newcomer).await?)),
            }
        }
        waiting = left;
    }
    Ok(in_order(outcomes))
}

/// What [`write()`] would do, as far as the table and the lines of the batch tell.
pub async fn foresee(
    import: &Arc<Import>,
    batch: Vec<Result<Newcomer, FieldError>>,
) -> Result<Vec<Outcome>, Error> {
    let (mut outcomes, waiting) = sorted(batch);
    let mut keys = HashMap::new();
    for (_, Newcomer { member, .. }) in &waiting {
        keys.extend(keys_of(member).into_iter().map(|key| (partition(&key), key)));
    }
    let mut found = read(&import.table, keys.into_values().collect()).await?;
    for (index, newcomer) in waiting {
        let id = newcomer.member.id;
        let exists = found.get(&partition(&member::key(id).into_item())).cloned();
        let is_anothers = |destination: &&Destination| {
            let owner = found.get(&partition(&member::owner_key(destination).into_item()));
            owner.is_some_and(|owner| owner.get("member") != Some(&text(id.to_string())))
        };
        let taken = newcomer.member.destinations().iter().find(is_anothers).map(taken);
        let mut items = member::items(&newcomer.member)?;
        let outcome = match (exists, taken) {
            (Some(_), _) if import.existing == Existing::Skip => Outcome::Skipped,
            (_, Some(fault)) => Outcome::Refused(fault),
            (Some(item), None) => {
                items.remove(0);
                let member = serde_dynamo::from_item(item).map_err(Error::internal)?;
                match Changes::of(import, member, newcomer).await? {
                    (_, Some(_)) => Outcome::Updated,
                    (_, None) => Outcome::Skipped,
                }
            }
            (None, None) => Outcome::Imported,
        };
        if matches!(outcome, Outcome::Imported | Outcome::Updated) {
            found.extend(items.into_iter().map(|item| (partition(&item), item)));
        }
        outcomes.push((index, outcome));
    }
    Ok(in_order(outcomes))
}

type Indexed<T> = Vec<(usize, T)>;

/// The outcomes that are known already, and those who are still to be written.
fn sorted(batch: Vec<Result<Newcomer, FieldError>>) -> (Indexed<Outcome>, Indexed<Newcomer>) {
    let (mut outcomes, mut waiting) = (Vec::new(), Vec::new());
    for (index, parsed) in batch.into_iter().enumerate() {
        match parsed {
            Ok(newcomer) => waiting.push((index, newcomer)),
            Err(fault) => outcomes.push((index, Outcome::Refused(fault))),
        }
    }
    (outcomes, waiting)
}

fn in_order(mut outcomes: Indexed<Outcome>) -> Vec<Outcome> {
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Those who share no item with one before them: a transaction takes an item once, and the first line comes first.
fn disjoint(waiting: &Indexed<Newcomer>) -> Vec<usize> {
    let mut seen = HashSet::new();
    let mut round = Vec::new();
    for (at, (_, newcomer)) in waiting.iter().enumerate() {
        let partitions: Vec<_> = keys_of(&newcomer.member).iter().map(partition).collect();
        if partitions.iter().all(|partition| !seen.contains(partition)) {
            round.push(at);
        }
        seen.extend(partitions);
    }
    round
}

/// The keys of a member's items.
fn keys_of(member: &Member) -> Vec<Item> {
    let owners = member.destinations().into_iter().map(|destination| member::owner_key(&destination));
    [member::key(member.id)].into_iter().chain(owners).map(ItemKey::into_item).collect()
}

fn partition(item: &Item) -> String {
    item.get("pk").and_then(|pk| pk.as_s().ok()).cloned().unwrap_or_default()
}

/// The fault of a line whose phone or mail address is another's.
fn taken(destination: &Destination) -> FieldError {
    let field = match destination {
        Destination::Phone(_) => "phone",
        Destination::Email(_) => "email",
    };
    FieldError::new(field, "it belongs to another member")
}

/// Gives a member who exists what their line has, and leaves alone what it has not.
async fn update(import: &Arc<Import>, new: Newcomer) -> Result<Outcome, Error> {
    for attempt in 0..ATTEMPTS {
        let Some(member) = import.table.store.member(new.member.id).await? else {
            return Err(Error::Absent("a member went while they were updated".to_owned()));
        };
        let (member, changes) = Changes::of(import, member, new.clone()).await?;
        let Some(changes) = changes else { return Ok(Outcome::Skipped) };
        let (writes, bound) = changes.writes(&member, &import.table)?;
        let reasons = match import.table.transact(writes).await? {
            Sent::Written => return Ok(Outcome::Updated),
            Sent::Refused(reasons) => reasons,
        };
        // The destinations that are bound stand first.
        if let Some((destination, _)) = bound.iter().zip(&reasons).find(|(_, reason)| has_failed(reason)) {
            return Ok(Outcome::Refused(taken(destination)));
        }
        yield_to_others(attempt).await;
    }
    Err(Error::contended())
}

/// What an update sets.
struct Changes {
    bound: Vec<Destination>,
    set: Vec<(&'static str, AttributeValue)>,
    ends_sessions: bool,
}

impl Changes {
    /// None, if the member has all of it. To see it may take a hash.
    async fn of(
        import: &Arc<Import>,
        member: Member,
        mut new: Newcomer,
    ) -> Result<(Member, Option<Self>), Error> {
        let with = Arc::clone(import);
        let compare = move |memory: &mut Memory| {
            new.leave_same(&member, &with.keys, memory)?;
            Ok::<_, Error>((Self::between(&member, &new.member), member))
        };
        let (changes, member) = import.cores.run(compare).await??;
        Ok((member, changes))
    }

    fn between(member: &Member, new: &Member) -> Option<Self> {
        let mut bound = new.destinations();
        bound.retain(|destination| !member.owns(destination));
        let hash = |hash: &Option<PasswordHash>| hash.as_ref().map(|hash| hash.as_str().to_owned());
        let text_of = |name, is: Option<String>, was: Option<String>| {
            is.filter(|is| was.as_ref() != Some(is)).map(|is| (name, text(is)))
        };
        let language = |member: &Member| member.language.map(|language| language.tag().to_owned());
        let password = text_of("password", hash(&new.password), hash(&member.password));
        let ends_sessions = password.is_some();
        let cooling_since = new.cooling_since.filter(|since| member.cooling_since.as_ref() != Some(since));
        let cooling_since = cooling_since.map(|since| ("cooling_since", number(since.0)));
        let set: Vec<_> = [
            password,
            text_of("pay_password", hash(&new.pay_password), hash(&member.pay_password)),
            text_of("language", language(new), language(member)),
        ]
        .into_iter()
        .flatten()
        .chain(cooling_since)
        .chain(bound.iter().map(|destination| match destination {
            Destination::Phone(phone) => ("phone", text(phone.as_str())),
            Destination::Email(email) => ("email", text(email.as_str())),
        }))
        .collect();
        (!set.is_empty()).then_some(Self { bound, set, ends_sessions })
    }

    /// The transaction, and the destinations that its first writes bind.
    fn writes(
        self,
        member: &Member,
        table: &Table,
    ) -> Result<(Vec<TransactWriteItem>, Vec<Destination>), Error> {
        let mut writes = Vec::new();
        for destination in &self.bound {
            writes.push(table.put(member::claim(member.id, destination)?)?);
        }
        for destination in &self.bound {
            if let Some(replaced) = member.replaced_by(destination) {
                writes.push(free(member.id, &replaced, table)?);
            }
        }
        let update = self.update(member).table_name(&table.name).build().map_err(Error::internal)?;
        writes.push(TransactWriteItem::builder().update(update).build());
        writes.push(table.record_of(member.id, Operation::Updated)?);
        Ok((writes, self.bound))
    }

    fn update(&self, member: &Member) -> UpdateBuilder {
        let sets: Vec<_> = self.set.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
        let version = if self.ends_sessions { ", credential_version :one" } else { "" };
        let update = Update::builder()
            .set_key(Some(member::key(member.id).into_item()))
            .update_expression(format!("SET {} ADD revision :one{version}", sets.join(", ")))
            .condition_expression(UNCHANGED)
            .expression_attribute_values(":revision", number(member.revision))
            .expression_attribute_values(":one", number(1));
        self.set.iter().fold(update, |update, (name, value)| {
            update
                .expression_attribute_names(format!("#{name}"), *name)
                .expression_attribute_values(format!(":{name}"), value.clone())
        })
    }
}

fn free(of: MemberId, destination: &Destination, table: &Table) -> Result<TransactWriteItem, Error> {
    let delete = member::release(of, destination).table_name(&table.name).build().map_err(Error::internal)?;
    Ok(TransactWriteItem::builder().delete(delete).build())
}

/// The items of those keys that are there, by their partition.
async fn read(table: &Table, mut keys: Vec<Item>) -> Result<HashMap<String, Item>, Error> {
    let mut found = HashMap::new();
    let mut attempt = 0;
    while !keys.is_empty() {
        let asked = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
        let asked = asked.build().map_err(Error::internal)?;
        let answer = table.client.batch_get_item().request_items(&table.name, asked).send().await;
        let answer = answer.map_err(Error::of_call("DynamoDB"))?;
        let items = answer.responses.unwrap_or_default().remove(&table.name).unwrap_or_default();
        found.extend(items.into_iter().map(|item| (partition(&item), item)));
        let left = answer.unprocessed_keys.unwrap_or_default().remove(&table.name);
        keys = left.map(|left| left.keys).unwrap_or_default();
        if !keys.is_empty() {
            yield_to_others(attempt).await;
            attempt = (attempt + 1).min(ATTEMPTS);
        }
    }
    Ok(found)
}
