//! Crashes: a function that dies between two requests to the store leaves a change complete or not made.

use crate::{
    bundle::{Bundle, PIN},
    changes::{ChangeKind, MANY, PreparedChange, TableSnapshot, complete_effect},
    create_member,
    proxy::{ANY, InjectedFault, On, Proxy, STORE},
    receipts,
};
use serde_json::{Value, json};

/// Kills the function at each request of each kind of change: before and after the store executes the request.
async fn assert_atomic(kinds: &[ChangeKind]) {
    let (proxy, bundle) = Box::pin(Proxy::between(STORE, &MANY)).await;
    for &kind in kinds {
        let effect = complete_effect(kind, &bundle).await;
        for fault in [InjectedFault::HangBefore, InjectedFault::HangAfter] {
            for n in 1.. {
                let change = PreparedChange::new(kind, &bundle).await;
                let before = TableSnapshot::take(&bundle).await;
                proxy.requests();
                proxy.fault(On::nth(ANY, n).by(change.function), fault);
                let mut call = Box::pin(change.commit(&bundle));
                tokio::select! {
                    response = &mut call => {
                        response.ok();
                        assert!(n > 2, "{kind:?} makes at least two requests");
                        break;
                    }
                    () = proxy.wait_for_hang() => bundle.stack.kill(change.function).unwrap(),
                }
                let at = format!("{kind:?}: {fault:?} {n}");
                assert_eq!(call.await.status, 502, "{at}");
                proxy.heal();
                let mut requests = proxy.requests();
                if fault == InjectedFault::HangBefore {
                    requests.pop();
                }
                let is_made = requests.iter().any(|request| request == "TransactWriteItems");
                let expected = if is_made { effect.clone() } else { Vec::new() };
                assert_eq!(before.diff(&bundle).await, expected, "{at}: {requests:?}");

                // A repeated call makes the change if it is not made yet, and never twice.
                let again = change.commit(&bundle).await;
                assert_eq!(again.status.is_success(), !is_made, "{at}: {}", again.text);
                assert!(!again.status.is_server_error(), "{at}: {}", again.text);
                assert_eq!(before.diff(&bundle).await, effect, "{at}: repeated");
            }
            proxy.heal();
        }
    }
}

#[tokio::test]
async fn password_change_is_atomic_at_every_crash() {
    assert_atomic(&[ChangeKind::PasswordByMessage, ChangeKind::PasswordByOld, ChangeKind::PasswordByGrant])
        .await;
}

#[tokio::test]
async fn binding_is_atomic_at_every_crash() {
    assert_atomic(&[ChangeKind::PhoneBound, ChangeKind::PhoneReplaced, ChangeKind::MailBound]).await;
}

#[tokio::test]
async fn pay_password_change_is_atomic_at_every_crash() {
    use ChangeKind::{PayPasswordByCode, PayPasswordByGrant, PayPasswordByOld, PayPasswordSet};
    assert_atomic(&[PayPasswordSet, PayPasswordByOld, PayPasswordByCode, PayPasswordByGrant]).await;
}

#[tokio::test]
async fn report_is_atomic_at_every_crash() {
    assert_atomic(&[ChangeKind::ChangeReported]).await;
}

#[tokio::test]
async fn closing_is_atomic_at_every_crash() {
    assert_atomic(&[ChangeKind::ClosedByPassword, ChangeKind::ClosedBySms, ChangeKind::ClosedByMail]).await;
}

#[tokio::test]
async fn code_exchange_is_atomic_at_every_crash() {
    assert_atomic(&[ChangeKind::SmsForGrant, ChangeKind::MailForGrant]).await;
}

/// Kills a function of other services at each request of a call, as for [`assert_atomic`]. `event` prepares the n-th
/// call. The repeated call is a success whose field `first` states whether the killed one had an effect.
async fn assert_atomic_service(
    function: &'static str,
    first: &str,
    event: impl AsyncFn(&Bundle, usize) -> Value,
) {
    let (proxy, bundle) = Box::pin(Proxy::between(STORE, &MANY)).await;
    let uninterrupted = event(&bundle, 0).await;
    let before = TableSnapshot::take(&bundle).await;
    assert_eq!(bundle.invoke(function, &uninterrupted).await.body[first], true);
    let effect = before.diff(&bundle).await;
    let mut calls = 0;
    for fault in [InjectedFault::HangBefore, InjectedFault::HangAfter] {
        for n in 1.. {
            calls += 1;
            let event = event(&bundle, calls).await;
            let before = TableSnapshot::take(&bundle).await;
            proxy.requests();
            proxy.fault(On::nth(ANY, n).by(function), fault);
            let mut call = Box::pin(bundle.invoke(function, &event));
            tokio::select! {
                response = &mut call => {
                    assert_eq!(response.body[first], true, "{}", response.text);
                    assert!(n > 1, "{function} makes at least one request");
                    break;
                }
                () = proxy.wait_for_hang() => bundle.stack.kill(function).unwrap(),
            }
            let at = format!("{function}: {fault:?} {n}");
            assert_ne!(call.await.body["success"], true, "{at}");
            proxy.heal();
            let mut requests = proxy.requests();
            if fault == InjectedFault::HangBefore {
                requests.pop();
            }
            let is_made = requests.iter().any(|request| request == "TransactWriteItems");
            let expected = if is_made { effect.clone() } else { Vec::new() };
            assert_eq!(before.diff(&bundle).await, expected, "{at}: {requests:?}");
            let again = bundle.invoke(function, &event).await;
            assert_eq!(again.body[first], !is_made, "{at}: {}", again.text);
            assert_eq!(before.diff(&bundle).await, effect, "{at}: repeated");
        }
        proxy.heal();
    }
}

#[tokio::test]
async fn spent_receipt_is_atomic_at_every_crash() {
    let event = async |bundle: &Bundle, _| {
        receipts::event(
            &receipts::issue(bundle, &bundle.member_with(json!({ "payPassword": PIN })).await).await,
        )
    };
    assert_atomic_service("spend-receipt", "first", event).await;
}

#[tokio::test]
async fn creation_by_grant_is_atomic_at_every_crash() {
    let event = async |bundle: &Bundle, n| {
        let mut event =
            create_member::event(&create_member::phone_grant(bundle, &format!("1370000{n:04}")).await);
        event["member"] = Value::Null;
        event
    };
    assert_atomic_service("create-member", "created", event).await;
}

#[tokio::test]
async fn vouched_creation_is_atomic_at_every_crash() {
    let event = async |_: &Bundle, n| {
        let mut event = create_member::vouched();
        event["member"] = json!(format!("0192f0c1-7d3a-7c60-b1a5-0d8b0a3f{n:04}"));
        (event["phone"], event["email"]) =
            (json!(format!("1370000{n:04}")), json!(format!("li{n}@example.com")));
        event
    };
    assert_atomic_service("create-member", "created", event).await;
}
