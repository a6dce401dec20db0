//! Why a command did not do what it was asked to; one line each.

use std::{error::Error as _, io, path::PathBuf};

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line asks for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// A file cannot be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: io::Error,
    },
    /// The output cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
    /// AWS refuses or does not answer.
    #[error("{call}: {reason}")]
    Aws {
        /// What was called.
        call: &'static str,
        /// AWS's words.
        reason: String,
    },
    /// The store refuses or does not answer.
    #[error(transparent)]
    Store(#[from] shared::Error),
    /// The settings are not those of the functions.
    #[error("{0}")]
    Settings(#[from] shared::settings::Faults),
    /// The keys cannot be used.
    #[error("{0}")]
    Keys(#[from] shared::keys::Fault),
    /// Something was asked for that is not there.
    #[error("{0}")]
    Absent(String),
    /// It is to be asked for once more, knowingly.
    #[error("{0}")]
    Unconfirmed(String),
    /// It was ended by Ctrl-C.
    #[error("{0}")]
    Interrupted(String),
    /// A fault of this program.
    #[error("internal: {0}")]
    Internal(String),
}

impl Error {
    /// Turns what a call of an AWS client says into an error, without the request.
    pub fn of_call<E, R>(call: &'static str) -> impl FnOnce(SdkError<E, R>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
        R: std::fmt::Debug + 'static,
    {
        move |error| {
            let reason = match (error.code(), error.message()) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                (Some(code), None) => code.to_owned(),
                _ => match error.source() {
                    Some(source) => DisplayErrorContext(source).to_string(),
                    None => error.to_string(),
                },
            };
            // Its last part is the error as Rust sees it.
            let reason = reason.lines().next().unwrap_or_default().to_owned();
            let reason = reason.split(" (").next().unwrap_or_default().to_owned();
            Self::Aws { call, reason }
        }
    }

    /// Others write what this would write.
    pub fn contended() -> Self {
        Self::Aws { call: "DynamoDB", reason: "others are in the way for too long".to_owned() }
    }

    /// A fault of this program.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::Internal(cause.to_string())
    }
}
