//! The local stack: its demo member, and processes that die.

use crate::bundle::{Bundle, CLOSE, PHONE, SEND, SEND_CODE, data_file, options};
use local::{Options, Stack};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn demo_member_exists_before_the_first_call() {
    let stack = Stack::open(options(&[])).await.unwrap();
    let demo = stack.demo_member(PHONE, "the-old-password").await.unwrap();
    assert_eq!(demo.phone.as_deref(), Some("+8613627140483"));
    let stack = stack.serve();
    let client = reqwest::Client::new();
    let create = client.post(format!("{}/_local/members", stack.url())).json(&json!({ "phone": PHONE }));
    assert_eq!(create.send().await.unwrap().status(), 409);
    let send = client.post(format!("{}/v1/user/sendChangePasswordMessage", stack.url()));
    assert_eq!(send.bearer_auth(demo.token).send().await.unwrap().status(), 200);
    stack.shutdown().await;
}

#[tokio::test]
async fn connection_before_the_routes_waits_for_them() {
    let stack = Stack::open(options(&[])).await.unwrap();
    let messages = tokio::spawn(reqwest::get(format!("{}/_local/messages", stack.url())));
    stack.demo_member(PHONE, "the-old-password").await.unwrap();
    let stack = stack.serve();
    assert_eq!(messages.await.unwrap().unwrap().status(), 200);
    stack.shutdown().await;
}

#[tokio::test]
async fn messages_are_selected_and_awaited() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let messages = async |query: &str| {
        bundle.call(Method::GET, &format!("/_local/messages{query}")).send().await.ok().body
    };
    let send = async {
        bundle.call(Method::POST, SEND).session(&member.token).send().await.ok();
    };
    let to_phone = format!("?to={PHONE}&wait=30");
    let (found, ()) = tokio::join!(messages(&to_phone), send);
    assert_eq!(found[0]["to"], "+8613627140483");
    let id = found[0]["id"].as_str().unwrap();
    assert_eq!(messages(&format!("?after={id}")).await, json!([]));
    assert_eq!(messages("?to=13800138000").await, json!([]));
}

#[tokio::test]
async fn openapi_document_is_served_as_json() {
    let bundle = Bundle::start().await;
    let document = bundle.call(Method::GET, "/_local/openapi.json").send().await.ok().body;
    assert_eq!(document["openapi"], "3.0.3");
    assert!(document["paths"]["/v1/user/sendChangePasswordMessage"]["post"].is_object());
}

#[tokio::test]
async fn kept_database_keeps_its_demo_member() {
    let (data, keys) = (data_file("demo-member"), local::keys::fresh());
    let open = async || {
        let options = Options { data: Some(data.clone()), keys: keys.clone(), ..options(&[]) };
        Stack::open(options).await.unwrap()
    };
    let first = open().await;
    let created = first.demo_member(PHONE, "the-old-password").await.unwrap();
    first.serve().shutdown().await;
    let second = open().await;
    let found = second.demo_member(PHONE, "the-old-password").await.unwrap();
    assert_eq!((found.id, found.phone), (created.id, created.phone));
    second.serve().shutdown().await;
}

#[tokio::test]
async fn closed_demo_member_is_replaced() {
    let (data, keys) = (data_file("closed-demo"), local::keys::fresh());
    let mut ids = Vec::new();
    for _ in 0..3 {
        let options = Options { data: Some(data.clone()), keys: keys.clone(), ..options(&[]) };
        let stack = Stack::open(options).await.unwrap();
        let demo = stack.demo_member(PHONE, "the-old-password").await.unwrap();
        let stack = stack.serve();
        let close = reqwest::Client::new().delete(format!("{}{CLOSE}", stack.url()));
        let body = json!({ "password": "the-old-password" });
        let closed = close.bearer_auth(demo.token).json(&body).send().await.unwrap();
        assert_eq!(closed.status(), 200);
        ids.push(demo.id);
        stack.shutdown().await;
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn phone_of_another_member_yields_no_demo() {
    let (data, keys) = (data_file("no-demo-member"), local::keys::fresh());
    let bundle = Bundle::with_data(&[], &data, &keys).await;
    bundle.member_with(json!({ "phone": PHONE })).await;
    bundle.shutdown().await;
    let stack = Stack::open(Options { data: Some(data), keys, ..options(&[]) }).await.unwrap();
    let demo = stack.demo_member(PHONE, "the-old-password").await;
    let text = local::welcome::welcome(stack.url(), &demo);
    assert!(text.contains("no demo member: the phone belongs to another member"), "{text}");
    // The stack serves nevertheless.
    let stack = stack.serve();
    let sent = reqwest::get(format!("{}{SEND_CODE}?phone={PHONE}", stack.url())).await.unwrap();
    assert_eq!(sent.status(), 200);
    stack.shutdown().await;
}

/// Returns the ids of the processes of this bundle that run `function`.
#[cfg(target_os = "linux")]
fn processes(bundle: &Bundle, function: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let runs = |path: &std::path::PathBuf| {
        let program = std::fs::read_link(path.join("exe")).ok()?;
        let environment = std::fs::read(path.join("environ")).ok()?;
        let variable = format!("AWS_ENDPOINT_URL_DYNAMODB={}", bundle.stack.dynamodb_url());
        let is_own = environment.split(|&byte| byte == 0).any(|entry| entry == variable.as_bytes());
        Some(is_own && program.ends_with(function))
    };
    let ids = entries.filter(|path| runs(path) == Some(true));
    ids.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn process_that_died_while_idle_is_replaced() {
    let bundle = Bundle::with(&[("RESEND_AFTER_SECONDS", "1"), ("SENDS_PER_HOUR", "100")]).await;
    let call = || bundle.call(Method::GET, SEND_CODE).query(&[("phone", "not-a-phone")]);
    let mut last = Vec::new();
    for round in 0..20 {
        assert_eq!(call().send().await.refusal(), (400, "{PHONE}_NOT_VALID"), "{round}");
        let running = processes(&bundle, "send-code");
        assert_eq!(running.len(), 1, "{running:?}");
        assert_ne!(running, last);
        let signal = if round % 2 == 0 { "-KILL" } else { "-TERM" };
        assert!(std::process::Command::new("kill").args([signal, &running[0]]).status().unwrap().success());
        last = running;
    }
}
