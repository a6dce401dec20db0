//! A request with concrete values, as a client sends it.

use reqwest::Method;

/// The claims of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claims {
    /// The index of the member.
    pub(super) member: usize,
    pub(super) version: u64,
    pub(super) auth_time: u64,
    /// Whether the login is recent. A walk takes less time than a login needs to age, so this does not change.
    pub(super) is_recent: bool,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The claims of the session that is sent.
    pub(super) session: Option<Claims>,
    /// The cookie `verification`.
    pub(super) cookie: Option<String>,
    /// The `Idempotency-Key`.
    pub(super) key: Option<String>,
    pub(super) call: Call,
}

/// A call of an endpoint with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    SendChangeMessage,
    ChangeByMessage {
        phone_info: String,
        code: String,
        new: String,
        old: Option<String>,
    },
    ChangePassword {
        old: String,
        new: String,
    },
    SendCode {
        phone: String,
        purpose: Option<&'static str>,
    },
    BindPhone {
        phone: String,
        code: String,
        verification: Option<String>,
        password: Option<String>,
    },
    SetPayPassword {
        new: String,
        password: Option<String>,
    },
    ResetPayPassword {
        phone: String,
        code: Option<String>,
        verification: Option<String>,
        new: Option<String>,
    },
    UpdatePayPassword {
        old: String,
        new: String,
    },
    VerifyRecoveryCode {
        code: String,
        verification: Option<String>,
    },
    RecoverPassword {
        /// `phone` or `email`, and its value.
        to: (&'static str, String),
        verification: Option<String>,
        new: String,
    },
    SendMail {
        email: String,
        password: Option<String>,
    },
    OpenMail {
        verification: String,
        code: String,
    },
    VerifyMail {
        verification: String,
        code: String,
    },
}

impl Call {
    /// Returns the name of the call, for the coverage.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::SendChangeMessage => "send-change-password-message",
            Self::ChangeByMessage { .. } => "change-password-by-message",
            Self::ChangePassword { .. } => "change-password",
            Self::SendCode { .. } => "send-code",
            Self::BindPhone { .. } => "bind-phone",
            Self::SetPayPassword { .. } => "set-pay-password",
            Self::ResetPayPassword { .. } => "reset-pay-password",
            Self::UpdatePayPassword { .. } => "update-pay-password",
            Self::VerifyRecoveryCode { .. } => "verify-recovery-code",
            Self::RecoverPassword { .. } => "recover-password",
            Self::SendMail { .. } => "send-mail",
            Self::OpenMail { .. } => "verify-mail (GET)",
            Self::VerifyMail { .. } => "verify-mail (POST)",
        }
    }

    /// Whether the call belongs to family A.
    pub(super) fn is_user_api(&self) -> bool {
        matches!(self, Self::SendChangeMessage | Self::ChangeByMessage { .. })
    }

    /// Returns the method, the path, and the parameters.
    pub(super) fn http(&self) -> (Method, &'static str, Vec<(&'static str, &str)>) {
        const SECURITY: &str = "/member/userservice/security";
        const RECOVERY: &str = "/web/userservice/security";
        const VERIFY_MAIL: &str = "/web/userservice/security/verifyMail";
        let (method, path, parameters): (_, _, Vec<(&'static str, Option<&str>)>) = match self {
            Self::SendChangeMessage => (Method::POST, "/v1/user/sendChangePasswordMessage", vec![]),
            Self::ChangeByMessage { phone_info, code, new, old } => (
                Method::POST,
                "/v1/user/changePasswordByMessage",
                vec![
                    ("phoneInfo", Some(phone_info)),
                    ("code", Some(code)),
                    ("newPassword", Some(new)),
                    ("oldPassword", old.as_deref()),
                ],
            ),
            Self::ChangePassword { old, new } => {
                (Method::PUT, SECURITY, vec![("oldPassword", Some(old)), ("newPasswordFirst", Some(new))])
            }
            Self::SendCode { phone, purpose } => {
                (Method::GET, SECURITY, vec![("phone", Some(phone)), ("purpose", *purpose)])
            }
            Self::BindPhone { phone, code, verification, password } => (
                Method::PUT,
                "/member/userservice/security/bindingPhone",
                vec![
                    ("phone", Some(phone)),
                    ("message", Some(code)),
                    ("verification", verification.as_deref()),
                    ("password", password.as_deref()),
                ],
            ),
            Self::SetPayPassword { new, password } => (
                Method::PUT,
                "/member/userservice/security/payPassword",
                vec![("payPasswordFirst", Some(new)), ("password", password.as_deref())],
            ),
            Self::ResetPayPassword { phone, code, verification, new } => (
                Method::PUT,
                "/member/userservice/security/resetPayPassword",
                vec![
                    ("phone", Some(phone)),
                    ("message", code.as_deref()),
                    ("verification", verification.as_deref()),
                    ("payPasswordFirst", new.as_deref()),
                ],
            ),
            Self::UpdatePayPassword { old, new } => (
                Method::PUT,
                "/member/userservice/security/updatePayPassword",
                vec![("oldPassword", Some(old)), ("payPasswordFirst", Some(new))],
            ),
            Self::VerifyRecoveryCode { code, verification } => (
                Method::POST,
                RECOVERY,
                vec![("message", Some(code)), ("verification", verification.as_deref())],
            ),
            Self::RecoverPassword { to: (name, value), verification, new } => (
                Method::PUT,
                RECOVERY,
                vec![
                    (name, Some(value)),
                    ("verification", verification.as_deref()),
                    ("passwordFirst", Some(new)),
                ],
            ),
            Self::SendMail { email, password } => (
                Method::POST,
                "/web/userservice/security/sendMail",
                vec![("email", Some(email)), ("password", password.as_deref())],
            ),
            Self::OpenMail { verification, code } => {
                (Method::GET, VERIFY_MAIL, vec![("verification", Some(verification)), ("code", Some(code))])
            }
            Self::VerifyMail { verification, code } => {
                (Method::POST, VERIFY_MAIL, vec![("verification", Some(verification)), ("code", Some(code))])
            }
        };
        let sent = parameters.into_iter().filter_map(|(name, value)| Some((name, value?)));
        (method, path, sent.collect())
    }
}

impl Request {
    /// Returns `verification`: the parameter, or else the cookie.
    pub(super) fn verification(&self) -> Option<&str> {
        let parameter = match &self.call {
            Call::BindPhone { verification, .. }
            | Call::ResetPayPassword { verification, .. }
            | Call::VerifyRecoveryCode { verification, .. }
            | Call::RecoverPassword { verification, .. } => verification.as_deref(),
            Call::OpenMail { verification, .. } | Call::VerifyMail { verification, .. } => {
                Some(&**verification)
            }
            _ => None,
        };
        parameter.or(self.cookie.as_deref())
    }
}
