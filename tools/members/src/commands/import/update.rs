//! Updating members who exist.

use std::sync::Arc;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update, builders::UpdateBuilder};
use shared::{
    audit::AdminAction,
    contact::Destination,
    member::{Member, MemberId},
    password::{Memory, PasswordHash},
    store::member,
};

use super::{context::Context, field_error::FieldError, outcome::Outcome, record::ImportedMember};
use crate::{
    attribute::{number, text},
    error::Error,
    table::MemberTable,
    transaction::{MAX_ATTEMPTS, TransactionResult, back_off, condition_failed},
};

/// The optimistic lock: the member has not been written since it was read.
const UNCHANGED: &str = "revision = :revision";

/// Gives a member who exists the fields of its line. Fields that the line lacks are left unchanged.
pub async fn update(context: &Arc<Context>, new: ImportedMember) -> Result<Outcome, Error> {
    for attempt in 0..MAX_ATTEMPTS {
        let Some(member) = context.table.store.member(new.member.id).await? else {
            return Err(Error::NotFound(
                "a member was deleted while it was being updated; run the import again".to_owned(),
            ));
        };
        let (member, update) = MemberUpdate::compare(context, member, new.clone()).await?;
        let Some(update) = update else { return Ok(Outcome::Skipped) };
        let (writes, bound) = update.into_writes(&member, &context.table)?;
        let reasons = match context.table.transact(writes).await? {
            TransactionResult::Committed => return Ok(Outcome::Updated),
            TransactionResult::Canceled(reasons) => reasons,
        };
        // The transaction begins with the claims of these destinations.
        let taken = bound.iter().zip(&reasons).find(|(_, reason)| condition_failed(reason));
        if let Some((destination, _)) = taken {
            return Ok(Outcome::Rejected(FieldError::taken(destination)));
        }
        back_off(attempt).await;
    }
    Err(Error::conflict())
}

/// The attributes in which a line differs from its member.
pub struct MemberUpdate {
    bound: Vec<Destination>,
    set: Vec<(&'static str, AttributeValue)>,
    ends_sessions: bool,
}

impl MemberUpdate {
    /// Compares a member with its line. Returns `None` for the update if they do not differ. May take a hash.
    pub async fn compare(
        context: &Arc<Context>,
        member: Member,
        mut new: ImportedMember,
    ) -> Result<(Member, Option<Self>), Error> {
        let keys_of = Arc::clone(context);
        let compare = move |memory: &mut Memory| {
            new.keep_same_hashes(&member, &keys_of.keys, memory)?;
            Ok::<_, Error>((Self::between(&member, &new.member), member))
        };
        let (update, member) = context.hash_pool.run(compare).await??;
        Ok((member, update))
    }

    fn between(member: &Member, new: &Member) -> Option<Self> {
        let mut bound = new.destinations();
        bound.retain(|destination| !member.owns(destination));
        let hash = |hash: &Option<PasswordHash>| hash.as_ref().map(|hash| hash.as_str().to_owned());
        let changed = |name, value: Option<String>, previous: Option<String>| {
            value.filter(|value| previous.as_ref() != Some(value)).map(|value| (name, text(value)))
        };
        let language = |member: &Member| member.language.map(|language| language.tag().to_owned());
        let password = changed("password", hash(&new.password), hash(&member.password));
        let ends_sessions = password.is_some();
        let cooling_since = new.cooling_since.filter(|since| member.cooling_since.as_ref() != Some(since));
        let cooling_since = cooling_since.map(|since| ("cooling_since", number(since.0)));
        let set: Vec<_> = [
            password,
            changed("pay_password", hash(&new.pay_password), hash(&member.pay_password)),
            changed("language", language(new), language(member)),
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

    /// Returns the transaction, and the destinations that its first writes claim.
    fn into_writes(
        self,
        member: &Member,
        table: &MemberTable,
    ) -> Result<(Vec<TransactWriteItem>, Vec<Destination>), Error> {
        let mut writes = Vec::new();
        for destination in &self.bound {
            writes.push(table.put(member::claim(member.id, destination)?)?);
        }
        for destination in &self.bound {
            if let Some(replaced) = member.replaced_by(destination) {
                writes.push(release(member.id, &replaced, table)?);
            }
        }
        let update = self.expression(member).table_name(&table.name).build().map_err(Error::internal)?;
        writes.push(TransactWriteItem::builder().update(update).build());
        writes.push(table.record_write(member.id, AdminAction::Updated)?);
        Ok((writes, self.bound))
    }

    /// Returns the update of the member's own item. Another password ends the member's sessions.
    fn expression(&self, member: &Member) -> UpdateBuilder {
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

/// Returns the delete that makes a destination available to other members.
fn release(
    owner: MemberId,
    destination: &Destination,
    table: &MemberTable,
) -> Result<TransactWriteItem, Error> {
    let delete = member::release(owner, destination).table_name(&table.name);
    let delete = delete.build().map_err(Error::internal)?;
    Ok(TransactWriteItem::builder().delete(delete).build())
}
