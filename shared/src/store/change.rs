//! The transaction of one change: proof consumed, member written, audit record added, notices queued. All or nothing.

use super::{Item, Store, closing::Tombstone, member, number, read, text};
use crate::{
    clock::Timestamp,
    domain::{
        audit::Origin,
        change::{Consumed, Freeze, Maturity, Plan, Writes},
        idempotency::SealedResponse,
        member::{Frozen, Member},
        notice::Notice,
        report::ReportableChange,
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
    let mut set: Vec<(&str, AttributeValue)> = [
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
    let mut removed: Vec<_> = [no_pay_password, matured].into_iter().flatten().collect();
    set.extend(plan.new_contact().map(|contact| (member::bound_at(contact), number(Timestamp::now().0))));
    for former in &plan.restores {
        set.push(member::contact(former));
        removed.extend([member::bound_at(former), member::immature_since(former)]);
    }
    match &plan.freeze {
        Freeze::Unchanged => (),
        Freeze::Begins(frozen) => set.push(("frozen", frozen_value(frozen))),
        Freeze::Ends => removed.push("frozen"),
    }
    member::update(plan.member, &set, &removed)
}

fn frozen_value(Frozen { since, through }: &Frozen) -> AttributeValue {
    let fields = [("since", number(since.0)), ("through", text(String::from(through.clone())))];
    AttributeValue::M(fields.map(|(name, value)| (name.to_owned(), value)).into())
}

impl Store {
    /// Commits a change, with the sealed response to an idempotent request. If the change is `reportable`, its notice to
    /// that address contains a link.
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
        reportable: Option<&ReportableChange>,
        sealed: Option<&SealedResponse<'_>>,
    ) -> Result<(), Error> {
        let member = plan.member;
        let owned = if plan.closes() { self.owned(member).await? } else { Vec::new() };
        let mut transaction = self.transaction();
        transaction.complete(sealed)?;
        match plan.consumes {
            Some(Consumed::Code(code)) => transaction.consume_code(code, Some(code.basis.member))?,
            Some(Consumed::Grant(grant)) => transaction.consume_grant(grant)?,
            Some(Consumed::Report(report)) => transaction.consume_report(report)?,
            None => (),
        }
        if let Some(destination) = plan.binds {
            transaction.claim(member, destination)?;
        }
        for former in &plan.restores {
            transaction.reclaim(member, former)?;
        }
        let version = plan.ends_with_sessions().then_some(member.credential_version);
        let changed = Box::new(move |stored| changed(stored, version));
        if plan.closes() {
            let consumes = match plan.consumes {
                Some(Consumed::Code(code)) => Some(code),
                _ => None,
            };
            transaction.close(member, &owned, Tombstone::new(member.id), consumes, changed)?;
        } else {
            transaction.update(update(plan), Some(changed))?;
        }
        // After the member's own write: if another request replaced the contact first, that is a conflict.
        for destination in plan.binds.iter().chain(&plan.restores) {
            transaction.release_replaced(member, destination)?;
        }
        for failures in &plan.resets {
            transaction.reset(failures)?;
        }
        if let Some(failures) = plan.takes_back {
            transaction.take_back(failures)?;
        }
        transaction.record(member.id, plan.action, origin)?;
        let report = reportable.map(|change| transaction.store_report(change)).transpose()?;
        for destination in &plan.notifies {
            let gets_link = reportable.is_some_and(|change| change.destination == *destination);
            let report = report.filter(|_| gets_link);
            let (origin, destination) = (origin.clone(), destination.clone());
            let notice = Notice::changed(member.id, plan.action, origin, language, destination, report);
            transaction.queue(&notice)?;
        }
        self.commit(transaction).await?;
        sealed.inspect(|sealed| sealed.mark_completed());
        Ok(())
    }
}

/// Returns the error if another request wrote the member. `version` is the credential version that the change requires.
fn changed(stored: Option<Item>, version: Option<u64>) -> Error {
    match stored.map(read::<Member>).transpose() {
        Ok(Some(member)) if version.is_none_or(|version| member.credential_version == version) => {
            Error::Busy(Conflict.into())
        }
        Ok(Some(_)) => Error::InvalidToken,
        Ok(None) => Error::UserNotFound,
        Err(error) => error,
    }
}
