//! Email addresses.

use super::InvalidContact;
use crate::text;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

/// The longest address (RFC 5321, 4.5.3.1.3, with erratum 1690 of RFC 3696).
const MAX_EMAIL_LENGTH: usize = 254;

/// The most characters of a typed address: the longest one with `mailto:` and spaces around it.
const MAX_TYPED_EMAIL_LENGTH: usize = 320;

/// An email address: the local part as its member wrote it, the domain in ASCII and lower case.
///
/// Email goes to that spelling, because only the server that receives it may interpret the case of a local part (RFC
/// 5321, 2.4). Hardly any server distinguishes case, so two spellings that differ only in case are one mailbox and
/// compare as equal. Otherwise each spelling would have rate limits and an owner of its own.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email(pub(super) String);

impl Email {
    /// Returns the address as its member wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the address for its own member, who recognizes it: `l***@example.com`. The number of asterisks is
    /// always the same, and the only character of a local part is hidden as well.
    #[must_use]
    pub fn masked(&self) -> String {
        let (local_part, domain) = self.0.rsplit_once('@').unwrap_or_default();
        let mut characters = local_part.chars();
        let first = characters.next().filter(|_| characters.next().is_some());
        format!("{}***@{domain}", first.map(String::from).unwrap_or_default())
    }

    /// Returns the text that identifies the mailbox: the address in lower case.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Email {}

impl Hash for Email {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical().hash(state);
    }
}

impl FromStr for Email {
    type Err = InvalidContact;

    /// Parses an address that a person typed or pasted, in any width, and with or without `mailto:`. Rejects a display
    /// name, a quoted local part and an address literal: members do not use them, and each is a second spelling of the
    /// same address. Rejects a local part that is not ASCII as well, because SES does not send to it (Amazon SES
    /// Developer Guide, "Email format in Amazon SES").
    fn from_str(typed: &str) -> Result<Self, InvalidContact> {
        let typed: String = text::typed(typed).take(MAX_TYPED_EMAIL_LENGTH + 1).collect();
        if typed.chars().count() > MAX_TYPED_EMAIL_LENGTH {
            return Err(InvalidContact);
        }
        let (local_part, domain) =
            text::without_scheme(typed.trim(), "mailto:").rsplit_once('@').ok_or(InvalidContact)?;
        if !local_part.is_ascii() || local_part.starts_with('"') {
            return Err(InvalidContact);
        }
        let domain = ascii_domain(domain).ok_or(InvalidContact)?;
        let address = format!("{local_part}@{domain}");
        if address.len() > MAX_EMAIL_LENGTH {
            return Err(InvalidContact);
        }
        let options = email_address::Options::default()
            .with_required_tld()
            .without_display_text()
            .without_domain_literal();
        email_address::EmailAddress::parse_with_options(&address, options).map_err(|_| InvalidContact)?;
        Ok(Self(address))
    }
}

/// Returns a domain of at least two labels, in any script, in its ASCII form and lower case (UTS 46, `ToASCII`). The
/// top label must be alphabetic or Punycode (RFC 3696, 2), so that an IPv4 address is not a domain.
pub(crate) fn ascii_domain(domain: &str) -> Option<String> {
    let ascii = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .ok()?;
    let (_, top) = ascii.rsplit_once('.')?;
    let is_top = top.starts_with("xn--") || top.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_top.then(|| ascii.into_owned())
}

impl fmt::Debug for Email {
    /// Shows only the first character and the top-level domain.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.0.chars().next().unwrap_or('?');
        write!(f, "{first}…@….{}", self.0.rsplit('.').next().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn debug_masks_the_address() {
        assert_eq!(format!("{:?}", Email::from_str("li.lei@Example.com").unwrap()), "l…@….com");
    }

    #[test]
    fn masked_address_shows_first_character_and_domain() {
        for (address, masked) in [
            ("li@example.com", "l***@example.com"),
            ("Li.Lei+shop@example.co.uk", "L***@example.co.uk"),
            ("l@example.com", "***@example.com"),
            ("li@例子.中国", "l***@xn--fsqu00a.xn--fiqs8s"),
        ] {
            assert_eq!(Email::from_str(address).unwrap().masked(), masked);
        }
    }

    #[test]
    fn email_keeps_the_local_part_and_normalises_domains() {
        for (typed, spelling, canonical) in [
            (" Li.Lei@EXAMPLE.com ", "Li.Lei@example.com", "li.lei@example.com"),
            ("Sun.Li@example.com", "Sun.Li@example.com", "sun.li@example.com"),
            ("LI+a@BÜCHER.example", "LI+a@xn--bcher-kva.example", "li+a@xn--bcher-kva.example"),
            ("li@例子.中国", "li@xn--fsqu00a.xn--fiqs8s", "li@xn--fsqu00a.xn--fiqs8s"),
            ("li@ｅｘａｍｐｌｅ．ｃｏｍ", "li@example.com", "li@example.com"),
            ("ｌｉ＠ｅｘａｍｐｌｅ．ｃｏｍ", "li@example.com", "li@example.com"),
            ("li＠example。com", "li@example.com", "li@example.com"),
            ("\u{feff}li@example.com\u{200b}", "li@example.com", "li@example.com"),
            ("\u{a0}\u{3000}li@example.com\r\n", "li@example.com", "li@example.com"),
            ("\u{202a}li@example.com\u{202c}", "li@example.com", "li@example.com"),
            ("li@exam\u{ad}ple.com", "li@example.com", "li@example.com"),
            ("mailto:li@example.com", "li@example.com", "li@example.com"),
            ("MAILTO: Li@example.com", "Li@example.com", "li@example.com"),
            ("li@faß.example", "li@xn--fa-hia.example", "li@xn--fa-hia.example"),
            ("li@BU\u{308}CHER.example", "li@xn--bcher-kva.example", "li@xn--bcher-kva.example"),
            ("li@XN--BCHER-KVA.example", "li@xn--bcher-kva.example", "li@xn--bcher-kva.example"),
            (
                "o'hara+tag_1-2@mail.example.co.uk",
                "o'hara+tag_1-2@mail.example.co.uk",
                "o'hara+tag_1-2@mail.example.co.uk",
            ),
            ("10086@qq.com", "10086@qq.com", "10086@qq.com"),
        ] {
            let email = Email::from_str(typed).unwrap();
            assert_eq!((email.as_str(), email.canonical().as_str()), (spelling, canonical), "{typed}");
        }
    }

    #[test]
    fn email_rejects_malformed_addresses() {
        for typed in [
            "",
            "li",
            "li@",
            "@x.com",
            "Li <li@x.com>",
            "\"li\"@x.com",
            "li@[1.2.3.4]",
            "li@localhost",
            "a b@x.com",
            "ü@example.com",
            "李@example.com",
            "li@-a.example",
            "li@a_b.example",
            "li@example.com.",
            "li@xn--bcher-kvb.example",
            // Numbers and address literals.
            "li@1.2.3.4",
            "li@１.２.３.４",
            "li@1.2.3.4.",
            "li@[1.2.3.4]",
            "li@[IPv6:2001:db8::1]",
            "li@0x7f.0x1",
            "li@example.123",
            "li@2130706433",
            // Quotation marks, comments, display names, lists.
            "\"l i\"@x.com",
            "\"li@lei\"@x.com",
            "l\"i@x.com",
            "li(home)@x.com",
            "(home)li@x.com",
            "<li@x.com>",
            "li@x.com;lei@x.com",
            "li@x.com,lei@x.com",
            "li@lei@x.com",
            "mailto:li@x.com?subject=x",
            "mailto:mailto:li@x.com",
            // Dots.
            ".li@x.com",
            "li.@x.com",
            "li..lei@x.com",
            "li@.x.com",
            "li@x..com",
            "li@x.com。",
            // Spaces within, control characters.
            "li @x.com",
            "li@ x.com",
            "li\u{a0}lei@x.com",
            "li\r\nBcc: lei@x.com",
            "li\u{0}@x.com",
            // Letters that look like ASCII.
            "zoé@example.com",
            "用户@example.com",
            "lı@example.com",
            "ⅼі@example.com",
            "undefined",
            "null@null",
        ] {
            assert_eq!(Email::from_str(typed), Err(InvalidContact), "{typed}");
        }
    }

    #[test]
    fn email_length_is_limited_after_idna() {
        let parse = |local: usize, domain: &str| Email::from_str(&format!("{}@{domain}", "l".repeat(local)));
        assert!(parse(64, "example.com").is_ok());
        assert!(parse(65, "example.com").is_err());
        // 254 characters and 255.
        let label = "d".repeat(61);
        let domain = |last: usize| format!("{label}.{label}.{}.com", "d".repeat(last));
        assert_eq!(parse(64, &domain(61)).unwrap().as_str().len(), 254);
        assert!(parse(64, &domain(62)).is_err());
        assert!(parse(1, &format!("{}.com", "d".repeat(63))).is_ok());
        assert!(parse(1, &format!("{}.com", "d".repeat(64))).is_err());
        // A label of 60 characters that has more than 63 in ASCII.
        assert!(parse(1, &format!("{}é.com", "d".repeat(59))).is_err());
        assert!(Email::from_str(&"l@".repeat(100_000)).is_err());
        assert!(Email::from_str(&format!("li@example.com{}x", " ".repeat(1_000))).is_err());
    }

    /// Returns addresses, some of them with a domain that is not ASCII.
    fn address() -> impl Strategy<Value = String> {
        "[A-Za-z0-9+_]{1,20}(\\.[A-Za-z0-9]{1,8}){0,2}@([a-zA-Z0-9äöéñж中例]{1,8}\\.){1,3}(com|EXAMPLE|рф|中国)"
    }

    proptest! {
        #[test]
        fn parsed_address_parses_to_itself(text in any::<String>()) {
            if let Ok(email) = Email::from_str(&text) {
                let parsed = Email::from_str(email.as_str()).unwrap();
                prop_assert_eq!(parsed.as_str(), email.as_str());
            }
        }

        #[test]
        fn canonical_address_is_its_own_canonical_form(email in address()) {
            let canonical = Email::from_str(&email).unwrap().canonical();
            let parsed = Email::from_str(&canonical).unwrap();
            prop_assert_eq!((parsed.as_str(), &parsed.canonical()), (canonical.as_str(), &canonical));
        }

        #[test]
        fn every_spelling_of_a_mailbox_has_one_key(
            email in address(),
            upper in prop::collection::vec(any::<bool>(), 64),
        ) {
            let parsed = Email::from_str(&email).unwrap();
            let (_, ascii_domain) = parsed.as_str().rsplit_once('@').unwrap();
            let (local_part, domain) = email.rsplit_once('@').unwrap();
            for domain in [
                domain.to_owned(),
                domain.to_uppercase(),
                ascii_domain.to_owned(),
                ascii_domain.to_uppercase(),
                domain.replace('.', "。"),
            ] {
                let cased = |(letter, upper): (char, &bool)| {
                    if *upper { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
                };
                let local_part: String = local_part.chars().zip(upper.iter().cycle()).map(cased).collect();
                let other = Email::from_str(&format!("\u{feff} {local_part}＠{domain}\u{200b}\n")).unwrap();
                prop_assert_eq!(&other, &parsed);
                prop_assert_eq!(other.canonical(), parsed.canonical());
            }
        }
    }
}
