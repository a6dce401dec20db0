//! `members unlock`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::operator::{Operator, PHONE};

#[tokio::test]
async fn failed_password_attempts_are_cleared() {
    let operator = Operator::start("unlock").await;
    let id = operator
        .member(json!({ "phone": PHONE, "password": "the-old-password", "payPassword": "739154" }))
        .await;
    let token = operator.session(&id).await;
    for _ in 0..10 {
        assert_eq!(operator.change(&token, "wrong", "a-new-password").await.0, 400);
    }
    assert_eq!(operator.change(&token, "the-old-password", "a-new-password").await.0, 429);
    let pay = async |old: &str| {
        let body = json!({ "oldPassword": old, "payPasswordFirst": "408261" });
        operator.call(Method::PUT, "/member/userservice/security/updatePayPassword", &token, &body).await.0
    };
    for _ in 0..5 {
        assert_eq!(pay("000001").await, 400);
    }
    assert_eq!(pay("739154").await, 429);

    let log_in_by = async |event: Value| {
        operator.call(Method::POST, "/2015-03-31/functions/log-in/invocations", "", &event).await.1
    };
    let log_in = async |password: &str| {
        let event = json!({ "phone": PHONE, "password": password, "sourceIp": "203.0.113.9" });
        log_in_by(event).await
    };
    let first = log_in("the-old-password").await;
    for _ in 0..10 {
        assert_eq!(log_in("wrong").await["error"], "CREDENTIALS_NOT_VALID");
    }
    let mut event = json!({ "phone": PHONE, "password": "wrong", "sourceIp": "203.0.113.9" });
    event["device"] = first["device"].clone();
    assert_eq!(log_in_by(event).await["attemptsLeft"], 9);
    assert_eq!(log_in("the-old-password").await["error"], "TOO_MANY_ATTEMPTS");

    let shown = operator.json(&["show", &id]).await;
    let counts: Vec<_> =
        shown["failures"].as_array().unwrap().iter().map(|of| (&of["of"], &of["count"])).collect();
    assert_eq!(
        counts,
        [
            (&json!("wrong login passwords"), &json!(10)),
            (&json!("wrong pay passwords"), &json!(5)),
            (&json!("wrong pay passwords in a day"), &json!(5)),
            // The days and the rows of the device and of the phone.
            (&json!("failed logins"), &json!(1)),
            (&json!("failed logins"), &json!(10)),
            (&json!("failed logins"), &json!(1)),
            (&json!("failed logins"), &json!(10)),
        ]
    );
    assert_eq!(operator.json(&["unlock", PHONE]).await.as_array().unwrap().len(), 7);
    assert_eq!(log_in("the-old-password").await["success"], true);
    assert_eq!(pay("739154").await, 201);
    assert_eq!(operator.change(&token, "the-old-password", "a-new-password").await.0, 201);
    assert_eq!(operator.json(&["show", &id]).await["failures"], json!([]));
}
