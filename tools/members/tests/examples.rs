//! The worked examples of docs/members.md, run by the commands that the page documents.

use std::fs;

use serde_json::json;

use crate::operator::{Operator, root};

const OLD_PASSWORD: &str = "the-old-password";

/// Returns the arguments of every `members import` command of an example on the page.
fn commands() -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join("docs/members.md")).unwrap();
    let namespace = text.lines().find_map(|line| line.strip_prefix("NAMESPACE=")).unwrap().to_owned();
    let lines = text.lines().filter_map(|line| line.strip_prefix("members import tools/members/examples/"));
    lines
        .map(|line| {
            let line = line.replace("$NAMESPACE", &namespace);
            let (file, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let path = root().join("tools/members/examples").join(file);
            let words = rest.split_whitespace().map(str::to_owned);
            ["import".to_owned(), path.to_str().unwrap().to_owned()].into_iter().chain(words).collect()
        })
        .collect()
}

#[tokio::test]
async fn imported_example_members_can_change_their_old_password() {
    let commands = commands();
    assert_eq!(commands.len(), 6);
    for command in commands {
        let operator = Operator::start("example").await;
        let arguments: Vec<_> = command.iter().map(String::as_str).collect();
        let summary = operator.json(&arguments).await;
        assert_eq!((&summary["imported"], &summary["refused"]), (&json!(2), &json!(0)), "{command:?}");
        for phone in ["13627140484", "13627140485"] {
            assert_eq!(operator.json(&["show", phone]).await["password"], "as it was imported");
            let token = operator.session(phone).await;
            let (status, refused) = operator.change(&token, "another-password", "a-new-password").await;
            assert_eq!((status, &refused["error"]), (400, &json!("{OLD_PASSWORD}_NOT_VALID")), "{command:?}");
            let (status, changed) = operator.change(&token, OLD_PASSWORD, "a-new-password").await;
            assert_eq!(status, 201, "{command:?} {changed}");
            assert_eq!(operator.json(&["show", phone]).await["password"], "set", "{command:?}");
        }
    }
}

#[test]
fn every_example_file_is_documented() {
    let files = fs::read_dir(root().join("tools/members/examples")).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension != "rs")).collect();
    files.sort();
    let mut documented: Vec<_> = commands().iter().map(|command| root().join(&command[1])).collect();
    documented.sort();
    let names = |paths: &[std::path::PathBuf]| -> Vec<_> {
        paths.iter().map(|path| path.file_name().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&files), names(&documented));
}
