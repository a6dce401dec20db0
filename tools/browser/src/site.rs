//! The local stack, with the members that the walks use.

use crate::Failure;
use local::{Message, Options, Stack};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

pub const PASSWORD: &str = "the-old-password";
pub const NEW_PASSWORD: &str = "a-quite-new-password";
pub const PIN: &str = "739154";
pub const NEW_PIN: &str = "408261";

/// How long a message may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A running local stack.
pub struct Site {
    stack: Stack,
    http: Client,
    members: AtomicU32,
}

/// A member with a session.
pub struct Member {
    pub phone: String,
    pub email: String,
    pub token: String,
    pub id: String,
}

impl Site {
    /// Starts the functions in `binaries`, with limits that the walks do not reach.
    pub async fn start(root: &Path, binaries: &Path) -> Result<Self, Failure> {
        let settings = [
            ("SOURCE_SENDS_PER_HOUR", "100000"),
            ("SOURCE_WRONG_CODES_PER_HOUR", "100000"),
            ("REGION_SENDS_PER_HOUR", "100000"),
            ("BREAKER_MIN_CODES", "1000000"),
            ("RESEND_AFTER_SECONDS", "3"),
            ("SENDS_PER_HOUR", "100"),
            ("APP_NAME", "Shop"),
            ("ACCOUNT_RETURN_URLS", "https://app.example.com/me shop://account"),
        ];
        let stack = Stack::start(Options {
            port: 0,
            data: None,
            binaries: binaries.to_owned(),
            template: root.join("template.yaml"),
            settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            keys: local::keys::fresh(),
            on_event: |_| (),
        })
        .await?;
        Ok(Self { stack, http: Client::new(), members: AtomicU32::new(0) })
    }

    /// Stops the stack.
    pub async fn stop(self) {
        self.stack.shutdown().await;
    }

    /// Returns an address of the pages.
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.stack.url())
    }

    /// Returns a phone and an email address that no one has.
    pub fn contacts(&self) -> (String, String) {
        let number = self.members.fetch_add(1, Ordering::Relaxed);
        (format!("1380{number:07}"), format!("member-{number}@example.com"))
    }

    /// Creates a member with a phone, an email address, a password, and these fields besides or instead.
    pub async fn member(&self, fields: Value) -> Result<Member, Failure> {
        let (phone, email) = self.contacts();
        let mut body = json!({ "phone": phone, "email": email, "password": PASSWORD });
        if let (Some(body), Value::Object(fields)) = (body.as_object_mut(), fields) {
            body.extend(fields);
            body.retain(|_, value| !value.is_null());
        }
        let created = self.call(Method::POST, "/_local/members", "", &body).await?;
        let field = |name: &str| created[name].as_str().map(str::to_owned).ok_or_else(|| created.to_string());
        Ok(Member { id: field("id")?, token: field("token")?, phone, email })
    }

    /// Calls the API.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Result<Value, Failure> {
        let mut request = self.http.request(method, self.address(path)).json(body);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        Ok(request.send().await?.json().await?)
    }

    /// Returns the number of audit records of a member.
    pub async fn changes(&self, member: &Member) -> Result<usize, Failure> {
        let seen = self.call(Method::GET, &format!("/_local/members/{}", member.id), "", &json!({})).await?;
        Ok(seen["audit"].as_array().map_or(0, Vec::len))
    }

    /// Returns the number of messages to this contact.
    pub fn received(&self, to: &str) -> usize {
        self.stack.messages().iter().filter(|message| message.to.ends_with(to)).count()
    }

    /// Returns the newest message to this contact that is of interest, once there is one.
    async fn message(&self, to: &str, is_it: impl Fn(&Message) -> bool) -> Result<Message, Failure> {
        let start = Instant::now();
        loop {
            let mut messages = self.stack.messages().into_iter();
            if let Some(message) = messages.find(|message| message.to.ends_with(to) && is_it(message)) {
                return Ok(message);
            }
            if start.elapsed() > LIMIT {
                return Err(format!("no message to {to}").into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Returns the text of the newest message with a code.
    pub async fn text_with_code(&self, to: &str) -> Result<String, Failure> {
        Ok(self.message(to, |message| message.code.is_some()).await?.text)
    }

    /// Returns the newest code.
    pub async fn code(&self, to: &str) -> Result<String, Failure> {
        let message = self.message(to, |message| message.code.is_some()).await?;
        message.code.ok_or_else(|| "no code".into())
    }

    /// Returns the link of the newest notice of a change.
    pub async fn report_link(&self, to: &str) -> Result<String, Failure> {
        let is_notice =
            |message: &Message| message.link.as_ref().is_some_and(|link| link.contains("/notMe?"));
        let message = self.message(to, is_notice).await?;
        message.link.ok_or_else(|| "no link".into())
    }
}
