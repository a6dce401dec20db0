//! `Idempotency-Key`: a repeated request has one effect and returns the stored response.

use crate::{
    bundle::{
        BIND_PHONE, Bundle, CHANGE, CHANGE_BY_MESSAGE, Call, CookieJar, EMAIL, Member, NEW_PASSWORD, NEW_PIN,
        OLD_PASSWORD, OTHER_PHONE, PHONE, PIN, RECOVERY, Response, SEND, SEND_CODE, SEND_MAIL,
        SET_PAY_PASSWORD, UPDATE_PAY_PASSWORD, VERIFY_MAIL, wrong_code,
    },
    changes::{ChangeKind, MANY, PreparedChange},
    proxy::{InjectedFault, On, Proxy, STORE},
};
use reqwest::Method;
use serde_json::{Value, json};

const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";

/// Returns a call with this idempotency key.
fn keyed(bundle: &Bundle, method: Method, path: &str, key: &str) -> Call {
    bundle.call(method, path).header("Idempotency-Key", key)
}

/// Asserts that two responses are equal except for the request id.
fn assert_same(first: &Response, second: &Response) {
    assert_eq!((first.status, &first.text), (second.status, &second.text));
    for name in ["authorization", "set-cookie", "retry-after", "content-type"] {
        assert_eq!(first.headers.get(name), second.headers.get(name), "{name}");
    }
    assert_ne!(first.headers["x-request-id"], second.headers["x-request-id"]);
}

async fn audit_count(bundle: &Bundle, member: &Member) -> usize {
    bundle.inspect(member).await["audit"].as_array().unwrap().len()
}

#[tokio::test]
async fn repeated_send_sends_one_message() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let by_session = || keyed(&bundle, Method::POST, SEND, KEY).session(&member.token);
    assert_same(&by_session().send().await.ok(), &by_session().send().await.ok());
    assert_eq!(bundle.stack.messages().len(), 1);

    let mail = || keyed(&bundle, Method::POST, SEND_MAIL, KEY).query(&[("email", EMAIL)]);
    let (first, second) = (mail().send().await.ok(), mail().send().await.ok());
    assert_same(&first, &second);
    let code = bundle.code_to(EMAIL).await;
    bundle.grant_by_mail(&(second.verification().to_owned(), code)).await;
    assert_eq!(bundle.stack.messages().len(), 2);
}

#[tokio::test]
async fn repeated_browser_calls_continue_with_the_same_cookie() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let mut jar = CookieJar::new();
    let mut twice = async |method: Method, path: &str, body: Value| {
        let first = keyed(&bundle, method.clone(), path, path).cookies(&jar).json(&body).await.ok();
        jar.store(&first);
        let second = keyed(&bundle, method, path, path).cookies(&jar).json(&body).await.ok();
        assert_same(&first, &second);
        jar.store(&second);
    };
    twice(Method::GET, SEND_CODE, json!({ "phone": PHONE })).await;
    let code = bundle.code_to("+8613627140483").await;
    twice(Method::POST, RECOVERY, json!({ "message": code })).await;
    let body = json!({ "phone": PHONE, "passwordFirst": NEW_PASSWORD });
    let recover = |key| keyed(&bundle, Method::PUT, RECOVERY, key).cookies(&jar).json(&body);
    let (first, second) = (recover("recover").await.ok(), recover("recover").await.ok());
    assert_same(&first, &second);
    assert_eq!(recover("another").await.refusal(), (400, "{VERIFICATION}_NOT_VALID"));
    assert_eq!(audit_count(&bundle, &member).await, 1);
    assert!(bundle.has_password(&member, NEW_PASSWORD).await);
}

#[tokio::test]
async fn repeated_change_applies_once_with_the_same_session() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    let change = || keyed(&bundle, Method::PUT, CHANGE, KEY).session(&member.token).json(&body);
    let first = change().await.ok();
    // The change has revoked the session of the repeated request.
    assert_same(&first, &change().await.ok());
    assert_eq!(audit_count(&bundle, &member).await, 1);
    // The renewed session belongs to the same member.
    let renewed = keyed(&bundle, Method::PUT, CHANGE, KEY).session(first.token()).json(&body).await;
    assert_same(&first, &renewed);
    let ended = bundle.call(Method::PUT, CHANGE).session(&member.token).json(&body).await;
    assert_eq!(ended.refusal(), (401, "INVALID_TOKEN"), "without the key this is a new request");
}

#[tokio::test]
async fn repeated_code_is_consumed_once() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (phone_info, code) = bundle.request_change_code(&member).await;
    let body = json!({ "phoneInfo": phone_info, "code": code, "newPassword": NEW_PASSWORD });
    let change = || keyed(&bundle, Method::POST, CHANGE_BY_MESSAGE, "1").session(&member.token).json(&body);
    let first = change().await.ok();
    assert_same(&first, &change().await.ok());

    let (verification, code) = bundle.request_email_code(None, EMAIL).await;
    let body = json!({ "verification": verification, "code": code });
    let verify = || keyed(&bundle, Method::POST, VERIFY_MAIL, "2").json(&body);
    let first = verify().await.ok();
    assert_same(&first, &verify().await.ok());

    let (_, code) = bundle.request_sms_code(Some(&bundle.logged_in(&member, 0).await), OTHER_PHONE).await;
    let member = bundle.logged_in(&member, 0).await;
    let body = json!({ "phone": OTHER_PHONE, "message": code });
    let bind = || keyed(&bundle, Method::PUT, BIND_PHONE, "3").session(&member.token).json(&body);
    let first = bind().await.ok();
    assert_same(&first, &bind().await.ok());
}

#[tokio::test]
async fn repeated_wrong_attempt_is_counted_once() {
    let bundle = Bundle::start().await;
    let member = bundle.member_with(json!({ "phone": PHONE, "payPassword": PIN })).await;
    let (phone_info, code) = bundle.request_change_code(&member).await;
    let body = json!({ "phoneInfo": phone_info, "code": wrong_code(&code), "newPassword": NEW_PASSWORD });
    for _ in 0..7 {
        let guess = keyed(&bundle, Method::POST, CHANGE_BY_MESSAGE, "1").session(&member.token);
        let refused = guess.json(&body).await;
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
        assert_eq!(refused.body["attemptsLeft"], 4);
    }
    let body = json!({ "oldPassword": NEW_PIN, "payPasswordFirst": "501937" });
    for _ in 0..7 {
        let guess = keyed(&bundle, Method::PUT, UPDATE_PAY_PASSWORD, "2").session(&member.token);
        assert_eq!(guess.json(&body).await.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
    }
}

#[tokio::test]
async fn temporary_refusals_are_evaluated_again() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    bundle.request_change_code(&member).await;
    let send = || keyed(&bundle, Method::POST, SEND, "1").session(&member.token).send();
    assert_eq!(send().await.refusal(), (400, "SEND_MESSAGE_FREQUENTLY"));
    bundle.age("sent#phone#", 120).await;
    send().await.ok();

    let old = bundle.logged_in(&member, 3_600).await;
    let send = |member: &Member| {
        keyed(&bundle, Method::POST, SEND_MAIL, "2")
            .session(&member.token)
            .query(&[("email", "lei@example.com")])
    };
    assert_eq!(send(&old).send().await.refusal(), (403, "REAUTHENTICATION_REQUIRED"));
    send(&member).send().await.ok();
}

#[tokio::test]
async fn reused_key_with_another_request_is_refused() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let call = |path: &str, body: &Value| {
        let call = keyed(&bundle, Method::PUT, path, KEY).session(&member.token);
        let body = body.clone();
        async move { call.json(&body).await }
    };
    let first = json!({ "payPasswordFirst": PIN });
    call(SET_PAY_PASSWORD, &first).await.ok();
    for (path, body) in [
        (SET_PAY_PASSWORD, json!({ "payPasswordFirst": NEW_PIN })),
        (SET_PAY_PASSWORD, json!({ "payPasswordFirst": PIN, "payPasswordSecond": PIN })),
        (CHANGE, json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD })),
    ] {
        assert_eq!(call(path, &body).await.refusal(), (422, "IDEMPOTENCY_KEY_REUSED"), "{body}");
    }
    assert_eq!(audit_count(&bundle, &member).await, 1);
    // The quoted form, a structured field, is the same key.
    let quoted = format!("\"{KEY}\"");
    keyed(&bundle, Method::PUT, SET_PAY_PASSWORD, &quoted).session(&member.token).json(&first).await.ok();
}

#[tokio::test]
async fn keys_are_scoped_to_the_member() {
    let bundle = Bundle::start().await;
    let members = [bundle.member().await, bundle.other_member().await];
    for member in &members {
        let call = keyed(&bundle, Method::PUT, SET_PAY_PASSWORD, KEY).session(&member.token);
        call.json(&json!({ "payPasswordFirst": PIN })).await.ok();
        assert_eq!(audit_count(&bundle, member).await, 1);
    }
}

#[tokio::test]
async fn concurrent_repeats_apply_once_and_share_the_response() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    let responses = bundle
        .concurrently("change-password", 40, async |_| {
            keyed(&bundle, Method::PUT, CHANGE, KEY).session(&member.token).json(&body).await
        })
        .await;
    let first = responses.iter().find(|response| response.status.is_success()).expect("no request succeeded");
    for response in &responses {
        // On a machine with few cores a request may give up waiting for the first one's response.
        if response.refusal() != (503, "SERVICE_BUSY") {
            assert_eq!(response.text, first.text);
        }
    }
    assert_eq!(audit_count(&bundle, &member).await, 1);
}

#[tokio::test]
async fn key_must_have_1_to_255_visible_characters() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let body = json!({ "payPasswordFirst": PIN });
    for key in ["", "\"\"", "a b", "é", &"k".repeat(256)] {
        let call = keyed(&bundle, Method::PUT, SET_PAY_PASSWORD, key).session(&member.token);
        assert_eq!(call.json(&body).await.refusal(), (400, "{IDEMPOTENCY_KEY}_NOT_VALID"), "{key:?}");
    }
    let longest = "k".repeat(255);
    keyed(&bundle, Method::PUT, SET_PAY_PASSWORD, &longest).session(&member.token).json(&body).await.ok();
}

#[tokio::test]
async fn stored_responses_are_encrypted_and_last_one_day() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let requested = bundle.request_sms_code(None, PHONE).await;
    let body = json!({ "verification": requested.0, "message": requested.1 });
    let grant = keyed(&bundle, Method::POST, RECOVERY, KEY).json(&body).await.ok();
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": "a-brand-new-password" });
    let changed = keyed(&bundle, Method::PUT, CHANGE, KEY).session(&member.token).json(&body).await.ok();
    let items = json!(bundle.items().await).to_string();
    for secret in
        [grant.verification(), changed.token(), &requested.0, KEY, OLD_PASSWORD, "a-brand-new-password"]
    {
        assert!(!items.contains(secret), "{secret}");
    }
    bundle.age("idempotency#", 86_400).await;
    let change = keyed(&bundle, Method::PUT, CHANGE, KEY).session(&member.token).json(&body).await;
    assert_eq!(change.refusal(), (401, "INVALID_TOKEN"));
}

/// Returns the call of a change with an idempotency key.
fn keyed_change(change: &PreparedChange, bundle: &Bundle) -> Call {
    change.call(bundle).header("Idempotency-Key", &change.member.id)
}

#[tokio::test]
async fn response_lost_after_its_change_is_replayed() {
    let (proxy, bundle) = Proxy::between(STORE, &MANY).await;
    for kind in ChangeKind::ALL {
        let change = PreparedChange::new(kind, &bundle).await;
        proxy.fault(On::all("TransactWriteItems").about(&change.member.id), InjectedFault::DropAfter);
        let first = keyed_change(&change, &bundle).send().await;
        proxy.heal();
        let second = keyed_change(&change, &bundle).send().await.ok();
        // After the last retry of the transaction, the request itself reads its outcome.
        assert_same(&first.ok(), &second);
    }
}

#[tokio::test]
async fn repeat_after_a_crash_returns_the_true_outcome() {
    let (proxy, bundle) = Proxy::between(STORE, &MANY).await;
    for (fault, is_made) in [(InjectedFault::HangAfter, true), (InjectedFault::HangBefore, false)] {
        let change = PreparedChange::new(ChangeKind::PasswordByMessage, &bundle).await;
        proxy.fault(On::nth("TransactWriteItems", 1), fault);
        let die = async {
            proxy.wait_for_hang().await;
            bundle.stack.kill(change.function).unwrap();
        };
        let (died, ()) = tokio::join!(keyed_change(&change, &bundle).send(), die);
        assert_eq!(died.status, 502);
        proxy.heal();
        if !is_made {
            // The claim of the dead function has not expired yet.
            assert_eq!(keyed_change(&change, &bundle).send().await.refusal(), (503, "SERVICE_BUSY"));
            bundle.age("idempotency#", 60).await;
        }
        let response = keyed_change(&change, &bundle).send().await.ok();
        assert_same(&response, &keyed_change(&change, &bundle).send().await.ok());
        assert_eq!(audit_count(&bundle, &change.member).await, 1);
    }
}

#[tokio::test]
async fn send_succeeds_even_if_its_response_is_unstored() {
    let (proxy, bundle) = Proxy::between(STORE, &[]).await;
    let member = bundle.member().await;
    // The first transaction stores the code. The others are the attempts to store the response.
    for n in 2..=4 {
        proxy.fault(On::nth("TransactWriteItems", n), InjectedFault::Refuse("ThrottlingException"));
    }
    keyed(&bundle, Method::POST, SEND, KEY).session(&member.token).send().await.ok();
    assert!(
        bundle.stack.log_lines().iter().any(|line| line.text.contains("could not be stored for repetitions"))
    );
}
