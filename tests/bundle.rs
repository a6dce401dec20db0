//! The bundle under test: the local stack, which runs the functions that cargo just built.

pub use crate::call::{Call, CookieJar, Response};
use futures_util::future::join_all;
use local::{Message, Options, Stack, table::Table};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::{
    clock::Timestamp,
    keys::Keys,
    session::{self, Claims},
    settings::Settings,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

pub const SEND: &str = "/v1/user/sendChangePasswordMessage";
pub const CHANGE_BY_MESSAGE: &str = "/v1/user/changePasswordByMessage";
/// Changes the password (PUT).
pub const CHANGE: &str = "/member/userservice/security";
/// Sends a code by SMS (GET).
pub const SEND_CODE: &str = CHANGE;
/// Closes the account (DELETE).
pub const CLOSE: &str = CHANGE;
/// Returns the security status (GET).
pub const STATUS: &str = "/member/userservice/security/status";
pub const BIND_PHONE: &str = "/member/userservice/security/bindingPhone";
pub const SET_PAY_PASSWORD: &str = "/member/userservice/security/payPassword";
pub const RESET_PAY_PASSWORD: &str = "/member/userservice/security/resetPayPassword";
pub const UPDATE_PAY_PASSWORD: &str = "/member/userservice/security/updatePayPassword";
/// Verifies a recovery code (POST) and recovers the password (PUT).
pub const RECOVERY: &str = "/web/userservice/security";
pub const SEND_MAIL: &str = "/web/userservice/security/sendMail";
pub const VERIFY_MAIL: &str = "/web/userservice/security/verifyMail";
/// Shows the page that reports a change (GET) and reports it (POST).
pub const NOT_ME: &str = "/web/userservice/security/notMe";

pub const PHONE: &str = "13627140483";
pub const EMAIL: &str = "li@example.com";
pub const OLD_PASSWORD: &str = "the-old-password";
pub const NEW_PASSWORD: &str = "026129";
pub const PIN: &str = "739154";
pub const NEW_PIN: &str = "408261";

/// Bound to another member, or to no one.
pub const OTHER_PHONE: &str = "13800138000";
/// Bound to another member, or to no one.
pub const OTHER_EMAIL: &str = "wu@example.com";

/// Returns the root folder of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns a path for [`Bundle::with_data`] at which no file exists yet.
pub fn data_file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder.join("data")
}

/// Returns the folder of the functions that cargo built.
pub fn binaries() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_change-password")).parent().unwrap()
}

/// Returns options that start the template's functions under these settings, with an empty table and new keys.
pub fn options(settings: &[(&str, &str)]) -> Options {
    Options {
        port: 0,
        data: None,
        binaries: binaries().to_owned(),
        template: root().join("template.yaml"),
        settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        keys: local::keys::fresh(),
        on_event: |_| (),
    }
}

pub struct Bundle {
    pub stack: Stack,
    table: Table,
    http: reqwest::Client,
    has_status_in_body: bool,
}

/// A member with a session.
#[derive(Clone)]
pub struct Member {
    pub id: String,
    pub token: String,
}

impl Bundle {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Starts a bundle that overrides these settings.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        Self::with_options(options(settings)).await
    }

    /// Starts a bundle on the database in this file, under these keys.
    pub async fn with_data(settings: &[(&str, &str)], data: &Path, keys: &str) -> Self {
        Self::with_options(Options {
            data: Some(data.to_owned()),
            keys: keys.to_owned(),
            ..options(settings)
        })
        .await
    }

    pub async fn with_options(options: Options) -> Self {
        let families = options.settings.get("HTTP_200_FAMILIES");
        let has_status_in_body = families.is_some_and(|families| !families.is_empty());
        let stack = Stack::start(options).await.unwrap();
        Self { table: Table::of(&stack), stack, http: reqwest::Client::new(), has_status_in_body }
    }

    /// Stops the stack and all its processes.
    pub async fn shutdown(self) {
        self.stack.shutdown().await;
    }

    /// Creates a member with a phone, an email address and a password.
    pub async fn member(&self) -> Member {
        self.member_with(json!({ "phone": PHONE, "email": EMAIL, "password": OLD_PASSWORD })).await
    }

    /// Creates another member, with a different phone and email address.
    pub async fn other_member(&self) -> Member {
        self.member_with(json!({ "phone": OTHER_PHONE, "email": OTHER_EMAIL, "password": OLD_PASSWORD }))
            .await
    }

    pub async fn member_with(&self, member: Value) -> Member {
        let created = self.call(Method::POST, "/_local/members").json(&member).await.ok();
        Member { id: created.body["id"].as_str().unwrap().to_owned(), token: created.token().to_owned() }
    }

    /// Returns the stack's view of a member: contacts, audit records and versions.
    pub async fn inspect(&self, member: &Member) -> Value {
        self.call(Method::GET, &format!("/_local/members/{}", member.id)).send().await.ok().body
    }

    pub fn call(&self, method: Method, path: &str) -> Call {
        let request = self.http.request(method, format!("{}{path}", self.stack.url()));
        Call { request, has_status_in_body: self.has_status_in_body }
    }

    /// Returns the keys that the functions use.
    pub fn keys(&self) -> Keys {
        Keys::parse(self.stack.keys()).unwrap()
    }

    /// Returns the default settings.
    pub fn settings(&self) -> Settings {
        let environment = BTreeMap::from([
            ("TABLE_NAME", self.stack.table()),
            ("KEYS", self.stack.keys()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
        ]);
        Settings::read(|name| environment.get(name).map(|&value| value.to_owned())).unwrap()
    }

    /// Returns the claims of a session.
    pub fn claims(&self, token: &str) -> Claims {
        session::verify(&self.keys(), &self.settings(), token).unwrap()
    }

    /// Returns the member with a session whose login was this many seconds ago. A negative number is in the future.
    pub async fn logged_in(&self, member: &Member, seconds_ago: i64) -> Member {
        let id = serde_json::from_value(json!(member.id)).unwrap();
        let version = self.inspect(member).await["credentialVersion"].as_u64().unwrap();
        let auth_time = Timestamp(Timestamp::now().0.saturating_add_signed(-seconds_ago));
        let token = session::issue(&self.keys(), &self.settings(), id, version, auth_time).unwrap();
        Member { id: member.id.clone(), token }
    }

    /// Waits until every notice that was queued so far is delivered.
    pub async fn settled(&self) {
        self.stack.settled().await;
    }

    /// Returns the messages to this address, newest first.
    pub async fn sent_to(&self, to: &str) -> Vec<Message> {
        self.settled().await;
        self.stack.messages().into_iter().filter(|message| message.to == to).collect()
    }

    /// Returns the notices to this address, newest first.
    pub async fn notices_to(&self, to: &str) -> Vec<Message> {
        self.sent_to(to).await.into_iter().filter(|message| message.code.is_none()).collect()
    }

    /// Returns the newest code.
    pub fn code(&self) -> String {
        self.stack.messages().into_iter().find_map(|message| message.code).expect("no code was sent")
    }

    /// Returns the newest code that was sent to this address.
    pub async fn code_to(&self, to: &str) -> String {
        let messages = self.sent_to(to).await;
        messages.into_iter().find_map(|message| message.code).unwrap_or_else(|| panic!("no code to {to}"))
    }

    /// Requests a code by SMS, as this member or anonymously, and returns `verification` and the code.
    pub async fn request_sms_code(&self, member: Option<&Member>, phone: &str) -> (String, String) {
        let sent =
            self.call(Method::GET, SEND_CODE).session_of(member).query(&[("phone", phone)]).send().await.ok();
        (sent.verification().to_owned(), self.code_to(&e164(phone)).await)
    }

    /// Requests a code by email, as this member or anonymously, and returns `verification` and the code.
    pub async fn request_email_code(&self, member: Option<&Member>, email: &str) -> (String, String) {
        let sent = self.call(Method::POST, SEND_MAIL).session_of(member).form(&[("email", email)]).await.ok();
        (sent.verification().to_owned(), self.code_to(email).await)
    }

    /// Requests a code by SMS to close the account, and returns `verification` and the code.
    pub async fn request_closing_by_sms(&self, member: &Member, phone: &str) -> (String, String) {
        let query = [("phone", phone), ("purpose", "close")];
        let sent = self.call(Method::GET, SEND_CODE).session(&member.token).query(&query).send().await.ok();
        (sent.verification().to_owned(), self.code_to(&e164(phone)).await)
    }

    /// Requests a code by email to close the account, and returns `verification` and the code.
    pub async fn request_closing_by_mail(&self, member: &Member, email: &str) -> (String, String) {
        let form = [("email", email), ("purpose", "close")];
        let sent = self.call(Method::POST, SEND_MAIL).session(&member.token).form(&form).await.ok();
        (sent.verification().to_owned(), self.code_to(email).await)
    }

    /// Exchanges a code from [`Bundle::request_sms_code`] for a grant.
    pub async fn grant(&self, (verification, code): &(String, String)) -> String {
        let body = json!({ "verification": verification, "message": code });
        let verified = self.call(Method::POST, RECOVERY).json(&body).await.ok();
        verified.verification().to_owned()
    }

    /// Exchanges a code from [`Bundle::request_email_code`] for a grant.
    pub async fn grant_by_mail(&self, (verification, code): &(String, String)) -> String {
        let body = json!({ "verification": verification, "code": code });
        let verified = self.call(Method::POST, VERIFY_MAIL).json(&body).await.ok();
        verified.verification().to_owned()
    }

    /// Requests a code to change the password, and returns `phoneInfo` and the code.
    pub async fn request_change_code(&self, member: &Member) -> (String, String) {
        let sent = self.call(Method::POST, SEND).session(&member.token).send().await.ok();
        (sent.body["result"].as_str().unwrap().to_owned(), self.code())
    }

    /// Returns the `verification` in the newest link to this address that reports a change.
    pub async fn report_link(&self, to: &str) -> String {
        let links = self.sent_to(to).await.into_iter().filter_map(|message| message.link);
        let prefix = format!("{}{NOT_ME}?verification=", self.stack.url());
        let mut reports = links.filter_map(|link| link.strip_prefix(&prefix).map(str::to_owned));
        reports.next().unwrap_or_else(|| panic!("no link to {to}"))
    }

    /// Whether the member's password is this one. Changes it to another password and, on success, back.
    pub async fn has_password(&self, member: &Member, password: &str) -> bool {
        let other = "another-good-password";
        let change = async |old: &str, new: &str| {
            let fresh =
                self.call(Method::POST, &format!("/_local/members/{}/token", member.id)).send().await.ok();
            let body = json!({ "oldPassword": old, "newPasswordFirst": new });
            self.call(Method::PUT, CHANGE).session(fresh.token()).json(&body).await
        };
        if change(password, other).await.status != StatusCode::CREATED {
            return false;
        }
        change(other, password).await.ok();
        true
    }

    /// Calls DynamoDB directly, without a function.
    pub async fn dynamodb(&self, operation: &str, input: Value) -> Value {
        self.table.call(operation, input).await.unwrap()
    }

    /// Returns every item of the table.
    pub async fn items(&self) -> Vec<Value> {
        self.table.items().await.unwrap()
    }

    /// Returns the item with this key.
    pub async fn item(&self, pk: &str, sk: &str) -> Value {
        let key = json!({ "Key": { "pk": { "S": pk }, "sk": { "S": sk } }, "ConsistentRead": true });
        self.dynamodb("GetItem", key).await["Item"].clone()
    }

    /// Returns the id of the member who owns `phone#+86…` or `email#…`.
    pub async fn owner(&self, destination: &str) -> Option<String> {
        self.item(destination, "owner").await["member"]["S"].as_str().map(str::to_owned)
    }

    /// Deletes the member item, as if the account had been closed.
    pub async fn remove(&self, member: &Member) {
        let key = json!({ "pk": { "S": format!("member#{}", member.id) }, "sk": { "S": "member" } });
        self.dynamodb("DeleteItem", json!({ "Key": key })).await;
    }

    /// Makes every item with this prefix of the partition key look `seconds` older, or younger if negative.
    pub async fn age(&self, prefix: &str, seconds: i64) {
        self.settled().await;
        let aged = self.table.age(prefix, seconds).await.unwrap();
        assert!(aged > 0, "no item has the prefix {prefix}");
    }

    /// Makes `count` calls to a function concurrently and returns the responses.
    ///
    /// A process is started for each call first. Otherwise start-up would serialize the calls. Only one test runs
    /// this at a time: with more processes, a machine with few cores delays some of them beyond the functions'
    /// timeouts.
    #[expect(clippy::await_holding_lock, reason = "each test runs on its own thread")]
    pub async fn concurrently<F: Future<Output = Response>>(
        &self,
        function: &str,
        count: usize,
        call: impl Fn(usize) -> F,
    ) -> Vec<Response> {
        static LOCK: Mutex<()> = Mutex::new(());
        let _guard = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
        let ping = json!({ "source": "aws.scheduler" });
        join_all((0..count).map(|_| self.invoke(function, &ping))).await;
        join_all((0..count).map(call)).await
    }

    /// Logs in with these fields, from the address of an end user.
    pub async fn log_in(&self, mut fields: Value) -> Response {
        if fields.get("sourceIp").is_none() {
            fields["sourceIp"] = json!("203.0.113.9");
        }
        self.invoke("log-in", &fields).await
    }

    /// Sends a code to log in (`login`) or to register (`register`) to a phone or an email address.
    pub async fn send_log_in_code(&self, purpose: &str, to: &str) -> Response {
        let field = if to.contains('@') { "email" } else { "phone" };
        let event = json!({ "purpose": purpose, field: to, "sourceIp": "203.0.113.9" });
        self.invoke("send-log-in-code", &event).await
    }

    /// Invokes a function directly with an event, as the AWS CLI does.
    pub async fn invoke(&self, function: &str, event: &Value) -> Response {
        self.call(Method::POST, &format!("/2015-03-31/functions/{function}/invocations")).json(event).await
    }
}

/// Returns a Chinese phone number in the E.164 form in which it is stored.
pub fn e164(phone: &str) -> String {
    format!("+86{phone}")
}

/// Returns a code of the same length that differs from the correct one.
pub fn wrong_code(code: &str) -> &'static str {
    let digits = if code.starts_with('1') { "2222222222" } else { "1111111111" };
    &digits[..code.len()]
}
