//! Crashes: a function that dies between two requests to the store leaves a change complete or not made.

use crate::{
    changes::{ChangeKind, MANY, PreparedChange, TableSnapshot, complete_effect},
    proxy::{ANY, InjectedFault, On, Proxy, STORE},
};

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
