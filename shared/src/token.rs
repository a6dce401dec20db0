//! The signed token that names a destination: family A's `phoneInfo`, family B's `verification`.
//!
//! The framing is the first document's, byte for byte: each field in Base64 with `.` for `=`, the
//! separator after each, the signature as 32 lowercase hex digits, and the whole in Base64 again.

use crate::{
    code::Purpose,
    contact::Phone,
    error::Error,
    keys::{Keys, Use},
    parameter::Field,
};
use aws_lc_rs::constant_time;
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use std::fmt;

/// The separator of the first document's samples.
const SEPARATOR: &str = ".qzy-sp-token@6cs92d-token.";

/// The signature: HMAC-SHA-256 cut to 128 bits, which NIST SP 800-107, 5.3.4 allows, in hex.
const SIGNATURE_HEX_DIGITS: usize = 32;

/// The longest token that is looked at, in bytes. Two Base64 layers over a mail address (254) stay below.
const MAX_TOKEN_BYTES: usize = 2048;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// A token whose signature was good: the fields that were signed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    fields: Vec<String>,
}

impl Token {
    /// Family A's token of a phone: calling code, national number, flag.
    ///
    /// # Errors
    /// [`Error::Internal`] where the stored phone is no E.164 number.
    pub fn of_phone(phone: &Phone, purpose: Purpose) -> Result<Self, Error> {
        let (calling_code, national) = phone.parts().map_err(Error::internal)?;
        Ok(Self { fields: vec![calling_code, national, purpose.flag().to_owned()] })
    }

    /// Opens family A's token.
    ///
    /// # Errors
    /// [`Error::NotValid`] for what is malformed, not signed by one of the keys, or of another purpose.
    pub fn open(keys: &Keys, text: &str, purpose: Purpose) -> Result<Self, Error> {
        Self::verify(keys, text)
            .filter(|token| {
                token.fields.len() == 3 && token.fields.get(2).is_some_and(|flag| flag == purpose.flag())
            })
            .ok_or(Error::NotValid(Field::PhoneInfo))
    }

    /// Whether this is the token of that phone.
    #[must_use]
    pub fn is_of(&self, phone: &Phone) -> bool {
        matches!(self.fields.as_slice(), [calling_code, national, ..]
            if phone.as_str().strip_prefix('+').and_then(|e164| e164.strip_prefix(calling_code.as_str())) == Some(national))
    }

    /// The token as it goes out, signed under the current key.
    #[must_use]
    pub fn sign(&self, keys: &Keys) -> String {
        let fields = join(&self.fields);
        frame(&fields, &signature(keys.current(), &fields))
    }

    fn verify(keys: &Keys, text: &str) -> Option<Self> {
        let (fields, claimed) = unframe(text)?;
        let joined = join(&fields);
        keys.all()
            .any(|key| {
                constant_time::verify_slices_are_equal(signature(key, &joined).as_bytes(), claimed.as_bytes())
                    .is_ok()
            })
            .then_some(Self { fields })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

fn signature(key: &crate::keys::Key, joined: &str) -> String {
    let mac = key.mac(Use::Token, &[joined.as_bytes()]);
    mac.iter().take(SIGNATURE_HEX_DIGITS / 2).fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

fn encode(text: &str) -> String {
    BASE64.encode(text).replace('=', ".")
}

fn decode(text: &str) -> Option<String> {
    // `=` never stands in a token: a text that has one is another spelling of the same fields.
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
    use crate::{contact::PhoneRules, keys::tests::two_keys};
    use phonenumber::country;
    use proptest::prelude::*;

    /// The `result` of the first document's first example.
    const SAMPLE_30: &str = "T0RZLi5xenktc3AtdG9rZW5ANmNzOTJkLXRva2VuLk1UTTJNamN4TkRBME9ETS4ucXp5LXNwLXRva2VuQDZjczkyZC10b2tlbi5NekEuLnF6eS1zcC10b2tlbkA2Y3M5MmQtdG9rZW4uMzhiZTg4ZjMwZTEyYzU5ODc1MzgyNGE2MjQ3NDBkNDI.";
    /// The `phoneInfo` of its second.
    const SAMPLE_20: &str = "T0RZLi5xenktc3AtdG9rZW5ANmNzOTJkLXRva2VuLk1UTTJNamN4TkRBME9ETS4ucXp5LXNwLXRva2VuQDZjczkyZC10b2tlbi5NakEuLnF6eS1zcC10b2tlbkA2Y3M5MmQtdG9rZW4uN2JjYWZkYjA1ZGEzNzM0ZTAxYWMzODVkNjFlYzRjMWE.";

    fn phone() -> Phone {
        PhoneRules { default_region: country::CN, allowed_calling_codes: vec![86] }
            .parse("13627140483")
            .unwrap()
    }

    #[test]
    fn the_documents_samples_decode_and_encode_to_themselves() {
        for (sample, flag) in [(SAMPLE_30, "30"), (SAMPLE_20, "20")] {
            let (fields, signature) = unframe(sample).unwrap();
            assert_eq!(fields, ["86", "13627140483", flag]);
            assert_eq!(frame(&join(&fields), &signature), sample);
        }
    }

    #[test]
    fn the_documents_own_signatures_are_not_accepted() {
        for sample in [SAMPLE_30, SAMPLE_20] {
            assert!(Token::open(&two_keys(), sample, Purpose::ChangePassword).is_err());
        }
    }

    #[test]
    fn a_token_opens_under_every_key_of_the_secret_and_no_other() {
        let before = Keys::parse(&crate::keys::tests::secret("old")).unwrap();
        let token = Token::of_phone(&phone(), Purpose::ChangePassword).unwrap();
        let text = token.sign(&before);
        assert_eq!(Token::open(&two_keys(), &text, Purpose::ChangePassword).unwrap(), token);
        let stranger = Keys::parse(&format!(r#"{{"current":"x","x":"{}"}}"#, "x".repeat(32))).unwrap();
        assert!(Token::open(&stranger, &text, Purpose::ChangePassword).is_err());
    }

    #[test]
    fn a_token_is_of_its_own_phone_alone() {
        let token = Token::of_phone(&phone(), Purpose::ChangePassword).unwrap();
        assert!(token.is_of(&phone()));
        let other = PhoneRules { default_region: country::CN, allowed_calling_codes: vec![86] };
        assert!(!token.is_of(&other.parse("13627140484").unwrap()));
    }

    proptest! {
        #[test]
        fn fields_survive_the_framing(fields in prop::collection::vec(any::<String>(), 1..5)) {
            let framed = frame(&join(&fields), &"0".repeat(32));
            prop_assume!(framed.len() <= MAX_TOKEN_BYTES);
            prop_assert_eq!(unframe(&framed), Some((fields, "0".repeat(32))));
        }

        #[test]
        fn no_text_breaks_the_parser(text in any::<String>()) {
            prop_assert!(Token::open(&two_keys(), &text, Purpose::ChangePassword).is_err());
        }

        #[test]
        fn a_token_with_one_character_changed_is_refused(at in 0usize..200, to in "[ -~]") {
            let text = Token::of_phone(&phone(), Purpose::ChangePassword).unwrap().sign(&two_keys());
            let at = at % text.len();
            let mut changed = text.clone();
            changed.replace_range(at..=at, &to);
            prop_assume!(changed != text);
            prop_assert!(Token::open(&two_keys(), &changed, Purpose::ChangePassword).is_err());
        }
    }
}
