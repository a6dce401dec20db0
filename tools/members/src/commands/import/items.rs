//! The table items of a member.

use shared::{
    member::Member,
    store::{Item, ItemKey, member},
};

/// Returns the keys of a member's items: the member's own, and one per phone and email address.
pub fn keys(member: &Member) -> Vec<Item> {
    let owners = member.destinations().into_iter().map(|destination| member::owner_key(&destination));
    [member::key(member.id)].into_iter().chain(owners).map(ItemKey::into_item).collect()
}

/// Returns an item's partition key, which identifies each of a member's items.
pub fn partition(item: &Item) -> String {
    item.get("pk").and_then(|pk| pk.as_s().ok()).cloned().unwrap_or_default()
}
