//! What the functions' processes write.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use crate::events::{Event, Observer};

/// How many lines are kept; older ones are forgotten.
const KEPT: usize = 50_000;

/// A line that a function's process wrote to its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The function's binary.
    pub function: String,
    /// The line, without its end.
    pub text: String,
}

impl LogLine {
    /// Whether it is a document of CloudWatch's embedded metric format, which is for no reader of a log.
    #[must_use]
    pub fn is_metrics(&self) -> bool {
        self.text.starts_with(r#"{"_aws":"#)
    }
}

/// The latest lines of all functions.
pub(crate) struct Logs {
    lines: Mutex<VecDeque<LogLine>>,
    observer: Observer,
}

impl Logs {
    pub(crate) fn new(observer: Observer) -> Self {
        Self { lines: Mutex::default(), observer }
    }

    pub(crate) fn push(&self, line: LogLine) {
        (self.observer)(Event::Log(&line));
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// The kept lines, oldest first.
    pub(crate) fn lines(&self) -> Vec<LogLine> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
