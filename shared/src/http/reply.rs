//! What a handler answers when all went well.

use crate::{
    domain::{code::NewCode, grant::Grant, keys::Keys, token::Token},
    error::Error,
};
use lambda_http::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A success, before an [`Envelope`](crate::Envelope) gives it its shape.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reply {
    #[serde(with = "status")]
    pub(crate) status: StatusCode,
    pub(crate) data: Value,
    pub(crate) page: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) expires_in: Option<u64>,
    pub(crate) resend_in: Option<u64>,
    pub(crate) verification: Verification,
}

/// What becomes of `verification`, in the body and in the cookie of that name.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Verification {
    /// It stays as it is.
    Unchanged,
    /// It is this from now on.
    Is(String),
    /// It was spent.
    Spent,
}

impl Reply {
    /// The first document's success, with its `result`.
    pub fn result(result: impl Into<Value>) -> Self {
        Self {
            status: StatusCode::OK,
            data: result.into(),
            page: None,
            token: None,
            expires_in: None,
            resend_in: None,
            verification: Verification::Unchanged,
        }
    }

    /// The second document's success of a change: `"201"`.
    #[must_use]
    pub fn changed() -> Self {
        Self { status: StatusCode::CREATED, ..Self::verified() }
    }

    /// The second document's success of anything else: `"200"`.
    #[must_use]
    pub fn verified() -> Self {
        Self::result("success")
    }

    /// The second document's success of a send: `"200"`, with the token of the code's flow.
    ///
    /// # Errors
    /// [`Error::Internal`] where the token cannot be signed.
    pub fn sent(code: NewCode, keys: &Keys) -> Result<Self, Error> {
        let reply = Self::verified().sending(&code);
        Ok(Self { verification: Verification::Is(Token::from(code.binding).sign(keys)?), ..reply })
    }

    /// Says for how many seconds the code that was sent is good, and after how many another may be asked for.
    #[must_use]
    pub fn sending(self, code: &NewCode) -> Self {
        Self { expires_in: Some(code.expires_in), resend_in: Some(code.resend_in), ..self }
    }

    /// Carries a grant that is good for so many seconds.
    #[must_use]
    pub fn granting(self, grant: &Grant, expires_in: u64) -> Self {
        Self {
            verification: Verification::Is(grant.expose().to_owned()),
            expires_in: Some(expires_in),
            ..self
        }
    }

    /// Takes the cookie back, because what it held was spent.
    #[must_use]
    pub fn spending(self) -> Self {
        Self { verification: Verification::Spent, ..self }
    }

    /// Carries the member's renewed session, in the body and in the `Authorization` header.
    #[must_use]
    pub fn renewing(self, session: impl Into<Option<String>>) -> Self {
        Self { token: session.into(), ..self }
    }

    /// Shows this HTML page to whoever asked for one, in the place of the envelope.
    #[must_use]
    pub fn showing(self, page: String) -> Self {
        Self { page: Some(page), ..self }
    }
}

/// A status as its number.
mod status {
    use lambda_http::http::StatusCode;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
    pub fn serialize<S: Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(status.as_u16())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StatusCode, D::Error> {
        StatusCode::from_u16(u16::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
