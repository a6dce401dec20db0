//! GET /account and /account/{file}: the account-security page, with the recovery of the login password. GET
//! /.well-known/{file} redirects a password manager to it, and responds 404 for any other file: a browser does not
//! trust a redirection at a site that has every file.

use shared::{Files, serve_site};
use std::{borrow::Cow, process::ExitCode};

/// The folder of the files, from which a debug build reads them for each request.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../web");

/// Returns the name and the content of each file.
macro_rules! web {
    ($($name:literal),* $(,)?) => {
        vec![$(($name, include_str!(concat!("../web/", $name)))),*]
    };
}

fn files() -> Files {
    let embedded = web![
        "account.html",
        "account.css",
        "api.js",
        "clock.js",
        "code.js",
        "flows.js",
        "forms.js",
        "logo.svg",
        "main.js",
        "session.js",
        "status.js",
        "texts.js",
        "theme.css",
    ];
    embedded
        .into_iter()
        .map(|(name, content)| (name, live(name).map_or(content.into(), Cow::Owned)))
        .collect()
}

/// Returns the file on disk, in a debug build.
fn live(name: &str) -> Option<String> {
    if cfg!(debug_assertions) { std::fs::read_to_string(format!("{FOLDER}/{name}")).ok() } else { None }
}

fn main() -> ExitCode {
    serve_site(files, cfg!(debug_assertions))
}
