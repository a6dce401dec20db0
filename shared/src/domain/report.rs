//! Reports of changes. The notice of a change by email has a link by which the member reports that another person made
//! the change.
//!
//! The link contains the id of the report with its MAC. It is computed at delivery, so duplicates of a notice contain the
//! same link, and the table does not contain it.

use crate::{
    contact::Destination,
    domain::{
        keys::{Key, KeyPurpose, Keys},
        member::MemberId,
    },
    error::{Error, Field},
    random,
};
use aws_lc_rs::constant_time;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How long a change can be reported, in seconds: 72 hours. A contact that was bound within this time gets no link and
/// is not restored, so that no attacker can report what a member does about a contact that the attacker bound.
pub const LINK_TTL_SECONDS: u64 = 72 * 3_600;

/// The hex digits of the id, and of the MAC: HMAC-SHA-256 truncated to 128 bits, which NIST SP 800-107, 5.3.4 allows.
const HEX_DIGITS: usize = 32;

/// A change that the member can report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportableChange {
    /// The member whose credentials were changed.
    pub member: MemberId,
    /// The email address that gets the link.
    pub destination: Destination,
    /// The phone or email address that the change replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Destination>,
}

impl ReportableChange {
    /// Returns the contacts that a report restores: the address that got the link, and the contact that the change
    /// replaced.
    pub fn contacts(&self) -> impl Iterator<Item = &Destination> {
        let replaced = self.replaced.iter().filter(|replaced| **replaced != self.destination);
        std::iter::once(&self.destination).chain(replaced)
    }
}

/// The id of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReportId(pub(crate) Uuid);

impl ReportId {
    /// Generates a new id.
    ///
    /// # Errors
    /// [`random::RandomError`] if the random source fails.
    pub(crate) fn draw() -> Result<Self, random::RandomError> {
        random::uuid().map(Self)
    }

    /// Returns the `verification` of the link: the id and its MAC under the current key.
    #[must_use]
    pub fn sign(self, keys: &Keys) -> String {
        self.signed_by(keys.current())
    }

    /// Verifies the `verification` of a link.
    ///
    /// # Errors
    /// [`Error::NotValid`] if the text is malformed or is not signed by one of the keys.
    pub fn open(keys: &Keys, text: &str) -> Result<Self, Error> {
        let id = text.get(..HEX_DIGITS).and_then(|id| Uuid::try_parse(id).ok()).map(Self);
        let is_signed = |id: &Self| {
            let is_signed_by = |key| {
                constant_time::verify_slices_are_equal(id.signed_by(key).as_bytes(), text.as_bytes()).is_ok()
            };
            keys.all().any(is_signed_by)
        };
        id.filter(is_signed).ok_or(Error::NotValid(Field::Verification))
    }

    fn signed_by(self, key: &Key) -> String {
        let Self(id) = self;
        let mut text = hex::encode(id.as_bytes());
        text.push_str(&hex::encode(key.mac(KeyPurpose::Report, &[id.as_bytes()])));
        text.truncate(2 * HEX_DIGITS);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::keys::tests::{secret, two_keys};
    use proptest::prelude::*;

    #[test]
    fn link_opens_only_under_keys_of_the_secret() {
        let before = Keys::parse(&secret("old")).unwrap();
        let id = ReportId::draw().unwrap();
        let text = id.sign(&before);
        assert_eq!((text.len(), &text), (64, &id.sign(&before)));
        assert_eq!(ReportId::open(&two_keys(), &text).unwrap(), id);
        let other_secret = Keys::parse(&format!(r#"{{"current":"x","x":"{}"}}"#, "x".repeat(32))).unwrap();
        assert!(ReportId::open(&other_secret, &text).is_err());
    }

    #[test]
    fn id_without_its_mac_is_refused() {
        let (keys, id) = (two_keys(), ReportId::draw().unwrap());
        let (text, ReportId(uuid)) = (id.sign(&keys), id);
        for wrong in [
            uuid.to_string(),
            hex::encode(uuid.as_bytes()),
            text[..63].to_owned(),
            format!("{text}0"),
            text.to_uppercase(),
            format!("{}{}", ReportId::draw().unwrap().sign(&keys).split_at(32).0, text.split_at(32).1),
        ] {
            assert!(ReportId::open(&keys, &wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_refused(text in any::<String>()) {
            prop_assert!(ReportId::open(&two_keys(), &text).is_err());
        }
    }
}
