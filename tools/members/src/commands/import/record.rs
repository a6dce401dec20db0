//! Parsing the fields of a line into a member.

use shared::{
    clock::Timestamp,
    contact::{Email, Phone, PhoneRules},
    keys::Keys,
    language::Language,
    member::Member,
    password::{HashFormat, ImportHashError, Memory, PasswordHash, PasswordPolicy},
};
use uuid::Uuid;

use super::{field_error::FieldError, format::Fields, member_id, moment, number};
use crate::error::Error;

/// The rules for fields.
pub struct Rules {
    /// The phone numbers that the functions accept.
    pub phones: PhoneRules,
    /// The functions' password policy, which limits the cost of an imported hash.
    pub passwords: PasswordPolicy,
    /// Whether an email address is verified if its line has no `email_verified`.
    pub trust_email: bool,
    /// The namespace in which ids that are not UUIDs become UUIDs.
    pub namespace: Option<Uuid>,
}

/// A member parsed from one input line.
#[derive(Clone, Debug)]
pub struct ImportedMember {
    /// The member to write.
    pub member: Member,
    /// Whether the line's email address is left out because it is not verified.
    pub unverified: bool,
    fields: Fields,
}

/// The names of a hash's fields: the hash, its form and its salt.
type HashFields = [&'static str; 3];
const PASSWORD: HashFields = ["password", "password_form", "password_salt"];
const PAY_PASSWORD: HashFields = ["pay_password", "pay_password_form", "pay_password_salt"];

impl ImportedMember {
    /// Parses fields. Fails on the first field that is invalid.
    pub fn parse(
        fields: Fields,
        rules: &Rules,
        keys: &Keys,
        memory: &mut Memory,
    ) -> Result<Self, FieldError> {
        let field = |name: &'static str| fields.get(name).map(String::as_str);
        let id = field("id").ok_or_else(|| FieldError::new("id", "missing"))?;
        let email = field("email").map(str::parse::<Email>).transpose();
        let email = email.map_err(|_| FieldError::new("email", "not an email address"))?;
        let is_verified = match field("email_verified") {
            Some(text) => {
                boolean(text).ok_or_else(|| FieldError::new("email_verified", "neither true nor false"))?
            }
            None => rules.trust_email,
        };
        let now = Timestamp::now();
        let time = |name: &'static str| field(name).map(|text| moment::parse(name, text, now)).transpose();
        let member = Member {
            id: member_id::parse(id, rules.namespace)?,
            // The second of the import, so that no session that was issued to this id before is valid.
            credential_version: now.0,
            revision: 1,
            phone: field("phone").map(|text| phone(text, rules)).transpose()?,
            email: email.clone().filter(|_| is_verified),
            password: hash(&fields, PASSWORD, rules, keys, memory)?,
            pay_password: hash(&fields, PAY_PASSWORD, rules, keys, memory)?,
            phone_immature_since: None,
            email_immature_since: None,
            changed_at: Vec::new(),
            phone_bound_at: None,
            email_bound_at: None,
            frozen: None,
            cooling_since: time("cooling_since")?,
            language: field("language").map(language).transpose()?,
            created_at: time("created_at")?.unwrap_or(now),
        };
        Ok(Self { unverified: email.is_some() && member.email.is_none(), member, fields })
    }

    /// Replaces each hash by the stored one if both wrap the same imported hash. Their texts differ even then, since
    /// each wrapping has its own salt and may use another key.
    pub fn keep_same_hashes(
        &mut self,
        stored: &Member,
        keys: &Keys,
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let Self { member, fields, .. } = self;
        for (new, stored, names) in [
            (&mut member.password, &stored.password, PASSWORD),
            (&mut member.pay_password, &stored.pay_password, PAY_PASSWORD),
        ] {
            if let (Some(text), Some(hash), Ok(form)) = (fields.get(names[0]), stored, form(fields, names)) {
                match hash.is_import_of(keys, text, form, memory) {
                    Ok(true) => new.clone_from(stored),
                    Err(ImportHashError::Failed(error)) => return Err(error.into()),
                    // The line has a hash of this system, from an export: it is not wrapped, so it compares as text.
                    Ok(false) | Err(_) => {}
                }
            }
        }
        Ok(())
    }
}

fn phone(text: &str, rules: &Rules) -> Result<Phone, FieldError> {
    if number::is_rewritten(text) {
        return Err(FieldError::new("phone", number::REWRITTEN));
    }
    rules.phones.parse(text).map_err(|_| FieldError::new("phone", "not an allowed phone number"))
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

fn language(tag: &str) -> Result<Language, FieldError> {
    Language::of_tag(tag).ok_or_else(|| FieldError::new("language", "neither Chinese nor English"))
}

/// Returns the form of a hash that does not identify itself. A salt beside any other hash is an error, since it would
/// be ignored.
fn form(
    fields: &Fields,
    [_, form_name, salt_name]: HashFields,
) -> Result<Option<HashFormat<'_>>, FieldError> {
    let field = |name: &'static str| fields.get(name).map(String::as_str);
    HashFormat::parse(field(form_name), field(salt_name)).map_err(|error| {
        let name = if error.is_of_salt() { salt_name } else { form_name };
        FieldError::new(name, error.to_string())
    })
}

fn hash(
    fields: &Fields,
    names: HashFields,
    rules: &Rules,
    keys: &Keys,
    memory: &mut Memory,
) -> Result<Option<PasswordHash>, FieldError> {
    let [name, form_name, salt_name] = names;
    let Some(text) = fields.get(name) else {
        let orphan = [form_name, salt_name].into_iter().find(|name| fields.contains_key(name));
        return orphan
            .map_or(Ok(None), |orphan| Err(FieldError::new(orphan, "there is no hash to apply it to")));
    };
    let form = form(fields, names)?;
    let adopted = rules.passwords.adopt(keys, text, form, memory);
    adopted.map(Some).map_err(|reason| FieldError::new(name, reason.to_string()))
}
