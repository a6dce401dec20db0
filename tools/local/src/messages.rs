//! Catches SMS and email instead of sending them.

mod ses;
mod sns;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, extract::DefaultBodyLimit};
use serde::Deserialize;
use tokio::{
    sync::Notify,
    time::{self, Duration},
};

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
    /// Notified of each message that is caught.
    caught: Notify,
}

/// Which of the stored messages a caller wants.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    /// Those to this phone, with or without its calling code, or to this email address.
    to: Option<String>,
    /// Those that were caught after the message with this id.
    after: Option<String>,
    /// How many seconds to wait until there is one.
    wait: u64,
}

/// The longest wait, in seconds.
const MAX_WAIT: u64 = 60;

impl Wanted {
    fn is_for(&self, message: &Message) -> bool {
        let Some(to) = &self.to else { return true };
        // A `+` in a query is a space.
        let to = to.trim_start_matches([' ', '+']);
        match message.channel {
            Channel::Sms => !to.is_empty() && message.to.ends_with(to),
            Channel::Mail => message.to.eq_ignore_ascii_case(to),
        }
    }
}

impl Inbox {
    pub(crate) fn new(observer: Observer) -> Self {
        Self { messages: Mutex::default(), observer, caught: Notify::new() }
    }

    /// Returns the wanted messages, newest first, once there is one or the wait is over.
    pub(crate) async fn wanted(&self, wanted: &Wanted) -> Vec<Message> {
        let found = async {
            loop {
                // Before the look, so that a message in between is not missed.
                let caught = self.caught.notified();
                let messages = self.messages().into_iter();
                let newer = messages.take_while(|message| Some(&message.id) != wanted.after.as_ref());
                let found: Vec<_> = newer.filter(|message| wanted.is_for(message)).collect();
                if !found.is_empty() || wanted.wait == 0 {
                    return found;
                }
                caught.await;
            }
        };
        time::timeout(Duration::from_secs(wanted.wait.clamp(1, MAX_WAIT)), found).await.unwrap_or_default()
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
        self.caught.notify_waiters();
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

    #[tokio::test]
    async fn wanted_messages_are_newer_and_to_one_address() {
        let inbox = Inbox::new(|_| {});
        let first = inbox.catch(Channel::Sms, "+8613627140483".to_owned(), "first".to_owned());
        inbox.catch(Channel::Mail, "li@example.com".to_owned(), "mail".to_owned());
        inbox.catch(Channel::Sms, "+8613627140483".to_owned(), "last".to_owned());
        let texts = async |to: Option<&str>, after: Option<&str>| {
            let wanted = Wanted { to: to.map(str::to_owned), after: after.map(str::to_owned), wait: 0 };
            inbox.wanted(&wanted).await.into_iter().map(|message| message.text).collect::<Vec<_>>()
        };
        assert_eq!(texts(None, None).await, ["last", "mail", "first"]);
        for to in ["+8613627140483", " 8613627140483", "13627140483"] {
            assert_eq!(texts(Some(to), None).await, ["last", "first"], "{to}");
            assert_eq!(texts(Some(to), Some(&first)).await, ["last"], "{to}");
        }
        assert_eq!(texts(Some("Li@example.com"), None).await, ["mail"]);
        for to in ["", "i@example.com", "13800138000"] {
            assert!(texts(Some(to), None).await.is_empty(), "{to}");
        }
    }

    #[tokio::test]
    async fn wait_ends_with_the_message() {
        let inbox = Inbox::new(|_| {});
        let wanted = Wanted { to: Some("13627140483".to_owned()), after: None, wait: 60 };
        let catching = async {
            tokio::task::yield_now().await;
            inbox.catch(Channel::Mail, "li@example.com".to_owned(), "mail".to_owned());
            tokio::task::yield_now().await;
            inbox.catch(Channel::Sms, "+8613627140483".to_owned(), "sms".to_owned());
        };
        let (found, ()) = tokio::join!(inbox.wanted(&wanted), catching);
        assert_eq!(found.len(), 1);
        let none = Wanted { to: Some("13800138000".to_owned()), after: None, wait: 1 };
        assert!(inbox.wanted(&none).await.is_empty());
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
