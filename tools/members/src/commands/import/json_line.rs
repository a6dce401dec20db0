//! A line of JSON, with its values as they are written. As numbers, ids beyond 64 bits would lose digits.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::field_error::FieldError;

/// The entries of an object in their order. A name can occur twice.
pub struct JsonLine<'a>(Vec<(String, &'a RawValue)>);

impl<'a> JsonLine<'a> {
    /// Parses a line. Fails with the reason if it is not an object.
    pub fn parse(line: &'a [u8]) -> Result<Self, FieldError> {
        let text = std::str::from_utf8(line).map_err(|_| FieldError::not_utf8())?;
        serde_json::from_str(text).map_err(|_| FieldError::new("line", "not a JSON object"))
    }

    /// Returns the entries in their order.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

/// Returns the text of a field: that of a string, or the digits of a number. Returns `None` for `null`.
pub fn text(field: &'static str, value: &RawValue) -> Result<Option<String>, FieldError> {
    let written = value.get();
    match written.as_bytes() {
        [b'n', ..] => Ok(None),
        [b't' | b'f', ..] => Ok(Some(written.to_owned())),
        [b'"', ..] => {
            let text = serde_json::from_str(written);
            text.map(Some).map_err(|_| FieldError::new(field, "contains half a surrogate pair"))
        }
        // A credential of Keycloak.
        [b'{', ..] if field.ends_with("password") => Ok(Some(written.to_owned())),
        [b'{' | b'[', ..] => Err(FieldError::new(field, "not a string, number or boolean")),
        digits if digits.iter().all(u8::is_ascii_digit) => Ok(Some(written.to_owned())),
        _ => Err(FieldError::new(field, "a number that is not written in digits only; write it as a string")),
    }
}

impl<'de> Deserialize<'de> for JsonLine<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = JsonLine<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonLine<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(JsonLine(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}
