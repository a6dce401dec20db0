//! `members close`: a closing by an operator, and the replay of closings after a restore.

use reqwest::Method;
use serde_json::{Value, json};

use crate::operator::{OTHER_PHONE, Operator, PHONE};

const EMAIL: &str = "li@example.com";

fn li() -> Value {
    json!({ "phone": PHONE, "email": EMAIL, "password": "the-old-password" })
}

/// Returns the items whose partition key has this prefix.
async fn items(operator: &Operator, prefix: &str) -> Vec<Value> {
    let mut items = operator.items().await;
    items.retain(|item| item["pk"]["S"].as_str().unwrap().starts_with(prefix));
    items
}

#[tokio::test]
async fn operator_closes_a_member_with_a_reason() {
    let operator = Operator::start("close").await;
    let id = operator.member(li()).await;
    let token = operator.session(&id).await;
    for incomplete in
        [&["close", EMAIL][..], &["close", EMAIL, "--reason", " "], &["close", "--reason", "no member"]]
    {
        assert_eq!(operator.run(incomplete).await.code, 2, "{incomplete:?}");
    }
    assert_eq!(operator.run(&["close", OTHER_PHONE, "--reason", "wrong"]).await.code, 1);
    assert_eq!(items(&operator, "member#").await.len(), 1);

    let closed = operator.json(&["close", EMAIL, "--reason", "asked by letter of 21 November"]).await;
    assert_eq!(closed, json!({ "id": id, "closed": 1 }));
    assert!(items(&operator, "member#").await.is_empty());
    assert!(operator.items().await.iter().all(|item| item["sk"]["S"] != "owner"));
    assert_eq!(items(&operator, "closed#").await[0]["id"]["S"], id.as_str());
    let record = &operator.lines(&["audit", &id]).await[1];
    assert_eq!((&record["action"], &record["actor"]), (&json!("closed"), &json!("wu")));
    assert_eq!(record["reason"], "asked by letter of 21 November");
    let printed = operator.run(&["audit", &id]).await.ok().out;
    assert!(printed.contains("closed  by wu") && printed.contains("asked by letter"), "{printed}");

    operator.stack.settled().await;
    let mut notified: Vec<_> = operator.stack.messages().into_iter().map(|message| message.to).collect();
    notified.sort_unstable();
    assert_eq!(notified, ["+8613627140483", EMAIL]);
    let (_, refused) = operator.change(&token, "the-old-password", "a-new-password").await;
    assert_eq!(refused["error"], "USER_NOT_FOUND");
    assert_eq!(operator.run(&["close", &id, "--reason", "again"]).await.code, 1);
}

#[tokio::test]
async fn operator_closes_a_frozen_member() {
    let operator = Operator::start("close-frozen").await;
    let id = operator.member(li()).await;
    let frozen = json!({ "M": { "since": { "N": "1" }, "through": { "S": format!("email#{EMAIL}") } } });
    let update = json!({
        "TableName": operator.stack.table(),
        "Key": { "pk": { "S": format!("member#{id}") }, "sk": { "S": "member" } },
        "UpdateExpression": "SET frozen = :frozen",
        "ExpressionAttributeValues": { ":frozen": frozen },
    });
    operator.dynamodb("UpdateItem", update).await;
    operator.run(&["close", &id, "--reason", "recovered at the counter"]).await.ok();
    assert!(items(&operator, "member#").await.is_empty());
}

#[tokio::test]
async fn restored_members_are_closed_again() {
    let before = Operator::start("close-before").await;
    let (id, other) = (before.member(li()).await, before.member(json!({ "phone": OTHER_PHONE })).await);
    // The state that is restored: both members exist.
    let restored = Operator::start("close-restored").await;
    for item in before.items().await {
        let put = json!({ "TableName": restored.stack.table(), "Item": item });
        restored.dynamodb("PutItem", put).await;
    }
    // What happened since: one closed the account, and another one was created and closed.
    let late = before.member(json!({})).await;
    for (member, body) in [(&id, json!({ "password": "the-old-password" })), (&late, json!({}))] {
        let token = before.session(member).await;
        let path = "/member/userservice/security";
        assert_eq!(before.call(Method::DELETE, path, &token, &body).await.0, 200);
    }
    assert_eq!(before.json(&["close", "--list", "closed.jsonl"]).await["listed"], 2);
    assert_eq!(before.run(&["close", "--list", "closed.jsonl"]).await.code, 1, "the file exists");
    let listed = before.text("closed.jsonl");
    assert!(!listed.contains(PHONE) && !listed.contains(EMAIL), "{listed}");

    restored.file("closed.jsonl", &listed);
    let replay = ["close", "--replay", "closed.jsonl"];
    assert_eq!(restored.json(&replay).await, json!({ "closed": 2, "unchanged": 0 }));
    let members = items(&restored, "member#").await;
    assert_eq!(members.len(), 1);
    assert_eq!(members[0]["id"]["S"], other.as_str());
    let owners: Vec<_> =
        restored.items().await.into_iter().filter(|item| item["sk"]["S"] == "owner").collect();
    assert_eq!(owners.len(), 1, "{owners:?}");
    let sorted = |mut items: Vec<Value>| {
        items.sort_by_key(Value::to_string);
        items
    };
    let marks = sorted(items(&restored, "closed#").await);
    assert_eq!(marks, sorted(items(&before, "closed#").await), "the times of the closings must stay");
    let trail = restored.trail(&id).await;
    assert!(trail.contains(&("closed".to_owned(), Some("wu".to_owned()))), "{trail:?}");
    restored.stack.settled().await;
    assert!(restored.stack.messages().is_empty(), "a replay must notify no one");

    assert_eq!(restored.json(&replay).await, json!({ "closed": 0, "unchanged": 2 }));
    // The phone and the address are free, and the ids are not.
    restored.member(li()).await;
}

#[tokio::test]
async fn closed_id_is_not_imported() {
    let operator = Operator::start("close-import").await;
    let id = operator.member(li()).await;
    operator.run(&["close", &id, "--reason", "test"]).await.ok();
    let new = "00000000-0000-4000-8000-000000000001";
    operator.file("members.csv", &format!("id,phone\n{id},{PHONE}\n{new},{OTHER_PHONE}\n"));
    let dry = operator.json_of(1, &["import", "members.csv", "--dry-run"]).await;
    assert_eq!((&dry["imported"], &dry["refused"]), (&json!(1), &json!(1)));
    for (existing, expected) in [("skip", (1, 0)), ("update", (0, 1))] {
        let done = operator.run(&["--json", "import", "members.csv", "--existing", existing]).await;
        assert_eq!(done.code, 1, "{}", done.err);
        assert!(done.err.contains("id: this member was closed"), "{}", done.err);
        let counts = done.json();
        assert_eq!((&counts["imported"], &counts["skipped"]), (&json!(expected.0), &json!(expected.1)));
        assert_eq!(counts["refused"], 1);
        std::fs::remove_file(operator.folder.join("members.csv.errors")).unwrap();
    }
    assert_eq!(items(&operator, "member#").await.len(), 1);
}

#[tokio::test]
async fn malformed_list_closes_no_one() {
    let operator = Operator::start("close-malformed").await;
    let id = operator.member(li()).await;
    let good = format!("{{\"id\":\"{id}\",\"closed_at\":1700000000}}\n");
    for bad in ["{}", "id", "{\"id\":7,\"closed_at\":1}"] {
        operator.file("closed.jsonl", &format!("{good}\n{bad}\n"));
        let refused = operator.run(&["close", "--replay", "closed.jsonl"]).await;
        assert_eq!(refused.code, 2, "{}", refused.err);
        assert!(refused.err.contains("line 3 is not a closed member"), "{}", refused.err);
    }
    assert_eq!(operator.run(&["close", "--replay", "missing.jsonl"]).await.code, 1);
    assert_eq!(items(&operator, "member#").await.len(), 1);
}
