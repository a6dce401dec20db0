//! Email, sent by Amazon SES.

use super::{gate::Permit, send_error};
use crate::{
    aws::Lazy,
    contact::Email,
    domain::message,
    error::SendError,
    language::Language,
    metrics::{self, Provider},
};
use askama::Template;
use aws_sdk_sesv2::{
    Client,
    types::{Body, Content, Destination, EmailContent, Message},
};

/// Sends email.
#[derive(Debug)]
pub(super) struct EmailSender {
    client: Lazy<Client>,
    from: Option<String>,
}

/// An email as plain text and as HTML.
pub struct EmailMessage {
    subject: String,
    text: String,
    html: String,
}

#[derive(Template)]
#[template(path = "mail.html")]
struct Html<'a> {
    language: &'a str,
    subject: &'a str,
    paragraphs: &'a [String],
    code: Option<&'a str>,
    link: Option<Link<'a>>,
    closing: Option<&'a str>,
}

struct Link<'a> {
    url: &'a str,
    label: &'a str,
}

impl EmailMessage {
    /// Creates the email of a notice from its paragraphs and, if there is one, the link that reports the change.
    ///
    /// # Errors
    /// [`SendError::Refused`] if the template fails.
    pub fn of_notice(
        subject: &str,
        paragraphs: &[String],
        link: Option<&str>,
        language: Language,
    ) -> Result<Self, SendError> {
        let label = message::REPORT_BUTTON.in_language(language);
        let html = Html {
            language: language.tag(),
            subject,
            paragraphs,
            code: None,
            link: link.map(|url| Link { url, label }),
            closing: None,
        };
        let lines: Vec<_> = paragraphs.iter().map(String::as_str).chain(link).collect();
        Self::render(&html, lines.join("\n\n"))
    }

    /// Creates an email with a code and, if there is one, the link that verifies it.
    ///
    /// # Errors
    /// [`SendError::Refused`] if the template fails.
    pub fn with_code(
        subject: &str,
        opening: &str,
        code: &str,
        link: Option<&str>,
        language: Language,
    ) -> Result<Self, SendError> {
        let label = message::MAIL_BUTTON.in_language(language);
        let closing = message::MAIL_CLOSING.in_language(language);
        let html = Html {
            language: language.tag(),
            subject,
            paragraphs: &[opening.to_owned()],
            code: Some(code),
            link: link.map(|url| Link { url, label }),
            closing: Some(closing),
        };
        let lines: Vec<_> = [opening, code].into_iter().chain(link).chain([closing]).collect();
        Self::render(&html, lines.join("\n\n"))
    }

    fn render(html: &Html<'_>, text: String) -> Result<Self, SendError> {
        let rendered =
            html.render().map_err(|_| SendError::Refused("the template of the email failed".to_owned()))?;
        Ok(Self { subject: html.subject.to_owned(), text, html: rendered })
    }
}

impl EmailSender {
    pub(super) fn new(client: Lazy<Client>, from: Option<String>) -> Self {
        Self { client, from }
    }

    /// Returns the sender of every email.
    ///
    /// # Errors
    /// [`SendError::NoSender`] if there is no sender, so that no email is sent.
    pub(super) fn sender(&self) -> Result<&str, SendError> {
        self.from.as_deref().ok_or(SendError::NoSender)
    }

    /// Sends one email.
    ///
    /// # Errors
    /// [`SendError::Unknown`] if the email may have been sent, any other [`SendError`] if nothing was sent.
    pub(super) async fn send(&self, _: Permit, to: &Email, message: &EmailMessage) -> Result<(), SendError> {
        let refused = |reason: &str| SendError::Refused(reason.to_owned());
        let from = self.sender()?;
        // `build` fails only without data.
        let content = |data: &str| {
            Content::builder().data(data).charset("UTF-8").build().map_err(|_| refused("ConstructionFailure"))
        };
        let body = Body::builder().text(content(&message.text)?).html(content(&message.html)?).build();
        let simple = Message::builder().subject(content(&message.subject)?).body(body).build();
        let request = self
            .client
            .send_email()
            .from_email_address(from)
            .destination(Destination::builder().to_addresses(to.as_str()).build())
            .content(EmailContent::builder().simple(simple).build());
        let _timer = metrics::time_call(Provider::Ses);
        request.send().await.map(drop).map_err(|error| send_error(&error))
    }
}
