//! `log-in` with a password: sessions, counted failures, known devices, and hashes.

use crate::{
    bundle::{Bundle, EMAIL, Member, OLD_PASSWORD, OTHER_EMAIL, OTHER_PHONE, PHONE, Response, SEND},
    proxy::{InjectedFault, On, Proxy, STORE},
    services::refused,
};
use reqwest::Method;
use serde_json::{Value, json};
use shared::{
    clock::Timestamp,
    password::{HashFormat, Memory, Password, PasswordPolicy, Salt},
};
use std::time::Duration;

/// The default lockout, in seconds.
const LOCK: i64 = 900;
const DAY: i64 = 86_400;

/// Returns the event of a login with a password from the usual address.
pub fn by_password(identifier: &str, password: &str) -> Value {
    json!({ "identifier": identifier, "password": password })
}

async fn log_in(bundle: &Bundle, identifier: &str, password: &str) -> Response {
    bundle.log_in(by_password(identifier, password)).await
}

/// Logs in with a wrong password this many times.
pub async fn fail(bundle: &Bundle, identifier: &str, times: usize) {
    for _ in 0..times {
        refused(&log_in(bundle, identifier, "wrong").await, "CREDENTIALS_NOT_VALID");
    }
}

fn logged_in(response: Response) -> Response {
    assert_eq!(response.body["success"], true, "{}", response.text);
    response
}

fn is_locked(response: &Response) -> u64 {
    refused(response, "TOO_MANY_ATTEMPTS");
    response.body["retryAfter"].as_u64().unwrap()
}

/// Returns the actions of the member's audit trail, the newest first.
pub async fn audit(bundle: &Bundle, member: &Member) -> Vec<String> {
    bundle.settled().await;
    let records = bundle.inspect(member).await["audit"].as_array().unwrap().clone();
    records.iter().map(|record| record["action"].as_str().unwrap().to_owned()).collect()
}

/// Stores an attribute of the member, without a function.
pub async fn store(bundle: &Bundle, member: &Member, attribute: &str, value: Value) {
    let mut item = bundle.item(&format!("member#{}", member.id), "member").await;
    item[attribute] = value;
    bundle.dynamodb("PutItem", json!({ "Item": item })).await;
}

async fn stored(bundle: &Bundle, member: &Member, attribute: &str) -> Value {
    bundle.item(&format!("member#{}", member.id), "member").await[attribute].clone()
}

/// Stores a hash of the password with lower costs than the settings.
async fn store_outdated_hash(bundle: &Bundle, member: &Member) -> String {
    let policy = PasswordPolicy { min_code_points: 8, memory_kib: 7_168, passes: 1 };
    let hash = policy.hash(&bundle.keys(), &Password::existing(OLD_PASSWORD)).unwrap();
    store(bundle, member, "password", json!({ "S": hash.as_str() })).await;
    hash.as_str().to_owned()
}

/// Stores the password's MD5 as the import does.
pub async fn store_imported_hash(bundle: &Bundle, member: &Member) {
    let policy = PasswordPolicy { min_code_points: 8, memory_kib: 7_168, passes: 1 };
    let md5 = Some(HashFormat::Md5(Salt::None));
    let text = "fdcf36394daaf47def0d41d181d1443c";
    let hash = policy.import(&bundle.keys(), text, md5, &mut Memory::default()).unwrap();
    store(bundle, member, "password", json!({ "S": hash.as_str() })).await;
}

#[tokio::test]
async fn right_password_returns_a_session() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    for event in [
        json!({ "phone": PHONE, "password": OLD_PASSWORD }),
        json!({ "email": EMAIL, "password": OLD_PASSWORD }),
        by_password("+86 136-2714-0483", OLD_PASSWORD),
        by_password("LI＠Example.com", OLD_PASSWORD),
    ] {
        let before = Timestamp::now().0;
        let response = logged_in(bundle.log_in(event.clone()).await);
        let claims = bundle.claims(response.body["session"].as_str().unwrap());
        assert!((before..=Timestamp::now().0).contains(&claims.auth_time.0), "{event}");
        let device = response.body["device"].as_str().unwrap();
        let expected = json!({
            "success": true, "requestId": response.body["requestId"], "member": member.id,
            "session": response.body["session"], "expiresIn": 604_800, "authTime": claims.auth_time,
            "amr": ["pwd"], "device": device,
        });
        assert_eq!(response.body, expected, "{event}");
        assert_eq!((claims.member.to_string(), claims.amr), (member.id.clone(), vec!["pwd".to_owned()]));
        let session = response.body["session"].as_str().unwrap();
        let sent = bundle.call(Method::POST, SEND).session(session).send().await;
        assert_ne!(sent.status, 401, "{}", sent.text);
    }
    assert_eq!(audit(&bundle, &member).await, ["logged-in"; 4]);
}

#[tokio::test]
async fn origin_of_a_login_is_recorded() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let mut event = by_password(PHONE, OLD_PASSWORD);
    event["userAgent"] = json!("ExampleApp/4.2");
    event["requestId"] = json!("login-1");
    // A service may use one request id for several calls, at the same time.
    let responses = bundle.concurrently("log-in", 5, |_| bundle.log_in(event.clone())).await;
    assert!(responses.iter().any(|response| response.body["success"] == true), "{responses:?}");
    let record = bundle.inspect(&member).await["audit"][0].clone();
    for (name, value) in
        [("source_ip", "203.0.113.9"), ("user_agent", "ExampleApp/4.2"), ("request_id", "login-1")]
    {
        assert_eq!(record[name], value);
    }
}

#[tokio::test]
async fn failures_in_a_row_lock_the_password() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    for identifier in [PHONE, OTHER_PHONE] {
        for left in (0..10).rev() {
            let response = log_in(&bundle, identifier, "wrong").await;
            refused(&response, "CREDENTIALS_NOT_VALID");
            assert_eq!(response.body["attemptsLeft"], left, "{identifier}");
        }
        // Every spelling is the same identifier.
        for password in ["wrong", OLD_PASSWORD] {
            let wait = is_locked(&log_in(&bundle, &format!("+86{identifier}"), password).await);
            assert!((890..=900).contains(&wait), "{wait}");
        }
    }
    logged_in(log_in(&bundle, EMAIL, OLD_PASSWORD).await);
    bundle.age("failures#log-in#", LOCK).await;
    refused(&log_in(&bundle, PHONE, "wrong").await, "CREDENTIALS_NOT_VALID");
    logged_in(log_in(&bundle, PHONE, OLD_PASSWORD).await);
    bundle.settled().await;
    assert!(bundle.stack.messages().is_empty(), "a lockout must send no message");
}

#[tokio::test]
async fn right_password_ends_the_row() {
    let bundle = Bundle::with(&[("LOG_IN_FAILURES_PER_DAY", "20")]).await;
    bundle.member().await;
    for _ in 0..2 {
        fail(&bundle, PHONE, 9).await;
        logged_in(log_in(&bundle, PHONE, OLD_PASSWORD).await);
    }
    // Only the wrong ones count for the day.
    fail(&bundle, PHONE, 2).await;
    let wait = is_locked(&log_in(&bundle, PHONE, OLD_PASSWORD).await);
    assert!(wait > 86_000, "{wait}");
    bundle.age("failures#log-in#", DAY).await;
    logged_in(log_in(&bundle, PHONE, OLD_PASSWORD).await);
}

#[tokio::test]
async fn source_address_is_locked_across_identifiers() {
    let bundle = Bundle::with(&[("SOURCE_LOG_IN_FAILURES_PER_HOUR", "3")]).await;
    bundle.member().await;
    logged_in(log_in(&bundle, PHONE, OLD_PASSWORD).await);
    for identifier in [OTHER_PHONE, OTHER_EMAIL, EMAIL] {
        fail(&bundle, identifier, 1).await;
    }
    assert!(is_locked(&log_in(&bundle, PHONE, OLD_PASSWORD).await) > 3_500);
    let mut elsewhere = by_password(PHONE, OLD_PASSWORD);
    for address in ["2001:db8:0:1::7", "198.51.100.7"] {
        elsewhere["sourceIp"] = json!(address);
        logged_in(bundle.log_in(elsewhere.clone()).await);
    }
    bundle.age("failures#log-in-source#", 3_600).await;
    logged_in(log_in(&bundle, PHONE, OLD_PASSWORD).await);
}

#[tokio::test]
async fn known_device_is_not_locked_by_strangers() {
    let bundle = Bundle::with(&[("PASSWORD_MAX_FAILURES", "3"), ("LOG_IN_FAILURES_PER_DAY", "4")]).await;
    bundle.member().await;
    let device = logged_in(log_in(&bundle, PHONE, OLD_PASSWORD).await).body["device"].clone();
    let with_device = async |identifier: &str, password: &str, device: &Value| {
        let mut event = by_password(identifier, password);
        event["device"] = device.clone();
        bundle.log_in(event).await
    };
    // Strangers use up the row, and then the day.
    fail(&bundle, PHONE, 3).await;
    bundle.age("failures#log-in#", LOCK).await;
    fail(&bundle, PHONE, 1).await;
    assert!(is_locked(&log_in(&bundle, PHONE, OLD_PASSWORD).await) > 80_000);
    logged_in(with_device(PHONE, OLD_PASSWORD, &device).await);
    // A token of another identifier, a foreign one and a malformed one change nothing.
    let by_mail = logged_in(log_in(&bundle, EMAIL, OLD_PASSWORD).await).body["device"].clone();
    let foreign = json!(device.as_str().unwrap().replace("d1.", "d1.x"));
    for other in [by_mail, foreign, json!("device"), json!("")] {
        is_locked(&with_device(PHONE, OLD_PASSWORD, &other).await);
    }
    // The device has a row of its own, which locks only the device.
    for left in (0..3).rev() {
        let response = with_device(PHONE, "wrong", &device).await;
        refused(&response, "CREDENTIALS_NOT_VALID");
        assert_eq!(response.body["attemptsLeft"], left);
    }
    is_locked(&with_device(PHONE, OLD_PASSWORD, &device).await);
    logged_in(log_in(&bundle, EMAIL, OLD_PASSWORD).await);
}

#[tokio::test]
async fn lockout_is_recorded_once() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    fail(&bundle, OTHER_PHONE, 10).await;
    fail(&bundle, PHONE, 10).await;
    for _ in 0..3 {
        is_locked(&log_in(&bundle, PHONE, "wrong").await);
    }
    assert_eq!(audit(&bundle, &member).await, ["log-in-locked"]);
    let record = bundle.inspect(&member).await["audit"][0].clone();
    assert_eq!(record["source_ip"], "203.0.113.9");
    // The next lockout is another one. The outbox keeps one notice of each, for the stranger's phone as well.
    bundle.age("failures#log-in#", LOCK).await;
    // A lockout is known by the second in which it ends, so the next one must begin in another.
    let began = Timestamp::now();
    while Timestamp::now() == began {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    fail(&bundle, PHONE, 10).await;
    assert_eq!(audit(&bundle, &member).await, ["log-in-locked"; 2]);
    let queued = bundle.items().await.into_iter();
    let queued = queued.filter(|item| item["pk"]["S"].as_str().unwrap().starts_with("notice#log-in#"));
    assert_eq!(queued.count(), 3);
}

#[tokio::test]
async fn parallel_failures_compare_ten_passwords() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let guesses = bundle.concurrently("log-in", 40, |_| log_in(&bundle, PHONE, "wrong")).await;
    let count = |symbol| guesses.iter().filter(|response| response.body["error"] == symbol).count();
    let (compared, locked) = (count("CREDENTIALS_NOT_VALID"), count("TOO_MANY_ATTEMPTS"));
    assert!(compared <= 10 && compared + locked == 40, "{compared} {locked} {guesses:?}");
    // A guess that contended with others was not compared, and did not count.
    fail(&bundle, PHONE, 10 - compared).await;
    is_locked(&log_in(&bundle, PHONE, OLD_PASSWORD).await);
    assert_eq!(audit(&bundle, &member).await, ["log-in-locked"]);
}

#[tokio::test]
async fn parallel_logins_succeed_or_are_limited() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let responses = bundle.concurrently("log-in", 40, |_| log_in(&bundle, PHONE, OLD_PASSWORD)).await;
    let successes = responses.iter().filter(|response| response.body["success"] == true).count();
    for response in responses.iter().filter(|response| response.body["success"] != true) {
        is_locked(response);
    }
    assert!(successes > 0);
    assert_eq!(audit(&bundle, &member).await, vec!["logged-in"; successes]);
    bundle.age("failures#log-in#", LOCK).await;
    logged_in(log_in(&bundle, PHONE, OLD_PASSWORD).await);
}

#[tokio::test]
async fn freeze_is_disclosed_after_a_right_password() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let frozen = json!({ "M": { "since": { "N": "1" }, "through": { "S": format!("email#{EMAIL}") } } });
    store(&bundle, &member, "frozen", frozen).await;
    for _ in 0..2 {
        fail(&bundle, PHONE, 9).await;
        refused(&log_in(&bundle, PHONE, OLD_PASSWORD).await, "ACCOUNT_FROZEN");
    }
    assert_eq!(audit(&bundle, &member).await, [""; 0]);
}

#[tokio::test]
async fn outdated_hash_is_replaced_silently() {
    let (proxy, bundle) = Proxy::between(STORE, &[]).await;
    let member = bundle.member().await;
    let outdated = store_outdated_hash(&bundle, &member).await;
    fail(&bundle, PHONE, 1).await;
    // The login does not depend on the replacement.
    proxy.fault(On::all("UpdateItem").by("log-in"), InjectedFault::Refuse("AccessDeniedException"));
    logged_in(log_in(&bundle, PHONE, OLD_PASSWORD).await);
    proxy.heal();
    assert_eq!(stored(&bundle, &member, "password").await["S"], outdated);
    let responses = bundle.concurrently("log-in", 5, |_| log_in(&bundle, PHONE, OLD_PASSWORD)).await;
    assert!(responses.iter().any(|response| response.body["success"] == true), "{responses:?}");
    let replaced = stored(&bundle, &member, "password").await;
    assert!(replaced["S"].as_str().unwrap().contains("m=19456,t=2"), "{replaced}");
    assert_eq!(stored(&bundle, &member, "credential_version").await["N"], "1");
    logged_in(log_in(&bundle, PHONE, OLD_PASSWORD).await);
    assert_eq!(stored(&bundle, &member, "password").await, replaced);
    bundle.settled().await;
    assert!(bundle.stack.messages().is_empty());
}

#[tokio::test]
async fn imported_hash_is_replaced_after_its_first_use() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    store_imported_hash(&bundle, &member).await;
    fail(&bundle, PHONE, 1).await;
    for is_imported in [true, false] {
        let hash = stored(&bundle, &member, "password").await["S"].as_str().unwrap().to_owned();
        assert_eq!(hash.starts_with("$foreign$"), is_imported, "{hash}");
        logged_in(log_in(&bundle, PHONE, OLD_PASSWORD).await);
    }
}

#[tokio::test]
async fn changed_password_is_compared_again() {
    let (proxy, bundle) = Proxy::between(STORE, &[]).await;
    let member = bundle.member().await;
    for is_changed in [false, true] {
        // The first transaction counts the attempt, the second commits the login.
        let commit = On::nth("TransactWriteItems", 2).by("log-in");
        proxy.fault(commit, InjectedFault::Delay(Duration::from_millis(1_500)));
        let end_sessions = async {
            tokio::time::sleep(Duration::from_millis(700)).await;
            if is_changed {
                let policy = PasswordPolicy { min_code_points: 8, memory_kib: 7_168, passes: 1 };
                let hash = policy.hash(&bundle.keys(), &Password::existing("another-password")).unwrap();
                store(&bundle, &member, "password", json!({ "S": hash.as_str() })).await;
            }
            let version = if is_changed { "3" } else { "2" };
            store(&bundle, &member, "credential_version", json!({ "N": version })).await;
        };
        let (response, ()) = tokio::join!(log_in(&bundle, PHONE, OLD_PASSWORD), end_sessions);
        proxy.heal();
        if is_changed {
            refused(&response, "CREDENTIALS_NOT_VALID");
        } else {
            // The new session is valid.
            let session = logged_in(response).body["session"].as_str().unwrap().to_owned();
            assert_eq!(bundle.claims(&session).credential_version, 2);
        }
    }
}

#[tokio::test]
async fn corrupt_hash_is_a_fault() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    for hash in ["", "plain", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ", "$2b$12$abcdefghijklmnopqrstuv"] {
        store(&bundle, &member, "password", json!({ "S": hash })).await;
        let failed = log_in(&bundle, PHONE, OLD_PASSWORD).await;
        assert_eq!(failed.body["errorType"], "INTERNAL_SERVER_ERROR", "{hash}: {}", failed.text);
    }
}

#[tokio::test]
async fn key_repeats_the_response() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let keyed = |password: &str, key: &str| {
        let mut event = by_password(PHONE, password);
        event["idempotencyKey"] = json!(key);
        event
    };
    let first = logged_in(bundle.log_in(keyed(OLD_PASSWORD, "a")).await);
    let again = logged_in(bundle.log_in(keyed(OLD_PASSWORD, "a")).await);
    for field in ["member", "authTime", "amr", "device", "expiresIn"] {
        assert_eq!(first.body[field], again.body[field], "{field}");
    }
    let claims = |response: &Response| bundle.claims(response.body["session"].as_str().unwrap());
    assert_eq!(claims(&first), claims(&again));
    assert_eq!(audit(&bundle, &member).await, ["logged-in"]);
    let wrong = [bundle.log_in(keyed("wrong", "b")).await, bundle.log_in(keyed("wrong", "b")).await];
    for response in &wrong {
        refused(response, "CREDENTIALS_NOT_VALID");
        assert_eq!(response.body["attemptsLeft"], 9);
    }
    let items = bundle.items().await;
    let held: Vec<_> = items.iter().map(Value::to_string).collect();
    for secret in ["session", "device"].map(|field| first.body[field].as_str().unwrap()) {
        assert!(held.iter().all(|item| !item.contains(secret)));
    }
}

#[tokio::test]
async fn malformed_login_changes_nothing() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    let before = bundle.items().await;
    for (event, symbol) in [
        (json!({ "phone": "110", "password": OLD_PASSWORD }), "{PHONE}_NOT_VALID"),
        (json!({ "phone": EMAIL, "password": OLD_PASSWORD }), "{PHONE}_NOT_VALID"),
        (json!({ "email": PHONE, "password": OLD_PASSWORD }), "{EMAIL}_NOT_VALID"),
        (json!({ "identifier": "li@", "password": OLD_PASSWORD }), "{EMAIL}_NOT_VALID"),
        (json!({ "identifier": "", "password": OLD_PASSWORD }), "{PHONE}_NOT_VALID"),
        (json!({ "phone": PHONE, "email": EMAIL, "password": OLD_PASSWORD }), "BODY_NOT_VALID"),
        (json!({ "phone": PHONE }), "BODY_NOT_VALID"),
        (json!({ "phone": PHONE, "password": OLD_PASSWORD, "sourceIp": null }), "BODY_NOT_VALID"),
        (json!({ "phone": PHONE, "code": "123456", "verification": "x" }), "{VERIFICATION}_NOT_VALID"),
    ] {
        refused(&bundle.log_in(event).await, symbol);
    }
    let without_source = bundle.invoke("log-in", &by_password(PHONE, OLD_PASSWORD)).await;
    refused(&without_source, "BODY_NOT_VALID");
    let mut english = by_password(PHONE, OLD_PASSWORD);
    english["language"] = json!("en");
    let message = refused(&bundle.invoke("log-in", &english).await, "BODY_NOT_VALID");
    assert!(message.contains("missing field `sourceIp`"), "{message}");
    assert_eq!(bundle.items().await, before);
}
