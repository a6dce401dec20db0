//! What leaves the bundle for a person.

pub mod mail;
pub mod sms;

use crate::error::SendFault;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// Returns whether the provider refused the message or its outcome is unknown.
fn send_error<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> SendFault {
    match error {
        SdkError::ServiceError(refused) => {
            SendFault::Refused(refused.err().code().unwrap_or("Unknown").to_owned())
        }
        SdkError::ConstructionFailure(_) => SendFault::Refused("ConstructionFailure".to_owned()),
        SdkError::TimeoutError(_) => SendFault::Unknown("TimeoutError"),
        SdkError::DispatchFailure(_) => SendFault::Unknown("DispatchFailure"),
        _ => SendFault::Unknown("ResponseError"),
    }
}
