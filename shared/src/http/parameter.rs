//! The parameters of the documented calls: how each is spelled, and what its symbol is named after.

use crate::error::Field;

/// A parameter by its spelling in the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// `phoneInfo`: the token of the first document.
    PhoneInfo,
    /// `code`: the digits that were sent.
    Code,
    /// `newPassword`: the first document's new login password.
    NewPassword,
    /// `newPasswordFirst`: the second document's new login password.
    NewPasswordFirst,
    /// `newPasswordSecond`: the same once more.
    NewPasswordSecond,
    /// `oldPassword`: the password that is to be replaced.
    OldPassword,
    /// `passwordFirst`: the login password after a recovery.
    PasswordFirst,
    /// `passwordSecond`: the same once more.
    PasswordSecond,
    /// `payPasswordFirst`: the new pay password.
    PayPasswordFirst,
    /// `payPasswordSecond`: the same once more.
    PayPasswordSecond,
    /// `password`: the login password, where a change asks for it.
    Password,
    /// `phone`.
    Phone,
    /// `email`.
    Email,
    /// `message`: the second document's name of a code.
    Message,
    /// `verification`: the token of a send, or the grant that a right code became.
    Verification,
    /// `purpose`: what a code is asked for.
    Purpose,
}

impl Parameter {
    /// The spelling on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PhoneInfo => "phoneInfo",
            Self::Code => "code",
            Self::NewPassword => "newPassword",
            Self::NewPasswordFirst => "newPasswordFirst",
            Self::NewPasswordSecond => "newPasswordSecond",
            Self::OldPassword => "oldPassword",
            Self::PasswordFirst => "passwordFirst",
            Self::PasswordSecond => "passwordSecond",
            Self::PayPasswordFirst => "payPasswordFirst",
            Self::PayPasswordSecond => "payPasswordSecond",
            Self::Password => "password",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::Message => "message",
            Self::Verification => "verification",
            Self::Purpose => "purpose",
        }
    }

    /// What a symbol about this parameter is named after.
    #[must_use]
    pub fn field(self) -> Field {
        match self {
            Self::PhoneInfo => Field::PhoneInfo,
            Self::Code => Field::Code,
            Self::NewPassword
            | Self::NewPasswordFirst
            | Self::NewPasswordSecond
            | Self::PasswordFirst
            | Self::PasswordSecond => Field::NewPassword,
            Self::OldPassword | Self::Password => Field::OldPassword,
            Self::PayPasswordFirst | Self::PayPasswordSecond => Field::PayPassword,
            Self::Phone => Field::Phone,
            Self::Email => Field::Email,
            Self::Message => Field::Message,
            Self::Verification | Self::Purpose => Field::Verification,
        }
    }
}
