//! An operator: runs the command against a local stack.

use std::{
    collections::HashMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use local::{Options, Stack};
use reqwest::{Client, Method};
use serde_json::{Value, json};

pub const PHONE: &str = "13627140483";
pub const OTHER_PHONE: &str = "13800138000";

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the folder of the functions. Cargo builds them once for all tests.
fn binaries() -> &'static Path {
    static BINARIES: OnceLock<PathBuf> = OnceLock::new();
    BINARIES.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        // The same packages as `cargo test`: others would unify other features and compile everything again.
        cargo.current_dir(root()).args(["test", "--no-run", "--quiet"]);
        assert!(cargo.status().unwrap().success());
        Path::new(env!("CARGO_BIN_EXE_members")).parent().unwrap().to_owned()
    })
}

pub struct Operator {
    pub stack: Stack,
    pub folder: PathBuf,
    http: Client,
}

/// The result of running the command.
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Done {
    /// Asserts that the command succeeded.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{}\n{}", self.out, self.err))
    }
}

impl Operator {
    pub async fn start(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let options = Options {
            port: 0,
            data: None,
            binaries: binaries().to_owned(),
            template: root().join("template.yaml"),
            settings: [("RESEND_AFTER_SECONDS".to_owned(), "1".to_owned())].into(),
            keys: local::keys::fresh(),
            on_event: |_| (),
        };
        let stack = Stack::start(options).await.unwrap();
        fs::write(folder.join("env"), stack.environment_file().unwrap()).unwrap();
        Self { stack, folder, http: Client::new() }
    }

    /// Writes a file in the working directory of the command.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_members"));
        command.current_dir(&self.folder).args(["--env", "env"]).args(arguments).env("USER", "wu");
        command
    }

    /// Runs the command without blocking the stack, which runs in this process.
    pub async fn run(&self, arguments: &[&str]) -> Done {
        let mut command = self.command(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        done(output)
    }

    /// Runs the command with `--json`, and asserts that it succeeds.
    pub async fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[&["--json"], arguments].concat()).await.ok().json()
    }

    /// Runs the command with `--json`, and asserts that it exits with a code.
    pub async fn json_of(&self, code: i32, arguments: &[&str]) -> Value {
        let done = self.run(&[&["--json"], arguments].concat()).await;
        assert_eq!(done.code, code, "{}", done.err);
        done.json()
    }

    /// Runs the command with `--json`. Returns every line of its output.
    pub async fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let done = self.run(&[&["--json"], arguments].concat()).await.ok();
        done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Calls an endpoint of the stack.
    pub async fn call(&self, method: Method, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let call = self.http.request(method, format!("{}{path}", self.stack.url())).bearer_auth(token);
        let response = call.json(body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }

    /// Creates a member by the local stack. Returns its id.
    pub async fn member(&self, new: Value) -> String {
        let (status, created) = self.call(Method::POST, "/_local/members", "", &new).await;
        assert_eq!(status, 201, "{created}");
        created["id"].as_str().unwrap().to_owned()
    }

    /// Signs a session of a member. Returns its token.
    pub async fn session(&self, member: &str) -> String {
        self.json(&["sign-session", member]).await["token"].as_str().unwrap().to_owned()
    }

    /// Changes the password through the member's endpoint.
    pub async fn change(&self, token: &str, old: &str, new: &str) -> (u16, Value) {
        let body = json!({ "oldPassword": old, "newPasswordFirst": new });
        self.call(Method::PUT, "/member/userservice/security", token, &body).await
    }

    /// Returns a member's audit records: their action and actor.
    pub async fn trail(&self, member: &str) -> Vec<(String, Option<String>)> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let records = self.lines(&["audit", member]).await;
        records.iter().map(|record| (text(&record["action"]).unwrap(), text(&record["actor"]))).collect()
    }

    /// Calls the local DynamoDB directly.
    pub async fn dynamodb(&self, operation: &str, input: Value) -> Value {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature={:064}",
            0
        );
        let headers = HashMap::from([
            ("X-Amz-Target", format!("DynamoDB_20120810.{operation}")),
            ("Content-Type", "application/x-amz-json-1.0".to_owned()),
            ("X-Amz-Date", "20260101T000000Z".to_owned()),
            ("Authorization", authorization),
        ]);
        let request = self.http.post(self.stack.dynamodb_url()).body(input.to_string());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap_or_default()
    }

    /// Returns all items of the table.
    pub async fn items(&self) -> Vec<Value> {
        let input = json!({ "TableName": self.stack.table(), "ConsistentRead": true });
        self.dynamodb("Scan", input).await["Items"].as_array().unwrap().clone()
    }
}

pub fn done(output: Output) -> Done {
    Done {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
