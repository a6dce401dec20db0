//! Walks the account pages in a real browser, in both languages, on a small and a large screen.
//!
//! The walks use only the keyboard, but for the double click. Each screen that they pass is checked: an error of a
//! script, a violation of the content security policy, a finding of axe-core, text of the other language, and content
//! that is wider than the screen all fail the walk, at the screen's own width and at 320 pixels (a zoom of 400 % on a
//! screen of 1280), in light and in dark colors. `target/browser` has a screenshot of each.

#![expect(clippy::indexing_slicing, reason = "a JSON value without the field is null")]

mod chrome;
mod faults;
mod site;
mod tab;
mod walks;

use crate::{chrome::Chrome, site::Site};
use clap::Parser;
use local::cargo;
use std::{
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// A failure, whose text names the expectation.
type Failure = Box<dyn Error + Send + Sync>;

/// Checks the account pages in Chromium.
#[derive(Parser)]
struct Arguments {
    /// Use the functions in DIR instead of building them
    #[arg(long, value_name = "DIR")]
    binaries: Option<PathBuf>,
    /// Walk only the walks whose name contains TEXT
    #[arg(default_value = "", value_name = "TEXT")]
    only: String,
    /// Walk only in this language
    #[arg(long)]
    language: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            eprintln!("{failed} walks failed");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the walks and returns how many failed.
async fn run(arguments: Arguments) -> Result<usize, Failure> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.ancestors().nth(2).unwrap_or(package);
    let axe = std::fs::read_to_string(package.join("node_modules/axe-core/axe.min.js"))
        .map_err(|error| format!("cannot read axe-core: {error}; run npm ci --prefix tools/browser"))?;
    let template = template_of(root)?;
    let binaries = match arguments.binaries {
        Some(folder) => folder,
        None => cargo::build(root, template.iter().map(String::as_str), false)?,
    };
    let site = Site::start(root, &binaries).await?;
    let chrome = Chrome::start(axe, root.join("target/browser")).await?;
    let mut failed = 0;
    for (language, width) in [("zh-CN", 360), ("zh-CN", 1280), ("en", 360), ("en", 1280)] {
        if arguments.language.as_deref().is_some_and(|only| only != language) {
            continue;
        }
        failed += walks::all(&chrome, &site, language, width, &arguments.only).await?;
    }
    chrome.stop().await?;
    site.stop().await;
    Ok(failed)
}

/// Returns the names of the functions.
fn template_of(root: &Path) -> Result<Vec<String>, Failure> {
    let template = template::Template::load(&root.join("template.yaml"))?;
    Ok(template.functions.into_iter().map(|function| function.binary).collect())
}
