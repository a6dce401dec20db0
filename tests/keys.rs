//! Keys: rotation, and the secret in Secrets Manager.

use crate::bundle::{
    BIND_PHONE, Bundle, CHANGE, CHANGE_BY_MESSAGE, Member, NEW_PASSWORD, NEW_PIN, OLD_PASSWORD, OTHER_PHONE,
    PHONE, PIN, RECOVERY, UPDATE_PAY_PASSWORD, data_file, e164,
};
use axum::{Json, Router, http::StatusCode};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, task::spawn_blocking};

const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:keys-a1b2c3";

/// Returns a secret with these keys, each named by a letter, and the name of the current one.
fn secret(current: &str, keys: &str) -> String {
    let keys = keys.chars().map(|id| (id.to_string(), json!(id.to_string().repeat(64))));
    let current = ("current".to_owned(), json!(current));
    Value::from(keys.chain([current]).collect::<Map<_, _>>()).to_string()
}

#[tokio::test]
async fn earlier_key_verifies_until_it_is_removed() {
    let (third_phone, fourth_phone, fifth_phone) = ("13912345678", "13712345678", "13612345678");
    let data = data_file("rotation");

    let bundle = Bundle::with_data(&[], &data, &secret("a", "a")).await;
    let with = |phone: &str| json!({ "phone": phone, "password": OLD_PASSWORD, "payPassword": PIN });
    let mut changing = bundle.member_with(with(PHONE)).await;
    let binding = bundle.logged_in(&bundle.member_with(with(OTHER_PHONE)).await, 901).await;
    let late = bundle.member_with(with(third_phone)).await;
    let to_change = bundle.request_change_code(&changing).await;
    let to_bind = bundle.request_sms_code(Some(&binding), fourth_phone).await;
    let to_change_late = bundle.request_change_code(&late).await;
    let to_bind_late = bundle.request_sms_code(Some(&late), fifth_phone).await;
    bundle.age("sent#phone#", 120).await;
    let to_recover_late = bundle.request_sms_code(None, third_phone).await;
    bundle.shutdown().await;

    let bundle = Bundle::with_data(&[], &data, &secret("b", "ab")).await;
    let put = async |path: &str, member: &Member, body: Value| {
        bundle.call(Method::PUT, path).session(&member.token).json(&body).await
    };
    let body = json!({
        "phoneInfo": to_change.0, "code": to_change.1, "newPassword": NEW_PASSWORD, "oldPassword": OLD_PASSWORD,
    });
    let changed = bundle.call(Method::POST, CHANGE_BY_MESSAGE).session(&changing.token).json(&body).await;
    changing.token = changed.ok().token().to_owned();
    put(UPDATE_PAY_PASSWORD, &changing, json!({ "oldPassword": PIN, "payPasswordFirst": NEW_PIN }))
        .await
        .ok();
    let body = json!({
        "message": to_bind.1, "phone": fourth_phone, "verification": to_bind.0, "password": OLD_PASSWORD,
    });
    put(BIND_PHONE, &binding, body).await.ok();
    let to_recover = bundle.request_sms_code(None, PHONE).await;
    bundle.shutdown().await;

    let bundle = Bundle::with_data(&[], &data, &secret("b", "b")).await;
    let put = async |path: &str, member: &Member, body: Value| {
        bundle.call(Method::PUT, path).session(&member.token).json(&body).await
    };
    // Everything that was created or used since the rotation is under the new key.
    bundle.grant(&to_recover).await;
    put(UPDATE_PAY_PASSWORD, &changing, json!({ "oldPassword": NEW_PIN, "payPasswordFirst": PIN }))
        .await
        .ok();
    assert!(bundle.has_password(&changing, NEW_PASSWORD).await);
    assert!(bundle.has_password(&binding, OLD_PASSWORD).await);

    let to_change_password = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    let refused = put(CHANGE, &late, to_change_password.clone()).await;
    assert_eq!(refused.refusal(), (401, "INVALID_TOKEN"));
    let late = bundle.logged_in(&late, 0).await;
    let body =
        json!({ "phoneInfo": to_change_late.0, "code": to_change_late.1, "newPassword": NEW_PASSWORD });
    let refused = bundle.call(Method::POST, CHANGE_BY_MESSAGE).session(&late.token).json(&body).await;
    assert_eq!(refused.refusal(), (400, "{PHONE_INFO}_NOT_VALID"));
    let body = json!({ "verification": to_recover_late.0, "message": to_recover_late.1 });
    let refused = bundle.call(Method::POST, RECOVERY).json(&body).await;
    assert_eq!(refused.refusal(), (400, "{VERIFICATION}_NOT_VALID"));
    for (path, body, expected) in [
        (BIND_PHONE, json!({ "message": to_bind_late.1, "phone": fifth_phone }), "{CODE}_NOT_VALID"),
        (CHANGE, to_change_password, "{OLD_PASSWORD}_NOT_VALID"),
        (
            UPDATE_PAY_PASSWORD,
            json!({ "oldPassword": PIN, "payPasswordFirst": NEW_PIN }),
            "{OLD_PASSWORD}_NOT_VALID",
        ),
    ] {
        assert_eq!(put(path, &late, body).await.refusal(), (400, expected), "{path}");
    }
    bundle.age(&format!("sent#phone#{}", e164(third_phone)), 120).await;
    let grant = bundle.grant(&bundle.request_sms_code(None, third_phone).await).await;
    let body = json!({ "phone": third_phone, "passwordFirst": NEW_PASSWORD, "verification": grant });
    bundle.call(Method::PUT, RECOVERY).json(&body).await.ok();
    assert!(bundle.has_password(&late, NEW_PASSWORD).await);
}

/// A Secrets Manager with one fixed response.
struct SecretsManager {
    url: String,
    requests: Arc<AtomicUsize>,
}

impl SecretsManager {
    /// Responds to every request with this, or never if `None`.
    async fn responding_with(response: Option<(StatusCode, Value)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let routes = Router::new().fallback(move || {
            counted.fetch_add(1, Relaxed);
            let response = response.clone();
            async move {
                match response {
                    Some((status, body)) => (status, Json(body)),
                    None => std::future::pending().await,
                }
            }
        });
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, requests }
    }

    async fn unreachable() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { url: format!("http://{}", listener.local_addr().unwrap()), requests: Arc::default() }
    }
}

#[tokio::test]
async fn unreadable_secret_stops_the_function_with_the_cause() {
    let refused = |code: &str| {
        let message = "User: arn:aws:iam::123456789012:user/hunter2 is not authorized";
        Some((StatusCode::BAD_REQUEST, json!({ "__type": code, "Message": message })))
    };
    let text = |text: &str| Some((StatusCode::OK, json!({ "ARN": ARN, "SecretString": text })));
    let binary = Some((StatusCode::OK, json!({ "ARN": ARN, "SecretBinary": "aHVudGVyMg==" })));
    let responding_with = SecretsManager::responding_with;
    let cases = [
        (SecretsManager::unreachable().await, "the secret cannot be read: no response"),
        (responding_with(None).await, "the secret cannot be read: no response"),
        (
            responding_with(refused("AccessDeniedException")).await,
            "the secret cannot be read: AccessDeniedException",
        ),
        (
            responding_with(refused("ResourceNotFoundException")).await,
            "the secret cannot be read: ResourceNotFoundException",
        ),
        (responding_with(binary).await, "the secret cannot be read: it does not contain text"),
        (
            responding_with(text("hunter2{")).await,
            "the secret is not a JSON object with `current` and a key of that name",
        ),
        (
            responding_with(text(r#"{"current":"a","a":"hunter2"}"#)).await,
            "the key \"a\" must have at least 32 characters",
        ),
    ];
    let runs = cases.iter().map(async |(secrets_manager, cause)| {
        let environment = [
            ("KEYS_SECRET_ARN", ARN),
            ("TABLE_NAME", "accounts"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_ENDPOINT_URL", &secrets_manager.url),
        ];
        let mut function = Command::new(env!("CARGO_BIN_EXE_change-password"));
        function.env_clear().envs(environment);
        let start = Instant::now();
        let ended = spawn_blocking(move || function.output().unwrap()).await.unwrap();
        // Lambda limits init to 10 s.
        assert!(start.elapsed() < Duration::from_secs(8), "{cause}: {:?}", start.elapsed());
        assert!(!ended.status.success(), "{cause}");
        let log = String::from_utf8(ended.stdout).unwrap();
        let line: Value = serde_json::from_str(&log).unwrap_or_else(|_| panic!("expected one line: {log}"));
        let expected = format!("the function cannot start: KEYS_SECRET_ARN: {cause}");
        assert_eq!(line["fields"]["message"], expected);
        assert!(!log.contains("hunter2") && ended.stderr.is_empty(), "{log}");
    });
    join_all(runs).await;
}

#[tokio::test]
async fn secret_is_read_once_per_process() {
    let keys = secret("a", "a");
    let response = json!({ "ARN": ARN, "SecretString": keys });
    let SecretsManager { url, requests } =
        SecretsManager::responding_with(Some((StatusCode::OK, response))).await;
    let settings = [("KEYS", ""), ("KEYS_SECRET_ARN", ARN), ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &url)];
    let bundle = Bundle::with_data(&settings, &data_file("secret"), &keys).await;
    let member = bundle.member().await;
    // The stack reads the secret once itself.
    assert_eq!(requests.swap(0, Relaxed), 1);
    for _ in 0..3 {
        let call = bundle.call(Method::PUT, CHANGE).session(&member.token);
        assert_eq!(call.json(&json!({})).await.refusal(), (400, "{OLD_PASSWORD}_REQUIRED"));
    }
    assert_eq!(requests.load(Relaxed), 1);
}
