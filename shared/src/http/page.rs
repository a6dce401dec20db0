//! The HTML pages of `verify-mail`, which a browser shows after following the link in an email.
//!
//! They work without scripts. Verification needs one click, because mail scanners open links.

use crate::{domain::message, error::Error, language::Language};
use askama::Template;

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    language: &'a str,
    title: &'a str,
    text: &'a str,
    form: Option<Form<'a>>,
}

/// The form that the button submits.
struct Form<'a> {
    verification: &'a str,
    code: &'a str,
    button: &'a str,
}

/// Returns the page with the button, which is shown before anything is verified.
///
/// # Errors
/// [`Error::Internal`] if the template fails.
pub fn confirm(verification: &str, code: &str, language: Language) -> Result<String, Error> {
    let form = Form { verification, code, button: message::PAGE_BUTTON.in_language(language) };
    render(language, message::PAGE_QUESTION.in_language(language), Some(form))
}

/// Returns the page that confirms that the email address was bound.
///
/// # Errors
/// [`Error::Internal`] if the template fails.
pub fn bound(language: Language) -> Result<String, Error> {
    render(language, message::PAGE_BOUND.in_language(language), None)
}

/// Returns the page after a grant was issued, which asks the member to set a new password.
///
/// # Errors
/// [`Error::Internal`] if the template fails.
pub fn granted(language: Language) -> Result<String, Error> {
    render(language, message::PAGE_GRANTED.in_language(language), None)
}

/// Returns the page that explains an error.
///
/// # Errors
/// [`Error::Internal`] if the template fails.
pub fn refused(error: &Error, language: Language) -> Result<String, Error> {
    render(language, &message::of_error(error, language), None)
}

fn render(language: Language, text: &str, form: Option<Form<'_>>) -> Result<String, Error> {
    let title = message::PAGE_TITLE.in_language(language);
    Page { language: language.tag(), title, text, form }.render().map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_parameters_are_escaped() {
        let page = confirm("\"><script>alert(1)</script>", "'&", Language::English).unwrap();
        assert!(!page.contains("<script") && !page.contains("\"\">"), "{page}");
        assert_eq!((page.matches("<form").count(), page.matches("<button").count()), (1, 1));
    }

    #[test]
    fn result_pages_are_small_in_every_language() {
        for language in Language::ALL {
            let error = Error::CodeNotValid { attempts_left: 0 };
            for page in [bound(language), granted(language), refused(&error, language)] {
                let page = page.unwrap();
                assert!(page.len() < 2_000 && !page.contains("<form"), "{page}");
                assert!(page.contains(&format!("<html lang=\"{}\">", language.tag())), "{page}");
            }
        }
    }
}
