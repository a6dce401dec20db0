//! What an operator does to one member, or reads of them.

use std::process::{Command, Stdio};

use reqwest::Method;
use serde_json::{Value, json};

use crate::operator::{OTHER_PHONE, Operator, PHONE, done};

const BY_WU: Option<&str> = Some("wu");

#[tokio::test]
async fn unlock_lets_a_member_try_passwords_and_codes_again() {
    let operator = Operator::start("unlock").await;
    let id = operator
        .member(json!({ "phone": PHONE, "password": "the-old-password", "payPassword": "739154" }))
        .await;
    let token = operator.session(&id).await;
    for _ in 0..10 {
        assert_eq!(operator.change(&token, "wrong", "a-new-password").await.0, 400);
    }
    assert_eq!(operator.change(&token, "the-old-password", "a-new-password").await.0, 429);
    let pay = async |old: &str| {
        let body = json!({ "oldPassword": old, "payPasswordFirst": "408261" });
        operator.call(Method::PUT, "/member/userservice/security/updatePayPassword", &token, &body).await.0
    };
    for _ in 0..5 {
        assert_eq!(pay("000001").await, 400);
    }
    assert_eq!(pay("739154").await, 429);

    let shown = operator.json(&["show", &id]).await;
    let counts: Vec<_> =
        shown["failures"].as_array().unwrap().iter().map(|of| (&of["of"], &of["count"])).collect();
    assert_eq!(
        counts,
        [(&json!("wrong login passwords"), &json!(10)), (&json!("wrong pay passwords"), &json!(5))]
    );
    assert_eq!(operator.json(&["unlock", PHONE]).await.as_array().unwrap().len(), 2);
    assert_eq!(pay("739154").await, 201);
    assert_eq!(operator.change(&token, "the-old-password", "a-new-password").await.0, 201);
    assert_eq!(operator.json(&["show", &id]).await["failures"], json!([]));
}

#[tokio::test]
async fn revoke_ends_the_sessions_of_one_or_of_everybody() {
    let operator = Operator::start("revoke").await;
    let (li, wu) = (
        operator.member(json!({ "phone": PHONE })).await,
        operator.member(json!({ "phone": OTHER_PHONE })).await,
    );
    let is_good = async |token: &str| {
        let (status, _) =
            operator.call(Method::POST, "/v1/user/sendChangePasswordMessage", token, &json!({})).await;
        status != 401
    };
    let (of_li, of_wu) = (operator.session(&li).await, operator.session(&wu).await);
    operator.run(&["revoke", &li]).await.ok();
    assert_eq!((is_good(&of_li).await, is_good(&of_wu).await), (false, true));

    let of_li = operator.session(&li).await;
    let refused = operator.run(&["revoke", "--all"]).await;
    assert!(refused.code == 1 && refused.err.contains("--yes"), "{}", refused.err);
    assert!(is_good(&of_li).await);
    assert_eq!(operator.json(&["revoke", "--all", "--yes"]).await["revoked"], 2);
    assert_eq!((is_good(&of_li).await, is_good(&of_wu).await), (false, false));
    assert!(!operator.folder.join("members-revoke.progress").exists());
}

#[tokio::test]
async fn revoke_of_everybody_goes_on_where_it_was_ended() {
    let operator = Operator::start("revoke-again").await;
    let ids = (0..64).map(|number| format!("00000000-0000-4000-8000-{number:012}\n"));
    operator.file("members.csv", &format!("id\n{}", ids.collect::<String>()));
    assert_eq!(operator.json(&["import", "members.csv"]).await["imported"], 64);
    let table = operator.dynamodb("DescribeTable", json!({ "TableName": operator.stack.table() })).await;
    let part = |name: &str| table["Table"][name].as_str().unwrap_or_default().to_owned();
    let identity = format!("{} {}", part("TableArn"), part("TableId"));
    let ended = |table: &str| {
        let segments = json!({ "0": null, "1": null, "2": null });
        json!({ "table": table, "began": 1_700_000_000, "count": 20, "segments": segments }).to_string()
    };
    let revoked = async || {
        let items = operator.items().await;
        items.iter().filter(|item| item["revision"]["N"] == "2").count()
    };

    let resume = ["--json", "revoke", "--all", "--yes", "--resume"];
    assert_eq!(operator.run(&resume).await.code, 2, "there is nothing to go on with");
    operator.file("members-revoke.progress", &ended("another"));
    let refused = operator.run(&resume).await;
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert_eq!(revoked().await, 0);

    operator.file("members-revoke.progress", &ended(&identity));
    let told = operator.run(&resume).await.ok();
    assert!(told.err.contains("resuming the run of 2023-11-14T22:13:20Z"), "{}", told.err);
    let now = revoked().await;
    assert!((1..64).contains(&now), "{now}: what was done before is not done again");
    assert_eq!(told.json()["revoked"], 20 + now);
    assert!(!operator.folder.join("members-revoke.progress").exists());

    // An old run that was ended spares nobody who logged in since.
    operator.file("members-revoke.progress", &ended(&identity));
    assert_eq!(operator.json(&["revoke", "--all", "--yes"]).await["revoked"], 64);
}

#[tokio::test]
async fn a_session_on_a_table_that_is_marked_as_production_takes_a_yes() {
    let operator = Operator::start("production").await;
    let id = operator.member(json!({ "phone": PHONE })).await;
    operator.run(&["sign-session", &id]).await.ok();
    let table = operator.dynamodb("DescribeTable", json!({ "TableName": operator.stack.table() })).await;
    let tags = json!([{ "Key": "environment", "Value": "production" }]);
    operator
        .dynamodb("TagResource", json!({ "ResourceArn": table["Table"]["TableArn"], "Tags": tags }))
        .await;
    let refused = operator.run(&["sign-session", &id]).await;
    assert!(refused.code == 1 && refused.out.is_empty() && refused.err.contains("--yes"), "{}", refused.err);
    operator.run(&["sign-session", &id, "--yes"]).await.ok();
}

#[tokio::test]
async fn each_command_leaves_a_record_of_who_ran_it() {
    let operator = Operator::start("records").await;
    let id = operator.member(json!({ "phone": PHONE, "password": "the-old-password" })).await;
    let token = operator.session(&id).await;
    operator.change(&token, "the-old-password", "a-new-password").await;
    for command in ["show", "unlock", "revoke"] {
        operator.run(&[command, &id]).await.ok();
    }
    let trail = operator.trail(&id).await;
    let trail: Vec<_> = trail.iter().map(|(action, actor)| (action.as_str(), actor.as_deref())).collect();
    let expected = [
        ("session-signed", BY_WU),
        ("password-changed", None),
        ("shown", BY_WU),
        ("unlocked", BY_WU),
        ("revoked", BY_WU),
        ("audit-read", BY_WU),
    ];
    assert_eq!(trail, expected);

    operator.run(&["export"]).await.ok();
    operator.file("members.csv", "id\n");
    operator.run(&["import", "members.csv"]).await.ok();
    let today = &operator.lines(&["audit", &id]).await[0]["at"];
    let day = today.as_u64().unwrap() / 86_400;
    let date = civil(day);
    let records = operator.lines(&["audit", "--day", &date]).await;
    let by_nobody: Vec<_> = records
        .iter()
        .filter(|record| record["member"] == "operator")
        .map(|record| &record["action"])
        .collect();
    assert_eq!(by_nobody, ["exported", "imported", "audit-read"]);
    assert!(
        records
            .iter()
            .any(|record| record["member"] == id.as_str() && record["action"] == "password-changed")
    );
    assert!(operator.lines(&["audit", "--day", "2020-02-29"]).await.is_empty());
    // A person's own trail is still readable by the stack.
    let (_, shown) = operator.call(Method::GET, &format!("/_local/members/{id}"), "", &Value::Null).await;
    assert!(shown["audit"].as_array().is_some_and(|audit| audit.len() >= 6), "{shown}");
}

/// The date of a day since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(day: u64) -> String {
    let days = day + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{:02}", of_year - (153 * shifted + 2) / 5 + 1)
}

#[tokio::test]
async fn an_export_is_imported_as_it_was_and_has_hashes_only_where_asked() {
    let operator = Operator::start("export").await;
    let new = json!({ "phone": PHONE, "email": "li@example.com", "password": "the-old-password" });
    let id = operator.member(new).await;
    let before = operator.session(&id).await;
    let exported = operator.run(&["export"]).await.ok().out;
    assert!(!exported.contains("argon2id") && exported.lines().count() == 1, "{exported}");
    operator.run(&["export", "--with-hashes", "--output", "members.jsonl"]).await.ok();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(operator.folder.join("members.jsonl")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    for item in operator.items().await {
        let key = json!({ "pk": item["pk"], "sk": item["sk"] });
        operator.dynamodb("DeleteItem", json!({ "TableName": operator.stack.table(), "Key": key })).await;
    }
    assert_eq!(operator.json(&["import", "members.jsonl"]).await["imported"], 1);
    assert_eq!(operator.json(&["show", "li@example.com"]).await["id"], id.as_str());
    let (status, _) = operator.change(&before, "the-old-password", "a-new-password").await;
    assert_eq!(status, 401, "no session comes alive again");
    let token = operator.session(&id).await;
    assert_eq!(operator.change(&token, "the-old-password", "a-new-password").await.0, 201);
}

#[tokio::test]
async fn a_table_is_named_before_or_behind_the_command() {
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
        ["--table", table, "--endpoint-url", url, "--json", "show", &id],
        ["show", &id, "--endpoint-url", url, "--json", "--table", table],
    ] {
        assert_eq!(run(&arguments).await.ok().json()["phone"], "+8613627140483");
    }
    let by_wu = ("shown".to_owned(), Some("wu".to_owned()));
    assert_eq!(operator.trail(&id).await.iter().filter(|record| **record == by_wu).count(), 2);

    for nowhere in [vec!["show", &id], vec!["show", &id, "--endpoint-url", url]] {
        assert_eq!(run(&nowhere).await.code, 2, "{nowhere:?}");
    }
}

#[tokio::test]
async fn who_reads_only_the_beginning_of_an_answer_changes_nothing_of_what_is_done() {
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
async fn completions_name_every_command() {
    let operator = Operator::start("completions").await;
    for shell in ["bash", "zsh", "fish"] {
        let script = operator.run(&["completions", shell]).await.ok().out;
        for command in ["import", "show", "unlock", "revoke", "sign-session", "audit", "export", "keys"] {
            assert!(script.contains(command), "{shell} {command}");
        }
    }
}
