//! Notices: the messages in the outbox. A notice reports a change or a lockout to the member, requests a code for a
//! client without a session, or reports a lockout to the audit trail.
//!
//! A change stores its notices in the same transaction, one for each phone and email address that the member had
//! before the change or has after it. Each notice has one destination, so a failed send is retried without
//! repeating the others.

use crate::{
    clock::Timestamp,
    contact::Destination,
    domain::{
        audit::{Action, Origin},
        code::{Binding, FlowId, Purpose},
        member::MemberId,
        report::ReportId,
    },
    language::Language,
};
use serde::{Deserialize, Serialize};

/// A notice that waits for delivery.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Notice {
    /// A member's credentials were changed.
    Changed(Changed),
    /// Too many wrong pay passwords locked the pay password of a member.
    PayPasswordLocked(PayPasswordLocked),
    /// A client without a session requested a code.
    Code(CodeRequested),
    /// Failed logins locked the password of a phone or an email address, which may have no member.
    LogInLocked(LogInLocked),
}

/// A lockout by failed logins. The member, if there is one, is found when it is delivered, so that the request neither
/// knows nor takes longer for one. No message is sent: strangers could cause messages at will.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogInLocked {
    /// The phone or email address of the logins.
    pub destination: Destination,
    /// When the lockout began.
    pub at: Timestamp,
    /// The origin of the last failed login.
    pub origin: Origin,
}

/// The notice of a change, for one destination.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Changed {
    /// The member whose credentials were changed.
    pub member: MemberId,
    /// The change.
    pub action: Action,
    /// When the change was made.
    pub at: Timestamp,
    /// The origin of the request that made the change.
    pub origin: Origin,
    /// The language of the notice: that of the request, else the member's, else the default.
    pub language: Language,
    /// The phone or email address that receives the notice.
    pub destination: Destination,
    /// The report whose link the notice contains, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportId>,
}

/// The notice of a locked pay password, for one destination.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PayPasswordLocked {
    /// When it was locked.
    pub at: Timestamp,
    /// The origin of the last wrong attempt.
    pub origin: Origin,
    /// The language of the notice, chosen as for [`Changed`].
    pub language: Language,
    /// The phone or email address that receives the notice.
    pub destination: Destination,
}

/// A request for a code, which is generated at delivery, if the destination belongs to a member.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CodeRequested {
    /// The phone or email address for the code.
    pub destination: Destination,
    /// The purpose of the code.
    pub purpose: Purpose,
    /// The client that requested the code.
    pub flow: FlowId,
    /// The language of the message.
    pub language: Language,
    /// When the code expires. It is not sent afterwards.
    pub valid_until: Timestamp,
}

impl CodeRequested {
    /// Returns the binding of the code.
    #[must_use]
    pub fn binding(&self) -> Binding {
        Binding { destination: self.destination.clone(), purpose: self.purpose, flow: self.flow.clone() }
    }
}

impl Notice {
    /// Returns the notice of a change that is made now.
    #[must_use]
    pub fn changed(
        member: MemberId,
        action: Action,
        origin: Origin,
        language: Language,
        destination: Destination,
        report: Option<ReportId>,
    ) -> Self {
        Self::Changed(Changed { member, action, at: Timestamp::now(), origin, language, destination, report })
    }
    /// Returns the notice of a pay password that is locked now.
    #[must_use]
    pub fn pay_password_locked(origin: Origin, language: Language, destination: Destination) -> Self {
        Self::PayPasswordLocked(PayPasswordLocked { at: Timestamp::now(), origin, language, destination })
    }
}
