//! The sender of email: an address, with or without a display name.

use crate::contact::Email;
use email_encoding::headers::{quoted_string, writer::EmailWriter};
use std::str::FromStr;

/// The longest display name, in characters. SES limits the whole `From` to 320 characters for an unencoded one.
const MAX_NAME_LENGTH: usize = 64;

/// A mailbox (RFC 5322, 3.4) in the form in which a header contains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox(String);

impl Mailbox {
    /// Returns the mailbox for the header `From`, in ASCII: a display name of other characters is encoded (RFC 2047).
    #[must_use]
    pub fn into_header(self) -> String {
        self.0
    }
}

/// The text is not a mailbox.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a mailbox")]
pub struct InvalidMailbox;

impl FromStr for Mailbox {
    type Err = InvalidMailbox;

    /// Parses `security@example.com` or `云商城 <security@example.com>`, with or without quotation marks around the
    /// name. A name that is encoded already is kept.
    fn from_str(text: &str) -> Result<Self, InvalidMailbox> {
        let (name, address) = match text.trim().strip_suffix('>') {
            Some(named) => named.rsplit_once('<').ok_or(InvalidMailbox)?,
            None => ("", text),
        };
        let address: Email = address.parse().map_err(|_| InvalidMailbox)?;
        let name = unquoted(name.trim()).ok_or(InvalidMailbox)?;
        if name.chars().count() > MAX_NAME_LENGTH || name.contains(char::is_control) {
            return Err(InvalidMailbox);
        }
        let address = address.as_str();
        Ok(Self(if name.is_empty() {
            address.to_owned()
        } else {
            format!("{} <{address}>", encoded(&name).ok_or(InvalidMailbox)?)
        }))
    }
}

/// Returns a display name without the quotation marks and escapes of a quoted string. Returns `None` if a quotation mark
/// is elsewhere, or if the name contains an angle bracket and is not quoted.
fn unquoted(name: &str) -> Option<String> {
    let Some(quoted) = name.strip_prefix('"') else {
        return (!name.contains(['"', '<', '>', '@'])).then(|| name.to_owned());
    };
    let mut plain = String::new();
    let mut characters = quoted.strip_suffix('"')?.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.push(characters.next()?),
            '"' => return None,
            _ => plain.push(character),
        }
    }
    Some(plain.trim().to_owned())
}

/// Returns a display name as it stands in a header: as words, as a quoted string, or encoded.
fn encoded(name: &str) -> Option<String> {
    if name.is_ascii() && name.starts_with("=?") && name.ends_with("?=") {
        return Some(name.to_owned());
    }
    let mut header = String::new();
    quoted_string::encode(name, &mut EmailWriter::new(&mut header, 0, 0, false)).ok()?;
    // SES takes the header as one line and folds it itself.
    Some(header.replace("\r\n", ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, engine::general_purpose::STANDARD};
    use proptest::prelude::*;

    #[test]
    fn mailbox_is_written_for_a_header() {
        for (text, header) in [
            ("security@example.com", "security@example.com"),
            (" security@example.com ", "security@example.com"),
            ("<security@example.com>", "security@example.com"),
            ("Shop <security@example.com>", "Shop <security@example.com>"),
            ("Shop<security@example.com>", "Shop <security@example.com>"),
            ("Cloud Shop <security@example.com>", "\"Cloud Shop\" <security@example.com>"),
            ("\"Cloud Shop\" <security@example.com>", "\"Cloud Shop\" <security@example.com>"),
            ("云商城 <security@example.com>", "=?utf-8?b?5LqR5ZWG5Z+O?= <security@example.com>"),
            ("\"云商城\" <security@example.com>", "=?utf-8?b?5LqR5ZWG5Z+O?= <security@example.com>"),
            ("Adrián <a@example.com>", "=?utf-8?b?QWRyacOhbg==?= <a@example.com>"),
            ("=?UTF-8?B?5LqR5ZWG5Z+O?= <a@example.com>", "=?UTF-8?B?5LqR5ZWG5Z+O?= <a@example.com>"),
            ("a@bücher.example", "a@xn--bcher-kva.example"),
        ] {
            assert_eq!(text.parse::<Mailbox>().map(Mailbox::into_header), Ok(header.to_owned()), "{text}");
        }
    }

    #[test]
    fn text_without_an_address_is_no_mailbox() {
        for text in [
            "",
            "security",
            "Shop",
            "云商城",
            "example.com",
            "security@localhost",
            "security@1.2.3.4",
            "用户@example.com",
            "the security@example.com",
            "Shop security@example.com",
            "Shop <security>",
            "Shop <>",
            "Shop <security@example.com",
            "Shop security@example.com>",
            "Shop <security@example.com> x",
            "a@example.com, b@example.com",
            "Shop <a@example.com>, <b@example.com>",
            "a <b> <security@example.com>",
            "\"Shop <security@example.com>",
            "Shop \"x\" <security@example.com>",
            "Shop\r\nBcc: li@example.com <security@example.com>",
        ] {
            assert_eq!(text.parse::<Mailbox>(), Err(InvalidMailbox), "{text}");
        }
        assert!(format!("{} <a@example.com>", "云".repeat(65)).parse::<Mailbox>().is_err());
    }

    /// Returns the text of a sequence of encoded words.
    fn decoded(words: &str) -> String {
        let word = |word: &str| {
            assert!(word.len() <= 75, "{word}");
            let base64 = word.strip_prefix("=?utf-8?b?").and_then(|word| word.strip_suffix("?=")).unwrap();
            STANDARD.decode(base64).unwrap()
        };
        String::from_utf8(words.split(' ').flat_map(word).collect()).unwrap()
    }

    proptest! {
        #[test]
        fn display_name_becomes_one_line_of_ascii(name in "[一-鿿α-ωé🎁 ]{0,31}云[一-鿿a-z]{0,31}") {
            let header = format!("{name} <a@example.com>").parse::<Mailbox>().unwrap().into_header();
            let words = header.strip_suffix(" <a@example.com>").unwrap();
            prop_assert_eq!(decoded(words), name.trim());
        }
    }
}
