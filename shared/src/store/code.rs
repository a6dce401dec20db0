//! Codes that were sent: one per destination and purpose, counted before they are compared.

use super::{
    Item, Key, Store, counter::Counter, failed_condition, number, read, text, transaction::Transaction, write,
};
use crate::{
    clock::Timestamp,
    code::{Binding, CodeMac, Flow, Purpose},
    contact::Destination,
    error::Error,
    keys::Keys,
    settings::Settings,
    store::member::MemberId,
};
use aws_sdk_dynamodb::types::{Delete, Put, ReturnValue, ReturnValuesOnConditionCheckFailure::AllOld};
use serde::{Deserialize, Serialize};

/// A code that is to be kept. Item `code#<destination>#<flag>` / `code`.
#[derive(Debug)]
pub struct NewCode {
    /// What it is bound to.
    pub binding: Binding,
    /// The member it is for.
    pub member: MemberId,
    /// What is kept of it.
    pub mac: CodeMac,
    /// For how many seconds it is good.
    pub ttl_seconds: u64,
    /// For how many seconds no other is sent to its destination.
    pub resend_after_seconds: u64,
}

/// A guess that was right. Proves nothing until a change spends it.
#[derive(Debug)]
pub struct RightCode {
    key: Key,
    mac: CodeMac,
    failures: Counter,
}

/// Who tries a code, for what, and how often that may fail.
#[derive(Debug)]
pub struct Try {
    /// Where the code was sent.
    pub destination: Destination,
    /// What it is to be used for.
    pub purpose: Purpose,
    /// For whom it must have been sent.
    pub member: MemberId,
    /// Tries that one code takes.
    pub max_attempts: u32,
    /// Failures that its destination and purpose take in 24 h.
    pub failures_per_day: u32,
}

impl Try {
    /// A try under the limits of the settings.
    #[must_use]
    pub fn new(settings: &Settings, destination: Destination, purpose: Purpose, member: MemberId) -> Self {
        let (max_attempts, failures_per_day) = (settings.code_max_attempts, settings.failures_per_day);
        Self { destination, purpose, member, max_attempts, failures_per_day }
    }
}

#[derive(Serialize, Deserialize)]
struct Kept {
    member: MemberId,
    flow: Flow,
    mac: CodeMac,
    tries: u32,
    valid_until: Timestamp,
    resend_at: Timestamp,
    expires_at: Timestamp,
}

/// Item `<destination>` / `sent`: holds back the next code, whatever it is for.
#[derive(Serialize, Deserialize)]
struct Sent {
    flow: Flow,
    expires_at: Timestamp,
}

/// Nothing was sent there, or long enough ago.
const MAY_SEND: &str = "attribute_not_exists(pk) OR expires_at <= :now";
/// It is this send's own.
const OF_THIS_FLOW: &str = "flow = :flow";
/// The code is for this member, alive, and takes another try.
const MAY_TRY: &str = "#member = :member AND tries < :max AND valid_until > :now";
/// It was not spent, replaced or outlived since it was found right.
const STILL_GOOD: &str = "mac = :mac AND valid_until > :now";

const SECONDS_PER_DAY: u64 = 86_400;

fn code_key(destination: &Destination, purpose: Purpose) -> Key {
    Key::new(format!("code#{}#{}", destination.key(), purpose.flag()), "code")
}

fn sent_key(destination: &Destination) -> Key {
    Key::new(destination.key(), "sent")
}

impl Store {
    /// Keeps a code in the place of the one before it, unless one was sent there a moment ago.
    ///
    /// # Errors
    /// [`Error::SendFrequently`], [`Error::Busy`], [`Error::Internal`].
    pub async fn put_code(&self, code: &NewCode) -> Result<(), Error> {
        let now = Timestamp::now();
        let (binding, resend_at) = (&code.binding, now.plus(code.resend_after_seconds));
        let valid_until = now.plus(code.ttl_seconds);
        let kept = Kept {
            member: code.member,
            flow: binding.flow.clone(),
            mac: code.mac.clone(),
            tries: 0,
            valid_until,
            resend_at,
            expires_at: valid_until,
        };
        let sent = Sent { flow: binding.flow.clone(), expires_at: resend_at };
        let put_sent = Put::builder()
            .set_item(Some(write(sent, sent_key(&binding.destination))?))
            .condition_expression(MAY_SEND)
            .expression_attribute_values(":now", number(now.0));
        let put_code =
            Put::builder().set_item(Some(write(kept, code_key(&binding.destination, binding.purpose))?));
        let mut transaction = Transaction::default();
        transaction.put(put_sent, &self.table, Some(Box::new(move |stood| sent_lately(stood, now))))?;
        transaction.put(put_code, &self.table, None)?;
        self.commit(transaction).await
    }

    /// Takes back a code that was kept and could not be sent, so that another may be asked for at once.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn withdraw_code(&self, binding: &Binding) -> Result<(), Error> {
        let mut transaction = Transaction::default();
        for key in [sent_key(&binding.destination), code_key(&binding.destination, binding.purpose)] {
            let delete = Delete::builder()
                .set_key(Some(key.into_item()))
                .condition_expression(OF_THIS_FLOW)
                .expression_attribute_values(":flow", text(binding.flow.as_str()));
            let gone = |_| Error::internal("a code that was never sent was replaced already");
            transaction.delete(delete, &self.table, Some(Box::new(gone)))?;
        }
        self.commit(transaction).await
    }

    /// Counts a try, then compares.
    ///
    /// # Errors
    /// [`Error::CodeNotValid`], [`Error::TooManyAttempts`], [`Error::Busy`], [`Error::Internal`].
    pub async fn try_code(&self, keys: &Keys, a_try: &Try, guess: &str) -> Result<RightCode, Error> {
        let kept = self.count_try(a_try).await?;
        let failures = Counter::budget(
            format!("{}#{}", a_try.destination.key(), a_try.purpose.flag()),
            a_try.failures_per_day,
            SECONDS_PER_DAY,
        );
        let left_today = self.count(&failures).await?;
        let (destination, purpose) = (a_try.destination.clone(), a_try.purpose);
        let key = code_key(&destination, purpose);
        let binding = Binding { destination, purpose, flow: kept.flow };
        if binding.matches(keys, &kept.mac, guess) {
            Ok(RightCode { key, mac: kept.mac, failures })
        } else {
            Err(Error::CodeNotValid {
                attempts_left: a_try.max_attempts.saturating_sub(kept.tries).min(left_today),
            })
        }
    }

    async fn count_try(&self, a_try: &Try) -> Result<Kept, Error> {
        let now = Timestamp::now();
        let counted = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(code_key(&a_try.destination, a_try.purpose).into_item()))
            .update_expression("ADD tries :one")
            .condition_expression(MAY_TRY)
            .expression_attribute_names("#member", "member")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":member", text(a_try.member.to_string()))
            .expression_attribute_values(":max", number(a_try.max_attempts))
            .expression_attribute_values(":now", number(now.0))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(AllOld)
            .send()
            .await;
        match counted {
            Ok(answer) => read(answer.attributes.unwrap_or_default()),
            Err(error) => Err(match failed_condition(error)?.map(read::<Kept>).transpose()? {
                Some(kept) if kept.member == a_try.member && kept.valid_until > now => {
                    Error::TooManyAttempts { retry_after: now.until(kept.resend_at).max(1) }
                }
                _ => Error::CodeNotValid { attempts_left: 0 },
            }),
        }
    }
}

impl Transaction {
    /// Spends a code that was right, and takes its count out of the failures.
    pub(super) fn spend(&mut self, code: &RightCode, table: &str) -> Result<(), Error> {
        let delete = Delete::builder()
            .set_key(Some(code.key.clone().into_item()))
            .condition_expression(STILL_GOOD)
            .expression_attribute_values(":mac", text(code.mac.as_str()))
            .expression_attribute_values(":now", number(Timestamp::now().0));
        self.delete(delete, table, Some(Box::new(|_| Error::CodeNotValid { attempts_left: 0 })))?;
        self.give_back(&code.failures, table)
    }
}

fn sent_lately(stood: Option<Item>, now: Timestamp) -> Error {
    match stood.map(read::<Sent>).transpose() {
        Ok(Some(sent)) => Error::SendFrequently { retry_after: now.until(sent.expires_at).max(1) },
        Ok(None) => Error::internal("a send was held back by nothing"),
        Err(error) => error,
    }
}
