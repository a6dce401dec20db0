//! SMS and email providers that refuse, hang, or lose their responses.

use crate::{
    bundle::{
        BIND_PHONE, Bundle, EMAIL, Member, OTHER_EMAIL, OTHER_PHONE, PHONE, Response, SEND_CODE, SEND_MAIL,
        VERIFY_MAIL,
    },
    proxy::{ADDRESS_REFUSED, ANY, InjectedFault, MAIL, On, Proxy, REFUSED, SMS, THROTTLED},
};
use reqwest::Method;
use serde_json::json;

/// Requests a code to bind a phone or an email address.
async fn request_code(bundle: &Bundle, member: &Member, service: &str) -> Response {
    let (method, path) = if service == SMS { (Method::GET, SEND_CODE) } else { (Method::POST, SEND_MAIL) };
    let call = bundle.call(method, path).session(&member.token);
    call.query(&[("phone", OTHER_PHONE), ("purpose", "bind"), ("email", OTHER_EMAIL)]).send().await
}

/// Binds the phone or email address with the newest code.
async fn bind(bundle: &Bundle, member: &Member, verification: Option<&str>) {
    let code = bundle.code();
    let (method, path, body) = match verification {
        None => (Method::PUT, BIND_PHONE, json!({ "phone": OTHER_PHONE, "message": code })),
        Some(verification) => {
            (Method::POST, VERIFY_MAIL, json!({ "verification": verification, "code": code }))
        }
    };
    bundle.call(method, path).session(&member.token).json(&body).await.ok();
}

#[tokio::test]
async fn refused_code_can_be_requested_again_at_once() {
    for service in [SMS, MAIL] {
        let (provider, bundle) = Proxy::between(service, &[]).await;
        let member = bundle.member().await;
        provider.fault(On::nth(ANY, 1), InjectedFault::Refuse(REFUSED));
        assert_eq!(request_code(&bundle, &member, service).await.refusal(), (500, "SEND_MESSAGE_ERROR"));
        let sent = request_code(&bundle, &member, service).await.ok();
        bind(&bundle, &member, (service == MAIL).then(|| sent.verification())).await;
    }
}

#[tokio::test]
async fn refused_address_is_the_callers_error() {
    for (service, code) in ADDRESS_REFUSED {
        let (provider, bundle) = Proxy::between(service, &[]).await;
        let member = bundle.member().await;
        provider.fault(On::nth(ANY, 1), InjectedFault::Refuse(code));
        let expected = if service == SMS { "{PHONE}_NOT_VALID" } else { "{EMAIL}_NOT_VALID" };
        assert_eq!(request_code(&bundle, &member, service).await.refusal(), (400, expected));
        let logged: Vec<_> = bundle.stack.log_lines().into_iter().map(|line| line.text).collect();
        let cause = logged.iter().filter(|line| line.contains("a code was not sent") && line.contains(code));
        assert_eq!(cause.count(), 1, "{logged:#?}");
        assert!(
            !logged.iter().any(|line| line.contains("Failures") || line.contains("ERROR")),
            "{logged:#?}"
        );
        let sent = request_code(&bundle, &member, service).await.ok();
        bind(&bundle, &member, (service == MAIL).then(|| sent.verification())).await;
    }
}

#[tokio::test]
async fn throttling_provider_is_busy() {
    for (service, code) in THROTTLED {
        let (provider, bundle) = Proxy::between(service, &[]).await;
        let member = bundle.member().await;
        provider.fault(On::nth(ANY, 1), InjectedFault::Refuse(code));
        let refused = request_code(&bundle, &member, service).await;
        assert_eq!(refused.refusal(), (503, "SERVICE_BUSY"), "{service}");
        assert_eq!(refused.headers["retry-after"], refused.body["retryAfter"].to_string());
        let sent = request_code(&bundle, &member, service).await.ok();
        bind(&bundle, &member, (service == MAIL).then(|| sent.verification())).await;
    }
}

#[tokio::test]
async fn notice_to_a_refused_address_is_dropped() {
    for (service, code) in ADDRESS_REFUSED {
        let (provider, bundle) = Proxy::between(service, &[]).await;
        let member = bundle.member().await;
        provider.fault(On::all(ANY), InjectedFault::Refuse(code));
        let body = json!({ "payPasswordFirst": crate::bundle::PIN });
        let call = bundle.call(Method::PUT, crate::bundle::SET_PAY_PASSWORD).session(&member.token);
        call.json(&body).await.ok();
        bundle.settled().await;
        assert_eq!((provider.requests().len(), bundle.stack.messages().len()), (1, 1), "{service}");
        let logged: Vec<_> = bundle.stack.log_lines().into_iter().map(|line| line.text).collect();
        assert!(logged.iter().any(|line| line.contains(r#""NoticesDropped":1"#)), "{logged:#?}");
        assert!(!logged.iter().any(|line| line.contains("NoticesFailed")), "{logged:#?}");
    }
}

#[tokio::test]
async fn recovery_code_to_a_refused_address_is_dropped() {
    let (ses, bundle) = Proxy::between(MAIL, &[]).await;
    bundle.member().await;
    ses.fault(On::all(ANY), InjectedFault::Refuse(ADDRESS_REFUSED[1].1));
    bundle.call(Method::POST, SEND_MAIL).json(&json!({ "email": EMAIL })).await.ok();
    bundle.settled().await;
    assert_eq!(ses.requests().len(), 1);
}

#[tokio::test]
async fn unconfirmed_code_works_and_keeps_the_cooldown() {
    let (sns, bundle) = Proxy::between(SMS, &[]).await;
    let member = bundle.member().await;
    for fault in [InjectedFault::DropAfter, InjectedFault::HangAfter] {
        sns.fault(On::nth(ANY, 1), fault);
        assert_eq!(request_code(&bundle, &member, SMS).await.refusal(), (500, "SEND_MESSAGE_ERROR"));
        sns.requests();
        let refused = request_code(&bundle, &member, SMS).await;
        assert_eq!(refused.refusal(), (429, "SEND_MESSAGE_FREQUENTLY"));
        assert_eq!(sns.requests(), [""; 0]);
        bind(&bundle, &member, None).await;
        bundle.age("sent#phone#", 120).await;
        sns.heal();
    }
}

#[tokio::test]
async fn unsent_message_is_sent_after_the_cooldown() {
    let (sns, bundle) = Proxy::between(SMS, &[]).await;
    let member = bundle.member().await;
    sns.fault(On::nth(ANY, 1), InjectedFault::DropBefore);
    assert_eq!(request_code(&bundle, &member, SMS).await.refusal(), (500, "SEND_MESSAGE_ERROR"));
    assert_eq!(bundle.stack.messages(), []);
    bundle.age("sent#phone#", 120).await;
    request_code(&bundle, &member, SMS).await.ok();
    bind(&bundle, &member, None).await;
}

#[tokio::test]
async fn unconfirmed_recovery_code_works_without_a_resend() {
    let (sns, bundle) = Proxy::between(SMS, &[]).await;
    bundle.member().await;
    for fault in [InjectedFault::DropAfter, InjectedFault::HangAfter] {
        sns.fault(On::nth(ANY, 1), fault);
        sns.requests();
        let requested = bundle.request_sms_code(None, PHONE).await;
        assert_eq!(sns.requests().len(), 1);
        bundle.grant(&requested).await;
        bundle.age("sent#phone#", 120).await;
        sns.heal();
    }
}

#[tokio::test]
async fn unconfirmed_notice_is_sent_again() {
    let (ses, bundle) = Proxy::between(MAIL, &[]).await;
    let member = bundle.member_with(json!({ "email": EMAIL })).await;
    ses.fault(On::nth(ANY, 1), InjectedFault::DropAfter);
    let body = json!({ "payPasswordFirst": crate::bundle::PIN });
    let call = bundle.call(Method::PUT, crate::bundle::SET_PAY_PASSWORD).session(&member.token);
    call.json(&body).await.ok();
    let notices = bundle.notices_to(EMAIL).await;
    assert_eq!(notices.len(), 2);
    assert_eq!(notices[0].text, notices[1].text);
}
