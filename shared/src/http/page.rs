//! The page of `verify-mail`: what a person sees who follows the link of a mail.
//!
//! It works without any script, and asks for one click, since mail scanners open links.

use crate::{domain::message, error::Error, language::Language};
use askama::Template;

/// A small HTML page.
#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    language: &'a str,
    title: &'a str,
    text: &'a str,
    form: Option<Form<'a>>,
}

/// The one button and what it sends.
struct Form<'a> {
    verification: &'a str,
    code: &'a str,
    button: &'a str,
}

/// The page with the button, which has changed nothing yet.
///
/// # Errors
/// [`Error::Internal`] where the template fails.
pub fn confirm(verification: &str, code: &str, language: Language) -> Result<String, Error> {
    let form = Form { verification, code, button: message::PAGE_BUTTON.in_language(language) };
    render(language, message::PAGE_QUESTION.in_language(language), Some(form))
}

/// The page that tells of a mail address that was bound.
///
/// # Errors
/// [`Error::Internal`] where the template fails.
pub fn bound(language: Language) -> Result<String, Error> {
    render(language, message::PAGE_BOUND.in_language(language), None)
}

/// The page that sends a person back to set a new password.
///
/// # Errors
/// [`Error::Internal`] where the template fails.
pub fn granted(language: Language) -> Result<String, Error> {
    render(language, message::PAGE_GRANTED.in_language(language), None)
}

/// The page that tells of a refusal.
///
/// # Errors
/// [`Error::Internal`] where the template fails.
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
    fn what_the_link_holds_is_escaped() {
        let page = confirm("\"><script>alert(1)</script>", "'&", Language::English).unwrap();
        assert!(!page.contains("<script") && !page.contains("\"\">"), "{page}");
        assert_eq!((page.matches("<form").count(), page.matches("<button").count()), (1, 1));
    }

    #[test]
    fn a_page_is_small_and_says_what_became_of_the_click_in_both_languages() {
        for language in Language::ALL {
            let refusal = Error::CodeNotValid { attempts_left: 0 };
            for page in [bound(language), granted(language), refused(&refusal, language)] {
                let page = page.unwrap();
                assert!(page.len() < 2_000 && !page.contains("<form"), "{page}");
                assert!(page.contains(&format!("<html lang=\"{}\">", language.tag())), "{page}");
            }
        }
    }
}
