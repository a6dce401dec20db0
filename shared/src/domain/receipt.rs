//! Receipts. A checked pay password becomes a receipt, which confirms one order: its reference, amount, currency and
//! payee. The service that executes the payment spends it.

use crate::{
    clock::Timestamp,
    domain::{
        keys::{KeyPurpose, Keys},
        member::MemberId,
    },
};
use aws_lc_rs::constant_time;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// How long a receipt can be spent for the first time, in seconds. The service spends it in the call that follows.
pub const RECEIPT_TTL_SECONDS: u64 = 120;

/// How long a receipt is stored, in seconds: one day, after which no service still repeats a call.
const RETENTION_SECONDS: u64 = 86_400;

/// The order that a receipt confirms. Commission Delegated Regulation (EU) 2018/389, Art. 5(1): a change of the amount
/// or the payee invalidates the confirmation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The order's name at the service, 1 to 64 characters.
    #[serde(deserialize_with = "up_to::<64, _>")]
    reference: String,
    /// The amount in minor units of the currency, in decimal digits without leading zeros.
    #[serde(deserialize_with = "minor_units")]
    amount: String,
    /// The currency, three capital letters (ISO 4217).
    #[serde(deserialize_with = "currency")]
    currency: String,
    /// The payee, 1 to 128 characters.
    #[serde(deserialize_with = "up_to::<128, _>")]
    payee: String,
}

impl Order {
    /// Returns a MAC of the order under the current key, with that key's id. A plain hash would disclose the order,
    /// whose amount and payee can be guessed.
    #[must_use]
    pub fn mac(&self, keys: &Keys) -> String {
        self.mac_under(keys, &keys.current().id).unwrap_or_default()
    }

    /// Returns a MAC of the order's reference under the current key, with that key's id, for the audit trail. It does not
    /// depend on the amount or the payee.
    #[must_use]
    pub fn reference_mac(&self, keys: &Keys) -> String {
        mac_under(keys, &keys.current().id, &[self.reference.as_bytes()]).unwrap_or_default()
    }

    /// Returns whether a MAC is that of this order. It is not if its key was removed.
    pub(crate) fn matches(&self, keys: &Keys, mac: &str) -> bool {
        let own = mac.split_once('.').and_then(|(id, _)| self.mac_under(keys, id));
        own.is_some_and(|own| constant_time::verify_slices_are_equal(own.as_bytes(), mac.as_bytes()).is_ok())
    }

    fn mac_under(&self, keys: &Keys, id: &str) -> Option<String> {
        let Self { reference, amount, currency, payee } = self;
        let parts = [reference, amount, currency, payee].map(String::as_bytes);
        mac_under(keys, id, &parts)
    }
}

fn mac_under(keys: &Keys, id: &str, parts: &[&[u8]]) -> Option<String> {
    let mac = keys.by_id(id)?.mac(KeyPurpose::Receipt, parts);
    Some(format!("{id}.{}", URL_SAFE_NO_PAD.encode(mac)))
}

/// An element of authentication that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Element {
    /// The pay password.
    PayPassword,
    /// A code that was sent to the member's phone.
    Sms,
}

/// A receipt as it is stored, under the hash of its token.
#[derive(Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// The member whose pay password was checked.
    pub(crate) member: MemberId,
    /// The elements that were checked.
    pub(crate) elements: Vec<Element>,
    /// When they were checked.
    pub(crate) checked_at: Timestamp,
    /// The MAC of the order.
    pub(crate) order: String,
    /// Until when the receipt can be spent for the first time.
    pub(crate) valid_until: Timestamp,
    /// When it was spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spent_at: Option<Timestamp>,
    /// When it is deleted.
    pub(crate) expires_at: Timestamp,
}

impl Receipt {
    /// Returns a receipt for an order that these elements confirm now.
    pub(crate) fn new(member: MemberId, elements: Vec<Element>, order: &Order, keys: &Keys) -> Self {
        let now = Timestamp::now();
        Self {
            member,
            elements,
            checked_at: now,
            order: order.mac(keys),
            valid_until: now.plus(RECEIPT_TTL_SECONDS),
            spent_at: None,
            expires_at: now.plus(RETENTION_SECONDS),
        }
    }
}

fn checked<'de, D: Deserializer<'de>>(
    deserializer: D,
    is_valid: impl FnOnce(&str) -> bool,
) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if is_valid(&text) { Ok(text) } else { Err(D::Error::custom("malformed")) }
}

fn up_to<'de, const LONGEST: usize, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(deserializer, |text| (1..=LONGEST).contains(&text.chars().count()))
}

/// Reads an amount: at most 18 digits, which fit into the 64-bit integers of every language.
fn minor_units<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(deserializer, |text| {
        let is_canonical = text == "0" || !text.starts_with('0');
        is_canonical && (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn currency<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(deserializer, |text| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::keys::tests::{secret, two_keys};
    use serde_json::{Value, json};

    fn order(changed: &[(&str, Value)]) -> Option<Order> {
        let mut order = json!({ "reference": "o-1", "amount": "1999", "currency": "CNY", "payee": "Shop" });
        for (name, value) in changed {
            order[*name] = value.clone();
        }
        serde_json::from_value(order).ok()
    }

    #[test]
    fn mac_matches_only_the_same_order() {
        let keys = two_keys();
        let mac = order(&[]).unwrap().mac(&keys);
        assert!(order(&[]).unwrap().matches(&keys, &mac));
        for (name, value) in
            [("reference", "o-2"), ("amount", "2000"), ("currency", "HKD"), ("payee", "shop")]
        {
            assert!(!order(&[(name, json!(value))]).unwrap().matches(&keys, &mac), "{name}");
        }
        assert!(!order(&[]).unwrap().matches(&keys, mac.split_once('.').unwrap().1));
    }

    #[test]
    fn reference_mac_depends_only_on_the_reference() {
        let keys = two_keys();
        let mac = |changed: &[(&str, Value)]| order(changed).unwrap().reference_mac(&keys);
        assert_eq!(mac(&[]), mac(&[("amount", json!("2000")), ("payee", json!("shop"))]));
        assert_ne!(mac(&[]), mac(&[("reference", json!("o-2"))]));
        assert!(mac(&[]).starts_with("new.") && !mac(&[]).contains("o-1"));
    }

    #[test]
    fn mac_matches_until_its_key_is_removed() {
        let mac = order(&[]).unwrap().mac(&Keys::parse(&secret("old")).unwrap());
        assert!(order(&[]).unwrap().matches(&two_keys(), &mac));
        let retired = Keys::parse(&format!(r#"{{"current":"new","new":"{}"}}"#, "n".repeat(64))).unwrap();
        assert!(!order(&[]).unwrap().matches(&retired, &mac));
    }

    #[test]
    fn malformed_orders_are_refused() {
        for (name, valid) in [
            ("reference", "单".repeat(64)),
            ("payee", "p".repeat(128)),
            ("amount", "0".to_owned()),
            ("amount", "9".repeat(18)),
        ] {
            assert!(order(&[(name, json!(valid))]).is_some(), "{name}");
        }
        for (name, invalid) in [
            ("reference", json!("")),
            ("reference", json!("r".repeat(65))),
            ("payee", json!("p".repeat(129))),
            ("amount", json!(1999)),
            ("amount", json!("19.99")),
            ("amount", json!("01")),
            ("amount", json!("-1")),
            ("amount", json!("9".repeat(19))),
            ("currency", json!("cny")),
            ("currency", json!("RMBY")),
            ("currency", Value::Null),
            ("tip", json!("1")),
        ] {
            assert!(order(&[(name, invalid.clone())]).is_none(), "{name} {invalid}");
        }
    }
}
