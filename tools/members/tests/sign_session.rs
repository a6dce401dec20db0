//! `members sign-session`.

use serde_json::json;

use crate::operator::{Operator, PHONE};

#[tokio::test]
async fn production_table_requires_confirmation() {
    let operator = Operator::start("production").await;
    let id = operator.member(json!({ "phone": PHONE })).await;
    operator.run(&["sign-session", &id]).await.ok();
    let table = operator.dynamodb("DescribeTable", json!({ "TableName": operator.stack.table() })).await;
    let tags = json!([{ "Key": "environment", "Value": "production" }]);
    operator
        .dynamodb("TagResource", json!({ "ResourceArn": table["Table"]["TableArn"], "Tags": tags }))
        .await;
    let refused = operator.run(&["sign-session", &id]).await;
    assert!(refused.code == 1 && refused.out.is_empty() && refused.err.contains("--yes"), "{}", refused.err);
    operator.run(&["sign-session", &id, "--yes"]).await.ok();
}
