//! Rate limits on sends, and the time that a refused client has to wait.

use crate::{
    bundle::{
        BIND_PHONE, Bundle, Call, EMAIL, Member, NEW_PIN, OLD_PASSWORD, OTHER_EMAIL, OTHER_PHONE, PHONE, PIN,
        RECOVERY, RESET_PAY_PASSWORD, Response, SEND, SEND_CODE, SEND_MAIL, UPDATE_PAY_PASSWORD, VERIFY_MAIL,
        e164, wrong_code,
    },
    proxy::{ANY, InjectedFault, On, Proxy, REFUSED, SMS},
};
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::Timestamp;
use std::collections::BTreeMap;

fn send_code(bundle: &Bundle, phone: &str) -> Call {
    bundle.call(Method::GET, SEND_CODE).query(&[("phone", phone)])
}

/// Asserts that a send was refused, and returns the seconds to wait from its header and body.
fn retry_after(refused: &Response, status: u16) -> u64 {
    assert_eq!(refused.refusal(), (status, "SEND_MESSAGE_FREQUENTLY"), "{}", refused.text);
    let seconds = refused.body["retryAfter"].as_u64().unwrap();
    assert_eq!(refused.headers["retry-after"], seconds.to_string());
    seconds
}

/// Returns a phone that no other member has.
fn phone(number: usize) -> String {
    format!("138{number:08}")
}

/// Returns an event of `send-code` from this address, as API Gateway sends it, with an `X-Forwarded-For` that the
/// caller forged.
fn event_from(source: &str, phone: &str) -> Value {
    json!({
        "resource": SEND_CODE, "path": SEND_CODE, "httpMethod": "GET",
        "headers": { "Host": "api.example.com", "X-Forwarded-For": format!("203.0.113.{}", phone.len()) },
        "queryStringParameters": { "phone": phone },
        "requestContext": {
            "resourcePath": SEND_CODE, "httpMethod": "GET", "path": SEND_CODE,
            "identity": { "sourceIp": source },
        },
        "body": null, "isBase64Encoded": false,
    })
}

async fn send_code_from(bundle: &Bundle, source: &str, phone: &str) -> (u64, Value) {
    let response = bundle.invoke("send-code", &event_from(source, phone)).await;
    let body = serde_json::from_str(response.body["body"].as_str().unwrap()).unwrap();
    (response.body["statusCode"].as_u64().unwrap(), body)
}

#[tokio::test]
async fn phone_gets_five_codes_hourly_and_ten_daily() {
    let bundle = Bundle::with(&[("MEMBER_SENDS_PER_DAY", "100")]).await;
    let member = bundle.member().await;
    for caller in [Some(&member), None] {
        let sent = bundle.stack.messages().len();
        for _ in 0..5 {
            send_code(&bundle, PHONE).session_of(caller).send().await.ok();
            bundle.age("sent#phone#", 130).await;
        }
        // The oldest of the five codes is 650 seconds old.
        let expected = 3_600 - 5 * 130;
        let seconds = retry_after(&send_code(&bundle, PHONE).session_of(caller).send().await, 429);
        assert!((expected - 10..=expected).contains(&seconds), "{seconds}");
        bundle.settled().await;
        assert_eq!(bundle.stack.messages().len(), sent + 5, "a refused send must not send a message");

        bundle.age("sent#phone#", 3_600).await;
        for _ in 0..5 {
            send_code(&bundle, PHONE).session_of(caller).send().await.ok();
            bundle.age("sent#phone#", 3_600).await;
        }
        let seconds = retry_after(&send_code(&bundle, PHONE).session_of(caller).send().await, 429);
        let expected = 86_400 - 5 * 3_600 - 3_600 - 5 * 130;
        assert!((expected - 10..=expected).contains(&seconds), "{seconds}");
    }
    send_code(&bundle, OTHER_PHONE).send().await.ok();
}

#[tokio::test]
async fn purposes_of_a_member_share_the_hour() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    for number in 0..5 {
        match number % 2 {
            0 => bundle.call(Method::POST, SEND).session(&member.token).send().await.ok(),
            _ => send_code(&bundle, PHONE).session(&member.token).send().await.ok(),
        };
        bundle.age("sent#phone#", 130).await;
    }
    retry_after(&bundle.call(Method::POST, SEND).session(&member.token).send().await, 400);
    retry_after(&send_code(&bundle, PHONE).session(&member.token).send().await, 429);
}

#[tokio::test]
async fn other_members_use_up_no_owners_sends() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (first, second) = (bundle.other_member().await, bundle.member_with(json!({})).await);
    send_code(&bundle, PHONE).session(&first.token).send().await.ok();
    // They share a cooldown, and neither the owner nor an anonymous client observes it.
    retry_after(&send_code(&bundle, PHONE).session(&second.token).send().await, 429);
    send_code(&bundle, PHONE).session(&member.token).send().await.ok();
    send_code(&bundle, PHONE).send().await.ok();
}

#[tokio::test]
async fn member_requests_at_most_ten_codes_daily() {
    let bundle = Bundle::start().await;
    let member = bundle.member_with(json!({})).await;
    let other = bundle.member_with(json!({})).await;
    for number in 0..5 {
        send_code(&bundle, &phone(number)).session(&member.token).send().await.ok();
        let email = format!("li-{number}@example.com");
        bundle.call(Method::POST, SEND_MAIL).session(&member.token).form(&[("email", &email)]).await.ok();
    }
    let seconds = retry_after(&send_code(&bundle, &phone(5)).session(&member.token).send().await, 429);
    assert!((86_390..=86_400).contains(&seconds), "{seconds}");
    assert_eq!(bundle.stack.messages().len(), 10);
    send_code(&bundle, &phone(5)).session(&other.token).send().await.ok();

    bundle.age(&format!("sent#member#{}", member.id), 86_400).await;
    send_code(&bundle, &phone(6)).session(&member.token).send().await.ok();
}

#[tokio::test]
async fn longest_of_several_waits_is_returned() {
    let bundle = Bundle::with(&[("MEMBER_SENDS_PER_DAY", "1")]).await;
    let member = bundle.member().await;
    bundle.call(Method::POST, SEND).session(&member.token).send().await.ok();
    let seconds = retry_after(&bundle.call(Method::POST, SEND).session(&member.token).send().await, 400);
    assert!(seconds > 86_000, "{seconds}");
}

#[tokio::test]
async fn source_address_requests_thirty_codes_hourly() {
    let bundle = Bundle::with(&[("SOURCE_SENDS_PER_HOUR", "3")]).await;
    let end_of_hour = 3_600 - Timestamp::now().0 % 3_600;
    for number in 0..3 {
        assert_eq!(send_code_from(&bundle, "198.51.100.7", &phone(number)).await.0, 200);
    }
    let (status, refused) = send_code_from(&bundle, "198.51.100.7", &phone(3)).await;
    if end_of_hour > 30 {
        assert_eq!((status, refused["error"].as_str()), (429, Some("SEND_MESSAGE_FREQUENTLY")));
        assert!(refused["retryAfter"].as_u64().unwrap() <= end_of_hour, "{refused}");
    }
    assert_eq!(send_code_from(&bundle, "198.51.100.8", &phone(3)).await.0, 200);
    // A subscriber owns every IPv6 address of a /64 network.
    for host in 1..=3 {
        assert_eq!(send_code_from(&bundle, &format!("2001:db8::{host}"), &phone(3 + host)).await.0, 200);
    }
    if end_of_hour > 30 {
        assert_eq!(send_code_from(&bundle, "2001:db8::4", &phone(7)).await.0, 429);
    }
    assert_eq!(send_code_from(&bundle, "2001:db8:0:1::4", &phone(7)).await.0, 200);
}

/// Returns an event of `send-code` from a load balancer, or from API Gateway if `gateway` names its caller, with
/// these fields of `X-Forwarded-For`.
fn forwarded_event(gateway: Option<&str>, fields: &[&str], phone: &str) -> Value {
    let context = match gateway {
        Some(source) => json!({ "httpMethod": "GET", "path": SEND_CODE, "identity": { "sourceIp": source } }),
        None => {
            json!({ "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/a/b" } })
        }
    };
    let last = fields.last().copied().unwrap_or_default();
    let mut event = json!({
        "path": SEND_CODE, "httpMethod": "GET", "queryStringParameters": { "phone": phone },
        "multiValueHeaders": { "host": ["api.example.com"], "x-forwarded-for": fields },
        "requestContext": context, "body": null, "isBase64Encoded": false,
    });
    if gateway.is_some() {
        event["resource"] = json!(SEND_CODE);
        event["headers"] = json!({ "host": "api.example.com", "x-forwarded-for": last });
    }
    event
}

#[tokio::test]
async fn source_address_is_reported_by_trusted_proxies() {
    let gateway = Some("192.0.2.1");
    let cases: [(&str, Option<&str>, &[&str], &str); 16] = [
        ("0", gateway, &["6.6.6.6", "7.7.7.7, 203.0.113.9"], "192.0.2.1"),
        ("0", Some("somewhere"), &["203.0.113.9"], "unknown"),
        ("0", None, &["6.6.6.6", "7.7.7.7, 203.0.113.9"], "203.0.113.9"),
        ("0", None, &["6.6.6.6", "go http://evil.example/x"], "unknown"),
        ("0", None, &["203.0.113.9,"], "unknown"),
        ("0", None, &["203.0.113.9:4711"], "203.0.113.9"),
        ("0", None, &[], "unknown"),
        ("2", gateway, &["6.6.6.6, 203.0.113.9, 192.0.2.1"], "203.0.113.9"),
        ("2", gateway, &["6.6.6.6", "203.0.113.9", "192.0.2.1"], "203.0.113.9"),
        ("2", gateway, &["6.6.6.6, 2001:db8:0:1::7", "192.0.2.1"], "2001:db8:0:1::/64"),
        ("2", gateway, &["192.0.2.1"], "unknown"),
        ("2", gateway, &["203.0.113.9, a proxy, 192.0.2.1"], "unknown"),
        ("2", gateway, &[], "unknown"),
        ("2", None, &["6.6.6.6", "203.0.113.9, 192.0.2.1"], "203.0.113.9"),
        ("1", None, &["6.6.6.6", "7.7.7.7, 203.0.113.9"], "203.0.113.9"),
        ("1", gateway, &["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
    ];
    for trusted in ["0", "1", "2"] {
        let bundle = Bundle::with(&[("TRUSTED_PROXIES", trusted)]).await;
        let cases = cases.iter().filter(|(proxies, ..)| *proxies == trusted);
        for (number, (_, gateway, fields, source)) in cases.enumerate() {
            let before = counted_sources(&bundle).await;
            let event = forwarded_event(*gateway, fields, &phone(number));
            let response = bundle.invoke("send-code", &event).await;
            assert_eq!(response.body["statusCode"], 200, "{}", response.text);
            let mut counted = counted_sources(&bundle).await;
            for (source, count) in before {
                if counted.get(&source) == Some(&count) {
                    counted.remove(&source);
                }
            }
            let counted: Vec<_> = counted.into_keys().collect();
            assert_eq!(counted, [*source], "{trusted} of {fields:?} through {gateway:?}");
        }
    }
}

/// Returns the count of each source address, over all hours.
async fn counted_sources(bundle: &Bundle) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for item in bundle.items().await {
        let source = item["pk"]["S"].as_str().and_then(|pk| pk.strip_prefix("source#")?.rsplit_once('#'));
        if let Some((source, _)) = source {
            let count: u64 = item["count"]["N"].as_str().unwrap().parse().unwrap();
            *counts.entry(source.to_owned()).or_default() += count;
        }
    }
    counts
}

#[tokio::test]
async fn unknown_destinations_have_the_same_limits() {
    let bundle = Bundle::with(&[("SENDS_PER_HOUR", "2")]).await;
    bundle.member().await;
    for destination in [PHONE, OTHER_PHONE, EMAIL, "unknown@example.com"] {
        let by_mail = destination.contains('@');
        let send = async || {
            let mail = bundle.call(Method::POST, SEND_MAIL).query(&[("email", destination)]);
            if by_mail { mail.send().await } else { send_code(&bundle, destination).send().await }
        };
        for _ in 0..2 {
            send().await.ok();
            bundle.age(if by_mail { "sent#email#" } else { "sent#phone#" }, 120).await;
        }
        let seconds = retry_after(&send().await, 429);
        assert!((3_350..=3_360).contains(&seconds), "{destination}: {seconds}");
    }
}

#[tokio::test]
async fn calling_code_budget_counts_only_sent_codes() {
    let bundle = Bundle::with(&[("REGION_SENDS_PER_HOUR", "3"), ("ALLOWED_REGIONS", "CN,HK")]).await;
    let member = bundle.member().await;
    for number in 0..10 {
        send_code(&bundle, &phone(number)).send().await.ok();
    }
    bundle.settled().await;
    assert_eq!(bundle.stack.messages().len(), 0, "no member has these phones");
    send_code(&bundle, PHONE).send().await.ok();
    for number in 0..2 {
        send_code(&bundle, &phone(20 + number)).session(&member.token).send().await.ok();
    }
    bundle.settled().await;
    assert_eq!(bundle.stack.messages().len(), 3);

    // A member's send, and anonymous sends to a known and to an unknown phone, are refused alike.
    bundle.age("sent#phone#", 120).await;
    let refused = [
        send_code(&bundle, &phone(30)).session(&member.token).send().await,
        send_code(&bundle, PHONE).send().await,
        send_code(&bundle, OTHER_PHONE).send().await,
    ];
    for refused in &refused {
        let seconds = retry_after(refused, 429);
        assert!((3_590..=3_900).contains(&seconds), "{seconds}");
    }
    bundle.settled().await;
    assert_eq!(bundle.stack.messages().len(), 3);
    // Refused sends do not count: the same phone gets a code as soon as the budget allows it.
    send_code(&bundle, "+852 5123 4567").session(&member.token).send().await.ok();
    age_traffic(&bundle, 13).await;
    send_code(&bundle, &phone(30)).session(&member.token).send().await.ok();
    bundle.call(Method::POST, SEND_MAIL).form(&[("email", EMAIL)]).await.ok();
}

/// Makes the traffic on every route look this many slots older.
pub async fn age_traffic(bundle: &Bundle, slots: u64) {
    for item in bundle.items().await {
        if item["sk"]["S"] != "traffic" {
            continue;
        }
        let mut older = item.clone();
        for (name, value) in item.as_object().unwrap() {
            for what in ["sent", "verified", "notices"] {
                if let Some(slot) = name.strip_prefix(what).and_then(|slot| slot.parse::<u64>().ok()) {
                    older.as_object_mut().unwrap().remove(name);
                    older[format!("{what}{}", slot - slots)] = value.clone();
                }
            }
        }
        bundle.dynamodb("PutItem", json!({ "Item": older })).await;
    }
}

/// Sends this many codes, each to another phone, and verifies the first ones.
async fn send_and_verify(bundle: &Bundle, member: &Member, sent: usize, verified: usize) {
    for number in 0..sent {
        send_code(bundle, &phone(number)).session(&member.token).send().await.ok();
        if number < verified {
            let body = json!({ "message": bundle.code(), "phone": phone(number), "password": OLD_PASSWORD });
            bundle.call(Method::PUT, BIND_PHONE).session(&member.token).json(&body).await.ok();
        }
    }
}

#[tokio::test]
async fn breaker_follows_the_share_of_verified_codes() {
    let settings =
        [("BREAKER_MIN_CODES", "6"), ("BREAKER_MIN_VERIFIED_PERCENT", "50"), ("MEMBER_SENDS_PER_DAY", "100")];
    let bundle = Bundle::with(&settings).await;
    let member = bundle.member().await;
    send_and_verify(&bundle, &member, 6, 2).await;
    let last = send_code(&bundle, &phone(50)).session(&member.token).send().await.ok();
    let code = bundle.code();
    assert!(last.status.is_success(), "codes that may still be verified must not count");
    age_traffic(&bundle, 2).await;

    for refused in [
        send_code(&bundle, &phone(60)).session(&member.token).send().await,
        send_code(&bundle, &phone(61)).send().await,
    ] {
        let seconds = retry_after(&refused, 429);
        assert!((3_000..=3_300).contains(&seconds), "{seconds}");
    }
    assert_eq!(bundle.stack.messages().iter().filter(|message| message.code.is_some()).count(), 7);
    let logged = bundle.stack.log_lines();
    let line = logged
        .iter()
        .find(|line| line.text.contains("circuit breaker is open"))
        .expect("no line reports the open breaker");
    assert!(line.text.contains(r#""route":"86""#) && line.text.contains("WARN"), "{}", line.text);

    // Codes remain valid while the breaker is open, and email has a breaker of its own.
    let body = json!({ "message": code, "phone": phone(50), "password": OLD_PASSWORD });
    bundle.call(Method::PUT, BIND_PHONE).session(&member.token).json(&body).await.ok();
    bundle.call(Method::POST, SEND_MAIL).form(&[("email", EMAIL)]).await.ok();

    age_traffic(&bundle, 11).await;
    send_code(&bundle, &phone(60)).session(&member.token).send().await.ok();
}

async fn change_pin(bundle: &Bundle, member: &Member, old: &str, new: &str) {
    let body = json!({ "oldPassword": old, "payPasswordFirst": new });
    bundle.call(Method::PUT, UPDATE_PAY_PASSWORD).session(&member.token).json(&body).await.ok();
    bundle.settled().await;
}

fn send_mail(bundle: &Bundle, email: &str) -> Call {
    bundle.call(Method::POST, SEND_MAIL).query(&[("email", email)])
}

#[tokio::test]
async fn notices_count_in_the_budget_of_sms() {
    let bundle = Bundle::with(&[("REGION_SENDS_PER_HOUR", "2")]).await;
    let member = bundle.member_with(json!({ "phone": PHONE, "email": EMAIL, "payPassword": PIN })).await;
    change_pin(&bundle, &member, PIN, NEW_PIN).await;
    send_code(&bundle, OTHER_PHONE).session(&member.token).send().await.ok();
    retry_after(&send_code(&bundle, &phone(1)).session(&member.token).send().await, 429);
    // A further notice is dropped by SMS but not by email, and not retried.
    change_pin(&bundle, &member, NEW_PIN, PIN).await;
    assert_eq!((bundle.notices_to(&e164(PHONE)).await.len(), bundle.notices_to(EMAIL).await.len()), (1, 2));
    assert!(bundle.stack.log_lines().iter().all(|line| !line.text.contains("NoticesFailed")));
    age_traffic(&bundle, 13).await;
    change_pin(&bundle, &member, PIN, NEW_PIN).await;
    assert_eq!(bundle.notices_to(&e164(PHONE)).await.len(), 2);
}

#[tokio::test]
async fn email_budget_refuses_codes_but_no_notices() {
    let bundle = Bundle::with(&[("MAIL_SENDS_PER_HOUR", "2")]).await;
    let member = bundle.member_with(json!({ "phone": PHONE, "email": EMAIL, "payPassword": PIN })).await;
    change_pin(&bundle, &member, PIN, NEW_PIN).await;
    send_mail(&bundle, OTHER_EMAIL).session(&member.token).send().await.ok();
    for refused in [
        send_mail(&bundle, "lei@example.com").session(&member.token).send().await,
        send_mail(&bundle, EMAIL).send().await,
        send_mail(&bundle, "unknown@example.com").send().await,
    ] {
        retry_after(&refused, 429);
    }
    change_pin(&bundle, &member, NEW_PIN, PIN).await;
    assert_eq!(bundle.notices_to(EMAIL).await.len(), 2);
    send_code(&bundle, OTHER_PHONE).session(&member.token).send().await.ok();
}

#[tokio::test]
async fn breaker_neither_counts_nor_refuses_notices() {
    let settings = [("BREAKER_MIN_CODES", "1"), ("BREAKER_MIN_VERIFIED_PERCENT", "100")];
    let bundle = Bundle::with(&settings).await;
    let member = bundle.member_with(json!({ "phone": PHONE, "email": EMAIL, "payPassword": PIN })).await;
    change_pin(&bundle, &member, PIN, NEW_PIN).await;
    age_traffic(&bundle, 2).await;
    send_code(&bundle, OTHER_PHONE).session(&member.token).send().await.ok();
    age_traffic(&bundle, 2).await;
    retry_after(&send_code(&bundle, &phone(1)).session(&member.token).send().await, 429);
    change_pin(&bundle, &member, NEW_PIN, PIN).await;
    assert_eq!(bundle.notices_to(&e164(PHONE)).await.len(), 2);
}

#[tokio::test]
async fn guessed_email_codes_open_the_breaker() {
    let settings = [("BREAKER_MIN_CODES", "4"), ("BREAKER_MIN_VERIFIED_PERCENT", "50")];
    let bundle = Bundle::with(&settings).await;
    let email = |number: usize| format!("member-{number}@example.com");
    for number in 0..6 {
        bundle.member_with(json!({ "email": email(number) })).await;
    }
    // One member recovers, and an attacker guesses the codes of three others.
    bundle.grant_by_mail(&bundle.request_email_code(None, &email(0)).await).await;
    for number in 1..4 {
        let (verification, code) = bundle.request_email_code(None, &email(number)).await;
        let body = json!({ "verification": verification, "code": wrong_code(&code) });
        let refused = bundle.call(Method::POST, VERIFY_MAIL).json(&body).await;
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
    }
    age_traffic(&bundle, 2).await;
    let sent = bundle.stack.messages().len();
    for destination in [email(4), "unknown@example.com".to_owned()] {
        let seconds = retry_after(&send_mail(&bundle, &destination).send().await, 429);
        assert!((3_000..=3_300).contains(&seconds), "{seconds}");
    }
    let member = bundle.member().await;
    retry_after(&send_mail(&bundle, OTHER_EMAIL).session(&member.token).send().await, 429);
    bundle.settled().await;
    assert_eq!(bundle.stack.messages().len(), sent);
    assert!(bundle.stack.log_lines().iter().any(|line| line.text.contains(r#""route":"mail""#)));
    // SMS have breakers of their own.
    send_code(&bundle, OTHER_PHONE).session(&member.token).send().await.ok();
}

/// Sends a code to this address and guesses it once, each from this source address.
async fn guess_from(bundle: &Bundle, source: &str, email: &str, code: Option<&str>) -> Value {
    let verification = send_mail(bundle, email).send().await.ok().verification().to_owned();
    let code = match code {
        Some(code) => code.to_owned(),
        None => bundle.code_to(email).await,
    };
    let event = json!({
        "resource": VERIFY_MAIL, "path": VERIFY_MAIL, "httpMethod": "POST",
        "headers": { "Host": "api.example.com", "Content-Type": "application/json" },
        "requestContext": {
            "resourcePath": VERIFY_MAIL, "httpMethod": "POST", "path": VERIFY_MAIL,
            "identity": { "sourceIp": source },
        },
        "body": json!({ "verification": verification, "code": code }).to_string(), "isBase64Encoded": false,
    });
    let response = bundle.invoke("verify-mail", &event).await;
    serde_json::from_str(response.body["body"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn guesses_over_many_addresses_from_a_source_stop() {
    let bundle = Bundle::with(&[("SOURCE_WRONG_CODES_PER_HOUR", "3")]).await;
    bundle.member().await;
    let guess = async |source: &str, number: usize, code: &'static str| {
        guess_from(&bundle, source, &format!("member-{number}@example.com"), Some(code)).await
    };
    for (number, left) in [(0, 2), (1, 1), (2, 0)] {
        let wrong = guess("198.51.100.7", number, "12345678").await;
        assert_eq!((&wrong["error"], &wrong["attemptsLeft"]), (&json!("{CODE}_NOT_VALID"), &json!(left)));
    }
    let refused = guess("198.51.100.7", 3, "12345678").await;
    assert_eq!(refused["error"], "TOO_MANY_ATTEMPTS", "{refused}");
    assert!((3_500..=3_600).contains(&refused["retryAfter"].as_u64().unwrap()), "{refused}");
    // Not even a right code is looked at.
    assert_eq!(guess_from(&bundle, "198.51.100.7", EMAIL, None).await["error"], "TOO_MANY_ATTEMPTS");
    assert_eq!(guess("198.51.100.8", 4, "12345678").await["error"], "{CODE}_NOT_VALID");
    bundle.age("failures#source#", 3_600).await;
    assert_eq!(guess("198.51.100.7", 5, "12345678").await["error"], "{CODE}_NOT_VALID");
}

#[tokio::test]
async fn right_codes_are_no_guesses_of_their_source() {
    let bundle = Bundle::with(&[("SOURCE_WRONG_CODES_PER_HOUR", "1")]).await;
    for number in 0..3 {
        let email = format!("member-{number}@example.com");
        bundle.member_with(json!({ "email": email })).await;
        let right = guess_from(&bundle, "198.51.100.7", &email, None).await;
        assert_eq!(right["data"], "success", "{right}");
    }
    let wrong = guess_from(&bundle, "198.51.100.7", OTHER_EMAIL, Some("12345678")).await;
    assert_eq!(wrong["error"], "{CODE}_NOT_VALID");
    let refused = guess_from(&bundle, "198.51.100.7", "lei@example.com", Some("12345678")).await;
    assert_eq!(refused["error"], "TOO_MANY_ATTEMPTS");
}

#[tokio::test]
async fn breaker_in_record_mode_does_not_refuse() {
    let settings =
        [("BREAKER_MIN_CODES", "1"), ("BREAKER_MIN_VERIFIED_PERCENT", "100"), ("BREAKER_ACTION", "record")];
    let bundle = Bundle::with(&settings).await;
    let member = bundle.member().await;
    send_and_verify(&bundle, &member, 2, 0).await;
    age_traffic(&bundle, 2).await;
    send_code(&bundle, OTHER_PHONE).session(&member.token).send().await.ok();
    assert!(bundle.stack.log_lines().iter().any(|line| line.text.contains("circuit breaker is open")));
}

#[tokio::test]
async fn every_verified_code_is_counted_once() {
    let settings = [("MEMBER_SENDS_PER_DAY", "100")];
    let bundle = Bundle::with(&settings).await;
    let member = bundle.member().await;
    let counted = async || {
        let item = bundle.item("calling-code#86", "traffic").await;
        let sum = |what: &str| -> u64 {
            let counts = item.as_object().unwrap().iter().filter(|(name, _)| name.starts_with(what));
            counts.map(|(_, value)| value["N"].as_str().unwrap().parse::<u64>().unwrap()).sum()
        };
        (sum("sent"), sum("verified"))
    };
    // A wrong code does not count as verified.
    let (verification, code) = bundle.request_sms_code(None, PHONE).await;
    let body = json!({ "message": wrong_code(&code), "verification": verification });
    bundle.call(Method::POST, RECOVERY).json(&body).await;
    assert_eq!(counted().await, (1, 0));
    bundle.grant(&(verification, code)).await;
    assert_eq!(counted().await, (1, 1));

    bundle.age("sent#phone#", 120).await;
    let (_, code) = bundle.request_sms_code(Some(&member), PHONE).await;
    let body = json!({ "message": code, "phone": PHONE });
    let path = RESET_PAY_PASSWORD;
    bundle.call(Method::PUT, path).session(&member.token).json(&body).await.ok();
    bundle.call(Method::PUT, path).session(&member.token).json(&body).await;
    assert_eq!(counted().await, (2, 2));
}

#[tokio::test]
async fn concurrent_sends_stay_within_the_budget() {
    let bundle = Bundle::with(&[("REGION_SENDS_PER_HOUR", "5"), ("SOURCE_SENDS_PER_HOUR", "1000")]).await;
    let mut members = Vec::new();
    for number in 0..40 {
        members.push(bundle.member_with(json!({ "phone": phone(number) })).await);
    }
    let responses = bundle
        .concurrently("send-change-password-message", 40, async |number| {
            bundle.call(Method::POST, SEND).session(&members[number].token).send().await
        })
        .await;
    let sent = responses.iter().filter(|response| response.status.is_success()).count();
    assert_eq!(sent, bundle.stack.messages().len());
    assert!((1..=5).contains(&sent), "{sent}");
    for refused in responses.iter().filter(|response| !response.status.is_success()) {
        retry_after(refused, 400);
    }
}

#[tokio::test]
async fn concurrent_sends_stay_within_the_source_limit() {
    let bundle = Bundle::with(&[("SOURCE_SENDS_PER_HOUR", "5")]).await;
    let responses = bundle
        .concurrently("send-code", 40, async |number| send_code(&bundle, &phone(number)).send().await)
        .await;
    let taken = responses.iter().filter(|response| response.status.is_success()).count();
    assert!((1..=10).contains(&taken), "expected five, or up to ten if a new hour has begun: {taken}");
    for refused in responses.iter().filter(|response| !response.status.is_success()) {
        assert!(
            [(429, "SEND_MESSAGE_FREQUENTLY"), (503, "SERVICE_BUSY")].contains(&refused.refusal()),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn provider_refusals_use_up_the_callers_limits() {
    for limited in ["MEMBER_SENDS_PER_DAY", "SOURCE_SENDS_PER_HOUR"] {
        for (limit, is_refused) in [("3", true), ("4", false)] {
            let settings = [("SENDS_PER_HOUR", "1"), ("REGION_SENDS_PER_HOUR", "1"), (limited, limit)];
            let (sns, bundle) = Proxy::between(SMS, &settings).await;
            let member = bundle.member().await;
            let send = async || bundle.call(Method::POST, SEND).session(&member.token).send().await;
            let hour = || Timestamp::now().0 / 3_600;
            let began = hour();
            sns.fault(On::first(ANY, 3), InjectedFault::Refuse(REFUSED));
            // The destination has no cooldown, since nothing was sent.
            for _ in 0..3 {
                assert_eq!(send().await.refusal(), (500, "SEND_MESSAGE_ERROR"));
            }
            let last = send().await;
            if is_refused && hour() == began {
                retry_after(&last, 400);
            } else if !is_refused {
                last.ok();
            }
        }
    }
}

#[tokio::test]
async fn strangers_neither_use_nor_observe_a_members_sends() {
    let bundle = Bundle::with(&[("SENDS_PER_HOUR", "2"), ("RESEND_AFTER_SECONDS", "1")]).await;
    let member = bundle.member().await;
    let request = async |member: Option<&Member>| {
        let call = bundle.call(Method::GET, SEND_CODE).session_of(member).query(&[("phone", PHONE)]);
        let response = call.send().await;
        bundle.age("sent#", 2).await;
        response
    };
    // A member's sends leave strangers their own, and the other way round.
    request(Some(&member)).await.ok();
    request(None).await.ok();
    request(None).await.ok();
    assert_eq!(request(None).await.refusal(), (429, "SEND_MESSAGE_FREQUENTLY"));
    request(Some(&member)).await.ok();
    assert_eq!(request(Some(&member)).await.refusal(), (429, "SEND_MESSAGE_FREQUENTLY"));
}
