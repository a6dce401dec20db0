//! The providers that send SMS and email, behind one [`gate`].

mod email;
pub mod gate;
mod sms;

pub use email::EmailMessage;

use crate::error::SendError;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// The error codes of SNS and SES for an invalid parameter (the references of `Publish` and of `SendEmail`). The
/// phone number or email address is the only parameter that depends on the caller.
const ADDRESS_REFUSED: [&str; 5] =
    ["BadRequestException", "InvalidParameter", "InvalidParameterValue", "OptedOut", "ParameterValueInvalid"];

/// The error codes of SNS and SES for too many requests, and those that all AWS services have in common.
const THROTTLED: [&str; 6] = [
    "LimitExceededException",
    "Throttled",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// Returns why the provider refused the message, or that its outcome is unknown.
fn send_error<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> SendError {
    match error {
        SdkError::ServiceError(refused) => {
            let code = refused.err().code().unwrap_or("Unknown");
            if ADDRESS_REFUSED.contains(&code) {
                SendError::AddressRefused(code.to_owned())
            } else if THROTTLED.contains(&code) {
                SendError::Throttled(code.to_owned())
            } else {
                SendError::Refused(code.to_owned())
            }
        }
        SdkError::ConstructionFailure(_) => SendError::Refused("ConstructionFailure".to_owned()),
        SdkError::TimeoutError(_) => SendError::Unknown("TimeoutError"),
        SdkError::DispatchFailure(_) => SendError::Unknown("DispatchFailure"),
        _ => SendError::Unknown("ResponseError"),
    }
}
