//! `members show`: what is kept of a member, but no hash.

use serde::Serialize;
use shared::{
    audit::Operation,
    clock::Timestamp,
    contact::{Email, Phone},
    language::Language,
    password::PasswordHash,
    store::member::{Member, MemberId},
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
    println!("id                  {}", shown.id);
    println!("phone               {}", or_none(shown.phone.as_ref().map(Phone::as_str)));
    println!("mail address        {}", or_none(shown.email.as_ref().map(Email::as_str)));
    println!("password            {}", or_none(shown.password));
    println!("pay password        {}", or_none(shown.pay_password));
    println!("language            {}", or_none(shown.language.map(Language::tag)));
    println!("credential version  {}", shown.credential_version);
    if let Some(since) = shown.cooling_since {
        println!("cooling off since   {}", output::moment(since));
    }
    println!("created             {}", output::moment(shown.created_at));
    for Failures { of, count, until } in &shown.failures {
        println!("wrong tries         {count} of {of}, until {}", output::moment(*until));
    }
    Ok(())
}

/// Whether a password was used here since its member came along.
fn kind(hash: &PasswordHash) -> &'static str {
    if hash.as_str().starts_with("$foreign$") { "as it was imported" } else { "set" }
}
