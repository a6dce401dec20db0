//! The member's phone.

use super::{BIND_PHONE, Outcome, SECURITY, e164, ensure, with_email, with_phone};
use crate::{cloud::Cloud, failure::Failure};
use local::members::{Created, NewMember};
use shared::contact::Destination;

pub async fn bound(cloud: &Cloud) -> Outcome {
    bind(cloud, with_email("binds.a.phone@example.com"), "13800001003").await?;
    Ok(None)
}

pub async fn replaced(cloud: &Cloud) -> Outcome {
    let (old, new) = ("13800001004", "13800001005");
    bind(cloud, with_phone(old), new).await?;
    // The owner of the old phone must learn of the change.
    cloud.notice(&e164(old)).await?;
    cloud.notice(&e164(new)).await?;
    Ok(None)
}

async fn bind(cloud: &Cloud, member: NewMember, phone: &str) -> Result<Created, Failure> {
    let member = cloud.member(member).await?;
    let mut app = cloud.caller(&member);
    app.get(SECURITY, &[("phone", phone)]).await?.ok()?;
    let code = cloud.code(&e164(phone)).await?;
    app.put(BIND_PHONE, &[("message", &code), ("phone", phone)]).await?.ok()?;
    let stored = cloud.app.store.member(member.id).await?.and_then(|member| member.phone);
    ensure(stored.map(Destination::Phone) == cloud.app.phone(phone).ok(), "the phone is not bound")?;
    Ok(member)
}
