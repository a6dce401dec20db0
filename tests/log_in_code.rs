//! `send-log-in-code`, and `log-in` with its codes: members log in, and others get a grant to register.

use crate::{
    bundle::{
        BIND_PHONE, Bundle, EMAIL, OLD_PASSWORD, OTHER_EMAIL, OTHER_PHONE, PHONE, RECOVERY, Response, e164,
        wrong_code,
    },
    log_in::{audit, by_password, fail, store},
    services::refused,
};
use reqwest::Method;
use serde_json::{Value, json};
use shared::opaque_token::OpaqueToken;

/// A way to receive a code: the member's destination, one of the same kind that no member has, and its `amr`.
const CHANNELS: [(&str, &str, &str); 2] = [(PHONE, OTHER_PHONE, "sms"), (EMAIL, OTHER_EMAIL, "mail")];

/// Returns the address of messages to a typed phone or email address.
fn address(typed: &str) -> String {
    if typed.contains('@') { typed.to_owned() } else { e164(typed) }
}

async fn send(bundle: &Bundle, purpose: &str, to: &str) -> Response {
    bundle.send_log_in_code(purpose, to).await
}

/// Requests a code, and returns `verification` and the code.
pub async fn request(bundle: &Bundle, purpose: &str, to: &str) -> (String, String) {
    let sent = send(bundle, purpose, to).await;
    assert_eq!(sent.body["success"], true, "{}", sent.text);
    (sent.verification().to_owned(), bundle.code_to(&address(to)).await)
}

fn by_code(to: &str, (verification, code): &(String, String)) -> Value {
    json!({ "identifier": to, "code": code, "verification": verification })
}

async fn log_in(bundle: &Bundle, to: &str, requested: &(String, String)) -> Response {
    bundle.log_in(by_code(to, requested)).await
}

fn logged_in(response: Response) -> Response {
    assert_eq!(response.body["success"], true, "{}", response.text);
    response
}

#[tokio::test]
async fn code_logs_a_member_in() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    for purpose in ["login", "register"] {
        for (to, _, method) in CHANNELS {
            let requested = request(&bundle, purpose, to).await;
            let response = logged_in(log_in(&bundle, to, &requested).await);
            let session = response.body["session"].as_str().unwrap();
            assert_eq!(
                (&response.body["member"], &response.body["amr"], &response.body["expiresIn"]),
                (&json!(member.id), &json!([method]), &json!(604_800))
            );
            assert_eq!(bundle.claims(session).amr, [method]);
            refused(&log_in(&bundle, to, &requested).await, "{CODE}_NOT_VALID");
            // A code proves only its address, so another phone needs the password.
            bundle.age("sent#", 120).await;
            let (_, code) = bundle.request_sms_code(Some(&member), OTHER_PHONE).await;
            let body = json!({ "phone": OTHER_PHONE, "message": code });
            let refusal = bundle.call(Method::PUT, BIND_PHONE).session(session).json(&body).await;
            assert_eq!(refusal.refusal(), (403, "REAUTHENTICATION_REQUIRED"));
            bundle.age("sent#", 3_600).await;
        }
    }
    assert_eq!(audit(&bundle, &member).await, ["logged-in"; 4]);
}

#[tokio::test]
async fn send_returns_the_token_of_its_flow() {
    let bundle = Bundle::start().await;
    for (purpose, to, expires_in) in [("login", PHONE, 300), ("register", EMAIL, 600)] {
        let sent = send(&bundle, purpose, to).await;
        let expected = json!({
            "success": true, "requestId": sent.body["requestId"], "expiresIn": expires_in, "resendIn": 120,
            "verification": sent.verification(),
        });
        assert_eq!(sent.body, expected, "{to}");
        let again = send(&bundle, purpose, to).await;
        refused(&again, "SEND_MESSAGE_FREQUENTLY");
        assert!((1..=120).contains(&again.body["retryAfter"].as_u64().unwrap()), "{}", again.text);
    }
}

#[tokio::test]
async fn only_a_code_to_register_reaches_anyone() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    for (known, unknown, _) in CHANNELS {
        for to in [known, unknown] {
            send(&bundle, "login", to).await;
        }
        assert_eq!(bundle.sent_to(&address(known)).await.len(), 1);
        assert_eq!(bundle.sent_to(&address(unknown)).await.len(), 0);
        bundle.age("sent#", 120).await;
        for to in [known, unknown] {
            send(&bundle, "register", to).await;
        }
        assert_eq!(bundle.sent_to(&address(known)).await.len(), 2);
        let messages = bundle.sent_to(&address(unknown)).await;
        // The code is typed where it was requested, so there is no link.
        assert!(messages.len() == 1 && messages[0].link.is_none(), "{messages:?}");
    }
}

#[tokio::test]
async fn code_of_a_stranger_becomes_a_grant() {
    let bundle = Bundle::start().await;
    for (_, to, _) in CHANNELS {
        let requested = request(&bundle, "register", to).await;
        let mut event = by_code(to, &requested);
        event["idempotencyKey"] = json!(to);
        let first = bundle.log_in(event.clone()).await;
        refused(&first, "MEMBER_NOT_FOUND");
        assert_eq!(first.body["expiresIn"], 600);
        let grant = first.verification();
        let mut again = bundle.log_in(event).await.body;
        again["requestId"] = first.body["requestId"].clone();
        assert_eq!(again, first.body);
        refused(&log_in(&bundle, to, &requested).await, "{CODE}_NOT_VALID");
        let hash = OpaqueToken::parse(grant).unwrap().hash();
        let item = bundle.item(&format!("grant#{hash}"), "grant").await;
        assert_eq!((&item["purpose"]["S"], &item["member"]), (&json!("10"), &Value::Null), "{item}");
        // The grant neither recovers a password nor is stored or logged.
        let body = json!({ "phone": OTHER_PHONE, "passwordFirst": "a-new-password", "verification": grant });
        let refusal = bundle.call(Method::PUT, RECOVERY).json(&body).await;
        assert_eq!(refusal.refusal(), (400, "{VERIFICATION}_NOT_VALID"));
        assert!(bundle.items().await.iter().all(|item| !item.to_string().contains(grant)));
        assert!(bundle.stack.log_lines().iter().all(|line| !line.text.contains(grant)));
    }
}

#[tokio::test]
async fn member_registered_since_the_send_logs_in() {
    let bundle = Bundle::start().await;
    let requested = request(&bundle, "register", PHONE).await;
    let member = bundle.member().await;
    assert_eq!(logged_in(log_in(&bundle, PHONE, &requested).await).body["member"], member.id);
}

#[tokio::test]
async fn code_works_while_the_password_is_locked() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    fail(&bundle, PHONE, 10).await;
    let requested = request(&bundle, "login", PHONE).await;
    logged_in(log_in(&bundle, PHONE, &requested).await);
    // The code does not prove the password, so the lockout remains.
    refused(&bundle.log_in(by_password(PHONE, OLD_PASSWORD)).await, "TOO_MANY_ATTEMPTS");
}

#[tokio::test]
async fn code_works_for_its_own_flow_only() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    let (verification, code) = request(&bundle, "login", PHONE).await;
    let right = (verification.clone(), code.clone());
    let (recovery, _) = bundle.request_email_code(None, EMAIL).await;
    for (to, verification) in
        [(OTHER_PHONE, &verification), (EMAIL, &verification), (EMAIL, &recovery), (PHONE, &"x".to_owned())]
    {
        let refusal = log_in(&bundle, to, &(verification.clone(), code.clone())).await;
        refused(&refusal, "{VERIFICATION}_NOT_VALID");
    }
    refused(&log_in(&bundle, PHONE, &(verification.clone(), "12345".to_owned())).await, "{CODE}_NOT_VALID");
    for left in (1..=4).rev() {
        let wrong = (verification.clone(), wrong_code(&code).to_owned());
        let refusal = log_in(&bundle, PHONE, &wrong).await;
        refused(&refusal, "{CODE}_NOT_VALID");
        assert_eq!(refusal.body["attemptsLeft"], left);
    }
    logged_in(log_in(&bundle, PHONE, &right).await);
}

#[tokio::test]
async fn code_ends_with_the_sessions() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    for (purpose, to) in [("login", PHONE), ("register", EMAIL)] {
        let requested = request(&bundle, purpose, to).await;
        let item = bundle.item(&format!("member#{}", member.id), "member").await;
        let version: u64 = item["credential_version"]["N"].as_str().unwrap().parse().unwrap();
        store(&bundle, &member, "credential_version", json!({ "N": (version + 1).to_string() })).await;
        refused(&log_in(&bundle, to, &requested).await, "{CODE}_NOT_VALID");
    }
}

#[tokio::test]
async fn code_to_a_former_phone_is_refused() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let requested = request(&bundle, "login", PHONE).await;
    let mut item = bundle.item(&format!("member#{}", member.id), "member").await;
    item.as_object_mut().unwrap().remove("phone");
    bundle.dynamodb("PutItem", json!({ "Item": item })).await;
    refused(&log_in(&bundle, PHONE, &requested).await, "{CODE}_NOT_VALID");
}

#[tokio::test]
async fn freeze_and_immaturity_need_a_right_code() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let now = shared::clock::Timestamp::now().0.to_string();
    let frozen = json!({ "M": { "since": { "N": "1" }, "through": { "S": format!("email#{EMAIL}") } } });
    store(&bundle, &member, "phone_immature_since", json!({ "N": now })).await;
    let sent = send(&bundle, "login", PHONE).await;
    assert_eq!(sent.body["success"], true, "{}", sent.text);
    assert_eq!(bundle.sent_to(&e164(PHONE)).await.len(), 0, "an immature phone must get no code");
    bundle.age("sent#", 120).await;
    for (to, symbol) in [(PHONE, "COOLING_OFF"), (EMAIL, "ACCOUNT_FROZEN")] {
        let requested = request(&bundle, "register", to).await;
        if symbol == "ACCOUNT_FROZEN" {
            store(&bundle, &member, "frozen", frozen.clone()).await;
        }
        let wrong = (requested.0.clone(), wrong_code(&requested.1).to_owned());
        refused(&log_in(&bundle, to, &wrong).await, "{CODE}_NOT_VALID");
        refused(&log_in(&bundle, to, &requested).await, symbol);
    }
    assert_eq!(audit(&bundle, &member).await, [""; 0]);
}

#[tokio::test]
async fn parallel_logins_consume_a_code_once() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let requested = request(&bundle, "login", PHONE).await;
    let responses = bundle.concurrently("log-in", 40, |_| log_in(&bundle, PHONE, &requested)).await;
    let successes = responses.iter().filter(|response| response.body["success"] == true).count();
    assert!(responses.iter().all(|response| !response.headers.contains_key("x-amz-function-error")));
    assert_eq!(successes, 1, "{responses:?}");
    assert_eq!(audit(&bundle, &member).await, ["logged-in"]);
}

#[tokio::test]
async fn codes_to_register_have_their_own_budget() {
    let bundle = Bundle::with(&[("REGISTER_SENDS_PER_HOUR", "1")]).await;
    bundle.member().await;
    for (known, unknown, _) in CHANNELS {
        request(&bundle, "register", unknown).await;
        refused(&send(&bundle, "register", known).await, "SEND_MESSAGE_FREQUENTLY");
        let requested = request(&bundle, "login", known).await;
        logged_in(log_in(&bundle, known, &requested).await);
    }
    let traffic = |pk: &'static str| bundle.item(pk, "traffic");
    for pk in ["register#calling-code#86", "register#mail", "calling-code#86", "mail"] {
        assert!(traffic(pk).await.is_object(), "{pk}");
    }
}

#[tokio::test]
async fn unverified_codes_to_register_open_their_own_breaker() {
    let bundle = Bundle::with(&[("BREAKER_MIN_CODES", "1")]).await;
    bundle.member().await;
    request(&bundle, "register", OTHER_PHONE).await;
    crate::limits::age_traffic(&bundle, 2).await;
    refused(&send(&bundle, "register", PHONE).await, "SEND_MESSAGE_FREQUENTLY");
    let requested = request(&bundle, "login", PHONE).await;
    logged_in(log_in(&bundle, PHONE, &requested).await);
}

#[tokio::test]
async fn malformed_send_changes_nothing() {
    let bundle = Bundle::start().await;
    let before = bundle.items().await;
    for (event, symbol) in [
        (json!({ "purpose": "login", "phone": "110" }), "{PHONE}_NOT_VALID"),
        (json!({ "purpose": "login", "phone": EMAIL }), "{PHONE}_NOT_VALID"),
        (json!({ "purpose": "register", "email": "li@" }), "{EMAIL}_NOT_VALID"),
        (json!({ "purpose": "register", "identifier": PHONE }), "BODY_NOT_VALID"),
        (json!({ "purpose": "recover", "phone": PHONE }), "BODY_NOT_VALID"),
        (json!({ "phone": PHONE }), "BODY_NOT_VALID"),
        (json!({ "purpose": "login", "phone": PHONE, "email": EMAIL }), "BODY_NOT_VALID"),
    ] {
        let mut event = event;
        event["sourceIp"] = json!("203.0.113.9");
        refused(&bundle.invoke("send-log-in-code", &event).await, symbol);
    }
    let without_source = json!({ "purpose": "login", "phone": PHONE });
    refused(&bundle.invoke("send-log-in-code", &without_source).await, "BODY_NOT_VALID");
    assert_eq!(bundle.items().await, before);
}

#[tokio::test]
async fn deployment_without_email_refuses_email_codes() {
    let bundle = Bundle::with(&[("MAIL_FROM", "")]).await;
    for purpose in ["login", "register"] {
        refused(&bundle.send_log_in_code(purpose, EMAIL).await, "MAIL_NOT_AVAILABLE");
    }
}
