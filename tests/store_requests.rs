//! How many requests to DynamoDB an endpoint makes. ARCHITECTURE.md gives the same numbers.

use crate::{
    bundle::{Bundle, CHANGE, CHANGE_BY_MESSAGE, Member, NEW_PASSWORD, OLD_PASSWORD, SEND},
    proxy::Proxy,
};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn each_endpoint_makes_the_requests_that_architecture_md_says() {
    let (proxy, setting) = Proxy::before("AWS_ENDPOINT_URL_DYNAMODB").await;
    let bundle = Bundle::with(&[setting.pair()]).await;
    proxy.pass_to(bundle.stack.dynamodb_url());
    let member = bundle.member().await;
    // Every process opens its connection with one read; that belongs to no call.
    bundle.call(Method::GET, "/_local/health").send().await.ok();
    proxy.requests();

    let (phone_info, code) = bundle.ask(&member).await;
    assert_eq!(proxy.requests(), ["GetItem", "TransactWriteItems"]);

    let body = json!({ "phoneInfo": phone_info, "code": code, "newPassword": NEW_PASSWORD });
    let changed = bundle.call(Method::POST, CHANGE_BY_MESSAGE).session(&member.token).json(&body).await.ok();
    assert_eq!(proxy.requests(), ["GetItem", "UpdateItem", "UpdateItem", "TransactWriteItems"]);

    let renewed = Member { token: changed.token().to_owned(), ..member };
    let body = json!({ "oldPassword": NEW_PASSWORD, "newPasswordFirst": OLD_PASSWORD });
    bundle.call(Method::PUT, CHANGE).session(&renewed.token).json(&body).await.ok();
    assert_eq!(proxy.requests(), ["GetItem", "UpdateItem", "TransactWriteItems"]);

    bundle.call(Method::POST, SEND).send().await;
    assert_eq!(proxy.requests(), [""; 0], "a call without a session costs nothing");
}
