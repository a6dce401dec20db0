//! The outcomes of lines, and how many there are of each.

use serde::{Deserialize, Serialize};

use super::field_error::FieldError;

/// What became of a line.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The member was created.
    Imported,
    /// The member existed and was updated.
    Updated,
    /// The member existed and was left unchanged.
    Skipped,
    /// Nothing was written.
    Rejected(FieldError),
}

/// The number of lines with each outcome.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Members that were created.
    pub imported: u64,
    /// Members that existed and were updated.
    pub updated: u64,
    /// Members that existed and were left unchanged.
    pub skipped: u64,
    /// Lines of which nothing was written.
    #[serde(rename = "refused")]
    pub rejected: u64,
    /// Members that were written without their email address, because it is not verified.
    pub unverified: u64,
}

impl Counts {
    /// Counts an outcome, and whether its member's email address was left out.
    pub fn add(&mut self, outcome: &Outcome, unverified: bool) {
        let count = match outcome {
            Outcome::Imported => &mut self.imported,
            Outcome::Updated => &mut self.updated,
            Outcome::Skipped => &mut self.skipped,
            Outcome::Rejected(_) => &mut self.rejected,
        };
        *count += 1;
        self.unverified += u64::from(unverified && matches!(outcome, Outcome::Imported | Outcome::Updated));
    }
}
