//! A file of `shared` imports only from its own layer or a lower one.

use crate::{bundle::root, language::files};
use std::fs;

/// The layers of `shared/src`, lowest first.
const LAYERS: [&[&str]; 9] = [
    &["clock", "random", "language", "contact", "error", "settings", "text", "Secret", "ExposeSecret"],
    &["domain"],
    &["http"],
    &["metrics", "aws"],
    &["store"],
    &["send"],
    &["app"],
    &["flow"],
    &["lambda"],
];

fn layer(module: &str) -> usize {
    let is_in = |layer: &&[&str]| layer.contains(&module);
    LAYERS.iter().position(is_in).unwrap_or_else(|| panic!("{module} belongs to no layer"))
}

/// The first segments of every `crate::…` path: `a` and `b` of `crate::a::C` and of `crate::{a::C, b::{D, e}}`.
fn imports(code: &str) -> Vec<String> {
    let mut imported = Vec::new();
    for path in code.split("crate::").skip(1) {
        let (mut depth, mut at_start, mut segment) = (0, true, String::new());
        for character in path.chars() {
            match character {
                '{' => depth += 1,
                '}' if depth == 1 => break,
                '}' => depth -= 1,
                ',' if depth == 1 => at_start = true,
                _ if at_start && (character.is_alphanumeric() || character == '_') => segment.push(character),
                _ if !segment.is_empty() => {
                    at_start = false;
                    imported.push(std::mem::take(&mut segment));
                }
                _ => (),
            }
            if depth == 0 && !at_start {
                break;
            }
        }
        if !segment.is_empty() {
            imported.push(segment);
        }
    }
    imported
}

#[test]
fn modules_import_only_from_lower_layers() {
    let src = root().join("shared/src");
    let mut checked = 0;
    for path in files(&src, "rs") {
        let inside = path.strip_prefix(&src).unwrap().with_extension("");
        let own = inside.iter().next().unwrap().to_str().unwrap();
        if own == "lib" {
            continue;
        }
        let code = fs::read_to_string(&path).unwrap();
        let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for module in imports(&code) {
            assert!(layer(&module) <= layer(own), "{} imports {module}, of a higher layer", path.display());
            checked += 1;
        }
    }
    assert!(checked > 150, "{checked}");
}

#[test]
fn only_the_gate_reaches_the_providers() {
    let src = root().join("shared/src");
    let mut reaching = Vec::new();
    for path in files(&root(), "rs") {
        let code = fs::read_to_string(&path).unwrap();
        let calls = [concat!("aws_sdk_", "sns"), concat!("aws_sdk_", "sesv2"), ".sns(", ".sesv2("];
        let Ok(inside) = path.strip_prefix(&src) else {
            assert!(
                !path.starts_with(root().join("functions")) || !calls.iter().any(|call| code.contains(call))
            );
            continue;
        };
        if calls.iter().any(|call| code.contains(call)) {
            reaching.push(inside.to_str().unwrap().to_owned());
        }
    }
    reaching.sort();
    // `aws` builds the clients, and `app` passes them to the gate.
    assert_eq!(reaching, ["app.rs", "aws.rs", "send/email.rs", "send/gate.rs", "send/sms.rs"]);
}

#[test]
fn imports_are_the_first_segments_of_each_path() {
    let code = "use crate::{error::Error, domain::{code::{A, B}, keys::Keys}, Secret};\nfn f(_: crate::aws::Lazy<u8>) {}";
    assert_eq!(imports(code), ["error", "domain", "Secret", "aws"]);
}
