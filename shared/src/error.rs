//! The error of every call, with its symbol and its HTTP status.

use crate::contact::Destination;
use lambda_http::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt};

/// Why a call was refused or failed.
///
/// Every variant except [`Error::Internal`] is an expected response, not a failed invocation.
///
/// The variants that serde skips are faults that an operator must investigate. They are never stored for replay.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    /// A required parameter is absent, blank, or neither text nor number.
    #[error("a required parameter is missing: {0:?}")]
    Missing(Field),
    /// A parameter is present but not acceptable.
    #[error("a parameter is not valid: {0:?}")]
    NotValid(Field),
    /// The code is wrong, expired or consumed.
    #[error("the code is not valid")]
    CodeNotValid {
        /// The attempts that are left for the code; at 0 the client must request a new one.
        attempts_left: u32,
    },
    /// The login password or pay password is wrong.
    #[error("the password is not valid")]
    OldPasswordNotValid {
        /// The attempts that are left before a lockout.
        attempts_left: u32,
    },
    /// The pay password of an order is wrong.
    #[error("the pay password is not valid")]
    PayPasswordNotValid {
        /// The attempts that are left before a lockout.
        attempts_left: u32,
    },
    /// At a login: no member has this phone or email address, the member has no password, or it is wrong.
    #[error("the credentials are not valid")]
    CredentialsNotValid {
        /// The attempts that are left before a lockout.
        attempts_left: u32,
    },
    /// The code is right, and no member has the address that it was sent to.
    #[error("no member has this phone or email address")]
    MemberNotFound(Registration),
    /// Another member has this id.
    #[error("a member with this id exists")]
    MemberExists,
    /// The member with this id was closed, and its id is not used again.
    #[error("the member with this id was closed")]
    MemberClosed,
    /// The session is missing, malformed, expired, or older than the last change of the login password.
    #[error("the session is not valid")]
    InvalidToken,
    /// A rate limit is exceeded.
    #[error("the rate limit {limit} is exceeded; retry in {retry_after} s")]
    SendFrequently {
        /// Seconds until another code may be requested.
        retry_after: u64,
        /// The limit.
        limit: SendLimit,
    },
    /// Too many attempts failed.
    #[error("too many attempts failed; retry in {retry_after} s")]
    TooManyAttempts {
        /// Seconds until the next attempt is allowed.
        retry_after: u64,
    },
    /// The member made too many changes.
    #[error("too many changes were made; retry in {retry_after} s")]
    TooManyChanges {
        /// Seconds until the next change is allowed.
        retry_after: u64,
    },
    /// The provider refused the message, or its outcome is unknown.
    #[error("the message could not be sent: {0}")]
    #[serde(skip)]
    SendFailed(#[source] Cause),
    /// The session's member does not exist.
    #[error("the member does not exist")]
    UserNotFound,
    /// The phone is not the member's own.
    #[error("the phone is not the member's own")]
    UserPhoneNotMatch,
    /// Another member has this phone.
    #[error("the phone belongs to another member")]
    PhoneInUse,
    /// Another member has this email address.
    #[error("the email address belongs to another member")]
    EmailInUse,
    /// A pay password is already set.
    #[error("a pay password is already set")]
    PayPasswordAlreadySet,
    /// No pay password is set.
    #[error("no pay password is set")]
    PayPasswordNotSet,
    /// This deployment sends no email.
    #[error("MAIL_FROM is not set, so no email is sent")]
    MailNotAvailable,
    /// The change requires a recent login or the login password.
    #[error("reauthentication is required")]
    ReauthenticationRequired,
    /// A browser states that another site caused the send.
    #[error("another site caused the request")]
    OriginNotAllowed,
    /// The member reported a change, and has not recovered the password since.
    #[error("the account is frozen until a recovery")]
    AccountFrozen,
    /// The phone was replaced, the password recovered, or the contact bound too recently for the change.
    #[error("the cooling-off period has not ended; retry in {retry_after} s")]
    CoolingOff {
        /// Seconds until the cooling-off period ends.
        retry_after: u64,
    },
    /// The body is neither a JSON object nor a form, or the event is not an HTTP request.
    #[error("the body is neither a JSON object nor a form")]
    BodyNotValid,
    /// The event of a service function is not the documented one. The text is the reason: it names a field, and contains no
    /// value.
    #[error("the event is not valid: {0}")]
    EventNotValid(String),
    /// The receipt is unknown, expired, or for another order.
    #[error("the receipt is not valid for this order")]
    ReceiptNotValid,
    /// The body is longer than [`MAX_BODY_BYTES`](crate::http::request::MAX_BODY_BYTES).
    #[error("the body is too large")]
    BodyTooLarge,
    /// The `Idempotency-Key` was already used for another request.
    #[error("the idempotency key was already used for another request")]
    IdempotencyKeyReused,
    /// The store or a provider throttles requests, or the store does not respond in time.
    #[error("the service is busy: {0}")]
    #[serde(skip)]
    Busy(#[source] Cause),
    /// A fault of the service. The cause is logged and not returned to the caller.
    #[error("internal: {0}")]
    #[serde(skip)]
    Internal(#[source] Cause),
}

/// The grant to register with the address that a code proved. `Debug` does not show it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Registration {
    verification: String,
    expires_in: u64,
}

impl Registration {
    /// Wraps a grant that is valid for `expires_in` seconds.
    #[must_use]
    pub fn new(verification: &str, expires_in: u64) -> Self {
        Self { verification: verification.to_owned(), expires_in }
    }

    /// Returns the grant's text, for the client that receives it.
    #[must_use]
    pub fn verification(&self) -> &str {
        &self.verification
    }

    /// Returns the seconds until the grant expires.
    #[must_use]
    pub fn expires_in(&self) -> u64 {
        self.expires_in
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registration(…)")
    }
}

/// The meaning of a parameter, as it appears in the symbols `{…}_REQUIRED` and `{…}_NOT_VALID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Field {
    /// The new login password.
    NewPassword,
    /// The token `phoneInfo` of the user API.
    PhoneInfo,
    /// The code.
    Code,
    /// The current password.
    OldPassword,
    /// A phone number.
    Phone,
    /// A code, as the member API names it.
    Message,
    /// An email address.
    Email,
    /// The six-digit payment PIN.
    PayPassword,
    /// The token or grant `verification` of the member API.
    Verification,
    /// The header `Idempotency-Key`.
    IdempotencyKey,
}

impl Field {
    /// Every field, so that tests can check the completeness of tables.
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

    /// Returns the word between the braces of a symbol.
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

impl From<&Destination> for Field {
    fn from(destination: &Destination) -> Self {
        match destination {
            Destination::Phone(_) => Self::Phone,
            Destination::Email(_) => Self::Email,
        }
    }
}

/// A rate limit of sending codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SendLimit {
    /// The resend cooldown of a destination.
    Resend,
    /// The codes to a destination in an hour.
    Hour,
    /// The codes to a destination in a day, or the notices to a phone.
    Day,
    /// The codes that a member requests in a day.
    Member,
    /// The codes that a source address requests in an hour.
    Source,
    /// Concurrent sends, of which the store completes one at a time.
    Concurrent,
    /// The SMS to a calling code, or the emails, in an hour.
    Budget,
    /// The circuit breaker, which requires a minimum share of verified codes.
    Breaker,
}

impl fmt::Display for SendLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Why a message was not sent, or may not have been. Contains only the provider's error code, because the
/// provider's message can repeat the phone number or the address.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The phone cannot receive SMS, or its region is not allowed, so nothing was sent.
    #[error("SMS to this number are not allowed")]
    NotAllowed,
    /// `MAIL_FROM` is not set, so no email is sent.
    #[error("MAIL_FROM is not set")]
    NoSender,
    /// A rate limit is exceeded, so nothing was sent.
    #[error("the rate limit {limit} is exceeded; retry in {retry_after} s")]
    Limited {
        /// Seconds until another message may be sent.
        retry_after: u64,
        /// The limit.
        limit: SendLimit,
    },
    /// The message could not be counted, so nothing was sent.
    #[error("the message could not be counted: {0}")]
    Store(#[source] Error),
    /// The provider refused the phone number or the email address, so nothing was sent.
    #[error("the provider refused the address: {0}")]
    AddressRefused(String),
    /// The provider throttles requests, so nothing was sent.
    #[error("the provider throttles requests: {0}")]
    Throttled(String),
    /// The provider refused the message, so nothing was sent.
    #[error("the provider refused the message: {0}")]
    Refused(String),
    /// The provider did not respond, or not completely, so the message may have been sent.
    #[error("the provider did not respond: {0}")]
    Unknown(&'static str),
}

impl SendError {
    /// Returns the error for the caller of a send to this destination.
    #[must_use]
    pub fn into_error(self, to: &Destination) -> Error {
        match self {
            Self::NotAllowed | Self::AddressRefused(_) => Error::NotValid(Field::from(to)),
            Self::NoSender => Error::MailNotAvailable,
            Self::Limited { retry_after, limit } => Error::SendFrequently { retry_after, limit },
            Self::Store(error) => error,
            Self::Throttled(_) => Error::Busy(self.into()),
            Self::Refused(_) | Self::Unknown(_) => Error::SendFailed(self.into()),
        }
    }

    /// Returns whether another attempt to send the same message would be refused again, at least for as long as the
    /// stream retries.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::NotAllowed | Self::NoSender | Self::Limited { .. } | Self::AddressRefused(_))
    }

    /// Returns whether the provider may have sent the message nevertheless.
    #[must_use]
    pub fn may_have_been_sent(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    /// Returns the reason of the metrics.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::NotAllowed => "region".to_owned(),
            Self::NoSender => "mail-from".to_owned(),
            Self::Limited { limit, .. } => limit.to_string(),
            Self::Store(_) => "store".to_owned(),
            Self::AddressRefused(_) | Self::Throttled(_) | Self::Refused(_) | Self::Unknown(_) => {
                "provider".to_owned()
            }
        }
    }
}

impl From<Error> for SendError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// The cause of an error, for the log.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Seconds until a retry after `SERVICE_BUSY`. DynamoDB's on-demand tables scale within seconds, and the SDK has
/// already retried for several.
const BUSY_RETRY_AFTER: u64 = 5;

impl Error {
    /// Returns the symbol that programs read, including its braces.
    #[must_use]
    pub fn symbol(&self) -> Cow<'static, str> {
        match self {
            Self::Missing(field) => format!("{{{}}}_REQUIRED", field.symbol()).into(),
            Self::NotValid(field) => format!("{{{}}}_NOT_VALID", field.symbol()).into(),
            Self::CodeNotValid { .. } => "{CODE}_NOT_VALID".into(),
            Self::OldPasswordNotValid { .. } => "{OLD_PASSWORD}_NOT_VALID".into(),
            Self::PayPasswordNotValid { .. } => "{PAY_PASSWORD}_NOT_VALID".into(),
            Self::CredentialsNotValid { .. } => "CREDENTIALS_NOT_VALID".into(),
            Self::MemberNotFound(_) => "MEMBER_NOT_FOUND".into(),
            Self::MemberExists => "MEMBER_EXISTS".into(),
            Self::MemberClosed => "MEMBER_CLOSED".into(),
            Self::InvalidToken => "INVALID_TOKEN".into(),
            Self::SendFrequently { .. } => "SEND_MESSAGE_FREQUENTLY".into(),
            Self::TooManyAttempts { .. } => "TOO_MANY_ATTEMPTS".into(),
            Self::TooManyChanges { .. } => "TOO_MANY_CHANGES".into(),
            Self::SendFailed(_) => "SEND_MESSAGE_ERROR".into(),
            Self::UserNotFound => "USER_NOT_FOUND".into(),
            Self::UserPhoneNotMatch => "USER_PHONE_NOT_MATCH".into(),
            Self::PhoneInUse => "PHONE_IN_USE".into(),
            Self::EmailInUse => "EMAIL_IN_USE".into(),
            Self::PayPasswordAlreadySet => "PAY_PASSWORD_ALREADY_SET".into(),
            Self::PayPasswordNotSet => "PAY_PASSWORD_NOT_SET".into(),
            Self::MailNotAvailable => "MAIL_NOT_AVAILABLE".into(),
            Self::ReauthenticationRequired => "REAUTHENTICATION_REQUIRED".into(),
            Self::OriginNotAllowed => "ORIGIN_NOT_ALLOWED".into(),
            Self::AccountFrozen => "ACCOUNT_FROZEN".into(),
            Self::CoolingOff { .. } => "COOLING_OFF".into(),
            Self::BodyNotValid | Self::EventNotValid(_) => "BODY_NOT_VALID".into(),
            Self::ReceiptNotValid => "RECEIPT_NOT_VALID".into(),
            Self::BodyTooLarge => "BODY_TOO_LARGE".into(),
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED".into(),
            Self::Busy(_) => "SERVICE_BUSY".into(),
            Self::Internal(_) => "INTERNAL_SERVER_ERROR".into(),
        }
    }

    /// Returns the HTTP status, to which an API family may make exceptions.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Missing(_)
            | Self::NotValid(_)
            | Self::CodeNotValid { .. }
            | Self::OldPasswordNotValid { .. }
            | Self::PayPasswordNotValid { .. }
            | Self::MemberNotFound(_)
            | Self::UserNotFound
            | Self::UserPhoneNotMatch
            | Self::PayPasswordNotSet
            | Self::MailNotAvailable
            | Self::BodyNotValid
            | Self::EventNotValid(_)
            | Self::ReceiptNotValid => StatusCode::BAD_REQUEST,
            Self::CredentialsNotValid { .. } | Self::InvalidToken => StatusCode::UNAUTHORIZED,
            Self::ReauthenticationRequired
            | Self::OriginNotAllowed
            | Self::AccountFrozen
            | Self::CoolingOff { .. } => StatusCode::FORBIDDEN,
            Self::PhoneInUse
            | Self::EmailInUse
            | Self::PayPasswordAlreadySet
            | Self::MemberExists
            | Self::MemberClosed => StatusCode::CONFLICT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            // draft-ietf-httpapi-idempotency-key-header, 2.7.
            Self::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::SendFrequently { .. } | Self::TooManyAttempts { .. } | Self::TooManyChanges { .. } => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::SendFailed(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns the seconds until the same request may succeed, if waiting helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::SendFrequently { retry_after, .. }
            | Self::TooManyAttempts { retry_after }
            | Self::TooManyChanges { retry_after }
            | Self::CoolingOff { retry_after } => Some(*retry_after),
            Self::Busy(_) => Some(BUSY_RETRY_AFTER),
            _ => None,
        }
    }

    /// Returns the attempts that are left after a wrong code or password.
    #[must_use]
    pub fn attempts_left(&self) -> Option<u32> {
        match self {
            Self::CodeNotValid { attempts_left }
            | Self::OldPasswordNotValid { attempts_left }
            | Self::PayPasswordNotValid { attempts_left }
            | Self::CredentialsNotValid { attempts_left } => Some(*attempts_left),
            _ => None,
        }
    }

    /// Returns the grant that the refusal of a login carries, if it is one of an address without a member.
    #[must_use]
    pub fn registration(&self) -> Option<&Registration> {
        match self {
            Self::MemberNotFound(registration) => Some(registration),
            _ => None,
        }
    }

    /// Returns whether retrying the same request is pointless: neither time, nor a login, nor a recovery, nor another
    /// page, nor an operator can make it succeed.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        let needs_other_sender =
            matches!(self, Self::InvalidToken | Self::ReauthenticationRequired | Self::OriginNotAllowed);
        let needs_operator = matches!(self, Self::MailNotAvailable) || self.is_server_error();
        let needs_recovery = matches!(self, Self::AccountFrozen);
        !needs_other_sender && !needs_operator && !needs_recovery && self.retry_after().is_none()
    }

    /// Returns whether the service failed, so that an operator must investigate.
    #[must_use]
    pub fn is_server_error(&self) -> bool {
        matches!(self, Self::Internal(_) | Self::SendFailed(_) | Self::Busy(_))
    }

    /// Returns an [`Error::Internal`] with its cause.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::Internal(cause.into())
    }
}

impl From<crate::random::RandomError> for Error {
    fn from(cause: crate::random::RandomError) -> Self {
        Self::internal(cause)
    }
}
