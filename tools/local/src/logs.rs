//! The log lines of the functions' processes.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use crate::events::{Event, LogLine, Observer};

/// How many lines are stored. Older ones are dropped.
const CAPACITY: usize = 50_000;

/// Stores the latest log lines of all functions.
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
        if lines.len() == CAPACITY {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// Returns the stored lines, oldest first.
    pub(crate) fn lines(&self) -> Vec<LogLine> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
