//! SMS, sent by Amazon SNS.

use super::send_error;
use crate::{
    aws::Lazy,
    contact::{Phone, PhoneRules},
    error::SendError,
    metrics::{self, Provider},
};
use aws_sdk_sns::{Client, types::MessageAttributeValue};

/// Sends SMS to phones of the allowed regions.
#[derive(Debug)]
pub struct SmsSender {
    client: Lazy<Client>,
    sender_id: Option<String>,
    phones: PhoneRules,
}

impl SmsSender {
    /// Creates a sender. The client must not retry, because a retry after a lost response would send a second SMS.
    #[must_use]
    pub(crate) fn new(client: Lazy<Client>, sender_id: Option<String>, phones: PhoneRules) -> Self {
        Self { client, sender_id, phones }
    }

    /// Checks whether SMS may be sent to a phone. The phone may have been bound when other regions were allowed.
    ///
    /// # Errors
    /// [`SendError::NotAllowed`] if they may not.
    pub fn check(&self, to: &Phone) -> Result<(), SendError> {
        if self.phones.allow(to) { Ok(()) } else { Err(SendError::NotAllowed) }
    }

    /// Sends one SMS, if the phone is allowed.
    ///
    /// # Errors
    /// [`SendError::Unknown`] if the SMS may have been sent, any other [`SendError`] if nothing was sent.
    pub async fn send(&self, to: &Phone, text: &str) -> Result<(), SendError> {
        self.check(to)?;
        // `build` fails only without a data type.
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
        let _timer = metrics::time_call(Provider::Sns);
        publish.send().await.map(drop).map_err(|error| send_error(&error))
    }
}
