//! The metrics that dashboards and alarms use.

use crate::{
    bundle::{
        Bundle, CHANGE, Call, EMAIL, Member, NEW_PASSWORD, NEW_PIN, OLD_PASSWORD, PHONE, PIN, RECOVERY,
        Response, SEND, SEND_CODE, SEND_MAIL, SET_PAY_PASSWORD, UPDATE_PAY_PASSWORD, VERIFY_MAIL, wrong_code,
    },
    journey::{Encoding, Journey},
    limits::age_traffic,
    proxy::{ANY, InjectedFault, MAIL, On, Proxy, REFUSED, SMS, STORE},
};
use local::Channel;
use reqwest::Method;
use serde_json::{Value, json};
use shared::{audit::Action, clock::Timestamp, error::SendLimit};

/// Every metric with its dimensions and its unit.
const METRICS: [(&str, &[&str], &str); 15] = [
    ("CodesSent", &["Channel", "CallingCode", "Purpose"], "Count"),
    ("CodesVerified", &["Channel", "CallingCode", "Purpose"], "Count"),
    ("CodesRefused", &["Reason"], "Count"),
    ("WrongCodes", &["Channel"], "Count"),
    ("BreakerOpen", &[], "Count"),
    ("Changes", &["Action"], "Count"),
    ("Lockouts", &[], "Count"),
    ("PayPasswordLockouts", &[], "Count"),
    ("ProviderTime", &["Provider"], "Milliseconds"),
    ("NoticesSent", &["Channel", "CallingCode"], "Count"),
    ("NoticesDropped", &["Reason"], "Count"),
    ("NoticesFailed", &[], "Count"),
    ("Failures", &["Symbol", "Family"], "Count"),
    ("Authorizations", &["Outcome"], "Count"),
    ("LogIns", &["Outcome"], "Count"),
];

/// Returns every EMF document that the functions printed.
fn documents(bundle: &Bundle) -> Vec<Value> {
    let lines = bundle.stack.log_lines().into_iter().filter(local::LogLine::is_metrics);
    lines.map(|line| serde_json::from_str(&line.text).unwrap()).collect()
}

/// Returns the metric's values for one value of a dimension, or without dimension, as CloudWatch reads them.
fn values(bundle: &Bundle, metric: &str, dimension: Option<(&str, &str)>) -> Vec<Value> {
    let expected: Vec<_> = dimension.iter().map(|(name, _)| json!(name)).collect();
    documents(bundle)
        .iter()
        .filter(|document| document["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == json!([expected]))
        .filter(|document| dimension.is_none_or(|(name, value)| document[name] == value))
        .filter_map(|document| document.get(metric))
        .flat_map(|value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]))
        .collect()
}

fn count(bundle: &Bundle, metric: &str, dimension: Option<(&str, &str)>) -> u64 {
    values(bundle, metric, dimension).iter().map(|value| value.as_u64().unwrap()).sum()
}

/// Asserts the count of a metric for each value of its dimension, and that no other value occurs.
fn assert_counts(bundle: &Bundle, metric: &str, dimension: &str, expected: &[(&str, u64)]) {
    for (value, times) in expected {
        assert_eq!(
            count(bundle, metric, Some((dimension, value))),
            *times,
            "{metric} by {dimension} {value}"
        );
    }
    for document in documents(bundle) {
        if let (Some(_), Some(value)) = (document.get(metric), document[dimension].as_str()) {
            assert!(expected.iter().any(|(known, _)| *known == value), "{document}");
        }
    }
}

fn assert_none(bundle: &Bundle, metric: &str) {
    assert!(documents(bundle).iter().all(|document| document.get(metric).is_none()), "{metric}");
}

async fn send(bundle: &Bundle, member: &Member) -> Response {
    bundle.call(Method::POST, SEND).session(&member.token).send().await
}

#[tokio::test]
async fn every_code_change_and_notice_counts_once() {
    let bundle = Bundle::start().await;
    Journey::run(&bundle, Encoding::Json).await;
    bundle.settled().await;
    for metric in ["CodesSent", "CodesVerified"] {
        assert_counts(&bundle, metric, "Channel", &[("sms", 4), ("mail", 1)]);
        assert_counts(&bundle, metric, "CallingCode", &[("86", 4)]);
    }
    // The journey checks the password, which changes it twice.
    let changes = [
        ("phone-bound", 1),
        ("password-changed-by-message", 1),
        ("password-changed", 3),
        ("pay-password-set", 1),
        ("pay-password-changed", 1),
        ("pay-password-reset", 1),
        ("email-bound", 1),
        ("password-recovered", 1),
        ("change-reported", 1),
    ];
    assert_counts(&bundle, "Changes", "Action", &changes);
    let messages = bundle.stack.messages();
    let notices = |channel: Channel| -> u64 {
        let notices = messages.iter().filter(|message| message.code.is_none() && message.channel == channel);
        notices.count().try_into().unwrap()
    };
    let (by_sms, by_mail) = (notices(Channel::Sms), notices(Channel::Mail));
    assert!(by_sms > 8 && by_mail > 0, "{by_sms} {by_mail}");
    assert_counts(&bundle, "NoticesSent", "Channel", &[("sms", by_sms), ("mail", by_mail)]);
    assert_counts(&bundle, "NoticesSent", "CallingCode", &[("86", by_sms)]);
    for (provider, channel) in [("sns", Channel::Sms), ("ses", Channel::Mail)] {
        let times = values(&bundle, "ProviderTime", Some(("Provider", provider)));
        assert_eq!(times.len(), messages.iter().filter(|message| message.channel == channel).count());
        let is_time = |time: &Value| (0.01..60_000.0).contains(&time.as_f64().unwrap());
        assert!(times.iter().all(is_time), "{times:?}");
    }
    for metric in [
        "CodesRefused",
        "WrongCodes",
        "BreakerOpen",
        "Lockouts",
        "NoticesDropped",
        "NoticesFailed",
        "Failures",
    ] {
        assert_none(&bundle, metric);
    }
}

#[tokio::test]
async fn metrics_are_valid_emf_without_personal_data() {
    let bundle = Bundle::start().await;
    Journey::run(&bundle, Encoding::Json).await;
    bundle.settled().await;
    let actions = Action::ALL.map(|action| action.to_string());
    let known = |dimension: &str, value: &str| match dimension {
        "Channel" => ["sms", "mail"].contains(&value),
        "CallingCode" => value == "86",
        "Provider" => ["sns", "ses"].contains(&value),
        "Action" => actions.iter().any(|action| action == value),
        "Outcome" => value == "succeeded",
        _ => false,
    };
    let documents = documents(&bundle);
    assert!(documents.len() > 30, "{}", documents.len());
    for document in documents {
        let at = document["_aws"]["Timestamp"].as_u64().unwrap();
        assert!((Timestamp(at / 1_000).until(Timestamp::now())) < 600, "{document}");
        let [directive] = document["_aws"]["CloudWatchMetrics"].as_array().unwrap().as_slice() else {
            panic!("{document}")
        };
        assert_eq!(directive["Namespace"], "AccountSecurity/local");
        let [dimensions] = directive["Dimensions"].as_array().unwrap().as_slice() else {
            panic!("{document}")
        };
        let dimensions: Vec<_> = dimensions.as_array().unwrap().iter().map(|d| d.as_str().unwrap()).collect();
        let mut named = vec!["_aws"];
        for dimension in dimensions.clone() {
            assert!(known(dimension, document[dimension].as_str().unwrap()), "{document}");
            named.push(dimension);
        }
        for metric in directive["Metrics"].as_array().unwrap() {
            let (name, unit) = (metric["Name"].as_str().unwrap(), metric["Unit"].as_str().unwrap());
            let (_, its_dimensions, its_unit) = METRICS.iter().find(|(known, ..)| *known == name).unwrap();
            assert_eq!(unit, *its_unit, "{document}");
            assert_eq!(dimensions.is_empty(), its_dimensions.is_empty(), "{document}");
            assert!(dimensions.iter().all(|dimension| its_dimensions.contains(dimension)), "{document}");
            let value = &document[name];
            let is_number = |value: &Value| value.is_number();
            assert!(is_number(value) || value.as_array().unwrap().iter().all(is_number), "{document}");
            named.push(name);
        }
        assert!(document.as_object().unwrap().keys().all(|key| named.contains(&key.as_str())), "{document}");
    }
}

#[test]
fn reference_lists_every_metric() {
    let reference = std::fs::read_to_string(crate::bundle::root().join("docs/reference.md")).unwrap();
    for (metric, dimensions, _) in METRICS {
        let named = format!("`{metric}`");
        let row = reference.lines().find(|line| {
            line.split('|').nth(1).is_some_and(|cell| line.starts_with('|') && cell.contains(&named))
        });
        let row = row.unwrap_or_else(|| panic!("no row for {metric}"));
        assert!(dimensions.iter().all(|dimension| row.contains(&format!("`{dimension}`"))), "{row}");
    }
}

/// Returns the metrics of the functions that an alarm of the template reads, each with its channel.
fn metrics_of_alarm(alarm: &str) -> Vec<(String, String)> {
    let template = std::fs::read_to_string(crate::bundle::root().join("template.yaml")).unwrap();
    let (_, resource) =
        template.split_once(&format!("\n  {alarm}:\n    Type: AWS::CloudWatch::Alarm\n")).unwrap();
    let lines = resource.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    let after = |line: &str, name: &str| {
        let (_, value) = line.split_once(name)?;
        Some(value.split([',', '}']).next()?.to_owned())
    };
    let metrics = lines.filter(|line| line.contains("AccountSecurity/${AWS::StackName}"));
    let mut metrics: Vec<_> =
        metrics.map(|line| (after(line, "MetricName: ").unwrap(), after(line, "Value: ").unwrap())).collect();
    metrics.sort();
    metrics
}

#[test]
fn alarms_watch_every_sms_and_wrong_code() {
    let owned = |(metric, channel): (&str, &str)| (metric.to_owned(), channel.to_owned());
    assert_eq!(metrics_of_alarm("SmsRate"), [("CodesSent", "sms"), ("NoticesSent", "sms")].map(owned));
    let both = |metric: &'static str| [(metric, "mail"), (metric, "sms")].map(owned);
    let compared = [both("CodesVerified"), both("WrongCodes")].concat();
    assert_eq!(metrics_of_alarm("WrongCodesRising"), compared);
    let outcomes = ["failed", "locked", "succeeded"].map(|outcome| owned(("LogIns", outcome)));
    assert_eq!(metrics_of_alarm("FailedLogInsRising"), outcomes);
}

#[tokio::test]
async fn logins_are_counted_by_their_outcome() {
    let bundle = Bundle::with(&[("PASSWORD_MAX_FAILURES", "2")]).await;
    bundle.member().await;
    for (password, times) in [(OLD_PASSWORD, 1), ("wrong", 3)] {
        for _ in 0..times {
            bundle.log_in(json!({ "phone": PHONE, "password": password })).await;
        }
    }
    assert_counts(&bundle, "LogIns", "Outcome", &[("succeeded", 1), ("failed", 2), ("locked", 1)]);
    assert_eq!(count(&bundle, "Lockouts", None), 1);
}

#[tokio::test]
async fn codes_to_register_are_also_counted_by_purpose() {
    let bundle = Bundle::start().await;
    bundle.member().await;
    for purpose in ["login", "register"] {
        let sent = bundle.send_log_in_code(purpose, PHONE).await;
        let code = bundle.code_to("+8613627140483").await;
        let event = json!({ "phone": PHONE, "code": code, "verification": sent.verification() });
        assert_eq!(bundle.log_in(event).await.body["success"], true);
        bundle.age("sent#", 120).await;
    }
    for metric in ["CodesSent", "CodesVerified"] {
        assert_counts(&bundle, metric, "Channel", &[("sms", 2)]);
        assert_counts(&bundle, metric, "Purpose", &[("register", 1)]);
    }
}

#[tokio::test]
async fn dropped_notice_is_counted_by_its_limit() {
    for (limit, setting) in
        [(SendLimit::Day, "NOTICES_PER_DAY"), (SendLimit::Budget, "REGION_SENDS_PER_HOUR")]
    {
        let bundle = Bundle::with(&[(setting, "1")]).await;
        let member = bundle.member_with(json!({ "phone": PHONE, "email": EMAIL, "payPassword": PIN })).await;
        let mut pins = [PIN, NEW_PIN];
        for _ in 0..3 {
            let body = json!({ "oldPassword": pins[0], "payPasswordFirst": pins[1] });
            bundle.call(Method::PUT, UPDATE_PAY_PASSWORD).session(&member.token).json(&body).await.ok();
            bundle.settled().await;
            pins.swap(0, 1);
        }
        // The second SMS to the phone announces that no more follow.
        let by_sms = if limit == SendLimit::Day { 2 } else { 1 };
        assert_counts(&bundle, "NoticesSent", "Channel", &[("sms", by_sms), ("mail", 3)]);
        assert_counts(&bundle, "NoticesDropped", "Reason", &[(&limit.to_string(), 3 - by_sms)]);
        assert_none(&bundle, "NoticesFailed");
    }
}

#[tokio::test]
async fn refused_send_is_counted_by_its_limit() {
    // The hourly and daily limits of a destination apply after the resend cooldown.
    for (limit, setting, seconds) in [
        (SendLimit::Resend, "SENDS_PER_HOUR", 0),
        (SendLimit::Hour, "SENDS_PER_HOUR", 120),
        (SendLimit::Day, "SENDS_PER_DAY", 3_600),
        (SendLimit::Member, "MEMBER_SENDS_PER_DAY", 86_400),
        (SendLimit::Source, "SOURCE_SENDS_PER_HOUR", 86_400),
        (SendLimit::Budget, "REGION_SENDS_PER_HOUR", 86_400),
    ] {
        let value = if limit == SendLimit::Resend { "2" } else { "1" };
        let bundle = Bundle::with(&[(setting, value)]).await;
        let member = bundle.member().await;
        let hour = || Timestamp::now().0 / 3_600;
        let began = hour();
        send(&bundle, &member).await.ok();
        if seconds > 0 {
            bundle.age("sent#phone#", seconds).await;
        }
        let refused = send(&bundle, &member).await;
        if limit == SendLimit::Source && hour() != began {
            continue;
        }
        assert_eq!(refused.refusal(), (400, "SEND_MESSAGE_FREQUENTLY"), "{limit}");
        assert_counts(&bundle, "CodesRefused", "Reason", &[(&limit.to_string(), 1)]);
        assert_counts(&bundle, "CodesSent", "Channel", &[("sms", 1)]);
        assert_none(&bundle, "Failures");
    }
}

#[tokio::test]
async fn provider_refusal_counts_as_refused_and_as_failure() {
    for (service, path) in [(SMS, SEND), (MAIL, SEND_MAIL)] {
        let (provider, bundle) = Proxy::between(service, &[]).await;
        let member = bundle.member().await;
        provider.fault(On::first(ANY, 1), InjectedFault::Refuse(REFUSED));
        let call = || bundle.call(Method::POST, path).session(&member.token).form(&[("email", EMAIL)]);
        assert_eq!(call().await.refusal(), (500, "SEND_MESSAGE_ERROR"));
        assert_none(&bundle, "CodesSent");
        assert_counts(&bundle, "CodesRefused", "Reason", &[("provider", 1)]);
        assert_counts(&bundle, "Failures", "Symbol", &[("SEND_MESSAGE_ERROR", 1)]);
        call().await.ok();
        let channel = if service == SMS { "sms" } else { "mail" };
        assert_counts(&bundle, "CodesSent", "Channel", &[(channel, 1)]);
    }
}

#[tokio::test]
async fn unconfirmed_code_is_counted_as_sent() {
    let (provider, bundle) = Proxy::between(SMS, &[]).await;
    let member = bundle.member().await;
    provider.fault(On::nth(ANY, 1), InjectedFault::DropAfter);
    assert_eq!(send(&bundle, &member).await.refusal(), (500, "SEND_MESSAGE_ERROR"));
    assert_counts(&bundle, "CodesSent", "CallingCode", &[("86", 1)]);
    assert_none(&bundle, "CodesRefused");
}

#[tokio::test]
async fn open_breaker_is_reported_in_both_modes() {
    for (action, refused) in [("deny", true), ("record", false)] {
        let settings =
            [("BREAKER_MIN_CODES", "1"), ("BREAKER_MIN_VERIFIED_PERCENT", "100"), ("BREAKER_ACTION", action)];
        let bundle = Bundle::with(&settings).await;
        let member = bundle.member().await;
        send(&bundle, &member).await.ok();
        assert_none(&bundle, "BreakerOpen");
        bundle.age("sent#", 120).await;
        age_traffic(&bundle, 2).await;
        assert_eq!(send(&bundle, &member).await.status.is_success(), !refused);
        assert_eq!(count(&bundle, "BreakerOpen", None), 1);
        if refused {
            assert_counts(&bundle, "CodesRefused", "Reason", &[("breaker", 1)]);
        } else {
            assert_none(&bundle, "CodesRefused");
            assert_counts(&bundle, "CodesSent", "Channel", &[("sms", 2)]);
        }
    }
}

#[tokio::test]
async fn lockout_is_counted_once_at_the_limit() {
    let limits =
        [("PAY_PASSWORD_MAX_FAILURES", "2"), ("PASSWORD_MAX_FAILURES", "2"), ("FAILURES_PER_DAY", "2")];
    for case in ["pay password", "password", "code"] {
        let bundle = Bundle::with(&limits).await;
        let member = json!({ "phone": PHONE, "password": OLD_PASSWORD, "payPassword": PIN });
        let member = bundle.member_with(member).await;
        let (verification, code) = bundle.request_sms_code(None, PHONE).await;
        let put = |path: &str| bundle.call(Method::PUT, path).session(&member.token);
        let try_wrong = async || match case {
            "pay password" => {
                let body = json!({ "oldPassword": "582047", "payPasswordFirst": NEW_PIN });
                put(UPDATE_PAY_PASSWORD).json(&body).await
            }
            "password" => {
                let body = json!({ "oldPassword": "wrong-one", "newPasswordFirst": NEW_PASSWORD });
                put(CHANGE).json(&body).await
            }
            _ => {
                let body = json!({ "verification": verification, "message": wrong_code(&code) });
                bundle.call(Method::POST, RECOVERY).json(&body).await
            }
        };
        assert_eq!(try_wrong().await.status, 400, "{case}");
        assert_none(&bundle, "Lockouts");
        assert_eq!(try_wrong().await.status, 400, "{case}");
        assert_eq!(count(&bundle, "Lockouts", None), 1, "{case}");
        for _ in 0..2 {
            assert_eq!(try_wrong().await.refusal(), (429, "TOO_MANY_ATTEMPTS"), "{case}");
        }
        assert_eq!(count(&bundle, "Lockouts", None), 1, "{case}");
        if case == "pay password" {
            assert_eq!(count(&bundle, "PayPasswordLockouts", None), 1);
        } else {
            assert_none(&bundle, "PayPasswordLockouts");
        }
        if case == "code" {
            assert_counts(&bundle, "WrongCodes", "Channel", &[("sms", 2)]);
            assert_none(&bundle, "CodesVerified");
        } else {
            assert_none(&bundle, "WrongCodes");
        }
    }
}

#[tokio::test]
async fn correct_last_attempt_is_not_a_lockout() {
    let bundle = Bundle::with(&[("PAY_PASSWORD_MAX_FAILURES", "2"), ("FAILURES_PER_DAY", "1")]).await;
    let member = bundle.member_with(json!({ "phone": PHONE, "payPassword": PIN })).await;
    let requested = bundle.request_sms_code(None, PHONE).await;
    bundle.grant(&requested).await;
    for (old, status) in [("582047", 400), (PIN, 201)] {
        let body = json!({ "oldPassword": old, "payPasswordFirst": NEW_PIN });
        let call = bundle.call(Method::PUT, UPDATE_PAY_PASSWORD).session(&member.token);
        assert_eq!(call.json(&body).await.status, status);
    }
    assert_none(&bundle, "Lockouts");
    assert_none(&bundle, "WrongCodes");
}

#[tokio::test]
async fn repeated_request_counts_nothing() {
    let bundle = Bundle::start().await;
    let member = bundle.member_with(json!({ "phone": PHONE })).await;
    let keyed = |call: Call, key: &str| call.header("Idempotency-Key", key).session(&member.token);
    for _ in 0..2 {
        keyed(bundle.call(Method::POST, SEND), "send").send().await.ok();
        let body = json!({ "payPasswordFirst": PIN });
        keyed(bundle.call(Method::PUT, SET_PAY_PASSWORD), "set").json(&body).await.ok();
    }
    bundle.age("sent#", 120).await;
    let (verification, code) = bundle.request_sms_code(None, PHONE).await;
    for _ in 0..2 {
        let body = json!({ "verification": verification, "message": wrong_code(&code) });
        let call = bundle.call(Method::POST, RECOVERY).header("Idempotency-Key", "wrong");
        assert_eq!(call.json(&body).await.refusal(), (400, "{CODE}_NOT_VALID"));
    }
    assert_counts(&bundle, "CodesSent", "Channel", &[("sms", 2)]);
    assert_counts(&bundle, "Changes", "Action", &[("pay-password-set", 1)]);
    assert_counts(&bundle, "WrongCodes", "Channel", &[("sms", 1)]);
}

#[tokio::test]
async fn failed_deliveries_are_counted_until_success() {
    let (provider, bundle) = Proxy::between(MAIL, &[]).await;
    let member = bundle.member_with(json!({ "email": EMAIL })).await;
    provider.fault(On::first(ANY, 2), InjectedFault::Refuse(REFUSED));
    let body = json!({ "payPasswordFirst": PIN });
    bundle.call(Method::PUT, SET_PAY_PASSWORD).session(&member.token).json(&body).await.ok();
    assert_eq!(bundle.notices_to(EMAIL).await.len(), 1);
    assert_eq!(count(&bundle, "NoticesFailed", None), 2);
    assert_counts(&bundle, "NoticesSent", "Channel", &[("mail", 1)]);
    assert_counts(&bundle, "Failures", "Symbol", &[("SEND_MESSAGE_ERROR", 2)]);
    assert_eq!(values(&bundle, "ProviderTime", Some(("Provider", "ses"))).len(), 3);
}

#[tokio::test]
async fn only_server_errors_count_as_failures() {
    let (store, bundle) = Proxy::between(STORE, &[]).await;
    let member = bundle.member().await;
    let send_code =
        async |phone: &str| bundle.call(Method::GET, SEND_CODE).query(&[("phone", phone)]).send().await;
    assert_eq!(send_code("no-phone").await.refusal(), (400, "{PHONE}_NOT_VALID"));
    assert_eq!(send(&bundle, &Member { token: "no-session".to_owned(), ..member }).await.status, 401);
    assert_none(&bundle, "Failures");
    store.fault(On::all(ANY), InjectedFault::Refuse("ThrottlingException"));
    assert_eq!(send_code(PHONE).await.refusal(), (503, "SERVICE_BUSY"));
    store.heal();
    store.fault(On::all(ANY), InjectedFault::Refuse("AccessDeniedException"));
    assert_eq!(send_code(PHONE).await.refusal(), (500, "INTERNAL_SERVER_ERROR"));
    let expected = [("SERVICE_BUSY", 1), ("INTERNAL_SERVER_ERROR", 1)];
    assert_counts(&bundle, "Failures", "Symbol", &expected);
    assert_counts(&bundle, "Failures", "Family", &[("member", 2)]);
}

#[tokio::test]
async fn failure_counts_whatever_its_http_status() {
    for (families, statuses) in [("", (500, 500)), ("user", (200, 500)), ("user,member", (200, 200))] {
        let (store, bundle) = Proxy::between(STORE, &[("HTTP_200_FAMILIES", families)]).await;
        let member = bundle.member().await;
        store.fault(On::all(ANY), InjectedFault::Refuse("AccessDeniedException"));
        let of_user = send(&bundle, &member).await;
        let of_member = bundle.call(Method::POST, SEND_MAIL).form(&[("email", EMAIL)]).await;
        let page = bundle.call(Method::POST, VERIFY_MAIL).header("accept", "text/html");
        let page = page.form(&[("verification", "a"), ("code", "1")]).await;
        assert_eq!((of_user.status.as_u16(), of_member.status.as_u16()), statuses, "{families}");
        assert_eq!(of_user.body["status"], 500, "{}", of_user.text);
        assert_eq!(of_member.body["code"], "500", "{}", of_member.text);
        assert_eq!(page.status, 400, "{}", page.text);
        assert_counts(&bundle, "Failures", "Family", &[("user", 1), ("member", 1)]);
    }
}

#[test]
fn api_alarm_counts_the_failures_of_every_family() {
    let template = std::fs::read_to_string(crate::bundle::root().join("template.yaml")).unwrap();
    let alarm = template.split("\n  ApiFailures:\n").nth(1).unwrap();
    let alarm: Vec<_> = alarm.lines().take_while(|line| !line.is_empty()).collect();
    for family in ["user", "member"] {
        let metric = format!("MetricName: Failures, Dimensions: [{{Name: Family, Value: {family}}}]");
        assert!(alarm.iter().any(|line| line.contains(&metric)), "{family}: {alarm:#?}");
    }
    // The gateway does not count a failure whose HTTP status is 200.
    assert!(alarm.iter().all(|line| !line.contains("AWS/ApiGateway")), "{alarm:#?}");
}

#[tokio::test]
async fn pings_and_an_empty_namespace_print_no_metrics() {
    let pinged = Bundle::start().await;
    pinged.invoke("send-code", &json!({ "source": "aws.scheduler" })).await.ok();
    assert_eq!(documents(&pinged), [Value::Null; 0]);
    let silent = Bundle::with(&[("METRICS_NAMESPACE", "")]).await;
    let member = silent.member().await;
    send(&silent, &member).await.ok();
    assert_eq!(documents(&silent), [Value::Null; 0]);
}
