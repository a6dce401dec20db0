//! What the stack tells its owner while it runs.

use crate::{logs::LogLine, messages::Message};

/// Something that the owner may want to see.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An SMS or mail was caught.
    Message(&'a Message),
    /// A function's process wrote a line.
    Log(&'a LogLine),
}

/// Is called with every event, on whatever task it happens; must not block.
pub type Observer = fn(Event<'_>);
