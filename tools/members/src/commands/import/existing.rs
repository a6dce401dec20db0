//! The handling of members who exist.

use serde::{Deserialize, Serialize};

/// What an import does with a line whose member exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum Existing {
    /// Leave them unchanged
    Skip,
    /// Update them with the fields of their line
    Update,
}
