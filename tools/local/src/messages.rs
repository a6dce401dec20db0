//! Catches SMS and email instead of sending them.

mod ses;
mod sns;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, extract::DefaultBodyLimit};

use crate::{
    aws, clock,
    events::{Channel, Event, Message, Observer},
};

/// How many messages are stored. Older ones are dropped.
const CAPACITY: usize = 1_000;

/// Stores the caught messages.
pub(crate) struct Inbox {
    /// Newest first.
    messages: Mutex<VecDeque<Message>>,
    observer: Observer,
}

impl Inbox {
    pub(crate) fn new(observer: Observer) -> Self {
        Self { messages: Mutex::default(), observer }
    }

    /// Returns the stored messages, newest first.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Stores a message and returns its id.
    fn catch(&self, channel: Channel, to: String, text: String) -> String {
        let id = aws::random_id();
        let (code, link) = (code(&text), link(&text));
        let sent_at = clock::rfc3339(clock::now());
        let message = Message { id: id.clone(), channel, to, text, code, link, sent_at };
        (self.observer)(Event::Message(&message));
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.push_front(message);
        messages.truncate(CAPACITY);
        id
    }
}

/// Returns the endpoints of SNS and SES that the SDK calls.
pub(crate) fn routes(inbox: Arc<Inbox>) -> Router {
    sns::routes().merge(ses::routes()).layer(DefaultBodyLimit::disable()).with_state(inbox)
}

/// Returns the first run of 6 to 10 digits that is not part of a longer word of ASCII letters and digits.
#[must_use]
pub fn code(text: &str) -> Option<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .find(|word| (6..=10).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit()))
        .map(str::to_owned)
}

/// Returns the first http or https link, without the punctuation of the sentence around it.
#[must_use]
pub fn link(text: &str) -> Option<String> {
    let start = ["http://", "https://"].into_iter().filter_map(|scheme| text.find(scheme)).min()?;
    let rest = text.get(start..)?;
    let end = rest.find(|c: char| !c.is_ascii_graphic() || "\"<>".contains(c)).unwrap_or(rest.len());
    Some(rest.get(..end)?.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '\'']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_a_whole_word_of_digits() {
        assert_eq!(code("您的验证码是012345，5分钟内有效"), Some("012345".to_owned()));
        assert_eq!(code("call 13627140483, then 12345678."), Some("12345678".to_owned()));
        assert_eq!(code("12345 or x123456 or 12345678901"), None);
    }

    #[test]
    fn link_excludes_punctuation_of_the_sentence() {
        assert_eq!(
            link("Open https://example.com/verify?code=1&v=a.b. Thank you"),
            Some("https://example.com/verify?code=1&v=a.b".to_owned())
        );
        assert_eq!(link("请打开http://127.0.0.1:3000/x。谢谢"), Some("http://127.0.0.1:3000/x".to_owned()));
        assert_eq!(link("no link"), None);
    }

    #[test]
    fn inbox_drops_the_oldest_message() {
        let inbox = Inbox::new(|_| {});
        for number in 0..=CAPACITY {
            inbox.catch(Channel::Sms, "+8613627140483".to_owned(), number.to_string());
        }
        let messages = inbox.messages();
        assert_eq!(messages.len(), CAPACITY);
        assert_eq!((messages[0].text.as_str(), messages[CAPACITY - 1].text.as_str()), ("1000", "1"));
    }
}
