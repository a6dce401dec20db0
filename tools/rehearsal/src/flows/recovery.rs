//! The recovery of a forgotten password, without a session.

use super::{
    NEW_PASSWORD, Outcome, RECOVERY, SECURITY, SEND_MAIL, VERIFY_MAIL, e164, ensure_password, with_email,
    with_phone,
};
use crate::cloud::Cloud;

pub async fn by_sms_in_a_browser(cloud: &Cloud) -> Outcome {
    let phone = "13800001007";
    let member = cloud.member(with_phone(phone)).await?;
    let mut browser = cloud.browser();
    browser.get(SECURITY, &[("phone", phone)]).await?.ok()?;
    let code = cloud.code(&e164(phone)).await?;
    browser.post(RECOVERY, &[("message", &code)]).await?.ok()?;
    browser.put(RECOVERY, &[("phone", phone), ("passwordFirst", NEW_PASSWORD)]).await?.ok()?;
    ensure_password(cloud, &member, NEW_PASSWORD).await?;
    Ok(None)
}

pub async fn by_sms_in_an_app(cloud: &Cloud) -> Outcome {
    let phone = "13800001008";
    let member = cloud.member(with_phone(phone)).await?;
    let mut app = cloud.anonymous_caller();
    let sent = app.get(SECURITY, &[("phone", phone)]).await?.ok()?;
    let code = cloud.code(&e164(phone)).await?;
    let parameters = [("message", code.as_str()), ("verification", sent.field("verification")?)];
    let granted = app.post(RECOVERY, &parameters).await?.ok()?;
    let grant = granted.field("verification")?;
    let parameters = [("phone", phone), ("passwordFirst", NEW_PASSWORD), ("verification", grant)];
    app.put(RECOVERY, &parameters).await?.ok()?;
    ensure_password(cloud, &member, NEW_PASSWORD).await?;
    Ok(None)
}

pub async fn by_email(cloud: &Cloud) -> Outcome {
    let email = "forgets@example.com";
    let member = cloud.member(with_email(email)).await?;
    let mut app = cloud.anonymous_caller();
    let sent = app.post(SEND_MAIL, &[("email", email)]).await?.ok()?;
    let code = cloud.code(email).await?;
    let parameters = [("verification", sent.field("verification")?), ("code", &code)];
    let granted = app.post(VERIFY_MAIL, &parameters).await?.ok()?;
    let grant = granted.field("verification")?;
    let parameters = [("email", email), ("passwordFirst", NEW_PASSWORD), ("verification", grant)];
    app.put(RECOVERY, &parameters).await?.ok()?;
    ensure_password(cloud, &member, NEW_PASSWORD).await?;
    Ok(None)
}
