//! Devices on which a member logged in. A token of an earlier login gives the device failed logins of its own, so that
//! strangers who guess a password do not lock the member out (OWASP, "Slow Down Online Guessing Attacks with Device
//! Cookies"). It authorizes nothing.

use crate::{
    contact::Destination,
    domain::keys::{Key, KeyPurpose, Keys},
    random,
};
use aws_lc_rs::constant_time;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::fmt;

/// The form of a token, its first field. A token of another form is not recognized.
const VERSION: &str = "d1";

/// The characters of a device's id: 128 random bits in base64url without padding.
const ID_CHARACTERS: usize = 22;

/// A device on which a member logged in with a phone or an email address.
#[derive(Clone, PartialEq, Eq)]
pub struct Device {
    id: String,
}

impl Device {
    /// Generates a new device.
    ///
    /// # Errors
    /// [`random::RandomError`] if the random source fails.
    pub fn draw() -> Result<Self, random::RandomError> {
        Ok(Self { id: URL_SAFE_NO_PAD.encode(random::bytes::<16>()?) })
    }

    /// Returns the device of a token. Returns `None` for a text that is not a token under one of the keys, or one of
    /// another phone or email address.
    #[must_use]
    pub fn open(keys: &Keys, token: &str, destination: &Destination) -> Option<Self> {
        let mut fields = token.split('.');
        let (version, key, id, claimed) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        if version != VERSION || id.len() != ID_CHARACTERS || fields.next().is_some() {
            return None;
        }
        let device = Self { id: id.to_owned() };
        let own = device.signature(keys.by_id(key)?, destination);
        constant_time::verify_slices_are_equal(own.as_bytes(), claimed.as_bytes()).ok().map(|()| device)
    }

    /// Returns the token for a phone or an email address: the version, the id of the current key, the device's id, and
    /// the signature.
    #[must_use]
    pub fn token(&self, keys: &Keys, destination: &Destination) -> String {
        let key = keys.current();
        format!("{VERSION}.{}.{}.{}", key.id, self.id, self.signature(key, destination))
    }

    /// Returns the id, which is stored with the device's failed logins.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    fn signature(&self, key: &Key, destination: &Destination) -> String {
        let parts = [destination.key(), self.id.clone()];
        URL_SAFE_NO_PAD.encode(key.mac(KeyPurpose::Device, &parts.each_ref().map(String::as_bytes)))
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Device(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::keys::tests::{secret, two_keys};
    use proptest::prelude::*;

    fn address(text: &str) -> Destination {
        Destination::Email(text.parse().unwrap())
    }

    #[test]
    fn token_is_valid_for_its_address_only() {
        let (keys, device) = (two_keys(), Device::draw().unwrap());
        let token = device.token(&keys, &address("li@example.com"));
        assert_eq!(Device::open(&keys, &token, &address("Li@Example.com")), Some(device));
        assert_eq!(Device::open(&keys, &token, &address("wu@example.com")), None);
    }

    #[test]
    fn token_is_valid_until_its_key_is_removed() {
        let (device, to) = (Device::draw().unwrap(), address("li@example.com"));
        let token = device.token(&Keys::parse(&secret("old")).unwrap(), &to);
        assert_eq!(Device::open(&two_keys(), &token, &to), Some(device));
        let retired = Keys::parse(&format!(r#"{{"current":"new","new":"{}"}}"#, "n".repeat(64))).unwrap();
        assert_eq!(Device::open(&retired, &token, &to), None);
    }

    #[test]
    fn other_texts_are_not_tokens() {
        let (keys, to) = (two_keys(), address("li@example.com"));
        let token = Device::draw().unwrap().token(&keys, &to);
        let (signed, signature) = token.rsplit_once('.').unwrap();
        for text in [
            String::new(),
            token.replacen("d1", "d2", 1),
            format!("{token}.x"),
            format!("{token}A"),
            signed.to_owned(),
            format!("{signed}."),
            format!("{signed}A.{signature}"),
            "d1.new..".to_owned(),
        ] {
            assert_eq!(Device::open(&keys, &text, &to), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn token_with_one_changed_character_is_refused(at in 0usize..80, to in "[!-~]") {
            let (keys, address) = (two_keys(), address("li@example.com"));
            let token = Device::draw().unwrap().token(&keys, &address);
            let at = at % token.len();
            let mut changed = token.clone();
            changed.replace_range(at..=at, &to);
            prop_assume!(changed != token);
            prop_assert_eq!(Device::open(&keys, &changed, &address), None);
        }
    }
}
