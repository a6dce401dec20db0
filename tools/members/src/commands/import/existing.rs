//! The handling of members who exist.

use serde::{Deserialize, Serialize};

/// What an import does with a line whose member exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum Existing {
    /// They stay as they are
    Skip,
    /// They get what their line has
    Update,
}
