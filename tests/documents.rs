//! The documents link to files, name tests and list settings that exist.

use crate::bundle::root;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Returns the path of every document of the repository.
fn documents() -> Vec<PathBuf> {
    let folders = ["", "docs", "examples/login-service"];
    let folders = folders.map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let files = folders.into_iter().flatten().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// Returns the fragment that GitHub gives a heading.
fn fragment(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|&letter| letter.is_alphanumeric() || " -_".contains(letter));
    kept.collect::<String>().replace(' ', "-")
}

#[test]
fn links_between_documents_lead_to_existing_headings() {
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
            let has_heading =
                |text: &str| text.lines().any(|line| line.starts_with('#') && fragment(line) == heading);
            assert!(
                heading.is_empty() || has_heading(&fs::read_to_string(target).unwrap()),
                "{}: {link}",
                document.display()
            );
            followed += 1;
        }
    }
    assert!(followed >= 40, "{followed}");
}

/// Returns whether a source file has a test of that name.
fn has_test(file: &Path, name: &str) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let is_named = |line: &str| line.trim_start_matches("async ").starts_with(&format!("fn {name}("));
    lines.iter().position(|line| is_named(line)).is_some_and(|at| {
        let mut attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        attributes.any(|line| ["#[test]", "#[tokio::test]"].contains(line))
    })
}

#[test]
fn requirements_in_security_md_name_existing_tests() {
    let text = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| |"));
    let mut proven = 0;
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
        assert!(named > 0, "no test proves: {row}");
        proven += 1;
    }
    assert!(proven >= 35, "{proven}");
}

#[test]
fn readme_fits_on_120_lines() {
    let lines = fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= 120, "{lines}");
}

/// Variables of the functions that are not settings: docs/reference.md lists them in a table of their own.
const SET_BY_THE_TEMPLATE: [&str; 4] = ["TABLE_NAME", "KEYS_SECRET_ARN", "RELEASE", "METRICS_NAMESPACE"];

/// Returns the cells of every table row in docs/reference.md whose first cell is a variable.
fn variables_in_the_reference() -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join("docs/reference.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let rows = rows.map(|row| row.split(" | ").map(|cell| cell.replace('`', "")).collect::<Vec<_>>());
    let is_variable = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    rows.filter(|cells| cells[0].bytes().all(is_variable)).collect()
}

#[test]
fn reference_lists_every_setting_with_default_and_bounds() {
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    let variables = template.split("\n      Variables:\n").nth(1).unwrap();
    let mut declared: Vec<_> = variables
        .lines()
        .take_while(|line| line.starts_with("        "))
        .filter_map(|line| line.trim().split_once(": ").map(|(name, _)| name))
        .collect();
    declared.sort_unstable();

    let rows = variables_in_the_reference();
    let mut listed: Vec<_> = rows.iter().map(|cells| cells[0].as_str()).collect();
    listed.sort_unstable();
    assert_eq!(listed, declared);

    let mut bounded = 0;
    for cells in rows.iter().filter(|cells| !SET_BY_THE_TEMPLATE.contains(&cells[0].as_str())) {
        let [name, default, bounds, _] = cells.as_slice() else { panic!("{cells:?}") };
        let words = name.split('_').map(|word| word[..1].to_owned() + &word[1..].to_lowercase());
        let parameter = template.split(&format!("\n  {}:\n", words.collect::<String>())).nth(1).unwrap();
        let fields: Vec<_> = parameter.lines().take_while(|line| line.starts_with("    ")).collect();
        let field = |field: &str| {
            let value = fields.iter().find_map(|line| line.trim().strip_prefix(&format!("{field}: ")));
            value.map(|value| value.trim_matches('\''))
        };
        let expected = field("Default").filter(|value| !value.is_empty()).unwrap_or("–");
        assert_eq!(default, expected, "{name}");
        if let (Some(least), Some(most)) = (field("MinValue"), field("MaxValue")) {
            assert_eq!(*bounds, format!("{least} to {most}"), "{name}");
            bounded += 1;
        } else if let Some(allowed) = field("AllowedValues") {
            assert_eq!(*bounds, allowed.trim_matches(['[', ']']), "{name}");
        }
    }
    assert!(bounded >= 20, "{bounded}");
}
