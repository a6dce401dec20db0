//! What the stack tells its owner while it runs.

use serde::Serialize;

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

/// The way that a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// To a phone.
    Sms,
    /// To a mailbox.
    Mail,
}

/// A message that a function sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The id that the sender got as answer.
    pub id: String,
    /// SMS or mail.
    pub channel: Channel,
    /// The phone number or mail address.
    pub to: String,
    /// The text; of a mail, its plain text.
    pub text: String,
    /// The first number of 6 to 10 digits in the text.
    pub code: Option<String>,
    /// The first link in the text.
    pub link: Option<String>,
    /// When it was sent: RFC 3339, UTC.
    pub sent_at: String,
}
