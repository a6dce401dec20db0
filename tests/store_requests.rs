//! The requests that each endpoint makes to DynamoDB. ARCHITECTURE.md lists the same requests.

use crate::{
    authorizer,
    bundle::{
        BIND_PHONE, Bundle, CHANGE, CHANGE_BY_MESSAGE, CLOSE, EMAIL, Member, NEW_PASSWORD, NEW_PIN, NOT_ME,
        OLD_PASSWORD, OTHER_EMAIL, OTHER_PHONE, PHONE, PIN, RECOVERY, RESET_PAY_PASSWORD, Response, SEND,
        SEND_MAIL, SET_PAY_PASSWORD, STATUS, UPDATE_PAY_PASSWORD, VERIFY_MAIL,
    },
    check_pay_password::{check, log_in_code, phone, with_code},
    create_member,
    proxy::{Proxy, STORE},
    receipts,
};
use reqwest::Method;
use serde_json::{Value, json};

/// A member's send: reads the member, stores the code, and counts the traffic of the route.
const SENT: [&str; 3] = ["GetItem", "TransactWriteItems", "UpdateItem"];
/// A change with a code: reads the member, counts the attempt for the code and for the source address, and then the
/// failure of the day, commits the change, counts the code as verified and gives the source its attempt back.
const CHANGED_BY_CODE: [&str; 7] =
    ["GetItem", "UpdateItem", "UpdateItem", "UpdateItem", "TransactWriteItems", "UpdateItem", "UpdateItem"];
/// The exchange of a code for a grant.
const EXCHANGED: [&str; 6] =
    ["UpdateItem", "UpdateItem", "UpdateItem", "TransactWriteItems", "UpdateItem", "UpdateItem"];
/// The delivery of a notice by SMS: counts it for its phone, and for the traffic of the route.
const NOTICE_BY_SMS: [&str; 2] = ["UpdateItem", "UpdateItem"];
/// The delivery of the notices of a change to a phone and an email address.
const NOTICES: [&str; 3] = ["UpdateItem", "UpdateItem", "UpdateItem"];

/// Returns the requests of a call and of the delivery of its notices.
fn with<'a>(call: &[&'a str], notices: &[&'a str]) -> Vec<&'a str> {
    [call, notices].concat()
}

/// Starts a bundle with every function running, whose requests to DynamoDB are recorded.
async fn counted() -> (Proxy, Bundle, Member) {
    let (proxy, bundle) = Proxy::between(STORE, &[]).await;
    let member = bundle.member().await;
    // Every process reads once at its start to open its connection. No endpoint makes that request.
    bundle.call(Method::GET, "/_local/health").send().await.ok();
    proxy.requests();
    (proxy, bundle, member)
}

/// Returns the requests since the last call, including those of the outbox.
async fn take_requests(proxy: &Proxy, bundle: &Bundle) -> Vec<String> {
    bundle.settled().await;
    proxy.requests()
}

async fn put(bundle: &Bundle, path: &str, member: &Member, body: &Value) -> Response {
    bundle.call(Method::PUT, path).session(&member.token).json(body).await.ok()
}

#[tokio::test]
async fn password_endpoints_make_the_documented_store_requests() {
    let (proxy, bundle, member) = counted().await;

    let (phone_info, code) = bundle.request_change_code(&member).await;
    assert_eq!(take_requests(&proxy, &bundle).await, SENT);

    let body = json!({ "phoneInfo": phone_info, "code": code, "newPassword": NEW_PASSWORD });
    let changed = bundle.call(Method::POST, CHANGE_BY_MESSAGE).session(&member.token).json(&body).await.ok();
    assert_eq!(take_requests(&proxy, &bundle).await, with(&CHANGED_BY_CODE, &NOTICES));

    let renewed = Member { token: changed.token().to_owned(), ..member };
    let body = json!({ "oldPassword": NEW_PASSWORD, "newPasswordFirst": OLD_PASSWORD });
    put(&bundle, CHANGE, &renewed, &body).await;
    let changed = ["GetItem", "UpdateItem", "TransactWriteItems"];
    assert_eq!(take_requests(&proxy, &bundle).await, with(&changed, &NOTICES));

    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    let renewed = bundle.logged_in(&renewed, 0).await;
    proxy.requests();
    for requests in [
        with(&["PutItem", "GetItem", "UpdateItem", "TransactWriteItems"], &NOTICES),
        vec!["PutItem", "UpdateItem"],
    ] {
        let call = bundle.call(Method::PUT, CHANGE).header("Idempotency-Key", "once");
        call.session(&renewed.token).json(&body).await.ok();
        assert_eq!(take_requests(&proxy, &bundle).await, requests);
    }

    bundle.call(Method::POST, SEND).send().await;
    assert_eq!(
        take_requests(&proxy, &bundle).await,
        [""; 0],
        "a call without a session must not use the store"
    );
}

#[tokio::test]
async fn phone_and_pin_endpoints_make_documented_store_requests() {
    let (proxy, bundle, member) = counted().await;
    let newcomer = bundle.member_with(json!({})).await;
    proxy.requests();

    let (_, code) = bundle.request_sms_code(Some(&newcomer), OTHER_PHONE).await;
    assert_eq!(take_requests(&proxy, &bundle).await, SENT);

    put(&bundle, BIND_PHONE, &newcomer, &json!({ "message": code, "phone": OTHER_PHONE })).await;
    assert_eq!(take_requests(&proxy, &bundle).await, with(&CHANGED_BY_CODE, &NOTICE_BY_SMS));

    put(&bundle, SET_PAY_PASSWORD, &member, &json!({ "payPasswordFirst": PIN })).await;
    assert_eq!(take_requests(&proxy, &bundle).await, with(&["GetItem", "TransactWriteItems"], &NOTICES));

    put(&bundle, UPDATE_PAY_PASSWORD, &member, &json!({ "oldPassword": PIN, "payPasswordFirst": NEW_PIN }))
        .await;
    let changed = ["GetItem", "UpdateItem", "UpdateItem", "TransactWriteItems"];
    assert_eq!(take_requests(&proxy, &bundle).await, with(&changed, &NOTICES));

    let (_, code) = bundle.request_sms_code(Some(&member), PHONE).await;
    proxy.requests();
    put(&bundle, RESET_PAY_PASSWORD, &member, &json!({ "phone": PHONE, "message": code })).await;
    assert_eq!(take_requests(&proxy, &bundle).await, with(&CHANGED_BY_CODE, &NOTICES));

    bundle.age("sent#phone#", 120).await;
    let requested = bundle.request_sms_code(Some(&member), PHONE).await;
    proxy.requests();
    let grant = bundle.grant(&requested).await;
    assert_eq!(take_requests(&proxy, &bundle).await, EXCHANGED);
    put(&bundle, RESET_PAY_PASSWORD, &member, &json!({ "phone": PHONE, "verification": grant })).await;
    let reset = ["GetItem", "UpdateItem", "TransactWriteItems"];
    assert_eq!(take_requests(&proxy, &bundle).await, with(&reset, &NOTICES));
}

#[tokio::test]
async fn recovery_and_email_endpoints_make_documented_store_requests() {
    let (proxy, bundle, member) = counted().await;

    let requested = bundle.request_sms_code(None, PHONE).await;
    let (asks, delivers) =
        (["GetItem", "TransactWriteItems"], ["GetItem", "GetItem", "UpdateItem", "UpdateItem"]);
    assert_eq!(take_requests(&proxy, &bundle).await, with(&asks, &delivers));
    let grant = bundle.grant(&requested).await;
    assert_eq!(take_requests(&proxy, &bundle).await, EXCHANGED);
    let body = json!({ "phone": PHONE, "passwordFirst": NEW_PASSWORD, "verification": grant });
    bundle.call(Method::PUT, RECOVERY).json(&body).await.ok();
    let recovered = ["UpdateItem", "GetItem", "TransactWriteItems"];
    assert_eq!(take_requests(&proxy, &bundle).await, with(&recovered, &NOTICES));

    let requested = bundle.request_email_code(None, EMAIL).await;
    assert_eq!(take_requests(&proxy, &bundle).await, with(&asks, &delivers));
    bundle.grant_by_mail(&requested).await;
    assert_eq!(take_requests(&proxy, &bundle).await, EXCHANGED);

    let member = bundle.logged_in(&member, 0).await;
    proxy.requests();
    let (verification, code) = bundle.request_email_code(Some(&member), OTHER_EMAIL).await;
    assert_eq!(take_requests(&proxy, &bundle).await, SENT);
    let query = [("verification", verification.as_str()), ("code", &code)];
    bundle.call(Method::GET, VERIFY_MAIL).query(&query).send().await.ok();
    assert_eq!(take_requests(&proxy, &bundle).await, [""; 0], "the page must not use the store");
    bundle.call(Method::POST, VERIFY_MAIL).query(&query).send().await.ok();
    let bound = [
        &["UpdateItem", "UpdateItem", "UpdateItem", "GetItem", "TransactWriteItems"][..],
        &["UpdateItem", "UpdateItem"],
        // The member has a phone, and had another email address before.
        &NOTICES,
        &["UpdateItem"],
    ];
    assert_eq!(take_requests(&proxy, &bundle).await, bound.concat());

    let body = json!({ "email": EMAIL, "password": NEW_PASSWORD });
    bundle.age("sent#email#", 120).await;
    proxy.requests();
    bundle.call(Method::POST, SEND_MAIL).session(&member.token).json(&body).await.ok();
    assert_eq!(
        take_requests(&proxy, &bundle).await,
        ["GetItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "UpdateItem"]
    );

    let link = bundle.report_link(EMAIL).await;
    let link = [("verification", link.as_str())];
    proxy.requests();
    bundle.call(Method::GET, NOT_ME).query(&link).send().await.ok();
    assert_eq!(take_requests(&proxy, &bundle).await, [""; 0], "the page must not use the store");
    bundle.call(Method::POST, NOT_ME).query(&link).send().await.ok();
    // The owner of the replaced address is read as well, and both addresses are notified.
    let reported = ["GetItem", "GetItem", "GetItem", "TransactWriteItems"];
    assert_eq!(
        take_requests(&proxy, &bundle).await,
        with(&reported, &[&NOTICES[..], &["UpdateItem"]].concat())
    );
}

async fn log_ins(proxy: &Proxy, bundle: &Bundle) {
    let mut event = json!({ "phone": PHONE, "password": OLD_PASSWORD });
    bundle.log_in(event.clone()).await;
    let right = ["TransactWriteItems", "GetItem", "GetItem", "TransactWriteItems"];
    assert_eq!(take_requests(proxy, bundle).await, right);
    event["password"] = json!("wrong");
    let wrong = ["TransactWriteItems", "GetItem", "GetItem", "GetItem"];
    for failure in 1..=11 {
        bundle.log_in(event.clone()).await;
        let expected = match failure {
            // The outbox finds the owner, and records the lockout.
            10 => with(&wrong, &["PutItem", "GetItem", "PutItem"]),
            11 => vec!["TransactWriteItems"],
            _ => wrong.to_vec(),
        };
        assert_eq!(take_requests(proxy, bundle).await, expected, "{failure}");
    }
    let asks = ["GetItem", "TransactWriteItems"];
    for (to, to_whom) in [(PHONE, &["GetItem", "GetItem"][..]), (OTHER_PHONE, &["GetItem"])] {
        let sent = bundle.send_log_in_code("register", to).await;
        let delivered = [to_whom, &["UpdateItem", "UpdateItem"]].concat();
        assert_eq!(take_requests(proxy, bundle).await, with(&asks, &delivered));
        let event = json!({ "phone": to, "code": bundle.code(), "verification": sent.verification() });
        bundle.log_in(event).await;
        // Reads the member, or that there is no owner.
        let verified = ["UpdateItem", "UpdateItem", "UpdateItem", "GetItem", "TransactWriteItems"];
        assert_eq!(take_requests(proxy, bundle).await, with(&verified, &["UpdateItem", "UpdateItem"]));
    }
}

#[tokio::test]
async fn status_and_closing_make_documented_store_requests() {
    let (proxy, bundle, member) = counted().await;
    let newcomer = bundle.member_with(json!({ "phone": OTHER_PHONE })).await;
    proxy.requests();

    bundle.call(Method::GET, STATUS).session(&member.token).send().await.ok();
    let mut requests = take_requests(&proxy, &bundle).await;
    // Three of them at the same time.
    requests[1..].sort_unstable();
    assert_eq!(requests, ["GetItem", "GetItem", "GetItem", "Query"]);

    let close = async |member: &Member, body: Value| {
        bundle.call(Method::DELETE, CLOSE).session(&member.token).json(&body).await.ok();
    };
    close(&member, json!({ "password": OLD_PASSWORD })).await;
    let closed = ["GetItem", "UpdateItem", "GetItem", "GetItem", "TransactWriteItems"];
    assert_eq!(take_requests(&proxy, &bundle).await, with(&closed, &NOTICES));

    let (_, code) = bundle.request_closing_by_sms(&newcomer, OTHER_PHONE).await;
    assert_eq!(take_requests(&proxy, &bundle).await, SENT);
    close(&newcomer, json!({ "message": code })).await;
    let closed = [&CHANGED_BY_CODE[..4], &["GetItem"], &CHANGED_BY_CODE[4..]].concat();
    assert_eq!(take_requests(&proxy, &bundle).await, with(&closed, &NOTICE_BY_SMS));
}

#[tokio::test]
async fn service_functions_make_the_documented_store_requests() {
    let (proxy, bundle, member) = counted().await;
    log_ins(&proxy, &bundle).await;
    proxy.requests();
    authorizer::authorize(&bundle, &member.token).await;
    assert_eq!(take_requests(&proxy, &bundle).await, ["GetItem"]);
    put(&bundle, SET_PAY_PASSWORD, &member, &json!({ "payPasswordFirst": PIN })).await;
    let code = log_in_code(&bundle, &member, phone(PHONE)).await;
    take_requests(&proxy, &bundle).await;
    let receipt = receipts::issue(&bundle, &member).await;
    let by_pin = ["GetItem", "UpdateItem", "UpdateItem", "TransactWriteItems"];
    assert_eq!(take_requests(&proxy, &bundle).await, by_pin);
    check(&bundle, &with_code(&member, &code)).await;
    let attempts = ["UpdateItem"; 5];
    let by_both = [&["GetItem"], &attempts[..], &["TransactWriteItems", "UpdateItem", "UpdateItem"]];
    assert_eq!(take_requests(&proxy, &bundle).await, by_both.concat());
    for requests in [vec!["GetItem", "TransactWriteItems"], vec!["GetItem"]] {
        bundle.invoke("spend-receipt", &receipts::event(&receipt)).await;
        assert_eq!(take_requests(&proxy, &bundle).await, requests);
    }

    let by_grant = create_member::event(&create_member::phone_grant(&bundle, OTHER_PHONE).await);
    proxy.requests();
    // A repetition reads the member, and compares the password that is in `amr`.
    let repeated = vec!["GetItem", "GetItem", "UpdateItem", "UpdateItem"];
    for requests in [vec!["GetItem", "TransactWriteItems"], repeated] {
        bundle.invoke("create-member", &by_grant).await;
        assert_eq!(take_requests(&proxy, &bundle).await, requests);
    }
    let mut vouched = create_member::vouched();
    (vouched["member"], vouched["phone"]) =
        (json!("0192f0c1-7d3a-7c60-b1a5-0d8b0a3f5e12"), json!("13700000001"));
    vouched["email"] = json!(OTHER_EMAIL);
    let repeated = vec!["TransactWriteItems", "GetItem", "UpdateItem", "UpdateItem"];
    for requests in [vec!["TransactWriteItems"], repeated] {
        bundle.invoke("create-member", &vouched).await;
        assert_eq!(take_requests(&proxy, &bundle).await, requests);
    }
}
