//! SMS by Amazon SNS.

use crate::{aws::Lazy, contact::Phone};
use aws_sdk_sns::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::MessageAttributeValue,
};

/// Sends SMS.
#[derive(Debug)]
pub struct SmsSender {
    client: Lazy<Client>,
    sender_id: Option<String>,
}

/// Why an SMS was not, or perhaps not, sent. Holds SNS's code alone: its message can repeat the number.
#[derive(Debug, thiserror::Error)]
pub enum SendFault {
    /// SNS refused it: nothing was sent.
    #[error("SNS refused the message: {0}")]
    Refused(String),
    /// No answer, or half of one: it may have been sent.
    #[error("SNS did not answer: {0}")]
    Unknown(&'static str),
}

impl SmsSender {
    /// A sender by that client, whose retries must be off: a retry after a lost answer is a second SMS.
    #[must_use]
    pub(crate) fn new(client: Lazy<Client>, sender_id: Option<String>) -> Self {
        Self { client, sender_id }
    }

    /// Sends one SMS.
    ///
    /// # Errors
    /// [`SendFault`], which tells a refusal from an unknown outcome.
    pub async fn send(&self, to: &Phone, text: &str) -> Result<(), SendFault> {
        // `build` fails without a data type alone.
        let attribute = |value: &str| {
            MessageAttributeValue::builder().data_type("String").string_value(value).build().ok()
        };
        let mut publish = self.client.publish().phone_number(to.as_str()).message(text);
        if let Some(kind) = attribute("Transactional") {
            publish = publish.message_attributes("AWS.SNS.SMS.SMSType", kind);
        }
        if let Some(sender_id) = self.sender_id.as_deref().and_then(attribute) {
            publish = publish.message_attributes("AWS.SNS.SMS.SenderID", sender_id);
        }
        match publish.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(refused)) => {
                Err(SendFault::Refused(refused.err().code().unwrap_or("Unknown").to_owned()))
            }
            Err(SdkError::ConstructionFailure(_)) => {
                Err(SendFault::Refused("ConstructionFailure".to_owned()))
            }
            Err(SdkError::TimeoutError(_)) => Err(SendFault::Unknown("TimeoutError")),
            Err(SdkError::DispatchFailure(_)) => Err(SendFault::Unknown("DispatchFailure")),
            Err(_) => Err(SendFault::Unknown("ResponseError")),
        }
    }
}
