//! The notice queue: what a member is told after a change, at every address that was theirs before it
//! or is after it, and the codes of those who are not logged in.
//!
//! A notice is queued with the change itself, and is for one destination, so that a send that fails
//! is retried without sending the others again.

use crate::{
    clock::Timestamp,
    contact::Destination,
    domain::{
        audit::{Action, Origin},
        code::{Binding, FlowId, Purpose},
        member::MemberId,
    },
    language::Language,
};
use serde::{Deserialize, Serialize};

/// A notice that waits to be delivered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Notice {
    /// Something of the member was changed.
    Changed(Changed),
    /// Somebody who is not logged in asked for a code.
    Code(CodeRequested),
}

/// What was changed, for whoever has the destination.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Changed {
    /// Whom it concerns.
    pub member: MemberId,
    /// What was changed.
    pub action: Action,
    /// When.
    pub at: Timestamp,
    /// From where.
    pub origin: Origin,
    /// The language that the request asked for, or else the member's, or else the default.
    pub language: Language,
    /// Where the notice goes.
    pub destination: Destination,
}

/// A code that is yet to be drawn, and is if the destination has a member.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CodeRequested {
    /// Where the code is to go.
    pub destination: Destination,
    /// What it is for.
    pub purpose: Purpose,
    /// Who asked.
    pub flow: FlowId,
    /// The language of the request.
    pub language: Language,
    /// When the code ends: later it is not worth sending.
    pub valid_until: Timestamp,
}

impl CodeRequested {
    /// What the code is bound to.
    #[must_use]
    pub fn binding(&self) -> Binding {
        Binding { destination: self.destination.clone(), purpose: self.purpose, flow: self.flow.clone() }
    }
}

impl Notice {
    /// The notice of a change that happens now.
    #[must_use]
    pub fn changed(
        member: MemberId,
        action: Action,
        origin: Origin,
        language: Language,
        destination: Destination,
    ) -> Self {
        Self::Changed(Changed { member, action, at: Timestamp::now(), origin, language, destination })
    }
}
