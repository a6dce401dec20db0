//! Options and output that all commands share.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::operator::{Operator, PHONE, done};

#[tokio::test]
async fn table_is_named_before_or_after_the_command() {
    let operator = Operator::start("named").await;
    let id = operator.member(json!({ "phone": PHONE })).await;
    let (table, url) = (operator.stack.table(), operator.stack.dynamodb_url());
    let run = async |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_members"));
        command.args(arguments).env("USER", "wu").env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs([("AWS_ACCESS_KEY_ID", "members"), ("AWS_SECRET_ACCESS_KEY", "-")]);
        command.env("AWS_REGION", "us-east-1");
        tokio::task::spawn_blocking(move || done(command.output().unwrap())).await.unwrap()
    };
    for arguments in [
        ["--table", table, "--endpoint-url", url, "--json", "audit", &id],
        ["audit", &id, "--endpoint-url", url, "--json", "--table", table],
    ] {
        assert!(run(&arguments).await.ok().out.contains(r#""action":"audit-read""#));
    }
    let by_wu = ("audit-read".to_owned(), Some("wu".to_owned()));
    // With the read of the trail itself.
    assert_eq!(operator.trail(&id).await.iter().filter(|record| **record == by_wu).count(), 3);

    // The last one needs the keys.
    for incomplete in [
        vec!["audit", &id],
        vec!["audit", &id, "--endpoint-url", url],
        vec!["show", &id, "--endpoint-url", url, "--table", table],
    ] {
        assert_eq!(run(&incomplete).await.code, 2, "{incomplete:?}");
    }
}

#[tokio::test]
async fn closed_stdout_does_not_stop_a_command() {
    let operator = Operator::start("pipe").await;
    let ids = (0..300).map(|number| format!("00000000-0000-4000-8000-{number:012}\n"));
    operator.file("members.csv", &format!("id\n7\n{}", ids.collect::<String>()));
    let unread = async |arguments: &[&str]| {
        let mut command = operator.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        tokio::task::spawn_blocking(move || done(child.wait_with_output().unwrap())).await.unwrap()
    };
    let imported = unread(&["import", "members.csv"]).await;
    assert_eq!((imported.code, imported.err.lines().count()), (1, 1), "{}", imported.err);
    for arguments in [vec!["completions", "bash"], vec!["export"]] {
        let ended = unread(&arguments).await;
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{arguments:?}");
    }
}

#[tokio::test]
async fn completions_list_every_command() {
    let operator = Operator::start("completions").await;
    for shell in ["bash", "zsh", "fish"] {
        let script = operator.run(&["completions", shell]).await.ok().out;
        for command in
            ["import", "normalize", "show", "unlock", "revoke", "sign-session", "audit", "export", "keys"]
        {
            assert!(script.contains(command), "{shell} {command}");
        }
    }
}
