//! The families of documented calls, and the envelopes of their responses.

use super::{
    page::{LinkedPage, VerifyMailPage},
    reply::{Reply, Verification},
};
use crate::{domain::message, error::Error, language::Language, settings::ApiFamily};
use lambda_http::http::{HeaderMap, Method, StatusCode, header::ACCEPT};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{fmt::Debug, marker::PhantomData};

/// A family of calls. A handler returns the reply of its own family only.
pub trait Family: Sized + Send + Sync + 'static {
    /// The content of a success.
    type Success: Debug + Serialize + DeserializeOwned + Send + Sync;
}

/// A family of documented calls over HTTP.
pub trait Api: Family {
    /// The family, as settings and metrics name it.
    const FAMILY: ApiFamily;

    /// Returns the format of the response to a request.
    #[must_use]
    fn format(_: &Method, _: &HeaderMap) -> Format {
        Format::Json
    }

    /// Returns the status of a success in its envelope, which is the HTTP status unless `HTTP_200_FAMILIES` names the
    /// family.
    fn status(success: &Self::Success) -> StatusCode;

    /// Returns the status of an error in its envelope, which is the HTTP status unless `HTTP_200_FAMILIES` names the
    /// family.
    #[must_use]
    fn error_status(error: &Error) -> StatusCode {
        error.status()
    }

    /// Returns the body of a success.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be serialized.
    fn success(reply: &Reply<Self>, format: Format) -> Result<String, Error>;

    /// Returns the body of an error.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be serialized.
    fn failure(error: &Error, language: Language, format: Format) -> Result<String, Error>;
}

/// The format of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The family's JSON envelope.
    Json,
    /// An HTML page.
    Page,
}

/// The user API, under `/v1/user`.
#[derive(Debug)]
pub struct UserApi;

/// The member API, under `/member` and `/web`.
#[derive(Debug)]
pub struct MemberApi;

/// The calls that a link in an email opens: the member API's envelope for programs, an HTML page for browsers.
#[derive(Debug)]
pub struct PageApi<P = VerifyMailPage>(PhantomData<P>);

/// The content of a success of [`UserApi`].
#[derive(Debug, Serialize, Deserialize)]
pub struct UserSuccess(pub(super) Value);

/// The content of a success of [`MemberApi`].
#[derive(Debug, Serialize, Deserialize)]
pub struct MemberSuccess {
    #[serde(with = "status")]
    pub(super) status: StatusCode,
    pub(super) data: Value,
}

/// The content of a success of [`PageApi`].
#[derive(Debug, Serialize, Deserialize)]
pub struct PageSuccess {
    pub(super) member: MemberSuccess,
    pub(super) page: String,
}

/// `{"status":200,"result":…,"code":"OK","success":true,"token":"…"}`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserSuccessBody<'a> {
    status: u16,
    result: &'a Value,
    code: &'static str,
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resend_in: Option<u64>,
}

/// `{"status":400,"code":"…","message":"…","success":false}`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserFailureBody<'a> {
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
struct MemberSuccessBody<'a> {
    code: &'a str,
    msg: &'static str,
    data: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_token: Option<&'a str>,
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
struct MemberFailureBody<'a> {
    code: &'a str,
    msg: &'a str,
    data: (),
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts_left: Option<u32>,
}

impl Family for UserApi {
    type Success = UserSuccess;
}

impl Api for UserApi {
    const FAMILY: ApiFamily = ApiFamily::User;

    fn status(_: &UserSuccess) -> StatusCode {
        StatusCode::OK
    }

    fn error_status(error: &Error) -> StatusCode {
        match error {
            // The user API documents 400, although HTTP has 429.
            Error::SendFrequently { .. } => StatusCode::BAD_REQUEST,
            _ => error.status(),
        }
    }

    fn success(reply: &Reply<Self>, _: Format) -> Result<String, Error> {
        json(&UserSuccessBody {
            status: Self::status(&reply.success).as_u16(),
            result: &reply.success.0,
            code: "OK",
            success: true,
            token: reply.added.token(),
            service_token: reply.added.service_token(),
            expires_in: reply.added.expires_in,
            resend_in: reply.added.resend_in,
        })
    }

    fn failure(error: &Error, language: Language, _: Format) -> Result<String, Error> {
        json(&UserFailureBody {
            status: Self::error_status(error).as_u16(),
            code: &error.symbol(),
            message: &message::of_error(error, language),
            success: false,
            retry_after: error.retry_after(),
            attempts_left: error.attempts_left(),
        })
    }
}

impl Family for MemberApi {
    type Success = MemberSuccess;
}

impl Api for MemberApi {
    const FAMILY: ApiFamily = ApiFamily::Member;

    fn status(success: &MemberSuccess) -> StatusCode {
        success.status
    }

    fn success(reply: &Reply<Self>, _: Format) -> Result<String, Error> {
        member_success(&reply.success, reply)
    }

    fn failure(error: &Error, language: Language, _: Format) -> Result<String, Error> {
        json(&MemberFailureBody {
            code: Self::error_status(error).as_str(),
            msg: &message::of_error(error, language),
            data: (),
            error: &error.symbol(),
            retry_after: error.retry_after(),
            attempts_left: error.attempts_left(),
        })
    }
}

impl<P: LinkedPage> Family for PageApi<P> {
    type Success = PageSuccess;
}

impl<P: LinkedPage> Api for PageApi<P> {
    const FAMILY: ApiFamily = ApiFamily::Member;

    /// Returns [`Format::Page`] for browsers: they follow a link with GET, and accept HTML when they submit a form.
    /// Programs do neither.
    fn format(method: &Method, headers: &HeaderMap) -> Format {
        let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        if method == Method::GET || accept.contains("text/html") { Format::Page } else { Format::Json }
    }

    fn status(success: &PageSuccess) -> StatusCode {
        success.member.status
    }

    fn success(reply: &Reply<Self>, format: Format) -> Result<String, Error> {
        match format {
            Format::Json => member_success(&reply.success.member, reply),
            Format::Page => Ok(reply.success.page.clone()),
        }
    }

    fn failure(error: &Error, language: Language, format: Format) -> Result<String, Error> {
        match format {
            Format::Json => MemberApi::failure(error, language, format),
            Format::Page => P::refused(error, language),
        }
    }
}

fn member_success<A: Family>(success: &MemberSuccess, reply: &Reply<A>) -> Result<String, Error> {
    json(&MemberSuccessBody {
        code: success.status.as_str(),
        msg: "success",
        data: &success.data,
        token: reply.added.token(),
        service_token: reply.added.service_token(),
        expires_in: reply.added.expires_in,
        resend_in: reply.added.resend_in,
        verification: match &reply.added.verification {
            Verification::Is(verification) => Some(verification),
            Verification::Unchanged | Verification::Consumed => None,
        },
    })
}

fn json(body: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(body).map_err(Error::internal)
}

/// Serializes a status as its number.
mod status {
    use lambda_http::http::StatusCode;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires this signature")]
    pub fn serialize<S: Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(status.as_u16())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StatusCode, D::Error> {
        StatusCode::from_u16(u16::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::grant::Grant,
        error::{Field, Registration, SendLimit},
    };
    use std::fmt::Write;

    fn every_error() -> Vec<Error> {
        let cause = || "the cause, which is never part of a response".into();
        let mut errors: Vec<Error> = Field::ALL.into_iter().map(Error::Missing).collect();
        errors.extend(Field::ALL.into_iter().map(Error::NotValid));
        errors.extend([
            Error::CodeNotValid { attempts_left: 4 },
            Error::CodeNotValid { attempts_left: 1 },
            Error::CodeNotValid { attempts_left: 0 },
            Error::OldPasswordNotValid { attempts_left: 9 },
            Error::OldPasswordNotValid { attempts_left: 0 },
            Error::InvalidToken,
            Error::SendFrequently { retry_after: 117, limit: SendLimit::Resend },
            Error::TooManyAttempts { retry_after: 10_800 },
            Error::TooManyChanges { retry_after: 2_700 },
            Error::SendFailed(cause()),
            Error::UserNotFound,
            Error::UserPhoneNotMatch,
            Error::PhoneInUse,
            Error::EmailInUse,
            Error::PayPasswordAlreadySet,
            Error::PayPasswordNotSet,
            Error::MailNotAvailable,
            Error::ReauthenticationRequired,
            Error::OriginNotAllowed,
            Error::AccountFrozen,
            Error::CoolingOff { retry_after: 86_400 },
            Error::BodyNotValid,
            Error::EventNotValid("unknown field `colour`".to_owned()),
            Error::ReceiptNotValid,
            Error::CredentialsNotValid { attempts_left: 9 },
            Error::MemberNotFound(Registration::new("grant", 600)),
            Error::MemberExists,
            Error::MemberClosed,
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
            for failure in [UserApi::failure, MemberApi::failure] {
                for language in Language::ALL {
                    writeln!(table, "{}", failure(&error, language, Format::Json).unwrap()).unwrap();
                }
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn success_begins_with_the_documented_fields() {
        let reply = Reply::result(true);
        assert_eq!(
            UserApi::success(&reply, Format::Json).unwrap(),
            r#"{"status":200,"result":true,"code":"OK","success":true}"#
        );
        assert_eq!(
            MemberApi::success(&Reply::created(), Format::Json).unwrap(),
            r#"{"code":"201","msg":"success","data":"success"}"#
        );
        let grant = Grant::draw().unwrap();
        assert_eq!(
            MemberApi::success(&Reply::created().with_grant(&grant, 600), Format::Json).unwrap(),
            format!(
                r#"{{"code":"201","msg":"success","data":"success","expiresIn":600,"verification":"{}"}}"#,
                grant.expose()
            )
        );
    }
}
