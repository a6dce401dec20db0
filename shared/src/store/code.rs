//! One-time codes: one per destination and purpose.

use super::{
    ItemKey, Store, failed_condition, number, read,
    sends::{CodeSend, SendLog},
    text,
    transaction::Transaction,
    write,
    write_id::{IS_LAST, NOT_YET, WriteId},
};
use crate::{
    clock::Timestamp,
    contact::Destination,
    domain::{
        basis::Basis,
        code::{Binding, CodeHolder, CodeMac, FlowId, NewCode, Purpose},
        member::MemberId,
        notice::Notice,
        proof::VerifiedCode,
        sends::SendLimits,
    },
    error::{Error, Field, SendLimit},
};
use aws_sdk_dynamodb::{
    operation::update_item::builders::UpdateItemFluentBuilder,
    types::{AttributeValue, Delete, Put, ReturnValue, ReturnValuesOnConditionCheckFailure::AllOld},
};
use serde::{Deserialize, Serialize};

/// When a code is generated.
#[derive(Debug)]
pub(crate) enum Generation<'a> {
    /// In the request, and this is its MAC.
    Immediate(CodeMac),
    /// When this notice is delivered.
    Deferred(&'a Notice),
}

/// The counts that are taken back when a code is withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refund {
    /// Those of the destination, so that its resend cooldown does not apply. The provider refused the message, which
    /// a caller can cause at will: the member and the source address remain limited.
    Destination,
    /// All of them: the limits of the region's traffic refused the send.
    All,
}

/// An attempt at a code.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    /// Where the code was sent.
    pub(crate) destination: &'a Destination,
    /// The purpose of the code.
    pub(crate) purpose: Purpose,
    /// The client that makes the attempt.
    pub(crate) holder: &'a CodeHolder,
}

/// Item `code#<destination>#<flag>` / `code`.
#[derive(Serialize, Deserialize)]
pub(crate) struct CodeItem {
    /// The member whom the code is for. A deferred code has none until it is generated, and a code to register has none if
    /// no member has the destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<MemberId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential_version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<Destination>,
    /// Whether the member reauthenticated when requesting the code.
    #[serde(default)]
    pub(crate) reauthenticated: bool,
    pub(crate) flow: FlowId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mac: Option<CodeMac>,
    pub(crate) tries: u32,
    pub(crate) sent_at: Timestamp,
    valid_until: Timestamp,
    resend_at: Timestamp,
    expires_at: Timestamp,
}

impl CodeItem {
    /// Returns the state of the member that the code was issued on, once it is generated for one.
    pub(crate) fn basis(&self) -> Option<Basis> {
        let (member, credential_version) = (self.member?, self.credential_version?);
        Some(Basis { member, credential_version, replaces: self.replaces.clone() })
    }
}

/// Condition: the code belongs to this flow.
const OF_THIS_FLOW: &str = "flow = :flow";
/// Condition: the code has neither expired nor used up its attempts.
const HAS_ATTEMPTS: &str = "tries < :max AND valid_until > :now";
/// Condition: the code is for this member.
const OF_THIS_MEMBER: &str = "#member = :member";
/// Condition: the code of this flow was not delivered, has not expired, and was not replaced.
const UNDELIVERED: &str = "flow = :flow AND valid_until > :now AND attribute_not_exists(delivered)";
/// Condition: the code was neither consumed nor replaced, and has not expired, since it was verified.
const STILL_VALID: &str = "mac = :mac AND valid_until > :now";

/// Returns the key of a code. Only the owner of a destination can request a code to change the password, to reset the
/// pay password or to close the account, so there is one. Codes to bind are one per member, or one per flow where no
/// session is needed to use them, and codes to recover, to log in and to register are one per flow: no client voids
/// the pending code of another.
fn code_key(
    destination: &Destination,
    purpose: Purpose,
    member: Option<MemberId>,
    flow: Option<&FlowId>,
) -> ItemKey {
    let client = match purpose {
        Purpose::ChangePassword | Purpose::ResetPayPassword | Purpose::CloseAccount => None,
        Purpose::BindPhone => member.map(|member| format!("member#{member}")),
        Purpose::BindMail
        | Purpose::RecoverPassword
        | Purpose::RecoverByMail
        | Purpose::LogIn
        | Purpose::Register => flow.map(|flow| format!("flow#{}", flow.as_str())),
    };
    let partition = format!("code#{}#{}", destination.key(), purpose.flag());
    ItemKey::new(partition, client.unwrap_or_else(|| "code".to_owned()))
}

/// Returns the key of a code that was requested by this member or by this flow.
fn binding_key(binding: &Binding, member: Option<MemberId>) -> ItemKey {
    code_key(&binding.destination, binding.purpose, member, Some(&binding.flow))
}

/// Returns the key of a verified code that was sent for this member, if for any.
pub(super) fn key_of<B>(code: &VerifiedCode<B>, member: Option<MemberId>) -> ItemKey {
    binding_key(&code.binding, member)
}

/// Returns the keys of the codes that this owner of a destination can have requested for it. Those of a flow are not
/// among them, because the flow is random.
pub(super) fn keys_of_owner(destination: &Destination, owner: MemberId) -> Vec<ItemKey> {
    let purposes: &[_] = match destination {
        Destination::Phone(_) => {
            &[Purpose::ChangePassword, Purpose::BindPhone, Purpose::ResetPayPassword, Purpose::CloseAccount]
        }
        Destination::Email(_) => &[Purpose::CloseAccount],
    };
    purposes.iter().map(|purpose| code_key(destination, *purpose, Some(owner), None)).collect()
}

impl Store {
    /// Stores a code, replacing the previous one, unless a rate limit is exceeded. A deferred code is stored with the
    /// notice that will generate it.
    ///
    /// # Errors
    /// [`Error::SendFrequently`], [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn put_code(
        &self,
        limits: &SendLimits,
        send: &CodeSend<'_>,
        generation: Generation<'_>,
    ) -> Result<(), Error> {
        let NewCode { binding, expires_in, resend_in } = send.code;
        let (sent_at, valid_until) = (send.at, send.at.plus(*expires_in));
        let mut transaction = self.transaction();
        transaction.log_send(SendLog::of_destination(send, limits), send)?;
        if let Some(basis) = &send.basis {
            transaction.log_send(SendLog::of_member(basis.member, limits), send)?;
        }
        transaction.count_source(send, limits)?;
        let mac = match generation {
            Generation::Immediate(mac) => Some(mac),
            Generation::Deferred(notice) => {
                transaction.queue(notice)?;
                None
            }
        };
        let item = CodeItem {
            member: send.basis.as_ref().map(|basis| basis.member),
            credential_version: send.basis.as_ref().map(|basis| basis.credential_version),
            replaces: send.basis.as_ref().and_then(|basis| basis.replaces.clone()),
            reauthenticated: send.reauthenticated,
            flow: binding.flow.clone(),
            mac,
            tries: 0,
            sent_at,
            valid_until,
            resend_at: sent_at.plus(*resend_in),
            expires_at: valid_until,
        };
        let key = binding_key(binding, item.member);
        transaction.put(Put::builder().set_item(Some(write(item, key)?)), None)?;
        // Only sends to one destination, by one member or from one source write the same items.
        let contended = Error::SendFrequently { retry_after: 1, limit: SendLimit::Concurrent };
        self.commit_own(transaction, contended).await
    }

    /// Removes a code that was certainly not sent, and its send from the rate limits of the destination, so that
    /// another can be requested at once. `refund` decides about the other limits.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn withdraw_code(
        &self,
        limits: &SendLimits,
        send: &CodeSend<'_>,
        refund: Refund,
    ) -> Result<(), Error> {
        let binding = &send.code.binding;
        let mut transaction = self.transaction();
        transaction.unlog_own_send(&SendLog::of_destination(send, limits), send)?;
        if refund == Refund::All {
            if let Some(basis) = &send.basis {
                transaction.unlog_send(&SendLog::of_member(basis.member, limits))?;
            }
            transaction.uncount_source(send)?;
        }
        let delete = Delete::builder()
            .set_key(Some(binding_key(binding, send.basis.as_ref().map(|basis| basis.member)).into_item()))
            .condition_expression(OF_THIS_FLOW)
            .expression_attribute_values(":flow", text(binding.flow.as_str()));
        let replaced = |_| Error::internal("cannot withdraw an unsent code: a newer one has replaced it");
        transaction.delete(delete, Some(Box::new(replaced)))?;
        self.commit(transaction).await
    }

    /// Marks a deferred code as delivered, with the MAC of the code that is about to be sent, and the member whom it is
    /// for, if there is one. Returns `false` if it
    /// must not be sent: a duplicate of its notice delivered it before, a newer code replaced it, or it has expired.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn mark_delivered(
        &self,
        binding: &Binding,
        basis: Option<&Basis>,
        mac: &CodeMac,
        sent_at: Timestamp,
    ) -> Result<bool, Error> {
        let write_id = WriteId::draw()?;
        let of_member =
            if basis.is_some() { "#member = :member, credential_version = :version, " } else { "" };
        let mut update = self.update_code(binding);
        if let Some(basis) = basis {
            update = update
                .expression_attribute_names("#member", "member")
                .expression_attribute_values(":member", text(basis.member.to_string()))
                .expression_attribute_values(":version", number(basis.credential_version));
        }
        let update = update
            .update_expression(format!(
                "SET {of_member}mac = :mac, sent_at = :now, delivered = :delivered, {IS_LAST}"
            ))
            .condition_expression(UNDELIVERED)
            .expression_attribute_values(":mac", text(mac.as_str()))
            .expression_attribute_values(":delivered", AttributeValue::Bool(true))
            .expression_attribute_values(":now", number(sent_at.0))
            .return_values_on_condition_check_failure(AllOld);
        let Err(error) = write_id.attach(update).send().await else { return Ok(true) };
        Ok(failed_condition(error)?.is_some_and(|stored| write_id.wrote(&stored)))
    }

    /// Marks a deferred code as not delivered, because it was certainly not sent. Then no one can guess it either.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn unmark_delivered(&self, binding: &Binding) -> Result<(), Error> {
        let update = self
            .update_code(binding)
            .update_expression("REMOVE delivered, mac")
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
            .set_key(Some(binding_key(binding, None).into_item()))
            .expression_attribute_values(":flow", text(binding.flow.as_str()))
    }

    /// Counts an attempt and returns the code's item after it.
    ///
    /// # Errors
    /// [`Error::CodeNotValid`] if there is no valid code for the holder, [`Error::NotValid`] for a flow that is not
    /// the code's, [`Error::TooManyAttempts`] if the attempts are used up, [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn record_attempt(
        &self,
        attempt: &Attempt<'_>,
        max_attempts: u32,
    ) -> Result<CodeItem, Error> {
        let now = Timestamp::now();
        let (member, flow) = (attempt.holder.member(), attempt.holder.flow());
        let write_id = WriteId::draw()?;
        let mut conditions = vec![HAS_ATTEMPTS, NOT_YET];
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(code_key(attempt.destination, attempt.purpose, member, flow).into_item()))
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
        let update = write_id.attach(update.condition_expression(conditions.join(" AND ")));
        let stored = match update.send().await {
            Ok(output) => return read(output.attributes.unwrap_or_default()),
            Err(error) => failed_condition(error)?,
        };
        let invalid = Error::CodeNotValid { attempts_left: 0 };
        let Some(stored) = stored else { return Err(invalid) };
        let is_counted = write_id.wrote(&stored);
        let item: CodeItem = read(stored)?;
        if is_counted {
            Ok(item)
        } else if item.valid_until <= now || (member.is_some() && item.member != member) {
            Err(invalid)
        } else if flow.is_some_and(|flow| *flow != item.flow) {
            Err(Error::NotValid(Field::Verification))
        } else {
            Err(Error::TooManyAttempts { retry_after: now.until(item.resend_at).max(1) })
        }
    }
}

impl Transaction {
    /// Consumes a verified code that was sent for this member, if for any, and takes its attempt out of the day's
    /// failures.
    pub(super) fn consume_code<B>(
        &mut self,
        code: &VerifiedCode<B>,
        member: Option<MemberId>,
    ) -> Result<(), Error> {
        let delete = Delete::builder()
            .set_key(Some(key_of(code, member).into_item()))
            .condition_expression(STILL_VALID)
            .expression_attribute_values(":mac", text(code.mac.as_str()))
            .expression_attribute_values(":now", number(Timestamp::now().0));
        self.delete(delete, Some(Box::new(|_| Error::CodeNotValid { attempts_left: 0 })))?;
        self.take_back(&code.failures)
    }
}
