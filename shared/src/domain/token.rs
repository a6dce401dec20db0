//! The signed token that names a destination: `phoneInfo` of family A and `verification` of family B.
//!
//! The framing equals that of the first document byte for byte: each field in Base64 with `.` for `=`, a separator
//! after each field, the signature as 32 lowercase hex digits, and all of it in Base64 again.

use crate::{
    contact::Destination,
    domain::{
        code::{Binding, FlowId, Purpose},
        keys::{KeyPurpose, Keys},
    },
    error::{Error, Field},
};
use aws_lc_rs::constant_time;
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// The separator in the samples of the first document.
const SEPARATOR: &str = ".qzy-sp-token@6cs92d-token.";

/// The length of the signature: HMAC-SHA-256 truncated to 128 bits, which NIST SP 800-107, 5.3.4 allows, in hex.
const SIGNATURE_HEX_DIGITS: usize = 32;

/// The longest token that is parsed, in bytes. An email address of 254 bytes fits, even in two layers of Base64.
const MAX_TOKEN_BYTES: usize = 2048;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// The first field if the second is an email address. Otherwise, the first field is a calling code.
const MAIL: &str = "mail";

/// The destination and the purpose of a code and, in family B, the flow that requested it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The destination of the code.
    pub destination: Destination,
    /// The purpose of the code.
    pub purpose: Purpose,
    /// The flow, the fourth field of family B's tokens.
    pub flow: Option<FlowId>,
}

impl Token {
    /// Verifies and parses `phoneInfo` of family A.
    ///
    /// # Errors
    /// Fails with [`Error::NotValid`] if the text is malformed, is not signed by one of the keys, or has another
    /// purpose.
    pub fn open_phone_info(keys: &Keys, text: &str, purpose: Purpose) -> Result<Self, Error> {
        Self::open(keys, text)
            .filter(|token| token.flow.is_none() && token.purpose == purpose)
            .ok_or(Error::NotValid(Field::PhoneInfo))
    }

    /// Verifies and parses `verification` of family B.
    ///
    /// # Errors
    /// Fails with [`Error::NotValid`] if the text is malformed, is not signed by one of the keys, or does not have
    /// one of the purposes.
    pub fn open_verification(keys: &Keys, text: &str, purposes: &[Purpose]) -> Result<Binding, Error> {
        match Self::open(keys, text) {
            Some(Self { destination, purpose, flow: Some(flow) }) if purposes.contains(&purpose) => {
                Ok(Binding { destination, purpose, flow })
            }
            _ => Err(Error::NotValid(Field::Verification)),
        }
    }

    /// Returns the token's text, signed under the current key.
    ///
    /// # Errors
    /// Fails with [`Error::Internal`] if the phone is not an E.164 number.
    pub fn sign(&self, keys: &Keys) -> Result<String, Error> {
        let (first, second) = match &self.destination {
            Destination::Phone(phone) => phone.parts().map_err(Error::internal)?,
            Destination::Email(email) => (MAIL, email.as_str()),
        };
        let mut fields = [first, second, self.purpose.flag()].map(str::to_owned).to_vec();
        fields.extend(self.flow.iter().map(|flow| flow.as_str().to_owned()));
        let joined = join(&fields);
        Ok(frame(&joined, &signature(keys.current(), &joined)))
    }

    fn open(keys: &Keys, text: &str) -> Option<Self> {
        let (fields, claimed) = unframe(text)?;
        let joined = join(&fields);
        let verify = |key| {
            constant_time::verify_slices_are_equal(signature(key, &joined).as_bytes(), claimed.as_bytes())
        };
        keys.all().any(|key| verify(key).is_ok()).then_some(())?;
        let (first, second, flag, flow) = match fields.as_slice() {
            [first, second, flag] => (first, second, flag, None),
            [first, second, flag, flow] => (first, second, flag, Some(FlowId::of_token(flow))),
            _ => return None,
        };
        let destination = if first == MAIL {
            Destination::of_address(second)
        } else {
            Destination::of_parts(first, second)
        };
        Some(Self { destination, purpose: Purpose::of_flag(flag)?, flow })
    }
}

impl From<Binding> for Token {
    fn from(Binding { destination, purpose, flow }: Binding) -> Self {
        Self { destination, purpose, flow: Some(flow) }
    }
}

fn signature(key: &crate::domain::keys::Key, joined: &str) -> String {
    let mac = key.mac(KeyPurpose::Token, &[joined.as_bytes()]);
    mac.iter().take(SIGNATURE_HEX_DIGITS / 2).fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

fn encode(text: &str) -> String {
    BASE64.encode(text).replace('=', ".")
}

fn decode(text: &str) -> Option<String> {
    // A signed token never contains `=`. Accepting it would allow a second spelling of the same fields.
    let padded = (!text.contains('=')).then(|| text.replace('.', "="))?;
    String::from_utf8(BASE64.decode(padded).ok()?).ok()
}

fn join(fields: &[String]) -> String {
    fields.iter().map(|field| encode(field) + SEPARATOR).collect()
}

fn frame(joined: &str, signature: &str) -> String {
    encode(&format!("{joined}{signature}"))
}

fn unframe(text: &str) -> Option<(Vec<String>, String)> {
    let framed = (text.len() <= MAX_TOKEN_BYTES).then(|| decode(text))??;
    let (joined, signature) = framed.rsplit_once(SEPARATOR)?;
    let lowercase_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let well_formed = signature.len() == SIGNATURE_HEX_DIGITS && signature.bytes().all(lowercase_hex);
    let fields = joined.split(SEPARATOR).map(decode).collect::<Option<Vec<_>>>()?;
    well_formed.then(|| (fields, signature.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{contact::PhoneRules, domain::keys::tests::two_keys};
    use phonenumber::country;
    use proptest::prelude::*;

    /// `result` in the first example of the first document.
    const SAMPLE_30: &str = "T0RZLi5xenktc3AtdG9rZW5ANmNzOTJkLXRva2VuLk1UTTJNamN4TkRBME9ETS4ucXp5LXNwLXRva2VuQDZjczkyZC10b2tlbi5NekEuLnF6eS1zcC10b2tlbkA2Y3M5MmQtdG9rZW4uMzhiZTg4ZjMwZTEyYzU5ODc1MzgyNGE2MjQ3NDBkNDI.";
    /// `phoneInfo` in its second example.
    const SAMPLE_20: &str = "T0RZLi5xenktc3AtdG9rZW5ANmNzOTJkLXRva2VuLk1UTTJNamN4TkRBME9ETS4ucXp5LXNwLXRva2VuQDZjczkyZC10b2tlbi5NakEuLnF6eS1zcC10b2tlbkA2Y3M5MmQtdG9rZW4uN2JjYWZkYjA1ZGEzNzM0ZTAxYWMzODVkNjFlYzRjMWE.";

    fn phone(typed: &str) -> Destination {
        let rules = PhoneRules { default_region: country::CN, allowed_regions: vec![country::CN] };
        Destination::Phone(rules.parse(typed).unwrap())
    }

    fn phone_info() -> Token {
        Token { destination: phone("13627140483"), purpose: Purpose::ChangePassword, flow: None }
    }

    fn opens(text: &str) -> bool {
        Token::open_phone_info(&two_keys(), text, Purpose::ChangePassword).is_ok()
    }

    #[test]
    fn documented_samples_survive_a_round_trip() {
        for (sample, flag) in [(SAMPLE_30, "30"), (SAMPLE_20, "20")] {
            let (fields, signature) = unframe(sample).unwrap();
            assert_eq!(fields, ["86", "13627140483", flag]);
            assert_eq!(frame(&join(&fields), &signature), sample);
        }
    }

    #[test]
    fn documented_signatures_are_refused() {
        for sample in [SAMPLE_30, SAMPLE_20] {
            assert_eq!(Token::open(&two_keys(), sample), None);
        }
    }

    #[test]
    fn token_opens_only_under_keys_of_the_secret() {
        let before = Keys::parse(&crate::domain::keys::tests::secret("old")).unwrap();
        let text = phone_info().sign(&before).unwrap();
        assert_eq!(Token::open(&two_keys(), &text), Some(phone_info()));
        let other_secret = Keys::parse(&format!(r#"{{"current":"x","x":"{}"}}"#, "x".repeat(32))).unwrap();
        assert_eq!(Token::open(&other_secret, &text), None);
    }

    #[test]
    fn token_is_bound_to_its_family_and_purpose() {
        let keys = two_keys();
        let flow = FlowId::draw().unwrap();
        let email = Destination::of_address("li@example.com");
        for destination in [phone("13627140483"), email] {
            let bound = Binding { destination, purpose: Purpose::BindPhone, flow: flow.clone() };
            let text = Token::from(bound.clone()).sign(&keys).unwrap();
            let opened = Token::open_verification(&keys, &text, &[Purpose::BindPhone]).unwrap();
            assert_eq!((opened.destination, opened.flow), (bound.destination, bound.flow));
            assert!(Token::open_verification(&keys, &text, &[Purpose::BindMail]).is_err());
            assert!(Token::open_phone_info(&keys, &text, Purpose::BindPhone).is_err());
        }
        let text = phone_info().sign(&keys).unwrap();
        assert!(Token::open_verification(&keys, &text, &[Purpose::ChangePassword]).is_err());
    }

    proptest! {
        #[test]
        fn fields_survive_framing(fields in prop::collection::vec(any::<String>(), 1..5)) {
            let framed = frame(&join(&fields), &"0".repeat(32));
            prop_assume!(framed.len() <= MAX_TOKEN_BYTES);
            prop_assert_eq!(unframe(&framed), Some((fields, "0".repeat(32))));
        }

        #[test]
        fn arbitrary_text_is_refused(text in any::<String>()) {
            prop_assert!(!opens(&text));
        }

        #[test]
        fn token_with_one_changed_character_is_refused(at in 0usize..200, to in "[ -~]") {
            let text = phone_info().sign(&two_keys()).unwrap();
            prop_assert!(opens(&text));
            let at = at % text.len();
            let mut changed = text.clone();
            changed.replace_range(at..=at, &to);
            prop_assume!(changed != text);
            prop_assert!(!opens(&changed));
        }
    }
}
