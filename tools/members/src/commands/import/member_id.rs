//! Ids. Two ids of the other system must never become one, nor one id two.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use shared::member::MemberId;
use uuid::Uuid;

use super::{field_error::FieldError, number};

/// The texts that programs write for an absent value, in lower case.
const PLACEHOLDERS: [&str; 8] = ["null", "\\n", "none", "nil", "nan", "undefined", "#n/a", "[object object]"];

/// Parses an id: a UUID, or any other text that becomes a UUID in a namespace.
pub fn parse(text: &str, namespace: Option<Uuid>) -> Result<MemberId, FieldError> {
    if let Ok(id) = text.parse() {
        return Ok(MemberId(id));
    }
    let namespace =
        namespace.ok_or_else(|| FieldError::new("id", "not a UUID; convert such ids with --namespace"))?;
    if let Some(problem) = problem(text) {
        return Err(FieldError::new("id", problem));
    }
    uuid_v5(namespace, text).map(MemberId)
}

/// Returns why a text is not the id that the other system has.
fn problem(text: &str) -> Option<&'static str> {
    if number::is_rewritten(text) {
        Some(number::REWRITTEN)
    } else if text.starts_with(['=', '\'']) {
        Some("a spreadsheet's form of a text; export the value without it")
    } else if PLACEHOLDERS.contains(&text.to_lowercase().as_str()) {
        Some("a placeholder for an absent id")
    } else if text.contains(is_invisible) {
        Some("contains an invisible or a replacement character")
    } else {
        None
    }
}

/// Whether a character is invisible, such as a byte order mark, or stands for one that was lost.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fffd}')
}

/// Returns the version 5 UUID of a name (RFC 9562, 5.5).
fn uuid_v5(namespace: Uuid, name: &str) -> Result<Uuid, FieldError> {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(namespace.as_bytes());
    context.update(name.as_bytes());
    let digest = context.finish();
    let bytes = digest
        .as_ref()
        .first_chunk()
        .ok_or_else(|| FieldError::new("id", "cannot be converted to a UUID"))?;
    Ok(uuid::Builder::from_sha1_bytes(*bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const DNS: Uuid = uuid::uuid!("6ba7b810-9dad-11d1-80b4-00c04fd430c8");

    #[test]
    fn foreign_id_maps_to_a_stable_uuid() {
        // RFC 9562, A.4.
        let expected = uuid::uuid!("2ed6657d-e927-568b-95e1-2665a8aea6a2");
        assert_eq!(parse("www.example.com", Some(DNS)), Ok(MemberId(expected)));
        assert_eq!(parse(&expected.to_string(), Some(DNS)), Ok(MemberId(expected)));
        assert!(parse("7", None).is_err());
    }

    #[test]
    fn different_texts_are_different_ids() {
        let texts = [
            "7",
            "07",
            "007",
            "-7",
            "1e5",
            "12e4",
            "1.5",
            "18446744073709551615",
            "18446744073709551616",
            "18446744073709551617",
            "100000000000000000001",
            "100000000000000000002",
            "张三",
            "user 7",
        ];
        let ids: HashSet<_> = texts.map(|text| parse(text, Some(DNS)).unwrap()).into();
        assert_eq!(ids.len(), texts.len());
    }

    #[test]
    fn text_that_is_not_an_id_is_refused() {
        for text in [
            "1.36E+10",
            "1e+21",
            "1.0",
            "-0",
            "=\"007\"",
            "'007",
            "NULL",
            "\\N",
            "undefined",
            "[object Object]",
            "\u{feff}7",
            "7\u{200b}",
            "\u{202d}7\u{202c}",
            "张\u{fffd}",
        ] {
            assert!(parse(text, Some(DNS)).is_err(), "{text:?}");
        }
    }
}
