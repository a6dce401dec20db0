//! The HTML pages of `verify-mail` and `report-change`, which a browser shows after following the link in an email.
//!
//! They work without scripts. Each call needs one click, because mail scanners open links.

use crate::{
    domain::message::{self, Sentence},
    error::Error,
    language::Language,
};
use askama::Template;
use std::fmt::Debug;

/// A page that a link in an email opens.
pub trait LinkedPage: Debug + Send + Sync + 'static {
    /// The title.
    const TITLE: Sentence;

    /// Returns the text that explains an error.
    #[must_use]
    fn explain(error: &Error, language: Language) -> String {
        message::of_error(error, language)
    }

    /// Returns the page that explains an error.
    ///
    /// # Errors
    /// [`Error::Internal`] if the template fails.
    fn refused(error: &Error, language: Language) -> Result<String, Error> {
        render::<Self>(language, &Self::explain(error, language), None)
    }
}

/// The page of `verify-mail`.
#[derive(Debug)]
pub struct VerifyMailPage;

impl LinkedPage for VerifyMailPage {
    const TITLE: Sentence = message::PAGE_TITLE;
}

/// The page of `report-change`.
#[derive(Debug)]
pub struct ReportPage;

impl LinkedPage for ReportPage {
    const TITLE: Sentence = message::REPORT_TITLE;

    fn explain(error: &Error, language: Language) -> String {
        match error {
            Error::Missing(_) | Error::NotValid(_) => {
                message::REPORT_LINK_NOT_VALID.in_language(language).to_owned()
            }
            _ => message::of_error(error, language),
        }
    }
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    language: &'a str,
    title: &'a str,
    text: &'a str,
    form: Option<Form<'a>>,
}

/// The form that the button submits. Its action is the last segment of the page's path.
struct Form<'a> {
    action: &'a str,
    fields: &'a [(&'a str, &'a str)],
    button: &'a str,
}

/// Returns the page with the button, which is shown before anything is verified.
///
/// # Errors
/// [`Error::Internal`] if the template fails.
pub fn confirm(verification: &str, code: &str, language: Language) -> Result<String, Error> {
    let fields = &[("verification", verification), ("code", code)];
    let button = message::PAGE_BUTTON.in_language(language);
    let form = Form { action: "verifyMail", fields, button };
    render::<VerifyMailPage>(language, message::PAGE_QUESTION.in_language(language), Some(form))
}

/// Returns the page that confirms that the email address was bound.
///
/// # Errors
/// [`Error::Internal`] if the template fails.
pub fn bound(language: Language) -> Result<String, Error> {
    render::<VerifyMailPage>(language, message::PAGE_BOUND.in_language(language), None)
}

/// Returns the page after a grant was issued, which asks the member to set a new password.
///
/// # Errors
/// [`Error::Internal`] if the template fails.
pub fn granted(language: Language) -> Result<String, Error> {
    render::<VerifyMailPage>(language, message::PAGE_GRANTED.in_language(language), None)
}

/// Returns the page with the button that reports a change.
///
/// # Errors
/// [`Error::Internal`] if the template fails.
pub fn not_me(verification: &str, language: Language) -> Result<String, Error> {
    let (fields, button) = (&[("verification", verification)], message::REPORT_BUTTON.in_language(language));
    let form = Form { action: "notMe", fields, button };
    render::<ReportPage>(language, message::REPORT_QUESTION.in_language(language), Some(form))
}

/// Returns the page after a change was reported, which asks the member to recover the password.
///
/// # Errors
/// [`Error::Internal`] if the template fails.
pub fn reported(language: Language) -> Result<String, Error> {
    render::<ReportPage>(language, message::REPORTED.in_language(language), None)
}

fn render<P: LinkedPage + ?Sized>(
    language: Language,
    text: &str,
    form: Option<Form<'_>>,
) -> Result<String, Error> {
    let title = P::TITLE.in_language(language);
    Page { language: language.tag(), title, text, form }.render().map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Field;

    #[test]
    fn link_parameters_are_escaped() {
        let script = "\"><script>alert(1)</script>";
        for page in [confirm(script, "'&", Language::English), not_me(script, Language::English)] {
            let page = page.unwrap();
            assert!(!page.contains("<script") && !page.contains("\"\">"), "{page}");
            assert_eq!((page.matches("<form").count(), page.matches("<button").count()), (1, 1));
        }
    }

    #[test]
    fn result_pages_are_small_in_every_language() {
        for language in Language::ALL {
            let error = Error::CodeNotValid { attempts_left: 0 };
            let verified = [bound(language), granted(language), VerifyMailPage::refused(&error, language)];
            let reports = [reported(language), ReportPage::refused(&Error::NotValid(Field::Code), language)];
            for page in verified.into_iter().chain(reports) {
                let page = page.unwrap();
                assert!(page.len() < 2_000 && !page.contains("<form"), "{page}");
                assert!(page.contains(&format!("<html lang=\"{}\">", language.tag())), "{page}");
            }
        }
    }
}
