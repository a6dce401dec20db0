//! The event of `create-member`: its alternatives as types.

use super::service::SecretText;
use crate::{
    domain::{member::MemberId, password::HashFormat},
    error::Error,
};
use serde::Deserialize;

/// A member that a service wants to create.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Fields")]
pub struct NewMember {
    /// The id that the service chose.
    pub(crate) member: Option<MemberId>,
    pub(crate) proof: ContactProof,
    pub(crate) password: GivenPassword,
    /// Whether the response has a session.
    pub(crate) log_in: bool,
}

/// How the contacts of a new member are proven.
#[derive(Debug)]
pub(crate) enum ContactProof {
    /// By a grant for a code.
    Verification(SecretText),
    /// The service vouches for a phone.
    Phone(String),
    /// The service vouches for an email address.
    Email(String),
    /// The service vouches for both.
    Both { phone: String, email: String },
}

/// The password of a new member.
#[derive(Debug)]
pub(crate) enum GivenPassword {
    /// None, as for a member who logs in by code.
    None,
    /// The password that the member typed.
    Typed(SecretText),
    /// A hash of another system.
    Hash(GivenHash),
}

/// A hash of another system, with the form and the salt of one that does not identify itself.
#[derive(Debug)]
pub(crate) struct GivenHash {
    pub(crate) text: SecretText,
    form: Option<String>,
    salt: Option<SecretText>,
}

impl GivenHash {
    /// Returns the form.
    ///
    /// # Errors
    /// [`Error::EventNotValid`] if the form is unknown, or the salt does not belong to it.
    pub(crate) fn format(&self) -> Result<Option<HashFormat<'_>>, Error> {
        let salt = self.salt.as_ref().map(SecretText::expose);
        HashFormat::parse(self.form.as_deref(), salt).map_err(|error| {
            let name = if error.is_of_salt() { "passwordSalt" } else { "passwordForm" };
            Error::EventNotValid(format!("field `{name}` is not valid: {error}"))
        })
    }
}

/// The fields as they are sent.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fields {
    member: Option<MemberId>,
    verification: Option<SecretText>,
    phone: Option<String>,
    email: Option<String>,
    proven: Option<bool>,
    password: Option<SecretText>,
    password_hash: Option<SecretText>,
    password_form: Option<String>,
    password_salt: Option<SecretText>,
    log_in: Option<bool>,
}

/// Why fields do not fit together. Each text names a field, and contains no value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum FieldsError {
    #[error("missing field `{0}`")]
    Missing(&'static str),
    #[error("field `{0}` contradicts field `{1}`")]
    Contradiction(&'static str, &'static str),
    #[error("field `{0}` requires field `{1}`")]
    Requires(&'static str, &'static str),
    #[error("field `proven` is not true")]
    Unproven,
}

impl TryFrom<Fields> for NewMember {
    type Error = FieldsError;

    fn try_from(fields: Fields) -> Result<Self, FieldsError> {
        let Fields { member, verification, phone, email, proven, log_in, .. } = fields;
        let proof = match (verification, phone, email) {
            (Some(_), Some(_), _) => Err(FieldsError::Contradiction("phone", "verification")),
            (Some(_), None, Some(_)) => Err(FieldsError::Contradiction("email", "verification")),
            (Some(_), None, None) if proven.is_some() => {
                Err(FieldsError::Contradiction("proven", "verification"))
            }
            (Some(verification), None, None) => Ok(ContactProof::Verification(verification)),
            (None, None, None) => Err(FieldsError::Missing("verification")),
            _ if proven.is_none() => Err(FieldsError::Missing("proven")),
            _ if proven == Some(false) => Err(FieldsError::Unproven),
            (None, Some(phone), None) => Ok(ContactProof::Phone(phone)),
            (None, None, Some(email)) => Ok(ContactProof::Email(email)),
            (None, Some(phone), Some(email)) => Ok(ContactProof::Both { phone, email }),
        };
        let (form, salt) = (fields.password_form, fields.password_salt);
        let password = match (fields.password, fields.password_hash) {
            (Some(_), Some(_)) => Err(FieldsError::Contradiction("password", "passwordHash")),
            (None, Some(text)) => Ok(GivenPassword::Hash(GivenHash { text, form, salt })),
            _ if form.is_some() => Err(FieldsError::Requires("passwordForm", "passwordHash")),
            _ if salt.is_some() => Err(FieldsError::Requires("passwordSalt", "passwordHash")),
            (Some(typed), None) => Ok(GivenPassword::Typed(typed)),
            (None, None) => Ok(GivenPassword::None),
        };
        Ok(Self { member, proof: proof?, password: password?, log_in: log_in.unwrap_or(false) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn error(event: Value) -> Option<String> {
        serde_json::from_value::<NewMember>(event).err().map(|error| error.to_string())
    }

    #[test]
    fn alternatives_are_accepted() {
        for event in [
            json!({ "verification": "v" }),
            json!({ "verification": "v", "phone": null, "password": "p", "logIn": true }),
            json!({ "phone": "1", "proven": true, "passwordHash": "h" }),
            json!({ "email": "e", "proven": true, "passwordHash": "h", "passwordForm": "md5" }),
            json!({
                "member": "6f1a6e4c-5a0e-4a7a-9a39-1d3a5f0f6c11", "phone": "1", "email": "e", "proven": true,
                "passwordHash": "h", "passwordForm": "md5-salt-after", "passwordSalt": "s", "logIn": false,
            }),
        ] {
            assert_eq!(error(event.clone()), None, "{event}");
        }
    }

    #[test]
    fn contradictory_fields_are_named_without_values() {
        for (event, expected) in [
            (json!({}), "missing field `verification`"),
            (json!({ "proven": true }), "missing field `verification`"),
            (json!({ "phone": "hunter2" }), "missing field `proven`"),
            (json!({ "email": "hunter2", "proven": false }), "field `proven` is not true"),
            (
                json!({ "verification": "v", "phone": "hunter2", "proven": true }),
                "field `phone` contradicts field `verification`",
            ),
            (json!({ "verification": "v", "email": "e" }), "field `email` contradicts field `verification`"),
            (
                json!({ "verification": "v", "proven": false }),
                "field `proven` contradicts field `verification`",
            ),
            (
                json!({ "verification": "v", "password": "hunter2", "passwordHash": "h" }),
                "field `password` contradicts field `passwordHash`",
            ),
            (
                json!({ "verification": "v", "passwordForm": "md5" }),
                "field `passwordForm` requires field `passwordHash`",
            ),
            (
                json!({ "verification": "v", "password": "p", "passwordSalt": "hunter2" }),
                "field `passwordSalt` requires field `passwordHash`",
            ),
        ] {
            assert_eq!(error(event.clone()).as_deref(), Some(expected), "{event}");
        }
    }

    #[test]
    fn form_and_salt_fit_together() {
        let format = |form: Option<&str>, salt: Option<&str>| {
            let (form, salt) = (form.map(str::to_owned), salt.map(str::to_owned));
            let event = json!({ "verification": "v", "passwordHash": "h", "passwordForm": form, "passwordSalt": salt });
            let GivenPassword::Hash(hash) = serde_json::from_value::<NewMember>(event).unwrap().password
            else {
                panic!("not a hash")
            };
            hash.format().map(|format| format.is_some()).map_err(|error| error.to_string())
        };
        assert_eq!(format(None, None), Ok(false));
        assert_eq!(format(Some("better-auth"), None), Ok(true));
        assert_eq!(format(Some("md5-salt-before"), Some("salt")), Ok(true));
        for (form, salt, expected) in [
            (Some("hunter2"), None, "field `passwordForm` is not valid: unknown form"),
            (Some("md5-salt-before"), None, "field `passwordSalt` is not valid: missing"),
            (None, Some("hunter2"), "field `passwordSalt` is not valid: the form takes no salt"),
        ] {
            assert_eq!(format(form, salt), Err(format!("the event is not valid: {expected}")));
        }
    }
}
