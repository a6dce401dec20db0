//! A scan for the contacts that are not in their normal form.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt;
use indicatif::{HumanCount, ProgressBar};
use shared::{
    contact::{Destination, Email, PhoneRules},
    member::{Member, MemberId},
    store::{ContactItem, StoredOwner},
};

use super::report::{Collision, Unreachable};
use crate::{error::Error, scan, table::MemberTable};

/// Items whose owners are read together. `BatchGetItem` reads 100 keys, and a member has at most two contacts.
const CHUNK_ITEMS: usize = 50;

/// Chunks that are read concurrently.
const CONCURRENT_CHUNKS: usize = 16;

/// A member's contact that is not in its normal form, or that the member does not own under its canonical key.
struct Claim {
    contact: Destination,
    member: MemberId,
    /// The owner under the canonical key.
    owner: Option<MemberId>,
}

/// What a scan of the table found.
#[derive(Default)]
pub struct Survey {
    /// The number of members.
    pub members: u64,
    /// The contacts that have no normal form.
    pub unreachable: Vec<Unreachable>,
    /// The claims on each canonical key.
    claims: BTreeMap<String, Vec<Claim>>,
    /// The owners under other keys than the canonical one, by the canonical key.
    obsolete: Vec<(String, StoredOwner)>,
}

/// A collision with the canonical key that several members claim.
pub type KeyedCollision = (String, Collision);

/// A member to change, with the owners under obsolete keys to delete.
pub type Change = (MemberId, Vec<StoredOwner>);

/// Returns the normal form of a stored contact. Fails with the reason if it has none.
pub fn normal_form(stored: &Destination, phones: &PhoneRules) -> Result<Destination, &'static str> {
    match stored {
        Destination::Phone(phone) => {
            let normal = phones.parse(phone.as_str()).map(Destination::Phone);
            normal.map_err(|_| "not a phone number that can receive SMS in an allowed region")
        }
        Destination::Email(email) => {
            let normal = email.as_str().parse::<Email>().map(Destination::Email);
            normal.map_err(|_| "not an address that email can be sent to")
        }
    }
}

impl Survey {
    /// Scans the whole table.
    pub async fn take(table: &MemberTable, bar: &ProgressBar) -> Result<Self, Error> {
        let items = scan::items(|segment, from| table.store.scan_contacts(segment, from));
        let chunks = items.try_chunks(CHUNK_ITEMS).map_err(|error| error.1);
        let surveys = chunks.map_ok(|items| Self::of(table, items)).try_buffer_unordered(CONCURRENT_CHUNKS);
        let mut surveys = std::pin::pin!(surveys);
        let mut survey = Self::default();
        while let Some(next) = surveys.try_next().await? {
            survey.absorb(next);
            bar.set_message(format!("{} members read", HumanCount(survey.members)));
            bar.tick();
        }
        Ok(survey)
    }

    /// Examines some items, and reads who owns the contacts in them.
    async fn of(table: &MemberTable, items: Vec<ContactItem>) -> Result<Self, Error> {
        let mut survey = Self::default();
        let mut contacts = Vec::new();
        let phones = &table.settings.phones;
        for item in items {
            match item {
                ContactItem::Member(member) => contacts.extend(survey.contacts_of(&member, phones)),
                ContactItem::Owner(owner) => survey.add_owner(owner, phones),
            }
        }
        let owners = table.store.owners(contacts.iter().map(|(_, _, normal)| normal.clone())).await?;
        for (member, stored, contact) in contacts {
            let owner = owners.get(&contact).copied();
            if owner != Some(member) || String::from(stored) != String::from(contact.clone()) {
                let claims = survey.claims.entry(contact.key()).or_default();
                claims.push(Claim { contact, member, owner });
            }
        }
        Ok(survey)
    }

    /// Counts a member. Returns its contacts as they are stored and in their normal form.
    fn contacts_of(
        &mut self,
        member: &Member,
        phones: &PhoneRules,
    ) -> Vec<(MemberId, Destination, Destination)> {
        self.members += 1;
        let mut contacts = Vec::new();
        for stored in member.destinations() {
            match normal_form(&stored, phones) {
                Ok(normal) => contacts.push((member.id, stored, normal)),
                Err(reason) => self.unreachable.push(Unreachable::new(member.id, &stored, reason)),
            }
        }
        contacts
    }

    fn add_owner(&mut self, owner: StoredOwner, phones: &PhoneRules) {
        let canonical = normal_form(&owner.destination, phones).map(|normal| normal.key());
        if let Ok(key) = canonical
            && key != String::from(owner.destination.clone())
        {
            self.obsolete.push((key, owner));
        }
    }

    fn absorb(&mut self, other: Self) {
        let Self { members, unreachable, claims, obsolete } = other;
        self.members += members;
        self.unreachable.extend(unreachable);
        for (key, claims) in claims {
            self.claims.entry(key).or_default().extend(claims);
        }
        self.obsolete.extend(obsolete);
    }

    /// Returns the contacts that several members have, and the members to change.
    pub fn into_changes(self) -> (Vec<KeyedCollision>, Vec<Change>) {
        let mut collisions = BTreeMap::new();
        let mut changes = BTreeMap::<_, Vec<_>>::new();
        for (key, claims) in self.claims {
            let members = claims.iter().flat_map(|claim| claim.owner.into_iter().chain([claim.member]));
            let members: BTreeSet<_> = members.map(|member| member.0).collect();
            let Some(Claim { contact, member, .. }) = claims.into_iter().next() else { continue };
            if members.len() > 1 {
                collisions.insert(key, Collision::new(&contact, members.into_iter().map(MemberId).collect()));
            } else {
                changes.entry(member.0).or_default();
            }
        }
        for (key, owner) in self.obsolete {
            if !collisions.contains_key(&key) {
                changes.entry(owner.member.0).or_default().push(owner);
            }
        }
        let changes = changes.into_iter().map(|(id, obsolete)| (MemberId(id), obsolete)).collect();
        (collisions.into_iter().collect(), changes)
    }
}
