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

/// Many members in a file, as CSV.
fn many(count: u64) -> String {
    let mut text = "id,phone,email,email_verified\n".to_owned();
    for number in 0..count {
        let id = format!("00000000-0000-4000-8000-{number:012}");
        writeln!(text, "{id},138{number:08},{number}@example.com,true").unwrap();
    }
    text
}

#[tokio::test]
async fn a_line_is_a_member_with_all_that_it_has() {
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
async fn a_malformed_line_names_its_number_and_field_and_stops_nothing_else() {
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
    for told in [
        "line 3, id: not a UUID; convert such ids with --namespace",
        "line 4, phone: not an allowed phone number",
        "line 6, line: unclosed quotation mark",
        "line 7, password: it is no password hash of a known form",
        "line 8, language: neither Chinese nor English",
        "line 9, line: 2 fields, but the header names 4",
    ] {
        assert!(done.err.contains(told), "{told} is not in\n{}", done.err);
    }
    // Even that which could not be told apart needs no more than its correction.
    let errors = operator.text("members.csv.errors").replace("\"13700000002", THIRD_PHONE);
    let told = errors.lines().filter(|line| line.starts_with("id,") || line.contains(THIRD_PHONE));
    let corrected = told.map(|line| line.replace(OTHER_ID, THIRD_ID) + "\n").collect::<String>();
    operator.file("corrected.csv", &corrected);
    assert_eq!(operator.json(&["import", "corrected.csv"]).await["imported"], 1);
    let shown = operator.json(&["show", OTHER_PHONE]).await;
    assert_eq!((&shown["id"], &shown["language"]), (&json!(OTHER_ID), &json!("zh-CN")));
}

#[tokio::test]
async fn refused_lines_can_be_corrected_and_fed_back() {
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
    let nobody = operator.run(&["show", ID]).await;
    assert_eq!((nobody.code, nobody.err.trim()), (1, "error: no such member"));

    let corrected = errors.replace(&format!(",{PHONE},"), ",13700000001,").replace(",x,", ",13700000002,");
    operator.file("members.csv.errors", &corrected);
    let summary = operator.json(&["import", "members.csv.errors"]).await;
    assert_eq!((&summary["imported"], &summary["refused"]), (&json!(2), &json!(0)));
}

#[tokio::test]
async fn refused_json_lines_are_fed_back_as_well_and_nobody_else_reads_them() {
    let operator = Operator::start("fed-back-json").await;
    operator.file("members.jsonl", &format!("{}\n{{\n", json!({ "id": ID, "phone": "x" })));
    assert_eq!(operator.run(&["import", "members.jsonl"]).await.code, 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(operator.folder.join("members.jsonl.errors")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // As they are they are refused again, and again.
    for file in ["members.jsonl.errors", "members.jsonl.errors.errors"] {
        assert_eq!(operator.json_of(1, &["import", file]).await["refused"], 2, "{file}");
    }
    let errors = operator.text("members.jsonl.errors.errors.errors");
    let corrected = errors.lines().next().unwrap().replace("\"x\"", "\"13627140483\"");
    operator.file("corrected", &corrected);
    assert_eq!(operator.json(&["import", "corrected"]).await["imported"], 1);
}

#[tokio::test]
async fn corrections_in_the_file_of_errors_are_never_written_over() {
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

#[tokio::test]
async fn a_file_is_read_whatever_its_ends_of_lines_and_its_longest_line() {
    let operator = Operator::start("ends").await;
    let long = format!("{OTHER_ID},{}", "1".repeat(70_000));
    let text = format!("\u{feff}id,phone\r\n{ID},{PHONE}\r\n\r\n{long}\r\n{THIRD_ID},{OTHER_PHONE}");
    operator.file("members.csv", &text);
    let done = operator.run(&["--json", "import", "members.csv"]).await;
    assert_eq!((&done.json()["imported"], &done.json()["refused"]), (&json!(2), &json!(1)));
    assert!(done.err.contains("line 4, line: longer than 65536 bytes"), "{}", done.err);

    // What cannot be read twice cannot be gone on with.
    assert!(Command::new("mkfifo").arg(operator.folder.join("pipe.csv")).status().unwrap().success());
    let mut writer = Command::new("sh");
    writer.args(["-c", "echo id > pipe.csv"]).current_dir(&operator.folder);
    let mut writer = writer.spawn().unwrap();
    assert_eq!(operator.run(&["import", "pipe.csv"]).await.code, 2);
    let _ = writer.kill();
    writer.wait().unwrap();

    // A file that lacks its first line tells nothing of the second.
    operator.file("headless.csv", &format!("$P$650LmolwNrTTb7JU2FTv4OYdeclUdb1,{ID},{PHONE}\n"));
    let refused = operator.run(&["import", "headless.csv"]).await;
    assert!(refused.code == 2 && refused.err.contains("a field name is missing"), "{}", refused.err);
    assert!(!refused.err.contains("$P$") && !refused.err.contains(PHONE), "{}", refused.err);

    // What an old spreadsheet writes is one line.
    operator.file("old.csv", &format!("id,phone\r{ID},{PHONE}\r"));
    let refused = operator.run(&["import", "old.csv"]).await;
    assert!(refused.code == 2 && refused.err.contains("contains a line break"), "{}", refused.err);
}

#[tokio::test]
async fn a_salted_hash_needs_its_salt_to_the_last_space_and_no_other_form_takes_one() {
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
async fn nothing_is_half_imported_and_of_two_with_one_phone_one_is() {
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
async fn an_existing_member_is_skipped_or_updated_as_told() {
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
    // What the line has not is left alone.
    assert_eq!((&shown["email"], &shown["password"]), (&json!("li@example.com"), &json!("set")));
    assert_eq!(operator.run(&["show", PHONE]).await.code, 1, "the phone that was replaced is free");
    assert!(operator.trail(&id).await.contains(&("updated".to_owned(), Some("wu".to_owned()))));
    assert_eq!(operator.json(&update).await["skipped"], 1, "there is nothing left to update");
    assert_eq!(operator.change(&token, "the-old-password", "a-new-password").await.0, 201);

    operator.file("cooling.csv", &format!("id,cooling_since\n{id},1700000000\n"));
    assert_eq!(operator.json(&["import", "--existing", "update", "cooling.csv"]).await["updated"], 1);
    assert_eq!(operator.json(&["show", &id]).await["cooling_since"], 1_700_000_000);

    // Another password ends the sessions, and the same again is none, whatever salt it is kept with.
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
async fn of_lines_that_stand_together_the_first_comes_first() {
    let operator = Operator::start("first").await;
    let text = format!("id,phone\n{ID},{PHONE}\n{OTHER_ID},{PHONE}\n{OTHER_ID},{OTHER_PHONE}\n");
    operator.file("members.csv", &text);
    let done = operator.run(&["import", "members.csv"]).await;
    assert!(done.out.starts_with("2 imported, 0 updated, 0 skipped, 1 rejected"), "{}", done.out);
    assert!(done.err.contains("line 3, phone: belongs to another member"), "{}", done.err);
    assert_eq!(operator.json(&["show", PHONE]).await["id"], ID);
}

#[tokio::test]
async fn a_mail_address_that_nobody_has_proven_is_not_bound() {
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
    assert_eq!(operator.json(&["show", ID]).await["email"], Value::Null, "its line says that it is not");
}

#[tokio::test]
async fn a_dry_run_tells_what_would_be_and_writes_nothing() {
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
        let told = format!("line {line}, phone: belongs to another member");
        assert!(done.err.contains(&told), "{}", done.err);
    }
    assert_eq!(operator.items().await.len(), before);
    assert!(!operator.folder.join("members.csv.errors").exists());
}

#[tokio::test]
async fn after_ctrl_c_the_same_command_goes_on_and_loses_and_doubles_nothing() {
    let operator = Operator::start("interrupted").await;
    let count = 3_000;
    let text = many(count).replacen('\n', &format!("\n{OTHER_ID},y,,\n"), 1) + &format!("{ID},x,,\n");
    operator.file("members.csv", &text);
    let mut command = operator.command(&["import", "members.csv"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let journal = operator.folder.join("members.csv.progress");
    while !journal.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was interrupted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The shell has it built in, where there may be no program of that name.
    let interrupt = format!("kill -INT {}", child.id());
    assert!(Command::new("sh").args(["-c", &interrupt]).status().unwrap().success());
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    let ended = done(ended);
    assert_eq!(ended.code, 130, "{}", ended.err);
    assert!(ended.err.contains("run the same command again to resume"), "{}", ended.err);

    // It is no journal of another import, table or file.
    let refused = operator.run(&["import", "members.csv", "--trust-email"]).await;
    assert!(
        refused.code == 2 && refused.err.contains("different file, table or set of options"),
        "{}",
        refused.err
    );
    let kept = operator.text("members.csv.progress");
    let mut elsewhere: Value = serde_json::from_str(&kept).unwrap();
    elsewhere["subject"]["table"] = json!("another");
    operator.file("members.csv.progress", &elsewhere.to_string());
    assert_eq!(operator.run(&["import", "members.csv"]).await.code, 2);
    operator.file("members.csv.progress", &kept);
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
    assert!(!journal.exists());
    let members = operator.items().await.iter().filter(|item| item["sk"]["S"] == "member").count();
    assert_eq!(members, 3_000);
}

#[tokio::test]
async fn a_notice_comes_in_the_members_language_where_the_request_asks_for_none() {
    let operator = Operator::start("language").await;
    operator.file("members.csv", &format!("id,phone,language\n{ID},{PHONE},en\n{OTHER_ID},{OTHER_PHONE},\n"));
    operator.run(&["import", "members.csv"]).await.ok();
    for (id, says) in [(ID, "payment PIN was set"), (OTHER_ID, "支付密码已设置")] {
        let token = operator.session(id).await;
        let body = json!({ "payPasswordFirst": "739154" });
        let path = "/member/userservice/security/payPassword";
        assert_eq!(operator.call(Method::PUT, path, &token, &body).await.0, 201);
        operator.stack.settled().await;
        let text = operator.stack.messages()[0].text.clone();
        assert!(text.contains(says), "{text}");
    }
}
