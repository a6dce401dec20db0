//! The audit trail's words: what was done.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The login password was changed by the old one.
    PasswordChanged,
    /// The login password was changed by a code sent to the member's phone.
    PasswordChangedByMessage,
    /// A forgotten login password was replaced.
    PasswordRecovered,
    /// A phone was bound where there was none, or the same once more.
    PhoneBound,
    /// A phone was bound in the place of another.
    PhoneReplaced,
    /// A mail address was bound where there was none, or the same once more.
    EmailBound,
    /// A mail address was bound in the place of another.
    EmailReplaced,
    /// The pay password was set for the first time.
    PayPasswordSet,
    /// The pay password was changed by the old one.
    PayPasswordChanged,
    /// The pay password was unset or replaced by a code sent to the member's phone.
    PayPasswordReset,
}

impl Action {
    /// Every action, for the tables that must be whole.
    pub const ALL: [Self; 10] = [
        Self::PasswordChanged,
        Self::PasswordChangedByMessage,
        Self::PasswordRecovered,
        Self::PhoneBound,
        Self::PhoneReplaced,
        Self::EmailBound,
        Self::EmailReplaced,
        Self::PayPasswordSet,
        Self::PayPasswordChanged,
        Self::PayPasswordReset,
    ];
}

/// What an operator did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Members were brought along from another system.
    Imported,
    /// A member was written over by what another system has of them.
    Updated,
    /// A member was looked at.
    Shown,
    /// The wrong tries of a member were forgotten.
    Unlocked,
    /// A member's sessions were ended, or everybody's.
    Revoked,
    /// A session of a member was signed.
    SessionSigned,
    /// A trail was read.
    AuditRead,
    /// All members were written to a file.
    Exported,
    /// The first keys were made.
    KeysMade,
    /// A key was added.
    KeyAdded,
    /// Another key became the current one.
    KeyUsed,
    /// A key was removed.
    KeyRetired,
    /// The hashes of each key were counted.
    KeysCounted,
}

/// What a record tells: the change of a member's own, or what an operator did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Deed {
    /// A change of the member's own.
    Change(Action),
    /// What an operator did.
    Operation(Operation),
}

impl fmt::Display for Deed {
    /// Its name as it is stored.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(action) => action.serialize(f),
            Self::Operation(operation) => operation.serialize(f),
        }
    }
}

impl fmt::Display for Action {
    /// Its name as it is stored.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_reads_as_it_is_stored() {
        for action in Action::ALL {
            assert_eq!(serde_json::to_value(action).unwrap(), action.to_string());
        }
    }
}
