//! Updating members who exist.

use std::sync::Arc;

use shared::{
    member::Member,
    password::{Memory, PasswordHash},
    store::{Backoff, MemberUpdate, is_conflict},
};

use super::{context::Context, field_error::FieldError, outcome::Outcome, record::ImportedMember};
use crate::error::Error;

/// Gives a member who exists the fields of its line. Fields that the line lacks are left unchanged.
pub async fn update(context: &Arc<Context>, new: ImportedMember) -> Result<Outcome, Error> {
    let table = &context.table;
    let mut backoff = Backoff::of_command();
    loop {
        let Some(member) = table.store.member(new.member.id).await? else {
            return Err(Error::NotFound(
                "a member was deleted while it was being updated; run the import again".to_owned(),
            ));
        };
        let (member, update) = compare(context, member, new.clone()).await?;
        if update.is_empty() {
            return Ok(Outcome::Skipped);
        }
        match table.store.update_member(&member, &update, &table.actor).await {
            Ok(()) => return Ok(Outcome::Updated),
            Err(shared::Error::PhoneInUse) => return Ok(Outcome::Rejected(FieldError::phone_taken())),
            Err(shared::Error::EmailInUse) => return Ok(Outcome::Rejected(FieldError::email_taken())),
            Err(error) => {
                if !is_conflict(&error) || !backoff.wait().await {
                    return Err(error.into());
                }
            }
        }
    }
}

/// Returns the fields in which a line differs from its member. May take a hash.
pub async fn compare(
    context: &Arc<Context>,
    member: Member,
    mut new: ImportedMember,
) -> Result<(Member, MemberUpdate), Error> {
    let keys_of = Arc::clone(context);
    let compare = move |memory: &mut Memory| {
        new.keep_same_hashes(&member, &keys_of.keys, memory)?;
        let update = difference(&member, new.member);
        Ok((member, update))
    };
    context.hash_pool.run(compare).await?
}

fn difference(stored: &Member, new: Member) -> MemberUpdate {
    MemberUpdate {
        phone: new.phone.filter(|phone| stored.phone.as_ref() != Some(phone)),
        email: new.email.filter(|email| stored.email.as_ref() != Some(email)),
        password: other_hash(stored.password.as_ref(), new.password),
        pay_password: other_hash(stored.pay_password.as_ref(), new.pay_password),
        language: new.language.filter(|language| stored.language != Some(*language)),
        cooling_since: new.cooling_since.filter(|since| stored.cooling_since != Some(*since)),
    }
}

fn other_hash(stored: Option<&PasswordHash>, new: Option<PasswordHash>) -> Option<PasswordHash> {
    new.filter(|new| stored.is_none_or(|stored| stored.as_str() != new.as_str()))
}
