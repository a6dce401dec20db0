//! `members show`: a member's data, without hashes.

use serde::Serialize;
use shared::{
    audit::AdminAction,
    clock::Timestamp,
    contact::{Destination, Email, Phone},
    language::Language,
    member::{Frozen, Member, MemberId},
    password::PasswordHash,
};

use crate::{error::Error, failures::FailedAttempts, output, table::MemberTable};

/// The command line.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The member's id, phone or email address
    member: String,
}

/// A member as it is printed.
#[derive(Serialize)]
struct MemberView {
    id: MemberId,
    phone: Option<Phone>,
    email: Option<Email>,
    password: Option<&'static str>,
    pay_password: Option<&'static str>,
    language: Option<Language>,
    credential_version: u64,
    cooling_since: Option<Timestamp>,
    frozen: Option<FrozenView>,
    created_at: Timestamp,
    failures: Vec<FailedAttempts>,
}

/// A freeze as it is printed.
#[derive(Serialize)]
struct FrozenView {
    since: Timestamp,
    /// The address through which a recovery lifts the freeze.
    through: String,
}

impl From<Frozen> for FrozenView {
    fn from(Frozen { since, through }: Frozen) -> Self {
        let through = match through {
            Destination::Phone(phone) => phone.as_str().to_owned(),
            Destination::Email(email) => email.as_str().to_owned(),
        };
        Self { since, through }
    }
}

impl MemberView {
    fn new(member: Member, failures: Vec<FailedAttempts>) -> Self {
        Self {
            password: member.password.as_ref().map(state),
            pay_password: member.pay_password.as_ref().map(state),
            id: member.id,
            phone: member.phone,
            email: member.email,
            language: member.language,
            credential_version: member.credential_version,
            cooling_since: member.cooling_since,
            frozen: member.frozen.map(FrozenView::from),
            created_at: member.created_at,
            failures,
        }
    }

    fn print(&self) -> Result<(), Error> {
        let or_none = |text: Option<&str>| text.unwrap_or("none").to_owned();
        let mut rows = vec![
            ("id", self.id.to_string()),
            ("phone", or_none(self.phone.as_ref().map(Phone::as_str))),
            ("email", or_none(self.email.as_ref().map(Email::as_str))),
            ("password", or_none(self.password)),
            ("pay password", or_none(self.pay_password)),
            ("language", or_none(self.language.map(Language::tag))),
            ("credential version", self.credential_version.to_string()),
            ("created", output::moment(self.created_at)),
        ];
        rows.extend(self.cooling_since.map(|since| ("cooling off since", output::moment(since))));
        rows.extend(self.frozen.iter().map(|FrozenView { since, through }| {
            ("frozen", format!("since {}, until a recovery through {through}", output::moment(*since)))
        }));
        rows.extend(self.failures.iter().map(|FailedAttempts { of, count, until }| {
            ("failed attempts", format!("{count} {of}, until {}", output::moment(*until)))
        }));
        for (name, value) in rows {
            output::line(format_args!("{name:<20}{value}"))?;
        }
        Ok(())
    }
}

/// Prints a member.
pub async fn run(table: &MemberTable, arguments: Arguments, json: bool) -> Result<(), Error> {
    let member = table.find(&arguments.member).await?;
    table.record(Some(member.id), AdminAction::Shown).await?;
    let failures = current_failures(table, &member).await?;
    let view = MemberView::new(member, failures);
    if json { output::json(&view) } else { view.print() }
}

/// Reads the failed attempts whose counters have not expired. DynamoDB deletes expired items with a delay.
async fn current_failures(table: &MemberTable, member: &Member) -> Result<Vec<FailedAttempts>, Error> {
    let keys = table.keys_secret.keys().await?;
    let mut counters = table.store.failure_counters(member, &keys).await?;
    let now = Timestamp::now();
    counters.retain(|counter| counter.count > 0 && counter.expires_at > now);
    Ok(counters.iter().map(FailedAttempts::from).collect())
}

/// Whether the password is still the imported hash, or was used here since.
fn state(hash: &PasswordHash) -> &'static str {
    if hash.as_str().starts_with("$foreign$") { "as it was imported" } else { "set" }
}
