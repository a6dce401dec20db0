//! The output of the stack while it runs.

use std::io::{Write, stdout};

use local::{Channel, Event, Message};

/// Prints caught messages and the functions' log lines, but not their metrics.
pub fn show(event: Event<'_>) {
    match event {
        Event::Message(message) => print(&block(message)),
        Event::Log(line) if line.is_metrics() => {}
        Event::Log(line) => print(&format!("[{}] {}\n", line.function, line.text)),
        _ => {}
    }
}

/// Prints `text`. Ignores a closed stdout, so that the stack runs on without a terminal.
pub fn print(text: &str) {
    let mut out = stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn block(message: &Message) -> String {
    let channel = match message.channel {
        Channel::Sms => "SMS",
        Channel::Mail => "Email",
    };
    let text = message.text.trim_end().replace('\n', "\n  | ");
    format!("\n  {channel} to {}\n  | {text}\n\n", message.to)
}
