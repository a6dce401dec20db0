//! What leaves the bundle for a person.

pub mod mail;
pub mod sms;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// Why a message was not, or perhaps not, sent. Holds the provider's code alone: its message can
/// repeat the number or the address.
#[derive(Debug, thiserror::Error)]
pub enum SendFault {
    /// The provider refused it: nothing was sent.
    #[error("the provider refused the message: {0}")]
    Refused(String),
    /// No answer, or half of one: it may have been sent.
    #[error("the provider did not answer: {0}")]
    Unknown(&'static str),
}

impl SendFault {
    fn of<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Self {
        match error {
            SdkError::ServiceError(refused) => {
                Self::Refused(refused.err().code().unwrap_or("Unknown").to_owned())
            }
            SdkError::ConstructionFailure(_) => Self::Refused("ConstructionFailure".to_owned()),
            SdkError::TimeoutError(_) => Self::Unknown("TimeoutError"),
            SdkError::DispatchFailure(_) => Self::Unknown("DispatchFailure"),
            _ => Self::Unknown("ResponseError"),
        }
    }
}
