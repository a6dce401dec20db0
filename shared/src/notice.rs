//! What a member is told after a change, at every address that was theirs before it.

use crate::{
    audit::Action,
    clock::Timestamp,
    contact::{Email, Phone},
    language::Language,
    request::Origin,
    store::member::{Member, MemberId},
};
use serde::{Deserialize, Serialize};

/// A notice that waits to be delivered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Notice {
    /// Whom it concerns.
    pub member: MemberId,
    /// What was changed.
    pub action: Action,
    /// When.
    pub at: Timestamp,
    /// From where.
    pub origin: Origin,
    /// The language of the request that made the change.
    pub language: Language,
    /// The phone it goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    /// The mail address it goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
}

impl Notice {
    /// The notice of a change that happens now.
    #[must_use]
    pub fn of(member: &Member, action: Action, origin: &Origin, language: Language) -> Self {
        Self {
            member: member.id,
            action,
            at: Timestamp::now(),
            origin: origin.clone(),
            language,
            phone: member.phone.clone(),
            email: member.email.clone(),
        }
    }
}
