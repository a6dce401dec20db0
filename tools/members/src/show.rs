//! `members show`: what is kept of a member, but no hash.

use serde::Serialize;
use shared::{
    audit::Operation,
    clock::Timestamp,
    contact::{Email, Phone},
    language::Language,
    member::{Member, MemberId},
    password::PasswordHash,
};

use crate::{
    error::Error,
    output,
    table::Table,
    unlock::{self, Failures},
};

/// What may be seen.
#[derive(Serialize)]
struct Shown {
    id: MemberId,
    phone: Option<Phone>,
    email: Option<Email>,
    password: Option<&'static str>,
    pay_password: Option<&'static str>,
    language: Option<Language>,
    credential_version: u64,
    cooling_since: Option<Timestamp>,
    created_at: Timestamp,
    failures: Vec<Failures>,
}

/// Shows a member.
pub async fn run(table: &Table, who: &str, json: bool) -> Result<(), Error> {
    let member = table.find(who).await?;
    table.record(Some(member.id), Operation::Shown).await?;
    let failures = unlock::failures(table, &member).await?;
    let Member { id, phone, email, language, credential_version, cooling_since, created_at, .. } = member;
    let (password, pay_password) = (member.password.as_ref(), member.pay_password.as_ref());
    let shown = Shown {
        id,
        phone,
        email,
        password: password.map(kind),
        pay_password: pay_password.map(kind),
        language,
        credential_version,
        cooling_since,
        created_at,
        failures,
    };
    if json {
        return output::json(&shown);
    }
    let or_none = |text: Option<&str>| text.unwrap_or("none").to_owned();
    let mut rows = vec![
        ("id", shown.id.to_string()),
        ("phone", or_none(shown.phone.as_ref().map(Phone::as_str))),
        ("mail address", or_none(shown.email.as_ref().map(Email::as_str))),
        ("password", or_none(shown.password)),
        ("pay password", or_none(shown.pay_password)),
        ("language", or_none(shown.language.map(Language::tag))),
        ("credential version", shown.credential_version.to_string()),
        ("created", output::moment(shown.created_at)),
    ];
    rows.extend(shown.cooling_since.map(|since| ("cooling off since", output::moment(since))));
    rows.extend(shown.failures.iter().map(|Failures { of, count, until }| {
        ("wrong tries", format!("{count} of {of}, until {}", output::moment(*until)))
    }));
    for (name, value) in rows {
        output::line(format_args!("{name:<20}{value}"))?;
    }
    Ok(())
}

/// Whether a password was used here since its member came along.
fn kind(hash: &PasswordHash) -> &'static str {
    if hash.as_str().starts_with("$foreign$") { "as it was imported" } else { "set" }
}
