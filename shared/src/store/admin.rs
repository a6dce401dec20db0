//! The operator's writes of one member, each committed with its audit record.

use super::{
    Store,
    change::Conflict,
    failed_condition,
    member::{self, FREE_OR_OWN},
    number,
    scan::StoredOwner,
    text,
    transaction::{Backoff, Transaction},
};
use crate::{
    clock::Timestamp,
    contact::{Destination, Email, Phone},
    domain::{
        audit::AdminAction,
        member::{Member, MemberId},
        password::PasswordHash,
    },
    error::Error,
    language::Language,
};
use aws_sdk_dynamodb::types::{Delete, Update};

/// The update that ends a member's sessions: each is valid only under the `credential_version` of its issue.
const END_SESSIONS: &str = "ADD credential_version :one, revision :one";
/// Condition: the member exists.
const EXISTS: &str = "attribute_exists(pk)";

/// New values of a member's attributes. `None` leaves an attribute unchanged.
#[derive(Clone, Debug, Default)]
pub struct MemberUpdate {
    /// Another phone.
    pub phone: Option<Phone>,
    /// Another email address.
    pub email: Option<Email>,
    /// Another login password, which ends all sessions.
    pub password: Option<PasswordHash>,
    /// Another pay password.
    pub pay_password: Option<PasswordHash>,
    /// Another language.
    pub language: Option<Language>,
    /// Another begin of the cooling-off period.
    pub cooling_since: Option<Timestamp>,
}

impl MemberUpdate {
    /// Whether it leaves every attribute unchanged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { phone, email, password, pay_password, language, cooling_since } = self;
        phone.is_none()
            && email.is_none()
            && password.is_none()
            && pay_password.is_none()
            && language.is_none()
            && cooling_since.is_none()
    }
}

impl Store {
    /// Ends all sessions of a member, and records that.
    ///
    /// # Errors
    /// [`Error::UserNotFound`] if the member was deleted, [`Error::Busy`], [`Error::Internal`].
    pub async fn revoke_sessions(&self, member: MemberId, actor: &str) -> Result<(), Error> {
        let update = Update::builder()
            .set_key(Some(member::key(member).into_item()))
            .update_expression(END_SESSIONS)
            .condition_expression(EXISTS)
            .expression_attribute_values(":one", number(1));
        let mut transaction = self.transaction();
        transaction.update(update, Some(Box::new(|_| Error::UserNotFound)))?;
        transaction.record_action(member, AdminAction::Revoked, actor)?;
        self.commit_with(Backoff::of_command(), transaction).await
    }

    /// Lifts the freeze of a member, and records that.
    ///
    /// # Errors
    /// [`Error::UserNotFound`] if the member was deleted, [`Error::Busy`], [`Error::Internal`].
    pub async fn unfreeze(&self, member: MemberId, actor: &str) -> Result<(), Error> {
        let update = Update::builder()
            .set_key(Some(member::key(member).into_item()))
            .update_expression("REMOVE frozen ADD revision :one")
            .condition_expression(EXISTS)
            .expression_attribute_values(":one", number(1));
        let mut transaction = self.transaction();
        transaction.update(update, Some(Box::new(|_| Error::UserNotFound)))?;
        transaction.record_action(member, AdminAction::Unfrozen, actor)?;
        self.commit_with(Backoff::of_command(), transaction).await
    }

    /// Ends all sessions of a member without a record, for a run over all members that is recorded once. Does nothing
    /// if the member was deleted.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn end_sessions(&self, member: MemberId) -> Result<(), Error> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(member::key(member).into_item()))
            .update_expression(END_SESSIONS)
            .condition_expression(EXISTS)
            .expression_attribute_values(":one", number(1));
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) => failed_condition(error).map(drop),
        }
    }

    /// Updates a member as read, and records that. Makes one attempt: after a [conflict](super::is_conflict), the
    /// caller has to read the member again.
    ///
    /// # Errors
    /// [`Error::PhoneInUse`], [`Error::EmailInUse`], [`Error::Busy`], [`Error::Internal`].
    pub async fn update_member(
        &self,
        member: &Member,
        update: &MemberUpdate,
        actor: &str,
    ) -> Result<(), Error> {
        let phone = update.phone.clone().map(Destination::Phone);
        let bound: Vec<_> = phone.into_iter().chain(update.email.clone().map(Destination::Email)).collect();
        let password = update.password.as_ref();
        let set: Vec<_> = [
            password.map(|hash| ("password", text(hash.as_str()))),
            password.map(|_| ("credential_version", number(member.credential_version + 1))),
            update.pay_password.as_ref().map(|hash| ("pay_password", text(hash.as_str()))),
            update.language.map(|language| ("language", text(language.tag()))),
            update.cooling_since.map(|since| ("cooling_since", number(since.0))),
        ]
        .into_iter()
        .flatten()
        .chain(bound.iter().map(member::contact))
        .collect();
        let mut transaction = self.transaction();
        for destination in &bound {
            transaction.claim(member, destination)?;
        }
        // Before the releases: if another request has replaced a contact, the conflict is the refusal.
        let changed = |_| Error::Busy(Conflict.into());
        // The operator vouches for the contacts.
        let removed: Vec<_> = bound
            .iter()
            .flat_map(|contact| [member::immature_since(contact), member::bound_at(contact)])
            .collect();
        transaction.update(member::update(member, &set, &removed), Some(Box::new(changed)))?;
        for destination in &bound {
            // Of two members who have one mailbox in two spellings, only one owns it.
            let replaced = member.replaced_by(destination);
            let owner = match &replaced {
                Some(replaced) => self.owner(replaced).await?,
                None => None,
            };
            if owner.is_none_or(|owner| owner == member.id) {
                transaction.release_replaced(member, destination)?;
            }
        }
        transaction.record_action(member.id, AdminAction::Updated, actor)?;
        self.commit_with(Backoff::none(), transaction).await
    }

    /// Stores contacts of a member in their normal form, makes the member their owner under the canonical keys, deletes
    /// owners under obsolete keys, and records that. `normal` has the member as read with these contacts. It is `None`
    /// if the member was deleted.
    ///
    /// After a [conflict](super::is_conflict), the caller has to read the member again.
    ///
    /// # Errors
    /// [`Error::PhoneInUse`], [`Error::EmailInUse`], [`Error::Busy`], [`Error::Internal`].
    pub async fn normalize_contacts(
        &self,
        id: MemberId,
        normal: Option<(&Member, &[Destination])>,
        obsolete: &[StoredOwner],
        actor: &str,
    ) -> Result<(), Error> {
        let mut transaction = self.transaction();
        if let Some((member, contacts)) = normal {
            for destination in contacts {
                transaction.claim(member, destination)?;
            }
            let set: Vec<_> = contacts.iter().map(member::contact).collect();
            let changed = |_| Error::Busy(Conflict.into());
            transaction.update(member::update(member, &set, &[]), Some(Box::new(changed)))?;
        }
        for owner in obsolete {
            transaction.delete_obsolete(owner)?;
        }
        transaction.record_action(id, AdminAction::Normalized, actor)?;
        self.commit_with(Backoff::of_command(), transaction).await
    }
}

impl Transaction {
    /// Deletes an owner under an obsolete key, unless another member owns it since.
    fn delete_obsolete(&mut self, owner: &StoredOwner) -> Result<(), Error> {
        let delete = Delete::builder()
            .set_key(Some(owner.key.clone().into_item()))
            .condition_expression(FREE_OR_OWN)
            .expression_attribute_names("#member", "member")
            .expression_attribute_values(":member", text(owner.member.to_string()));
        self.delete(delete, Some(Box::new(|_| Error::Busy(Conflict.into()))))
    }
}
