//! Members, and the ownership of their phones and email addresses.

use super::{
    Item, ItemKey, Store,
    change::Conflict,
    failed_condition, number, read, text,
    transaction::{Refusal, Transaction},
    write,
};
use crate::{
    contact::Destination,
    domain::{
        member::{Member, MemberId},
        password::PasswordHash,
    },
    error::Error,
};
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, Update,
    builders::{PutBuilder, UpdateBuilder},
};
use serde::{Deserialize, Serialize};

/// Item `phone#<E.164>` or `email#<address>` / `owner`: a phone or an email address belongs to one member.
#[derive(Serialize, Deserialize)]
pub(super) struct OwnerItem {
    pub(super) member: MemberId,
}

/// A hash of a member, as read.
pub(crate) enum StoredHash<'a> {
    /// That of the login password.
    Password(&'a PasswordHash),
    /// That of the pay password.
    PayPassword(&'a PasswordHash),
}

/// The attribute of a member that a session depends on.
#[derive(Deserialize)]
struct CredentialVersion {
    credential_version: u64,
}

/// The sort key of a member's own item.
pub(super) const SORT_KEY: &str = "member";
/// The sort key of the owner of a phone or an email address.
pub(super) const OWNER_SORT_KEY: &str = "owner";
/// The beginning of every member's partition key.
pub(super) const PREFIX: &str = "member#";

/// Condition: no member or this member owns it.
pub(super) const FREE_OR_OWN: &str = "attribute_not_exists(pk) OR #member = :member";
/// Condition: the member has not been written since it was read (optimistic lock).
const UNCHANGED: &str = "revision = :revision";

/// Returns the key of a member.
pub(super) fn key(id: MemberId) -> ItemKey {
    ItemKey::new(format!("{PREFIX}{id}"), SORT_KEY)
}

/// Returns the key of the item that names the owner of a phone or an email address.
pub(super) fn owner_key(destination: &Destination) -> ItemKey {
    ItemKey::new(destination.key(), OWNER_SORT_KEY)
}

/// Returns the keys of all items of a member: its own first, then one per phone and email address.
pub(super) fn keys(member: &Member) -> impl Iterator<Item = ItemKey> {
    let owners = member.destinations().into_iter().map(|destination| owner_key(&destination));
    std::iter::once(key(member.id)).chain(owners)
}

fn owner(member: MemberId, destination: &Destination) -> Result<Item, Error> {
    write(OwnerItem { member }, owner_key(destination))
}

fn owner_put(member: &Member, destination: &Destination) -> Result<PutBuilder, Error> {
    Ok(Put::builder()
        .set_item(Some(owner(member.id, destination)?))
        .condition_expression(FREE_OR_OWN)
        .expression_attribute_names("#member", "member")
        .expression_attribute_values(":member", text(member.id.to_string())))
}

/// Returns the update of a member as read: it sets and removes attributes and raises `revision`, unless another write
/// did so first.
pub(super) fn update(
    member: &Member,
    set: &[(&'static str, AttributeValue)],
    removed: &[&'static str],
) -> UpdateBuilder {
    let assignments: Vec<_> = set.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
    let assign = if set.is_empty() { String::new() } else { format!("SET {} ", assignments.join(", ")) };
    let removals: Vec<_> = removed.iter().map(|name| format!("#{name}")).collect();
    let remove = if removed.is_empty() { String::new() } else { format!("REMOVE {} ", removals.join(", ")) };
    let update = Update::builder()
        .set_key(Some(key(member.id).into_item()))
        .update_expression(format!("{assign}{remove}ADD revision :one"))
        .condition_expression(UNCHANGED)
        .expression_attribute_values(":revision", number(member.revision))
        .expression_attribute_values(":one", number(1));
    let names = set.iter().map(|(name, _)| *name).chain(removed.iter().copied());
    let update =
        names.fold(update, |update, name| update.expression_attribute_names(format!("#{name}"), name));
    set.iter().fold(update, |update, (name, value)| {
        update.expression_attribute_values(format!(":{name}"), value.clone())
    })
}

/// Returns the attribute of a member that contains this phone or email address.
pub(super) fn contact(destination: &Destination) -> (&'static str, AttributeValue) {
    match destination {
        Destination::Phone(phone) => ("phone", text(phone.as_str())),
        Destination::Email(email) => ("email", text(email.as_str())),
    }
}

/// Returns the attribute that stores since when the bound contact of this kind is immature.
pub(super) fn immature_since(destination: &Destination) -> &'static str {
    match destination {
        Destination::Phone(_) => "phone_immature_since",
        Destination::Email(_) => "email_immature_since",
    }
}

/// Returns the attribute of a member that contains when this phone or email address was bound.
pub(super) fn bound_at(destination: &Destination) -> &'static str {
    match destination {
        Destination::Phone(_) => "phone_bound_at",
        Destination::Email(_) => "email_bound_at",
    }
}

impl Store {
    /// Returns the member with this id.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn member(&self, id: MemberId) -> Result<Option<Member>, Error> {
        self.get(key(id)).await
    }

    /// Returns the credential version of the member with this id, and reads nothing else of the member.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn credential_version(&self, id: MemberId) -> Result<Option<u64>, Error> {
        let item = self.get_item(key(id), Some("credential_version")).await?;
        Ok(item.map(read::<CredentialVersion>).transpose()?.map(|item| item.credential_version))
    }

    /// Returns the member who owns a phone or an email address.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn owner(&self, destination: &Destination) -> Result<Option<MemberId>, Error> {
        Ok(self.get::<OwnerItem>(owner_key(destination)).await?.map(|owner| owner.member))
    }

    /// Replaces a hash of a member by one of the same password. Does nothing if it is not the stored one any more. Sessions
    /// remain valid.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn replace_hash(
        &self,
        id: MemberId,
        stored: StoredHash<'_>,
        hash: &PasswordHash,
    ) -> Result<(), Error> {
        let (name, stored) = match stored {
            StoredHash::Password(stored) => ("password", stored),
            StoredHash::PayPassword(stored) => ("pay_password", stored),
        };
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(id).into_item()))
            .update_expression(format!("SET {name} = :hash ADD revision :one"))
            .condition_expression(format!("{name} = :stored"))
            .expression_attribute_values(":hash", text(hash.as_str()))
            .expression_attribute_values(":stored", text(stored.as_str()))
            .expression_attribute_values(":one", number(1));
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) => failed_condition(error).map(drop),
        }
    }

    /// Creates a member together with the ownership of its phone and email address.
    ///
    /// # Errors
    /// [`Error::MemberExists`], [`Error::MemberClosed`], [`Error::PhoneInUse`], [`Error::EmailInUse`], [`Error::Busy`],
    /// [`Error::Internal`].
    pub async fn create_member(&self, member: &Member) -> Result<(), Error> {
        let mut transaction = self.transaction();
        transaction.create(member)?;
        self.commit(transaction).await
    }
}

impl Transaction {
    /// Adds the items of a new member, in the order of [`keys`]. After the member's own item follows the condition
    /// that no member with this id was closed.
    pub(super) fn create(&mut self, member: &Member) -> Result<(), Error> {
        self.put_new(write(member, key(member.id))?, |_| Error::MemberExists)?;
        self.require_never_closed(member.id)?;
        for destination in member.destinations() {
            self.put_new(owner(member.id, &destination)?, in_use(&destination))?;
        }
        Ok(())
    }

    /// Requires that the member has this credential version.
    pub(super) fn require_version(
        &mut self,
        member: MemberId,
        version: u64,
        refusal: impl FnOnce(Option<Item>) -> Error + Send + 'static,
    ) -> Result<(), Error> {
        let check = ConditionCheck::builder()
            .set_key(Some(key(member).into_item()))
            .condition_expression("credential_version = :version")
            .expression_attribute_values(":version", number(version));
        self.check(check, Box::new(refusal))
    }

    /// Makes a member the owner of a phone or an email address, unless another member is.
    pub(super) fn claim(&mut self, member: &Member, destination: &Destination) -> Result<(), Error> {
        let put = owner_put(member, destination)?;
        self.put(put, Some(Box::new(in_use(destination))))
    }

    /// Makes a member the owner of a former phone or email address again. If another member became the owner since that
    /// was checked, the change is planned again.
    pub(super) fn reclaim(&mut self, member: &Member, former: &Destination) -> Result<(), Error> {
        let put = owner_put(member, former)?;
        self.put(put, Some(Box::new(|_| Error::Busy(Conflict.into()))))
    }

    /// Releases the phone or the email address that another one replaces, for other members to claim. The owner of an
    /// address that was bound before addresses had a canonical form can have another key. That item remains until
    /// [`Store::normalize_contacts`].
    pub(super) fn release_replaced(&mut self, member: &Member, new: &Destination) -> Result<(), Error> {
        let Some(replaced) = member.replaced_by(new) else { return Ok(()) };
        let not_own = |_| Error::internal("another member owns a member's contact");
        self.release(member, &replaced, Box::new(not_own))
    }

    /// Releases a phone or an email address, unless another member owns it.
    pub(super) fn release(
        &mut self,
        member: &Member,
        destination: &Destination,
        not_own: Refusal,
    ) -> Result<(), Error> {
        let delete = Delete::builder()
            .set_key(Some(owner_key(destination).into_item()))
            .condition_expression(FREE_OR_OWN)
            .expression_attribute_names("#member", "member")
            .expression_attribute_values(":member", text(member.id.to_string()));
        self.delete(delete, Some(not_own))
    }

    /// Deletes a member as read, unless another write changed it.
    pub(super) fn delete_member(&mut self, member: &Member, changed: Refusal) -> Result<(), Error> {
        let delete = Delete::builder()
            .set_key(Some(key(member.id).into_item()))
            .condition_expression(UNCHANGED)
            .expression_attribute_values(":revision", number(member.revision));
        self.delete(delete, Some(changed))
    }
}

/// Returns the refusal for a phone or an email address of another member.
fn in_use(destination: &Destination) -> impl FnOnce(Option<Item>) -> Error + use<> {
    let error = match destination {
        Destination::Phone(_) => Error::PhoneInUse,
        Destination::Email(_) => Error::EmailInUse,
    };
    |_| error
}
