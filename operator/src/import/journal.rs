//! How far an import came, beside its file, so that the same command goes on from there.

use std::{fs, io::ErrorKind, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    Outcome,
    lines::{Batch, Lines},
};
use crate::error::Error;

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
        let text = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::new(lines)),
            read => read.map_err(|reason| Error::File { path: path.to_owned(), reason })?,
        };
        let journal: Option<Self> = serde_json::from_slice(&text).ok();
        journal.filter(|journal| journal.length == lines.length()).ok_or_else(|| {
            let path = path.display();
            Error::Usage(format!("{path} is of another file than this one; delete it to begin anew"))
        })
    }

    /// A batch is done.
    pub fn advance(&mut self, batch: &Batch) {
        (self.offset, self.line) = (batch.end, batch.last_number);
        self.lines += batch.lines.len() as u64;
    }

    /// Keeps it, wholly or not at all.
    pub fn keep(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_vec(self).map_err(Error::internal)?;
        let new = path.with_added_extension("new");
        let kept = fs::write(&new, text).and_then(|()| fs::rename(&new, path));
        kept.map_err(|reason| Error::File { path: path.to_owned(), reason })
    }

    /// All is done.
    pub fn remove(path: &Path) -> Result<(), Error> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|reason| Error::File { path: path.to_owned(), reason }),
        }
    }
}
