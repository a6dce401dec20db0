//! The change of a credential: proof spent, member written, change recorded, notice queued. All or nothing.

use super::{
    Item, Store, code::RightCode, counter::Counter, member, number, read, text, transaction::Transaction,
};
use crate::{
    audit::Action, error::Error, notice::Notice, password::PasswordHash, request::Request,
    store::member::Member,
};
use aws_sdk_dynamodb::types::{Update, builders::UpdateBuilder};

/// Nobody wrote the member since this request read them.
const UNCHANGED: &str = "revision = :revision";

/// A change that is about to be made to a member, as this request read them.
#[must_use = "a change happens when it is made with `Store::make`"]
pub struct Change<'a> {
    member: &'a Member,
    action: Action,
    request: &'a Request,
    password: PasswordHash,
    spent: Option<&'a RightCode>,
    cleared: Option<&'a Counter>,
}

impl<'a> Change<'a> {
    /// The login password: ends every session but the one that is renewed with the answer.
    pub fn password(
        member: &'a Member,
        password: PasswordHash,
        action: Action,
        request: &'a Request,
    ) -> Self {
        Self { member, action, request, password, spent: None, cleared: None }
    }

    /// Spends the code that allows the change.
    pub fn spending(self, code: &'a RightCode) -> Self {
        Self { spent: Some(code), ..self }
    }

    /// Ends the row of wrong passwords, because the right one was given.
    pub fn clearing(self, failures: &'a Counter) -> Self {
        Self { cleared: Some(failures), ..self }
    }

    /// The member's credential version after the change.
    #[must_use]
    pub fn credential_version(&self) -> u64 {
        self.member.credential_version + 1
    }

    fn update(&self) -> UpdateBuilder {
        Update::builder()
            .set_key(Some(member::key(self.member.id).into_item()))
            .update_expression("SET #password = :password, credential_version = :version ADD revision :one")
            .condition_expression(UNCHANGED)
            .expression_attribute_names("#password", "password")
            .expression_attribute_values(":password", text(self.password.as_str()))
            .expression_attribute_values(":version", number(self.credential_version()))
            .expression_attribute_values(":revision", number(self.member.revision))
            .expression_attribute_values(":one", number(1))
    }
}

impl Store {
    /// Makes the change.
    ///
    /// # Errors
    /// [`Error::CodeNotValid`] where the code was spent meanwhile, [`Error::InvalidToken`] where the
    /// credentials were changed meanwhile, [`Error::Busy`] where something else of the member was,
    /// [`Error::Internal`].
    pub async fn make(&self, change: &Change<'_>) -> Result<(), Error> {
        let Change { member, action, request, .. } = change;
        let mut transaction = Transaction::default();
        if let Some(code) = change.spent {
            transaction.spend(code, &self.table)?;
        }
        let version = member.credential_version;
        transaction.update(
            change.update(),
            &self.table,
            Some(Box::new(move |stood| changed_meanwhile(stood, version))),
        )?;
        if let Some(failures) = change.cleared {
            transaction.clear(failures, &self.table)?;
        }
        transaction.record(member.id, *action, &request.origin, &self.table)?;
        transaction.queue(&Notice::of(member, *action, &request.origin, request.language), &self.table)?;
        self.commit(transaction).await
    }
}

fn changed_meanwhile(stood: Option<Item>, credential_version: u64) -> Error {
    match stood.map(read::<Member>).transpose() {
        Ok(Some(member)) if member.credential_version == credential_version => {
            Error::Busy("the member was changed by another request".into())
        }
        Ok(Some(_)) => Error::InvalidToken,
        Ok(None) => Error::UserNotFound,
        Err(error) => error,
    }
}
