//! Phone numbers that can receive SMS.

use super::InvalidContact;
use crate::text;
use phonenumber::{Mode, PhoneNumber, Type, country, metadata::DATABASE};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A valid phone number in E.164 form: `+`, calling code, national number; at most 15 digits (ITU-T E.164).
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Phone(pub(super) String);

/// The length of the longest E.164 number, with its `+` (ITU-T E.164, 6.2.1).
const MAX_E164_LENGTH: usize = 16;

/// The most characters of a typed number: the 15 digits of E.164 with a separator after each, and a prefix.
const MAX_TYPED_LENGTH: usize = 40;

/// The numbers that are not a subscriber's phone, although the pattern for mobile numbers may include them. The order
/// of libphonenumber's `getNumberType`, in which these ranges win over the mobile ones.
const SPECIAL: [Type; 8] = [
    Type::PremiumRate,
    Type::TollFree,
    Type::SharedCost,
    Type::Voip,
    Type::PersonalNumber,
    Type::Pager,
    Type::Uan,
    Type::Voicemail,
];

/// The phone numbers that are accepted: those that can receive SMS, of the allowed regions.
#[derive(Clone, Debug)]
pub struct PhoneRules {
    /// The region of a number that is written without a calling code.
    pub default_region: country::Id,
    /// The regions that SMS may be sent to. Several regions can share a calling code, as Jamaica and the United
    /// States share +1.
    pub allowed_regions: Vec<country::Id>,
}

impl PhoneRules {
    /// Parses a number that a person typed or pasted: a national number of the default region, or an international
    /// number, in any width, with any separators, and with or without `tel:`.
    ///
    /// # Errors
    /// [`InvalidContact`] if the number is invalid, cannot receive SMS, or belongs to a region that is not allowed.
    pub fn parse(&self, typed: &str) -> Result<Phone, InvalidContact> {
        let typed: String = text::typed(typed).take(MAX_TYPED_LENGTH + 1).collect();
        if typed.chars().count() > MAX_TYPED_LENGTH {
            return Err(InvalidContact);
        }
        let number = diallable(text::without_scheme(typed.trim(), "tel:")).ok_or(InvalidContact)?;
        // Given a region, the crate strips that region's trunk prefix from international numbers as well. That
        // removes the leading zero that is a part of an Italian or Ivorian number.
        let region = (!number.starts_with('+')).then_some(self.default_region);
        let e164 = self.read(region, &number)?;
        // After an international prefix such as 00 it still does. Such a number is then invalid or differs here.
        if self.read(None, &e164)? == e164 { Ok(Phone(e164)) } else { Err(InvalidContact) }
    }

    /// Returns whether SMS may be sent to a phone. A phone that was accepted once can have been bound under other
    /// settings.
    #[must_use]
    pub fn allow(&self, phone: &Phone) -> bool {
        self.read(None, phone.as_str()).is_ok()
    }

    /// Returns the E.164 form of a number that SMS may be sent to.
    fn read(&self, region: Option<country::Id>, text: &str) -> Result<String, InvalidContact> {
        let number = phonenumber::parse(region, text).map_err(|_| InvalidContact)?;
        let e164 = number.format().mode(Mode::E164).to_string();
        let acceptable = phonenumber::is_valid(&number)
            && number.extension().is_none()
            && number.country().id().is_some_and(|region| self.allowed_regions.contains(&region))
            && receives_sms(&number)
            // The crate's rules for some regions allow more: German numbers have up to 17 digits.
            && e164.len() <= MAX_E164_LENGTH;
        if acceptable { Ok(e164) } else { Err(InvalidContact) }
    }
}

/// Returns the digits of a typed number, after a `+` if it has one. Returns `None` if it contains anything else than
/// separators: a letter, which could mean the digit on its key and give another person's number, a pause, or an
/// extension. The crate would take the digits before the first separator of an international number for its calling
/// code.
fn diallable(typed: &str) -> Option<String> {
    if typed.contains(char::is_alphabetic) {
        return None;
    }
    let mut number = String::new();
    for character in typed.trim_matches(|c| c != '+' && digit(c).is_none()).chars() {
        match digit(character) {
            Some(digit) => number.push(digit),
            None if character == '+' && number.is_empty() => number.push(character),
            None if is_separator(character) => {}
            None => return None,
        }
    }
    Some(number)
}

/// The zeros of the scripts whose decimal digits libphonenumber knows, each followed by its nine others.
const ZEROS: [char; 15] = [
    '0', '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}', '\u{be6}',
    '\u{c66}', '\u{ce6}', '\u{d66}', '\u{e50}', '\u{ed0}',
];

/// Returns the ASCII form of a decimal digit in any of these scripts.
fn digit(character: char) -> Option<char> {
    ZEROS.into_iter().find_map(|zero| {
        let value = u32::from(character).checked_sub(u32::from(zero))?;
        char::from_digit(value, 10).filter(char::is_ascii_digit)
    })
}

/// Returns whether a character only groups the digits of a number: the punctuation that libphonenumber knows, in NFKC.
fn is_separator(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '.' | '(' | ')' | '[' | ']' | '/' | '~'
        )
}

/// Returns whether a number is mobile, or may be mobile where the numbering plan does not distinguish it from a fixed
/// line.
///
/// Not by [`PhoneNumber::number_type`], which omits the leading zeros that are a part of Ivorian and other numbers.
fn receives_sms(number: &PhoneNumber) -> bool {
    let Some(plan) = number.metadata(&DATABASE) else { return false };
    let national = number.national().to_string();
    let is = |kind| plan.descriptors().get(kind).is_some_and(|numbers| numbers.is_match(&national));
    is(Type::Mobile) && !SPECIAL.into_iter().any(is)
}

impl Phone {
    /// Returns the E.164 form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the calling code and the national number, such as `("86", "13627140483")`.
    ///
    /// # Errors
    /// [`InvalidContact`] if the stored text is not an E.164 number.
    pub fn parts(&self) -> Result<(&str, &str), InvalidContact> {
        let digits = self.0.strip_prefix('+').ok_or(InvalidContact)?;
        digits.split_at_checked(calling_code_length(digits)).ok_or(InvalidContact)
    }

    /// Returns the number for its own member, who recognizes it: `136****0483`, and `+49 151****5678` for a number
    /// outside mainland China. It hides at least four digits, and shows at most three before and four after them.
    #[must_use]
    pub fn masked(&self) -> String {
        let Ok((calling_code, national)) = self.parts() else { return HIDDEN.to_owned() };
        let shown = national.len().saturating_sub(HIDDEN.len());
        let last = shown.div_ceil(2).min(4);
        let first = (shown - last).min(3);
        let (first, last) = (national.get(..first), national.get(national.len() - last..));
        let masked = [first.unwrap_or_default(), HIDDEN, last.unwrap_or_default()].concat();
        if calling_code == CHINA { masked } else { format!("+{calling_code} {masked}") }
    }
}

/// What stands for the hidden digits of a number.
const HIDDEN: &str = "****";

/// The calling code of mainland China, whose numbers are shown without it.
const CHINA: &str = "86";

/// Returns how many digits the calling code of a number has. Calling codes are a prefix code: in ITU-T E.164's list
/// of assigned country codes the first two digits determine the length.
///
/// The lengths are written out here, so that a function that reads only E.164 numbers does not link the tables of
/// the parser. The tables are a quarter of a function's size, and a third of its start-up time above that of a bare
/// function.
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
    /// Shows only the last two digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+…{}", self.0.get(self.0.len().saturating_sub(2)..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules() -> PhoneRules {
        PhoneRules {
            default_region: country::CN,
            allowed_regions: vec![country::CN, country::CI, country::IT, country::RU],
        }
    }

    /// Returns rules that allow these regions.
    fn allowing(allowed_regions: &[country::Id]) -> PhoneRules {
        PhoneRules { allowed_regions: allowed_regions.to_vec(), ..rules() }
    }

    #[test]
    fn masked_number_hides_at_least_four_digits() {
        for (e164, masked) in [
            ("+8613627140483", "136****0483"),
            ("+4915112345678", "+49 151****5678"),
            ("+12025550123", "+1 202****123"),
            ("+4741234567", "+47 41****67"),
            ("+6907123", "+690 ****"),
            ("+35312", "+353 ****"),
            ("", "****"),
        ] {
            assert_eq!(Phone(e164.to_owned()).masked(), masked, "{e164}");
        }
    }

    proptest! {
        #[test]
        fn masked_number_shows_at_most_seven_digits(national in "[0-9]{0,13}") {
            let masked = Phone(format!("+86{national}")).masked();
            let shown = masked.bytes().filter(u8::is_ascii_digit).count();
            prop_assert!(shown <= 7 && shown <= national.len().saturating_sub(4), "{masked}");
        }
    }

    #[test]
    fn phone_is_equal_in_every_spelling() {
        let expected = rules().parse("13627140483").unwrap();
        assert_eq!(expected.as_str(), "+8613627140483");
        for typed in [
            "+8613627140483",
            "+86 136 2714 0483",
            "+86-136-2714-0483",
            "+86136-2714-0483",
            "+8613627140-483",
            "0086 13627140483",
            "008613627140483",
            "8613627140483",
            "86 13627140483",
            "86-136-2714-0483",
            "(86)13627140483",
            "(+86)13627140483",
            "(+86) 136 2714 0483",
            "+(86)13627140483",
            "+86 (136) 2714-0483",
            "136-2714-0483",
            "136.2714.0483",
            "136 2714 0483",
            "(136) 2714 0483",
            " 13627140483 ",
            "\t13627140483\r\n",
            // The trunk prefix for a call from a landline.
            "013627140483",
            // East Asian keyboards.
            "＋８６　１３６２７１４０４８３",
            "（＋８６）１３６２７１４０４８３",
            "１３６２７１４０４８３",
            "１３６－２７１４－０４８３",
            "①③⑥②⑦①④⓪④⑧③",
            // Copied contacts, chats, tables and web pages.
            "\u{202d}136 2714 0483\u{202c}",
            "\u{202a}+86 136 2714 0483\u{202c}",
            "\u{2068}+86 136-2714-0483\u{2069}",
            "\u{200e}+86\u{a0}136\u{a0}2714\u{a0}0483",
            "\u{feff}13627140483",
            "136\u{200b}2714\u{200b}0483",
            "136\u{ad}2714\u{ad}0483",
            "136‐2714‐0483",
            "136‑2714–0483",
            "136—2714−0483",
            "tel:13627140483",
            "tel:+8613627140483",
            "TEL:+86-136-2714-0483",
            "tel: 136 2714 0483",
            "tel://13627140483",
            "\"13627140483\"",
            "13627140483。",
            "13627140483,",
            "१३६२७१४०४८३",
            "\u{661}\u{663}\u{666}\u{662}\u{667}\u{661}\u{664}\u{660}\u{664}\u{668}\u{663}",
        ] {
            assert_eq!(rules().parse(typed), Ok(expected.clone()), "{typed}");
        }
        assert_eq!(expected.parts(), Ok(("86", "13627140483")));
    }

    #[test]
    fn phone_retains_the_national_leading_zero() {
        let ivorian = rules().parse("+225 01 23 45 67 89").unwrap();
        assert_eq!(ivorian.as_str(), "+2250123456789");
        assert_eq!(ivorian.parts(), Ok(("225", "0123456789")));
    }

    #[test]
    fn numbers_that_cannot_receive_sms_are_rejected() {
        let regions = [
            country::CN,
            country::US,
            country::GB,
            country::RU,
            country::JM,
            country::IM,
            country::KZ,
            country::IT,
        ];
        for (typed, why) in [
            ("+1 900 234 5678", "premium rate"),
            ("+1 800 234 5678", "toll free"),
            ("+44 70 1234 5678", "a personal number"),
            ("+44 20 7946 0018", "a landline"),
            ("+86 10 1234 5678", "a landline"),
            ("+86 400 123 4567", "shared cost"),
            ("+86 800 123 4567", "toll free"),
            ("+39 02 3661 8300", "a landline"),
        ] {
            assert!(phonenumber::parse(None, typed).unwrap().is_valid(), "{typed} must be a number");
            assert_eq!(allowing(&regions).parse(typed), Err(InvalidContact), "{typed} is {why}");
        }
    }

    #[test]
    fn regions_that_share_a_calling_code_are_distinguished() {
        use country::{CA, CN, GB, HK, IM, JM, KZ, RU, US};
        for (typed, region, others) in [
            ("13627140483", CN, &[HK][..]),
            ("19912345678", CN, &[HK]),
            ("+852 5123 4567", HK, &[CN]),
            ("+1 202 456 1414", US, &[CA, JM]),
            ("+1 613 782 7274", CA, &[US, JM]),
            ("+1 876 210 1234", JM, &[US, CA]),
            ("+44 7400 123456", GB, &[IM]),
            ("+44 7624 123456", IM, &[GB]),
            ("+7 912 345 67 89", RU, &[KZ]),
            ("+7 701 234 5678", KZ, &[RU]),
        ] {
            let phone = allowing(&[region]).parse(typed);
            assert!(phone.is_ok(), "{typed}");
            assert_eq!(allowing(others).parse(typed), Err(InvalidContact), "{typed}");
            let phone = phone.unwrap();
            assert!(allowing(&[region]).allow(&phone) && !allowing(others).allow(&phone), "{typed}");
        }
    }

    #[test]
    fn calling_code_length_matches_the_phonenumber_tables() {
        let database = &phonenumber::metadata::DATABASE;
        let codes: Vec<u16> = (1..=999).filter(|code| database.by_code(code).is_some()).collect();
        assert!(codes.len() > 200, "{codes:?}");
        for code in codes {
            assert_eq!(calling_code_length(&format!("{code}12345678")), code.to_string().len(), "{code}");
        }
    }

    #[test]
    fn phone_rejects_invalid_or_disallowed_numbers() {
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
            "１３６２７１４０４８３１３６２７１４０４８３１３６２７１４０４８３１３６２７１４０４８３",
            "13627140483 x5",
            "13627140483#5",
            "13627140483,5",
            "13627140483;ext=5",
            "13627140483*5",
            "1362714#0483",
            "+86+13627140483",
            "136 2714 0483 转 5",
            "tel:13627140483;phone-context=+86",
            "tel:tel:13627140483",
            "sms:13627140483",
            "13627140483/13800138000",
            "13627140483 13800138000",
            "手机13627140483",
            "undefined",
            "null",
            "NaN",
            "1.3627140483e10",
            "136****0483",
            // Hong Kong, which without + looks like a landline of Guizhou.
            "852 5123 4567",
            "85251234567",
            // An Ivorian number without its leading zero is invalid.
            "00225 01 23 45 67 89",
        ] {
            assert_eq!(rules().parse(typed), Err(InvalidContact), "{typed}");
        }
    }

    #[test]
    fn debug_masks_the_number() {
        assert_eq!(format!("{:?}", rules().parse("13627140483").unwrap()), "+…83");
    }

    proptest! {
        #[test]
        fn parsed_number_parses_to_itself(text in any::<String>()) {
            if let Ok(phone) = rules().parse(&text) {
                prop_assert!(phone.as_str().len() <= MAX_E164_LENGTH);
                prop_assert!(rules().allow(&phone));
                prop_assert_eq!(rules().parse(phone.as_str()), Ok(phone));
            }
        }

        #[test]
        fn every_spelling_of_a_number_has_one_key(
            prefix in prop::sample::select(&["", "+86", "0086", "86", "(+86)", "+86 ", "tel:", "tel:+86-", "0", "＋８６"][..]),
            separators in prop::collection::vec(
                prop::sample::select(&["", "", "", "", "-", " ", "\u{a0}", "\u{200b}", "\u{202d}", "–", "."][..]),
                10,
            ),
            wide in prop::collection::vec(any::<bool>(), 11),
            rest in 0u64..100_000_000,
        ) {
            let digits = format!("138{rest:08}");
            let mut typed = format!("\u{202a}{prefix}");
            for (at, digit) in digits.bytes().enumerate() {
                let base = if wide[at] { '０' as u32 } else { '0' as u32 };
                typed.push(char::from_u32(base + u32::from(digit - b'0')).unwrap());
                typed.push_str(separators.get(at).unwrap_or(&"\u{202c}"));
            }
            let phone = rules().parse(&typed).unwrap();
            prop_assert_eq!(phone.as_str(), format!("+86{digits}"), "{}", typed);
        }

        #[test]
        fn chinese_mobile_numbers_round_trip(rest in 0u64..100_000_000) {
            let typed = format!("138{rest:08}");
            let phone = rules().parse(&typed).unwrap();
            prop_assert_eq!(phone.parts(), Ok(("86", typed.as_str())));
        }
    }
}
