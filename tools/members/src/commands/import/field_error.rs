//! Why a line is rejected.

use std::{borrow::Cow, fmt};

use shared::contact::Destination;

/// The problem with one field of a line. Never contains input data, which may be a hash or a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name, or `line` if the whole line is malformed.
    pub field: &'static str,
    /// The problem.
    pub reason: Cow<'static, str>,
}

const TAKEN: &str = "belongs to another member";

impl FieldError {
    /// Returns the error of a field.
    pub fn new(field: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { field, reason: reason.into() }
    }

    /// Returns the error of a line in another encoding.
    pub fn not_utf8() -> Self {
        Self::new("line", "not UTF-8; save the file as UTF-8")
    }

    /// Returns the error of a phone or email address that belongs to another member.
    pub fn taken(destination: &Destination) -> Self {
        match destination {
            Destination::Phone(_) => Self::phone_taken(),
            Destination::Email(_) => Self::email_taken(),
        }
    }

    /// Returns the error of the id of a closed member.
    pub fn closed() -> Self {
        Self::new("id", "this member was closed, and is not created again")
    }

    /// Returns the error of a phone that belongs to another member.
    pub fn phone_taken() -> Self {
        Self::new("phone", TAKEN)
    }

    /// Returns the error of an email address that belongs to another member.
    pub fn email_taken() -> Self {
        Self::new("email", TAKEN)
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}
