//! What a command prints: results to standard output, notes to standard error.

use std::{
    fmt::Display,
    io::{self, Write},
};

use serde::Serialize;
use shared::clock::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::error::Error;

/// Prints a line. A closed standard output is ignored, so that the command finishes its work.
pub fn line(text: impl Display) -> Result<(), Error> {
    match writeln!(io::stdout(), "{text}") {
        Err(reason) if reason.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Prints a line to standard error.
pub fn note(text: impl Display) {
    // A failure could only be reported to the same place.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints a value as a line of JSON.
pub fn json(value: &impl Serialize) -> Result<(), Error> {
    line(serde_json::to_string(value).map_err(Error::internal)?)
}

/// Prints a result: as JSON for programs, else as text.
pub fn result(json: bool, value: &impl Serialize, text: impl Display) -> Result<(), Error> {
    if json { self::json(value) } else { line(text) }
}

/// Formats a moment by RFC 3339.
pub fn moment(at: Timestamp) -> String {
    let moment =
        i64::try_from(at.0).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| at.0.to_string())
}
