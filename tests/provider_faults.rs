//! Providers of SMS and mail that refuse, hang, or lose their answers.

use crate::{
    bundle::{
        Answer, BIND_PHONE, Bundle, EMAIL, Member, OTHER_EMAIL, OTHER_PHONE, PHONE, SEND_CODE, SEND_MAIL,
        VERIFY_MAIL,
    },
    proxy::{ANY, Fault, MAIL, On, Proxy, REFUSED, SMS},
};
use reqwest::Method;
use serde_json::json;

/// Asks for a code to bind a phone or a mail address.
async fn ask(bundle: &Bundle, member: &Member, service: &str) -> Answer {
    let (method, path) = if service == SMS { (Method::GET, SEND_CODE) } else { (Method::POST, SEND_MAIL) };
    let call = bundle.call(method, path).session(&member.token);
    call.query(&[("phone", OTHER_PHONE), ("purpose", "bind"), ("email", OTHER_EMAIL)]).send().await
}

/// Binds it by the newest code.
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
        provider.fault(On::nth(ANY, 1), Fault::Refuse(REFUSED));
        assert_eq!(ask(&bundle, &member, service).await.refusal(), (500, "SEND_MESSAGE_ERROR"));
        let sent = ask(&bundle, &member, service).await.ok();
        bind(&bundle, &member, (service == MAIL).then(|| sent.verification())).await;
    }
}

#[tokio::test]
async fn unconfirmed_code_works_and_keeps_the_cooldown() {
    let (sns, bundle) = Proxy::between(SMS, &[]).await;
    let member = bundle.member().await;
    for fault in [Fault::DropAfter, Fault::HangAfter] {
        sns.fault(On::nth(ANY, 1), fault);
        assert_eq!(ask(&bundle, &member, SMS).await.refusal(), (500, "SEND_MESSAGE_ERROR"));
        sns.requests();
        let refused = ask(&bundle, &member, SMS).await;
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
    sns.fault(On::nth(ANY, 1), Fault::DropBefore);
    assert_eq!(ask(&bundle, &member, SMS).await.refusal(), (500, "SEND_MESSAGE_ERROR"));
    assert_eq!(bundle.stack.messages(), []);
    bundle.age("sent#phone#", 120).await;
    ask(&bundle, &member, SMS).await.ok();
    bind(&bundle, &member, None).await;
}

#[tokio::test]
async fn unconfirmed_recovery_code_works_without_a_resend() {
    let (sns, bundle) = Proxy::between(SMS, &[]).await;
    bundle.member().await;
    for fault in [Fault::DropAfter, Fault::HangAfter] {
        sns.fault(On::nth(ANY, 1), fault);
        sns.requests();
        let asked = bundle.ask_by_sms(None, PHONE).await;
        assert_eq!(sns.requests().len(), 1);
        bundle.grant(&asked).await;
        bundle.age("sent#phone#", 120).await;
        sns.heal();
    }
}

#[tokio::test]
async fn unconfirmed_notice_is_sent_again() {
    let (ses, bundle) = Proxy::between(MAIL, &[]).await;
    let member = bundle.member_with(json!({ "email": EMAIL })).await;
    ses.fault(On::nth(ANY, 1), Fault::DropAfter);
    let body = json!({ "payPasswordFirst": crate::bundle::PIN });
    let call = bundle.call(Method::PUT, crate::bundle::SET_PAY_PASSWORD).session(&member.token);
    call.json(&body).await.ok();
    let notices = bundle.notices_to(EMAIL).await;
    assert_eq!(notices.len(), 2);
    assert_eq!(notices[0].text, notices[1].text);
}
