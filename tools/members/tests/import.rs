//! `members import`.

use std::{
    fmt::Write,
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::operator::{OTHER_PHONE, Operator, PHONE, done};

const ID: &str = "6f1a6e4c-5a0e-4a7a-9a39-1d3a5f0f6c11";
const OTHER_ID: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
const THIRD_PHONE: &str = "13700000002";
const THIRD_ID: &str = "9b2e6679-7425-40de-944b-e07fc1f90ae7";

/// Returns a CSV file of `count` members.
fn many(count: u64) -> String {
    let mut text = "id,phone,email,email_verified\n".to_owned();
    for number in 0..count {
        let id = format!("00000000-0000-4000-8000-{number:012}");
        writeln!(text, "{id},138{number:08},{number}@example.com,true").unwrap();
    }
    text
}

#[tokio::test]
async fn line_is_imported_with_all_its_fields() {
    let operator = Operator::start("whole").await;
    let line = json!({
        "id": ID, "phone": PHONE, "email": "Li@Example.com", "email_verified": true, "language": "en-GB",
        "created_at": 1_700_000_000,
    });
    operator.file("members.jsonl", &format!("{line}\n"));
    let summary = operator.json(&["import", "members.jsonl"]).await;
    assert_eq!((&summary["imported"], &summary["refused"]), (&json!(1), &json!(0)));
    for who in [ID, PHONE, "Li@example.com"] {
        let shown = operator.json(&["show", who]).await;
        assert_eq!(shown["id"], ID);
        assert_eq!((&shown["phone"], &shown["email"]), (&json!("+8613627140483"), &json!("Li@example.com")));
        assert_eq!((&shown["language"], &shown["created_at"]), (&json!("en"), &json!(1_700_000_000)));
        assert_eq!((&shown["password"], &shown["pay_password"]), (&Value::Null, &Value::Null));
    }
    assert!(!operator.folder.join("members.jsonl.errors").exists());
    assert!(!operator.folder.join("members.jsonl.progress").exists());
}

#[tokio::test]
async fn malformed_line_is_reported_and_others_are_imported() {
    let operator = Operator::start("malformed").await;
    let text = format!(
        "id,phone,password,language\n\
         {ID},{PHONE},,\n\
         7,13700000001,,\n\
         {OTHER_ID},12,,\n\
         \n\
         {OTHER_ID},\"13700000002,,\n\
         {OTHER_ID},13700000003,not-a-hash,\n\
         {OTHER_ID},13700000003,,klingon\n\
         {OTHER_ID},13700000003\n\
         {OTHER_ID},{OTHER_PHONE},,zh\n"
    );
    operator.file("members.csv", &text);
    let done = operator.run(&["import", "members.csv"]).await;
    assert_eq!(done.code, 1, "{}", done.err);
    assert!(done.out.starts_with("2 imported, 0 updated, 0 skipped, 6 rejected\n"), "{}", done.out);
    for message in [
        "line 3, id: not a UUID; convert such ids with --namespace",
        "line 4, phone: not an allowed phone number",
        "line 6, line: unclosed quotation mark",
        "line 7, password: not a password hash of a known form",
        "line 8, language: neither Chinese nor English",
        "line 9, line: 2 fields, but the header names 4",
    ] {
        assert!(done.err.contains(message), "{message} is not in\n{}", done.err);
    }
    // Even a line whose fields could not be separated is imported once it is corrected.
    let errors = operator.text("members.csv.errors").replace("\"13700000002", THIRD_PHONE);
    let lines = errors.lines().filter(|line| line.starts_with("id,") || line.contains(THIRD_PHONE));
    let corrected = lines.map(|line| line.replace(OTHER_ID, THIRD_ID) + "\n").collect::<String>();
    operator.file("corrected.csv", &corrected);
    assert_eq!(operator.json(&["import", "corrected.csv"]).await["imported"], 1);
    let shown = operator.json(&["show", OTHER_PHONE]).await;
    assert_eq!((&shown["id"], &shown["language"]), (&json!(OTHER_ID), &json!("zh-CN")));
}

#[tokio::test]
async fn rejected_lines_can_be_corrected_and_imported() {
    let operator = Operator::start("fed-back").await;
    operator.member(json!({ "phone": PHONE })).await;
    let text = format!("id,phone\n{ID},{PHONE}\n{OTHER_ID},{OTHER_PHONE}\n{THIRD_ID},x\n");
    operator.file("members.csv", &text);
    assert_eq!(operator.run(&["import", "members.csv"]).await.code, 1);
    let errors = operator.text("members.csv.errors");
    let expected = format!(
        "id,phone,error\n\
         {ID},{PHONE},phone: belongs to another member\n\
         {THIRD_ID},x,phone: not an allowed phone number\n"
    );
    assert_eq!(errors, expected);
    let missing = operator.run(&["show", ID]).await;
    assert_eq!((missing.code, missing.err.trim()), (1, "error: no such member"));

    let corrected = errors.replace(&format!(",{PHONE},"), ",13700000001,").replace(",x,", ",13700000002,");
    operator.file("members.csv.errors", &corrected);
    let summary = operator.json(&["import", "members.csv.errors"]).await;
    assert_eq!((&summary["imported"], &summary["refused"]), (&json!(2), &json!(0)));
}

#[tokio::test]
async fn rejected_json_lines_are_private_and_importable() {
    let operator = Operator::start("fed-back-json").await;
    operator.file("members.jsonl", &format!("{}\n{{\n", json!({ "id": ID, "phone": "x" })));
    assert_eq!(operator.run(&["import", "members.jsonl"]).await.code, 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(operator.folder.join("members.jsonl.errors")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // Uncorrected lines are rejected again, however often they are imported.
    for file in ["members.jsonl.errors", "members.jsonl.errors.errors"] {
        assert_eq!(operator.json_of(1, &["import", file]).await["refused"], 2, "{file}");
    }
    let errors = operator.text("members.jsonl.errors.errors.errors");
    let corrected = errors.lines().next().unwrap().replace("\"x\"", "\"13627140483\"");
    operator.file("corrected", &corrected);
    assert_eq!(operator.json(&["import", "corrected"]).await["imported"], 1);
}

#[tokio::test]
async fn rejects_file_is_never_overwritten() {
    let operator = Operator::start("corrections").await;
    operator.file("members.csv", "id\n7\n");
    assert_eq!(operator.run(&["import", "members.csv"]).await.code, 1);
    operator.file("members.csv.errors", "corrected");
    let refused = operator.run(&["import", "members.csv"]).await;
    assert!(
        refused.code == 2 && refused.err.contains("members.csv.errors already exists"),
        "{}",
        refused.err
    );
    assert_eq!(operator.text("members.csv.errors"), "corrected");
    assert_eq!(operator.run(&["import", "members.csv", "--errors", "others"]).await.code, 1);
    assert!(operator.text("others").contains("not a UUID"));
}

#[cfg(unix)]
#[tokio::test]
async fn rejects_file_follows_no_symbolic_link() {
    let operator = Operator::start("linked").await;
    operator.file("members.csv", "id\n7\n");
    let elsewhere = operator.folder.join("elsewhere");
    std::os::unix::fs::symlink(&elsewhere, operator.folder.join("members.csv.errors")).unwrap();
    let refused = operator.run(&["import", "members.csv"]).await;
    assert!(
        refused.code == 2 && refused.err.contains("members.csv.errors already exists"),
        "{}",
        refused.err
    );
    assert!(!elsewhere.exists());
}

#[tokio::test]
async fn unusual_files_are_read_or_refused() {
    let operator = Operator::start("ends").await;
    let long = format!("{OTHER_ID},{}", "1".repeat(70_000));
    let text = format!("\u{feff}id,phone\r\n{ID},{PHONE}\r\n\r\n{long}\r\n{THIRD_ID},{OTHER_PHONE}");
    operator.file("members.csv", &text);
    let done = operator.run(&["--json", "import", "members.csv"]).await;
    assert_eq!((&done.json()["imported"], &done.json()["refused"]), (&json!(2), &json!(1)));
    assert!(done.err.contains("line 4, line: longer than 65536 bytes"), "{}", done.err);

    // A pipe cannot be read again after an interruption.
    assert!(Command::new("mkfifo").arg(operator.folder.join("pipe.csv")).status().unwrap().success());
    let mut writer = Command::new("sh");
    writer.args(["-c", "echo id > pipe.csv"]).current_dir(&operator.folder);
    let mut writer = writer.spawn().unwrap();
    assert_eq!(operator.run(&["import", "pipe.csv"]).await.code, 2);
    let _ = writer.kill();
    writer.wait().unwrap();

    // The error of a file without a header contains no data.
    operator.file("headless.csv", &format!("$P$650LmolwNrTTb7JU2FTv4OYdeclUdb1,{ID},{PHONE}\n"));
    let refused = operator.run(&["import", "headless.csv"]).await;
    assert!(refused.code == 2 && refused.err.contains("a field name is missing"), "{}", refused.err);
    assert!(!refused.err.contains("$P$") && !refused.err.contains(PHONE), "{}", refused.err);

    // Line endings of classic Mac OS make the whole file one line.
    operator.file("old.csv", &format!("id,phone\r{ID},{PHONE}\r"));
    let refused = operator.run(&["import", "old.csv"]).await;
    assert!(refused.code == 2 && refused.err.contains("contains a line break"), "{}", refused.err);
}

#[tokio::test]
async fn salt_is_exact_and_only_for_salted_forms() {
    let operator = Operator::start("salt").await;
    // MD5 of the salt " a " and the password.
    let hash = "e78cab9b5be5191e25b32a697cba379a";
    let line = |id: &str, phone: &str, form: &str, salt: Option<&str>| {
        json!({ "id": id, "phone": phone, "password": hash, "password_form": form, "password_salt": salt })
            .to_string()
            + "\n"
    };
    let text = line(ID, PHONE, "md5-salt-before", Some(" a "))
        + &line(OTHER_ID, OTHER_PHONE, "md5", Some("a"))
        + &line(THIRD_ID, OTHER_PHONE, "md5-salt-after", None);
    operator.file("members.jsonl", &text);
    let done = operator.run(&["import", "members.jsonl"]).await;
    assert!(done.out.starts_with("1 imported, 0 updated, 0 skipped, 2 rejected"), "{}", done.out);
    assert!(done.err.contains("line 2, password_salt: the form takes no salt"), "{}", done.err);
    assert!(done.err.contains("line 3, password_salt: missing"), "{}", done.err);
    let token = operator.session(ID).await;
    assert_eq!(operator.change(&token, "the-old-password", "a-new-password").await.0, 201);
}

#[tokio::test]
async fn contact_conflict_rejects_the_whole_member() {
    let operator = Operator::start("one-of-two").await;
    operator.member(json!({ "email": "li@example.com" })).await;
    let text = format!(
        "id,phone,email,email_verified\n{ID},{PHONE},,\n{OTHER_ID},{PHONE},,\n{THIRD_ID},13700000001,li@example.com,1\n"
    );
    operator.file("members.csv", &text);
    let done = operator.run(&["--json", "import", "members.csv"]).await;
    assert_eq!((&done.json()["imported"], &done.json()["refused"]), (&json!(1), &json!(2)));
    assert!(done.err.contains("line 3, phone: belongs to another member"), "{}", done.err);
    assert!(done.err.contains("line 4, email: belongs to another member"), "{}", done.err);
    let items = operator.items().await;
    let is_there = |pk: &str| items.iter().any(|item| item["pk"]["S"] == pk);
    assert!(!is_there("phone#+8613700000001") && !is_there(&format!("member#{THIRD_ID}")));
    assert_eq!(items.iter().filter(|item| item["sk"]["S"] == "owner").count(), 2);
}

#[tokio::test]
async fn existing_member_is_skipped_or_updated_as_configured() {
    let operator = Operator::start("existing").await;
    let id = operator
        .member(json!({ "phone": PHONE, "email": "li@example.com", "password": "the-old-password" }))
        .await;
    operator.member(json!({ "phone": OTHER_PHONE })).await;
    let token = operator.session(&id).await;
    operator.file("members.csv", &format!("id,phone,language\n{id},13700000001,en\n"));

    assert_eq!(operator.json(&["import", "members.csv"]).await["skipped"], 1);
    assert_eq!(operator.json(&["show", &id]).await["phone"], "+8613627140483");

    let update = ["import", "--existing", "update", "members.csv"];
    assert_eq!(operator.json(&update).await["updated"], 1);
    let shown = operator.json(&["show", "13700000001"]).await;
    assert_eq!((&shown["id"], &shown["language"]), (&json!(id), &json!("en")));
    // Fields that the line lacks are unchanged.
    assert_eq!((&shown["email"], &shown["password"]), (&json!("li@example.com"), &json!("set")));
    assert_eq!(operator.run(&["show", PHONE]).await.code, 1, "the replaced phone is released");
    assert!(operator.trail(&id).await.contains(&("updated".to_owned(), Some("wu".to_owned()))));
    assert_eq!(operator.json(&update).await["skipped"], 1, "there is nothing left to update");
    assert_eq!(operator.change(&token, "the-old-password", "a-new-password").await.0, 201);

    operator.file("cooling.csv", &format!("id,cooling_since\n{id},1700000000\n"));
    assert_eq!(operator.json(&["import", "--existing", "update", "cooling.csv"]).await["updated"], 1);
    assert_eq!(operator.json(&["show", &id]).await["cooling_since"], 1_700_000_000);

    // A different password ends the sessions. The same one does not, although its salt differs.
    let token = operator.session(&id).await;
    let md5 = "fdcf36394daaf47def0d41d181d1443c,md5";
    operator.file("hashes.csv", &format!("id,password,password_form\n{id},{md5}\n"));
    let again = ["import", "--existing", "update", "hashes.csv"];
    assert_eq!(operator.json(&again).await["updated"], 1);
    assert_eq!(operator.change(&token, "the-old-password", "a-new-password").await.0, 401);
    let token = operator.session(&id).await;
    let dry = ["import", "--existing", "update", "--dry-run", "hashes.csv"];
    assert_eq!(operator.json(&dry).await["skipped"], 1);
    assert_eq!(operator.json(&again).await["skipped"], 1);
    assert_eq!(operator.change(&token, "the-old-password", "a-new-password").await.0, 201);

    operator.file("members.csv", &format!("id,phone\n{id},{OTHER_PHONE}\n"));
    let done = operator.run(&update).await;
    assert!(done.err.contains("line 2, phone: belongs to another member"), "{}", done.err);
    assert_eq!(operator.json(&["show", &id]).await["phone"], "+8613700000001");
}

#[tokio::test]
async fn first_of_conflicting_lines_is_imported() {
    let operator = Operator::start("first").await;
    let text = format!("id,phone\n{ID},{PHONE}\n{OTHER_ID},{PHONE}\n{THIRD_ID},{OTHER_PHONE}\n");
    operator.file("members.csv", &text);
    let done = operator.run(&["import", "members.csv"]).await;
    assert!(done.out.starts_with("2 imported, 0 updated, 0 skipped, 1 rejected"), "{}", done.out);
    assert!(done.err.contains("line 3, phone: belongs to another member"), "{}", done.err);
    assert_eq!(operator.json(&["show", PHONE]).await["id"], ID);
}

#[tokio::test]
async fn unverified_email_is_not_bound() {
    let operator = Operator::start("mail").await;
    let text = format!(
        "id,email,email_verified\n{ID},li@example.com,false\n{OTHER_ID},wu@example.com,\n{THIRD_ID},yu@example.com,true\n"
    );
    operator.file("members.csv", &text);
    let summary = operator.json(&["import", "members.csv"]).await;
    assert_eq!((&summary["imported"], &summary["unverified"]), (&json!(3), &json!(2)));
    assert_eq!(operator.json(&["show", ID]).await["email"], Value::Null);
    assert_eq!(operator.json(&["show", THIRD_ID]).await["email"], "yu@example.com");
    let trusting = ["import", "--trust-email", "--existing", "update", "members.csv"];
    assert_eq!(operator.json(&trusting).await["updated"], 1);
    assert_eq!(operator.json(&["show", OTHER_ID]).await["email"], "wu@example.com");
    assert_eq!(operator.json(&["show", ID]).await["email"], Value::Null, "its line declares it unverified");
}

#[tokio::test]
async fn dry_run_reports_outcomes_without_writing() {
    let operator = Operator::start("dry").await;
    let id = operator.member(json!({ "phone": PHONE })).await;
    let before = operator.items().await.len();
    let text =
        format!("id,phone\n{id},{PHONE}\n{ID},{PHONE}\n{OTHER_ID},{OTHER_PHONE}\n{THIRD_ID},{OTHER_PHONE}\n");
    operator.file("members.csv", &text);
    let done = operator.run(&["--json", "import", "--dry-run", "members.csv"]).await;
    let summary = done.json();
    let counts = ["imported", "skipped", "refused"].map(|name| summary[name].as_u64().unwrap());
    assert_eq!((done.code, counts), (1, [1, 1, 2]));
    for line in [3, 5] {
        let message = format!("line {line}, phone: belongs to another member");
        assert!(done.err.contains(&message), "{}", done.err);
    }
    assert_eq!(operator.items().await.len(), before);
    assert!(!operator.folder.join("members.csv.errors").exists());
}

#[tokio::test]
async fn interrupted_import_resumes_without_loss_or_duplicates() {
    let operator = Operator::start("interrupted").await;
    let count = 3_000;
    let text = many(count).replacen('\n', &format!("\n{OTHER_ID},y,,\n"), 1) + &format!("{ID},x,,\n");
    operator.file("members.csv", &text);
    let mut command = operator.command(&["import", "members.csv"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let checkpoint = operator.folder.join("members.csv.progress");
    while !checkpoint.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was interrupted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // `kill` is built into the shell; a minimal system may have no such program.
    let interrupt = format!("kill -INT {}", child.id());
    assert!(Command::new("sh").args(["-c", &interrupt]).status().unwrap().success());
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    let ended = done(ended);
    assert_eq!(ended.code, 130, "{}", ended.err);
    assert!(ended.err.contains("run the same command again to resume"), "{}", ended.err);

    // The checkpoint is refused for other options, another table, and a modified rejects file.
    let refused = operator.run(&["import", "members.csv", "--trust-email"]).await;
    assert!(
        refused.code == 2 && refused.err.contains("different file, table or set of options"),
        "{}",
        refused.err
    );
    let saved = operator.text("members.csv.progress");
    let mut elsewhere: Value = serde_json::from_str(&saved).unwrap();
    elsewhere["subject"]["table"] = json!("another");
    operator.file("members.csv.progress", &elsewhere.to_string());
    assert_eq!(operator.run(&["import", "members.csv"]).await.code, 2);
    operator.file("members.csv.progress", &saved);
    let errors = operator.text("members.csv.errors");
    operator.file("members.csv.errors", "corrected");
    let refused = operator.run(&["import", "members.csv"]).await;
    assert!(refused.code == 2 && refused.err.contains("has changed since"), "{}", refused.err);
    operator.file("members.csv.errors", &errors);

    let done = operator.run(&["--json", "import", "members.csv"]).await;
    assert!(done.err.contains("resuming at line "), "{}", done.err);
    let summary = done.json();
    assert_eq!((&summary["imported"], &summary["refused"]), (&json!(count), &json!(2)));
    assert_eq!(operator.text("members.csv.errors").lines().count(), 3);
    assert!(!checkpoint.exists());
    let members = operator.items().await.iter().filter(|item| item["sk"]["S"] == "member").count();
    assert_eq!(members, 3_000);
}

#[tokio::test]
async fn notice_uses_the_imported_language_by_default() {
    let operator = Operator::start("language").await;
    operator.file("members.csv", &format!("id,phone,language\n{ID},{PHONE},en\n{OTHER_ID},{OTHER_PHONE},\n"));
    operator.run(&["import", "members.csv"]).await.ok();
    for (id, sentence) in [(ID, "payment PIN was set"), (OTHER_ID, "支付密码已设置")] {
        let token = operator.session(id).await;
        let body = json!({ "payPasswordFirst": "739154" });
        let path = "/member/userservice/security/payPassword";
        assert_eq!(operator.call(Method::PUT, path, &token, &body).await.0, 201);
        operator.stack.settled().await;
        let text = operator.stack.messages()[0].text.clone();
        assert!(text.contains(sentence), "{text}");
    }
}
