//! Notices: after a change the member is notified at every address, through an outbox.

use crate::{
    bundle::{
        BIND_PHONE, Bundle, CHANGE, CHANGE_BY_MESSAGE, EMAIL, Member, NEW_PASSWORD, NEW_PIN, OLD_PASSWORD,
        PHONE, PIN, RECOVERY, RESET_PAY_PASSWORD, Response, SEND_CODE, SET_PAY_PASSWORD, UPDATE_PAY_PASSWORD,
        VERIFY_MAIL, e164, wrong_code,
    },
    proxy::{ANY, InjectedFault, MAIL, On, Proxy, REFUSED, SMS},
};
use local::Message;
use reqwest::Method;
use serde_json::{Value, json};

const NEW_PHONE: &str = "13912345678";
const NEW_EMAIL: &str = "li.lei@example.org";

async fn put(bundle: &Bundle, path: &str, member: &Member, body: &Value) -> Response {
    bundle.call(Method::PUT, path).session(&member.token).json(body).await.ok()
}

/// The notices that were sent since they were last taken.
struct NoticeLog<'a> {
    bundle: &'a Bundle,
    before: usize,
}

impl NoticeLog<'_> {
    async fn take_new(&mut self) -> Vec<Message> {
        self.bundle.settled().await;
        let messages = self.bundle.stack.messages();
        let new = messages.len() - std::mem::replace(&mut self.before, messages.len());
        messages.into_iter().take(new).filter(|message| message.code.is_none()).collect()
    }

    /// Asserts the recipients of the new notices, each of which gets exactly one.
    async fn assert_recipients(&mut self, what: &str, mut expected: Vec<&str>) {
        let mut to: Vec<_> = self.take_new().await.into_iter().map(|message| message.to).collect();
        to.sort_unstable();
        expected.sort_unstable();
        assert_eq!(to, expected, "{what}");
    }
}

#[tokio::test]
async fn each_change_notifies_every_address() {
    let bundle = Bundle::start().await;
    let mut member = bundle.member().await;
    let mut log = NoticeLog { bundle: &bundle, before: 0 };
    let phone = e164(PHONE);
    let everywhere = || vec![phone.as_str(), EMAIL];

    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    member.token = put(&bundle, CHANGE, &member, &body).await.token().to_owned();
    log.assert_recipients("the password changed", everywhere()).await;

    let (phone_info, code) = bundle.request_change_code(&member).await;
    let body = json!({ "phoneInfo": phone_info, "code": code, "newPassword": OLD_PASSWORD });
    let call = bundle.call(Method::POST, CHANGE_BY_MESSAGE).session(&member.token);
    member.token = call.json(&body).await.ok().token().to_owned();
    log.assert_recipients("the password changed by message", everywhere()).await;

    put(&bundle, SET_PAY_PASSWORD, &member, &json!({ "payPasswordFirst": PIN })).await;
    log.assert_recipients("the pay password set", everywhere()).await;

    put(&bundle, UPDATE_PAY_PASSWORD, &member, &json!({ "oldPassword": PIN, "payPasswordFirst": NEW_PIN }))
        .await;
    log.assert_recipients("the pay password changed", everywhere()).await;

    bundle.age("sent#phone#", 120).await;
    let (_, code) = bundle.request_sms_code(Some(&member), PHONE).await;
    put(&bundle, RESET_PAY_PASSWORD, &member, &json!({ "phone": PHONE, "message": code })).await;
    log.assert_recipients("the pay password reset", everywhere()).await;

    let (_, code) = bundle.request_sms_code(Some(&member), NEW_PHONE).await;
    put(&bundle, BIND_PHONE, &member, &json!({ "message": code, "phone": NEW_PHONE })).await;
    let new_phone = e164(NEW_PHONE);
    log.assert_recipients("the phone replaced", vec![&phone, &new_phone, EMAIL]).await;

    let (verification, code) = bundle.request_email_code(Some(&member), NEW_EMAIL).await;
    let body = json!({ "verification": verification, "code": code });
    bundle.call(Method::POST, VERIFY_MAIL).json(&body).await.ok();
    log.assert_recipients("the email address replaced", vec![&new_phone, EMAIL, NEW_EMAIL]).await;

    bundle.age("sent#phone#", 120).await;
    let grant = bundle.grant(&bundle.request_sms_code(None, NEW_PHONE).await).await;
    log.assert_recipients("no change yet", vec![]).await;
    let body = json!({ "phone": NEW_PHONE, "passwordFirst": NEW_PASSWORD, "verification": grant });
    bundle.call(Method::PUT, RECOVERY).json(&body).await.ok();
    log.assert_recipients("the password recovered", vec![&new_phone, NEW_EMAIL]).await;

    bundle.age("sent#email#", 120).await;
    let grant = bundle.grant_by_mail(&bundle.request_email_code(None, NEW_EMAIL).await).await;
    let body = json!({ "email": NEW_EMAIL, "passwordFirst": OLD_PASSWORD, "verification": grant });
    bundle.call(Method::PUT, RECOVERY).json(&body).await.ok();
    log.assert_recipients("the password recovered by email", vec![&new_phone, NEW_EMAIL]).await;
}

#[tokio::test]
async fn first_phone_and_first_email_notify_both_addresses() {
    let bundle = Bundle::start().await;
    let mut log = NoticeLog { bundle: &bundle, before: 0 };
    let member = bundle.member_with(json!({ "email": EMAIL })).await;
    let (_, code) = bundle.request_sms_code(Some(&member), PHONE).await;
    put(&bundle, BIND_PHONE, &member, &json!({ "message": code, "phone": PHONE })).await;
    log.assert_recipients("a phone bound", vec![&e164(PHONE), EMAIL]).await;

    let member = bundle.member_with(json!({ "phone": NEW_PHONE })).await;
    let (verification, code) = bundle.request_email_code(Some(&member), NEW_EMAIL).await;
    let body = json!({ "verification": verification, "code": code });
    bundle.call(Method::POST, VERIFY_MAIL).json(&body).await.ok();
    log.assert_recipients("an email address bound", vec![&e164(NEW_PHONE), NEW_EMAIL]).await;
}

#[tokio::test]
async fn refused_change_sends_no_notice() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    for body in [
        json!({ "oldPassword": "wrong", "newPasswordFirst": NEW_PASSWORD }),
        json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": "short" }),
    ] {
        let refused = bundle.call(Method::PUT, CHANGE).session(&member.token).json(&body).await;
        assert_eq!(refused.status, 400);
    }
    bundle.settled().await;
    assert_eq!(bundle.stack.messages(), []);
}

#[tokio::test]
async fn notice_describes_the_change_in_the_callers_language() {
    let bundle = Bundle::start().await;
    let mut member = bundle.member().await;
    let mut log = NoticeLog { bundle: &bundle, before: 0 };
    let mut passwords = [OLD_PASSWORD, NEW_PASSWORD];
    for (language, what, by_sms, by_mail) in [
        ("en", "login password was changed", "Not you? Recover your password", "If this was not you"),
        ("zh-CN", "登录密码已修改", "如非本人操作，请立即找回密码", "如非本人操作"),
    ] {
        let body = json!({ "oldPassword": passwords[0], "newPasswordFirst": passwords[1] });
        let call =
            bundle.call(Method::PUT, CHANGE).session(&member.token).header("Accept-Language", language);
        // The source address that the caller claims is ignored.
        let call = call.header("X-Forwarded-For", "203.0.113.9").header("User-Agent", "the member's app");
        member.token = call.json(&body).await.ok().token().to_owned();
        passwords.swap(0, 1);
        assert_eq!(log.take_new().await.len(), 2);
        // Deliver the notices again with a time that this test sets.
        let mut notices = queued(&bundle).await;
        notices.retain(|notice| notice["language"]["S"] == language);
        for notice in &mut notices {
            notice["at"]["N"] = json!("1774343702");
        }
        assert_eq!(deliver(&bundle, &event("INSERT", &notices)).await, None);
        let messages = log.take_new().await;
        assert_eq!(messages.len(), 2);
        for Message { to, text, .. } in messages {
            let what_to_do = if to == EMAIL { by_mail } else { by_sms };
            for part in [what, "2026-03-24 09:15 UTC", "127.0.0.1", what_to_do] {
                assert!(text.contains(part), "{part} is missing: {text}");
            }
            assert_eq!(text.is_ascii(), language == "en", "{text}");
            // The notice contains no text from the caller, which could be a link.
            assert!(!text.contains("the member's app"), "{text}");
        }
    }
}

#[tokio::test]
async fn notice_to_a_replaced_address_omits_the_new() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let (_, code) = bundle.request_sms_code(Some(&member), NEW_PHONE).await;
    put(&bundle, BIND_PHONE, &member, &json!({ "message": code, "phone": NEW_PHONE })).await;
    let requested = bundle.request_email_code(Some(&member), NEW_EMAIL).await;
    let body = json!({ "verification": requested.0, "code": requested.1 });
    bundle.call(Method::POST, VERIFY_MAIL).json(&body).await.ok();
    for to in [&e164(PHONE), EMAIL] {
        let notices = bundle.notices_to(to).await;
        assert!(!notices.is_empty());
        for notice in notices {
            assert!(!notice.text.contains(NEW_PHONE) && !notice.text.contains(NEW_EMAIL), "{}", notice.text);
        }
    }
}

#[tokio::test]
async fn failing_provider_does_not_block_the_change() {
    let (sns, bundle) = Proxy::between(SMS, &[]).await;
    let member = bundle.member().await;
    sns.fault(On::first(ANY, 2), InjectedFault::Refuse(REFUSED));
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    put(&bundle, CHANGE, &member, &body).await;
    bundle.settled().await;
    let requests = sns.bodies();
    assert_eq!(requests.len(), 3, "{requests:?}");
    assert!(requests.iter().all(|request| request == &requests[0]), "{requests:?}");
    // The notice that was delivered is not delivered again.
    assert_eq!(bundle.notices_to(EMAIL).await.len(), 1);
    assert!(bundle.stack.log_lines().iter().all(|line| !line.text.contains(PHONE)));
}

/// Changes the pay password back and forth, once for each call.
struct PinChanges<'a> {
    bundle: &'a Bundle,
    member: Member,
    pins: [&'static str; 2],
}

impl<'a> PinChanges<'a> {
    async fn of(bundle: &'a Bundle) -> Self {
        let member = bundle.member_with(json!({ "phone": PHONE, "email": EMAIL, "payPassword": PIN })).await;
        Self { bundle, member, pins: [PIN, NEW_PIN] }
    }

    async fn make(&mut self) {
        let body = json!({ "oldPassword": self.pins[0], "payPasswordFirst": self.pins[1] });
        put(self.bundle, UPDATE_PAY_PASSWORD, &self.member, &body).await;
        self.bundle.settled().await;
        self.pins.swap(0, 1);
    }
}

/// A part of the SMS after which no more follow.
const LAST: &str = "今日不再短信通知";

#[tokio::test]
async fn changes_beyond_the_daily_limit_send_email() {
    let bundle = Bundle::with(&[("NOTICES_PER_DAY", "2")]).await;
    let mut changes = PinChanges::of(&bundle).await;
    for _ in 0..5 {
        changes.make().await;
    }
    let by_sms = bundle.notices_to(&e164(PHONE)).await;
    let is_last: Vec<_> = by_sms.iter().map(|notice| notice.text.contains(LAST)).collect();
    assert_eq!(is_last, [true, false, false], "{by_sms:#?}");
    assert_eq!(bundle.notices_to(EMAIL).await.len(), 5);

    bundle.age("notices#phone#", 86_400).await;
    changes.make().await;
    assert!(!bundle.notices_to(&e164(PHONE)).await[0].text.contains(LAST));
    assert_eq!(bundle.stack.messages().len(), 4 + 6);
}

#[tokio::test]
async fn refused_notice_is_not_counted_twice() {
    let (sns, bundle) = Proxy::between(SMS, &[("NOTICES_PER_DAY", "1")]).await;
    sns.fault(On::first(ANY, 3), InjectedFault::Refuse(REFUSED));
    let mut changes = PinChanges::of(&bundle).await;
    changes.make().await;
    changes.make().await;
    let by_sms = bundle.notices_to(&e164(PHONE)).await;
    let is_last: Vec<_> = by_sms.iter().map(|notice| notice.text.contains(LAST)).collect();
    assert_eq!(is_last, [true, false], "{by_sms:#?}");
}

#[tokio::test]
async fn permanently_refused_notice_does_not_block_the_others() {
    let (_sns, setting) = Proxy::before(SMS).await;
    let bundle = Bundle::with(&[setting.pair()]).await;
    let member = bundle.member().await;
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    put(&bundle, CHANGE, &member, &body).await;
    assert_eq!(bundle.notices_to(EMAIL).await.len(), 1);
}

#[tokio::test]
async fn recovery_code_arrives_after_two_refused_sends() {
    let (ses, bundle) = Proxy::between(MAIL, &[]).await;
    bundle.member().await;
    ses.fault(On::first(ANY, 2), InjectedFault::Refuse(REFUSED));
    let sent =
        bundle.call(Method::POST, crate::bundle::SEND_MAIL).json(&json!({ "email": EMAIL })).await.ok();
    bundle.settled().await;
    let mails: Vec<Value> = ses.bodies().iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    assert_eq!(mails.len(), 3);
    let text = mails[2]["Content"]["Simple"]["Body"]["Text"]["Data"].as_str().unwrap();
    let code = text.lines().find(|line| line.len() == 8).unwrap();
    bundle.grant_by_mail(&(sent.verification().to_owned(), code.to_owned())).await;
}

/// Returns the stream event of these items, as Lambda delivers it.
pub fn event(name: &str, items: &[Value]) -> Value {
    let record = |(number, item): (usize, &Value)| {
        json!({
            "eventID": format!("{number:032x}"), "eventName": name, "eventVersion": "1.1",
            "eventSource": "aws:dynamodb", "awsRegion": "us-east-1",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_774_343_702, "Keys": { "pk": item["pk"], "sk": item["sk"] },
                "NewImage": item, "SequenceNumber": sequence_number(number), "SizeBytes": 350,
                "StreamViewType": "NEW_IMAGE",
            },
            "eventSourceARN": "arn:aws:dynamodb:us-east-1:123456789012:table/t/stream/2026-03-24T08:00:00.000",
        })
    };
    json!({ "Records": items.iter().enumerate().map(record).collect::<Vec<_>>() })
}

fn sequence_number(number: usize) -> String {
    format!("44215845000000000174504390{number:02}")
}

/// Returns every notice in the outbox, delivered or not.
pub async fn queued(bundle: &Bundle) -> Vec<Value> {
    bundle.settled().await;
    let items = bundle.items().await.into_iter();
    items.filter(|item| item["pk"]["S"].as_str().unwrap().starts_with("notice#")).collect()
}

/// Invokes `deliver-notices` directly, and returns the first item that failed.
pub async fn deliver(bundle: &Bundle, event: &Value) -> Option<String> {
    let response = bundle.invoke("deliver-notices", event).await;
    assert!(!response.headers.contains_key("x-amz-function-error"), "{}", response.text);
    let failures =
        response.body["batchItemFailures"].as_array().unwrap_or_else(|| panic!("{}", response.text));
    assert!(failures.len() <= 1, "{}", response.text);
    failures.first().map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn duplicate_notice_delivery_repeats_only_the_message() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    put(&bundle, CHANGE, &member, &body).await;
    let notices = queued(&bundle).await;
    assert_eq!(notices.len(), 2);
    let (before, stored) = (bundle.stack.messages(), bundle.inspect(&member).await);
    assert_eq!(deliver(&bundle, &event("INSERT", &notices)).await, None);
    for message in bundle.stack.messages() {
        assert!(
            before.iter().any(|first| (&first.to, &first.text) == (&message.to, &message.text)),
            "{message:?}"
        );
    }
    assert_eq!(bundle.inspect(&member).await, stored);
}

#[tokio::test]
async fn duplicate_code_delivery_sends_the_code_once() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    let requested = bundle.request_sms_code(None, PHONE).await;
    let notices = queued(&bundle).await;
    assert_eq!(notices.len(), 1);
    for _ in 0..2 {
        assert_eq!(deliver(&bundle, &event("INSERT", &notices)).await, None);
    }
    assert_eq!(bundle.stack.messages().len(), 1);
    bundle.grant(&requested).await;
    // A duplicate does not restore a consumed code either.
    assert_eq!(deliver(&bundle, &event("INSERT", &notices)).await, None);
    assert_eq!(bundle.stack.messages().len(), 1);
    let body = json!({ "verification": requested.0, "message": requested.1 });
    let again = bundle.call(Method::POST, RECOVERY).json(&body).await;
    assert_eq!(again.refusal(), (400, "{CODE}_NOT_VALID"));
}

#[tokio::test]
async fn duplicate_delivery_adds_no_attempts() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    let (verification, code) = bundle.request_sms_code(None, PHONE).await;
    let first = queued(&bundle).await;
    for _ in 0..5 {
        let body = json!({ "verification": verification, "message": wrong_code(&code) });
        let refused = bundle.call(Method::POST, RECOVERY).json(&body).await;
        assert_eq!(refused.refusal(), (400, "{CODE}_NOT_VALID"));
    }
    assert_eq!(deliver(&bundle, &event("INSERT", &first)).await, None);
    let body = json!({ "verification": verification, "message": code });
    let refused = bundle.call(Method::POST, RECOVERY).json(&body).await;
    assert_eq!(refused.refusal(), (429, "TOO_MANY_ATTEMPTS"));

    bundle.age("sent#phone#", 120).await;
    let later = bundle.request_sms_code(None, PHONE).await;
    assert_eq!(deliver(&bundle, &event("INSERT", &first)).await, None);
    assert_eq!(bundle.stack.messages().len(), 2);
    bundle.grant(&later).await;
}

#[tokio::test]
async fn code_that_expired_before_sending_is_not_sent() {
    let bundle = Bundle::start().await;
    let unknown = bundle.call(Method::GET, SEND_CODE).query(&[("phone", PHONE)]).send().await.ok();
    let notices = queued(&bundle).await;
    // The phone now has a member. The notice is delivered again, once expired and once in time.
    bundle.member().await;
    let ended = notices[0]["valid_until"]["N"].as_str().unwrap().parse::<u64>().unwrap() - 300;
    let mut late = notices.clone();
    late[0]["valid_until"]["N"] = json!(ended.to_string());
    assert_eq!(deliver(&bundle, &event("INSERT", &late)).await, None);
    assert_eq!(bundle.stack.messages(), []);
    assert_eq!(deliver(&bundle, &event("INSERT", &notices)).await, None);
    bundle.grant(&(unknown.verification().to_owned(), bundle.code())).await;
}

#[tokio::test]
async fn batch_stops_at_the_first_failure() {
    let (sns, setting) = Proxy::before(SMS).await;
    let bundle = Bundle::with(&[setting.pair()]).await;
    let member = bundle.member().await;
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    put(&bundle, CHANGE, &member, &body).await;
    let notices = queued(&bundle).await;
    let (by_mail, by_sms): (Vec<_>, Vec<_>) = notices
        .into_iter()
        .partition(|notice| notice["destination"]["S"].as_str().unwrap().starts_with("email#"));
    let batch = [&by_mail[0], &by_sms[0], &by_mail[0], &by_sms[0]].map(Clone::clone);
    let mails = bundle.stack.messages().len();
    sns.requests();
    assert_eq!(deliver(&bundle, &event("INSERT", &batch)).await, Some(sequence_number(1)));
    assert_eq!((bundle.stack.messages().len(), sns.requests().len()), (mails + 1, 1));
}

#[tokio::test]
async fn rewritten_notice_sends_nothing() {
    let bundle = Bundle::start().await;
    let member = bundle.member().await;
    let body = json!({ "oldPassword": OLD_PASSWORD, "newPasswordFirst": NEW_PASSWORD });
    put(&bundle, CHANGE, &member, &body).await;
    assert_eq!(queued(&bundle).await.len(), 2);
    bundle.age("notice#", 1).await;
    bundle.settled().await;
    assert_eq!(bundle.stack.messages().len(), 2, "a rewritten notice is not a new one");
    let logged: Vec<_> = bundle.stack.log_lines().into_iter().filter(|line| !line.is_metrics()).collect();
    assert_eq!(logged, []);
}

#[tokio::test]
async fn unexpected_event_sends_nothing() {
    let bundle = Bundle::start().await;
    for event in
        [json!({ "Records": [] }), json!({}), json!([]), json!(null), json!({ "source": "aws.scheduler" })]
    {
        let response = bundle.invoke("deliver-notices", &event).await;
        assert!(!response.headers.contains_key("x-amz-function-error"), "{event}: {}", response.text);
    }
    let mut broken = event("INSERT", &[json!({ "pk": { "S": "notice#1" }, "sk": { "S": "notice" } })]);
    assert_eq!(
        deliver(&bundle, &broken).await,
        Some(sequence_number(0)),
        "expected the invalid notice to be reported"
    );
    broken["Records"] = json!([]);
    assert_eq!(deliver(&bundle, &broken).await, None);
    assert_eq!(bundle.stack.messages(), []);
}
