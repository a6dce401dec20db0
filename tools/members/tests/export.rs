//! `members export`.

use serde_json::json;

use crate::operator::{Operator, PHONE};

#[tokio::test]
async fn export_round_trips_with_hashes_only_on_request() {
    let operator = Operator::start("export").await;
    let new = json!({ "phone": PHONE, "email": "li@example.com", "password": "the-old-password" });
    let id = operator.member(new).await;
    let before = operator.session(&id).await;
    let exported = operator.run(&["export"]).await.ok().out;
    assert!(!exported.contains("argon2id") && exported.lines().count() == 1, "{exported}");
    operator.run(&["export", "--with-hashes", "--output", "members.jsonl"]).await.ok();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(operator.folder.join("members.jsonl")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    for item in operator.items().await {
        let key = json!({ "pk": item["pk"], "sk": item["sk"] });
        operator.dynamodb("DeleteItem", json!({ "TableName": operator.stack.table(), "Key": key })).await;
    }
    assert_eq!(operator.json(&["import", "members.jsonl"]).await["imported"], 1);
    assert_eq!(operator.json(&["show", "li@example.com"]).await["id"], id.as_str());
    let (status, _) = operator.change(&before, "the-old-password", "a-new-password").await;
    assert_eq!(status, 401, "an import must not revive sessions");
    let token = operator.session(&id).await;
    assert_eq!(operator.change(&token, "the-old-password", "a-new-password").await.0, 201);
}
