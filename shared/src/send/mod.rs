//! The providers that send SMS and email.

pub mod email;
pub mod sms;

use crate::error::SendError;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// Returns whether the provider refused the message or its outcome is unknown.
fn send_error<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> SendError {
    match error {
        SdkError::ServiceError(refused) => {
            SendError::Refused(refused.err().code().unwrap_or("Unknown").to_owned())
        }
        SdkError::ConstructionFailure(_) => SendError::Refused("ConstructionFailure".to_owned()),
        SdkError::TimeoutError(_) => SendError::Unknown("TimeoutError"),
        SdkError::DispatchFailure(_) => SendError::Unknown("DispatchFailure"),
        _ => SendError::Unknown("ResponseError"),
    }
}
