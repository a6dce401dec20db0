//! How a command answers.

use std::{
    fmt::Display,
    io::{self, Write},
};

use serde::Serialize;
use shared::clock::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::error::Error;

/// Prints a line, unless whoever read the output has enough of it: what is done goes on.
pub fn line(text: impl Display) -> Result<(), Error> {
    match writeln!(io::stdout(), "{text}") {
        Err(reason) if reason.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Tells whoever watches.
pub fn note(text: impl Display) {
    // Nobody is left to read it where it fails.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints a line of JSON.
pub fn json(value: &impl Serialize) -> Result<(), Error> {
    line(serde_json::to_string(value).map_err(Error::internal)?)
}

/// A moment as a person reads it.
pub fn moment(at: Timestamp) -> String {
    let moment =
        i64::try_from(at.0).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| at.0.to_string())
}
