//! How far an import came.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{
    Outcome,
    lines::{Batch, Lines},
};
use crate::{error::Error, progress};

/// Everything before `offset` is done.
#[derive(Debug, Serialize, Deserialize)]
pub struct Journal {
    /// The file's length: another one is another file.
    length: u64,
    /// Where to go on.
    pub offset: u64,
    /// The number of the last line before that.
    pub line: u64,
    /// How many lines had an outcome.
    pub lines: u64,
    /// How long the file of errors was.
    pub errors_length: u64,
    /// The outcomes.
    pub counts: Counts,
}

/// How many lines ended how.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// New members.
    pub imported: u64,
    /// Members who were there and have what their line has.
    pub updated: u64,
    /// Members who were there and stay as they are.
    pub skipped: u64,
    /// Lines of which nothing was written.
    pub refused: u64,
    /// Mail addresses that were left out.
    pub unverified: u64,
}

impl Counts {
    /// Counts an outcome.
    pub fn add(&mut self, outcome: &Outcome, unverified: bool) {
        let count = match outcome {
            Outcome::Imported => &mut self.imported,
            Outcome::Updated => &mut self.updated,
            Outcome::Skipped => &mut self.skipped,
            Outcome::Refused(_) => &mut self.refused,
        };
        *count += 1;
        self.unverified += u64::from(unverified && matches!(outcome, Outcome::Imported | Outcome::Updated));
    }
}

impl Journal {
    /// Nothing is done yet but what was read of the file's head.
    pub fn new(lines: &Lines) -> Self {
        Self {
            length: lines.length(),
            offset: lines.offset(),
            line: lines.number(),
            lines: 0,
            errors_length: 0,
            counts: Counts::default(),
        }
    }

    /// The journal that an earlier run left, or a new one.
    pub fn resume(path: &Path, lines: &Lines) -> Result<Self, Error> {
        let kept = progress::read(path, "file", |journal: &Self| journal.length == lines.length())?;
        Ok(kept.unwrap_or_else(|| Self::new(lines)))
    }

    /// A batch is done.
    pub fn advance(&mut self, batch: &Batch) {
        (self.offset, self.line) = (batch.end, batch.last_number);
        self.lines += batch.lines.len() as u64;
    }
}
