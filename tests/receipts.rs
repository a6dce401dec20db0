//! `spend-receipt`: the receipt of a checked pay password is spent once, and only for its order.

use crate::{
    bundle::{Bundle, Member, Response},
    check_pay_password, events,
    pay_password::payer,
    proxy::{InjectedFault, On, Proxy, STORE},
};
use serde_json::{Value, json};
use shared::{clock::Timestamp, opaque_token::OpaqueToken};

/// How long a receipt can be spent for the first time, and below how long it is stored, in seconds.
const VALID: u64 = 120;
const STORED: u64 = 86_400;

/// Returns the event that spends a receipt for its order.
pub fn event(receipt: &str) -> Value {
    serde_json::from_str(&events::event("spend-receipt", "success").replace("RECEIPT", receipt)).unwrap()
}

/// Returns a new receipt for the order of [`event`], which a member with a pay password confirmed.
pub async fn issue(bundle: &Bundle, payer: &Member) -> String {
    let checked = check_pay_password::check(bundle, &check_pay_password::event(payer)).await;
    checked.body["receipt"].as_str().unwrap_or_else(|| panic!("{}", checked.text)).to_owned()
}

async fn spend(bundle: &Bundle, receipt: &str) -> Response {
    bundle.invoke("spend-receipt", &event(receipt)).await
}

pub fn assert_refused(response: &Response, symbol: &str) {
    assert!(!response.headers.contains_key("x-amz-function-error"), "{}", response.text);
    assert_eq!((&response.body["success"], &response.body["error"]), (&json!(false), &json!(symbol)));
}

#[tokio::test]
async fn receipt_is_spent_once_for_its_order() {
    let bundle = Bundle::start().await;
    let member = payer(&bundle).await;
    let before = Timestamp::now().0;
    let receipt = issue(&bundle, &member).await;
    let first = spend(&bundle, &receipt).await;
    let (checked_at, spent_at) = (&first.body["checkedAt"], &first.body["spentAt"]);
    for at in [checked_at, spent_at] {
        assert!((before..=Timestamp::now().0).contains(&at.as_u64().unwrap()), "{}", first.text);
    }
    let expected = json!({
        "success": true, "requestId": "checkout-7f1c", "member": member.id, "elements": ["pay-password"],
        "checkedAt": checked_at, "spentAt": spent_at, "first": true,
    });
    assert_eq!(first.body, expected);

    // The same order again, also after the time to spend it, is the same payment.
    bundle.age("receipt#", i64::try_from(VALID).unwrap() + 1).await;
    let again = spend(&bundle, &receipt).await;
    assert_eq!((&again.body["spentAt"], &again.body["first"]), (spent_at, &json!(false)), "{}", again.text);
    bundle.age("receipt#", i64::try_from(STORED).unwrap()).await;
    assert_refused(&spend(&bundle, &receipt).await, "RECEIPT_NOT_VALID");
}

#[tokio::test]
async fn other_order_is_refused_in_each_field() {
    let bundle = Bundle::start().await;
    let receipt = issue(&bundle, &payer(&bundle).await).await;
    for (field, value) in
        [("reference", "order-2"), ("amount", "19901"), ("currency", "HKD"), ("payee", "Mallory")]
    {
        let mut other = event(&receipt);
        other["order"][field] = json!(value);
        let refused = bundle.invoke("spend-receipt", &other).await;
        assert_refused(&refused, "RECEIPT_NOT_VALID");
        assert_eq!(refused.body["requestId"], "checkout-7f1c");
    }
    assert_eq!(spend(&bundle, &receipt).await.body["first"], true, "a refusal must not spend it");
    let mut other = event(&receipt);
    other["order"]["amount"] = json!("1");
    assert_refused(&bundle.invoke("spend-receipt", &other).await, "RECEIPT_NOT_VALID");
}

#[tokio::test]
async fn expired_or_unknown_receipt_is_refused() {
    let bundle = Bundle::start().await;
    let receipt = issue(&bundle, &payer(&bundle).await).await;
    bundle.age("receipt#", i64::try_from(VALID).unwrap()).await;
    let unknown = OpaqueToken::draw().unwrap();
    for receipt in [&receipt, unknown.expose(), "", "not-a-receipt", &receipt[1..]] {
        assert_refused(&spend(&bundle, receipt).await, "RECEIPT_NOT_VALID");
    }
    let event = serde_json::from_str(&events::event("spend-receipt", "refusal")).unwrap();
    let refused = bundle.invoke("spend-receipt", &event).await;
    assert_refused(&refused, "RECEIPT_NOT_VALID");
    assert!(refused.body["message"].as_str().unwrap().starts_with("The payment was not confirmed"));
}

#[tokio::test]
async fn parallel_spends_have_one_first() {
    let bundle = Bundle::start().await;
    let receipt = issue(&bundle, &payer(&bundle).await).await;
    let spent = bundle.concurrently("spend-receipt", 40, |_| spend(&bundle, &receipt)).await;
    assert!(spent.iter().all(|response| response.body["success"] == true), "{spent:?}");
    assert_eq!(spent.iter().filter(|response| response.body["first"] == true).count(), 1);
    let times: Vec<_> = spent.iter().map(|response| &response.body["spentAt"]).collect();
    assert!(times.iter().all(|at| *at == times[0]), "{times:?}");
}

#[tokio::test]
async fn key_repeats_the_first_response() {
    let bundle = Bundle::start().await;
    let receipt = issue(&bundle, &payer(&bundle).await).await;
    let mut keyed = event(&receipt);
    keyed["idempotencyKey"] = json!("pay-1");
    let first = bundle.invoke("spend-receipt", &keyed).await;
    // The caller and its language are not part of the request.
    (keyed["requestId"], keyed["sourceIp"]) = (json!("checkout-2"), json!("2001:db8::7"));
    let mut expected = first.body.clone();
    expected["requestId"] = json!("checkout-2");
    assert_eq!(bundle.invoke("spend-receipt", &keyed).await.body, expected);
    assert_eq!(expected["first"], true);
    assert_eq!(spend(&bundle, &receipt).await.body["first"], false, "a call without the key");

    keyed["order"]["amount"] = json!("1");
    assert_refused(&bundle.invoke("spend-receipt", &keyed).await, "IDEMPOTENCY_KEY_REUSED");
    keyed["idempotencyKey"] = json!("not a key");
    assert_refused(&bundle.invoke("spend-receipt", &keyed).await, "{IDEMPOTENCY_KEY}_NOT_VALID");
}

#[tokio::test]
async fn lost_response_of_the_store_spends_once() {
    let (proxy, bundle) = Proxy::between(STORE, &[]).await;
    let receipt = issue(&bundle, &payer(&bundle).await).await;
    proxy.fault(On::nth("TransactWriteItems", 1), InjectedFault::DropAfter);
    assert_eq!(spend(&bundle, &receipt).await.body["first"], true);
    assert_eq!(spend(&bundle, &receipt).await.body["first"], false);
}
