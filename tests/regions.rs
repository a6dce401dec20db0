//! The regions that SMS may be sent to, checked before every message.

use crate::bundle::{
    Bundle, CHANGE, EMAIL, Member, NEW_PASSWORD, OLD_PASSWORD, PHONE, RESET_PAY_PASSWORD, SEND, SEND_CODE,
    SEND_MAIL, data_file,
};
use reqwest::Method;
use serde_json::json;

/// A British phone, and the regions under which it was bound.
const BRITISH: &str = "+447400123456";
const BEFORE: [(&str, &str); 1] = [("ALLOWED_REGIONS", "CN,GB")];

/// Starts a bundle in which a member bound a phone of a region that was removed since.
async fn with_removed_region(name: &str) -> (Bundle, Member) {
    let (data, keys) = (data_file(name), local::keys::fresh());
    let bundle = Bundle::with_data(&BEFORE, &data, &keys).await;
    let member = json!({ "phone": BRITISH, "email": EMAIL, "password": OLD_PASSWORD });
    let member = bundle.member_with(member).await;
    bundle.shutdown().await;
    (Bundle::with_data(&[], &data, &keys).await, member)
}

#[tokio::test]
async fn only_mobile_numbers_of_allowed_regions_get_codes() {
    let bundle = Bundle::with(&[("ALLOWED_REGIONS", "CN,US,GB,RU")]).await;
    let member = bundle.member().await;
    let send = async |caller: Option<&Member>, phone: &str| {
        bundle.call(Method::GET, SEND_CODE).session_of(caller).query(&[("phone", phone)]).send().await
    };
    for phone in [
        "+852 5123 4567",
        "+1 876 210 1234",
        "+1 900 234 5678",
        "+1 800 234 5678",
        "+44 7624 123456",
        "+44 70 1234 5678",
        "+7 701 234 5678",
        "+86 10 1234 5678",
        "+86 400 123 4567",
        "+86 800 123 4567",
    ] {
        for caller in [None, Some(&member)] {
            assert_eq!(send(caller, phone).await.refusal(), (400, "{PHONE}_NOT_VALID"), "{phone}");
        }
    }
    assert_eq!(bundle.stack.messages(), []);
    for phone in [BRITISH, "+1 202 456 1414", "+7 912 345 67 89", "１３９１２３４５６７８"] {
        send(Some(&member), phone).await.ok();
    }
    let to: Vec<_> = bundle.stack.messages().into_iter().map(|message| message.to).collect();
    assert_eq!(to, ["+8613912345678", "+79123456789", "+12024561414", BRITISH]);
}

#[tokio::test]
async fn removed_region_gets_no_codes() {
    let (bundle, member) = with_removed_region("removed-region-codes").await;
    let refused = (400, "{PHONE}_NOT_VALID");
    assert_eq!(bundle.call(Method::POST, SEND).session(&member.token).send().await.refusal(), refused);
    let body = json!({ "phone": BRITISH, "message": "123456" });
    let call = bundle.call(Method::PUT, RESET_PAY_PASSWORD).session(&member.token);
    assert_eq!(call.json(&body).await.refusal(), refused);
    for caller in [None, Some(&member)] {
        let call = bundle.call(Method::GET, SEND_CODE).session_of(caller).query(&[("phone", BRITISH)]);
        assert_eq!(call.send().await.refusal(), refused);
    }
    assert_eq!(bundle.stack.messages(), []);
    let counted = bundle.items().await;
    assert!(counted.iter().all(|item| item["sk"]["S"] != "sent"), "a refused send must not count");
    // Another phone and the email address still work.
    for (method, path, to) in
        [(Method::GET, SEND_CODE, ("phone", PHONE)), (Method::POST, SEND_MAIL, ("email", EMAIL))]
    {
        bundle.call(method, path).session(&member.token).query(&[to]).send().await.ok();
    }
}

#[tokio::test]
async fn removed_region_gets_no_notices() {
    let (bundle, member) = with_removed_region("removed-region-notices").await;
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    bundle.call(Method::PUT, CHANGE).session(&member.token).json(&body).await.ok();
    assert_eq!(bundle.notices_to(EMAIL).await.len(), 1);
    assert_eq!(bundle.stack.messages().len(), 1);
    let logged: Vec<_> = bundle.stack.log_lines().into_iter().map(|line| line.text).collect();
    let dropped = logged.iter().filter(|line| line.contains("a notice is dropped"));
    assert_eq!(dropped.count(), 1);
    assert!(logged.iter().any(|line| line.contains(r#""NoticesDropped":1"#)), "{logged:#?}");
    let counted = bundle.items().await;
    let counted = counted.iter().map(|item| item["pk"]["S"].as_str().unwrap());
    let counted: Vec<_> =
        counted.filter(|pk| pk.starts_with("calling-code#") || pk.starts_with("notices#")).collect();
    assert_eq!(counted, [""; 0], "a dropped notice must not count");
    assert!(
        !logged.iter().any(|line| line.contains("NoticesFailed") || line.contains(BRITISH)),
        "{logged:#?}"
    );
}

#[tokio::test]
async fn code_queued_before_the_removal_is_dropped() {
    let (data, keys) = (data_file("removed-region-queued"), local::keys::fresh());
    let bundle = Bundle::with_data(&BEFORE, &data, &keys).await;
    let member = bundle.member_with(json!({ "email": EMAIL })).await;
    bundle.call(Method::GET, SEND_CODE).query(&[("phone", BRITISH)]).send().await.ok();
    bundle.settled().await;
    let notice = bundle.items().await.into_iter().find(|item| item["sk"]["S"] == "notice").unwrap();
    // Meanwhile the phone gets a member.
    let (pk, id) = (format!("phone#{BRITISH}"), &member.id);
    let owner = json!({ "pk": { "S": pk }, "sk": { "S": "owner" }, "member": { "S": id } });
    bundle.dynamodb("PutItem", json!({ "Item": owner })).await;
    let mut item = bundle.item(&format!("member#{}", member.id), "member").await;
    item["phone"] = json!({ "S": BRITISH });
    bundle.dynamodb("PutItem", json!({ "Item": item })).await;
    bundle.shutdown().await;

    let bundle = Bundle::with_data(&[], &data, &keys).await;
    let record = json!({ "dynamodb": { "SequenceNumber": "1", "NewImage": notice } });
    let delivered = bundle.invoke("deliver-notices", &json!({ "Records": [record] })).await;
    assert_eq!(delivered.body["batchItemFailures"], json!([]), "{}", delivered.text);
    let items = bundle.items().await;
    let codes: Vec<_> =
        items.iter().filter(|item| item["pk"]["S"].as_str().unwrap().starts_with("code#")).collect();
    assert!(codes.len() == 1 && codes[0]["mac"].is_null(), "a code that was not sent can be guessed");
    assert_eq!(bundle.stack.messages(), []);
}
