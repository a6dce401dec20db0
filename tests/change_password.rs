//! 用户修改密码: a member changes the login password with the old one.

use crate::bundle::{Bundle, CHANGE, Member, NEW_PASSWORD, OLD_PASSWORD};
use reqwest::Method;
use serde_json::{Value, json};

async fn change(bundle: &Bundle, member: &Member, body: &Value) -> crate::bundle::Response {
    bundle.call(Method::PUT, CHANGE).session(&member.token).json(body).await
}

#[tokio::test]
async fn documented_call_succeeds_and_renews_the_session() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    let changed = change(&bundle, &member, &body).await.ok();
    assert_eq!(changed.status, 201);
    assert!(
        changed.text.starts_with(r#"{"code":"201","msg":"success","data":"success","token":""#),
        "{}",
        changed.text
    );
    assert_eq!(changed.headers["authorization"], format!("Bearer {}", changed.token()));

    assert_eq!(change(&bundle, &member, &body).await.refusal(), (401, "INVALID_TOKEN"));
    let renewed = Member { token: changed.token().to_owned(), ..member };
    let back = json!({ "oldPassword": NEW_PASSWORD, "newPasswordFirst": "a-third-password" });
    change(&bundle, &renewed, &back).await.ok();
    assert_eq!(bundle.inspect(&renewed).await["audit"][0]["action"], "password-changed");
}

#[tokio::test]
async fn invalid_change_names_its_parameter_and_changes_nothing() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    assert_eq!(bundle.call(Method::PUT, CHANGE).send().await.refusal(), (401, "INVALID_TOKEN"));
    for (body, expected) in [
        (json!({}), "{OLD_PASSWORD}_REQUIRED"),
        (json!({ "oldPassword": OLD_PASSWORD }), "{NEW_PASSWORD}_REQUIRED"),
        (json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": "short" }), "{NEW_PASSWORD}_NOT_VALID"),
        (json!({ "oldPassword": "wrong", "newPasswordFirst": NEW_PASSWORD }), "{OLD_PASSWORD}_NOT_VALID"),
        (
            json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": OLD_PASSWORD }),
            "{NEW_PASSWORD}_NOT_VALID",
        ),
        (
            json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD, "newPasswordSecond": "026128" }),
            "{NEW_PASSWORD}_NOT_VALID",
        ),
    ] {
        assert_eq!(change(&bundle, &member, &body).await.refusal(), (400, expected), "{body}");
    }
    assert_eq!(bundle.inspect(&member).await["credentialVersion"], 1);
    let twice = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD, "newPasswordSecond": NEW_PASSWORD });
    change(&bundle, &member, &twice).await.ok();
}

#[tokio::test]
async fn removed_member_gets_user_not_found() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let key = json!({ "Key": { "pk": { "S": format!("member#{}", member.id) }, "sk": { "S": "member" } } });
    bundle.dynamodb("DeleteItem", key).await;
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    assert_eq!(change(&bundle, &member, &body).await.refusal(), (400, "USER_NOT_FOUND"));
}

#[tokio::test]
async fn ten_wrong_passwords_lock_the_session_15_minutes() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let wrong = json!({ "oldPassword": "wrong", "newPasswordFirst": NEW_PASSWORD });
    let good = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    let responses =
        bundle.concurrently("change-password", 15, async |_| change(&bundle, &member, &wrong).await).await;
    assert_eq!(
        responses.iter().filter(|response| response.refusal() == (400, "{OLD_PASSWORD}_NOT_VALID")).count(),
        10
    );
    let mut left: Vec<_> =
        responses.iter().filter_map(|response| response.body["attemptsLeft"].as_u64()).collect();
    left.sort_unstable();
    assert_eq!(left, (0..10).collect::<Vec<_>>());
    let refused = change(&bundle, &member, &good).await;
    assert_eq!(refused.refusal(), (429, "TOO_MANY_ATTEMPTS"));
    assert!((880..=900).contains(&refused.body["retryAfter"].as_u64().unwrap()), "{}", refused.text);
    bundle.age("failures#", 900).await;
    assert_eq!(change(&bundle, &member, &wrong).await.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
    change(&bundle, &member, &good).await.ok();
}

#[tokio::test]
async fn correct_password_resets_the_failure_count() {
    let bundle = Bundle::with(&[("PASSWORD_MAX_FAILURES", "2")]).await;
    let mut member = bundle.member().await;
    let mut passwords = [OLD_PASSWORD, NEW_PASSWORD];
    for _ in 0..3 {
        let wrong = json!({ "oldPassword": "wrong", "newPasswordFirst": passwords[1] });
        assert_eq!(change(&bundle, &member, &wrong).await.refusal(), (400, "{OLD_PASSWORD}_NOT_VALID"));
        let good = json!({ "oldPassword": passwords[0], "newPasswordFirst": passwords[1] });
        member.token = change(&bundle, &member, &good).await.ok().token().to_owned();
        passwords.swap(0, 1);
    }
}

#[tokio::test]
async fn unchanged_password_is_refused_without_an_attempt() {
    let bundle = Bundle::with(&[("PASSWORD_MAX_FAILURES", "1")]).await;
    let member = bundle.member().await;
    for _ in 0..2 {
        let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": OLD_PASSWORD });
        assert_eq!(change(&bundle, &member, &body).await.refusal(), (400, "{NEW_PASSWORD}_NOT_VALID"));
    }
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    change(&bundle, &member, &body).await.ok();
}

#[tokio::test]
async fn concurrent_changes_succeed_once() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let responses = bundle
        .concurrently("change-password", 8, async |number| {
            let body =
                json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": format!("new-password-{number}") });
            change(&bundle, &member, &body).await
        })
        .await;
    assert_eq!(responses.iter().filter(|response| response.status.is_success()).count(), 1, "{responses:#?}");
    let losers = responses.iter().filter(|response| response.refusal() == (401, "INVALID_TOKEN"));
    assert_eq!(losers.count(), 7, "{responses:#?}");
}
