//! `Idempotency-Key`: a repeated request has one effect and returns the stored response.

use crate::{
    bundle::{
        BIND_PHONE, Bundle, CHANGE, CHANGE_BY_MESSAGE, Call, CookieJar, EMAIL, Member, NEW_PASSWORD, NEW_PIN,
        OLD_PASSWORD, OTHER_EMAIL, OTHER_PHONE, PHONE, PIN, RECOVERY, RESET_PAY_PASSWORD, Response, SEND,
        SEND_CODE, SEND_MAIL, SET_PAY_PASSWORD, UPDATE_PAY_PASSWORD, VERIFY_MAIL, wrong_code,
    },
    changes::{ChangeKind, MANY, PreparedChange},
    proxy::{InjectedFault, On, Proxy, STORE},
};
use reqwest::Method;
use serde_json::{Value, json};
use shared::session::Claims;
use std::time::Duration;

const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";

/// Returns a call with this idempotency key.
fn keyed(bundle: &Bundle, method: Method, path: &str, key: &str) -> Call {
    bundle.call(method, path).header("Idempotency-Key", key)
}

/// Returns the text of a response without its session, and the claims of that session.
fn without_session(bundle: &Bundle, response: &Response) -> (String, Option<Claims>) {
    let token = response.body["token"].as_str();
    let text = token.map_or_else(|| response.text.clone(), |token| response.text.replace(token, ""));
    (text, token.map(|token| bundle.claims(token)))
}

/// Asserts that two responses are equal except for the request id, and for when and how the session was signed.
fn assert_same(bundle: &Bundle, first: &Response, second: &Response) {
    let [one, other] = [first, second].map(|response| (response.status, without_session(bundle, response)));
    assert_eq!(one, other);
    for name in ["set-cookie", "retry-after", "content-type"] {
        assert_eq!(first.headers.get(name), second.headers.get(name), "{name}");
    }
    for response in [first, second] {
        let session = response.body["token"].as_str().map(|token| format!("Bearer {token}"));
        let header = response.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header, session);
    }
    assert_ne!(first.headers["x-request-id"], second.headers["x-request-id"]);
}

/// Returns the idempotency items.
async fn stored(bundle: &Bundle) -> Vec<Value> {
    let is_stored = |item: &Value| item["pk"]["S"].as_str().unwrap().starts_with("idempotency#");
    bundle.items().await.into_iter().filter(is_stored).collect()
}

async fn audit_count(bundle: &Bundle, member: &Member) -> usize {
    bundle.inspect(member).await["audit"].as_array().unwrap().len()
}

#[tokio::test]
async fn repeated_send_sends_one_message() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let sms = || keyed(&bundle, Method::POST, SEND, KEY).session(&member.token);
    assert_same(&bundle, &sms().send().await.ok(), &sms().send().await.ok());
    assert_eq!(bundle.stack.messages().len(), 1);

    let email = || {
        keyed(&bundle, Method::POST, SEND_MAIL, "2").session(&member.token).query(&[("email", OTHER_EMAIL)])
    };
    let (first, second) = (email().send().await.ok(), email().send().await.ok());
    assert_same(&bundle, &first, &second);
    let body = json!({ "verification": second.verification(), "code": bundle.code_to(OTHER_EMAIL).await });
    bundle.call(Method::POST, VERIFY_MAIL).json(&body).await.ok();
    assert_eq!(bundle.sent_to(OTHER_EMAIL).await.iter().filter(|message| message.code.is_some()).count(), 1);
}

#[tokio::test]
async fn anonymous_send_without_verification_is_not_replayed() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    let send = |phone: &'static str, key: &'static str| {
        keyed(&bundle, Method::GET, SEND_CODE, key).query(&[("phone", phone)]).send()
    };
    let first = send(PHONE, "1").await.ok();
    assert_eq!(send(PHONE, "1").await.refusal(), (429, "SEND_MESSAGE_FREQUENTLY"));
    // A neighbor behind the same address is not hindered by the same key.
    let other = send(OTHER_PHONE, "1").await.ok();
    assert_ne!(first.verification(), other.verification());
    assert_eq!(send("no-phone", "1").await.refusal(), (400, "{PHONE}_NOT_VALID"));
    assert_eq!(send(PHONE, "").await.refusal(), (400, "{IDEMPOTENCY_KEY}_NOT_VALID"));
    assert_eq!(stored(&bundle).await, [Value::Null; 0]);
}

#[tokio::test]
async fn repeated_browser_calls_have_one_effect() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let mut jar = CookieJar::new();
    // A code that the browser requested earlier has set a cookie.
    jar.store(&bundle.call(Method::GET, SEND_CODE).query(&[("phone", OTHER_PHONE)]).send().await.ok());
    let mut twice = async |method: Method, path: &str, body: Value| {
        // The browser that lost the first response has no new cookie yet.
        let call = || keyed(&bundle, method.clone(), path, path).cookies(&jar).with_json(&body).send();
        let (first, second) = (call().await.ok(), call().await.ok());
        assert_same(&bundle, &first, &second);
        jar.store(&second);
    };
    twice(Method::GET, SEND_CODE, json!({ "phone": PHONE })).await;
    let code = bundle.code_to("+8613627140483").await;
    twice(Method::POST, RECOVERY, json!({ "message": code })).await;
    let body = json!({ "phone": PHONE, "passwordFirst": NEW_PASSWORD });
    let recover = |key| keyed(&bundle, Method::PUT, RECOVERY, key).cookies(&jar).json(&body);
    let (first, second) = (recover("recover").await.ok(), recover("recover").await.ok());
    assert_same(&bundle, &first, &second);
    assert_eq!(recover("another").await.refusal(), (400, "{VERIFICATION}_NOT_VALID"));
    assert_eq!(audit_count(&bundle, &member).await, 1);
    assert!(bundle.has_password(&member, NEW_PASSWORD).await);
}

#[tokio::test]
async fn cookie_identifies_the_caller_without_a_session() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    let (victim, code) = bundle.request_sms_code(None, PHONE).await;
    let neighbor = bundle.call(Method::GET, SEND_CODE).query(&[("phone", OTHER_PHONE)]).send().await.ok();
    let exchange = |cookie: Option<&str>| {
        let call = keyed(&bundle, Method::POST, RECOVERY, "1");
        let call = match cookie {
            Some(cookie) => call.header("Cookie", &format!("verification={cookie}")),
            None => call,
        };
        call.with_json(&json!({ "message": code })).send()
    };
    let first = exchange(Some(&victim)).await.ok();
    // Neither the address nor the key yields the grant.
    assert_eq!(exchange(None).await.refusal(), (400, "{VERIFICATION}_REQUIRED"));
    assert_eq!(exchange(Some(neighbor.verification())).await.refusal(), (400, "{CODE}_NOT_VALID"));
    assert_same(&bundle, &first, &exchange(Some(&victim)).await.ok());
}

#[tokio::test]
async fn refusal_of_a_stale_cookie_is_temporary() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    let grant = bundle.grant(&bundle.request_sms_code(None, PHONE).await).await;
    let recover = |cookie: &str| {
        let call = keyed(&bundle, Method::PUT, RECOVERY, "2");
        let call = call.header("Cookie", &format!("verification={cookie}"));
        call.with_json(&json!({ "phone": PHONE, "passwordFirst": NEW_PASSWORD })).send()
    };
    let stale = "x".repeat(grant.len());
    assert_eq!(recover(&stale).await.refusal(), (400, "{VERIFICATION}_NOT_VALID"));
    recover(&grant).await.ok();
}

#[tokio::test]
async fn request_includes_the_cookie() {
    let bundle = Bundle::start().await;
    let member = bundle.member_with(json!({ "phone": PHONE, "payPassword": PIN })).await;
    let grant = bundle.grant(&bundle.request_sms_code(Some(&member), PHONE).await).await;
    let reset = |cookie: &str| {
        let call = keyed(&bundle, Method::PUT, RESET_PAY_PASSWORD, "1").session(&member.token);
        let call = call.header("Cookie", &format!("verification={cookie}"));
        call.with_json(&json!({ "phone": PHONE })).send()
    };
    let first = reset(&grant).await.ok();
    assert_eq!(reset(&"x".repeat(grant.len())).await.refusal(), (422, "IDEMPOTENCY_KEY_REUSED"));
    assert_same(&bundle, &first, &reset(&grant).await.ok());

    let exchange = |cookie: &str| {
        let call = keyed(&bundle, Method::POST, RECOVERY, "2");
        let call = call.header("Cookie", &format!("verification={cookie}"));
        call.with_json(&json!({ "verification": grant, "message": "111111" })).send()
    };
    assert_eq!(exchange("1").await.refusal(), (400, "{VERIFICATION}_NOT_VALID"));
    assert_eq!(exchange("2").await.refusal(), (422, "IDEMPOTENCY_KEY_REUSED"));
}

#[tokio::test]
async fn repeated_change_applies_once_with_an_equal_session() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    let change =
        |token: &str| keyed(&bundle, Method::PUT, CHANGE, KEY).session(token).with_json(&body).send();
    let first = change(&member.token).await.ok();
    // The change has revoked the session of the repeated request.
    assert_same(&bundle, &first, &change(&member.token).await.ok());
    assert_eq!(audit_count(&bundle, &member).await, 1);
    // The renewed session has other credentials, so it is another caller.
    assert_eq!(change(first.token()).await.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
    let ended = bundle.call(Method::PUT, CHANGE).session(&member.token).json(&body).await;
    assert_eq!(ended.refusal(), (401, "INVALID_TOKEN"), "without the key this is a new request");
}

#[tokio::test]
async fn replay_issues_the_session_again() {
    let bundle = Bundle::start().await;
    let member = bundle.logged_in(&bundle.member().await, 3_600).await;
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    let change = || keyed(&bundle, Method::PUT, CHANGE, KEY).session(&member.token).json(&body);
    let first = change().await.ok();
    // The signature covers the second of the issue.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let second = change().await.ok();
    assert_ne!(first.token(), second.token());
    let (original, renewed) = (bundle.claims(&member.token), bundle.claims(second.token()));
    assert_eq!((renewed.member, renewed.auth_time), (original.member, original.auth_time));
    assert_eq!(renewed.credential_version, original.credential_version + 1);
    bundle.call(Method::POST, SEND).session(second.token()).send().await.ok();

    let set = || {
        let call = keyed(&bundle, Method::PUT, SET_PAY_PASSWORD, KEY).session(second.token());
        call.with_json(&json!({ "payPasswordFirst": PIN })).send()
    };
    let first = set().await.ok();
    // A session that is revoked later remains revoked.
    let body = json!({ "oldPassword": NEW_PASSWORD, "newPasswordFirst": "another-good-password" });
    bundle.call(Method::PUT, CHANGE).session(first.token()).json(&body).await.ok();
    let replayed = set().await.ok();
    let dead = bundle.call(Method::POST, SEND).session(replayed.token()).send().await;
    assert_eq!(dead.refusal(), (401, "INVALID_TOKEN"));
}

#[tokio::test]
async fn keys_of_a_revoked_session_are_separate() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    let changed = bundle.call(Method::PUT, CHANGE).session(&member.token).json(&body).await.ok();
    let send = |token: &str| keyed(&bundle, Method::POST, SEND, "7").session(token).send();
    send(changed.token()).await.ok();
    assert_eq!(send(&member.token).await.refusal(), (401, "INVALID_TOKEN"));
}

#[tokio::test]
async fn keys_of_another_login_are_separate() {
    let bundle = Bundle::start().await;
    let fresh = bundle.member().await;
    let old = bundle.logged_in(&fresh, 20 * 86_400).await;
    let send = |member: &Member| {
        let call = keyed(&bundle, Method::GET, SEND_CODE, "1").session(&member.token);
        call.query(&[("phone", PHONE)]).send()
    };
    send(&fresh).await.ok();
    assert_eq!(send(&old).await.refusal(), (429, "SEND_MESSAGE_FREQUENTLY"));
    bundle.age("sent#phone#", 120).await;
    let response = send(&old).await.ok();
    assert_eq!(bundle.claims(response.token()), bundle.claims(&old.token));

    let (_, code) = bundle.request_sms_code(Some(&old), OTHER_PHONE).await;
    let bind = bundle.call(Method::PUT, BIND_PHONE).session(response.token());
    let refused = bind.json(&json!({ "phone": OTHER_PHONE, "message": code })).await;
    assert_eq!(refused.refusal(), (403, "REAUTHENTICATION_REQUIRED"));
}

#[tokio::test]
async fn repeated_code_is_consumed_once() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (phone_info, code) = bundle.request_change_code(&member).await;
    let body = json!({ "phoneInfo": phone_info, "code": code, "newPassword": NEW_PASSWORD });
    let change = || keyed(&bundle, Method::POST, CHANGE_BY_MESSAGE, "1").session(&member.token).json(&body);
    let first = change().await.ok();
    assert_same(&bundle, &first, &change().await.ok());

    let (verification, code) = bundle.request_email_code(None, EMAIL).await;
    let body = json!({ "verification": verification, "code": code });
    let verify = || keyed(&bundle, Method::POST, VERIFY_MAIL, "2").json(&body);
    let first = verify().await.ok();
    assert_same(&bundle, &first, &verify().await.ok());

    let (_, code) = bundle.request_sms_code(Some(&bundle.logged_in(&member, 0).await), OTHER_PHONE).await;
    let member = bundle.logged_in(&member, 0).await;
    let body = json!({ "phone": OTHER_PHONE, "message": code });
    let bind = || keyed(&bundle, Method::PUT, BIND_PHONE, "3").session(&member.token).json(&body);
    let first = bind().await.ok();
    assert_same(&bundle, &first, &bind().await.ok());
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

/// Sets the first pay password under [`KEY`] and returns a call that guesses it.
async fn guessable(bundle: &Bundle, member: &Member) -> impl AsyncFn(&str) -> Response {
    let guess = async move |pin: &str| {
        let call = keyed(bundle, Method::PUT, SET_PAY_PASSWORD, KEY).session(&member.token);
        call.json(&json!({ "payPasswordFirst": pin })).await
    };
    guess(PIN).await.ok();
    guess
}

#[tokio::test]
async fn five_mismatches_lock_the_key() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let guess = guessable(&bundle, &member).await;
    for n in 0..5 {
        assert_eq!(guess(&format!("40826{n}")).await.refusal(), (422, "IDEMPOTENCY_KEY_REUSED"), "{n}");
        // A repetition of the first request is not a mismatch.
        assert_eq!(guess(PIN).await.status, if n < 4 { 201 } else { 429 });
    }
    for pin in [PIN, NEW_PIN] {
        let refused = guess(pin).await;
        assert_eq!(refused.refusal(), (429, "TOO_MANY_ATTEMPTS"));
        let retry_after = refused.body["retryAfter"].as_u64().unwrap();
        assert!((86_300..=86_400).contains(&retry_after), "{retry_after}");
    }
    bundle.age("idempotency#", 86_400).await;
    assert_eq!(guess(PIN).await.refusal(), (409, "PAY_PASSWORD_ALREADY_SET"));
}

#[tokio::test]
async fn concurrent_mismatches_are_counted_exactly() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let guess = guessable(&bundle, &member).await;
    let pins: Vec<_> = (100..120).map(|n| format!("739{n}")).collect();
    let responses =
        bundle.concurrently("set-pay-password", pins.len(), async |n| guess(&pins[n]).await).await;
    let count = |refusal| responses.iter().filter(|response| response.refusal() == refusal).count();
    assert_eq!(count((422, "IDEMPOTENCY_KEY_REUSED")), 5);
    assert_eq!(count((429, "TOO_MANY_ATTEMPTS")), 15);
}

#[tokio::test]
async fn mismatch_counts_once_despite_a_lost_response() {
    let (proxy, bundle) = Proxy::between(STORE, &[]).await;
    let member = bundle.member().await;
    let guess = guessable(&bundle, &member).await;
    proxy.fault(On::nth("UpdateItem", 1), InjectedFault::DropAfter);
    for n in 0..5 {
        assert_eq!(guess(&format!("40826{n}")).await.refusal(), (422, "IDEMPOTENCY_KEY_REUSED"), "{n}");
    }
    assert_eq!(guess(NEW_PIN).await.refusal(), (429, "TOO_MANY_ATTEMPTS"));
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
            assert_eq!(without_session(&bundle, response), without_session(&bundle, first));
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
        assert_same(&bundle, &first.ok(), &second);
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
        assert_same(&bundle, &response, &keyed_change(&change, &bundle).send().await.ok());
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
