//! The fields of `log-in` and `send-log-in-code`, whose alternatives exclude each other.

use super::service::SecretText;
use crate::domain::code::Purpose;
use serde::Deserialize;

/// The fields of `log-in`.
#[derive(Deserialize)]
#[serde(try_from = "LogInFields")]
pub struct LogIn {
    /// The phone or email address of the member.
    pub identifier: Identifier,
    /// How the member logs in.
    pub credential: Credential,
    /// The token of a device on which the member logged in before.
    pub device: Option<SecretText>,
}

/// A phone or an email address, as a person typed it.
pub enum Identifier {
    /// `phone`.
    Phone(String),
    /// `email`.
    Email(String),
}

/// How a member logs in.
pub enum Credential {
    /// `password`.
    Password(SecretText),
    /// `code` with the `verification` of its send.
    Code {
        /// The code.
        code: SecretText,
        /// The token of its flow.
        verification: SecretText,
    },
}

/// The fields of `send-log-in-code`.
#[derive(Deserialize)]
#[serde(try_from = "LogInCodeFields")]
pub struct LogInCode {
    /// What the code is for.
    pub purpose: Purpose,
    /// The phone or email address that it is sent to.
    pub identifier: Identifier,
}

/// The fields of `log-in`, of which some exclude each other.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogInFields {
    phone: Option<String>,
    email: Option<String>,
    identifier: Option<String>,
    password: Option<SecretText>,
    code: Option<SecretText>,
    verification: Option<SecretText>,
    device: Option<SecretText>,
}

/// The fields of `send-log-in-code`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogInCodeFields {
    purpose: LogInCodePurpose,
    phone: Option<String>,
    email: Option<String>,
}

/// A purpose of `send-log-in-code`, as a service names it.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum LogInCodePurpose {
    LogIn,
    Register,
}

impl Identifier {
    /// Returns a phone or an email address by its shape: only an address contains `@`, in any width.
    fn of_shape(text: String) -> Self {
        if text.contains(['@', '＠']) { Self::Email(text) } else { Self::Phone(text) }
    }
}

impl TryFrom<LogInFields> for LogIn {
    type Error = String;

    fn try_from(fields: LogInFields) -> Result<Self, String> {
        let LogInFields { phone, email, identifier, password, code, verification, device } = fields;
        let identifier = match (phone, email, identifier) {
            (Some(phone), None, None) => Identifier::Phone(phone),
            (None, Some(email), None) => Identifier::Email(email),
            (None, None, Some(identifier)) => Identifier::of_shape(identifier),
            (None, None, None) => return Err(missing("identifier", "`phone`, `email` or `identifier`")),
            (Some(_), Some(_), _) => return Err(conflicting("email", "phone")),
            (Some(_), _, Some(_)) => return Err(conflicting("identifier", "phone")),
            (_, Some(_), Some(_)) => return Err(conflicting("identifier", "email")),
        };
        let credential = match (password, code, verification) {
            (Some(password), None, None) => Credential::Password(password),
            (None, Some(code), Some(verification)) => Credential::Code { code, verification },
            (None, None, None) => {
                return Err(missing("password", "`password`, or `code` with `verification`"));
            }
            (Some(_), Some(_), _) => return Err(conflicting("code", "password")),
            (Some(_), _, Some(_)) => return Err(conflicting("verification", "password")),
            (None, Some(_), None) => return Err(missing("verification", "it beside `code`")),
            (None, None, Some(_)) => return Err(missing("code", "it beside `verification`")),
        };
        Ok(Self { identifier, credential, device })
    }
}

impl TryFrom<LogInCodeFields> for LogInCode {
    type Error = String;

    fn try_from(fields: LogInCodeFields) -> Result<Self, String> {
        let identifier = match (fields.phone, fields.email) {
            (Some(phone), None) => Identifier::Phone(phone),
            (None, Some(email)) => Identifier::Email(email),
            (None, None) => return Err(missing("phone", "`phone` or `email`")),
            (Some(_), Some(_)) => return Err(conflicting("email", "phone")),
        };
        let purpose = match fields.purpose {
            LogInCodePurpose::LogIn => Purpose::LogIn,
            LogInCodePurpose::Register => Purpose::Register,
        };
        Ok(Self { purpose, identifier })
    }
}

fn missing(field: &str, expected: &str) -> String {
    format!("missing field `{field}`, expected {expected}")
}

fn conflicting(field: &str, with: &str) -> String {
    format!("conflicting field `{field}`, expected either it or `{with}`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::Error, http::service::ServiceEvent};
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    fn parsed<T: DeserializeOwned>(event: &Value) -> Result<T, String> {
        let fields = ServiceEvent::parse(&event.to_string()).and_then(ServiceEvent::into_fields);
        fields.map_err(|error| match error {
            Error::EventNotValid(reason) => reason,
            other => other.to_string(),
        })
    }

    #[test]
    fn identifier_is_read_by_its_shape() {
        for (text, is_email) in
            [("13627140483", false), ("li@example.com", true), ("li＠example.com", true), ("li", false)]
        {
            let log_in: LogIn = parsed(&json!({ "identifier": text, "password": "p" })).unwrap();
            assert_eq!(matches!(log_in.identifier, Identifier::Email(_)), is_email, "{text}");
        }
    }

    #[test]
    fn contradiction_names_the_field_without_values() {
        let secret = "hunter2";
        for (event, expected) in [
            (json!({}), "missing field `identifier`, expected `phone`, `email` or `identifier`"),
            (
                json!({ "phone": secret }),
                "missing field `password`, expected `password`, or `code` with `verification`",
            ),
            (
                json!({ "phone": secret, "code": secret }),
                "missing field `verification`, expected it beside `code`",
            ),
            (
                json!({ "phone": secret, "verification": secret }),
                "missing field `code`, expected it beside `verification`",
            ),
            (
                json!({ "phone": secret, "email": secret, "password": secret }),
                "conflicting field `email`, expected either it or `phone`",
            ),
            (
                json!({ "phone": secret, "identifier": secret, "password": secret }),
                "conflicting field `identifier`, expected either it or `phone`",
            ),
            (
                json!({ "email": secret, "identifier": secret, "password": secret }),
                "conflicting field `identifier`, expected either it or `email`",
            ),
            (
                json!({ "phone": secret, "password": secret, "code": secret, "verification": secret }),
                "conflicting field `code`, expected either it or `password`",
            ),
            (
                json!({ "phone": secret, "password": secret, "verification": secret }),
                "conflicting field `verification`, expected either it or `password`",
            ),
            (json!({ "phone": secret, "password": 7 }), "`password` is malformed"),
            (json!({ "phone": [secret], "password": secret }), "`phone` is malformed"),
        ] {
            assert_eq!(parsed::<LogIn>(&event).err().as_deref(), Some(expected), "{event}");
        }
        let unknown = parsed::<LogIn>(&json!({ "pasword": secret })).err().unwrap();
        assert!(unknown.starts_with("unknown field `pasword`, expected one of `phone`"), "{unknown}");
    }

    #[test]
    fn code_is_for_one_purpose_and_destination() {
        for (event, expected) in [
            (json!({ "purpose": "login", "phone": "1" }), None),
            (json!({ "purpose": "register", "email": "a" }), None),
            (json!({ "phone": "1" }), Some("missing field `purpose`")),
            (json!({ "purpose": "recover", "phone": "1" }), Some("`purpose` is malformed")),
            (json!({ "purpose": "login" }), Some("missing field `phone`, expected `phone` or `email`")),
            (
                json!({ "purpose": "login", "phone": "1", "email": "a" }),
                Some("conflicting field `email`, expected either it or `phone`"),
            ),
        ] {
            assert_eq!(parsed::<LogInCode>(&event).err().as_deref(), expected, "{event}");
        }
    }
}
