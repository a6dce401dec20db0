//! Where a member can be reached: [`Phone`] and [`Email`], parsed once, masked in `Debug`.

use phonenumber::{Mode, country};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The text is no phone number that may be sent to, or no mail address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid contact")]
pub struct InvalidContact;

/// A valid phone number, kept as E.164 (ITU-T E.164: `+`, calling code, national number; 15 digits at most).
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Phone(String);

/// The longest E.164 number, with its `+` (ITU-T E.164, 6.2.1).
const MAX_E164_LENGTH: usize = 16;

/// Which phone numbers are taken, and how a national one is read.
#[derive(Clone, Debug)]
pub struct PhoneRules {
    /// The region whose national numbers are taken without a calling code.
    pub default_region: country::Id,
    /// The calling codes that may be sent to, such as 86.
    pub allowed_calling_codes: Vec<u16>,
}

impl PhoneRules {
    /// Reads what a person typed: a national number of the default region or an international one.
    ///
    /// # Errors
    /// [`InvalidContact`] for what is no valid number, or one of a calling code that is not allowed.
    pub fn parse(&self, typed: &str) -> Result<Phone, InvalidContact> {
        // E.164 has 15 digits; even with a separator after each and a prefix, 40 characters are plenty. A
        // letter would be read as the digit on its key, and an O for a 0 make it somebody else's number.
        if typed.len() > 40 || typed.contains(char::is_alphabetic) {
            return Err(InvalidContact);
        }
        // With a region, the crate strips that region's trunk prefix from international numbers as well,
        // and with it the leading zero that belongs to an Italian or Ivorian number.
        let region = (!typed.trim_start().starts_with('+')).then_some(self.default_region);
        let e164 = self.read(region, typed)?;
        // Where it has done so after an international prefix such as 00, that shows here.
        if self.read(None, &e164)? == e164 { Ok(Phone(e164)) } else { Err(InvalidContact) }
    }

    /// The E.164 form of a number that may be sent to.
    fn read(&self, region: Option<country::Id>, text: &str) -> Result<String, InvalidContact> {
        let number = phonenumber::parse(region, text).map_err(|_| InvalidContact)?;
        let e164 = number.format().mode(Mode::E164).to_string();
        let good = phonenumber::is_valid(&number)
            && number.extension().is_none()
            && self.allowed_calling_codes.contains(&number.code().value())
            // The rules of some regions know longer ones: Germany's have up to 17 digits.
            && e164.len() <= MAX_E164_LENGTH;
        if good { Ok(e164) } else { Err(InvalidContact) }
    }
}

impl Phone {
    /// The E.164 form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Calling code and national number, such as `("86", "13627140483")`.
    ///
    /// # Errors
    /// [`InvalidContact`] where the stored text is no E.164 number.
    pub fn parts(&self) -> Result<(&str, &str), InvalidContact> {
        let digits = self.0.strip_prefix('+').ok_or(InvalidContact)?;
        digits.split_at_checked(calling_code_length(digits)).ok_or(InvalidContact)
    }
}

/// Digits of the calling code that a number begins with. Calling codes are a prefix code: in ITU-T
/// E.164's list of assigned country codes the first two digits tell the length. Known here, because a
/// number that is E.164 already needs none of the tables by which a typed one is read: they are a
/// quarter of a function's size, and a third of what its start takes beyond a bare one's.
fn calling_code_length(digits: &str) -> usize {
    match digits.as_bytes() {
        [b'1' | b'7', ..] => 1,
        [b'2', b'0' | b'7', ..]
        | [b'3', b'0'..=b'4' | b'6' | b'9', ..]
        | [b'4', b'0' | b'1' | b'3'..=b'9', ..]
        | [b'5', b'1'..=b'8', ..]
        | [b'6', b'0'..=b'6', ..]
        | [b'8', b'1' | b'2' | b'4' | b'6', ..]
        | [b'9', b'0'..=b'5' | b'8', ..] => 2,
        _ => 3,
    }
}

impl fmt::Debug for Phone {
    /// Calling code and number are hidden but for the last two digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+…{}", self.0.get(self.0.len().saturating_sub(2)..).unwrap_or_default())
    }
}

/// A mail address, its domain in lower case. The local part keeps its spelling (RFC 5321, 2.4).
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = InvalidContact;

    /// Reads what a person typed. A display name, a quoted local part and an address literal are
    /// not taken: no member has one, and each is a way to say the same address twice.
    fn from_str(typed: &str) -> Result<Self, InvalidContact> {
        let (local_part, domain) = typed.trim().rsplit_once('@').ok_or(InvalidContact)?;
        // Before it is checked: `İ` becomes two characters, of which one is in no domain.
        let address = format!("{local_part}@{}", domain.to_lowercase());
        let options = email_address::Options::default()
            .with_required_tld()
            .without_display_text()
            .without_domain_literal();
        email_address::EmailAddress::parse_with_options(&address, options).map_err(|_| InvalidContact)?;
        if local_part.starts_with('"') { Err(InvalidContact) } else { Ok(Self(address)) }
    }
}

impl fmt::Debug for Email {
    /// The first character and the top-level domain alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.0.chars().next().unwrap_or('?');
        write!(f, "{first}…@….{}", self.0.rsplit('.').next().unwrap_or_default())
    }
}

/// Where a code or a notice goes: the thing whose possession a code proves.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Destination {
    /// By SMS.
    Phone(Phone),
    /// By mail.
    Email(Email),
}

impl Destination {
    /// The destination as one text, in which a phone and an address can never be the same.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Phone(phone) => format!("phone#{}", phone.as_str()),
            Self::Email(email) => format!("email#{}", email.as_str()),
        }
    }

    /// A phone, as a token names it: calling code and national number.
    pub(crate) fn of_parts(calling_code: &str, national: &str) -> Self {
        Self::Phone(Phone(format!("+{calling_code}{national}")))
    }

    /// An address, as a token names it.
    pub(crate) fn of_address(address: &str) -> Self {
        Self::Email(Email(address.to_owned()))
    }
}

impl From<Destination> for String {
    fn from(destination: Destination) -> Self {
        destination.key()
    }
}

impl TryFrom<String> for Destination {
    type Error = InvalidContact;

    /// Reads what [`Destination::key`] wrote.
    fn try_from(key: String) -> Result<Self, InvalidContact> {
        match key.split_once('#') {
            Some(("phone", e164)) => Ok(Self::Phone(Phone(e164.to_owned()))),
            Some(("email", address)) => Ok(Self::Email(Email(address.to_owned()))),
            _ => Err(InvalidContact),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules() -> PhoneRules {
        PhoneRules { default_region: country::CN, allowed_calling_codes: vec![86, 39, 7] }
    }

    #[test]
    fn a_phone_is_the_same_however_it_is_typed() {
        let expected = rules().parse("13627140483").unwrap();
        assert_eq!(expected.as_str(), "+8613627140483");
        for typed in
            ["+8613627140483", "+86 136 2714 0483", "0086 13627140483", "136-2714-0483", " 13627140483 "]
        {
            assert_eq!(rules().parse(typed), Ok(expected.clone()), "{typed}");
        }
        assert_eq!(expected.parts(), Ok(("86", "13627140483")));
    }

    #[test]
    fn a_leading_zero_of_the_national_number_stays() {
        let rome = rules().parse("+39 02 3661 8300").unwrap();
        assert_eq!(rome.as_str(), "+390236618300");
        assert_eq!(rome.parts(), Ok(("39", "0236618300")));
    }

    #[test]
    fn a_number_of_more_than_fifteen_digits_is_no_phone() {
        let rules = PhoneRules { allowed_calling_codes: vec![49], ..rules() };
        assert!(rules.parse("+495112345234567").is_ok());
        assert_eq!(rules.parse("+49511234523456789"), Err(InvalidContact));
    }

    #[test]
    fn the_length_of_every_calling_code_is_known() {
        let database = &phonenumber::metadata::DATABASE;
        let codes: Vec<u16> = (1..=999).filter(|code| database.by_code(code).is_some()).collect();
        assert!(codes.len() > 200, "{codes:?}");
        for code in codes {
            assert_eq!(calling_code_length(&format!("{code}12345678")), code.to_string().len(), "{code}");
        }
    }

    #[test]
    fn what_cannot_be_sent_to_is_no_phone() {
        for typed in [
            "",
            "1362714048",
            "+12025550123",
            "13627140483 ext. 5",
            "hello",
            "+86",
            "１３",
            "+8613627140483;x=1",
            "1362714O483",
            // Rome without its zero, which is no number there; Saransk, which the crate knows by one spelling
            // alone.
            "0039 02 3661 8300",
            "007 834 267 8825",
        ] {
            assert_eq!(rules().parse(typed), Err(InvalidContact), "{typed}");
        }
    }

    #[test]
    fn a_contact_shows_little_of_itself() {
        assert_eq!(format!("{:?}", rules().parse("13627140483").unwrap()), "+…83");
        assert_eq!(format!("{:?}", Email::from_str("li.lei@Example.com").unwrap()), "l…@….com");
    }

    #[test]
    fn an_address_is_parsed_once() {
        assert_eq!(Email::from_str(" Li.Lei@EXAMPLE.com ").unwrap().as_str(), "Li.Lei@example.com");
        assert_eq!(Email::from_str("li@BÜCHER.example").unwrap().as_str(), "li@bücher.example");
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
            "li@EXAMPLE.İSTANBUL",
        ] {
            assert_eq!(Email::from_str(typed), Err(InvalidContact), "{typed}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parsers(text in any::<String>()) {
            if let Ok(phone) = rules().parse(&text) {
                prop_assert_eq!(rules().parse(phone.as_str()), Ok(phone));
            }
            if let Ok(email) = Email::from_str(&text) {
                prop_assert_eq!(Email::from_str(email.as_str()), Ok(email));
            }
        }

        #[test]
        fn every_chinese_mobile_number_is_itself_again(rest in 0u64..100_000_000) {
            let typed = format!("138{rest:08}");
            let phone = rules().parse(&typed).unwrap();
            prop_assert_eq!(phone.parts(), Ok(("86", typed.as_str())));
        }
    }
}
