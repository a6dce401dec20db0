//! Why a command failed, in one line.

use std::{error::Error as _, io, path::PathBuf};

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use shared::store::{DynamoDbError, is_conflict};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line, or a file that it names, cannot be used.
    #[error("{0}")]
    Usage(String),
    /// A file cannot be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        reason: io::Error,
    },
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// A call to AWS failed.
    #[error("{call}: {reason}")]
    Aws {
        /// The service that was called.
        call: &'static str,
        /// The service's error code and message.
        reason: String,
    },
    /// A call of the library failed for another reason.
    #[error(transparent)]
    Shared(shared::Error),
    /// The functions would not accept the settings.
    #[error("{0}")]
    Settings(#[from] shared::settings::SettingsError),
    /// The keys cannot be used.
    #[error("{0}")]
    Keys(#[from] shared::keys::KeysError),
    /// Something that the command needs does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The command must be confirmed with `--yes`.
    #[error("{0}")]
    ConfirmationRequired(String),
    /// Ctrl-C stopped the command.
    #[error("{0}")]
    Interrupted(String),
    /// A bug in this program.
    #[error("internal: {0}")]
    Internal(String),
}

const DYNAMODB: &str = "DynamoDB";

impl From<shared::Error> for Error {
    fn from(error: shared::Error) -> Self {
        use shared::Error::{Busy, Internal, UserNotFound};
        if is_conflict(&error) {
            return Self::conflict();
        }
        let dynamodb = match &error {
            Busy(cause) | Internal(cause) => cause.downcast_ref::<DynamoDbError>(),
            _ => None,
        };
        match (dynamodb, &error) {
            (Some(DynamoDbError { code, message }), _) => {
                Self::Aws { call: DYNAMODB, reason: format!("{code}: {message}") }
            }
            (None, UserNotFound) => Self::NotFound("no such member: it was deleted meanwhile".to_owned()),
            (None, _) => Self::Shared(error),
        }
    }
}

impl Error {
    /// Returns a function that converts the error of a call to AWS, without the request.
    pub fn from_call<E, R>(call: &'static str) -> impl FnOnce(SdkError<E, R>) -> Self
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
            // The rest is the error's `Debug` output.
            let reason = reason.lines().next().unwrap_or_default().to_owned();
            let reason = reason.split(" (").next().unwrap_or_default().to_owned();
            Self::Aws { call, reason }
        }
    }

    /// Returns the error of a write that kept conflicting with other writers.
    pub fn conflict() -> Self {
        let reason = "gave up: the item is being modified by other writers (transaction conflict)";
        Self::Aws { call: DYNAMODB, reason: reason.to_owned() }
    }

    /// Returns the error of a bug in this program.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::Internal(cause.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dynamodb(code: &str, message: &str) -> DynamoDbError {
        DynamoDbError { code: code.to_owned(), message: message.to_owned() }
    }

    #[test]
    fn dynamodb_error_is_printed_with_code_and_message() {
        let denied = dynamodb("AccessDeniedException", "not authorized to perform: dynamodb:Query");
        let error = Error::from(shared::Error::internal(denied));
        let expected = "DynamoDB: AccessDeniedException: not authorized to perform: dynamodb:Query";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn lasting_conflict_is_printed_as_giving_up() {
        let canceled = dynamodb("TransactionCanceledException", "None, TransactionConflict");
        let error = Error::from(shared::Error::Busy(canceled.into()));
        assert!(error.to_string().contains("modified by other writers"), "{error}");
    }
}
