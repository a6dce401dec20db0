//! A bundle under test: the local stack with the functions that cargo just built.

use local::{Options, Stack};
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

pub const SEND: &str = "/v1/user/sendChangePasswordMessage";
pub const CHANGE_BY_MESSAGE: &str = "/v1/user/changePasswordByMessage";
pub const CHANGE: &str = "/member/userservice/security";

pub const PHONE: &str = "13627140483";
pub const OLD_PASSWORD: &str = "the-old-password";
pub const NEW_PASSWORD: &str = "026129";

/// The top of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub struct Bundle {
    pub stack: Stack,
    http: reqwest::Client,
}

/// A member with a session.
#[derive(Clone)]
pub struct Member {
    pub id: String,
    pub token: String,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Answer {
    /// The symbol of a refusal, from either envelope, with the HTTP status.
    pub fn refusal(&self) -> (u16, &str) {
        let symbol = self.body["error"].as_str().or(self.body["code"].as_str()).unwrap_or(&self.text);
        (self.status.as_u16(), symbol)
    }

    pub fn token(&self) -> &str {
        self.body["token"].as_str().unwrap_or_else(|| panic!("no session in {}", self.text))
    }

    /// The answer, if it is a success.
    pub fn ok(self) -> Self {
        assert!(self.status.is_success(), "{} {}", self.status, self.text);
        self
    }
}

impl Bundle {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With settings of its own.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let binaries = Path::new(env!("CARGO_BIN_EXE_change-password")).parent().unwrap().to_owned();
        let options = Options {
            port: 0,
            data: None,
            binaries,
            template: root().join("template.yaml"),
            settings: settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            keys: local::keys::fresh(),
            on_event: |_| (),
        };
        Self { stack: Stack::start(options).await.unwrap(), http: reqwest::Client::new() }
    }

    /// A member with phone and password.
    pub async fn member(&self) -> Member {
        self.member_with(json!({ "phone": PHONE, "email": "li@example.com", "password": OLD_PASSWORD })).await
    }

    pub async fn member_with(&self, member: Value) -> Member {
        let created = self.call(Method::POST, "/_local/members").json(&member).await.ok();
        Member { id: created.body["id"].as_str().unwrap().to_owned(), token: created.token().to_owned() }
    }

    /// What the stack shows of a member.
    pub async fn shown(&self, member: &Member) -> Value {
        self.call(Method::GET, &format!("/_local/members/{}", member.id)).send().await.ok().body
    }

    pub fn call(&self, method: Method, path: &str) -> Call {
        Call(self.http.request(method, format!("{}{path}", self.stack.url())))
    }

    /// The code of the newest message.
    pub fn code(&self) -> String {
        self.stack.messages().first().and_then(|message| message.code.clone()).expect("a code was sent")
    }

    /// Asks for a code and answers `phoneInfo` and the code.
    pub async fn ask(&self, member: &Member) -> (String, String) {
        let sent = self.call(Method::POST, SEND).session(&member.token).send().await.ok();
        (sent.body["result"].as_str().unwrap().to_owned(), self.code())
    }

    /// Whether the member's password is this one: by changing it to another and, if that worked, back.
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

    /// One call to the table, past the functions.
    pub async fn dynamodb(&self, operation: &str, mut input: Value) -> Value {
        input["TableName"] = json!(self.stack.table());
        let answer = self
            .http
            .post(self.stack.dynamodb_url())
            .header("X-Amz-Target", format!("DynamoDB_20120810.{operation}"))
            .header("Content-Type", "application/x-amz-json-1.0")
            .header("Authorization", AUTHORIZATION)
            .header("X-Amz-Date", "20260101T000000Z")
            .body(input.to_string())
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{operation}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Every item of the table.
    pub async fn items(&self) -> Vec<Value> {
        self.dynamodb("Scan", json!({})).await["Items"].as_array().unwrap().clone()
    }

    /// Makes every item whose partition key begins so look as if it were `seconds` older.
    pub async fn age(&self, prefix: &str, seconds: u64) {
        let mut aged = 0;
        for mut item in self.items().await {
            if !item["pk"]["S"].as_str().unwrap().starts_with(prefix) {
                continue;
            }
            for time in ["expires_at", "valid_until", "resend_at"] {
                if let Some(value) = item[time]["N"].as_str() {
                    item[time]["N"] = json!((value.parse::<u64>().unwrap() - seconds).to_string());
                    aged += 1;
                }
            }
            self.dynamodb("PutItem", json!({ "Item": item })).await;
        }
        assert!(aged > 0, "nothing begins with {prefix}");
    }

    /// Invokes a function directly, as the AWS CLI does.
    pub async fn invoke(&self, function: &str, event: &Value) -> Answer {
        self.call(Method::POST, &format!("/2015-03-31/functions/{function}/invocations")).json(event).await
    }
}

/// Well-formed, signed by nobody: the embedded DynamoDB reads no signature.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, \
     SignedHeaders=host;x-amz-date, Signature=0000000000000000000000000000000000000000000000000000000000000000";

/// A request that is about to be sent.
pub struct Call(reqwest::RequestBuilder);

impl Call {
    pub fn session(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    pub fn query(self, query: &[(&str, &str)]) -> Self {
        Self(self.0.query(query))
    }

    pub async fn json(self, body: &Value) -> Answer {
        Self(self.0.json(body)).send().await
    }

    pub async fn form(self, form: &[(&str, &str)]) -> Answer {
        Self(self.0.form(&form.iter().copied().collect::<BTreeMap<_, _>>())).send().await
    }

    pub async fn body(self, body: impl Into<reqwest::Body>) -> Answer {
        Self(self.0.body(body)).send().await
    }

    pub async fn send(self) -> Answer {
        let answer = self.0.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, headers, text, body }
    }
}

/// Runs `count` calls at once.
pub async fn at_once<F: Future<Output = Answer>>(count: usize, call: impl Fn(usize) -> F) -> Vec<Answer> {
    futures_util::future::join_all((0..count).map(call)).await
}
