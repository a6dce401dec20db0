//! The part of SNS that direct SMS needs: `Publish` of the AWS Query protocol.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};

use super::Inbox;
use crate::{aws, events::Channel};

pub(super) fn routes() -> Router<Arc<Inbox>> {
    Router::new().route("/", post(call))
}

async fn call(State(inbox): State<Arc<Inbox>>, body: Bytes) -> Response {
    let mut fields: HashMap<_, _> = form_urlencoded::parse(&body).into_owned().collect();
    match fields.get("Action").map(String::as_str) {
        Some("Publish") => match (fields.remove("PhoneNumber"), fields.remove("Message")) {
            (Some(phone), Some(text)) => published(&inbox.catch(Channel::Sms, phone, text)),
            (None, _) => {
                error("InvalidParameter", "Invalid parameter: PhoneNumber: only direct SMS is supported")
            }
            (_, None) => error("InvalidParameter", "Invalid parameter: Empty message"),
        },
        _ => error("InvalidAction", "The local stack does not support this action"),
    }
}

fn published(id: &str) -> Response {
    let request = aws::random_id();
    xml(
        StatusCode::OK,
        format!(
            "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">\
             <PublishResult><MessageId>{id}</MessageId></PublishResult>\
             <ResponseMetadata><RequestId>{request}</RequestId></ResponseMetadata></PublishResponse>"
        ),
    )
}

fn error(code: &str, reason: &str) -> Response {
    let request = aws::random_id();
    xml(
        StatusCode::BAD_REQUEST,
        format!(
            "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">\
             <Error><Type>Sender</Type><Code>{code}</Code><Message>{reason}</Message></Error>\
             <RequestId>{request}</RequestId></ErrorResponse>"
        ),
    )
}

fn xml(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, "text/xml")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    async fn respond(inbox: &Arc<Inbox>, body: &'static str) -> (StatusCode, String) {
        let response = call(State(Arc::clone(inbox)), Bytes::from_static(body.as_bytes())).await;
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn published_sms_is_caught() {
        let inbox = Arc::new(Inbox::new(|_| {}));
        let body = "Action=Publish&Version=2010-03-31&PhoneNumber=%2B8613627140483&Message=code+026129%21\
                    &MessageAttributes.entry.1.Name=AWS.SNS.SMS.SMSType";
        let (status, response) = respond(&inbox, body).await;
        let messages = inbox.messages();
        assert_eq!(status, StatusCode::OK);
        assert!(response.contains(&format!("<MessageId>{}</MessageId>", messages[0].id)), "{response}");
        assert_eq!(
            (messages[0].to.as_str(), messages[0].text.as_str(), messages[0].code.as_deref()),
            ("+8613627140483", "code 026129!", Some("026129"))
        );
    }

    #[tokio::test]
    async fn other_requests_return_errors_of_sns() {
        let inbox = Arc::new(Inbox::new(|_| {}));
        for (body, code) in [
            ("Action=CreateTopic&Name=x", "<Code>InvalidAction</Code>"),
            ("Action=Publish&TopicArn=arn&Message=x", "<Code>InvalidParameter</Code>"),
            ("Action=Publish&PhoneNumber=1", "<Code>InvalidParameter</Code>"),
        ] {
            let (status, response) = respond(&inbox, body).await;
            assert_eq!(status, StatusCode::BAD_REQUEST);
            assert!(response.contains(code), "{response}");
        }
        assert!(inbox.messages().is_empty());
    }
}
