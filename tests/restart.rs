//! The store's file, after the store ends during calls and starts again.

use crate::{
    bundle::{Bundle, Member},
    changes::{ChangeKind, MANY, PreparedChange},
};
use serde_json::Value;
use std::{env, fs};
use tokio::task::JoinSet;

/// Whether the member's pay password is set. Asserts that its audit record and two notices exist if it is, and only
/// then.
fn is_set(items: &[Value], member: &Member) -> bool {
    let keys = ["member", "audit"].map(|kind| format!("{kind}#{}", member.id));
    let of_member: Vec<_> =
        items.iter().filter(|item| keys.iter().any(|key| item["pk"]["S"] == *key)).collect();
    let is_set =
        of_member.iter().any(|item| item["sk"]["S"] == "member" && item["pay_password"]["S"].is_string());
    let notices = items.iter().filter(|item| item["sk"]["S"] == "notice" && item["member"]["S"] == member.id);
    let expected = if is_set { (2, 2) } else { (1, 0) };
    assert_eq!((of_member.len(), notices.count()), expected, "{of_member:#?}");
    is_set
}

#[tokio::test]
async fn acknowledged_changes_survive_a_crash_and_are_atomic() {
    let folder = env::temp_dir().join(format!("restart-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    let (data, keys) = (folder.join("data"), local::keys::fresh());
    let bundle = Bundle::with_data(&MANY, &data, &keys).await;
    let mut changes = Vec::new();
    for _ in 0..12 {
        changes.push(PreparedChange::new(ChangeKind::PayPasswordSet, &bundle).await);
    }
    let mut calls = JoinSet::new();
    for (number, change) in changes.iter().enumerate() {
        let call = change.call(&bundle);
        calls.spawn(
            async move { (number, call.try_send().await.is_ok_and(|response| response.status == 201)) },
        );
    }
    let mut acknowledged: Vec<_> = Vec::new();
    for _ in 0..3 {
        acknowledged.push(calls.join_next().await.unwrap().unwrap());
    }
    drop(bundle);
    acknowledged.extend(calls.join_all().await);

    let bundle = Bundle::with_data(&MANY, &data, &keys).await;
    let items = bundle.items().await;
    for (number, was_acknowledged) in acknowledged {
        let change = &changes[number];
        let is_set = is_set(&items, &change.member);
        assert!(is_set || !was_acknowledged, "{number} is lost");
        let again = change.commit(&bundle).await;
        assert_eq!(again.status.as_u16(), if is_set { 409 } else { 201 }, "{}", again.text);
    }
    drop(bundle);
    fs::remove_dir_all(folder).unwrap();
}
