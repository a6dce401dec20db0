//! The one error of the domain, and the one table from error to symbol and status.

use lambda_http::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt};

/// Why a call was refused or failed.
///
/// Every variant but [`Error::Internal`] is an expected answer, never a failed invocation.
///
/// What an operator must look at is skipped by serde: it is never kept to be answered again.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    /// A required parameter is absent, blank, or neither text nor number.
    #[error("a required parameter is missing: {0:?}")]
    Missing(Field),
    /// A parameter is there and not acceptable.
    #[error("a parameter is not valid: {0:?}")]
    NotValid(Field),
    /// The code is not the one that was sent, or is no longer good.
    #[error("the code is not valid")]
    CodeNotValid {
        /// How many tries are left for the code that was sent; 0 when a new one must be asked for.
        attempts_left: u32,
    },
    /// The session is missing, malformed, expired, or from before the last change of the credentials.
    #[error("the session is not valid")]
    InvalidToken,
    /// A code was sent to this destination a moment ago.
    #[error("a message was sent moments ago")]
    SendFrequently {
        /// Seconds until the next may be asked for.
        retry_after: u64,
        /// What is used up.
        limit: SendLimit,
    },
    /// Too many wrong tries.
    #[error("too many wrong tries")]
    TooManyAttempts {
        /// Seconds until the next try is looked at.
        retry_after: u64,
    },
    /// The provider did not take the message.
    #[error("the message could not be sent: {0}")]
    #[serde(skip)]
    SendFailed(#[source] Cause),
    /// The session names a member that is not in the store.
    #[error("no such member")]
    UserNotFound,
    /// The phone of the token is not the member's own.
    #[error("the phone is not the member's own")]
    UserPhoneNotMatch,
    /// Another member has this phone.
    #[error("the phone belongs to another member")]
    PhoneInUse,
    /// Another member has this mail address.
    #[error("the mail address belongs to another member")]
    EmailInUse,
    /// A pay password is set already.
    #[error("a pay password is set already")]
    PayPasswordAlreadySet,
    /// No pay password is set.
    #[error("no pay password is set")]
    PayPasswordNotSet,
    /// The change asks for a recent login or the login password.
    #[error("the member must authenticate again")]
    ReauthenticationRequired,
    /// The change must wait, because the phone was replaced or the password recovered lately.
    #[error("cooling off")]
    CoolingOff {
        /// Seconds until the change may be made.
        retry_after: u64,
    },
    /// The body is neither a JSON object nor a form, or the event is no HTTP request.
    #[error("the body is not valid")]
    BodyNotValid,
    /// The body is longer than [`MAX_BODY_BYTES`](crate::http::request::MAX_BODY_BYTES).
    #[error("the body is too large")]
    BodyTooLarge,
    /// Another request was made under the same `Idempotency-Key`.
    #[error("another request was made under this Idempotency-Key")]
    IdempotencyKeyReused,
    /// The store throttles or does not answer in time.
    #[error("the store is busy: {0}")]
    #[serde(skip)]
    Busy(#[source] Cause),
    /// A fault of ours. The cause goes to the log, never to the caller.
    #[error("internal: {0}")]
    #[serde(skip)]
    Internal(#[source] Cause),
}

/// A parameter's meaning, after which the symbols `{…}_REQUIRED` and `{…}_NOT_VALID` are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Field {
    /// The new login password.
    NewPassword,
    /// The first document's token.
    PhoneInfo,
    /// The code.
    Code,
    /// The password that is to be replaced.
    OldPassword,
    /// A phone number.
    Phone,
    /// The second document's name of a missing code.
    Message,
    /// A mail address.
    Email,
    /// The six-digit payment PIN.
    PayPassword,
    /// The second document's token.
    Verification,
    /// The header `Idempotency-Key`.
    IdempotencyKey,
}

impl Field {
    /// Every field, for the tables that must be whole.
    pub const ALL: [Self; 10] = [
        Self::NewPassword,
        Self::PhoneInfo,
        Self::Code,
        Self::OldPassword,
        Self::Phone,
        Self::Message,
        Self::Email,
        Self::PayPassword,
        Self::Verification,
        Self::IdempotencyKey,
    ];

    /// The word between the braces of a symbol.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::NewPassword => "NEW_PASSWORD",
            Self::PhoneInfo => "PHONE_INFO",
            Self::Code => "CODE",
            Self::OldPassword => "OLD_PASSWORD",
            Self::Phone => "PHONE",
            Self::Message => "MESSAGE",
            Self::Email => "EMAIL",
            Self::PayPassword => "PAY_PASSWORD",
            Self::Verification => "VERIFICATION",
            Self::IdempotencyKey => "IDEMPOTENCY_KEY",
        }
    }
}

/// A limit of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SendLimit {
    /// The wait between two codes to a destination.
    Resend,
    /// A destination's codes in an hour.
    Hour,
    /// A destination's codes in a day.
    Day,
    /// A member's codes in a day.
    Member,
    /// A source address's codes in an hour.
    Source,
    /// A calling code's codes in an hour.
    Budget,
    /// The share of a calling code's codes that must come back.
    Breaker,
}

impl fmt::Display for SendLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Why a message was not, or perhaps not, sent. Holds the provider's code alone: its message can
/// repeat the number or the address.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The provider refused it: nothing was sent.
    #[error("the provider refused the message: {0}")]
    Refused(String),
    /// No answer, or half of one: it may have been sent.
    #[error("the provider did not answer: {0}")]
    Unknown(&'static str),
}

/// What lies behind an error, for the log.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Seconds after which a call refused with `SERVICE_BUSY` is worth repeating: DynamoDB's on-demand
/// tables take on more load within seconds, and the SDK has already retried for several.
const BUSY_RETRY_AFTER: u64 = 5;

impl Error {
    /// The symbol that programs read, braces included.
    #[must_use]
    pub fn symbol(&self) -> Cow<'static, str> {
        match self {
            Self::Missing(field) => format!("{{{}}}_REQUIRED", field.symbol()).into(),
            Self::NotValid(field) => format!("{{{}}}_NOT_VALID", field.symbol()).into(),
            Self::CodeNotValid { .. } => "{CODE}_NOT_VALID".into(),
            Self::InvalidToken => "INVALID_TOKEN".into(),
            Self::SendFrequently { .. } => "SEND_MESSAGE_FREQUENTLY".into(),
            Self::TooManyAttempts { .. } => "TOO_MANY_ATTEMPTS".into(),
            Self::SendFailed(_) => "SEND_MESSAGE_ERROR".into(),
            Self::UserNotFound => "USER_NOT_FOUND".into(),
            Self::UserPhoneNotMatch => "USER_PHONE_NOT_MATCH".into(),
            Self::PhoneInUse => "PHONE_IN_USE".into(),
            Self::EmailInUse => "EMAIL_IN_USE".into(),
            Self::PayPasswordAlreadySet => "PAY_PASSWORD_ALREADY_SET".into(),
            Self::PayPasswordNotSet => "PAY_PASSWORD_NOT_SET".into(),
            Self::ReauthenticationRequired => "REAUTHENTICATION_REQUIRED".into(),
            Self::CoolingOff { .. } => "COOLING_OFF".into(),
            Self::BodyNotValid => "BODY_NOT_VALID".into(),
            Self::BodyTooLarge => "BODY_TOO_LARGE".into(),
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED".into(),
            Self::Busy(_) => "SERVICE_BUSY".into(),
            Self::Internal(_) => "INTERNAL_SERVER_ERROR".into(),
        }
    }

    /// Returns the HTTP status, before an envelope applies its document's exceptions.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Missing(_)
            | Self::NotValid(_)
            | Self::CodeNotValid { .. }
            | Self::UserNotFound
            | Self::UserPhoneNotMatch
            | Self::PayPasswordNotSet
            | Self::BodyNotValid => StatusCode::BAD_REQUEST,
            Self::InvalidToken => StatusCode::UNAUTHORIZED,
            Self::ReauthenticationRequired | Self::CoolingOff { .. } => StatusCode::FORBIDDEN,
            Self::PhoneInUse | Self::EmailInUse | Self::PayPasswordAlreadySet => StatusCode::CONFLICT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            // draft-ietf-httpapi-idempotency-key-header, 2.7.
            Self::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::SendFrequently { .. } | Self::TooManyAttempts { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::SendFailed(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Seconds to wait, for a refusal that time cures.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::SendFrequently { retry_after, .. }
            | Self::TooManyAttempts { retry_after }
            | Self::CoolingOff { retry_after } => Some(*retry_after),
            Self::Busy(_) => Some(BUSY_RETRY_AFTER),
            _ => None,
        }
    }

    /// Tries left, for a wrong code.
    #[must_use]
    pub fn attempts_left(&self) -> Option<u32> {
        match self {
            Self::CodeNotValid { attempts_left } => Some(*attempts_left),
            _ => None,
        }
    }

    /// Whether the same request would never do better: not where time, a login, or an operator cures it.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        let curable = matches!(self, Self::InvalidToken | Self::ReauthenticationRequired);
        !curable && !self.is_server_error() && self.retry_after().is_none()
    }

    /// Whether an operator must look at it: the caller did nothing wrong.
    #[must_use]
    pub fn is_server_error(&self) -> bool {
        matches!(self, Self::Internal(_) | Self::SendFailed(_) | Self::Busy(_))
    }

    /// A fault of ours, whatever it was.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::Internal(cause.into())
    }
}

impl From<crate::random::RandomError> for Error {
    fn from(cause: crate::random::RandomError) -> Self {
        Self::internal(cause)
    }
}
