//! `members unfreeze`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::operator::{Operator, PHONE};

const EMAIL: &str = "li@example.com";

#[tokio::test]
async fn frozen_member_is_shown_and_unfrozen() {
    let operator = Operator::start("unfreeze").await;
    let new = json!({ "phone": PHONE, "email": EMAIL, "password": "the-old-password" });
    let id = operator.member(new).await;
    let token = operator.session(&id).await;
    assert_eq!(operator.change(&token, "the-old-password", "a-new-password").await.0, 201);
    operator.stack.settled().await;
    let link = operator.stack.messages().into_iter().find_map(|message| message.link).unwrap();
    let (_, verification) = link.split_once("verification=").unwrap();
    let path = "/web/userservice/security/notMe";
    let token = operator.session(&id).await;
    let body = json!({ "verification": verification });
    assert_eq!(operator.call(Method::POST, path, &token, &body).await.0, 200);

    let shown = operator.json(&["show", &id]).await;
    assert_eq!(shown["frozen"]["through"], EMAIL);
    let token = operator.session(&id).await;
    let refused = operator.change(&token, "a-new-password", "the-old-password").await;
    assert_eq!((refused.0, &refused.1["error"]), (403, &json!("ACCOUNT_FROZEN")));

    assert_eq!(operator.json(&["unfreeze", EMAIL]).await, json!({ "id": id, "unfrozen": 1 }));
    assert_eq!(operator.json(&["show", &id]).await["frozen"], Value::Null);
    assert_eq!(operator.change(&token, "a-new-password", "the-old-password").await.0, 201);
    assert_eq!(operator.json(&["unfreeze", &id]).await["unfrozen"], 0);
    let trail = operator.trail(&id).await;
    assert!(trail.contains(&("unfrozen".to_owned(), Some("wu".to_owned()))), "{trail:?}");
}
