//! The two shapes of an answer, and nothing else knows them.

use crate::{
    domain::message,
    error::Error,
    http::reply::{Reply, Verification},
    language::Language,
};
use lambda_http::http::StatusCode;
use serde::Serialize;
use serde_json::Value;

/// The family of documented calls that an endpoint belongs to, by the shape of its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// `/v1/user`: the first document.
    User,
    /// `/member` and `/web`: the second document.
    Member,
    /// `verify-mail`: the second document's for a program, an HTML page for a browser.
    MemberOrPage,
}

/// `{"status":200,"result":…,"code":"OK","success":true,"token":"…"}`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserSuccess<'a> {
    status: u16,
    result: &'a Value,
    code: &'static str,
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resend_in: Option<u64>,
}

/// `{"status":400,"code":"…","message":"…","success":false}`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserFailure<'a> {
    status: u16,
    code: &'a str,
    message: &'a str,
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts_left: Option<u32>,
}

/// `{"code":"201","msg":"success","data":"success"}`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberSuccess<'a> {
    code: &'a str,
    msg: &'static str,
    data: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resend_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<&'a str>,
}

/// `{"code":"400","msg":"…","data":null,"error":"…"}`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberFailure<'a> {
    code: &'a str,
    msg: &'a str,
    data: (),
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts_left: Option<u32>,
}

impl Envelope {
    /// Returns the HTTP status of an error in this envelope.
    #[must_use]
    pub fn status(self, error: &Error) -> StatusCode {
        match (self, error) {
            // The first document's table of errors has 400, where HTTP has 429.
            (Self::User, Error::SendFrequently { .. }) => StatusCode::BAD_REQUEST,
            _ => error.status(),
        }
    }

    /// The body of a success.
    ///
    /// # Errors
    /// Never for these shapes; the serializer's signature allows for one.
    pub fn success(self, reply: &Reply) -> serde_json::Result<String> {
        let Reply { status, data, expires_in, resend_in, .. } = reply;
        let (expires_in, resend_in) = (*expires_in, *resend_in);
        let token = reply.token.as_deref();
        match self {
            Self::User => serde_json::to_string(&UserSuccess {
                status: status.as_u16(),
                result: data,
                code: "OK",
                success: true,
                token,
                expires_in,
                resend_in,
            }),
            Self::Member | Self::MemberOrPage => serde_json::to_string(&MemberSuccess {
                code: status.as_str(),
                msg: "success",
                data,
                token,
                expires_in,
                resend_in,
                verification: match &reply.verification {
                    Verification::Is(verification) => Some(verification),
                    Verification::Unchanged | Verification::Spent => None,
                },
            }),
        }
    }

    /// The body of a refusal or failure.
    ///
    /// # Errors
    /// Never for these shapes; the serializer's signature allows for one.
    pub fn failure(self, error: &Error, language: Language) -> serde_json::Result<String> {
        let status = self.status(error);
        let (symbol, message) = (error.symbol(), message::of_error(error, language));
        let (retry_after, attempts_left) = (error.retry_after(), error.attempts_left());
        match self {
            Self::User => serde_json::to_string(&UserFailure {
                status: status.as_u16(),
                code: &symbol,
                message: &message,
                success: false,
                retry_after,
                attempts_left,
            }),
            Self::Member | Self::MemberOrPage => serde_json::to_string(&MemberFailure {
                code: status.as_str(),
                msg: &message,
                data: (),
                error: &symbol,
                retry_after,
                attempts_left,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::grant::Grant,
        error::{Field, SendLimit},
    };
    use std::fmt::Write;

    fn every_error() -> Vec<Error> {
        let cause = || "the cause, which no caller sees".into();
        let mut errors: Vec<Error> = Field::ALL.into_iter().map(Error::Missing).collect();
        errors.extend(Field::ALL.into_iter().map(Error::NotValid));
        errors.extend([
            Error::CodeNotValid { attempts_left: 4 },
            Error::CodeNotValid { attempts_left: 1 },
            Error::CodeNotValid { attempts_left: 0 },
            Error::InvalidToken,
            Error::SendFrequently { retry_after: 117, limit: SendLimit::Resend },
            Error::TooManyAttempts { retry_after: 10_800 },
            Error::SendFailed(cause()),
            Error::UserNotFound,
            Error::UserPhoneNotMatch,
            Error::PhoneInUse,
            Error::EmailInUse,
            Error::PayPasswordAlreadySet,
            Error::PayPasswordNotSet,
            Error::ReauthenticationRequired,
            Error::CoolingOff { retry_after: 86_400 },
            Error::BodyNotValid,
            Error::BodyTooLarge,
            Error::IdempotencyKeyReused,
            Error::Busy(cause()),
            Error::Internal(cause()),
        ]);
        errors
    }

    #[test]
    fn every_error_in_both_envelopes_and_languages() {
        let mut table = String::new();
        for error in every_error() {
            for envelope in [Envelope::User, Envelope::Member] {
                for language in Language::ALL {
                    writeln!(table, "{}", envelope.failure(&error, language).unwrap()).unwrap();
                }
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn a_success_has_the_documented_fields_first_and_in_their_order() {
        let reply = Reply::result(true);
        assert_eq!(
            Envelope::User.success(&reply).unwrap(),
            r#"{"status":200,"result":true,"code":"OK","success":true}"#
        );
        assert_eq!(
            Envelope::Member.success(&Reply::changed()).unwrap(),
            r#"{"code":"201","msg":"success","data":"success"}"#
        );
        let grant = Grant::draw().unwrap();
        assert_eq!(
            Envelope::Member.success(&Reply::changed().granting(&grant, 600)).unwrap(),
            format!(
                r#"{{"code":"201","msg":"success","data":"success","expiresIn":600,"verification":"{}"}}"#,
                grant.expose()
            )
        );
    }
}
