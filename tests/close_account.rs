//! `close-account`: nothing of the member remains but a tombstone and records without contact data.

use crate::{
    authorizer,
    bundle::{
        BIND_PHONE, Bundle, CHANGE_BY_MESSAGE, CLOSE, Call, EMAIL, Member, NEW_PASSWORD, NOT_ME,
        OLD_PASSWORD, OTHER_EMAIL, OTHER_PHONE, PHONE, PIN, RECOVERY, Response, SEND, SEND_CODE, SEND_MAIL,
        SET_PAY_PASSWORD, STATUS, VERIFY_MAIL, e164, wrong_code,
    },
    changes::{ChangeKind, MANY, PreparedChange},
    receipts,
    report_change::update_member,
};
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::Timestamp;
use std::collections::BTreeSet;

const DAY: i64 = 86_400;
/// The age of a login that is not recent, in seconds.
const OLD: i64 = 20 * DAY;

fn closing(bundle: &Bundle, member: &Member) -> Call {
    bundle.call(Method::DELETE, CLOSE).session(&member.token)
}

async fn close(bundle: &Bundle, member: &Member, body: &Value) -> Response {
    closing(bundle, member).json(body).await
}

/// Closes the account with the password.
async fn closed(bundle: &Bundle, member: &Member) -> Response {
    close(bundle, member, &json!({ "password": OLD_PASSWORD })).await.documented(200)
}

async fn exists(bundle: &Bundle, member: &Member) -> bool {
    !bundle.item(&format!("member#{}", member.id), "member").await.is_null()
}

async fn tombstone(bundle: &Bundle, member: &Member) -> Value {
    bundle.item(&format!("closed#{}", member.id), "member").await
}

/// Returns the stored audit records of a member.
async fn records(bundle: &Bundle, member: &Member) -> Vec<Value> {
    let pk = json!(format!("audit#{}", member.id));
    bundle.items().await.into_iter().filter(|item| item["pk"]["S"] == pk).collect()
}

fn number(item: &Value, name: &str) -> u64 {
    item[name]["N"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn only_tombstone_and_anonymous_records_remain() {
    let bundle = Bundle::start().await;
    let new = json!({ "phone": PHONE, "email": EMAIL, "password": OLD_PASSWORD, "payPassword": PIN });
    let member = bundle.member_with(new).await;
    // Pending codes, a changed contact and its record.
    bundle.request_change_code(&member).await;
    let (_, code) = bundle.request_sms_code(Some(&member), OTHER_PHONE).await;
    let body = json!({ "phone": OTHER_PHONE, "message": code });
    bundle.call(Method::PUT, BIND_PHONE).session(&member.token).json(&body).await.ok();
    bundle.age("sent#", 120).await;
    bundle.request_closing_by_mail(&member, EMAIL).await;
    bundle.request_closing_by_sms(&member, OTHER_PHONE).await;

    let response = closed(&bundle, &member).await;
    assert!(response.body.get("token").is_none() && !response.headers.contains_key("authorization"));
    assert!(response.cookie().1.contains("Max-Age=0"));
    bundle.settled().await;

    let mark = tombstone(&bundle, &member).await;
    let names: BTreeSet<_> = mark.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["closed_at", "expires_at", "id", "pk", "sk"].into());
    assert_eq!(mark["id"]["S"], member.id.as_str());
    assert_eq!(number(&mark, "expires_at") - number(&mark, "closed_at"), 450 * 86_400);

    let records = records(&bundle, &member).await;
    let actions: Vec<_> = records.iter().map(|record| record["action"]["S"].as_str().unwrap()).collect();
    assert_eq!(actions, ["phone-replaced", "closed"]);
    for record in &records {
        assert!(record["request_id"]["S"].is_string() && record["at"]["N"].is_string());
        assert!(!record.to_string().contains(PHONE) && !record.to_string().contains(OTHER_PHONE));
        assert!(!record.to_string().contains(EMAIL), "{record}");
    }
    // What else has a contact expires within days: messages in the outbox, links in them, counts, and the code to the
    // former phone, which expires with its time to live.
    let passing = ["notice#", "notices#", "report#", "sent#", "failures#", "code#phone#+8613627140483#30"];
    for item in bundle.items().await {
        let (pk, text) = (item["pk"]["S"].as_str().unwrap(), item.to_string());
        let has_contact = [PHONE, OTHER_PHONE, EMAIL].iter().any(|contact| text.contains(contact));
        let is_passing =
            passing.iter().any(|prefix| pk.starts_with(prefix)) && item["expires_at"]["N"].is_string();
        assert!(!has_contact || is_passing, "{item}");
        assert!(!text.contains("argon2"), "{item}");
    }
}

#[tokio::test]
async fn password_or_own_code_closes_the_account() {
    for (contacts, by_mail, with_verification) in [
        (json!({ "phone": PHONE, "email": EMAIL, "password": OLD_PASSWORD }), false, true),
        (json!({ "phone": PHONE, "email": EMAIL }), false, false),
        (json!({ "phone": PHONE, "email": EMAIL, "password": OLD_PASSWORD }), true, true),
        (json!({ "email": EMAIL, "password": OLD_PASSWORD }), true, false),
    ] {
        let bundle = Bundle::start().await;
        let member = bundle.member_with(contacts.clone()).await;
        let (verification, code) = if by_mail {
            bundle.request_closing_by_mail(&member, EMAIL).await
        } else {
            bundle.request_closing_by_sms(&member, PHONE).await
        };
        let messages = bundle.sent_to(if by_mail { EMAIL } else { "+8613627140483" }).await;
        assert_eq!(messages[0].link, None);
        assert!(messages[0].text.contains("注销"), "{}", messages[0].text);
        let mut body = json!({ "message": code });
        if with_verification {
            body["verification"] = json!(verification);
        }
        close(&bundle, &member, &body).await.documented(200);
        assert!(!exists(&bundle, &member).await, "{contacts}");
        assert!(tombstone(&bundle, &member).await.is_object());
    }
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    // The call also takes a form, or no body.
    closing(&bundle, &member).form(&[("password", OLD_PASSWORD)]).await.documented(200);
    assert!(!exists(&bundle, &member).await);
}

#[tokio::test]
async fn bare_member_closes_by_the_session() {
    let bundle = Bundle::start().await;
    for contact in [json!({}), json!({ "payPassword": PIN })] {
        let member = bundle.member_with(contact).await;
        closing(&bundle, &member).send().await.documented(200);
        assert!(!exists(&bundle, &member).await);
    }
    for (contact, missing) in [
        (json!({ "phone": PHONE, "password": OLD_PASSWORD }), "{OLD_PASSWORD}_REQUIRED"),
        (json!({ "password": OLD_PASSWORD }), "{OLD_PASSWORD}_REQUIRED"),
        (json!({ "phone": OTHER_PHONE }), "{MESSAGE}_REQUIRED"),
        (json!({ "email": EMAIL, "payPassword": PIN }), "{MESSAGE}_REQUIRED"),
    ] {
        let member = bundle.member_with(contact).await;
        assert_eq!(closing(&bundle, &member).send().await.refusal(), (400, missing));
        assert!(exists(&bundle, &member).await);
    }
}

#[tokio::test]
async fn wrong_proof_closes_nothing() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let other = bundle.other_member().await;
    assert_eq!(bundle.call(Method::DELETE, CLOSE).send().await.refusal(), (401, "INVALID_TOKEN"));

    let (of_other, others_code) = bundle.request_closing_by_sms(&other, OTHER_PHONE).await;
    let (to_pay, pay_code) = bundle.request_sms_code(Some(&member), PHONE).await;
    bundle.age("sent#", 120).await;
    let (_, code) = bundle.request_closing_by_sms(&member, PHONE).await;
    for (body, expected) in [
        (json!({ "password": "wrong" }), "{OLD_PASSWORD}_NOT_VALID"),
        (json!({ "message": "12345" }), "{CODE}_NOT_VALID"),
        (json!({ "message": wrong_code(&code) }), "{CODE}_NOT_VALID"),
        (json!({ "message": pay_code, "verification": to_pay }), "{VERIFICATION}_NOT_VALID"),
        (json!({ "message": others_code, "verification": of_other }), "{VERIFICATION}_NOT_VALID"),
        (json!({ "message": code, "verification": "no-token" }), "{VERIFICATION}_NOT_VALID"),
        // The password is looked at first.
        (json!({ "message": code, "password": "wrong" }), "{OLD_PASSWORD}_NOT_VALID"),
    ] {
        assert_eq!(close(&bundle, &member, &body).await.refusal(), (400, expected), "{body}");
    }
    let bare = bundle.member_with(json!({})).await;
    assert_eq!(
        close(&bundle, &bare, &json!({ "message": "123456" })).await.refusal(),
        (400, "{CODE}_NOT_VALID")
    );
    let left = close(&bundle, &member, &json!({ "password": "wrong" })).await;
    assert_eq!(left.body["attemptsLeft"], 7);
    assert!(exists(&bundle, &member).await && exists(&bundle, &other).await);
    close(&bundle, &member, &json!({ "message": code })).await.documented(200);
    assert!(exists(&bundle, &other).await);
}

#[tokio::test]
async fn locked_password_leaves_the_way_by_code() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    for _ in 0..10 {
        close(&bundle, &member, &json!({ "password": "wrong" })).await;
    }
    let locked = close(&bundle, &member, &json!({ "password": OLD_PASSWORD })).await;
    assert_eq!(locked.refusal(), (429, "TOO_MANY_ATTEMPTS"));
    let (verification, code) = bundle.request_closing_by_mail(&member, EMAIL).await;
    let body = json!({ "message": code, "verification": verification });
    close(&bundle, &member, &body).await.documented(200);
}

#[tokio::test]
async fn code_to_close_goes_only_to_the_member() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    bundle.other_member().await;
    let by_sms = async |member: Option<&Member>, phone: &str, purpose: &str| {
        let query = [("phone", phone), ("purpose", purpose)];
        bundle.call(Method::GET, SEND_CODE).session_of(member).query(&query).send().await
    };
    let by_mail = async |member: Option<&Member>, email: &str, purpose: &str| {
        let form = [("email", email), ("purpose", purpose)];
        bundle.call(Method::POST, SEND_MAIL).session_of(member).form(&form).await
    };
    let as_member = Some(&member);
    assert_eq!(by_sms(None, PHONE, "close").await.refusal(), (401, "INVALID_TOKEN"));
    assert_eq!(by_mail(None, EMAIL, "close").await.refusal(), (401, "INVALID_TOKEN"));
    assert_eq!(by_mail(None, EMAIL, "bind").await.refusal(), (401, "INVALID_TOKEN"));
    assert_eq!(by_sms(as_member, OTHER_PHONE, "close").await.refusal(), (400, "USER_PHONE_NOT_MATCH"));
    assert_eq!(by_mail(as_member, OTHER_EMAIL, "close").await.refusal(), (400, "{EMAIL}_NOT_VALID"));
    assert_eq!(by_mail(as_member, EMAIL, "pay").await.refusal(), (400, "BODY_NOT_VALID"));
    assert_eq!(bundle.stack.messages(), []);

    // With a session, `recover` requests the code that needs none.
    let sent = by_mail(as_member, EMAIL, "recover").await.ok();
    let code = bundle.code_to(EMAIL).await;
    bundle.grant_by_mail(&(sent.verification().to_owned(), code)).await;
    by_mail(as_member, "li@example.org", "bind").await.ok();
    // The server knows the mailbox in any spelling, and sends to the one that was bound.
    bundle.age("sent#", 120).await;
    by_mail(as_member, "LI@EXAMPLE.COM", "CLOSE").await.ok();
}

#[tokio::test]
async fn immature_contact_closes_nothing() {
    let bundle = Bundle::start().await;
    let member = bundle.member_with(json!({ "email": EMAIL, "password": OLD_PASSWORD })).await;
    let late = bundle.logged_in(&member, OLD).await;
    let (_, code) = bundle.request_sms_code(Some(&late), PHONE).await;
    let body = json!({ "phone": PHONE, "message": code });
    bundle.call(Method::PUT, BIND_PHONE).session(&late.token).json(&body).await.ok();
    bundle.age("sent#", 120).await;
    let send = || {
        let query = [("phone", PHONE), ("purpose", "close")];
        bundle.call(Method::GET, SEND_CODE).session(&late.token).query(&query)
    };
    assert_eq!(send().send().await.refusal(), (403, "COOLING_OFF"));
    let refused = close(&bundle, &late, &json!({ "message": "123456" })).await;
    assert_eq!(refused.refusal(), (403, "COOLING_OFF"));
    assert_eq!(refused.body.get("attemptsLeft"), None);

    bundle.age(&format!("member#{}", member.id), DAY).await;
    send().send().await.ok();
    let body = json!({ "message": bundle.code_to(&e164(PHONE)).await });
    close(&bundle, &late, &body).await.documented(200);
}

#[tokio::test]
async fn immature_address_gets_no_closing_code() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let now = json!({ ":now": { "N": Timestamp::now().0.to_string() } });
    update_member(&bundle, &member, "SET email_immature_since = :now", now).await;
    let call = bundle.call(Method::POST, SEND_MAIL).session(&member.token);
    let refused = call.json(&json!({ "email": EMAIL, "purpose": "close" })).await;
    assert_eq!(refused.refusal(), (403, "COOLING_OFF"));
    bundle.settled().await;
    assert!(bundle.stack.messages().is_empty());
}

#[tokio::test]
async fn forty_concurrent_closings_take_effect_once() {
    let bundle = Bundle::with(&MANY).await;
    for by_code in [false, true] {
        let member = bundle.member().await;
        let body = if by_code {
            json!({ "message": bundle.request_closing_by_sms(&member, PHONE).await.1 })
        } else {
            json!({ "password": OLD_PASSWORD })
        };
        let before = bundle.notices_to(EMAIL).await.len();
        let responses =
            bundle.concurrently("close-account", 40, async |_| close(&bundle, &member, &body).await).await;
        let (done, refused): (Vec<_>, Vec<_>) =
            responses.iter().partition(|response| response.status.is_success());
        assert_eq!(done.len(), 1, "{responses:#?}");
        assert!(refused.iter().all(|refused| refused.status.is_client_error()), "{refused:#?}");
        assert_eq!(records(&bundle, &member).await.len(), 1);
        assert_eq!(bundle.notices_to(EMAIL).await.len(), before + 1);
    }
}

#[tokio::test]
async fn closing_and_another_change_never_mix() {
    let bundle = Bundle::with(&MANY).await;
    for kind in [ChangeKind::PhoneReplaced, ChangeKind::MailBound, ChangeKind::PasswordByOld] {
        for _ in 0..4 {
            let change = PreparedChange::new(kind, &bundle).await;
            let member = change.member.clone();
            let body = json!({ "password": OLD_PASSWORD });
            let (changed, response) = tokio::join!(change.commit(&bundle), close(&bundle, &member, &body));
            let is_closed = response.status.is_success();
            assert!(is_closed || changed.status.is_success(), "{} {}", changed.text, response.text);
            let of_member = json!(member.id);
            let items = bundle.items().await;
            let owners = items.iter().filter(|item| item["sk"]["S"] == "owner");
            let owners = owners.filter(|item| item["member"]["S"] == of_member).count();
            let present = exists(&bundle, &member).await;
            assert_eq!(present, !is_closed);
            assert_eq!(tombstone(&bundle, &member).await.is_object(), is_closed);
            assert_eq!(owners, if is_closed { 0 } else { 2 }, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn contacts_are_free_for_another_member_at_once() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    closed(&bundle, &member).await;
    assert_eq!(bundle.owner("phone#+8613627140483").await, None);
    assert_eq!(bundle.owner("email#li@example.com").await, None);
    let next = bundle.member_with(json!({ "password": OLD_PASSWORD })).await;
    let (_, code) = bundle.request_sms_code(Some(&next), PHONE).await;
    let body = json!({ "phone": PHONE, "message": code });
    bundle.call(Method::PUT, BIND_PHONE).session(&next.token).json(&body).await.documented(201);
    let (verification, code) = bundle.request_email_code(Some(&next), EMAIL).await;
    let body = json!({ "verification": verification, "code": code });
    bundle.call(Method::POST, VERIFY_MAIL).json(&body).await.documented(200);
    assert_eq!(bundle.owner("phone#+8613627140483").await.as_ref(), Some(&next.id));
    assert_eq!(bundle.owner("email#li@example.com").await, Some(next.id));
}

#[tokio::test]
async fn closing_leaves_what_another_member_owns() {
    let bundle = Bundle::start().await;
    let (member, other) =
        (bundle.member_with(json!({ "password": OLD_PASSWORD })).await, bundle.other_member().await);
    // The table of an earlier version, in which two members have one mailbox in two spellings.
    let update = json!({
        "Key": { "pk": { "S": format!("member#{}", member.id) }, "sk": { "S": "member" } },
        "UpdateExpression": "SET email = :email",
        "ExpressionAttributeValues": { ":email": { "S": "WU@example.com" } },
    });
    bundle.dynamodb("UpdateItem", update).await;
    closed(&bundle, &member).await;
    assert_eq!(bundle.owner("email#wu@example.com").await, Some(other.id));
}

#[tokio::test]
async fn nothing_of_a_closed_member_works() {
    let bundle = Bundle::with(&MANY).await;
    let member = bundle.member().await;
    let other = bundle.other_member().await;
    let put = async |path: &str, member: &Member, body: Value, key: &str| {
        let call = bundle.call(Method::PUT, path).session(&member.token).header("Idempotency-Key", key);
        call.json(&body).await
    };
    let pin = json!({ "payPasswordFirst": PIN });
    put(SET_PAY_PASSWORD, &member, pin.clone(), "stored").await.ok();
    let link = bundle.report_link(EMAIL).await;
    let (phone_info, code) = bundle.request_change_code(&member).await;
    bundle.age("sent#", 120).await;
    let grant = bundle.grant(&bundle.request_sms_code(None, PHONE).await).await;
    let (by_mail, mail_code) = bundle.request_email_code(None, EMAIL).await;
    let (to_bind, bind_code) = bundle.request_email_code(Some(&member), "li@example.org").await;
    let (_, sms_code) = bundle.request_sms_code(Some(&member), "13912345678").await;
    let receipt = receipts::issue(&bundle, &member).await;
    let of_other = bundle.request_sms_code(None, OTHER_PHONE).await;
    closed(&bundle, &member).await;

    let post = async |path: &str, member: Option<&Member>, body: Value| {
        bundle.call(Method::POST, path).session_of(member).json(&body).await
    };
    let session = Some(&member);
    let not_found = (400, "USER_NOT_FOUND");
    let body = json!({ "phoneInfo": phone_info, "code": code, "newPassword": NEW_PASSWORD });
    assert_eq!(post(CHANGE_BY_MESSAGE, session, body).await.refusal(), not_found);
    let body = json!({ "phone": "13912345678", "message": sms_code });
    assert_eq!(put(BIND_PHONE, &member, body, "bind").await.refusal(), not_found);
    let body = json!({ "verification": to_bind, "code": bind_code });
    assert_eq!(post(VERIFY_MAIL, None, body).await.refusal(), not_found);
    let body = json!({ "verification": by_mail, "code": mail_code });
    assert_eq!(post(VERIFY_MAIL, None, body).await.refusal(), (400, "{CODE}_NOT_VALID"));
    let body = json!({ "phone": PHONE, "verification": grant, "passwordFirst": NEW_PASSWORD });
    let recovered = bundle.call(Method::PUT, RECOVERY).json(&body).await;
    assert_eq!(recovered.refusal(), not_found);
    let reported = post(NOT_ME, None, json!({ "verification": link })).await;
    assert_eq!(reported.refusal(), (400, "{VERIFICATION}_NOT_VALID"));
    let spent = bundle.invoke("spend-receipt", &receipts::event(&receipt)).await;
    assert_eq!(spent.body["error"], "RECEIPT_NOT_VALID");
    let refused = authorizer::authorize(&bundle, &member.token).await;
    assert_eq!(refused.body["errorMessage"], "Unauthorized");

    for (method, path) in [(Method::POST, SEND), (Method::GET, STATUS), (Method::DELETE, CLOSE)] {
        assert_eq!(bundle.call(method, path).session(&member.token).send().await.refusal(), not_found);
    }
    // A session of a closed member is not renewed by a code of another one.
    let body = json!({ "verification": of_other.0, "message": of_other.1 });
    assert_eq!(post(RECOVERY, session, body).await.refusal(), not_found);
    // A stored response is replayed for a day. The session that is issued with it is that of a closed member.
    let replayed = put(SET_PAY_PASSWORD, &member, pin, "stored").await.ok();
    let revived = Member { token: replayed.token().to_owned(), ..member.clone() };
    assert_eq!(bundle.call(Method::GET, STATUS).session(&revived.token).send().await.refusal(), not_found);

    bundle.age("sent#", 120).await;
    let before = bundle.sent_to(&e164(PHONE)).await.len();
    bundle.call(Method::GET, SEND_CODE).query(&[("phone", PHONE)]).send().await.ok();
    assert_eq!(bundle.sent_to(&e164(PHONE)).await.len(), before, "a former phone must get no code");
    assert!(!exists(&bundle, &member).await && exists(&bundle, &other).await);
}

#[tokio::test]
async fn repeated_key_returns_the_success() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let body = json!({ "password": OLD_PASSWORD });
    let keyed = || closing(&bundle, &member).header("Idempotency-Key", "close").with_json(&body).send();
    let first = keyed().await.documented(200);
    let second = keyed().await.documented(200);
    assert_eq!(first.text, second.text);
    assert_eq!(records(&bundle, &member).await.len(), 1);
    assert_eq!(close(&bundle, &member, &body).await.refusal(), (400, "USER_NOT_FOUND"));
}

#[tokio::test]
async fn every_old_address_is_notified_without_a_link() {
    for (language, text, remedy) in
        [("zh-CN", "账户已注销", "联系客服"), ("en", "account was closed", "support at once")]
    {
        let bundle = Bundle::start().await;
        let member = bundle.member().await;
        let call = closing(&bundle, &member).header("Accept-Language", language);
        call.json(&json!({ "password": OLD_PASSWORD })).await.documented(200);
        for to in ["+8613627140483", EMAIL] {
            let notices = bundle.notices_to(to).await;
            let [notice] = notices.as_slice() else { panic!("{notices:?}") };
            assert!(notice.text.contains(text) && notice.text.contains(remedy), "{}", notice.text);
            assert_eq!(notice.link, None);
        }
    }
}

#[tokio::test]
async fn member_who_makes_too_many_changes_waits() {
    let bundle = Bundle::with(&[("CHANGES_PER_HOUR", "1")]).await;
    let member = bundle.member().await;
    let call = bundle.call(Method::PUT, SET_PAY_PASSWORD).session(&member.token);
    call.json(&json!({ "payPasswordFirst": PIN })).await.ok();
    let body = json!({ "password": OLD_PASSWORD });
    assert_eq!(close(&bundle, &member, &body).await.refusal(), (429, "TOO_MANY_CHANGES"));
    bundle.age("member#", 3_600).await;
    close(&bundle, &member, &body).await.documented(200);
}
