//! Email by Amazon SES.

use super::send_error;
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

/// Sends mail.
#[derive(Debug)]
pub struct EmailSender {
    client: Lazy<Client>,
    from: Option<String>,
}

/// A mail in both of its forms: plain text and HTML.
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
    code: Option<Code<'a>>,
    closing: Option<&'a str>,
}

struct Code<'a> {
    digits: &'a str,
    link: Option<Link<'a>>,
}

struct Link<'a> {
    url: &'a str,
    label: &'a str,
}

impl EmailMessage {
    /// A mail of plain paragraphs.
    ///
    /// # Errors
    /// [`SendError::Refused`] where the template fails.
    pub fn of_paragraphs(
        subject: &str,
        paragraphs: &[String],
        language: Language,
    ) -> Result<Self, SendError> {
        let html = Html { language: language.tag(), subject, paragraphs, code: None, closing: None };
        Self::render(&html, paragraphs.join("\n\n"))
    }

    /// A mail that carries a code and, where there is one, the link that does what the code does.
    ///
    /// # Errors
    /// [`SendError::Refused`] where the template fails.
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
            code: Some(Code { digits: code, link: link.map(|url| Link { url, label }) }),
            closing: Some(closing),
        };
        let lines: Vec<_> = [opening, code].into_iter().chain(link).chain([closing]).collect();
        Self::render(&html, lines.join("\n\n"))
    }

    fn render(html: &Html<'_>, text: String) -> Result<Self, SendError> {
        let rendered =
            html.render().map_err(|_| SendError::Refused("the mail's template failed".to_owned()))?;
        Ok(Self { subject: html.subject.to_owned(), text, html: rendered })
    }
}

impl EmailSender {
    /// A sender by that client, whose retries must be off: a retry after a lost answer is a second mail.
    #[must_use]
    pub(crate) fn new(client: Lazy<Client>, from: Option<String>) -> Self {
        Self { client, from }
    }

    /// Sends one mail.
    ///
    /// # Errors
    /// [`SendError`], which tells a refusal from an unknown outcome.
    pub async fn send(&self, to: &Email, mail: &EmailMessage) -> Result<(), SendError> {
        let refused = |why: &str| SendError::Refused(why.to_owned());
        let from = self.from.as_deref().ok_or_else(|| refused("MAIL_FROM is not set"))?;
        // `build` fails without data alone.
        let content = |data: &str| {
            Content::builder().data(data).charset("UTF-8").build().map_err(|_| refused("ConstructionFailure"))
        };
        let body = Body::builder().text(content(&mail.text)?).html(content(&mail.html)?).build();
        let message = Message::builder().subject(content(&mail.subject)?).body(body).build();
        let email = self
            .client
            .send_email()
            .from_email_address(from)
            .destination(Destination::builder().to_addresses(to.as_str()).build())
            .content(EmailContent::builder().simple(message).build());
        let _timed = metrics::timed(Provider::Ses);
        email.send().await.map(drop).map_err(|error| send_error(&error))
    }
}
