//! `members normalize`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::operator::{OTHER_PHONE, Operator, PHONE};

/// Replaces a member's address, and writes its owner under that very spelling, as earlier versions did.
async fn store_address(operator: &Operator, member: &str, address: &str) {
    let table = operator.stack.table();
    let shown = operator.json(&["show", member]).await;
    if let Some(before) = shown["email"].as_str() {
        let key = json!({ "pk": { "S": format!("email#{before}") }, "sk": { "S": "owner" } });
        operator.dynamodb("DeleteItem", json!({ "TableName": table, "Key": key })).await;
    }
    store_owner(operator, &format!("email#{address}"), member).await;
    set(operator, member, "email", address).await;
}

/// Writes the owner of a phone or an email address.
async fn store_owner(operator: &Operator, key: &str, member: &str) {
    let item = json!({ "pk": { "S": key }, "sk": { "S": "owner" }, "member": { "S": member } });
    operator.dynamodb("PutItem", json!({ "TableName": operator.stack.table(), "Item": item })).await;
}

/// Sets an attribute of a member.
async fn set(operator: &Operator, member: &str, name: &str, value: &str) {
    let input = json!({
        "TableName": operator.stack.table(),
        "Key": { "pk": { "S": format!("member#{member}") }, "sk": { "S": "member" } },
        "UpdateExpression": "SET #name = :value ADD revision :one",
        "ExpressionAttributeNames": { "#name": name },
        "ExpressionAttributeValues": { ":value": { "S": value }, ":one": { "N": "1" } },
    });
    operator.dynamodb("UpdateItem", input).await;
}

/// Returns the items that are not audit records, in the order of their keys.
async fn stored(operator: &Operator) -> Vec<Value> {
    let mut items = operator.items().await;
    items.retain(|item| !item["pk"]["S"].as_str().unwrap().starts_with("audit#"));
    items.sort_by_key(|item| item["pk"]["S"].as_str().unwrap().to_owned());
    items
}

/// Returns the owner under a key.
async fn owner(operator: &Operator, key: &str) -> Option<String> {
    let items = operator.items().await;
    let item = items.iter().find(|item| item["pk"]["S"] == key && item["sk"]["S"] == "owner")?;
    Some(item["member"]["S"].as_str().unwrap().to_owned())
}

/// Returns how many members were read and normalized, and how many contacts collide or cannot be reached.
fn counts(report: &Value) -> [u64; 4] {
    let length = |name: &str| report[name].as_array().unwrap().len() as u64;
    let number = |name: &str| report[name].as_u64().unwrap();
    [number("members"), number("normalized"), length("collisions"), length("unreachable")]
}

#[tokio::test]
async fn address_is_found_once_its_owner_is_normalized() {
    let operator = Operator::start("normalize").await;
    let li = operator.member(json!({ "email": "li@example.com", "password": "the-old-password" })).await;
    operator.member(json!({ "phone": PHONE, "email": "wu@example.com" })).await;
    store_address(&operator, &li, "Sun.Li@example.com").await;
    let token = operator.session(&li).await;
    let before = stored(&operator).await;
    assert_eq!(operator.run(&["show", "sun.li@example.com"]).await.code, 1);

    let dry = operator.json(&["normalize"]).await;
    assert_eq!((&dry["dry_run"], counts(&dry)), (&json!(true), [2, 1, 0, 0]));
    let text = operator.run(&["normalize"]).await.ok().out;
    assert!(text.contains("1 would be normalized") && text.contains("--yes"), "{text}");
    assert_eq!(stored(&operator).await, before, "nothing is written without --yes");
    assert!(!operator.trail(&li).await.iter().any(|(action, _)| action == "normalized"));

    let report = operator.json(&["normalize", "--yes"]).await;
    assert_eq!((&report["dry_run"], counts(&report)), (&json!(false), [2, 1, 0, 0]));
    for who in ["sun.li@example.com", "Sun.Li@example.com", " SUN.LI@EXAMPLE.COM "] {
        let shown = operator.json(&["show", who]).await;
        assert_eq!((&shown["id"], &shown["email"]), (&json!(li), &json!("Sun.Li@example.com")), "{who}");
    }
    assert_eq!(owner(&operator, "email#Sun.Li@example.com").await, None);
    assert!(operator.trail(&li).await.contains(&("normalized".to_owned(), Some("wu".to_owned()))));
    assert_eq!(counts(&operator.json(&["normalize", "--yes"]).await), [2, 0, 0, 0], "nothing is left to do");

    // Email goes to the spelling that the member bound, and the session is still valid.
    let body = json!({ "email": "sun.li@example.com" });
    let (status, _) = operator.call(Method::POST, "/web/userservice/security/sendMail", "", &body).await;
    assert_eq!(status, 200);
    operator.stack.settled().await;
    assert_eq!(operator.stack.messages()[0].to, "Sun.Li@example.com");
    assert_eq!(operator.change(&token, "the-old-password", "a-new-password").await.0, 201);
}

#[tokio::test]
async fn stored_contacts_get_their_normal_form() {
    let operator = Operator::start("normalize-forms").await;
    let li = operator.member(json!({ "email": "li@example.com" })).await;
    let wu = operator.member(json!({ "phone": PHONE })).await;
    let yu = operator.member(json!({ "email": "yu@example.com" })).await;
    store_address(&operator, &li, "Li@bücher.example").await;
    // Another program has written a national number, and no owner at all.
    set(&operator, &wu, "phone", "136 2714 0483").await;
    let key = json!({ "pk": { "S": "phone#+8613627140483" }, "sk": { "S": "owner" } });
    operator.dynamodb("DeleteItem", json!({ "TableName": operator.stack.table(), "Key": key })).await;
    // Two owners are left from addresses that members have replaced, and one from a member who was deleted.
    store_owner(&operator, "email#Old.Yu@example.com", &yu).await;
    store_owner(&operator, "email#YU@example.com", &yu).await;
    store_owner(&operator, "email#Gone@example.com", "7c9e6679-7425-40de-944b-e07fc1f90ae7").await;

    assert_eq!(counts(&operator.json(&["normalize", "--yes"]).await), [3, 4, 0, 0]);
    for (who, field, value) in [
        ("li@xn--bcher-kva.example", "email", "Li@xn--bcher-kva.example"),
        ("LI@BÜCHER.example", "email", "Li@xn--bcher-kva.example"),
        (PHONE, "phone", "+8613627140483"),
        ("0086 136-2714-0483", "phone", "+8613627140483"),
        ("yu@example.com", "email", "yu@example.com"),
    ] {
        assert_eq!(operator.json(&["show", who]).await[field], value, "{who}");
    }
    let items = operator.items().await;
    assert_eq!(items.iter().filter(|item| item["sk"]["S"] == "owner").count(), 3);
    assert_eq!(counts(&operator.json(&["normalize"]).await), [3, 0, 0, 0]);
}

#[tokio::test]
async fn mailbox_of_two_members_is_left_unchanged() {
    let operator = Operator::start("normalize-collision").await;
    let member = async |name: &str| operator.member(json!({ "email": format!("{name}@example.com") })).await;
    let (li, sun, wu) = (member("a").await, member("b").await, member("c").await);
    let (yu, zhao) = (member("d").await, member("e").await);
    store_address(&operator, &li, "Sun.Li@example.com").await;
    store_address(&operator, &sun, "sun.li@example.com").await;
    store_address(&operator, &wu, "Wu@example.com").await;
    store_address(&operator, &yu, "WU@example.com").await;
    store_address(&operator, &zhao, "Yu@example.com").await;
    let before = stored(&operator).await;

    let report = operator.json_of(1, &["normalize", "--yes"]).await;
    assert_eq!(counts(&report), [5, 1, 2, 0]);
    let collisions = report["collisions"].as_array().unwrap().iter();
    assert!(collisions.clone().all(|collision| collision["field"] == "email"));
    let members = collisions.map(|collision| serde_json::from_value(collision["members"].clone()).unwrap());
    let mut collisions: Vec<Vec<String>> = members.collect();
    let mut expected = [[li.clone(), sun.clone()], [wu.clone(), yu.clone()]].map(|mut pair| {
        pair.sort();
        pair.to_vec()
    });
    collisions.sort();
    expected.sort();
    assert_eq!(collisions, expected);
    let is_of_zhao = |item: &Value| item.to_string().contains(&zhao);
    let without_zhao =
        |items: Vec<Value>| items.into_iter().filter(|item| !is_of_zhao(item)).collect::<Vec<_>>();
    assert_eq!(without_zhao(stored(&operator).await), without_zhao(before));
    let text = operator.run(&["normalize"]).await.out;
    assert!(text.contains("have the same email") && !text.contains('@'), "{text}");

    // Once one of them has another address, the other one keeps the mailbox.
    operator.file(
        "members.csv",
        &format!("id,email,email_verified\n{li},ann@example.com,1\n{wu},cy@example.com,1\n"),
    );
    assert_eq!(operator.json(&["import", "--existing", "update", "members.csv"]).await["updated"], 2);
    assert_eq!(counts(&operator.json(&["normalize", "--yes"]).await), [5, 3, 0, 0]);
    for (address, id) in [
        ("sun.li@example.com", &sun),
        ("ann@example.com", &li),
        ("wu@example.com", &yu),
        ("cy@example.com", &wu),
        ("yu@example.com", &zhao),
    ] {
        assert_eq!(operator.json(&["show", address]).await["id"], **id, "{address}");
    }
    let items = operator.items().await;
    assert_eq!(items.iter().filter(|item| item["sk"]["S"] == "owner").count(), 5);
}

#[tokio::test]
async fn contact_that_cannot_be_reached_is_reported() {
    let operator = Operator::start("normalize-unreachable").await;
    let li = operator.member(json!({ "phone": PHONE })).await;
    let wu = operator.member(json!({ "phone": OTHER_PHONE })).await;
    let yu = operator.member(json!({ "email": "yu@example.com" })).await;
    for (member, phone) in [(&li, "+861012345678"), (&wu, "+12025550123")] {
        set(&operator, member, "phone", phone).await;
        store_owner(&operator, &format!("phone#{phone}"), member).await;
    }
    store_address(&operator, &yu, "用户@example.com").await;
    let before = stored(&operator).await;
    let report = operator.json_of(1, &["normalize", "--yes"]).await;
    assert_eq!(counts(&report), [3, 0, 0, 3]);
    let reason = |id: &str| {
        let contacts = report["unreachable"].as_array().unwrap();
        let contact = contacts.iter().find(|contact| contact["id"] == id).unwrap();
        format!("{}: {}", contact["field"].as_str().unwrap(), contact["reason"].as_str().unwrap())
    };
    for id in [&li, &wu] {
        assert_eq!(reason(id), "phone: not a phone number that can receive SMS in an allowed region");
    }
    assert_eq!(reason(&yu), "email: not an address that email can be sent to");
    assert_eq!(stored(&operator).await, before);
    // The operator still finds such a member.
    for (who, id) in [("+86 10 1234 5678", &li), ("+1-202-555-0123", &wu)] {
        assert_eq!(operator.json(&["show", who]).await["id"], **id, "{who}");
    }
    assert_eq!(operator.run(&["show", "010-1234-5678"]).await.code, 2);
}
