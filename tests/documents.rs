//! What the documents name is there.

use crate::bundle::root;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The documents of the repository.
fn documents() -> Vec<PathBuf> {
    let folders = [root(), root().join("docs")].map(|folder| fs::read_dir(folder).unwrap());
    let files = folders.into_iter().flatten().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// GitHub's fragment of a heading.
fn fragment(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|&letter| letter.is_alphanumeric() || " -_".contains(letter));
    kept.collect::<String>().replace(' ', "-")
}

#[test]
fn every_link_to_a_file_of_the_repository_leads_somewhere() {
    let mut followed = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { document.clone() } else { document.with_file_name(path) };
            assert!(target.exists(), "{}: {link}", document.display());
            let is_there =
                |text: &str| text.lines().any(|line| line.starts_with('#') && fragment(line) == heading);
            assert!(
                heading.is_empty() || is_there(&fs::read_to_string(target).unwrap()),
                "{}: {link}",
                document.display()
            );
            followed += 1;
        }
    }
    assert!(followed >= 8, "{followed}");
}

/// Whether a source file has a test of that name.
fn has_test(file: &Path, name: &str) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let is_it = |line: &str| line.trim_start_matches("async ").starts_with(&format!("fn {name}("));
    lines.iter().position(|line| is_it(line)).is_some_and(|at| {
        let mut attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        attributes.any(|line| ["#[test]", "#[tokio::test]"].contains(line))
    })
}

#[test]
fn every_requirement_in_security_md_names_tests_that_exist() {
    let text = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| |"));
    let mut shown = 0;
    for row in rows {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let mut file = PathBuf::new();
        let mut named = 0;
        for name in tests.split('`').skip(1).step_by(2) {
            if Path::new(name).extension().is_some() {
                file = root().join(name);
            } else {
                assert!(has_test(&file, name), "{} has no test {name}", file.display());
                named += 1;
            }
        }
        assert!(named > 0, "no test shows: {row}");
        shown += 1;
    }
    assert!(shown >= 35, "{shown}");
}
