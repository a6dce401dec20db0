//! The change of a credential: proof spent, member written, change recorded, notices queued. All or nothing.

use super::{
    Item, Store, code::RightCode, counter::Counter, grant::GoodGrant, member, number, read, text,
    transaction::Transaction,
};
use crate::{
    clock::Timestamp,
    contact::Destination,
    domain::{
        audit::Action, idempotency::SealedResponse, member::Member, notice::Notice, password::PasswordHash,
    },
    error::Error,
    http::request::Request,
};
use aws_sdk_dynamodb::types::{AttributeValue, Update, builders::UpdateBuilder};

/// Nobody wrote the member since this request read them.
const UNCHANGED: &str = "revision = :revision";

/// Another request wrote the member between this one's read and its write: to read again tells more.
#[derive(Debug, thiserror::Error)]
#[error("the member was changed by another request")]
pub(crate) struct ChangedMeanwhile;

/// A change that is about to be made to a member, as this request read them.
#[must_use = "a change happens when it is made with `Store::make`"]
pub struct Change<'a> {
    member: &'a Member,
    action: Action,
    request: &'a Request,
    set: Vec<(&'static str, AttributeValue)>,
    removed: Option<&'static str>,
    credential_version: u64,
    bound: Option<Destination>,
    spent: Option<Spent<'a>>,
    cleared: Option<Counter>,
}

/// The proof that allows a change, and is worth nothing after it.
#[derive(Clone, Copy)]
enum Spent<'a> {
    Code(&'a RightCode),
    Grant(&'a GoodGrant),
}

impl<'a> Change<'a> {
    /// A change of nothing yet.
    pub fn of(member: &'a Member, action: Action, request: &'a Request) -> Self {
        Self {
            member,
            action,
            request,
            set: Vec::new(),
            removed: None,
            credential_version: member.credential_version,
            bound: None,
            spent: None,
            cleared: None,
        }
    }

    /// Sets the login password, which ends every session but one that is renewed with the answer.
    pub fn password(mut self, password: &PasswordHash) -> Self {
        self.credential_version = self.member.credential_version + 1;
        self.set.push(("credential_version", number(self.credential_version)));
        self.rehashed(Some(password))
    }

    /// Keeps the same login password under a newer hash, if there is one.
    pub fn rehashed(mut self, password: Option<&PasswordHash>) -> Self {
        self.set.extend(password.map(|password| ("password", text(password.as_str()))));
        self
    }

    /// Sets the pay password, or unsets it.
    pub fn pay_password(mut self, pay_password: Option<&PasswordHash>) -> Self {
        match pay_password {
            Some(hash) => self.set.push(("pay_password", text(hash.as_str()))),
            None => self.removed = Some("pay_password"),
        }
        self
    }

    /// Binds a phone or a mail address in the place of the one before it.
    pub fn bind(mut self, destination: &Destination) -> Self {
        self.set.push(match destination {
            Destination::Phone(phone) => ("phone", text(phone.as_str())),
            Destination::Email(email) => ("email", text(email.as_str())),
        });
        self.bound = Some(destination.clone());
        self
    }

    /// Begins the time in which the pay password cannot be reset, because whoever made this change
    /// may have taken the account over.
    pub fn cooling_off(mut self) -> Self {
        self.set.push(("cooling_since", number(Timestamp::now().0)));
        self
    }

    /// Spends the code that allows the change.
    pub fn spending(self, code: &'a RightCode) -> Self {
        Self { spent: Some(Spent::Code(code)), ..self }
    }

    /// Spends the grant that allows the change.
    pub fn spending_grant(self, grant: &'a GoodGrant) -> Self {
        Self { spent: Some(Spent::Grant(grant)), ..self }
    }

    /// Ends a row of wrong tries.
    pub fn clearing(self, failures: Counter) -> Self {
        Self { cleared: Some(failures), ..self }
    }

    /// The request that makes it.
    #[must_use]
    pub fn request(&self) -> &'a Request {
        self.request
    }

    /// What it is recorded as.
    #[must_use]
    pub fn action(&self) -> Action {
        self.action
    }

    /// The code that it spends.
    #[must_use]
    pub fn code(&self) -> Option<&'a RightCode> {
        match self.spent {
            Some(Spent::Code(code)) => Some(code),
            Some(Spent::Grant(_)) | None => None,
        }
    }

    /// The member's credential version after the change.
    #[must_use]
    pub fn credential_version(&self) -> u64 {
        self.credential_version
    }

    fn update(&self) -> UpdateBuilder {
        let sets: Vec<_> = self.set.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
        let set = if sets.is_empty() { String::new() } else { format!("SET {} ", sets.join(", ")) };
        let remove = self.removed.map(|name| format!("REMOVE #{name} ")).unwrap_or_default();
        let update = Update::builder()
            .set_key(Some(member::key(self.member.id).into_item()))
            .update_expression(format!("{set}{remove}ADD revision :one"))
            .condition_expression(UNCHANGED)
            .expression_attribute_values(":revision", number(self.member.revision))
            .expression_attribute_values(":one", number(1));
        let names = self.set.iter().map(|(name, _)| *name).chain(self.removed);
        let update =
            names.fold(update, |update, name| update.expression_attribute_names(format!("#{name}"), name));
        self.set.iter().fold(update, |update, (name, value)| {
            update.expression_attribute_values(format!(":{name}"), value.clone())
        })
    }

    /// Everywhere the member can be reached, before the change and after it.
    fn addresses(&self) -> impl Iterator<Item = Destination> {
        let before = self.member.destinations();
        let bound = self.bound.clone().filter(|bound| !before.contains(bound));
        before.into_iter().chain(bound)
    }
}

impl Store {
    /// Makes the change, and keeps the sealed answer, where the request says which it is.
    ///
    /// # Errors
    /// What is spent was spent meanwhile: [`Error::CodeNotValid`] or [`Error::NotValid`]. Another
    /// member has what is bound: [`Error::PhoneInUse`], [`Error::EmailInUse`]. The credentials were
    /// changed meanwhile: [`Error::InvalidToken`]; something else of the member: [`Error::Busy`] by
    /// `ChangedMeanwhile`.
    pub(crate) async fn make(
        &self,
        change: &Change<'_>,
        sealed: Option<&SealedResponse<'_>>,
    ) -> Result<(), Error> {
        let Change { member, action, request, .. } = *change;
        let mut transaction = Transaction::default();
        transaction.complete(sealed, &self.table)?;
        match &change.spent {
            Some(Spent::Code(code)) => transaction.spend(code, &self.table)?,
            Some(Spent::Grant(grant)) => transaction.spend_grant(grant, &self.table)?,
            None => (),
        }
        if let Some(bound) = &change.bound {
            transaction.own(member, bound, &self.table)?;
        }
        let version = member.credential_version;
        let refusal = Box::new(move |stood| changed_meanwhile(stood, version));
        transaction.update(change.update(), &self.table, Some(refusal))?;
        if let Some(failures) = &change.cleared {
            transaction.clear(failures, &self.table)?;
        }
        transaction.record(member.id, action, &request.origin, &self.table)?;
        for destination in change.addresses() {
            transaction.queue(
                &Notice::changed(
                    member.id,
                    action,
                    request.origin.clone(),
                    request.notice_language(member),
                    destination,
                ),
                &self.table,
            )?;
        }
        self.commit(transaction).await?;
        sealed.inspect(|sealed| sealed.mark_completed());
        Ok(())
    }
}

fn changed_meanwhile(stood: Option<Item>, credential_version: u64) -> Error {
    match stood.map(read::<Member>).transpose() {
        Ok(Some(member)) if member.credential_version == credential_version => {
            Error::Busy(ChangedMeanwhile.into())
        }
        Ok(Some(_)) => Error::InvalidToken,
        Ok(None) => Error::UserNotFound,
        Err(error) => error,
    }
}
