//! What holds of every call.

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

/// By the old password, from [`PASSWORD`].
const CHANGE: [(&str, &str); 2] = [("oldPassword", PASSWORD), ("newPasswordFirst", NEW_PASSWORD)];

pub async fn pings(cloud: &Cloud) -> Outcome {
    let ping = json!({ "source": "aws.scheduler", "warmer": true });
    let mut warm = 0;
    for (_, function) in cloud.deployment.functions().filter(|(name, _)| *name != "DeliverNotices") {
        let answer = cloud.invoke(function, &ping).await?;
        ensure(answer == json!({ "warm": true }), &format!("{function} is not warm"))?;
        warm += 1;
    }
    ensure(warm == 12, &format!("{warm} functions instead of twelve"))?;
    Ok(None)
}

pub async fn sessions_are_asked_for(cloud: &Cloud) -> Outcome {
    let mut app = cloud.app_of_nobody();
    for path in [SEND, CHANGE_BY_MESSAGE] {
        app.post(path, &[]).await?.refused(401, "INVALID_TOKEN")?;
    }
    for path in [SECURITY, BIND_PHONE, SET_PAY_PASSWORD, RESET_PAY_PASSWORD, UPDATE_PAY_PASSWORD] {
        app.put(path, &[]).await?.refused(401, "INVALID_TOKEN")?;
    }
    Ok(None)
}

pub async fn codes_work_once(cloud: &Cloud) -> Outcome {
    let phone = "13800001011";
    let mut app = cloud.app_of(&cloud.member(with_phone(phone)).await?);
    let sent = app.post(SEND, &[]).await?.ok()?;
    let (phone_info, code) = (sent.field("result")?, cloud.code(&e164(phone)).await?);
    let parameters = [("phoneInfo", phone_info), ("code", &code), ("newPassword", NEW_PASSWORD)];
    app.post(CHANGE_BY_MESSAGE, &parameters).await?.ok()?;
    let parameters = [("phoneInfo", phone_info), ("code", &code), ("newPassword", "a-third-password")];
    app.post(CHANGE_BY_MESSAGE, &parameters).await?.refused(400, "{CODE}_NOT_VALID")?;
    Ok(None)
}

pub async fn codes_are_waited_for(cloud: &Cloud) -> Outcome {
    let phone = "13800001012";
    let mut app = cloud.app_of(&cloud.member(with_phone(phone)).await?);
    let sent = app.post(SEND, &[]).await?.ok()?;
    ensure(sent.body["resendIn"] == RESEND_AFTER_SECONDS, "the answer does not say how long")?;
    let refused = app.post(SEND, &[]).await?.refused(400, "SEND_MESSAGE_FREQUENTLY")?;
    let wait = refused.body["retryAfter"].as_u64().filter(|&wait| wait <= RESEND_AFTER_SECONDS);
    ensure(wait.is_some(), "the refusal does not say how long")?;
    sleep(Duration::from_secs(RESEND_AFTER_SECONDS)).await;
    app.post(SEND, &[]).await?.ok()?;
    let codes = cloud.texts(&e164(phone)).await?.len();
    ensure(codes == 2, &format!("{codes} messages instead of two"))?;
    Ok(Some(format!("deployed with {RESEND_AFTER_SECONDS} s instead of 120")))
}

pub async fn changes_are_told(cloud: &Cloud) -> Outcome {
    let (phone, email) = ("13800001013", "is.told@example.com");
    let member = cloud.member(NewMember { email: Some(email.to_owned()), ..with_phone(phone) }).await?;
    cloud.app_of(&member).put(SECURITY, &CHANGE).await?.ok()?;
    cloud.notice(&e164(phone)).await?;
    cloud.notice(email).await?;
    Ok(None)
}

pub async fn sessions_end(cloud: &Cloud) -> Outcome {
    let member = cloud.member(with_phone("13800001014")).await?;
    let mut app = cloud.app_of(&member);
    app.put(SECURITY, &CHANGE).await?.ok()?;
    cloud.app_of(&member).post(SEND, &[]).await?.refused(401, "INVALID_TOKEN")?;
    app.post(SEND, &[]).await?.ok()?;
    Ok(None)
}

pub async fn repeated_requests(cloud: &Cloud) -> Outcome {
    let member = cloud.member(with_phone("13800001015")).await?;
    let mut answers = Vec::new();
    for _ in 0..2 {
        let mut app = cloud.app_of(&member);
        app.key = Some("7c9e6679-7425-40de-944b-e07fc1f90ae7");
        answers.push(app.put(SECURITY, &CHANGE).await?.ok()?.text);
    }
    ensure(answers.iter().all(|answer| Some(answer) == answers.first()), "the two answers differ")?;
    let changes = cloud.app.store.audit_trail(member.id).await?.len();
    ensure(changes == 1, &format!("{changes} changes instead of one"))?;
    Ok(None)
}

pub async fn sessions_are_renewed(cloud: &Cloud) -> Outcome {
    let member = cloud.member(with_phone("13800001016")).await?;
    let answer = cloud.app_of(&member).post(SEND, &[]).await?.ok()?;
    let session = answer.field("token")?;
    let renewed = |value: &str| value == format!("Bearer {session}");
    let name =
        answer.headers.iter().find(|(_, value)| value.to_str().is_ok_and(renewed)).map(|(name, _)| name);
    match name {
        Some(name) => Ok(Some(format!("it arrives as `{name}`"))),
        None => Err(Failure::Wrong("no header has the answer's session".to_owned())),
    }
}

pub async fn table(cloud: &Cloud) -> Outcome {
    let member = cloud.member(with_phone("13800001017")).await?;
    cloud.app_of(&member).put(SECURITY, &CHANGE).await?.ok()?;
    let trail = cloud.app.store.audit_trail(member.id).await?;
    let recorded = trail.iter().any(|record| record.action == AuditEvent::Change(Action::PasswordChanged));
    ensure(recorded, "the change is not recorded")?;
    let now = Timestamp::now().0;
    let (mut temporary, mut kept) = (0, 0);
    for item in cloud.items().await? {
        match item["expires_at"]["N"].as_str().map(str::parse::<u64>) {
            Some(Ok(end)) if end > now.saturating_sub(3_600) => temporary += 1,
            None if item["sk"]["S"] == "member" || item["sk"]["S"] == "owner" => kept += 1,
            _ => return Err(Failure::Wrong(format!("{} has no end", item["sk"]["S"]))),
        }
    }
    Ok(Some(format!("{temporary} items with an end, {kept} of members to stay")))
}
