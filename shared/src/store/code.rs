//! Codes that were sent: one per destination and purpose, counted before they are compared.

use super::{
    Key, Store,
    counter::{self, Counter},
    failed_condition, number,
    operation::{IS_LAST, NOT_YET, Operation},
    read,
    sends::{Log, Sending},
    text,
    transaction::Transaction,
    write,
};
use crate::{
    clock::Timestamp,
    contact::Destination,
    domain::{
        code::{Binding, CodeMac, Flow, Holder, NewCode, Purpose},
        keys::Keys,
        member::MemberId,
        notice::Notice,
    },
    error::{Error, Field},
    metrics,
    settings::Settings,
};
use aws_sdk_dynamodb::{
    operation::update_item::builders::UpdateItemFluentBuilder,
    types::{AttributeValue, Delete, Put, ReturnValue, ReturnValuesOnConditionCheckFailure::AllOld},
};
use serde::{Deserialize, Serialize};

/// A guess that was right. Proves nothing until a change spends it.
#[derive(Debug)]
pub struct RightCode {
    /// What it was bound to.
    pub binding: Binding,
    /// Whose it is.
    pub member: MemberId,
    /// When it was sent.
    pub sent_at: Timestamp,
    mac: CodeMac,
    failures: Counter,
}

/// Who draws a code.
#[derive(Debug)]
pub enum Drawn<'a> {
    /// The request that asks for it, and this is its MAC.
    Now(CodeMac),
    /// Whoever delivers this notice.
    Later(&'a Notice),
}

/// A try of a code.
#[derive(Debug)]
pub struct Try<'a> {
    /// Where the code was sent.
    pub destination: &'a Destination,
    /// What it is to be used for.
    pub purpose: Purpose,
    /// Who tries it.
    pub holder: Holder,
    /// What they think it is.
    pub guess: &'a str,
}

/// Item `code#<destination>#<flag>` / `code`.
#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<MemberId>,
    flow: Flow,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<CodeMac>,
    tries: u32,
    sent_at: Timestamp,
    valid_until: Timestamp,
    resend_at: Timestamp,
    expires_at: Timestamp,
}

/// It is this send's own.
const OF_THIS_FLOW: &str = "flow = :flow";
/// The code is alive and takes another try.
const MAY_TRY: &str = "tries < :max AND valid_until > :now";
/// It is for this member.
const OF_THIS_MEMBER: &str = "#member = :member";
/// It was not drawn yet, or drawn and refused by the provider; and nobody asked for another since.
const MAY_DRAW: &str = "flow = :flow AND valid_until > :now AND attribute_not_exists(delivered)";
/// It was not spent, replaced or outlived since it was found right.
const STILL_GOOD: &str = "mac = :mac AND valid_until > :now";

const SECONDS_PER_DAY: u64 = 86_400;

fn code_key(destination: &Destination, purpose: Purpose) -> Key {
    Key::new(format!("code#{}#{}", destination.key(), purpose.flag()), "code")
}

impl Store {
    /// Keeps a code in the place of the one before it, where every limit of sending has room, and with it,
    /// where it is to be drawn later, the notice by which it is.
    ///
    /// # Errors
    /// [`Error::SendFrequently`], [`Error::Busy`], [`Error::Internal`].
    pub async fn put_code(
        &self,
        settings: &Settings,
        sending: &Sending<'_>,
        drawn: Drawn<'_>,
    ) -> Result<(), Error> {
        let NewCode { binding, expires_in, resend_in } = sending.code;
        let (sent_at, valid_until) = (sending.at, sending.at.plus(*expires_in));
        let mut transaction = Transaction::default();
        let destination = Log::of_destination(&binding.destination, settings);
        transaction.log_send(destination, sending, &self.table)?;
        if let Some(member) = sending.member {
            transaction.log_send(Log::of_member(member, settings), sending, &self.table)?;
        }
        transaction.count_source(sending, settings, &self.table)?;
        let mac = match drawn {
            Drawn::Now(mac) => Some(mac),
            Drawn::Later(notice) => {
                transaction.queue(notice, &self.table)?;
                None
            }
        };
        let kept = Kept {
            member: sending.member,
            flow: binding.flow.clone(),
            mac,
            tries: 0,
            sent_at,
            valid_until,
            resend_at: sent_at.plus(*resend_in),
            expires_at: valid_until,
        };
        let key = code_key(&binding.destination, binding.purpose);
        transaction.put(Put::builder().set_item(Some(write(kept, key)?)), &self.table, None)?;
        self.commit(transaction).await.inspect_err(metrics::send_refused)
    }

    /// Takes back a code of which nothing left, so that another may be asked for at once.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn withdraw_code(&self, settings: &Settings, sending: &Sending<'_>) -> Result<(), Error> {
        let binding = &sending.code.binding;
        let mut transaction = Transaction::default();
        let destination = Log::of_destination(&binding.destination, settings);
        transaction.unlog_own_send(&destination, sending, &self.table)?;
        if let Some(member) = sending.member {
            transaction.unlog_send(&Log::of_member(member, settings), &self.table)?;
        }
        transaction.uncount_source(sending, &self.table)?;
        let delete = Delete::builder()
            .set_key(Some(code_key(&binding.destination, binding.purpose).into_item()))
            .condition_expression(OF_THIS_FLOW)
            .expression_attribute_values(":flow", text(binding.flow.as_str()));
        let gone = |_| Error::internal("a code of which nothing left was replaced already");
        transaction.delete(delete, &self.table, Some(Box::new(gone)))?;
        self.commit(transaction).await
    }

    /// Keeps a code that was drawn for a member after it had been asked for, as delivered: a duplicate of its
    /// notice sends no other. Answers whether it is to be sent: not where it was delivered already, replaced,
    /// or is over.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn fill_code(
        &self,
        binding: &Binding,
        member: MemberId,
        mac: &CodeMac,
        sent_at: Timestamp,
    ) -> Result<bool, Error> {
        let operation = Operation::draw()?;
        let update = self
            .update_code(binding)
            .update_expression(format!(
                "SET mac = :mac, #member = :member, sent_at = :now, delivered = :delivered, {IS_LAST}"
            ))
            .condition_expression(MAY_DRAW)
            .expression_attribute_names("#member", "member")
            .expression_attribute_values(":mac", text(mac.as_str()))
            .expression_attribute_values(":member", text(member.to_string()))
            .expression_attribute_values(":delivered", AttributeValue::Bool(true))
            .expression_attribute_values(":now", number(sent_at.0))
            .return_values_on_condition_check_failure(AllOld);
        let Err(error) = operation.of(update).send().await else { return Ok(true) };
        Ok(failed_condition(error)?.is_some_and(|stood| operation.wrote(&stood)))
    }

    /// Notes that a code was not delivered after all, because nothing left.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn unfill_code(&self, binding: &Binding) -> Result<(), Error> {
        let update = self
            .update_code(binding)
            .update_expression("REMOVE delivered")
            .condition_expression(OF_THIS_FLOW);
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) => failed_condition(error).map(drop),
        }
    }

    fn update_code(&self, binding: &Binding) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(code_key(&binding.destination, binding.purpose).into_item()))
            .expression_attribute_values(":flow", text(binding.flow.as_str()))
    }

    /// Counts a try, then compares.
    ///
    /// # Errors
    /// [`Error::CodeNotValid`]; [`Error::NotValid`] for another flow than the code's;
    /// [`Error::TooManyAttempts`], [`Error::Busy`], [`Error::Internal`].
    pub async fn try_code(
        &self,
        keys: &Keys,
        settings: &Settings,
        a_try: Try<'_>,
    ) -> Result<RightCode, Error> {
        let (destination, purpose) = (a_try.destination.clone(), a_try.purpose);
        let kept = self.count_try(&a_try, settings.code_max_attempts).await?;
        let failures = Counter::budget(
            counter::of_codes(&destination, purpose),
            settings.failures_per_day,
            SECONDS_PER_DAY,
        );
        let left_today = self.count(&failures).await?;
        let binding = Binding { destination, purpose, flow: kept.flow };
        // A code that was never drawn, since nobody has the destination, costs the same time to miss.
        let undrawn = CodeMac::of_none(keys);
        let right = binding.matches(keys, kept.mac.as_ref().unwrap_or(&undrawn), a_try.guess);
        match (kept.member, kept.mac) {
            (Some(member), Some(mac)) if right => {
                Ok(RightCode { binding, member, sent_at: kept.sent_at, mac, failures })
            }
            _ => {
                metrics::wrong_code(left_today);
                let left = settings.code_max_attempts.saturating_sub(kept.tries).min(left_today);
                Err(Error::CodeNotValid { attempts_left: left })
            }
        }
    }

    async fn count_try(&self, a_try: &Try<'_>, max_attempts: u32) -> Result<Kept, Error> {
        let now = Timestamp::now();
        let (member, flow) = (a_try.holder.member(), a_try.holder.flow());
        let operation = Operation::draw()?;
        let mut conditions = vec![MAY_TRY, NOT_YET];
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(code_key(a_try.destination, a_try.purpose).into_item()))
            .update_expression(format!("SET {IS_LAST} ADD tries :one"))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":max", number(max_attempts))
            .expression_attribute_values(":now", number(now.0))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(AllOld);
        if let Some(member) = member {
            conditions.push(OF_THIS_MEMBER);
            update = update
                .expression_attribute_names("#member", "member")
                .expression_attribute_values(":member", text(member.to_string()));
        }
        if let Some(flow) = flow {
            conditions.push(OF_THIS_FLOW);
            update = update.expression_attribute_values(":flow", text(flow.as_str()));
        }
        let update = operation.of(update.condition_expression(conditions.join(" AND ")));
        let stood = match update.send().await {
            Ok(answer) => return read(answer.attributes.unwrap_or_default()),
            Err(error) => failed_condition(error)?,
        };
        let none = Error::CodeNotValid { attempts_left: 0 };
        let Some(item) = stood else { return Err(none) };
        let is_counted = operation.wrote(&item);
        let kept: Kept = read(item)?;
        if is_counted {
            return Ok(kept);
        }
        if kept.valid_until <= now || (member.is_some() && kept.member != member) {
            Err(none)
        } else if flow.is_some_and(|flow| *flow != kept.flow) {
            Err(Error::NotValid(Field::Verification))
        } else {
            Err(Error::TooManyAttempts { retry_after: now.until(kept.resend_at).max(1) })
        }
    }
}

impl Transaction {
    /// Spends a code that was right, and takes its count out of the failures.
    pub(super) fn spend(&mut self, code: &RightCode, table: &str) -> Result<(), Error> {
        let delete = Delete::builder()
            .set_key(Some(code_key(&code.binding.destination, code.binding.purpose).into_item()))
            .condition_expression(STILL_GOOD)
            .expression_attribute_values(":mac", text(code.mac.as_str()))
            .expression_attribute_values(":now", number(Timestamp::now().0));
        self.delete(delete, table, Some(Box::new(|_| Error::CodeNotValid { attempts_left: 0 })))?;
        self.give_back(&code.failures, table)
    }
}
