//! What a handler answers when all went well.

use crate::verification::Sent;
use lambda_http::http::StatusCode;
use serde_json::Value;

/// A success, before an [`Envelope`](crate::Envelope) gives it its shape.
#[derive(Debug)]
pub struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) data: Value,
    pub(crate) token: Option<String>,
    pub(crate) sent: Option<Sent>,
}

impl Reply {
    /// The first document's success, with its `result`.
    pub fn result(result: impl Into<Value>) -> Self {
        Self { status: StatusCode::OK, data: result.into(), token: None, sent: None }
    }

    /// The second document's success of a change: `"201"`.
    #[must_use]
    pub fn changed() -> Self {
        Self { status: StatusCode::CREATED, ..Self::result("success") }
    }

    /// Says how long the code that was sent is good, and when another may be asked for.
    #[must_use]
    pub fn sending(self, sent: Sent) -> Self {
        Self { sent: Some(sent), ..self }
    }

    /// Carries the member's renewed session, in the body and in the `Authorization` header.
    #[must_use]
    pub fn renewing(self, session: String) -> Self {
        Self { token: Some(session), ..self }
    }
}
