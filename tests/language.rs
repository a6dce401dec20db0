//! Comments and documents use plain English and the field's terms. CONTRIBUTING.md has the rules.

use crate::bundle::root;
use regex::Regex;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

/// Words that the rules replace, such as "only" for the first one.
const REPLACED: &str = r"(?i)\b(alone|anew|answer(s|ed|ing)?|at the most|brought along|c[ao]mes? along|gone on with|goes on with|hangs? on|in the place of|(is|are) none|(is|are) told|lately|nobody|no one else's|said|says|somebody|tells?|to the letter|told|whoever)\b";

/// Folders that contain no prose of the project.
const SKIPPED: [&str; 6] = [".git", ".aws-sam", "target", "corpus", "node_modules", "snapshots"];

/// Returns the files with this extension below a folder, except in those that are skipped.
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| {
        if path.is_dir() {
            let skipped = SKIPPED.iter().any(|name| path.ends_with(name));
            if skipped { Vec::new() } else { files(&path, extension) }
        } else {
            vec![path]
        }
    });
    files.filter(|path| path.extension().is_some_and(|own| own == extension)).collect()
}

/// Returns the text outside inline code and quotations.
fn unquoted(text: &str) -> String {
    static QUOTED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"`[^`]*`|"[^"]*"|“[^”]*”"#).unwrap());
    QUOTED.replace_all(text, "").into_owned()
}

/// Returns the comments of a Rust file, and the texts of its errors.
fn rust_prose(code: &str) -> Vec<String> {
    let error = Regex::new(r#"#\[error\("(.*)"\)\]"#).unwrap();
    let prose = code.lines().filter_map(|line| {
        let line = line.trim();
        match error.captures(line) {
            Some(captures) => Some(captures[1].to_owned()),
            None => line.split_once("//").map(|(_, comment)| unquoted(comment)),
        }
    });
    prose.collect()
}

/// Returns the prose of a Markdown file, without its code blocks.
fn markdown_prose(text: &str) -> Vec<String> {
    let prose = text.split("```").step_by(2).flat_map(str::lines);
    prose.map(unquoted).collect()
}

fn assert_plain(path: &Path, prose: &[String]) {
    let replaced = Regex::new(REPLACED).unwrap();
    let found: Vec<_> = prose.iter().filter(|line| replaced.is_match(line)).collect();
    assert!(found.is_empty(), "{} has words that CONTRIBUTING.md replaces: {found:#?}", path.display());
}

#[test]
fn comments_use_plain_english() {
    let files = files(&root(), "rs");
    assert!(files.len() > 100, "{}", files.len());
    for path in files {
        assert_plain(&path, &rust_prose(&fs::read_to_string(&path).unwrap()));
    }
}

#[test]
fn documents_use_plain_english() {
    let files = files(&root(), "md");
    assert!(files.len() > 10, "{}", files.len());
    for path in files {
        assert_plain(&path, &markdown_prose(&fs::read_to_string(&path).unwrap()));
    }
}

#[test]
fn test_names_have_at_most_eight_words() {
    let test = Regex::new(r"#\[(?:tokio::)?test[^\]]*\]\s*(?:async )?fn (\w+)").unwrap();
    let mut checked = 0;
    for path in files(&root(), "rs") {
        for name in test.captures_iter(&fs::read_to_string(&path).unwrap()) {
            let words = name[1].split('_').count();
            assert!(words <= 8, "{}: {} has {words} words", path.display(), &name[1]);
            checked += 1;
        }
    }
    assert!(checked > 400, "{checked}");
}
