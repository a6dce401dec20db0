//! A store that throttles, conflicts, hangs, is slow, or loses its responses.

use crate::{
    bundle::{BIND_PHONE, EMAIL, PHONE, RECOVERY, Response, SEND, SEND_CODE, SEND_MAIL, wrong_code},
    changes::{ChangeKind, MANY, PreparedChange, TableSnapshot, complete_effect},
    proxy::{ANY, InjectedFault, On, Proxy, STORE},
};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

/// The operations of a change in order: read the member, count the attempt, commit the change.
const OPERATIONS: [&str; 3] = ["GetItem", "UpdateItem", "TransactWriteItems"];

const THROTTLED: InjectedFault = InjectedFault::Refuse("ThrottlingException");

/// Limits that allow a single attempt.
const ONE_ATTEMPT: [(&str, &str); 4] = [
    ("CODE_MAX_ATTEMPTS", "1"),
    ("FAILURES_PER_DAY", "1"),
    ("PASSWORD_MAX_FAILURES", "1"),
    ("PAY_PASSWORD_MAX_FAILURES", "1"),
];

/// Asserts that the response reports a busy store and when to retry.
fn assert_busy(response: &Response) {
    assert_eq!(response.refusal(), (503, "SERVICE_BUSY"), "{}", response.text);
    let seconds = response.body["retryAfter"].as_u64().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(response.headers["retry-after"], seconds.to_string());
}

#[tokio::test]
async fn lost_response_repeats_neither_attempt_nor_change() {
    let (proxy, bundle) = Proxy::between(STORE, &[&MANY[..], &ONE_ATTEMPT].concat()).await;
    for kind in ChangeKind::ALL {
        proxy.heal();
        proxy.requests();
        let effect = complete_effect(kind, &bundle).await;
        for n in 1.. {
            let change = PreparedChange::new(kind, &bundle).await;
            let before = TableSnapshot::take(&bundle).await;
            proxy.requests();
            proxy.fault(On::nth(ANY, n), InjectedFault::DropAfter);
            let response = change.commit(&bundle).await;
            let requests = proxy.requests();
            assert!(response.status.is_success(), "{kind:?} {n}: {} {requests:?}", response.text);
            assert_eq!(before.diff(&bundle).await, effect, "{kind:?} {n}: {requests:?}");
            proxy.heal();
            if requests.len() < n {
                break;
            }
        }
    }
}

#[tokio::test]
async fn lost_response_at_window_start_counts_one_attempt() {
    let (proxy, bundle) = Proxy::between(STORE, &[&MANY[..], &ONE_ATTEMPT].concat()).await;
    let change = PreparedChange::new(ChangeKind::PayPasswordByOld, &bundle).await;
    let wrong = json!({ "oldPassword": "111111", "payPasswordFirst": "408261" });
    let call = bundle.call(Method::PUT, crate::bundle::UPDATE_PAY_PASSWORD).session(&change.member.token);
    assert_eq!(call.json(&wrong).await.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
    assert_eq!(change.commit(&bundle).await.refusal(), (429, "TOO_MANY_ATTEMPTS"));
    bundle.age("failures#", 10_800).await;
    // The first update finds that the window has expired, and the second begins a new one. The last counts in the day.
    proxy.requests();
    proxy.fault(On::nth("UpdateItem", 2), InjectedFault::DropAfter);
    change.commit(&bundle).await.ok();
    assert_eq!(proxy.requests().iter().filter(|request| *request == "UpdateItem").count(), 4);
}

#[tokio::test]
async fn wrong_attempt_with_lost_response_counts_once() {
    let (proxy, bundle) = Proxy::between(STORE, &[]).await;
    bundle.member().await;
    let (verification, code) = bundle.request_sms_code(None, PHONE).await;
    for (n, left) in [(1, 4), (2, 3), (3, 2)] {
        proxy.fault(On::nth("UpdateItem", n), InjectedFault::DropAfter);
        let body = json!({ "verification": verification, "message": wrong_code(&code) });
        let refused = bundle.call(Method::POST, crate::bundle::RECOVERY).json(&body).await;
        assert_eq!(
            (refused.refusal(), &refused.body["attemptsLeft"]),
            ((400, "{CODE}_NOT_VALID"), &json!(left))
        );
        proxy.heal();
    }
    let failures = bundle.item("failures#phone#+8613627140483#60", "counter").await;
    assert_eq!(failures["count"]["N"], "3");
}

#[tokio::test]
async fn send_with_lost_store_response_sends_one_code() {
    let (proxy, bundle) = Proxy::between(STORE, &[&MANY[..], &[("SENDS_PER_HOUR", "10")]].concat()).await;
    let member = bundle.member().await;
    proxy.fault(On::nth("TransactWriteItems", 1), InjectedFault::DropAfter);
    bundle.call(Method::POST, SEND).session(&member.token).send().await.ok();
    assert_eq!(bundle.stack.messages().len(), 1);
    // The requests of the send, the lookup of the owner, and the writes of the outbox.
    for n in 1..=6 {
        bundle.age("sent#phone#", 120).await;
        proxy.heal();
        proxy.fault(On::nth(ANY, n), InjectedFault::DropAfter);
        let sent = bundle.stack.messages().len();
        let requested = bundle.request_sms_code(None, PHONE).await;
        assert_eq!(bundle.stack.messages().len(), sent + 1, "{n}");
        proxy.heal();
        bundle.grant(&requested).await;
    }
}

#[tokio::test]
async fn transient_throttling_and_conflicts_are_retried() {
    let (proxy, bundle) = Proxy::between(STORE, &MANY).await;
    for code in ["ThrottlingException", "ProvisionedThroughputExceededException", "InternalServerError"] {
        for operation in OPERATIONS {
            let change = PreparedChange::new(ChangeKind::PasswordByMessage, &bundle).await;
            proxy.fault(On::first(operation, 2), InjectedFault::Refuse(code));
            change.commit(&bundle).await.ok();
            proxy.heal();
        }
    }
    for (operation, fault) in [
        ("TransactWriteItems", InjectedFault::Conflict),
        ("TransactWriteItems", InjectedFault::Refuse("TransactionInProgressException")),
        ("TransactWriteItems", InjectedFault::DropBefore),
        // A single write conflicts with a transaction.
        ("UpdateItem", InjectedFault::Refuse("TransactionConflictException")),
    ] {
        let change = PreparedChange::new(ChangeKind::PasswordByMessage, &bundle).await;
        proxy.fault(On::first(operation, 2), fault);
        change.commit(&bundle).await.ok();
        proxy.heal();
    }
}

#[tokio::test]
async fn permanently_refusing_store_is_busy_without_a_change() {
    let (proxy, bundle) = Proxy::between(STORE, &MANY).await;
    for operation in OPERATIONS {
        let change = PreparedChange::new(ChangeKind::PasswordByMessage, &bundle).await;
        let before = TableSnapshot::take(&bundle).await;
        proxy.fault(On::all(operation), THROTTLED);
        assert_busy(&change.commit(&bundle).await);
        assert!(before.diff(&bundle).await.is_empty(), "{operation}");
        proxy.heal();
        change.commit(&bundle).await.ok();
    }
    let sends = [
        (Method::GET, SEND_CODE, json!({ "phone": PHONE })),
        (Method::POST, SEND_MAIL, json!({ "email": EMAIL })),
    ];
    for (method, path, body) in sends {
        proxy.fault(On::all(ANY), THROTTLED);
        assert_busy(&bundle.call(method.clone(), path).json(&body).await);
        proxy.heal();
        bundle.call(method, path).json(&body).await.ok();
    }
}

#[tokio::test]
async fn lasting_contention_is_the_callers_refusal() {
    let (proxy, bundle) = Proxy::between(STORE, &MANY).await;
    bundle.member().await;
    let change = PreparedChange::new(ChangeKind::PasswordByMessage, &bundle).await;
    let (verification, code) = bundle.request_sms_code(None, PHONE).await;
    bundle.age("sent#", 120).await;
    let before = TableSnapshot::take(&bundle).await;
    proxy.fault(On::all("TransactWriteItems"), InjectedFault::Conflict);
    let refused = change.commit(&bundle).await;
    assert_eq!(refused.refusal(), (429, "TOO_MANY_CHANGES"));
    assert_eq!(refused.body["retryAfter"], 1);
    for (method, path, body) in [
        (Method::GET, SEND_CODE, json!({ "phone": PHONE })),
        (Method::POST, SEND_MAIL, json!({ "email": EMAIL })),
    ] {
        let refused = bundle.call(method, path).json(&body).await;
        assert_eq!(refused.refusal(), (429, "SEND_MESSAGE_FREQUENTLY"), "{path}");
    }
    assert!(before.diff(&bundle).await.is_empty());
    let body = json!({ "message": code, "verification": verification });
    let exchange = bundle.call(Method::POST, RECOVERY).json(&body).await;
    assert_eq!(exchange.refusal(), (429, "TOO_MANY_ATTEMPTS"));
    proxy.heal();
    change.commit(&bundle).await.ok();
}

#[tokio::test]
async fn hanging_store_is_busy_without_a_change() {
    let (proxy, bundle) = Proxy::between(STORE, &MANY).await;
    let mut changes = Vec::new();
    for operation in OPERATIONS {
        let change = PreparedChange::new(ChangeKind::PasswordByMessage, &bundle).await;
        proxy.fault(On::all(operation).about(&change.member.id), InjectedFault::HangBefore);
        changes.push(change);
    }
    let before = TableSnapshot::take(&bundle).await;
    let responses = join_all(changes.iter().map(|change| change.commit(&bundle))).await;
    responses.iter().for_each(assert_busy);
    assert!(before.diff(&bundle).await.is_empty());
    proxy.heal();
    for change in changes {
        change.commit(&bundle).await.ok();
    }
}

#[tokio::test]
async fn change_without_any_confirmation_is_applied_once() {
    let (proxy, bundle) = Proxy::between(STORE, &MANY).await;
    let effect = complete_effect(ChangeKind::PasswordByMessage, &bundle).await;
    let change = PreparedChange::new(ChangeKind::PasswordByMessage, &bundle).await;
    let before = TableSnapshot::take(&bundle).await;
    proxy.fault(On::all("TransactWriteItems"), InjectedFault::DropAfter);
    assert_busy(&change.commit(&bundle).await);
    proxy.heal();
    assert_eq!(before.diff(&bundle).await, effect);
    assert_eq!(change.commit(&bundle).await.refusal(), (401, "INVALID_TOKEN"));
}

/// Just below the timeout after which the SDK retries a request.
const SLOW: InjectedFault = InjectedFault::Delay(Duration::from_millis(1_900));

#[tokio::test]
async fn slow_store_is_awaited_within_the_function_timeout() {
    let (proxy, bundle) = Proxy::between(STORE, &MANY).await;
    let slow = PreparedChange::new(ChangeKind::PasswordByMessage, &bundle).await;
    let slow_and_busy = PreparedChange::new(ChangeKind::PhoneReplaced, &bundle).await;
    proxy.fault(On::all(ANY), SLOW);
    proxy.fault(On::all("TransactWriteItems").about(&slow_and_busy.member.id), InjectedFault::Conflict);
    let (changed, busy) = tokio::join!(slow.commit(&bundle), slow_and_busy.commit(&bundle));
    // On a busy machine a request may time out. The response must then report it.
    if !changed.status.is_success() {
        assert_busy(&changed);
    }
    assert_busy(&busy);
    proxy.heal();
    assert_eq!(bundle.inspect(&slow_and_busy.member).await["audit"], json!([]));
    slow_and_busy.commit(&bundle).await.ok();
}

#[tokio::test]
async fn proof_that_expires_during_a_retry_is_refused() {
    let (proxy, bundle) = Proxy::between(STORE, &MANY).await;
    for (kind, proof, symbol) in [
        (ChangeKind::PasswordByMessage, "code#", "{CODE}_NOT_VALID"),
        (ChangeKind::PasswordByGrant, "grant#", "{VERIFICATION}_NOT_VALID"),
    ] {
        let change = PreparedChange::new(kind, &bundle).await;
        let before = TableSnapshot::take(&bundle).await;
        // The proof is valid when it is read, expires, and is then consumed by the retried transaction.
        proxy.fault(On::nth("TransactWriteItems", 1), InjectedFault::HangBefore);
        let age = async {
            proxy.wait_for_hang().await;
            bundle.age(proof, 600).await;
        };
        let (refused, ()) = tokio::join!(change.commit(&bundle), age);
        assert_eq!(refused.refusal(), (400, symbol));
        assert!(before.diff(&bundle).await.iter().all(|line| line.starts_with(&proof[..4])), "{kind:?}");
        proxy.heal();
    }
}

#[tokio::test]
async fn change_after_a_conflict_counts_one_attempt() {
    let (proxy, bundle) = Proxy::between(STORE, &[&MANY[..], &ONE_ATTEMPT].concat()).await;
    for kind in [ChangeKind::PasswordByMessage, ChangeKind::PhoneReplaced, ChangeKind::PayPasswordByOld] {
        let change = PreparedChange::new(kind, &bundle).await;
        proxy.fault(On::nth("TransactWriteItems", 1), InjectedFault::HangBefore);
        // Another request writes the member after this one has read them, verified its proof and sent its change.
        let conflict = async {
            proxy.wait_for_hang().await;
            let update = json!({
                "Key": { "pk": { "S": format!("member#{}", change.member.id) }, "sk": { "S": "member" } },
                "UpdateExpression": "ADD revision :one",
                "ExpressionAttributeValues": { ":one": { "N": "1" } },
            });
            bundle.dynamodb("UpdateItem", update).await;
        };
        let (response, ()) = tokio::join!(change.commit(&bundle), conflict);
        assert!(response.status.is_success(), "{kind:?}: {}", response.text);
        proxy.heal();
    }
}

#[tokio::test]
async fn replacement_after_a_conflicting_replacement_is_refused() {
    let (proxy, bundle) = Proxy::between(STORE, &MANY).await;
    let member = bundle.member().await;
    let bind = async |phone: &str, code: &str| {
        let body = json!({ "phone": phone, "message": code });
        bundle.call(Method::PUT, BIND_PHONE).session(&member.token).json(&body).await
    };
    let (first, second) = ("13800138001", "13800138002");
    let (_, first_code) = bundle.request_sms_code(Some(&member), first).await;
    let (_, second_code) = bundle.request_sms_code(Some(&member), second).await;
    proxy.fault(On::nth("TransactWriteItems", 1), InjectedFault::HangBefore);
    let replace_first = async {
        proxy.wait_for_hang().await;
        bind(second, &second_code).await.ok();
    };
    let (replaced, ()) = tokio::join!(bind(first, &first_code), replace_first);
    // The code was requested to replace another phone than the member has now.
    assert_eq!(replaced.refusal(), (400, "{CODE}_NOT_VALID"));
    assert_eq!(bundle.owner(&format!("phone#+86{first}")).await, None);
    assert_eq!(bundle.owner(&format!("phone#+86{second}")).await, Some(member.id));
}
