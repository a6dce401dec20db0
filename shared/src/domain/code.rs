//! The code: what it is for, how it is drawn, kept, and compared.

use crate::{
    Secret,
    contact::Destination,
    domain::{
        keys::{KeyPurpose, Keys},
        member::MemberId,
    },
    random,
};
use aws_lc_rs::constant_time;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a code may be used for. A code of one purpose is worth nothing for another.
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
    /// Bind a mail address.
    BindMail,
    /// Recover a forgotten login password by mail.
    RecoverByMail,
}

impl Purpose {
    pub(crate) const ALL: [Self; 6] = [
        Self::ChangePassword,
        Self::BindPhone,
        Self::ResetPayPassword,
        Self::RecoverPassword,
        Self::BindMail,
        Self::RecoverByMail,
    ];

    /// The purpose of a token's flag.
    #[must_use]
    pub fn of_flag(flag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.flag() == flag)
    }

    /// The token's flag.
    #[must_use]
    pub fn flag(self) -> &'static str {
        match self {
            Self::ChangePassword => "30",
            Self::BindPhone => "40",
            Self::ResetPayPassword => "50",
            Self::RecoverPassword => "60",
            Self::BindMail => "70",
            Self::RecoverByMail => "80",
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

/// The hands that asked for a code: 128 random bits, drawn anew for each send.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FlowId(String);

impl FlowId {
    /// The flow that a token names.
    pub(crate) fn of_token(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// A new flow.
    ///
    /// # Errors
    /// [`random::RandomError`].
    pub fn draw() -> Result<Self, random::RandomError> {
        Ok(Self(URL_SAFE_NO_PAD.encode(random::bytes::<16>()?)))
    }

    /// The flow as text.
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

/// What a code is bound to.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Where it was sent.
    pub destination: Destination,
    /// What it is for.
    pub purpose: Purpose,
    /// Who asked.
    pub flow: FlowId,
}

impl Binding {
    /// What is kept of a code: its MAC under the current key.
    #[must_use]
    pub fn mac(&self, keys: &Keys, code: &Secret) -> CodeMac {
        self.mac_under(keys.current(), code.expose_secret())
    }

    /// Whether `guess` is the code that was kept, compared in constant time. A code kept under a
    /// key that was retired since is none any more.
    #[must_use]
    pub fn matches(&self, keys: &Keys, kept: &CodeMac, guess: &str) -> bool {
        kept.key_id().and_then(|id| keys.by_id(id)).map(|key| self.mac_under(key, guess)).is_some_and(|mac| {
            constant_time::verify_slices_are_equal(mac.0.as_bytes(), kept.0.as_bytes()).is_ok()
        })
    }

    fn mac_under(&self, key: &crate::domain::keys::Key, code: &str) -> CodeMac {
        let destination = self.destination.key();
        let parts = [code, &destination, self.purpose.flag(), self.flow.as_str()].map(str::as_bytes);
        CodeMac(format!("{}.{}", key.id, URL_SAFE_NO_PAD.encode(key.mac(KeyPurpose::Code, &parts))))
    }
}

/// Who may use a code.
#[derive(Clone, Debug)]
pub enum CodeHolder {
    /// The member whom it was sent for, by session.
    Member(MemberId),
    /// The client that requested it, by the flow of its token.
    Flow(FlowId),
    /// Both.
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

/// A code that is on its way.
#[derive(Debug)]
pub struct NewCode {
    /// What it is bound to.
    pub binding: Binding,
    /// For how many seconds it is good.
    pub expires_in: u64,
    /// After how many seconds another may be asked for.
    pub resend_in: u64,
}

/// A code at rest: `<key id>.<HMAC-SHA-256 in base64url>` over code, destination, purpose and flow.
/// Without `==`, which would stop at the first byte that differs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodeMac(String);

impl CodeMac {
    /// The MAC as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The MAC of no code: what a guess is compared with where there is none, for the time that it takes.
    pub(crate) fn absent(keys: &Keys) -> Self {
        Self(format!("{}.", keys.current().id))
    }

    fn key_id(&self) -> Option<&str> {
        self.0.split_once('.').map(|(id, _)| id)
    }
}

/// A new code of `length` decimal digits.
///
/// # Errors
/// [`random::RandomError`].
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

    fn binding() -> Binding {
        Binding {
            destination: Destination::Email("li@example.com".parse::<Email>().unwrap()),
            purpose: Purpose::BindMail,
            flow: FlowId::draw().unwrap(),
        }
    }

    #[test]
    fn a_code_is_good_for_what_it_is_bound_to_alone() {
        let (keys, bound, code) = (two_keys(), binding(), Secret::from("123454"));
        let kept = bound.mac(&keys, &code);
        assert!(bound.matches(&keys, &kept, "123454"));
        assert!(!bound.matches(&keys, &kept, "123455"));
        assert!(!bound.matches(&keys, &kept, ""));
        for other in [
            Binding { destination: Destination::Email("lei@example.com".parse().unwrap()), ..bound.clone() },
            Binding { purpose: Purpose::RecoverByMail, ..bound.clone() },
            Binding { flow: FlowId::draw().unwrap(), ..bound.clone() },
        ] {
            assert!(!other.matches(&keys, &kept, "123454"), "{other:?}");
        }
    }

    #[test]
    fn a_code_outlives_a_rotation_of_the_key_but_not_its_retirement() {
        let (bound, code) = (binding(), Secret::from("123454"));
        let kept = bound.mac(&Keys::parse(&secret("old")).unwrap(), &code);
        assert!(bound.matches(&two_keys(), &kept, "123454"));
        let retired = Keys::parse(&format!(r#"{{"current":"new","new":"{}"}}"#, "n".repeat(64))).unwrap();
        assert!(!bound.matches(&retired, &kept, "123454"));
    }

    #[test]
    fn a_kept_code_is_compared_in_constant_time_or_not_at_all() {
        // Where `T` has `==` both implementations fit, and the last line does not compile.
        trait NoEquality<Which> {
            fn holds() {}
        }
        struct Equality;
        impl<T> NoEquality<()> for T {}
        impl<T: PartialEq> NoEquality<Equality> for T {}
        <CodeMac as NoEquality<_>>::holds();
    }

    #[test]
    fn a_kept_code_does_not_hold_the_code() {
        let kept = binding().mac(&two_keys(), &Secret::from("123454"));
        assert!(!kept.as_str().contains("123454"));
    }
}
