//! Fields become a member, or the first field that cannot.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use shared::{
    clock::Timestamp,
    contact::{Email, Phone, PhoneRules},
    keys::Keys,
    language::Language,
    member::{Member, MemberId},
    password::{Form, Memory, NotTaken, PasswordHash, PasswordPolicy, Salt},
};
use uuid::Uuid;

use super::{field_error::FieldError, fields::Fields};
use crate::error::Error;

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
    fields: Fields,
}

/// The fields of a hash: itself, its form, and its salt.
type Names = [&'static str; 3];
const PASSWORD: Names = ["password", "password_form", "password_salt"];
const PAY_PASSWORD: Names = ["pay_password", "pay_password_form", "pay_password_salt"];

impl Newcomer {
    /// Reads fields.
    pub fn read(fields: Fields, rules: &Rules, keys: &Keys, memory: &mut Memory) -> Result<Self, FieldError> {
        let field = |name: &'static str| fields.get(name).map(String::as_str);
        let id = field("id").ok_or_else(|| FieldError::new("id", "it is missing"))?;
        let email = field("email").map(str::parse::<Email>).transpose();
        let email = email.map_err(|_| FieldError::new("email", "it is no mail address"))?;
        let is_verified = match field("email_verified") {
            Some(text) => truth(text)
                .ok_or_else(|| FieldError::new("email_verified", "it is neither true nor false"))?,
            None => rules.trust_mail,
        };
        let member = Member {
            id: member_id(id, rules.namespace)?,
            // No session names it that was issued to this member before, wherever they were then.
            credential_version: Timestamp::now().0,
            revision: 1,
            phone: field("phone").map(|typed| phone(typed, rules)).transpose()?,
            email: email.clone().filter(|_| is_verified),
            password: hash(&fields, PASSWORD, rules, keys, memory)?,
            pay_password: hash(&fields, PAY_PASSWORD, rules, keys, memory)?,
            cooling_since: field("cooling_since").map(|text| moment("cooling_since", text)).transpose()?,
            language: field("language").map(language).transpose()?,
            created_at: field("created_at")
                .map(|text| moment("created_at", text))
                .transpose()?
                .unwrap_or_else(Timestamp::now),
        };
        Ok(Self { unverified: email.is_some() && member.email.is_none(), member, fields })
    }

    /// Leaves a hash as it is kept where it is the same but for the salt and the key that it was wrapped with.
    pub fn leave_same(&mut self, kept: &Member, keys: &Keys, memory: &mut Memory) -> Result<(), Error> {
        let Self { member, fields, .. } = self;
        for (new, kept, names) in [
            (&mut member.password, &kept.password, PASSWORD),
            (&mut member.pay_password, &kept.pay_password, PAY_PASSWORD),
        ] {
            if let (Some(text), Some(hash), Ok(form)) = (fields.get(names[0]), kept, form(fields, names)) {
                match hash.is_import_of(keys, text, form, memory) {
                    Ok(true) => new.clone_from(kept),
                    // A hash that was kept here is none of another system.
                    Ok(false) | Err(NotTaken::Unknown | NotTaken::TooCostly) => {}
                    Err(NotTaken::Failed(error)) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }
}

fn member_id(text: &str, namespace: Option<Uuid>) -> Result<MemberId, FieldError> {
    match (text.parse(), namespace) {
        (Ok(id), _) => Ok(MemberId(id)),
        (Err(_), Some(namespace)) => Ok(MemberId(named(namespace, text)?)),
        (Err(_), None) => Err(FieldError::new("id", "it is no UUID; --namespace makes one of it")),
    }
}

/// RFC 9562, 5.5.
fn named(namespace: Uuid, name: &str) -> Result<Uuid, FieldError> {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(namespace.as_bytes());
    context.update(name.as_bytes());
    let digest = context.finish();
    let bytes =
        digest.as_ref().first_chunk().ok_or_else(|| FieldError::new("id", "no UUID can be made of it"))?;
    Ok(uuid::Builder::from_sha1_bytes(*bytes).into_uuid())
}

fn phone(typed: &str, rules: &Rules) -> Result<Phone, FieldError> {
    rules
        .phones
        .parse(typed)
        .map_err(|_| FieldError::new("phone", "it is no phone number that may be sent to"))
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

fn language(tag: &str) -> Result<Language, FieldError> {
    Language::of_tag(tag).ok_or_else(|| FieldError::new("language", "it is neither Chinese nor English"))
}

fn moment(name: &'static str, text: &str) -> Result<Timestamp, FieldError> {
    text.parse().map(Timestamp).map_err(|_| FieldError::new(name, "it is no number of seconds since 1970"))
}

/// What the text of a hash does not say of itself. A salt that no form takes is a fault: it would be lost.
fn form(fields: &Fields, [_, form_name, salt_name]: Names) -> Result<Option<Form<'_>>, FieldError> {
    let salt = fields.get(salt_name).map(String::as_str);
    let some = || salt.ok_or_else(|| FieldError::new(salt_name, "it is missing"));
    let form = match fields.get(form_name).map(String::as_str) {
        Some("md5-salt-before") => return Ok(Some(Form::Md5(Salt::Before(some()?)))),
        Some("md5-salt-after") => return Ok(Some(Form::Md5(Salt::After(some()?)))),
        Some("sha256-salt-before") => return Ok(Some(Form::Sha256(Salt::Before(some()?)))),
        Some("sha256-salt-after") => return Ok(Some(Form::Sha256(Salt::After(some()?)))),
        Some("md5") => Some(Form::Md5(Salt::None)),
        Some("sha256") => Some(Form::Sha256(Salt::None)),
        Some("better-auth") => Some(Form::BetterAuth),
        Some(_) => return Err(FieldError::new(form_name, "no such form is known")),
        None => None,
    };
    if salt.is_some() { Err(FieldError::new(salt_name, "its form takes none")) } else { Ok(form) }
}

fn hash(
    fields: &Fields,
    names: Names,
    rules: &Rules,
    keys: &Keys,
    memory: &mut Memory,
) -> Result<Option<PasswordHash>, FieldError> {
    let [name, form_name, salt_name] = names;
    let Some(text) = fields.get(name) else {
        let alone = [form_name, salt_name].into_iter().find(|name| fields.contains_key(name));
        return alone.map_or(Ok(None), |alone| Err(FieldError::new(alone, "there is no hash beside it")));
    };
    let form = form(fields, names)?;
    if form.is_none()
        && let Some(kept) = PasswordHash::kept(keys, text)
    {
        return Ok(Some(kept));
    }
    let imported = rules.passwords.import(keys, text, form, memory);
    imported.map(Some).map_err(|reason| FieldError::new(name, reason.to_string()))
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
