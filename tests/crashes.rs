//! A function that dies between two requests to the store leaves a change wholly made or not at all.

use crate::{
    changes::{Change, Kind, MANY, Table, whole},
    proxy::{ANY, Fault, On, Proxy, STORE},
};

/// Kills the function at each request of such a change: before the store has it, and after the store did it.
async fn dies(kinds: &[Kind]) {
    let (proxy, bundle) = Proxy::between(STORE, &MANY).await;
    for &kind in kinds {
        let whole = whole(kind, &bundle).await;
        for fault in [Fault::HangBefore, Fault::HangAfter] {
            for n in 1.. {
                let change = Change::of(kind, &bundle).await;
                let before = Table::of(&bundle).await;
                proxy.requests();
                proxy.fault(On::nth(ANY, n), fault);
                let mut call = Box::pin(change.make(&bundle));
                tokio::select! {
                    answer = &mut call => {
                        answer.ok();
                        assert!(n > 2, "{kind:?} takes two requests at least");
                        break;
                    }
                    () = proxy.held() => bundle.stack.kill(change.function).unwrap(),
                }
                let at = format!("{kind:?}: {fault:?} {n}");
                assert_eq!(call.await.status, 502, "{at}");
                proxy.heal();
                let mut requests = proxy.requests();
                if fault == Fault::HangBefore {
                    requests.pop();
                }
                let is_made = requests.iter().any(|request| request == "TransactWriteItems");
                let expected = if is_made { whole.clone() } else { Vec::new() };
                assert_eq!(before.changed(&bundle).await, expected, "{at}: {requests:?}");

                // Made again, it happens if it did not happen, and never twice.
                let again = change.make(&bundle).await;
                assert_eq!(again.status.is_success(), !is_made, "{at}: {}", again.text);
                assert!(!again.status.is_server_error(), "{at}: {}", again.text);
                assert_eq!(before.changed(&bundle).await, whole, "{at}: made again");
            }
            proxy.heal();
        }
    }
}

#[tokio::test]
async fn password_change_is_atomic_at_every_crash() {
    dies(&[Kind::PasswordByMessage, Kind::PasswordByOld, Kind::PasswordByGrant]).await;
}

#[tokio::test]
async fn binding_is_atomic_at_every_crash() {
    dies(&[Kind::PhoneBound, Kind::PhoneReplaced, Kind::MailBound]).await;
}

#[tokio::test]
async fn pay_password_change_is_atomic_at_every_crash() {
    use Kind::{PayPasswordByCode, PayPasswordByGrant, PayPasswordByOld, PayPasswordSet};
    dies(&[PayPasswordSet, PayPasswordByOld, PayPasswordByCode, PayPasswordByGrant]).await;
}

#[tokio::test]
async fn code_exchange_is_atomic_at_every_crash() {
    dies(&[Kind::SmsForGrant, Kind::MailForGrant]).await;
}
