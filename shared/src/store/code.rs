//! Codes that were sent: one per destination and purpose, counted before they are compared.

use super::{
    Item, Key, Store, counter::Counter, failed_condition, number, read, text, transaction::Transaction, write,
};
use crate::{
    clock::Timestamp,
    code::{Binding, CodeMac, Flow, NewCode, Purpose},
    contact::Destination,
    error::Error,
    keys::Keys,
    notice::Notice,
    parameter::Field,
    settings::Settings,
    store::member::MemberId,
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
    mac: CodeMac,
    failures: Counter,
}

/// In whose hands a code must be.
#[derive(Clone, Debug)]
pub enum Holder {
    /// The member it was sent for: the session says who that is.
    Member(MemberId),
    /// Whoever asked for it: the token says which flow that was.
    Flow(Flow),
    /// Both.
    MemberInFlow(MemberId, Flow),
}

impl Holder {
    fn member(&self) -> Option<MemberId> {
        match self {
            Self::Member(member) | Self::MemberInFlow(member, _) => Some(*member),
            Self::Flow(_) => None,
        }
    }

    fn flow(&self) -> Option<&Flow> {
        match self {
            Self::Flow(flow) | Self::MemberInFlow(_, flow) => Some(flow),
            Self::Member(_) => None,
        }
    }
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
/// The code is alive and takes another try.
const MAY_TRY: &str = "tries < :max AND valid_until > :now";
/// It is for this member.
const OF_THIS_MEMBER: &str = "#member = :member";
/// It was not drawn yet, or drawn and perhaps not sent; and nobody asked for another since.
const MAY_DRAW: &str = "flow = :flow AND valid_until > :now AND attribute_not_exists(delivered)";
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
    /// Keeps a code in the place of the one before it, unless one was sent there a moment ago: whose
    /// it is, with its MAC, or else the notice by which it is drawn later.
    ///
    /// # Errors
    /// [`Error::SendFrequently`], [`Error::Busy`], [`Error::Internal`].
    pub async fn put_code(
        &self,
        new: &NewCode,
        drawn: Option<(MemberId, CodeMac)>,
        queued: Option<&Notice>,
    ) -> Result<(), Error> {
        let now = Timestamp::now();
        let NewCode { binding, expires_in, resend_in } = new;
        let (valid_until, resend_at) = (now.plus(*expires_in), now.plus(*resend_in));
        let (member, mac) = drawn.unzip();
        let flow = binding.flow.clone();
        let sent = Sent { flow: flow.clone(), expires_at: resend_at };
        let kept = Kept { member, flow, mac, tries: 0, valid_until, resend_at, expires_at: valid_until };
        let put_sent = Put::builder()
            .set_item(Some(write(sent, sent_key(&binding.destination))?))
            .condition_expression(MAY_SEND)
            .expression_attribute_values(":now", number(now.0));
        let put_code =
            Put::builder().set_item(Some(write(kept, code_key(&binding.destination, binding.purpose))?));
        let mut transaction = Transaction::default();
        transaction.put(put_sent, &self.table, Some(Box::new(move |stood| sent_lately(stood, now))))?;
        transaction.put(put_code, &self.table, None)?;
        if let Some(notice) = queued {
            transaction.queue(notice, &self.table)?;
        }
        self.commit(transaction).await
    }

    /// Keeps a code that was drawn for a member after it had been asked for, unless it was delivered
    /// already, replaced, or is over. Answers whether it was kept.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn fill_code(&self, binding: &Binding, member: MemberId, mac: &CodeMac) -> Result<bool, Error> {
        let update = self
            .update_drawn(binding)
            .update_expression("SET mac = :mac, #member = :member")
            .expression_attribute_names("#member", "member")
            .expression_attribute_values(":mac", text(mac.as_str()))
            .expression_attribute_values(":member", text(member.to_string()));
        self.was_drawn(update).await
    }

    /// Notes that a code was delivered, so that a duplicate of its notice sends no other.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn mark_delivered(&self, binding: &Binding) -> Result<(), Error> {
        let update = self
            .update_drawn(binding)
            .update_expression("SET delivered = :delivered")
            .expression_attribute_values(":delivered", AttributeValue::Bool(true));
        self.was_drawn(update).await.map(drop)
    }

    fn update_drawn(&self, binding: &Binding) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(code_key(&binding.destination, binding.purpose).into_item()))
            .condition_expression(MAY_DRAW)
            .expression_attribute_values(":flow", text(binding.flow.as_str()))
            .expression_attribute_values(":now", number(Timestamp::now().0))
    }

    async fn was_drawn(&self, update: UpdateItemFluentBuilder) -> Result<bool, Error> {
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error) => failed_condition(error).map(|_| false),
        }
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
            format!("{}#{}", destination.key(), purpose.flag()),
            settings.failures_per_day,
            SECONDS_PER_DAY,
        );
        let left_today = self.count(&failures).await?;
        let binding = Binding { destination, purpose, flow: kept.flow };
        // A code that was never drawn, since nobody has the destination, costs the same time to miss.
        let undrawn = CodeMac::of_none(keys);
        let right = binding.matches(keys, kept.mac.as_ref().unwrap_or(&undrawn), a_try.guess);
        match (kept.member, kept.mac) {
            (Some(member), Some(mac)) if right => Ok(RightCode { binding, member, mac, failures }),
            _ => {
                let left = settings.code_max_attempts.saturating_sub(kept.tries).min(left_today);
                Err(Error::CodeNotValid { attempts_left: left })
            }
        }
    }

    async fn count_try(&self, a_try: &Try<'_>, max_attempts: u32) -> Result<Kept, Error> {
        let now = Timestamp::now();
        let (member, flow) = (a_try.holder.member(), a_try.holder.flow());
        let mut conditions = vec![MAY_TRY];
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(code_key(a_try.destination, a_try.purpose).into_item()))
            .update_expression("ADD tries :one")
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
        let error = match update.condition_expression(conditions.join(" AND ")).send().await {
            Ok(answer) => return read(answer.attributes.unwrap_or_default()),
            Err(error) => error,
        };
        let none = Error::CodeNotValid { attempts_left: 0 };
        let Some(kept) = failed_condition(error)?.map(read::<Kept>).transpose()? else { return Err(none) };
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

fn sent_lately(stood: Option<Item>, now: Timestamp) -> Error {
    match stood.map(read::<Sent>).transpose() {
        Ok(Some(sent)) => Error::SendFrequently { retry_after: now.until(sent.expires_at).max(1) },
        Ok(None) => Error::internal("a send was held back by nothing"),
        Err(error) => error,
    }
}
