//! A request with concrete values, as a client sends it.

use reqwest::Method;
use serde_json::{Value, json};

/// The claims of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claims {
    /// The index of the member.
    pub(super) member: usize,
    pub(super) version: u64,
    pub(super) auth_time: u64,
    /// How the member logged in.
    pub(super) amr: Methods,
    /// Whether the login is recent. A walk takes less time than a login needs to age, so this does not change.
    pub(super) is_recent: bool,
}

impl Claims {
    /// Whether the session counts as a reauthentication.
    pub(super) fn is_proven(self) -> bool {
        self.is_recent && self.amr.contains(&PASSWORD)
    }
}

/// Methods of a login, as `amr` names them.
pub(super) type Methods = &'static [&'static str];

pub(super) const PASSWORD: &str = "pwd";

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The claims of the session that is sent.
    pub(super) session: Option<Claims>,
    /// The cookie `verification`.
    pub(super) cookie: Option<String>,
    /// The `Idempotency-Key`, or `idempotencyKey`.
    pub(super) key: Option<String>,
    /// The number of the end user's address, which a service names.
    pub(super) source: usize,
    pub(super) call: Call,
}

/// The field that names a contact, and its value.
pub(super) type Named = (&'static str, String);

/// The proof with which a member is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CreationProof {
    Grant(String),
    /// The service vouches for the contact.
    Vouched(Named),
}

/// The member who pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Payer {
    /// The text of a session, or none.
    Session(Option<String>),
    Member(usize),
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
    ReportChange {
        verification: String,
    },
    LogInByPassword {
        to: Named,
        password: String,
        device: Option<String>,
    },
    LogInByCode {
        to: Named,
        code: String,
        verification: String,
    },
    SendLogInCode {
        purpose: &'static str,
        to: Named,
    },
    CreateMember {
        proof: CreationProof,
        /// The number of an id that the service chose.
        id: Option<usize>,
        password: Option<String>,
        log_in: bool,
    },
    CheckPayPassword {
        payer: Payer,
        pin: String,
        order: usize,
        /// The code and its `verification`.
        code: Option<(String, String)>,
    },
    SpendReceipt {
        receipt: String,
        order: usize,
    },
}

/// Returns an order. Each differs from the first one in one field.
fn order(number: usize) -> Value {
    let mut order = json!({ "reference": "o-1", "amount": "19900", "currency": "CNY", "payee": "Shop" });
    let changed = [("reference", "o-1"), ("reference", "o-2"), ("amount", "19901"), ("payee", "Store")];
    if let Some((name, value)) = changed.get(number)
        && let Some(field) = order.get_mut(name)
    {
        *field = json!(value);
    }
    order
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
            Self::ReportChange { .. } => "report-change",
            Self::LogInByPassword { .. } => "log-in (password)",
            Self::LogInByCode { .. } => "log-in (code)",
            Self::SendLogInCode { .. } => "send-log-in-code",
            Self::CreateMember { .. } => "create-member",
            Self::CheckPayPassword { .. } => "check-pay-password",
            Self::SpendReceipt { .. } => "spend-receipt",
        }
    }

    /// Whether the call belongs to family A.
    pub(super) fn is_user_api(&self) -> bool {
        matches!(self, Self::SendChangeMessage | Self::ChangeByMessage { .. })
    }

    /// Returns the function that another service invokes for this call, if one does.
    pub(super) fn function(&self) -> Option<&'static str> {
        match self {
            Self::LogInByPassword { .. } | Self::LogInByCode { .. } => Some("log-in"),
            Self::SendLogInCode { .. } => Some("send-log-in-code"),
            Self::CreateMember { .. } => Some("create-member"),
            Self::CheckPayPassword { .. } => Some("check-pay-password"),
            Self::SpendReceipt { .. } => Some("spend-receipt"),
            _ => None,
        }
    }

    /// Returns the fields of the event of that function. `member` is the id of a member by its number, and `chosen` an id
    /// that a service chooses.
    pub(super) fn event(&self, member: impl Fn(usize) -> String, chosen: impl Fn(usize) -> String) -> Value {
        let mut event = match self {
            Self::LogInByPassword { password, device, .. } => {
                json!({ "password": password, "device": device })
            }
            Self::LogInByCode { code, verification, .. } => {
                json!({ "code": code, "verification": verification })
            }
            Self::SendLogInCode { purpose, .. } => json!({ "purpose": purpose }),
            Self::CreateMember { proof, id, password, log_in } => {
                let event = json!({ "member": id.map(chosen), "password": password, "logIn": log_in });
                match proof {
                    CreationProof::Grant(grant) => with(event, "verification", json!(grant)),
                    CreationProof::Vouched((name, value)) => {
                        with(with(event, name, json!(value)), "proven", json!(true))
                    }
                }
            }
            Self::CheckPayPassword { payer, pin, order: number, code } => {
                let (code, verification) = code.clone().unzip();
                let (session, member) = match payer {
                    Payer::Session(session) => (session.clone(), None),
                    Payer::Member(number) => (None, Some(member(*number))),
                };
                json!({
                    "session": session, "member": member, "payPassword": pin, "order": order(*number),
                    "code": code, "verification": verification,
                })
            }
            Self::SpendReceipt { receipt, order: number } => {
                json!({ "receipt": receipt, "order": order(*number) })
            }
            _ => Value::Null,
        };
        if let Self::LogInByPassword { to: (name, value), .. }
        | Self::LogInByCode { to: (name, value), .. }
        | Self::SendLogInCode { to: (name, value), .. } = self
        {
            event = with(event, name, json!(value));
        }
        event
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
            Self::ReportChange { verification } => {
                (Method::POST, "/web/userservice/security/notMe", vec![("verification", Some(verification))])
            }
            Self::LogInByPassword { .. }
            | Self::LogInByCode { .. }
            | Self::SendLogInCode { .. }
            | Self::CreateMember { .. }
            | Self::CheckPayPassword { .. }
            | Self::SpendReceipt { .. } => (Method::POST, "", vec![]),
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
            Call::OpenMail { verification, .. }
            | Call::VerifyMail { verification, .. }
            | Call::ReportChange { verification } => Some(&**verification),
            _ => None,
        };
        parameter.or(self.cookie.as_deref())
    }
}

/// Returns an event with another field.
fn with(mut event: Value, name: &str, value: Value) -> Value {
    if let Some(fields) = event.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
    event
}
