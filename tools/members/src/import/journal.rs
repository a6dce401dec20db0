//! How far an import came.

use std::{path::Path, time::Duration};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Existing, Outcome,
    lines::{Batch, Lines},
};
use crate::{error::Error, progress};

/// What is imported, into what, and how: where one of it differs it is another import.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The file's length in bytes.
    pub length: u64,
    /// When the file was last written, since 1970.
    pub modified: Option<Duration>,
    /// The table.
    pub table: String,
    /// The file of errors.
    pub errors: String,
    /// What is done with a member who exists.
    pub existing: Existing,
    /// A mail address is verified where its line does not say.
    pub trust_mail: bool,
    /// Ids that are no UUIDs become some of this namespace.
    pub namespace: Option<Uuid>,
}

/// Everything before `offset` is done.
#[derive(Debug, Serialize, Deserialize)]
pub struct Journal {
    subject: Subject,
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
    pub fn new(subject: Subject, lines: &Lines) -> Self {
        Self {
            subject,
            offset: lines.offset(),
            line: lines.number(),
            lines: 0,
            errors_length: 0,
            counts: Counts::default(),
        }
    }

    /// The journal that an earlier run left.
    pub fn left(path: &Path, subject: &Subject) -> Result<Option<Self>, Error> {
        progress::read(path, |journal: &Self| journal.subject == *subject)
    }

    /// A batch is done.
    pub fn advance(&mut self, batch: &Batch) {
        (self.offset, self.line) = (batch.end, batch.last_number);
        self.lines += batch.lines.len() as u64;
    }
}
