//! `check-pay-password`: a right pay password becomes a receipt for one order, and too many wrong ones lock it.

use crate::{
    bundle::{
        Bundle, CHANGE, EMAIL, Member, NEW_PIN, OLD_PASSWORD, OTHER_EMAIL, OTHER_PHONE, PHONE, PIN, Response,
        SEND_CODE, SET_PAY_PASSWORD, e164, wrong_code,
    },
    changes::{MANY, TableSnapshot},
    events,
    imported_passwords::{PAY, imported_member, is_upgraded},
    pay_password::{enter_wrong_pins, payer, update},
    proxy::{ANY, InjectedFault, On, Proxy, STORE},
    receipts::{self, assert_refused},
    report_change::{freeze, update_member},
};
use reqwest::Method;
use serde_json::{Value, json};
use shared::{
    clock::Timestamp,
    code::{Binding, FlowId, Purpose},
    contact::Destination,
    token::Token,
};

const FUNCTION: &str = "check-pay-password";
const WRONG_PIN: &str = "582047";
const LOCK_SECONDS: i64 = 10_800;
const DAY: i64 = 86_400;

/// Returns the event that checks the right pay password of a member with [`PIN`].
pub fn event(payer: &Member) -> Value {
    serde_json::from_str(&events::event(FUNCTION, "success").replace("SESSION_TOKEN", &payer.token)).unwrap()
}

pub async fn check(bundle: &Bundle, event: &Value) -> Response {
    bundle.invoke(FUNCTION, event).await
}

/// Stores a code to log in as `send-log-in-code` does, and returns `verification` and the code.
pub async fn log_in_code(bundle: &Bundle, member: &Member, to: Destination) -> (String, String) {
    let (code, now) = ("739201", Timestamp::now());
    let binding = Binding { destination: to, purpose: Purpose::LogIn, flow: FlowId::draw().unwrap() };
    let number = |number: u64| json!({ "N": number.to_string() });
    let item = json!({
        "pk": { "S": format!("code#{}#20", binding.destination.key()) },
        "sk": { "S": format!("flow#{}", binding.flow.as_str()) },
        "member": { "S": member.id },
        "credential_version": number(bundle.inspect(member).await["credentialVersion"].as_u64().unwrap()),
        "reauthenticated": { "BOOL": false },
        "flow": { "S": binding.flow.as_str() },
        "mac": { "S": binding.mac(&bundle.keys(), &code.into()).as_str() },
        "delivered": { "BOOL": true },
        "tries": number(0),
        "sent_at": number(now.0),
        "valid_until": number(now.0 + 300),
        "resend_at": number(now.0 + 120),
        "expires_at": number(now.0 + 300),
    });
    bundle.dynamodb("PutItem", json!({ "Item": item })).await;
    (Token::from(binding).sign(&bundle.keys()).unwrap(), code.to_owned())
}

pub fn phone(national: &str) -> Destination {
    serde_json::from_value(json!(format!("phone#{}", e164(national)))).unwrap()
}

pub fn wrong(payer: &Member) -> Value {
    let mut event = event(payer);
    event["payPassword"] = json!(WRONG_PIN);
    event
}

pub fn with_code(payer: &Member, (verification, code): &(String, String)) -> Value {
    let mut event = event(payer);
    (event["code"], event["verification"]) = (json!(code), json!(verification));
    event
}

fn assert_wrong_pin(response: &Response, attempts_left: u32) {
    assert_refused(response, "{PAY_PASSWORD}_NOT_VALID");
    assert_eq!(response.body["attemptsLeft"], attempts_left, "{}", response.text);
}

async fn actions(bundle: &Bundle, member: &Member) -> Vec<String> {
    let audit = bundle.inspect(member).await["audit"].clone();
    let records = audit.as_array().unwrap().iter();
    records.map(|record| record["action"].as_str().unwrap().to_owned()).collect()
}

/// Returns the counts of wrong pay passwords, in a row and in the day.
async fn counts(bundle: &Bundle, member: &Member) -> [String; 2] {
    let mut counts = [const { String::new() }; 2];
    for (count, part) in counts.iter_mut().zip(["counter", "day"]) {
        let item = bundle.item(&format!("failures#pay-password#{}", member.id), part).await;
        item["count"]["N"].as_str().unwrap_or("none").clone_into(count);
    }
    counts
}

#[tokio::test]
async fn right_pin_issues_a_receipt() {
    let bundle = Bundle::start().await;
    let payer = payer(&bundle).await;
    let before = bundle.inspect(&payer).await;
    let checked = check(&bundle, &event(&payer)).await;
    let receipt = checked.body["receipt"].as_str().unwrap();
    let expected = json!({
        "success": true, "requestId": "checkout-7f1b", "receipt": receipt, "expiresIn": 120,
        "elements": ["pay-password"],
    });
    assert_eq!(checked.body, expected);
    assert_eq!(bundle.invoke("spend-receipt", &receipts::event(receipt)).await.body["first"], true);

    let stored = bundle.inspect(&payer).await;
    let record = &stored["audit"][0];
    assert_eq!(
        (&record["action"], &record["request_id"], &record["source_ip"]),
        (&json!("pay-password-checked"), &json!("checkout-7f1b"), &json!("203.0.113.9"))
    );
    assert!(record["reference"].as_str().unwrap().contains('.'), "{record}");
    assert_eq!(stored["credentialVersion"], before["credentialVersion"]);
    let items = json!(bundle.items().await).to_string();
    for plaintext in [receipt, "order-20261125-0001", "19900", "Example Shop"] {
        assert!(!items.contains(plaintext), "{plaintext}");
    }
    bundle.settled().await;
    assert!(bundle.stack.messages().is_empty(), "a right pay password sends no notice");
}

#[tokio::test]
async fn service_may_name_the_member() {
    let bundle = Bundle::start().await;
    let payer = payer(&bundle).await;
    let mut event = event(&payer);
    event.as_object_mut().unwrap().remove("session");
    event["member"] = json!(payer.id);
    let receipt = check(&bundle, &event).await.body["receipt"].as_str().unwrap().to_owned();
    assert_eq!(bundle.invoke("spend-receipt", &receipts::event(&receipt)).await.body["member"], payer.id);
}

#[tokio::test]
async fn payer_who_may_not_pay_is_refused() {
    let bundle = Bundle::start().await;
    let refusal: Value = serde_json::from_str(&events::event(FUNCTION, "refusal")).unwrap();
    assert_refused(&check(&bundle, &refusal).await, "USER_NOT_FOUND");
    let payer = payer(&bundle).await;
    let other = bundle.other_member().await;
    assert_refused(&check(&bundle, &event(&other)).await, "PAY_PASSWORD_NOT_SET");
    let mut forged = event(&payer);
    forged["session"] = json!(payer.token[1..]);
    assert_refused(&check(&bundle, &forged).await, "INVALID_TOKEN");
    freeze(&bundle, &payer, EMAIL).await;
    assert_refused(&check(&bundle, &event(&payer)).await, "ACCOUNT_FROZEN");
    update_member(&bundle, &payer, "REMOVE frozen", Value::Null).await;

    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": "a-new-password" });
    bundle.call(Method::PUT, CHANGE).session(&payer.token).json(&body).await.ok();
    assert_refused(&check(&bundle, &event(&payer)).await, "INVALID_TOKEN");
    assert_eq!(counts(&bundle, &payer).await, ["none", "none"], "a refused payer must not count");
}

#[tokio::test]
async fn contradictory_or_malformed_event_is_named() {
    let bundle = Bundle::start().await;
    let payer = payer(&bundle).await;
    let id = json!(payer.id);
    for (field, value, expected) in [
        ("member", id, "`session` and `member` exclude each other"),
        ("session", Value::Null, "missing field `session` or `member`"),
        ("member", json!("hunter2"), "`member` is malformed"),
        ("payPassword", Value::Null, "`payPassword` is malformed"),
        ("payPassword", json!(739_154), "`payPassword` is malformed"),
        ("code", json!("739201"), "missing field `verification` beside `code`"),
        ("verification", json!("hunter2"), "missing field `code` beside `verification`"),
        ("order", json!({ "reference": "order-1" }), "missing field `amount`"),
        ("amount", json!("19900"), "unknown field `amount`"),
    ] {
        let mut event = event(&payer);
        event[field] = value;
        let refused = check(&bundle, &event).await;
        assert_refused(&refused, "BODY_NOT_VALID");
        let message = refused.body["message"].as_str().unwrap();
        assert!(message.contains(expected) && !message.contains("hunter2"), "{field}: {message}");
    }
    let mut blank = event(&payer);
    blank["payPassword"] = json!(" ");
    assert_refused(&check(&bundle, &blank).await, "{PAY_PASSWORD}_REQUIRED");
    assert_eq!(counts(&bundle, &payer).await, ["none", "none"]);
}

#[tokio::test]
async fn wrong_pins_lock_both_functions() {
    let bundle = Bundle::start().await;
    let payer = payer(&bundle).await;
    for attempts_left in [4, 3] {
        assert_wrong_pin(&check(&bundle, &wrong(&payer)).await, attempts_left);
    }
    enter_wrong_pins(&bundle, &payer, 2).await;
    assert_eq!(bundle.notices_to(EMAIL).await.len(), 0);
    assert_wrong_pin(&check(&bundle, &wrong(&payer)).await, 0);

    for event in [event(&payer), wrong(&payer)] {
        let locked = check(&bundle, &event).await;
        assert_refused(&locked, "TOO_MANY_ATTEMPTS");
        assert!((10_700..=10_800).contains(&locked.body["retryAfter"].as_u64().unwrap()), "{}", locked.text);
    }
    assert_eq!(update(&bundle, &payer, PIN, NEW_PIN).await.refusal(), (429, "TOO_MANY_ATTEMPTS"));
    assert_eq!(counts(&bundle, &payer).await, ["5", "5"], "refused attempts must not use up the day");
    assert_eq!(actions(&bundle, &payer).await, ["pay-password-locked"]);
    for (to, text) in [(EMAIL, "From: 203.0.113.9."), (&*e164(PHONE), "from 203.0.113.9.")] {
        let notices = bundle.notices_to(to).await;
        let [notice] = notices.as_slice() else { panic!("{notices:?}") };
        assert!(notice.text.contains("payment PIN was locked after wrong tries"), "{}", notice.text);
        assert!(notice.text.contains(text) && notice.link.is_none(), "{}", notice.text);
    }

    bundle.age("failures#pay-password", LOCK_SECONDS).await;
    assert_eq!(check(&bundle, &event(&payer)).await.body["success"], true);
    assert_eq!(counts(&bundle, &payer).await, ["none", "5"], "a right one ends only the row");
}

#[tokio::test]
async fn lockout_by_update_notifies_once_each() {
    let bundle = Bundle::with(&[("PAY_PASSWORD_MAX_FAILURES", "2")]).await;
    let payer = payer(&bundle).await;
    for lockouts in 1..=2 {
        enter_wrong_pins(&bundle, &payer, 2).await;
        assert_eq!(update(&bundle, &payer, PIN, NEW_PIN).await.refusal(), (429, "TOO_MANY_ATTEMPTS"));
        assert_eq!(bundle.notices_to(EMAIL).await.len(), lockouts);
        assert_eq!(actions(&bundle, &payer).await, vec!["pay-password-locked"; lockouts]);
        bundle.age("failures#pay-password", LOCK_SECONDS).await;
    }
}

#[tokio::test]
async fn day_locks_across_rows_and_functions() {
    let settings = [("PAY_PASSWORD_MAX_FAILURES", "2"), ("PAY_PASSWORD_FAILURES_PER_DAY", "3")];
    let bundle = Bundle::with(&settings).await;
    let payer = payer(&bundle).await;
    enter_wrong_pins(&bundle, &payer, 2).await;
    bundle.age("failures#pay-password", LOCK_SECONDS).await;
    assert_wrong_pin(&check(&bundle, &wrong(&payer)).await, 0);
    assert_eq!(bundle.notices_to(EMAIL).await.len(), 2);
    for _ in 0..3 {
        let locked = check(&bundle, &event(&payer)).await;
        assert_refused(&locked, "TOO_MANY_ATTEMPTS");
        assert!(locked.body["retryAfter"].as_i64().unwrap() > DAY - LOCK_SECONDS - 100, "{}", locked.text);
    }
    assert_eq!(counts(&bundle, &payer).await, ["1", "3"], "attempts of a used-up day must not count");
    assert_eq!(update(&bundle, &payer, PIN, NEW_PIN).await.refusal(), (429, "TOO_MANY_ATTEMPTS"));
    assert_eq!(bundle.notices_to(EMAIL).await.len(), 2);
    bundle.age("failures#pay-password", DAY).await;
    assert_eq!(check(&bundle, &event(&payer)).await.body["success"], true);
}

#[tokio::test]
async fn right_pin_costs_no_attempt() {
    let settings = [("PAY_PASSWORD_MAX_FAILURES", "2"), ("PAY_PASSWORD_FAILURES_PER_DAY", "1")];
    let bundle = Bundle::with(&settings).await;
    let payer = payer(&bundle).await;
    for _ in 0..3 {
        assert_eq!(check(&bundle, &event(&payer)).await.body["success"], true);
    }
    update(&bundle, &payer, PIN, NEW_PIN).await.ok();
    update(&bundle, &payer, NEW_PIN, PIN).await.ok();
    assert_eq!(counts(&bundle, &payer).await, ["none", "0"]);
    assert_wrong_pin(&check(&bundle, &wrong(&payer)).await, 0);
    assert_refused(&check(&bundle, &event(&payer)).await, "TOO_MANY_ATTEMPTS");
}

#[tokio::test]
async fn parallel_wrong_pins_compare_five() {
    let bundle = Bundle::start().await;
    let payer = payer(&bundle).await;
    let wrong = wrong(&payer);
    let checked = bundle.concurrently(FUNCTION, 40, |_| check(&bundle, &wrong)).await;
    let is = |symbol: &str| checked.iter().filter(|response| response.body["error"] == symbol).count();
    let counted = (is("{PAY_PASSWORD}_NOT_VALID"), is("TOO_MANY_ATTEMPTS"));
    assert_eq!(counted, (5, 35), "{checked:#?}");
    let mut left: Vec<_> =
        checked.iter().filter_map(|response| response.body["attemptsLeft"].as_u64()).collect();
    left.sort_unstable();
    assert_eq!(left, [0, 1, 2, 3, 4]);
    assert_eq!(counts(&bundle, &payer).await, ["5", "5"]);
    assert_eq!(actions(&bundle, &payer).await, ["pay-password-locked"]);
    assert_eq!(bundle.notices_to(EMAIL).await.len(), 1);
}

#[tokio::test]
async fn cooling_off_is_reported() {
    let bundle = Bundle::start().await;
    let payer = bundle.logged_in(&bundle.member().await, 901).await;
    let call = bundle.call(Method::PUT, SET_PAY_PASSWORD).session(&payer.token);
    call.json(&json!({ "payPasswordFirst": PIN })).await.ok();
    let checked = check(&bundle, &event(&payer)).await;
    let until = checked.body["coolingUntil"].as_u64().unwrap();
    assert!((86_390..=86_400).contains(&Timestamp::now().until(Timestamp(until))), "{}", checked.text);
    update_member(&bundle, &payer, "SET cooling_since = :at", json!({ ":at": { "N": "1" } })).await;
    assert!(check(&bundle, &event(&payer)).await.body.get("coolingUntil").is_none());
}

#[tokio::test]
async fn code_to_own_phone_is_second_element() {
    let bundle = Bundle::start().await;
    let payer = payer(&bundle).await;
    let sent = log_in_code(&bundle, &payer, phone(PHONE)).await;
    let mut wrong_pin = with_code(&payer, &sent);
    wrong_pin["payPassword"] = json!(WRONG_PIN);
    assert_wrong_pin(&check(&bundle, &wrong_pin).await, 4);
    let checked = check(&bundle, &with_code(&payer, &sent)).await;
    let both = json!(["pay-password", "sms"]);
    assert_eq!(checked.body["elements"], both, "{}", checked.text);
    let receipt = checked.body["receipt"].as_str().unwrap();
    assert_eq!(bundle.invoke("spend-receipt", &receipts::event(receipt)).await.body["elements"], both);
    let again = check(&bundle, &with_code(&payer, &sent)).await;
    assert_refused(&again, "{CODE}_NOT_VALID");

    // The app requests one itself, with its session.
    let call = bundle.call(Method::GET, SEND_CODE).session(&payer.token);
    let sent = call.query(&[("phone", PHONE), ("purpose", "pay")]).send().await.ok();
    let sent = (sent.verification().to_owned(), bundle.code());
    for expected in [&both, &Value::Null] {
        assert_eq!(check(&bundle, &with_code(&payer, &sent)).await.body["elements"], *expected);
    }
}

#[tokio::test]
async fn other_second_elements_are_refused() {
    let bundle = Bundle::start().await;
    let payer = payer(&bundle).await;
    let other = bundle.other_member().await;
    let email: Destination = serde_json::from_value(json!(format!("email#{EMAIL}"))).unwrap();
    for sent in [
        log_in_code(&bundle, &other, phone(OTHER_PHONE)).await,
        log_in_code(&bundle, &payer, email).await,
        bundle.request_sms_code(None, PHONE).await,
        ("hunter2".to_owned(), "739201".to_owned()),
    ] {
        assert_refused(&check(&bundle, &with_code(&payer, &sent)).await, "{VERIFICATION}_NOT_VALID");
    }
    // A code for the phone that was sent when another member had it.
    let of_other = log_in_code(&bundle, &other, phone(PHONE)).await;
    assert_refused(&check(&bundle, &with_code(&payer, &of_other)).await, "{CODE}_NOT_VALID");
    let (verification, code) = log_in_code(&bundle, &payer, phone(PHONE)).await;
    let guess = (verification.clone(), wrong_code(&code).to_owned());
    let refused = check(&bundle, &with_code(&payer, &guess)).await;
    assert_refused(&refused, "{CODE}_NOT_VALID");
    assert_eq!(refused.body["attemptsLeft"], 4);
    let malformed = check(&bundle, &with_code(&payer, &(verification.clone(), "7392".to_owned()))).await;
    assert_refused(&malformed, "{CODE}_NOT_VALID");
    assert!(malformed.body.get("attemptsLeft").is_none());
    assert_eq!(counts(&bundle, &payer).await, ["none", "none"], "the pay password was not compared");

    let now = json!({ ":now": { "N": Timestamp::now().0.to_string() } });
    update_member(&bundle, &payer, "SET phone_immature_since = :now", now).await;
    let sent = (verification, code);
    assert_refused(&check(&bundle, &with_code(&payer, &sent)).await, "COOLING_OFF");
    let mail_only = json!({ "email": OTHER_EMAIL.replace("wu", "mo"), "payPassword": PIN });
    let mail_only = bundle.member_with(mail_only).await;
    assert_refused(&check(&bundle, &with_code(&mail_only, &sent)).await, "{VERIFICATION}_NOT_VALID");
}

#[tokio::test]
async fn second_element_ends_with_the_sessions() {
    let bundle = Bundle::start().await;
    let payer = payer(&bundle).await;
    let sent = log_in_code(&bundle, &payer, phone(PHONE)).await;
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": "a-new-password" });
    let changed = bundle.call(Method::PUT, CHANGE).session(&payer.token).json(&body).await.ok();
    let renewed = Member { token: changed.token().to_owned(), ..payer };
    assert_refused(&check(&bundle, &with_code(&renewed, &sent)).await, "{CODE}_NOT_VALID");
}

#[tokio::test]
async fn repeated_key_returns_the_same_receipt() {
    let bundle = Bundle::start().await;
    let payer = payer(&bundle).await;
    let mut keyed = event(&payer);
    keyed["idempotencyKey"] = json!("check-1");
    let first = check(&bundle, &keyed).await;
    assert_eq!(first.body["success"], true, "{}", first.text);
    assert_eq!(check(&bundle, &keyed).await.body, first.body);
    assert_eq!(actions(&bundle, &payer).await, ["pay-password-checked"]);
    keyed["order"]["amount"] = json!("1");
    assert_refused(&check(&bundle, &keyed).await, "IDEMPOTENCY_KEY_REUSED");
    let stored = json!(bundle.items().await).to_string();
    assert!(!stored.contains(&payer.token) && !stored.contains(first.body["receipt"].as_str().unwrap()));
}

#[tokio::test]
async fn outdated_hash_is_upgraded_best_effort() {
    let (proxy, bundle) = Proxy::between(STORE, &[]).await;
    let payer = imported_member(&bundle, PHONE, EMAIL, "pay_password", PAY).await;
    assert_wrong_pin(&check(&bundle, &wrong(&payer)).await, 4);
    // After the counts of the row and the day.
    proxy.fault(On::nth("UpdateItem", 3), InjectedFault::Refuse("AccessDeniedException"));
    assert_eq!(check(&bundle, &event(&payer)).await.body["success"], true);
    assert!(!is_upgraded(&bundle, &payer, "pay_password").await);
    let lines = bundle.stack.log_lines();
    assert!(
        lines.iter().any(|line| line.text.contains("an outdated hash of a pay password was not replaced"))
    );
    proxy.heal();

    assert_eq!(check(&bundle, &event(&payer)).await.body["success"], true);
    assert!(is_upgraded(&bundle, &payer, "pay_password").await);
    assert_eq!(check(&bundle, &event(&payer)).await.body["success"], true);
    assert_wrong_pin(&check(&bundle, &wrong(&payer)).await, 4);
    assert_eq!(actions(&bundle, &payer).await, ["pay-password-checked"; 3]);
    assert_eq!(bundle.inspect(&payer).await["credentialVersion"], 1);
    assert_eq!(bundle.notices_to(EMAIL).await.len(), 0);
}

#[tokio::test]
async fn malformed_stored_hash_is_a_fault() {
    let bundle = Bundle::start().await;
    let payer = payer(&bundle).await;
    let broken = json!({ ":hash": { "S": "$argon2id$broken" } });
    update_member(&bundle, &payer, "SET pay_password = :hash", broken).await;
    for event in [event(&payer), wrong(&payer)] {
        let failed = check(&bundle, &event).await;
        assert_eq!(failed.body["errorType"], "INTERNAL_SERVER_ERROR", "{}", failed.text);
    }
}

#[tokio::test]
async fn lost_response_of_the_store_checks_once() {
    let (proxy, bundle) = Proxy::between(STORE, &[]).await;
    let payer = payer(&bundle).await;
    proxy.fault(On::nth("TransactWriteItems", 1), InjectedFault::DropAfter);
    assert_eq!(check(&bundle, &event(&payer)).await.body["success"], true);
    assert_eq!(actions(&bundle, &payer).await, ["pay-password-checked"]);
}

#[tokio::test]
async fn check_is_atomic_at_every_crash() {
    let (proxy, bundle) = Box::pin(Proxy::between(STORE, &MANY)).await;
    let payer = payer(&bundle).await;
    for fault in [InjectedFault::HangBefore, InjectedFault::HangAfter] {
        for n in 1.. {
            let sent = log_in_code(&bundle, &payer, phone(PHONE)).await;
            let event = with_code(&payer, &sent);
            let before = TableSnapshot::take(&bundle).await;
            proxy.requests();
            proxy.fault(On::nth(ANY, n).by(FUNCTION), fault);
            let mut call = Box::pin(check(&bundle, &event));
            tokio::select! {
                response = &mut call => {
                    assert_eq!(response.body["success"], true, "{}", response.text);
                    assert!(n > 4, "a check makes several requests");
                    break;
                }
                () = proxy.wait_for_hang() => bundle.stack.kill(FUNCTION).unwrap(),
            }
            let at = format!("{fault:?} {n}");
            assert_ne!(call.await.body["success"], true, "{at}");
            proxy.heal();
            let mut requests = proxy.requests();
            if fault == InjectedFault::HangBefore {
                requests.pop();
            }
            let is_made = requests.iter().any(|request| request == "TransactWriteItems");
            let effect = ["audit is new", "code flow is deleted", "receipt receipt is new"];
            let expected = if is_made { &effect[..] } else { &[] };
            assert_eq!(before.diff(&bundle).await, expected, "{at}: {requests:?}");
            // The code of a check that was made is consumed.
            let again = check(&bundle, &event).await;
            assert_eq!(again.body["success"], !is_made, "{at}: {}", again.text);
            assert_eq!(before.diff(&bundle).await, effect, "{at}: repeated");
        }
        proxy.heal();
    }
}
