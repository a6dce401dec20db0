//! Phone numbers and email addresses: parsed where they enter, and masked in `Debug`.

mod email;
mod phone;

pub use email::Email;
pub(crate) use email::ascii_domain;
pub use phone::{Phone, PhoneRules};

use serde::{Deserialize, Serialize};

/// The text is not an email address, or not a phone number that codes may be sent to.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid contact")]
pub struct InvalidContact;

/// A phone or an email address that a code or a notice is sent to. A code proves its possession.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Destination {
    /// A phone, reached by SMS.
    Phone(Phone),
    /// An email address.
    Email(Email),
}

impl Destination {
    /// Returns the text that identifies the destination in keys, limits and MACs. Every spelling of a mailbox has the
    /// same text, and a phone never has that of an address.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Phone(phone) => format!("phone#{}", phone.as_str()),
            Self::Email(email) => format!("email#{}", email.canonical()),
        }
    }

    /// Returns the destination for its own member, who recognizes it.
    #[must_use]
    pub fn masked(&self) -> String {
        match self {
            Self::Phone(phone) => phone.masked(),
            Self::Email(email) => email.masked(),
        }
    }

    /// Returns the texts in which a person types it. The password of its member must not equal one of them.
    #[must_use]
    pub fn spellings(&self) -> Vec<String> {
        match self {
            Self::Phone(phone) => {
                let mut spellings =
                    vec![phone.as_str().to_owned(), phone.as_str().trim_start_matches('+').to_owned()];
                spellings.extend(phone.parts().map(|(_, national)| national.to_owned()));
                spellings
            }
            Self::Email(email) => vec![email.as_str().to_owned()],
        }
    }

    /// Returns a phone from the calling code and the national number in a token.
    pub(crate) fn of_parts(calling_code: &str, national: &str) -> Self {
        Self::Phone(Phone(format!("+{calling_code}{national}")))
    }

    /// Returns an email address from a token.
    pub(crate) fn of_address(address: &str) -> Self {
        Self::Email(Email(address.to_owned()))
    }
}

impl From<Destination> for String {
    /// Returns the text in which a destination is stored. It keeps the spelling of an address, to which email is
    /// sent.
    fn from(destination: Destination) -> Self {
        match destination {
            Destination::Phone(phone) => format!("phone#{}", phone.as_str()),
            Destination::Email(email) => format!("email#{}", email.as_str()),
        }
    }
}

impl TryFrom<String> for Destination {
    type Error = InvalidContact;

    /// Parses the text in which a destination is stored.
    fn try_from(stored: String) -> Result<Self, InvalidContact> {
        match stored.split_once('#') {
            Some(("phone", e164)) => Ok(Self::Phone(Phone(e164.to_owned()))),
            Some(("email", address)) => Ok(Self::Email(Email(address.to_owned()))),
            _ => Err(InvalidContact),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;

    #[test]
    fn email_is_stored_as_bound_under_one_key() {
        let email = Destination::Email(Email::from_str("Li.Lei@example.com").unwrap());
        assert_eq!(email.key(), "email#li.lei@example.com");
        let stored = String::from(email.clone());
        assert_eq!(stored, "email#Li.Lei@example.com");
        assert_eq!(Destination::try_from(stored), Ok(email));
    }
}
