//! The account pages: their files, headers, languages and addresses. `tools/browser` walks them in a browser.

use crate::bundle::{Bundle, Response, root};
use reqwest::{Client, Method, StatusCode, redirect::Policy};
use std::{collections::BTreeSet, fs};

/// The most that all files of the page may have together, in bytes.
const BUDGET: usize = 60_000;

async fn get(bundle: &Bundle, path: &str) -> Response {
    bundle.call(Method::GET, path).send().await
}

/// Returns the names of the files that a page or a module refers to by `prefix` and `suffix`.
fn references<'a>(text: &'a str, prefix: &str, suffix: char) -> Vec<&'a str> {
    text.split(prefix).skip(1).filter_map(|rest| rest.split(suffix).next()).collect()
}

fn subresources(page: &str) -> Vec<&str> {
    let all = [references(page, " src=\"", '"'), references(page, " href=\"", '"')].concat();
    all.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Returns the value of a header.
fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers[name].to_str().unwrap()
}

#[tokio::test]
async fn every_reference_leads_to_a_file() {
    let bundle = Bundle::start().await;
    let mut loaded = BTreeSet::new();
    for (path, folder) in
        [("/account", "/"), ("/account/phone", "/account/"), ("/account/recover", "/account/")]
    {
        let page = get(&bundle, path).await.ok().text;
        let files = subresources(&page);
        assert!(files.len() >= 12 && files.iter().all(|file| !file.starts_with('/')), "{files:?}");
        for file in files {
            let at = format!("{folder}{file}");
            let found = get(&bundle, &at).await.ok();
            for module in references(&found.text, " from './", '\'') {
                get(&bundle, &format!("/account/{module}")).await.ok();
            }
            loaded.insert(at);
        }
    }
    // The page of the root and those of the views name the same files.
    assert_eq!(loaded.len(), 12, "{loaded:?}");
}

#[tokio::test]
async fn page_is_not_stored_nor_runs_foreign_scripts() {
    let bundle = Bundle::start().await;
    let page = get(&bundle, "/account").await.ok();
    assert_eq!(header(&page, "cache-control"), "no-store");
    assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
    assert_eq!(header(&page, "referrer-policy"), "no-referrer");
    assert_eq!(header(&page, "x-content-type-options"), "nosniff");
    assert_eq!(header(&page, "cross-origin-opener-policy"), "same-origin");
    let policy = header(&page, "content-security-policy");
    for directive in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(policy.split("; ").any(|part| part.trim() == directive), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for inline in [" style=", " onclick=", "<style", "javascript:", "<script>"] {
        assert!(!page.text.contains(inline), "{inline}");
    }
}

#[tokio::test]
async fn file_is_immutable_under_its_hash_only() {
    let bundle = Bundle::start().await;
    let page = get(&bundle, "/account").await.ok().text;
    let script = subresources(&page).into_iter().find(|file| file.contains("/main.")).unwrap().to_owned();
    let current = get(&bundle, &format!("/{script}")).await.ok();
    assert_eq!(header(&current, "cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(header(&current, "content-type"), "text/javascript; charset=utf-8");
    assert_eq!(header(&current, "x-content-type-options"), "nosniff");
    let hash = script.split('.').nth(1).unwrap();
    let other = get(&bundle, &format!("/{}", script.replace(hash, "0123456789abcdef"))).await.ok();
    assert_eq!((header(&other, "cache-control"), &other.text), ("no-store", &current.text));
}

#[tokio::test]
async fn unknown_files_and_views_are_missing() {
    let bundle = Bundle::start().await;
    for path in ["/account/main.js", "/account/admin", "/account/account.html", "/.well-known/x"] {
        let missing = get(&bundle, path).await;
        assert_eq!(missing.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(header(&missing, "cache-control"), "no-store");
    }
}

#[tokio::test]
async fn language_comes_from_request_before_setting() {
    let bundle = Bundle::start().await;
    for (path, accepted, expected) in [
        ("/account", "", "zh-CN"),
        ("/account", "en-GB,zh;q=0.5", "en"),
        ("/account?ui_locales=en", "zh-CN", "en"),
        ("/account?ui_locales=fr+zh-Hans+en", "en", "zh-CN"),
        ("/account?ui_locales=fr", "en", "en"),
    ] {
        let page = bundle.call(Method::GET, path).header("Accept-Language", accepted).send().await.ok();
        assert!(page.text.contains(&format!("<html lang=\"{expected}\"")), "{path} {accepted}");
        assert_eq!(header(&page, "content-language"), expected);
    }
}

#[tokio::test]
async fn settings_reach_the_page() {
    let bundle = Bundle::with(&[
        ("APP_NAME", "Shop & <Co>"),
        ("ACCOUNT_ACCENT", "#7a1fa2"),
        ("ACCOUNT_RETURN_URLS", "https://app.example.com/me shop://me"),
        ("PASSWORD_MIN_LENGTH", "12"),
    ])
    .await;
    let page = get(&bundle, "/account?return=shop://me").await.ok().text;
    assert!(page.contains("<title>Shop &amp; &lt;Co&gt;</title>"), "{page}");
    assert!(page.contains("data-password-min-length=\"12\"") && page.contains("data-return=\"shop://me\""));
    let page = get(&bundle, "/account?return=https://evil.example/").await.ok().text;
    assert!(page.contains("data-return=\"https://app.example.com/me\""), "{page}");
    let theme = subresources(&page).into_iter().find(|file| file.contains("/theme.")).unwrap().to_owned();
    assert!(get(&bundle, &format!("/{theme}")).await.ok().text.contains("--accent: #7a1fa2;"));
}

#[tokio::test]
async fn password_managers_are_sent_to_the_password() {
    let bundle = Bundle::start().await;
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let url = format!("{}/.well-known/change-password", bundle.stack.url());
    let response = client.get(&url).send().await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["location"]),
        (StatusCode::FOUND, &"../account/password".parse().unwrap())
    );
    assert_eq!(reqwest::get(&url).await.unwrap().url().path(), "/account/password");
}

#[test]
fn page_is_smaller_than_its_budget() {
    let (mut size, mut names) = (0, Vec::new());
    for file in fs::read_dir(root().join("web")).unwrap() {
        let path = file.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| ["html", "css", "js"].iter().any(|known| extension == *known))
        {
            size += fs::read(&path).unwrap().len();
        }
        names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    assert!(size < BUDGET, "{size}");
    // A file that is not embedded would be missing in a deployment, where nothing is read from disk.
    let embedded = fs::read_to_string(root().join("functions/pages.rs")).unwrap();
    for name in names {
        assert!(embedded.contains(&format!("\"{name}\",")), "{name}");
    }
}

#[test]
fn text_of_the_page_is_in_both_languages() {
    let texts = fs::read_to_string(root().join("web/texts.js")).unwrap();
    let is_chinese = |text: &str| text.chars().any(|letter| ('\u{4e00}'..'\u{9fff}').contains(&letter));
    let mut names = BTreeSet::new();
    for line in texts.lines().filter(|line| line.starts_with("  '")) {
        let parts: Vec<_> = line.split('\'').collect();
        let [_, name, _, chinese, _, english, _] = parts.as_slice() else { panic!("{line}") };
        assert!(names.insert(*name), "{name} occurs twice");
        let is_sign = *name == "error.stop" || *name == "app.other";
        assert!(is_sign || (is_chinese(chinese) && !is_chinese(english)), "{line}");
        let places =
            |text: &str| references(text, "{", '}').into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
        assert_eq!(places(chinese), places(english), "{line}");
    }
    let page = fs::read_to_string(root().join("web/account.html")).unwrap();
    for name in references(&page, "data-text=\"", '"') {
        assert!(names.contains(name), "{name}");
    }
    assert!(names.len() > 100, "{}", names.len());
}
