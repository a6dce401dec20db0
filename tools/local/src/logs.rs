//! What the functions' processes write.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use crate::events::{Event, LogLine, Observer};

/// How many lines are kept; older ones are forgotten.
const KEPT: usize = 50_000;

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
