//! SMS, sent by Amazon SNS.

use super::{gate::Permit, send_error};
use crate::{
    aws::Lazy,
    contact::Phone,
    error::SendError,
    metrics::{self, Provider},
};
use aws_sdk_sns::{Client, types::MessageAttributeValue};

/// Sends SMS.
#[derive(Debug)]
pub(super) struct SmsSender {
    client: Lazy<Client>,
    sender_id: Option<String>,
}

impl SmsSender {
    pub(super) fn new(client: Lazy<Client>, sender_id: Option<String>) -> Self {
        Self { client, sender_id }
    }

    /// Sends one SMS.
    ///
    /// # Errors
    /// [`SendError::Unknown`] if the SMS may have been sent, any other [`SendError`] if nothing was sent.
    pub(super) async fn send(&self, _: Permit, to: &Phone, text: &str) -> Result<(), SendError> {
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
