//! Fields become a member, or the first field that cannot.

use std::{borrow::Cow, fmt};

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use shared::{
    clock::Timestamp,
    contact::{Email, Phone, PhoneRules},
    keys::Keys,
    language::Language,
    password::{Form, Memory, PasswordHash, PasswordPolicy, Salt},
    store::member::{Member, MemberId},
};
use uuid::Uuid;

use super::fields::Fields;

/// What is wrong with a line. Shows nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field, or `line` for the line as a whole.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: Cow<'static, str>,
}

impl Fault {
    /// A fault of that field.
    pub fn of(field: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { field, reason: reason.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

/// How fields are read.
pub struct Rules {
    /// The functions' own.
    pub phones: PhoneRules,
    /// The functions' own.
    pub passwords: PasswordPolicy,
    /// A mail address is verified where its line does not say.
    pub trust_mail: bool,
    /// Ids that are no UUIDs become some of this namespace.
    pub namespace: Option<Uuid>,
}

/// Somebody who comes along, as their line has them.
#[derive(Clone, Debug)]
pub struct Newcomer {
    /// The member that they become.
    pub member: Member,
    /// Whether a mail address was left out, since nobody has proven to hold it.
    pub unverified: bool,
}

impl Newcomer {
    /// Reads fields.
    pub fn read(fields: &Fields, rules: &Rules, keys: &Keys, memory: &mut Memory) -> Result<Self, Fault> {
        let field = |name: &'static str| fields.get(name).map(String::as_str);
        let id = field("id").ok_or_else(|| Fault::of("id", "it is missing"))?;
        let email = field("email").map(str::parse::<Email>).transpose();
        let email = email.map_err(|_| Fault::of("email", "it is no mail address"))?;
        let is_verified = match field("email_verified") {
            Some(text) => {
                truth(text).ok_or_else(|| Fault::of("email_verified", "it is neither true nor false"))?
            }
            None => rules.trust_mail,
        };
        let member = Member {
            id: member_id(id, rules.namespace)?,
            credential_version: 1,
            revision: 1,
            phone: field("phone").map(|typed| phone(typed, rules)).transpose()?,
            email: email.clone().filter(|_| is_verified),
            password: hash(fields, ["password", "password_form", "password_salt"], rules, keys, memory)?,
            pay_password: hash(
                fields,
                ["pay_password", "pay_password_form", "pay_password_salt"],
                rules,
                keys,
                memory,
            )?,
            cooling_since: None,
            language: field("language").map(language).transpose()?,
            created_at: field("created_at").map(moment).transpose()?.unwrap_or_else(Timestamp::now),
        };
        Ok(Self { unverified: email.is_some() && member.email.is_none(), member })
    }
}

fn member_id(text: &str, namespace: Option<Uuid>) -> Result<MemberId, Fault> {
    match (text.parse(), namespace) {
        (Ok(id), _) => Ok(MemberId(id)),
        (Err(_), Some(namespace)) => Ok(MemberId(named(namespace, text)?)),
        (Err(_), None) => Err(Fault::of("id", "it is no UUID; --namespace makes one of it")),
    }
}

/// RFC 9562, 5.5.
fn named(namespace: Uuid, name: &str) -> Result<Uuid, Fault> {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(namespace.as_bytes());
    context.update(name.as_bytes());
    let digest = context.finish();
    let bytes = digest.as_ref().first_chunk().ok_or_else(|| Fault::of("id", "no UUID can be made of it"))?;
    Ok(uuid::Builder::from_sha1_bytes(*bytes).into_uuid())
}

fn phone(typed: &str, rules: &Rules) -> Result<Phone, Fault> {
    rules.phones.parse(typed).map_err(|_| Fault::of("phone", "it is no phone number that may be sent to"))
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

fn language(tag: &str) -> Result<Language, Fault> {
    Language::of_tag(tag).ok_or_else(|| Fault::of("language", "it is neither Chinese nor English"))
}

fn moment(text: &str) -> Result<Timestamp, Fault> {
    text.parse().map(Timestamp).map_err(|_| Fault::of("created_at", "it is no number of seconds since 1970"))
}

fn hash(
    fields: &Fields,
    [name, form_name, salt_name]: [&'static str; 3],
    rules: &Rules,
    keys: &Keys,
    memory: &mut Memory,
) -> Result<Option<PasswordHash>, Fault> {
    let field = |name| fields.get(name).map(String::as_str);
    let Some(text) = field(name) else {
        let alone = [form_name, salt_name].into_iter().find(|name| field(*name).is_some());
        return alone.map_or(Ok(None), |alone| Err(Fault::of(alone, "there is no hash beside it")));
    };
    let salt = || field(salt_name).ok_or_else(|| Fault::of(salt_name, "it is missing"));
    let form = match field(form_name) {
        None => None,
        Some("md5") => Some(Form::Md5(Salt::None)),
        Some("md5-salt-before") => Some(Form::Md5(Salt::Before(salt()?))),
        Some("md5-salt-after") => Some(Form::Md5(Salt::After(salt()?))),
        Some("sha256") => Some(Form::Sha256(Salt::None)),
        Some("sha256-salt-before") => Some(Form::Sha256(Salt::Before(salt()?))),
        Some("sha256-salt-after") => Some(Form::Sha256(Salt::After(salt()?))),
        Some("better-auth") => Some(Form::BetterAuth),
        Some(_) => return Err(Fault::of(form_name, "no such form is known")),
    };
    if form.is_none()
        && let Some(kept) = PasswordHash::kept(keys, text)
    {
        return Ok(Some(kept));
    }
    let imported = rules.passwords.import(keys, text, form, memory);
    imported.map(Some).map_err(|reason| Fault::of(name, reason.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_another_system_is_the_same_uuid_every_time() {
        // RFC 9562, A.4.
        let dns = uuid::uuid!("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
        let expected = uuid::uuid!("2ed6657d-e927-568b-95e1-2665a8aea6a2");
        assert_eq!(member_id("www.example.com", Some(dns)), Ok(MemberId(expected)));
        assert_eq!(member_id(&expected.to_string(), Some(dns)), Ok(MemberId(expected)));
        assert!(member_id("7", None).is_err());
    }
}
