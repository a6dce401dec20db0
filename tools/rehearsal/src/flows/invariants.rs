//! The rules that hold for every endpoint.

use std::time::Duration;

use local::members::NewMember;
use serde_json::json;
use shared::{
    audit::{Action, AuditEvent},
    clock::Timestamp,
};
use tokio::time::sleep;

use super::{
    BIND_PHONE, CHANGE_BY_MESSAGE, NEW_PASSWORD, Outcome, PASSWORD, RESET_PAY_PASSWORD, SECURITY, SEND,
    SET_PAY_PASSWORD, UPDATE_PAY_PASSWORD, e164, ensure, with_phone,
};
use crate::{cloud::Cloud, deployment::RESEND_AFTER_SECONDS, failure::Failure};

/// The parameters of a change that [`PASSWORD`] authorizes.
const CHANGE: [(&str, &str); 2] = [("oldPassword", PASSWORD), ("newPasswordFirst", NEW_PASSWORD)];

pub async fn warm_up(cloud: &Cloud) -> Outcome {
    let ping = json!({ "source": "aws.scheduler", "warmer": true });
    let mut warm = 0;
    for (_, function) in cloud.deployment.functions().filter(|(name, _)| *name != "DeliverNotices") {
        let response = cloud.invoke(function, &ping).await?;
        ensure(response == json!({ "warm": true }), &format!("{function} is not warm"))?;
        warm += 1;
    }
    ensure(warm == 22, &format!("{warm} functions instead of 22"))?;
    Ok(None)
}

pub async fn session_is_required(cloud: &Cloud) -> Outcome {
    let mut app = cloud.anonymous_caller();
    for path in [SEND, CHANGE_BY_MESSAGE] {
        app.post(path, &[]).await?.refused(401, "INVALID_TOKEN")?;
    }
    for path in [SECURITY, BIND_PHONE, SET_PAY_PASSWORD, RESET_PAY_PASSWORD, UPDATE_PAY_PASSWORD] {
        app.put(path, &[]).await?.refused(401, "INVALID_TOKEN")?;
    }
    Ok(None)
}

pub async fn code_works_once(cloud: &Cloud) -> Outcome {
    let phone = "13800001011";
    let mut app = cloud.caller(&cloud.member(with_phone(phone)).await?);
    let sent = app.post(SEND, &[]).await?.ok()?;
    let (phone_info, code) = (sent.field("result")?, cloud.code(&e164(phone)).await?);
    let parameters = [("phoneInfo", phone_info), ("code", &code), ("newPassword", NEW_PASSWORD)];
    app.post(CHANGE_BY_MESSAGE, &parameters).await?.ok()?;
    let parameters = [("phoneInfo", phone_info), ("code", &code), ("newPassword", "a-third-password")];
    app.post(CHANGE_BY_MESSAGE, &parameters).await?.refused(400, "{CODE}_NOT_VALID")?;
    Ok(None)
}

pub async fn resend_cooldown(cloud: &Cloud) -> Outcome {
    let phone = "13800001012";
    let mut app = cloud.caller(&cloud.member(with_phone(phone)).await?);
    let sent = app.post(SEND, &[]).await?.ok()?;
    ensure(sent.body["resendIn"] == RESEND_AFTER_SECONDS, "the response has no resend cooldown")?;
    let refused = app.post(SEND, &[]).await?.refused(400, "SEND_MESSAGE_FREQUENTLY")?;
    let wait = refused.body["retryAfter"].as_u64().filter(|&wait| wait <= RESEND_AFTER_SECONDS);
    ensure(wait.is_some(), "the refusal has no remaining cooldown")?;
    sleep(Duration::from_secs(RESEND_AFTER_SECONDS)).await;
    app.post(SEND, &[]).await?.ok()?;
    let codes = cloud.texts(&e164(phone)).await?.len();
    ensure(codes == 2, &format!("{codes} messages instead of two"))?;
    Ok(Some(format!("deployed with {RESEND_AFTER_SECONDS} s instead of 120")))
}

pub async fn change_is_notified(cloud: &Cloud) -> Outcome {
    let (phone, email) = ("13800001013", "is.notified@example.com");
    let member = cloud.member(NewMember { email: Some(email.to_owned()), ..with_phone(phone) }).await?;
    cloud.caller(&member).put(SECURITY, &CHANGE).await?.ok()?;
    cloud.notice(&e164(phone)).await?;
    cloud.notice(email).await?;
    Ok(None)
}

pub async fn change_ends_sessions(cloud: &Cloud) -> Outcome {
    let member = cloud.member(with_phone("13800001014")).await?;
    let mut app = cloud.caller(&member);
    app.put(SECURITY, &CHANGE).await?.ok()?;
    cloud.caller(&member).post(SEND, &[]).await?.refused(401, "INVALID_TOKEN")?;
    app.post(SEND, &[]).await?.ok()?;
    Ok(None)
}

pub async fn repeated_request(cloud: &Cloud) -> Outcome {
    let member = cloud.member(with_phone("13800001015")).await?;
    let mut responses = Vec::new();
    for _ in 0..2 {
        let mut app = cloud.caller(&member);
        app.key = Some("7c9e6679-7425-40de-944b-e07fc1f90ae7");
        let mut body = app.put(SECURITY, &CHANGE).await?.ok()?.body;
        // Each response has a session that was issued for it.
        body["token"].take();
        responses.push(body);
    }
    ensure(responses.iter().all(|response| Some(response) == responses.first()), "the two responses differ")?;
    let changes = cloud.app.store.audit_trail(member.id).await?.len();
    ensure(changes == 1, &format!("{changes} changes instead of one"))?;
    Ok(None)
}

pub async fn session_is_renewed(cloud: &Cloud) -> Outcome {
    let member = cloud.member(with_phone("13800001016")).await?;
    let response = cloud.caller(&member).post(SEND, &[]).await?.ok()?;
    let session = response.field("token")?;
    let renewed = |value: &str| value == format!("Bearer {session}");
    let name =
        response.headers.iter().find(|(_, value)| value.to_str().is_ok_and(renewed)).map(|(name, _)| name);
    match name {
        Some(name) => Ok(Some(format!("the header is `{name}`"))),
        None => Err(Failure::Wrong("no header contains the renewed session".to_owned())),
    }
}

pub async fn table(cloud: &Cloud) -> Outcome {
    let member = cloud.member(with_phone("13800001017")).await?;
    cloud.caller(&member).put(SECURITY, &CHANGE).await?.ok()?;
    let trail = cloud.app.store.audit_trail(member.id).await?;
    let recorded = trail.iter().any(|record| record.action == AuditEvent::Change(Action::PasswordChanged));
    ensure(recorded, "the change is not recorded")?;
    let now = Timestamp::now().0;
    let (mut temporary, mut permanent) = (0, 0);
    for item in cloud.items().await? {
        match item["expires_at"]["N"].as_str().map(str::parse::<u64>) {
            Some(Ok(end)) if end > now.saturating_sub(3_600) => temporary += 1,
            None if item["sk"]["S"] == "member" || item["sk"]["S"] == "owner" => permanent += 1,
            _ => return Err(Failure::Wrong(format!("{} does not expire", item["sk"]["S"]))),
        }
    }
    Ok(Some(format!("{temporary} items expire, {permanent} are permanent")))
}
