//! "This was not me": the link in the notice of a change ends every session, freezes the account until a recovery, and
//! restores what was replaced.

use crate::{
    bundle::{
        BIND_PHONE, Bundle, CHANGE, EMAIL, Member, NEW_PASSWORD, NOT_ME, OLD_PASSWORD, OTHER_EMAIL,
        OTHER_PHONE, PHONE, Response, SEND, SEND_CODE, SEND_MAIL, VERIFY_MAIL, e164,
    },
    changes::{ChangeKind, MANY, PreparedChange},
    notices::{deliver, event, queued},
    proxy::{InjectedFault, On, Proxy, STORE},
    recovery::recover,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const HOUR: i64 = 3_600;
/// How long a link is valid.
const VALID: i64 = 72 * HOUR;
/// The `Accept` header of a browser.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// Opens the page with this link.
async fn open(bundle: &Bundle, link: &str, language: &str) -> Response {
    let call = bundle.call(Method::GET, NOT_ME).query(&[("verification", link)]);
    call.header("Accept", BROWSER).header("Accept-Language", language).send().await
}

/// Reports a change with this link, as an app does.
async fn report(bundle: &Bundle, link: &str) -> Response {
    bundle.call(Method::POST, NOT_ME).json(&json!({ "verification": link })).await
}

async fn change_password(bundle: &Bundle, member: &Member, old: &str, new: &str) -> Response {
    let body = json!({ "oldPassword": old, "newPasswordFirst": new });
    bundle.call(Method::PUT, CHANGE).session(&member.token).json(&body).await
}

/// Changes the password, and returns the link in the notice.
async fn changed(bundle: &Bundle, member: &Member) -> String {
    change_password(bundle, member, OLD_PASSWORD, NEW_PASSWORD).await.ok();
    bundle.report_link(EMAIL).await
}

async fn bind_phone(bundle: &Bundle, member: &Member, phone: &str) {
    let (_, code) = bundle.request_sms_code(Some(member), phone).await;
    let body = json!({ "phone": phone, "message": code });
    bundle.call(Method::PUT, BIND_PHONE).session(&member.token).json(&body).await.ok();
}

async fn bind_email(bundle: &Bundle, member: &Member, email: &str) {
    let (verification, code) = bundle.request_email_code(Some(member), email).await;
    let body = json!({ "verification": verification, "code": code });
    bundle.call(Method::POST, VERIFY_MAIL).json(&body).await.ok();
}

pub async fn update_member(bundle: &Bundle, member: &Member, expression: &str, values: Value) {
    let mut update = json!({
        "Key": { "pk": { "S": format!("member#{}", member.id) }, "sk": { "S": "member" } },
        "UpdateExpression": expression,
    });
    if values.is_object() {
        update["ExpressionAttributeValues"] = values;
    }
    bundle.dynamodb("UpdateItem", update).await;
}

/// Freezes a member, as a report through this address does.
pub async fn freeze(bundle: &Bundle, member: &Member, through: &str) {
    let frozen = json!({ "M": { "since": { "N": "1" }, "through": { "S": format!("email#{through}") } } });
    update_member(bundle, member, "SET frozen = :frozen", json!({ ":frozen": frozen })).await;
}

async fn unfreeze(bundle: &Bundle, member: &Member) {
    update_member(bundle, member, "REMOVE frozen", Value::Null).await;
}

async fn is_frozen(bundle: &Bundle, member: &Member) -> bool {
    !bundle.item(&format!("member#{}", member.id), "member").await["frozen"].is_null()
}

#[tokio::test]
async fn link_works_once_within_72_hours() {
    for (age, is_valid) in [(VALID - 60, true), (VALID, false)] {
        let bundle = Bundle::start().await;
        let member = bundle.member().await;
        let link = changed(&bundle, &member).await;
        bundle.age("report#", age).await;
        let reported = report(&bundle, &link).await;
        if is_valid {
            reported.documented(200);
            let stored = bundle.inspect(&member).await;
            assert_eq!(stored["audit"][0]["action"], "change-reported");
        } else {
            assert_eq!(reported.refusal(), (400, "{VERIFICATION}_NOT_VALID"));
        }
        assert_eq!(is_frozen(&bundle, &member).await, is_valid);
        assert_eq!(report(&bundle, &link).await.refusal(), (400, "{VERIFICATION}_NOT_VALID"));
    }
}

#[tokio::test]
async fn concurrent_reports_take_effect_once() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let link = changed(&bundle, &member).await;
    let responses = bundle.concurrently("report-change", 5, |_| report(&bundle, &link)).await;
    let (done, refused): (Vec<_>, Vec<_>) =
        responses.iter().partition(|response| response.status.is_success());
    assert_eq!(done.len(), 1);
    assert!(refused.iter().all(|refused| refused.refusal() == (400, "{VERIFICATION}_NOT_VALID")));
    // The change of the password raised it once, and the report once.
    assert_eq!(bundle.inspect(&member).await["credentialVersion"], 3);
}

#[tokio::test]
async fn opening_the_link_changes_nothing() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let link = changed(&bundle, &member).await;
    let before = bundle.items().await;
    for language in ["zh-CN", "en"] {
        let page = open(&bundle, &link, language).await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
        assert_eq!(
            (page.headers["cache-control"].as_bytes(), page.text.is_ascii()),
            (&b"no-store"[..], language == "en")
        );
        assert_eq!(page.headers["referrer-policy"], "no-referrer");
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        let count = |tag: &str| page.text.matches(tag).count();
        assert_eq!((count("<form"), count("<button"), count("<input"), count("<script")), (1, 1, 1, 0));
        assert!(
            page.text.contains("method=\"post\" action=\"notMe\"") && page.text.contains(&link),
            "{}",
            page.text
        );
        bundle.call(Method::HEAD, NOT_ME).query(&[("verification", &link)]).send().await;
    }
    assert_eq!(bundle.items().await, before);
}

#[tokio::test]
async fn pressed_button_shows_what_to_do_next() {
    for (language, done, refused) in [
        ("en", "recover your login password", "This link is not valid"),
        ("zh-CN", "找回登录密码", "链接无效"),
    ] {
        let bundle = Bundle::start().await;
        let member = bundle.member().await;
        let link = changed(&bundle, &member).await;
        let press = async || {
            let call = bundle.call(Method::POST, NOT_ME).header("Accept", BROWSER);
            call.header("Accept-Language", language).form(&[("verification", &link)]).await
        };
        for (status, text) in [(200, done), (400, refused)] {
            let page = press().await;
            assert_eq!((page.status.as_u16(), page.text.contains(text)), (status, true), "{}", page.text);
            assert!(page.text.contains(&format!("lang=\"{language}\"")), "{}", page.text);
        }
        assert!(is_frozen(&bundle, &member).await);
    }
}

#[tokio::test]
async fn forged_or_missing_link_is_refused() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let link = changed(&bundle, &member).await;
    let recovery = bundle.request_email_code(None, EMAIL).await.0;
    let (id, mac) = link.split_at(32);
    let flipped = if mac.ends_with('0') { '1' } else { '0' };
    let tampered = format!("{}{flipped}", &link[..63]);
    for forged in [id, mac, &tampered, &format!("{id}{}", "0".repeat(32)), &recovery, &member.token] {
        assert_eq!(report(&bundle, forged).await.refusal(), (400, "{VERIFICATION}_NOT_VALID"), "{forged}");
        let page = open(&bundle, forged, "en").await;
        assert_eq!((page.status.as_u16(), page.text.matches("<form").count()), (400, 0), "{}", page.text);
    }
    let missing = bundle.call(Method::POST, NOT_ME).send().await;
    assert_eq!(missing.refusal(), (400, "{VERIFICATION}_REQUIRED"));
    assert!(!is_frozen(&bundle, &member).await);
}

#[tokio::test]
async fn report_ends_sessions_codes_and_grants() {
    let bundle = Bundle::with(&[("RESEND_AFTER_SECONDS", "1")]).await;
    let member = bundle.member().await;
    let link = changed(&bundle, &member).await;
    let attacker = bundle.logged_in(&member, 0).await;
    let (_, code) = bundle.request_sms_code(Some(&attacker), OTHER_PHONE).await;
    let requested = bundle.request_email_code(None, EMAIL).await;
    let grant = bundle.grant_by_mail(&requested).await;
    bundle.age("sent#", 10).await;
    let (verification, pending) = bundle.request_email_code(None, EMAIL).await;

    let reported = report(&bundle, &link).await.documented(200);
    assert_eq!(reported.body["token"], Value::Null);
    let ended = change_password(&bundle, &attacker, NEW_PASSWORD, OLD_PASSWORD).await;
    assert_eq!(ended.refusal(), (401, "INVALID_TOKEN"));
    let body = json!({ "verification": verification, "code": pending });
    let refused = bundle.call(Method::POST, VERIFY_MAIL).json(&body).await;
    assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
    let body = json!({ "email": EMAIL, "verification": grant, "passwordFirst": OLD_PASSWORD });
    assert_eq!(recover(&bundle, &body).await.refusal(), (400, "{VERIFICATION}_NOT_VALID"));

    unfreeze(&bundle, &member).await;
    let again = bundle.logged_in(&member, 0).await;
    let body = json!({ "phone": OTHER_PHONE, "message": code });
    let refused = bundle.call(Method::PUT, BIND_PHONE).session(&again.token).json(&body).await;
    assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
}

#[tokio::test]
async fn frozen_member_makes_no_change() {
    let bundle = Bundle::with(&MANY).await;
    for kind in ChangeKind::ALL {
        // These change nothing of the member, and a report is possible.
        if [ChangeKind::SmsForGrant, ChangeKind::MailForGrant, ChangeKind::ChangeReported].contains(&kind) {
            continue;
        }
        let change = PreparedChange::new(kind, &bundle).await;
        freeze(&bundle, &change.member, "another@example.com").await;
        let before = bundle.inspect(&change.member).await;
        assert_eq!(change.commit(&bundle).await.refusal(), (403, "ACCOUNT_FROZEN"), "{kind:?}");
        if kind == ChangeKind::MailBound {
            let page = change.call(&bundle).header("Accept", "text/html").send().await;
            assert_eq!(page.status, 403, "{}", page.text);
        }
        assert_eq!(bundle.inspect(&change.member).await, before, "{kind:?}");
        // The refusal consumes nothing.
        unfreeze(&bundle, &change.member).await;
        change.commit(&bundle).await.ok();
    }
}

#[tokio::test]
async fn frozen_member_gets_no_code() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    freeze(&bundle, &member, EMAIL).await;
    for (method, path, query) in [
        (Method::POST, SEND, ("time", "1")),
        (Method::GET, SEND_CODE, ("phone", PHONE)),
        (Method::GET, SEND_CODE, ("phone", OTHER_PHONE)),
        (Method::POST, SEND_MAIL, ("email", OTHER_EMAIL)),
    ] {
        let refused = bundle.call(method, path).session(&member.token).query(&[query]).send().await;
        assert_eq!(refused.refusal(), (403, "ACCOUNT_FROZEN"), "{path}");
    }
    assert_eq!(bundle.stack.messages(), []);
}

#[tokio::test]
async fn only_recovery_through_the_links_address_unfreezes() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let link = changed(&bundle, &member).await;
    report(&bundle, &link).await.ok();

    let grant = bundle.grant(&bundle.request_sms_code(None, PHONE).await).await;
    let body = json!({ "phone": PHONE, "verification": grant, "passwordFirst": OLD_PASSWORD });
    assert_eq!(recover(&bundle, &body).await.refusal(), (403, "ACCOUNT_FROZEN"));
    assert!(is_frozen(&bundle, &member).await);

    let grant = bundle.grant_by_mail(&bundle.request_email_code(None, EMAIL).await).await;
    let body = json!({ "email": EMAIL, "verification": grant, "passwordFirst": OLD_PASSWORD });
    recover(&bundle, &body).await.documented(201);
    assert!(!is_frozen(&bundle, &member).await);
    let member = bundle.logged_in(&member, 0).await;
    change_password(&bundle, &member, OLD_PASSWORD, NEW_PASSWORD).await.documented(201);
}

#[tokio::test]
async fn replaced_phone_is_restored() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    bind_phone(&bundle, &member, OTHER_PHONE).await;
    let link = bundle.report_link(EMAIL).await;
    report(&bundle, &link).await.ok();
    assert_eq!(bundle.inspect(&member).await["phone"], e164(PHONE));
    assert_eq!(bundle.owner("phone#+8613627140483").await.as_ref(), Some(&member.id));
    assert_eq!(bundle.owner("phone#+8613800138000").await, None);
    // The phone is as settled as before.
    let stored = bundle.item(&format!("member#{}", member.id), "member").await;
    assert_eq!(stored["phone_bound_at"], Value::Null);
    bundle.request_sms_code(None, PHONE).await;
}

#[tokio::test]
async fn replaced_email_is_restored() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    bind_email(&bundle, &member, OTHER_EMAIL).await;
    let link = bundle.report_link(EMAIL).await;
    report(&bundle, &link).await.ok();
    assert_eq!(bundle.inspect(&member).await["email"], EMAIL);
    assert_eq!(bundle.owner("email#li@example.com").await.as_ref(), Some(&member.id));
    assert_eq!(bundle.owner("email#wu@example.com").await, None);
    // The restored address recovers the account.
    let grant = bundle.grant_by_mail(&bundle.request_email_code(None, EMAIL).await).await;
    let body = json!({ "email": EMAIL, "verification": grant, "passwordFirst": NEW_PASSWORD });
    recover(&bundle, &body).await.documented(201);
}

#[tokio::test]
async fn one_report_restores_phone_and_email() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    bind_phone(&bundle, &member, OTHER_PHONE).await;
    let first = bundle.report_link(EMAIL).await;
    bind_email(&bundle, &member, OTHER_EMAIL).await;
    report(&bundle, &first).await.ok();
    let stored = bundle.inspect(&member).await;
    assert_eq!((&stored["phone"], &stored["email"]), (&json!(e164(PHONE)), &json!(EMAIL)));
    // The link in the other notice is valid, and has nothing left to restore.
    report(&bundle, &bundle.report_link(EMAIL).await).await.ok();
    assert_eq!(bundle.inspect(&member).await["email"], EMAIL);
}

#[tokio::test]
async fn contact_of_another_member_is_not_restored() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    bind_phone(&bundle, &member, OTHER_PHONE).await;
    let link = bundle.report_link(EMAIL).await;
    let other = bundle.member_with(json!({ "phone": PHONE })).await;
    report(&bundle, &link).await.ok();
    assert_eq!(bundle.inspect(&member).await["phone"], e164(OTHER_PHONE));
    assert_eq!(bundle.owner("phone#+8613627140483").await, Some(other.id));
    assert!(is_frozen(&bundle, &member).await);
}

#[tokio::test]
async fn recently_bound_email_gets_no_link() {
    let bundle = Bundle::start().await;
    let member = bundle.member_with(json!({ "phone": PHONE, "password": OLD_PASSWORD })).await;
    bind_email(&bundle, &member, EMAIL).await;
    for (age, gets_link) in [(VALID - 60, false), (60, true)] {
        bundle.age("member#", age).await;
        let member = bundle.logged_in(&member, 0).await;
        let before = bundle.notices_to(EMAIL).await.len();
        let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
        let swapped = json!({ "oldPassword": NEW_PASSWORD, "newPasswordFirst": OLD_PASSWORD });
        let body = if gets_link { swapped } else { body };
        bundle.call(Method::PUT, CHANGE).session(&member.token).json(&body).await.ok();
        let notices = bundle.notices_to(EMAIL).await;
        assert_eq!(
            (notices.len(), notices[0].link.is_some()),
            (before + 1, gets_link),
            "{}",
            notices[0].text
        );
    }
}

#[tokio::test]
async fn replaced_attackers_contact_is_not_restored() {
    let bundle = Bundle::with(&[("RESEND_AFTER_SECONDS", "1")]).await;
    let member = bundle.member().await;
    bind_email(&bundle, &member, OTHER_EMAIL).await;
    bind_phone(&bundle, &member, OTHER_PHONE).await;
    // The member replaces both again. No notice to the attacker's address has a link.
    bundle.age("sent#", 86_400).await;
    bind_email(&bundle, &member, EMAIL).await;
    bind_phone(&bundle, &member, PHONE).await;
    let attackers = bundle.notices_to(OTHER_EMAIL).await;
    assert!(attackers.len() >= 3 && attackers.iter().all(|notice| notice.link.is_none()), "{attackers:?}");
    // The first link, to the member's own address, has nothing left to restore.
    report(&bundle, &bundle.report_link(EMAIL).await).await.ok();
    let stored = bundle.inspect(&member).await;
    assert_eq!((&stored["phone"], &stored["email"]), (&json!(e164(PHONE)), &json!(EMAIL)));
}

#[tokio::test]
async fn link_ends_when_operator_replaces_its_address() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let link = changed(&bundle, &member).await;
    let member = bundle.logged_in(&member, 0).await;
    bind_email(&bundle, &member, OTHER_EMAIL).await;
    // An operator's update leaves no time of binding.
    update_member(
        &bundle,
        &member,
        "REMOVE email_bound_at ADD revision :one",
        json!({ ":one": { "N": "1" } }),
    )
    .await;
    assert_eq!(report(&bundle, &link).await.refusal(), (400, "{VERIFICATION}_NOT_VALID"));
    assert_eq!(bundle.inspect(&member).await["email"], OTHER_EMAIL);
    assert!(!is_frozen(&bundle, &member).await);
}

#[tokio::test]
async fn link_of_a_removed_member_is_refused() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let link = changed(&bundle, &member).await;
    bundle.remove(&member).await;
    assert_eq!(report(&bundle, &link).await.refusal(), (400, "{VERIFICATION}_NOT_VALID"));
}

#[tokio::test]
async fn notices_have_a_link_only_by_mail() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let link = changed(&bundle, &member).await;
    let by_sms = bundle.notices_to(&e164(PHONE)).await;
    assert_eq!((by_sms.len(), &by_sms[0].link), (1, &None));
    report(&bundle, &link).await.ok();
    // The notice of the report has no link of its own.
    for to in [EMAIL, &e164(PHONE)] {
        let notices = bundle.notices_to(to).await;
        assert_eq!((notices.len(), &notices[0].link), (2, &None), "{to}");
        assert!(notices[0].text.contains("账户变更已冻结"), "{}", notices[0].text);
    }
}

#[tokio::test]
async fn duplicate_notice_has_the_same_link() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let link = changed(&bundle, &member).await;
    let notices = queued(&bundle).await;
    assert_eq!(deliver(&bundle, &event("INSERT", &notices)).await, None);
    assert_eq!((bundle.notices_to(EMAIL).await.len(), bundle.report_link(EMAIL).await), (2, link));
}

#[tokio::test]
async fn deployment_without_links_stores_no_report() {
    let bundle = Bundle::with(&[("MAIL_LINK_BASE_URL", "")]).await;
    let member = bundle.member().await;
    change_password(&bundle, &member, OLD_PASSWORD, NEW_PASSWORD).await.ok();
    assert_eq!(bundle.notices_to(EMAIL).await[0].link, None);
    let items = bundle.items().await;
    assert!(items.iter().all(|item| !item["pk"]["S"].as_str().unwrap().starts_with("report#")));
}

#[tokio::test]
async fn report_prevails_over_changes_in_between() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let link = changed(&bundle, &member).await;
    // The attacker changes the password and the address before the member reads the mail.
    let attacker = bundle.logged_in(&member, 0).await;
    let renewed = change_password(&bundle, &attacker, NEW_PASSWORD, "attackers-password").await.ok();
    let attacker = Member { token: renewed.token().to_owned(), ..attacker };
    bind_email(&bundle, &attacker, OTHER_EMAIL).await;
    report(&bundle, &link).await.ok();
    assert_eq!(bundle.inspect(&member).await["email"], EMAIL);
    let ended = change_password(&bundle, &attacker, "attackers-password", OLD_PASSWORD).await;
    assert_eq!(ended.refusal(), (401, "INVALID_TOKEN"));
}

#[tokio::test]
async fn report_succeeds_while_attacker_makes_a_change() {
    let (proxy, bundle) = Proxy::between(STORE, &[]).await;
    let member = bundle.member().await;
    let link = changed(&bundle, &member).await;
    let attacker = bundle.logged_in(&member, 0).await;
    proxy.fault(On::nth("TransactWriteItems", 1), InjectedFault::Delay(Duration::from_millis(500)));
    proxy.requests();
    let change = async {
        while !proxy.requests().contains(&"TransactWriteItems".to_owned()) {
            tokio::task::yield_now().await;
        }
        change_password(&bundle, &attacker, NEW_PASSWORD, OLD_PASSWORD).await.ok()
    };
    let (reported, changed) = tokio::join!(report(&bundle, &link), change);
    reported.ok();
    let attacker = Member { token: changed.token().to_owned(), ..attacker };
    let ended = change_password(&bundle, &attacker, OLD_PASSWORD, NEW_PASSWORD).await;
    assert_eq!(ended.refusal(), (401, "INVALID_TOKEN"));
}
