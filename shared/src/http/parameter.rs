//! The parameters of the documented calls: their names, and the field that each one's error symbols refer to.

use crate::error::Field;

/// A parameter of the documented calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// `phoneInfo`: the user API's token of a sent code.
    PhoneInfo,
    /// `code`: the code that was sent.
    Code,
    /// `newPassword`: the user API's new login password.
    NewPassword,
    /// `newPasswordFirst`: the member API's new login password.
    NewPasswordFirst,
    /// `newPasswordSecond`: the same password, repeated.
    NewPasswordSecond,
    /// `oldPassword`: the password to be replaced.
    OldPassword,
    /// `passwordFirst`: the new login password in a recovery.
    PasswordFirst,
    /// `passwordSecond`: the same password, repeated.
    PasswordSecond,
    /// `payPasswordFirst`: the new pay password.
    PayPasswordFirst,
    /// `payPasswordSecond`: the same pay password, repeated.
    PayPasswordSecond,
    /// `password`: the login password, for reauthentication.
    Password,
    /// `phone`.
    Phone,
    /// `email`.
    Email,
    /// `message`: the code, as the member API names it.
    Message,
    /// `verification`: the member API's token of a sent code, or the grant that a verified code was exchanged for.
    Verification,
    /// `purpose`: the purpose of a requested code.
    Purpose,
}

impl Parameter {
    /// Every parameter, so that documents can list them.
    pub const ALL: [Self; 16] = [
        Self::PhoneInfo,
        Self::Code,
        Self::NewPassword,
        Self::NewPasswordFirst,
        Self::NewPasswordSecond,
        Self::OldPassword,
        Self::PasswordFirst,
        Self::PasswordSecond,
        Self::PayPasswordFirst,
        Self::PayPasswordSecond,
        Self::Password,
        Self::Phone,
        Self::Email,
        Self::Message,
        Self::Verification,
        Self::Purpose,
    ];

    /// Returns the parameter's name in a request.
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

    /// Returns the field that the error symbols of this parameter refer to.
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
