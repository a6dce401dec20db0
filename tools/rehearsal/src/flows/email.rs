//! The member's email address.

use super::{Outcome, SEND_MAIL, VERIFY_MAIL, ensure, with_phone};
use crate::{cloud::Cloud, deployment::MAIL_LINK_BASE_URL, failure::Failure};
use local::members::Created;
use shared::contact::Email;

pub async fn bound_by_page(cloud: &Cloud) -> Outcome {
    let email = "opens.links@example.com";
    let member = cloud.member(with_phone("13800001009")).await?;
    cloud.caller(&member).post(SEND_MAIL, &[("email", email)]).await?.ok()?;
    let link = cloud.link(email).await?;
    let path = link.strip_prefix(MAIL_LINK_BASE_URL).unwrap_or(&link);
    let mut browser = cloud.browser();
    let page = browser.get(path, &[]).await?.page()?;
    // Email scanners open links, so opening one must not bind the address.
    ensure(!is_bound(cloud, &member, email).await?, "opening the link bound the address")?;
    let fields = [hidden(&page.text, "verification")?, hidden(&page.text, "code")?];
    let [verification, code] = &fields;
    browser.post(VERIFY_MAIL, &[("verification", verification), ("code", code)]).await?.ok()?;
    ensure(is_bound(cloud, &member, email).await?, "the address is not bound")?;
    Ok(None)
}

pub async fn bound_by_app(cloud: &Cloud) -> Outcome {
    let email = "has.an.app@example.com";
    let member = cloud.member(with_phone("13800001010")).await?;
    let mut app = cloud.caller(&member);
    let sent = app.post(SEND_MAIL, &[("email", email)]).await?.ok()?;
    let code = cloud.code(email).await?;
    let parameters = [("verification", sent.field("verification")?), ("code", &code)];
    app.post(VERIFY_MAIL, &parameters).await?.ok()?;
    ensure(is_bound(cloud, &member, email).await?, "the address is not bound")?;
    Ok(None)
}

async fn is_bound(cloud: &Cloud, member: &Created, email: &str) -> Result<bool, Failure> {
    let stored = cloud.app.store.member(member.id).await?.and_then(|member| member.email);
    Ok(stored.is_some() && stored == email.parse::<Email>().ok())
}

/// Returns the value of a hidden field in the page's form.
fn hidden(page: &str, name: &str) -> Result<String, Failure> {
    let attribute = format!("name=\"{name}\"");
    let input = page
        .split("<input")
        .filter_map(|rest| rest.split('>').next())
        .find(|input| input.contains(&attribute));
    let value = input.and_then(|input| input.split("value=\"").nth(1)?.split('"').next());
    value.map(str::to_owned).ok_or_else(|| Failure::Wrong(format!("the page has no field {name}")))
}
