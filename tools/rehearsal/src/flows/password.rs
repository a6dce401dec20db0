//! The login password of a logged-in member.

use super::{
    CHANGE_BY_MESSAGE, NEW_PASSWORD, Outcome, PASSWORD, SECURITY, SEND, e164, ensure, ensure_password,
    with_phone,
};
use crate::cloud::Cloud;

pub async fn changed_by_message(cloud: &Cloud) -> Outcome {
    let phone = "13800001001";
    let member = cloud.member(with_phone(phone)).await?;
    let mut app = cloud.caller(&member);
    let sent = app.post(SEND, &[("time", "1795305251000")]).await?.ok()?;
    let code = cloud.code(&e164(phone)).await?;
    let parameters = [("phoneInfo", sent.field("result")?), ("code", &code), ("newPassword", NEW_PASSWORD)];
    let changed = app.post(CHANGE_BY_MESSAGE, &parameters).await?.ok()?;
    ensure(changed.body["result"] == true, "the result is not true")?;
    ensure_password(cloud, &member, NEW_PASSWORD).await?;
    Ok(None)
}

pub async fn changed_by_old_password(cloud: &Cloud) -> Outcome {
    let member = cloud.member(with_phone("13800001002")).await?;
    let mut app = cloud.caller(&member);
    let wrong = [("oldPassword", "not-the-password"), ("newPasswordFirst", NEW_PASSWORD)];
    app.put(SECURITY, &wrong).await?.refused(400, "{OLD_PASSWORD}_NOT_VALID")?;
    let correct = [("oldPassword", PASSWORD), ("newPasswordFirst", NEW_PASSWORD)];
    app.put(SECURITY, &correct).await?.ok()?;
    ensure_password(cloud, &member, NEW_PASSWORD).await?;
    Ok(None)
}
