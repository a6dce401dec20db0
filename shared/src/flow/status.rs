//! The security status of a member: what an account-security page shows.

use crate::{
    app::App,
    clock::Timestamp,
    contact::Destination,
    domain::{audit::AuditEvent, member::Member, session::Session, user_agent},
    error::Error,
    store::audit::Record,
};
use serde::Serialize;

/// The audit records of a status.
const RECENT: i32 = 20;

/// What a member's credentials are, without any of them. Times are in seconds since 1970.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityStatus {
    phone: Option<MaskedContact>,
    email: Option<MaskedContact>,
    has_password: bool,
    has_pay_password: bool,
    pay_password_locked_until: Option<Timestamp>,
    cooling_off_until: Option<Timestamp>,
    /// The time of the session's login.
    auth_time: Timestamp,
    /// The newest first.
    recent: Vec<RecentEvent>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MaskedContact {
    masked: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    matures_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RecentEvent {
    action: AuditEvent,
    at: Timestamp,
    source_ip: Option<String>,
    device: Option<String>,
}

impl From<Record> for RecentEvent {
    fn from(Record { action, at, origin, .. }: Record) -> Self {
        let device = origin.user_agent.as_deref().and_then(user_agent::device);
        Self { action, at, source_ip: origin.masked_source_ip(), device }
    }
}

impl App {
    /// Returns the security status of a session's member.
    ///
    /// # Errors
    /// [`Error::UserNotFound`] if the member was closed, [`Error::Busy`], [`Error::Internal`].
    pub async fn security_status(&self, session: &Session) -> Result<SecurityStatus, Error> {
        let member = session.member()?;
        let (records, locked_until) = tokio::join!(
            self.store.latest_records(member.id, Some(RECENT)),
            Box::pin(self.pay_password_locked_until(member))
        );
        Ok(SecurityStatus {
            phone: self.masked(member, member.phone.clone().map(Destination::Phone)),
            email: self.masked(member, member.email.clone().map(Destination::Email)),
            has_password: member.password.is_some(),
            has_pay_password: member.pay_password.is_some(),
            pay_password_locked_until: locked_until?,
            cooling_off_until: self.change_rules().cooling_off_until(member),
            auth_time: session.claims.auth_time,
            recent: records?.into_iter().map(RecentEvent::from).collect(),
        })
    }

    /// Returns when the lockout of the member's pay password ends, if there is one: the later of that after failures in a
    /// row and that after those in a day.
    async fn pay_password_locked_until(&self, member: &Member) -> Result<Option<Timestamp>, Error> {
        let failures = self.pay_password_failures(member);
        let (row, day) =
            tokio::try_join!(self.store.counter(&failures.row), self.store.counter(&failures.day))?;
        Ok(row.locked_until().max(day.locked_until()))
    }

    fn masked(&self, member: &Member, contact: Option<Destination>) -> Option<MaskedContact> {
        let contact = contact?;
        let matures_at = self.change_rules().matures_at(member, &contact);
        Some(MaskedContact { masked: contact.masked(), matures_at })
    }
}
