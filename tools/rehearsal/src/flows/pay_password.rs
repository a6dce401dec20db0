//! The pay password.

use super::{Outcome, RESET_PAY_PASSWORD, SECURITY, SET_PAY_PASSWORD, UPDATE_PAY_PASSWORD, e164, with_phone};
use crate::cloud::Cloud;

pub async fn life_cycle(cloud: &Cloud) -> Outcome {
    let phone = "13800001006";
    let mut app = cloud.caller(&cloud.member(with_phone(phone)).await?);
    app.put(SET_PAY_PASSWORD, &[("payPasswordFirst", "258036")]).await?.ok()?;
    let again = app.put(SET_PAY_PASSWORD, &[("payPasswordFirst", "639184")]).await?;
    again.refused(409, "PAY_PASSWORD_ALREADY_SET")?;
    let parameters = [("oldPassword", "258036"), ("payPasswordFirst", "901846")];
    app.put(UPDATE_PAY_PASSWORD, &parameters).await?.ok()?;
    app.get(SECURITY, &[("phone", phone)]).await?.ok()?;
    let code = cloud.code(&e164(phone)).await?;
    let parameters = [("phone", phone), ("message", &code), ("payPasswordFirst", "730519")];
    app.put(RESET_PAY_PASSWORD, &parameters).await?.ok()?;
    // Only the password set by the reset authorizes the next change.
    let parameters = [("oldPassword", "730519"), ("payPasswordFirst", "258036")];
    app.put(UPDATE_PAY_PASSWORD, &parameters).await?.ok()?;
    Ok(None)
}
