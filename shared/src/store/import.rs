//! Creating many members, and predicting the result.

use super::{
    Item, ItemKey, Store,
    closing::{self, Tombstone},
    member::{self, OwnerItem},
    read, store_error,
    transaction::{Backoff, Verdict},
};
use crate::{
    contact::Destination,
    domain::member::{Member, MemberId},
    error::Error,
};
use aws_sdk_dynamodb::types::KeysAndAttributes;
use std::collections::{HashMap, HashSet};

/// The keys that a batch read can contain (`BatchGetItem` in the Amazon DynamoDB API Reference).
const MAX_READS: usize = 100;

/// The result of creating one of several members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// The member was created, with all its items.
    Created,
    /// A member with this id exists.
    Exists,
    /// The member with this id was closed.
    Closed,
    /// Another member owns the phone.
    PhoneInUse,
    /// Another member owns the email address.
    EmailInUse,
    /// Nothing was written, and another attempt can succeed: other members canceled the transaction, it conflicted
    /// with other writers, or the member was left for a later transaction.
    Pending,
}

/// What the table contains under the ids and the contacts of some members.
#[derive(Debug, Default)]
pub struct ExistingMembers {
    /// The members with the same ids.
    pub members: HashMap<MemberId, Member>,
    /// The same ids whose members were closed.
    pub closed: HashSet<MemberId>,
    /// The owners of the same phones and email addresses.
    pub owners: HashMap<Destination, MemberId>,
}

impl Store {
    /// Creates as many members as fit into one transaction, each completely or not at all. Returns a result per
    /// member.
    ///
    /// A transaction can contain an item only once. Of members that share an item, the first is attempted, and the
    /// others remain [pending](Creation::Pending).
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn create_members(&self, members: &[&Member]) -> Result<Vec<Creation>, Error> {
        let mut transaction = self.transaction();
        let mut seen = HashSet::new();
        // The number of each member's writes, or `None` if it is left for a later transaction.
        let mut writes = Vec::with_capacity(members.len());
        for member in members {
            let partitions: Vec<_> = member::keys(member).map(|key| key.pk).collect();
            let shares_item = partitions.iter().any(|partition| seen.contains(partition));
            // One more for the condition that no member with this id was closed.
            let count = partitions.len() + 1;
            let is_attempted = !shares_item && count <= transaction.room();
            if is_attempted {
                transaction.create(member)?;
            }
            writes.push(is_attempted.then_some(count));
            seen.extend(partitions);
        }
        let canceled = self.attempt(transaction).await?;
        let mut verdicts = canceled.map(Vec::into_iter);
        let results = writes.into_iter().map(|writes| match (writes, &mut verdicts) {
            (None, _) => Creation::Pending,
            (Some(_), None) => Creation::Created,
            (Some(writes), Some(verdicts)) => creation(&verdicts.take(writes).collect::<Vec<_>>()),
        });
        Ok(results.collect())
    }

    /// Reads what the table contains under the ids and the contacts of these members.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn existing_members(&self, members: &[&Member]) -> Result<ExistingMembers, Error> {
        let ids: HashSet<_> = members.iter().map(|member| member.id).collect();
        let contacts = members.iter().flat_map(|member| member.destinations());
        let contacts: HashMap<_, _> = contacts.map(|contact| (contact.key(), contact)).collect();
        let of_ids = ids.into_iter().flat_map(|id| [member::key(id), closing::key(id)]);
        let keys = of_ids.chain(contacts.values().map(member::owner_key));
        let mut existing = ExistingMembers::default();
        for item in self.batch(keys.map(ItemKey::into_item).collect()).await? {
            let ItemKey { pk, .. } = read(item.clone())?;
            if let Some(contact) = contacts.get(&pk) {
                existing.owners.insert(contact.clone(), read::<OwnerItem>(item)?.member);
            } else if pk.starts_with(closing::PREFIX) {
                existing.closed.insert(read::<Tombstone>(item)?.id);
            } else {
                let member: Member = read(item)?;
                existing.members.insert(member.id, member);
            }
        }
        Ok(existing)
    }

    /// Reads the owners of phones and email addresses. Those without an owner are not in the result.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn owners(
        &self,
        destinations: impl IntoIterator<Item = Destination>,
    ) -> Result<HashMap<Destination, MemberId>, Error> {
        let contacts: HashMap<_, _> =
            destinations.into_iter().map(|contact| (contact.key(), contact)).collect();
        let keys = contacts.values().map(|contact| member::owner_key(contact).into_item()).collect();
        let mut owners = HashMap::new();
        for item in self.batch(keys).await? {
            let key: ItemKey = read(item.clone())?;
            if let Some(contact) = contacts.get(&key.pk) {
                owners.insert(contact.clone(), read::<OwnerItem>(item)?.member);
            }
        }
        Ok(owners)
    }

    /// Reads the items that exist under these keys, in no particular order.
    async fn batch(&self, mut keys: Vec<Item>) -> Result<Vec<Item>, Error> {
        let mut found = Vec::new();
        let mut backoff = Backoff::of_command();
        while !keys.is_empty() {
            let later = keys.split_off(keys.len().min(MAX_READS));
            let requested = keys.len();
            let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
            let request = request.build().map_err(Error::internal)?;
            let output = self.client.batch_get_item().request_items(&self.table, request).send().await;
            let output = output.map_err(|error| store_error(&error))?;
            found.extend(output.responses.unwrap_or_default().remove(&self.table).unwrap_or_default());
            let unprocessed = output.unprocessed_keys.unwrap_or_default().remove(&self.table);
            let unprocessed = unprocessed.map(|unprocessed| unprocessed.keys).unwrap_or_default();
            if unprocessed.len() < requested {
                backoff = Backoff::of_command();
            }
            if !unprocessed.is_empty() && !backoff.wait().await {
                return Err(Error::Busy("DynamoDB throttles the reads".into()));
            }
            keys = later;
            keys.extend(unprocessed);
        }
        Ok(found)
    }
}

/// Returns the result of a member, given the verdicts on its writes in a canceled transaction: on the member's own
/// item, on the condition that the member was not closed, and on the owner items.
///
/// If the member's own item exists, so do its owner items, which then prove nothing. They show that another member
/// owns a contact only if nothing at all prevented the member's own write, not even a conflict.
fn creation(verdicts: &[Verdict]) -> Creation {
    let refused = |verdict: &Verdict| match verdict {
        Verdict::Refused(Error::PhoneInUse) => Some(Creation::PhoneInUse),
        Verdict::Refused(Error::EmailInUse) => Some(Creation::EmailInUse),
        _ => None,
    };
    match verdicts {
        [Verdict::Refused(_), ..] => Creation::Exists,
        [_, Verdict::Refused(_), ..] => Creation::Closed,
        [Verdict::Blameless, _, owners @ ..] => owners.iter().find_map(refused).unwrap_or(Creation::Pending),
        _ => Creation::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Blameless, Conflict, Refused};

    #[test]
    fn owner_items_count_only_for_a_new_member() {
        let exists = || Refused(Error::internal("a member with this id exists"));
        let (phone, email) = (|| Refused(Error::PhoneInUse), || Refused(Error::EmailInUse));
        let closed = || Refused(Error::MemberClosed);
        for (verdicts, expected) in [
            (vec![exists(), Blameless, phone(), email()], Creation::Exists),
            (vec![exists(), closed(), phone(), email()], Creation::Exists),
            (vec![Blameless, closed(), phone(), email()], Creation::Closed),
            (vec![Conflict, closed()], Creation::Closed),
            (vec![Blameless, Blameless, phone(), email()], Creation::PhoneInUse),
            (vec![Blameless, Conflict, Conflict, email()], Creation::EmailInUse),
            (vec![Conflict, Blameless, phone(), Blameless], Creation::Pending),
            (vec![Blameless, Blameless, Conflict, Blameless], Creation::Pending),
            (vec![Blameless, Blameless, Blameless, Blameless], Creation::Pending),
        ] {
            assert_eq!(creation(&verdicts), expected, "{verdicts:?}");
        }
    }
}
