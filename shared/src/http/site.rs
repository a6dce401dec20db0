//! The account pages: static files, whose names contain a hash of their content, and one HTML page that names them.
//!
//! Every path below `/account` that names a view returns the same page. Its scripts select the view.

use crate::{language::Language, settings::Settings};
use aws_lc_rs::digest::{SHA256, digest};
use std::{borrow::Cow, fmt::Write};

/// The file with the HTML page. The others are its subresources.
const PAGE: &str = "account.html";

/// The file with the colors, and its declaration that `ACCOUNT_ACCENT` replaces.
const THEME: &str = "theme.css";
const DEFAULT_ACCENT: &str = "--accent: #0b57d0;";

/// The media type of a module.
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// The path of the page, to which a view adds its name.
const ROOT: &str = "/account";

/// The page on which a password manager lets a person change a password (W3C, "A Well-Known URL for Changing
/// Passwords"). Browsers only follow it if another file of the folder is missing, with the status 404.
const CHANGE_PASSWORD: &str = "/.well-known/change-password";

/// The files of the account pages.
#[derive(Debug)]
pub struct Site {
    page: String,
    files: Vec<File>,
    /// The part of each file's name that stands for the content of all of them, so that one version loads together.
    version: String,
    return_urls: Vec<String>,
    app_name: Option<String>,
}

/// A subresource of the page.
#[derive(Debug)]
pub struct File {
    name: &'static str,
    /// The content.
    pub text: String,
    /// The media type.
    pub media_type: &'static str,
}

/// The response to a path.
#[derive(Debug)]
pub enum Found<'a> {
    /// The page. The prefix of its subresources is relative, because the path of the API may begin with a stage.
    Page {
        /// The prefix.
        prefix: &'static str,
    },
    /// A file. It never changes under this name if `is_current`. During a deployment, the page of one version may
    /// request the files of the other.
    File {
        /// The file.
        file: &'a File,
        /// Whether the name has the hash of this version.
        is_current: bool,
    },
    /// A redirection to this path, which is relative.
    Moved(&'static str),
    /// Nothing.
    Missing,
}

impl Site {
    /// Builds the site of these files, given with their names.
    #[must_use]
    pub fn new(files: &[(&'static str, Cow<'static, str>)], settings: &Settings) -> Self {
        let mut page = String::new();
        let mut subresources = Vec::new();
        for (name, text) in files {
            if *name == PAGE {
                page = filled(text, settings);
                continue;
            }
            let mut text = text.clone().into_owned();
            if let (&THEME, Some(accent)) = (name, &settings.account_accent) {
                text = text.replace(DEFAULT_ACCENT, &format!("--accent: {accent};"));
            }
            subresources.push(File { name, text, media_type: media_type(name) });
        }
        let version = version(&subresources);
        let names: Vec<_> = subresources.iter().map(|file| file.name).collect();
        // The browser requests all modules at once, and not each one after the one that imports it.
        let modules = names.iter().filter(|name| media_type(name) == JAVASCRIPT);
        let preloads: Vec<_> =
            modules.map(|name| format!("<link rel=\"modulepreload\" href=\"{name}\">")).collect();
        page = page.replace("{{modules}}", &preloads.join("\n"));
        for name in names {
            let versioned = versioned(name, &version);
            page = page.replace(&format!("\"{name}\""), &format!("\"{{{{prefix}}}}{versioned}\""));
            for file in &mut subresources {
                file.text = file.text.replace(&format!("'./{name}'"), &format!("'./{versioned}'"));
            }
        }
        Self {
            page,
            files: subresources,
            version,
            return_urls: settings.account_return_urls.clone(),
            app_name: settings.app_name.clone(),
        }
    }

    /// Returns the response to a path, which may begin with a stage.
    #[must_use]
    pub fn find(&self, path: &str) -> Found<'_> {
        if path.ends_with(CHANGE_PASSWORD) {
            return Found::Moved("../account/password");
        }
        if path.ends_with(ROOT) {
            return Found::Page { prefix: "account/" };
        }
        let Some((_, name)) = path.rsplit_once('/').filter(|(folder, _)| folder.ends_with(ROOT)) else {
            return Found::Missing;
        };
        if name.is_empty() || self.has_view(name) {
            return Found::Page { prefix: "" };
        }
        let file = self.files.iter().find_map(|file| {
            let (stem, extension) = file.name.rsplit_once('.')?;
            let version =
                name.strip_prefix(stem)?.strip_prefix('.')?.strip_suffix(extension)?.strip_suffix('.')?;
            let is_version =
                version.len() == self.version.len() && version.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_version.then(|| Found::File { file, is_current: version == self.version })
        });
        file.unwrap_or(Found::Missing)
    }

    /// Whether the page has a view of this name, which is the id of a template in it.
    fn has_view(&self, name: &str) -> bool {
        let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        is_name && self.page.contains(&format!("<template id=\"{name}\">"))
    }

    /// Returns the page. `return_url` is the address that the app asks to return to; any other than those of
    /// `ACCOUNT_RETURN_URLS` is replaced by the first of them, because it would be an open redirect.
    #[must_use]
    pub fn page(&self, prefix: &str, language: Language, return_url: Option<&str>) -> String {
        let listed = self.return_urls.iter().find(|url| Some(url.as_str()) == return_url);
        let return_url = listed.or(self.return_urls.first()).map_or("", String::as_str);
        let default_name = match language {
            Language::Chinese => "账户安全",
            Language::English => "Account security",
        };
        self.page
            .replace("{{prefix}}", prefix)
            .replace("{{lang}}", language.tag())
            .replace("{{app_name}}", &escaped(self.app_name.as_deref().unwrap_or(default_name)))
            .replace("{{return_url}}", &escaped(return_url))
    }
}

/// Fills in the values that do not depend on the request.
fn filled(page: &str, settings: &Settings) -> String {
    page.replace("{{password_min_length}}", &settings.password_min_length.to_string())
        .replace("{{reauthentication_seconds}}", &settings.reauthentication_seconds.to_string())
}

/// Returns a text that is safe in HTML, as content and in quoted attributes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Returns 64 bits of a hash of all files, in hex. No one but the deployer chooses the files, so that fewer bits than
/// those of a collision-resistant hash suffice.
fn version(files: &[File]) -> String {
    let all: String = files.iter().flat_map(|file| [file.name, "\n", &file.text, "\n"]).collect();
    let hash = digest(&SHA256, all.as_bytes());
    hash.as_ref().iter().take(8).fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns `main.0123456789abcdef.js` for `main.js`.
fn versioned(name: &str, version: &str) -> String {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    format!("{stem}.{version}.{extension}")
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "js")) => JAVASCRIPT,
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::defaults;

    const HTML: &str = r#"<html lang="{{lang}}" data-return="{{return_url}}"><title>{{app_name}}</title><script src="main.js"></script><template id="phone">"#;

    fn site(settings: &Settings, api: &'static str) -> Site {
        let files = [
            (PAGE, HTML.into()),
            (THEME, ":root { --accent: #0b57d0; }".into()),
            ("account.css", "a {}".into()),
            ("main.js", "import { call } from './api.js';".into()),
            ("api.js", api.into()),
        ];
        Site::new(&files, settings)
    }

    fn content(site: &Site, name: &str) -> (String, bool) {
        match site.find(&format!("/live/account/{}", versioned(name, &site.version))) {
            Found::File { file, is_current } => (file.text.clone(), is_current),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_name_has_the_hash_of_all_files() {
        let (first, second) = (site(&defaults(), "one"), site(&defaults(), "two"));
        assert_ne!(first.version, second.version);
        let import = format!("import {{ call }} from './api.{}.js';", first.version);
        assert_eq!(content(&first, "main.js"), (import, true));
        assert_eq!(content(&first, "account.css"), ("a {}".to_owned(), true));
        let page = first.page("account/", Language::English, None);
        assert!(page.contains(&format!("src=\"account/main.{}.js\"", first.version)), "{page}");
    }

    #[test]
    fn file_of_another_version_is_not_current() {
        let site = site(&defaults(), "one");
        let found = site.find("/account/api.0123456789abcdef.js");
        assert!(matches!(found, Found::File { file, is_current: false } if file.text == "one"), "{found:?}");
    }

    #[test]
    fn path_selects_page_or_nothing() {
        let site = site(&defaults(), "one");
        for (path, expected) in [
            ("/account", Some("account/")),
            ("/live/account", Some("account/")),
            ("/account/", Some("")),
            ("/base/live/account/phone", Some("")),
            ("/account/email", None),
            ("/account/../x", None),
            ("/account/main.js", None),
            ("/account/main.0123.js", None),
            ("/accounts", None),
            ("/", None),
        ] {
            match (site.find(path), expected) {
                (Found::Page { prefix }, Some(expected)) => assert_eq!(prefix, expected, "{path}"),
                (Found::Missing, None) => (),
                (found, _) => panic!("{path}: {found:?}"),
            }
        }
        assert!(matches!(site.find("/.well-known/change-password"), Found::Moved("../account/password")));
    }

    #[test]
    fn only_listed_address_is_returned_to() {
        let urls = ["https://app.example.com/me?a=1&b=2".to_owned(), "shop://me".to_owned()];
        let site = site(&Settings { account_return_urls: urls.to_vec(), ..defaults() }, "one");
        let page = |url| site.page("", Language::English, url);
        assert!(page(Some("shop://me")).contains("data-return=\"shop://me\""));
        for other in [None, Some("https://evil.example"), Some("shop://me/x")] {
            assert!(
                page(other).contains("data-return=\"https://app.example.com/me?a=1&amp;b=2\""),
                "{other:?}"
            );
        }
    }

    #[test]
    fn settings_are_escaped_into_the_page() {
        let app_name = Some("<A&B> \"Shop\"".to_owned());
        let accent = Some("#123456".to_owned());
        let site = site(&Settings { app_name, account_accent: accent, ..defaults() }, "one");
        let page = site.page("", Language::Chinese, None);
        assert!(page.contains("<title>&lt;A&amp;B&gt; &quot;Shop&quot;</title>"), "{page}");
        assert!(page.contains("lang=\"zh-CN\"") && page.contains("data-return=\"\""), "{page}");
        assert_eq!(content(&site, THEME).0, ":root { --accent: #123456; }");
    }
}
