//! The part of SES that simple emails need: `SendEmail` of version 2.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;
use serde_json::json;

use super::Inbox;
use crate::events::Channel;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendEmail {
    destination: Destination,
    content: Content,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Destination {
    to_addresses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    simple: Simple,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Simple {
    body: Body,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    text: Option<Text>,
    html: Option<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Text {
    data: String,
}

pub(super) fn routes() -> Router<Arc<Inbox>> {
    Router::new().route("/v2/email/outbound-emails", post(send_email)).fallback(unknown)
}

async fn send_email(State(inbox): State<Arc<Inbox>>, body: Bytes) -> Response {
    let email: SendEmail = match serde_json::from_slice(&body) {
        Ok(email) => email,
        Err(error) => {
            return error_response(StatusCode::BAD_REQUEST, "BadRequestException", &error.to_string());
        }
    };
    let body = email.content.simple.body;
    match body.text.or(body.html) {
        Some(text) => {
            let id = inbox.catch(Channel::Mail, email.destination.to_addresses.join(", "), text.data);
            Json(json!({ "MessageId": id })).into_response()
        }
        None => error_response(StatusCode::BAD_REQUEST, "BadRequestException", "Missing body"),
    }
}

async fn unknown() -> Response {
    error_response(
        StatusCode::NOT_FOUND,
        "UnknownOperationException",
        "The local stack does not support this operation",
    )
}

fn error_response(status: StatusCode, code: &str, reason: &str) -> Response {
    (status, [("x-amzn-errortype", code)], Json(json!({ "message": reason }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn status(inbox: &Arc<Inbox>, body: serde_json::Value) -> StatusCode {
        send_email(State(Arc::clone(inbox)), body.to_string().into()).await.status()
    }

    #[tokio::test]
    async fn simple_email_is_caught() {
        let inbox = Arc::new(Inbox::new(|_| {}));
        let email = json!({
            "FromEmailAddress": "no-reply@example.com",
            "Destination": {"ToAddresses": ["a@example.com"]},
            "Content": {"Simple": {
                "Subject": {"Data": "Your code", "Charset": "UTF-8"},
                "Body": {
                    "Text": {"Data": "026129 or https://example.com/verify"},
                    "Html": {"Data": "<b>026129</b>"},
                },
            }},
        });
        assert_eq!(status(&inbox, email).await, StatusCode::OK);
        let messages = inbox.messages();
        assert_eq!((messages[0].channel, messages[0].to.as_str()), (Channel::Mail, "a@example.com"));
        assert_eq!(messages[0].code.as_deref(), Some("026129"));
        assert_eq!(messages[0].link.as_deref(), Some("https://example.com/verify"));
    }

    #[tokio::test]
    async fn raw_and_empty_emails_are_rejected() {
        let inbox = Arc::new(Inbox::new(|_| {}));
        let raw = json!({"Destination": {"ToAddresses": []}, "Content": {"Raw": {"Data": "eA=="}}});
        assert_eq!(status(&inbox, raw).await, StatusCode::BAD_REQUEST);
        let empty = json!({"Destination": {"ToAddresses": []}, "Content": {"Simple": {"Body": {}}}});
        assert_eq!(status(&inbox, empty).await, StatusCode::BAD_REQUEST);
        assert!(inbox.messages().is_empty());
    }
}
