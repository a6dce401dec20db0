//! One-time codes: their purposes, their binding to a destination and a flow, and the MAC by which they are stored.

use crate::{
    Secret,
    contact::Destination,
    domain::{
        keys::{KeyPurpose, Keys},
        member::MemberId,
    },
    error::Error,
    random, text,
};
use aws_lc_rs::constant_time;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The purpose of a code. A code of one purpose is invalid for every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Purpose {
    /// Change the login password by SMS.
    ChangePassword,
    /// Bind a phone.
    BindPhone,
    /// Reset the pay password.
    ResetPayPassword,
    /// Recover a forgotten login password by SMS.
    RecoverPassword,
    /// Bind an email address.
    BindMail,
    /// Recover a forgotten login password by email.
    RecoverByMail,
    /// Log in by SMS or email.
    LogIn,
    /// Register by SMS or email. The code logs a member in as well.
    Register,
    /// Close the account by SMS or email.
    CloseAccount,
}

impl Purpose {
    pub(crate) const ALL: [Self; 9] = [
        Self::ChangePassword,
        Self::BindPhone,
        Self::ResetPayPassword,
        Self::RecoverPassword,
        Self::BindMail,
        Self::RecoverByMail,
        Self::LogIn,
        Self::Register,
        Self::CloseAccount,
    ];

    /// Returns the purpose that a token's flag stands for.
    #[must_use]
    pub fn of_flag(flag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.flag() == flag)
    }

    /// Returns the flag that stands for the purpose in a token.
    #[must_use]
    pub fn flag(self) -> &'static str {
        match self {
            Self::ChangePassword => "30",
            Self::BindPhone => "40",
            Self::ResetPayPassword => "50",
            Self::RecoverPassword => "60",
            Self::BindMail => "70",
            Self::RecoverByMail => "80",
            Self::LogIn => "20",
            Self::Register => "10",
            Self::CloseAccount => "90",
        }
    }
}

impl From<Purpose> for String {
    fn from(purpose: Purpose) -> Self {
        purpose.flag().to_owned()
    }
}

impl TryFrom<String> for Purpose {
    type Error = &'static str;

    fn try_from(flag: String) -> Result<Self, Self::Error> {
        Self::of_flag(&flag).ok_or("no purpose has this flag")
    }
}

/// What a client wants a code for, as it names it in `purpose`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestedPurpose {
    /// `bind`: bind a phone or an email address.
    Bind,
    /// `pay`: reset the pay password.
    Pay,
    /// `recover`: recover the login password.
    Recover,
    /// `close`: close the account.
    Close,
}

impl FromStr for RequestedPurpose {
    type Err = Error;

    /// Parses a purpose in any case and width, with or without spaces around it.
    fn from_str(typed: &str) -> Result<Self, Error> {
        let typed: String = text::typed(typed).collect();
        match typed.trim().to_ascii_lowercase().as_str() {
            "bind" => Ok(Self::Bind),
            "pay" => Ok(Self::Pay),
            "recover" => Ok(Self::Recover),
            "close" => Ok(Self::Close),
            _ => Err(Error::BodyNotValid),
        }
    }
}

/// Identifies the client that requested a code: 128 random bits per send.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FlowId(String);

impl FlowId {
    /// Returns the flow in a token.
    pub(crate) fn of_token(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Generates a new flow.
    ///
    /// # Errors
    /// [`random::RandomError`] if the random source fails.
    pub fn draw() -> Result<Self, random::RandomError> {
        Ok(Self(URL_SAFE_NO_PAD.encode(random::bytes::<16>()?)))
    }

    /// Returns the flow as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FlowId(…)")
    }
}

/// The destination, purpose and flow of a code. The code is valid only for exactly these.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The phone or email address that the code is sent to.
    pub destination: Destination,
    /// The purpose of the code.
    pub purpose: Purpose,
    /// The client that requested the code.
    pub flow: FlowId,
}

impl Binding {
    /// Returns the MAC of a code under the current key. Only the MAC is stored.
    #[must_use]
    pub fn mac(&self, keys: &Keys, code: &Secret) -> CodeMac {
        self.mac_under(keys.current(), code.expose_secret())
    }

    /// Returns whether `guess` is the code with the stored MAC, compared in constant time. A code whose key was
    /// removed matches no guess.
    #[must_use]
    pub fn matches(&self, keys: &Keys, stored: &CodeMac, guess: &Code) -> bool {
        let Some(key) = stored.key_id().and_then(|id| keys.by_id(id)) else { return false };
        let mac = self.mac_under(key, guess.as_str());
        constant_time::verify_slices_are_equal(mac.0.as_bytes(), stored.0.as_bytes()).is_ok()
    }

    fn mac_under(&self, key: &crate::domain::keys::Key, code: &str) -> CodeMac {
        let destination = self.destination.key();
        let parts = [code, &destination, self.purpose.flag(), self.flow.as_str()].map(str::as_bytes);
        CodeMac(format!("{}.{}", key.id, URL_SAFE_NO_PAD.encode(key.mac(KeyPurpose::Code, &parts))))
    }
}

/// A code as a person typed or pasted it: exactly as many ASCII digits as the codes that are sent.
#[derive(Clone, Debug)]
pub struct Code(Secret);

impl Code {
    /// Parses a code of `length` digits. Reads it in NFKC and drops every character that is not an ASCII digit, so that
    /// `123 454`, `１２３４５４` and a pasted `123-454` with a line end are one code. Returns `None` if any other number
    /// of digits remains: such a text cannot be right, so it must not count as an attempt.
    #[must_use]
    pub fn parse(typed: &str, length: usize) -> Option<Self> {
        // No more digits are read than are needed to notice that there are too many.
        let digits: String = text::typed(typed).filter(char::is_ascii_digit).take(length + 1).collect();
        (digits.len() == length).then(|| Self(digits.into()))
    }

    /// Returns the digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The only one who may use a code.
#[derive(Clone, Debug)]
pub enum CodeHolder {
    /// The member for whom it was sent, identified by the session.
    Member(MemberId),
    /// The client that requested it, identified by the flow of its token.
    Flow(FlowId),
    /// The member, and only through the client that requested it.
    MemberInFlow(MemberId, FlowId),
}

impl CodeHolder {
    pub(crate) fn member(&self) -> Option<MemberId> {
        match self {
            Self::Member(member) | Self::MemberInFlow(member, _) => Some(*member),
            Self::Flow(_) => None,
        }
    }

    pub(crate) fn flow(&self) -> Option<&FlowId> {
        match self {
            Self::Flow(flow) | Self::MemberInFlow(_, flow) => Some(flow),
            Self::Member(_) => None,
        }
    }
}

/// A code that is being sent.
#[derive(Debug)]
pub struct NewCode {
    /// The binding of the code.
    pub binding: Binding,
    /// Seconds until the code expires.
    pub expires_in: u64,
    /// Seconds until another code may be requested.
    pub resend_in: u64,
}

/// The stored form of a code: `<key id>.<HMAC-SHA-256 in base64url>` over code, destination, purpose and flow.
///
/// The type has no `==`, because that would return at the first byte that differs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodeMac(String);

impl CodeMac {
    /// Returns the MAC as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns a MAC that matches no code. Comparing a guess with it takes the time of a real comparison, so the
    /// time does not disclose whether a code exists.
    pub(crate) fn absent(keys: &Keys) -> Self {
        Self(format!("{}.", keys.current().id))
    }

    fn key_id(&self) -> Option<&str> {
        self.0.split_once('.').map(|(id, _)| id)
    }
}

/// Generates a code of `length` decimal digits.
///
/// # Errors
/// [`random::RandomError`] if the random source fails.
pub fn generate(length: usize) -> Result<Secret, random::RandomError> {
    Ok(random::digits(length)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contact::Email,
        domain::keys::tests::{secret, two_keys},
    };
    use proptest::prelude::*;

    fn code(digits: &str) -> Code {
        Code::parse(digits, digits.len()).unwrap()
    }

    fn binding() -> Binding {
        Binding {
            destination: Destination::Email("li@example.com".parse::<Email>().unwrap()),
            purpose: Purpose::BindMail,
            flow: FlowId::draw().unwrap(),
        }
    }

    #[test]
    fn code_matches_only_its_own_binding() {
        let (keys, binding) = (two_keys(), binding());
        let stored = binding.mac(&keys, &Secret::from("123454"));
        assert!(binding.matches(&keys, &stored, &code("123454")));
        assert!(!binding.matches(&keys, &stored, &code("123455")));
        assert!(!binding.matches(&keys, &stored, &code("1234540")));
        for other in [
            Binding {
                destination: Destination::Email("lei@example.com".parse().unwrap()),
                ..binding.clone()
            },
            Binding { purpose: Purpose::RecoverByMail, ..binding.clone() },
            Binding { flow: FlowId::draw().unwrap(), ..binding.clone() },
        ] {
            assert!(!other.matches(&keys, &stored, &code("123454")), "{other:?}");
        }
    }

    #[test]
    fn code_survives_key_rotation_but_not_removal() {
        let binding = binding();
        let stored = binding.mac(&Keys::parse(&secret("old")).unwrap(), &Secret::from("123454"));
        assert!(binding.matches(&two_keys(), &stored, &code("123454")));
        let removed = Keys::parse(&format!(r#"{{"current":"new","new":"{}"}}"#, "n".repeat(64))).unwrap();
        assert!(!binding.matches(&removed, &stored, &code("123454")));
    }

    #[test]
    fn code_is_equal_in_every_spelling() {
        for typed in [
            "123454",
            " 123454 ",
            "123454\n",
            "123454\r\n",
            "\t123454",
            "123 454",
            "1 2 3 4 5 4",
            "123-454",
            "123–454",
            "123.454",
            "123,454",
            "123\u{a0}454",
            "１２３４５４",
            "１２３　４５４",
            "①②③④⑤④",
            "\u{200b}123454\u{200b}",
            "\u{feff}123454",
            "\u{202d}123454\u{202c}",
            "123\u{2060}454",
            "#123454",
            "@shop.example.com #123454",
            "【云商城】验证码：123454，请勿泄露。",
            "\"123454\"",
            "123454.",
            "1\u{fe0f}\u{20e3}2\u{fe0f}\u{20e3}3454",
        ] {
            assert_eq!(Code::parse(typed, 6).unwrap().as_str(), "123454", "{typed:?}");
        }
        assert_eq!(Code::parse("1234 5678", 8).unwrap().as_str(), "12345678");
        assert_eq!(Code::parse("012345", 6).unwrap().as_str(), "012345");
    }

    #[test]
    fn other_numbers_of_digits_are_no_code() {
        for typed in [
            "",
            "abcdef",
            "undefined",
            "null",
            "NaN",
            "[object Object]",
            "12345",
            "1234545",
            "123454.0",
            "1.23454e5",
            "验证码：123454，5分钟内有效",
            // Digits of other scripts are not compatibility forms of ASCII digits.
            "١٢٣٤٥٤",
            "१२३४५४",
            "一二三四五四",
            "123454123454",
        ] {
            assert!(Code::parse(typed, 6).is_none(), "{typed:?}");
        }
        assert!(Code::parse("123454", 8).is_none());
        assert!(Code::parse(&"1".repeat(100_000), 6).is_none());
    }

    #[test]
    fn code_is_not_shown_in_debug() {
        assert!(!format!("{:?}", code("123454")).contains("123454"));
    }

    #[test]
    fn purpose_is_read_in_any_case() {
        use RequestedPurpose::{Bind, Close, Pay, Recover};
        for (typed, expected) in [
            ("bind", Some(Bind)),
            ("PAY", Some(Pay)),
            ("Recover", Some(Recover)),
            (" pay\n", Some(Pay)),
            ("ＢＩＮＤ", Some(Bind)),
            ("pay\u{200b}", Some(Pay)),
            ("CLOSE", Some(Close)),
            ("payment", None),
            ("undefined", None),
            ("BİND", None),
            ("", None),
        ] {
            assert_eq!(typed.parse::<RequestedPurpose>().ok(), expected, "{typed:?}");
        }
    }

    proptest! {
        #[test]
        fn every_spelling_of_a_code_is_one_code(
            digits in "[0-9]{6,10}",
            noise in prop::collection::vec("[^0-9]{0,3}", 11),
            wide in prop::collection::vec(any::<bool>(), 10),
        ) {
            // Without characters whose NFKC contains a digit, such as ½.
            let noise = |at: usize| -> String {
                noise[at].chars().filter(|c| !text::typed(&c.to_string()).any(|c| c.is_ascii_digit())).collect()
            };
            let mut typed = noise(0);
            for (at, digit) in digits.bytes().enumerate() {
                let base = if wide[at] { '０' as u32 } else { '0' as u32 };
                typed.push(char::from_u32(base + u32::from(digit - b'0')).unwrap());
                typed.push_str(&noise(at + 1));
            }
            let parsed = Code::parse(&typed, digits.len()).unwrap();
            prop_assert_eq!(parsed.as_str(), &digits);
            prop_assert!(Code::parse(&typed, digits.len() + 1).is_none());
            prop_assert!(Code::parse(&typed, digits.len() - 1).is_none());
        }

        #[test]
        fn parsed_code_parses_to_itself(typed in any::<String>(), length in 6usize..=10) {
            if let Some(code) = Code::parse(&typed, length) {
                prop_assert!(code.as_str().len() == length && code.as_str().bytes().all(|b| b.is_ascii_digit()));
                let parsed = Code::parse(code.as_str(), length).unwrap();
                prop_assert_eq!(parsed.as_str(), code.as_str());
            }
        }
    }

    #[test]
    fn code_mac_allows_only_constant_time_comparison() {
        // If `T` has `==`, both implementations apply, and the last line does not compile.
        trait NoEquality<Which> {
            fn check() {}
        }
        struct Equality;
        impl<T> NoEquality<()> for T {}
        impl<T: PartialEq> NoEquality<Equality> for T {}
        <CodeMac as NoEquality<_>>::check();
    }

    #[test]
    fn code_mac_does_not_contain_the_code() {
        let stored = binding().mac(&two_keys(), &Secret::from("123454"));
        assert!(!stored.as_str().contains("123454"));
    }
}
