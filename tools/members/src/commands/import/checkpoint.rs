//! The checkpoint from which an interrupted import resumes.

use std::{path::Path, time::Duration};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    existing::Existing,
    lines::{Batch, Lines},
    outcome::Counts,
};
use crate::{error::Error, progress};

/// Identifies an import. A checkpoint resumes only the import that wrote it: same file, table and options.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportId {
    /// The file's length in bytes.
    pub length: u64,
    /// When the file was last modified, since 1970.
    pub modified: Option<Duration>,
    /// The identity of the table.
    pub table: String,
    /// The path of the rejects file.
    pub errors: String,
    /// The handling of members who exist.
    pub existing: Existing,
    /// Whether `--trust-email` was given.
    pub trust_email: bool,
    /// The namespace of ids that are not UUIDs.
    pub namespace: Option<Uuid>,
}

/// How far an import has come: every line before `offset` has its outcome.
#[derive(Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    subject: ImportId,
    /// The offset in bytes at which to resume.
    pub offset: u64,
    /// The number of the last line before the offset.
    pub line: u64,
    /// The number of lines that have an outcome. Blank lines have none.
    pub lines: u64,
    /// The length of the rejects file.
    pub errors_length: u64,
    /// The outcomes so far.
    pub counts: Counts,
}

impl Checkpoint {
    /// Returns the checkpoint of a new import, which begins after the CSV header, if there is one.
    pub fn new(subject: ImportId, lines: &Lines) -> Self {
        Self {
            subject,
            offset: lines.offset(),
            line: lines.number(),
            lines: 0,
            errors_length: 0,
            counts: Counts::default(),
        }
    }

    /// Reads the checkpoint of an interrupted import. Fails if it belongs to another import.
    pub fn read(path: &Path, subject: &ImportId) -> Result<Option<Self>, Error> {
        progress::read(path, |checkpoint: &Self| checkpoint.subject == *subject)
    }

    /// Advances to the end of a batch.
    pub fn advance(&mut self, batch: &Batch) {
        (self.offset, self.line) = (batch.end, batch.last_number);
        self.lines += batch.lines.len() as u64;
    }
}
