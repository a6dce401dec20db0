//! The events that the stack reports while it runs.

use serde::Serialize;

/// An event that the stack passes to its [`Observer`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The stack caught an SMS or email.
    Message(&'a Message),
    /// A function's process wrote a log line.
    Log(&'a LogLine),
}

/// Called with every event, on the task in which it occurs. It must not block.
pub type Observer = fn(Event<'_>);

/// A line that a function's process wrote to stdout or stderr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The function's binary.
    pub function: String,
    /// The line, without its line break.
    pub text: String,
}

impl LogLine {
    /// Whether the line is in CloudWatch's embedded metric format, which is not meant for people to read.
    #[must_use]
    pub fn is_metrics(&self) -> bool {
        self.text.starts_with(r#"{"_aws":"#)
    }
}

/// How a message is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// By SMS.
    Sms,
    /// By email.
    Mail,
}

/// A message that a function sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The message id in the response to the sender.
    pub id: String,
    /// SMS or email.
    pub channel: Channel,
    /// The phone number or email address.
    pub to: String,
    /// The text of an SMS, or the plain text of an email.
    pub text: String,
    /// The first number of 6 to 10 digits in the text.
    pub code: Option<String>,
    /// The first link in the text.
    pub link: Option<String>,
    /// The time of sending, in UTC as RFC 3339.
    pub sent_at: String,
}
