//! The result that an import prints.

use serde::Serialize;

use super::outcome::Counts;
use crate::{error::Error, output};

/// The result of an import.
#[derive(Serialize)]
pub struct Summary<'a> {
    /// The imported file.
    pub file: String,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Whether every line has its outcome.
    pub finished: bool,
    /// The outcomes, those of earlier runs included.
    #[serde(flatten)]
    pub counts: &'a Counts,
    /// The rejects file, if there is one.
    pub errors: Option<String>,
    /// The duration of this run.
    pub seconds: f64,
}

impl Summary<'_> {
    /// Prints the summary, as text with the lines per second.
    pub fn print(&self, rate: u64, json: bool) -> Result<(), Error> {
        if json {
            return output::json(self);
        }
        let Counts { imported, updated, skipped, rejected, unverified } = self.counts;
        let would = if self.dry_run { "would be " } else { "" };
        output::line(format_args!(
            "{imported} {would}imported, {updated} {would}updated, {skipped} {would}skipped, {rejected} rejected"
        ))?;
        if *unverified > 0 {
            output::line(format_args!(
                "{unverified} email addresses {would}left out because they are not verified"
            ))?;
        }
        if let Some(errors) = self.errors.as_ref().filter(|_| *rejected > 0) {
            output::line(format_args!(
                "the rejected lines are in {errors}; correct them and import that file"
            ))?;
        }
        output::line(format_args!("{rate} lines per second"))
    }
}
