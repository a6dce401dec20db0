//! The transaction of one change: proof consumed, member written, audit record added, notices queued. All or nothing.

use super::{Item, Store, member, number, read, text};
use crate::{
    domain::{
        audit::Origin,
        change::{Consumed, Maturity, Plan, Writes},
        idempotency::SealedResponse,
        member::Member,
        notice::Notice,
    },
    error::Error,
    language::Language,
};
use aws_sdk_dynamodb::types::{AttributeValue, builders::UpdateBuilder};

/// Another request wrote the member between this one's read and its write.
#[derive(Debug, thiserror::Error)]
#[error("the member was changed by another request")]
pub(crate) struct Conflict;

/// Returns the update of the member by a plan.
fn update(plan: &Plan<'_>) -> UpdateBuilder {
    let Writes { credential_version, password, pay_password, maturity, cooling_since } = plan.writes;
    let changed_at = plan.changed_at.iter().map(|at| number(at.0)).collect();
    let immature_since = plan.binds.map(member::immature_since);
    let (immature, matured) = match maturity {
        Maturity::Unchanged => (None, None),
        Maturity::Mature => (None, immature_since),
        Maturity::ImmatureSince(since) => (immature_since.map(|name| (name, number(since.0))), None),
    };
    let set: Vec<(&str, AttributeValue)> = [
        credential_version.map(|version| ("credential_version", number(version))),
        password.map(|hash| ("password", text(hash.as_str()))),
        pay_password.flatten().map(|hash| ("pay_password", text(hash.as_str()))),
        plan.binds.map(member::contact),
        immature,
        cooling_since.map(|since| ("cooling_since", number(since.0))),
        Some(("changed_at", AttributeValue::L(changed_at))),
    ]
    .into_iter()
    .flatten()
    .collect();
    let no_pay_password = matches!(pay_password, Some(None)).then_some("pay_password");
    let removed: Vec<_> = [no_pay_password, matured].into_iter().flatten().collect();
    member::update(plan.member, &set, &removed)
}

impl Store {
    /// Commits a change, with the sealed response to an idempotent request.
    ///
    /// # Errors
    /// The proof was consumed by another request: [`Error::CodeNotValid`] or [`Error::NotValid`]. Another member owns
    /// what is bound: [`Error::PhoneInUse`], [`Error::EmailInUse`]. Another request changed the member: by
    /// [`Error::InvalidToken`] if it changed the credential version, else by [`Error::Busy`] with a [`Conflict`].
    pub(crate) async fn commit_change(
        &self,
        plan: &Plan<'_>,
        origin: &Origin,
        language: Language,
        sealed: Option<&SealedResponse<'_>>,
    ) -> Result<(), Error> {
        let member = plan.member;
        let mut transaction = self.transaction();
        transaction.complete(sealed)?;
        match plan.consumes {
            Some(Consumed::Code(code)) => transaction.consume_code(code)?,
            Some(Consumed::Grant(grant)) => transaction.consume_grant(grant)?,
            None => (),
        }
        if let Some(destination) = plan.binds {
            transaction.claim(member, destination)?;
        }
        let version = member.credential_version;
        transaction.update(update(plan), Some(Box::new(move |stored| changed(stored, version))))?;
        // After the member's own write: if another request replaced the contact first, that is a conflict.
        if let Some(destination) = plan.binds {
            transaction.release_replaced(member, destination)?;
        }
        if let Some(failures) = plan.resets {
            transaction.reset(failures)?;
        }
        transaction.record(member.id, plan.action, origin)?;
        for destination in &plan.notifies {
            let notice =
                Notice::changed(member.id, plan.action, origin.clone(), language, destination.clone());
            transaction.queue(&notice)?;
        }
        self.commit(transaction).await?;
        sealed.inspect(|sealed| sealed.mark_completed());
        Ok(())
    }
}

fn changed(stored: Option<Item>, credential_version: u64) -> Error {
    match stored.map(read::<Member>).transpose() {
        Ok(Some(member)) if member.credential_version == credential_version => Error::Busy(Conflict.into()),
        Ok(Some(_)) => Error::InvalidToken,
        Ok(None) => Error::UserNotFound,
        Err(error) => error,
    }
}
