//! The audit trail's words: what was done, and by what proof.

use serde::{Deserialize, Serialize};

/// What was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The login password was changed by the old one.
    PasswordChanged,
    /// The login password was changed by a code sent to the member's phone.
    PasswordChangedByMessage,
}
