//! Tests with fake processes. The tests of the workspace run the real ones.

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot};

use super::{
    mailbox::{Delivery, Sender},
    *,
};

/// A client that acts as a process of the Runtime API, with the sender of its mailbox.
struct FakeProcess {
    api: String,
    client: reqwest::Client,
    sender: Sender,
}

impl FakeProcess {
    async fn start() -> Self {
        let mailboxes = Arc::new(Mailboxes::default());
        let sender = mailboxes.open("the-process".to_owned(), "the-arn".to_owned());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api =
            format!("http://{}/send-code/the-process/2018-06-01/runtime", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, api::routes(mailboxes)).into_future());
        Self { api, client: reqwest::Client::new(), sender }
    }

    /// Sends the event `{"n":1}` with the id `the-id`, and returns the receiver of its response.
    fn send(&self) -> oneshot::Receiver<Invocation> {
        let (response, responded) = oneshot::channel();
        self.sender.send(Delivery {
            request_id: "the-id".to_owned(),
            payload: Bytes::from_static(b"{\"n\":1}"),
            timeout: Duration::from_secs(10),
            taken: oneshot::channel().0,
            response,
        });
        responded
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(format!("{}/{path}", self.api)).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: &'static str) -> StatusCode {
        self.client.post(format!("{}/{path}", self.api)).body(body).send().await.unwrap().status()
    }
}

#[tokio::test]
async fn process_responds_once_to_its_event() {
    let process = FakeProcess::start().await;
    let responded = process.send();
    let event = process.get("invocation/next").await;
    assert_eq!(event.headers()["lambda-runtime-aws-request-id"], "the-id");
    assert_eq!(event.headers()["lambda-runtime-invoked-function-arn"], "the-arn");
    assert!(event.headers()["lambda-runtime-trace-id"].to_str().unwrap().starts_with("Root=1-"));
    let deadline: i128 = event.headers()["lambda-runtime-deadline-ms"].to_str().unwrap().parse().unwrap();
    let left = deadline - crate::clock::epoch_millis(crate::clock::now());
    assert!((5_000..=10_000).contains(&left), "{left} ms");
    assert_eq!(event.text().await.unwrap(), r#"{"n":1}"#);

    assert_eq!(process.post("invocation/another-id/response", "0").await, StatusCode::BAD_REQUEST);
    assert_eq!(process.post("invocation/the-id/response", "2").await, StatusCode::ACCEPTED);
    assert_eq!(responded.await.unwrap(), Invocation { payload: "2".into(), function_error: false });
    assert_eq!(process.post("invocation/the-id/response", "3").await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn reported_error_is_a_function_error() {
    let process = FakeProcess::start().await;
    let responded = process.send();
    process.get("invocation/next").await;
    assert_eq!(process.post("invocation/the-id/error", "{}").await, StatusCode::ACCEPTED);
    assert_eq!(responded.await.unwrap(), Invocation { payload: "{}".into(), function_error: true });
}

#[tokio::test]
async fn failed_start_fails_the_pending_event() {
    let process = FakeProcess::start().await;
    let responded = process.send();
    assert_eq!(process.post("init/error", "{}").await, StatusCode::ACCEPTED);
    assert_eq!(responded.await.unwrap(), Invocation { payload: "{}".into(), function_error: true });
}

#[tokio::test]
async fn unused_process_gets_no_event() {
    let FakeProcess { api, client, sender } = FakeProcess::start().await;
    drop(sender);
    let response = client.get(format!("{api}/invocation/next")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::GONE);
}

fn runtime(program: &str) -> (Runtime, Arc<Logs>) {
    let program =
        Program { path: program.into(), environment: BTreeMap::new(), timeout: Duration::from_secs(10) };
    let logs = Arc::new(Logs::new(|_| {}));
    let programs = BTreeMap::from([("send-code".to_owned(), program)]);
    (Runtime::new(programs, "http://127.0.0.1:1", &logs), logs)
}

#[cfg(unix)]
#[tokio::test]
async fn exit_is_a_logged_function_error() {
    let (runtime, logs) = runtime("/bin/false");
    let invocation = runtime.invoke("send-code", Bytes::from_static(b"{}")).await.unwrap();
    let error: Value = serde_json::from_slice(&invocation.payload).unwrap();
    assert!(invocation.function_error);
    assert_eq!(error["errorType"], json!("Runtime.ExitError"));
    assert!(error["errorMessage"].as_str().unwrap().ends_with("exit status 1"), "{error}");
    assert_eq!(logs.lines().len(), 1);
}

/// A program that never takes an event. A program that a test writes itself can be "busy": a process that another test
/// starts meanwhile inherits the open file.
#[cfg(unix)]
const SLEEPING_PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/runtime/sleep.sh");

#[cfg(unix)]
#[tokio::test]
async fn killed_process_fails_its_event() {
    let (runtime, logs) = runtime(SLEEPING_PROGRAM);
    let kill = async {
        loop {
            runtime.kill("send-code").unwrap();
            tokio::task::yield_now().await;
        }
    };
    let invocation = tokio::select! {
        invocation = runtime.invoke("send-code", Bytes::from_static(b"{}")) => invocation.unwrap(),
        () = kill => unreachable!(),
    };
    let error: Value = serde_json::from_slice(&invocation.payload).unwrap();
    assert!(invocation.function_error);
    assert_eq!(error["errorType"], json!("Runtime.ExitError"));
    assert!(error["errorMessage"].as_str().unwrap().ends_with("signal: killed"), "{error}");
    assert_eq!(logs.lines().len(), 1);
    assert!(runtime.kill("another").is_err());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn killed_process_takes_no_event() {
    let (runtime, _) = runtime(SLEEPING_PROGRAM);
    let pool = &runtime.functions["send-code"];
    for signal in ["KILL", "TERM"].into_iter().cycle().take(20) {
        let mut process = Process::start(pool).unwrap();
        assert!(process.is_alive());
        let kill = format!("kill -{signal} {}", process.id().unwrap());
        assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        pool.add_idle(process);
        assert!(pool.take_idle().is_none(), "{signal}");
    }
}

#[tokio::test]
async fn missing_binary_is_a_function_error() {
    let (runtime, _) = runtime("/nowhere/send-code");
    let invocation = runtime.invoke("send-code", Bytes::from_static(b"{}")).await.unwrap();
    let error: Value = serde_json::from_slice(&invocation.payload).unwrap();
    assert!(invocation.function_error);
    assert_eq!(error["errorType"], json!("Runtime.InvalidEntrypoint"));
}

#[tokio::test]
async fn invoking_an_unknown_function_fails() {
    let (runtime, _) = runtime("/bin/false");
    let error = runtime.invoke("another", Bytes::from_static(b"{}")).await.unwrap_err();
    assert_eq!(error.to_string(), "unknown function `another`");
}

#[tokio::test]
async fn stopped_runtime_starts_no_process() {
    let (runtime, _) = runtime("/bin/false");
    runtime.shutdown().await;
    let invocation = runtime.invoke("send-code", Bytes::from_static(b"{}")).await.unwrap();
    let error: Value = serde_json::from_slice(&invocation.payload).unwrap();
    assert_eq!(error["errorType"], json!("Sandbox.Stopped"));
}
