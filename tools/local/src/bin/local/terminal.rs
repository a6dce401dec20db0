//! What the stack shows while it runs.

use std::io::{Write, stdout};

use local::{Channel, Event, Message};

/// Prints caught messages and the functions' log lines, without their metrics.
pub fn show(event: Event<'_>) {
    match event {
        Event::Message(message) => print(&block(message)),
        Event::Log(line) if line.is_metrics() => {}
        Event::Log(line) => print(&format!("[{}] {}\n", line.function, line.text)),
        _ => {}
    }
}

/// Prints `text`; a terminal that is gone is no reason to stop.
pub fn print(text: &str) {
    let mut out = stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn block(message: &Message) -> String {
    let channel = match message.channel {
        Channel::Sms => "SMS",
        Channel::Mail => "Mail",
    };
    let text = message.text.trim_end().replace('\n', "\n  | ");
    format!("\n  {channel} to {}\n  | {text}\n\n", message.to)
}
