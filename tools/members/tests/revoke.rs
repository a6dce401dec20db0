//! `members revoke`.

use std::{fs, process::Stdio, time::Duration};

use reqwest::Method;
use serde_json::json;

use crate::operator::{OTHER_PHONE, Operator, PHONE};

#[tokio::test]
async fn sessions_end_for_one_member_or_all() {
    let operator = Operator::start("revoke").await;
    let (li, wu) = (
        operator.member(json!({ "phone": PHONE })).await,
        operator.member(json!({ "phone": OTHER_PHONE })).await,
    );
    let is_valid = async |token: &str| {
        let (status, _) =
            operator.call(Method::POST, "/v1/user/sendChangePasswordMessage", token, &json!({})).await;
        status != 401
    };
    let (of_li, of_wu) = (operator.session(&li).await, operator.session(&wu).await);
    operator.run(&["revoke", &li]).await.ok();
    assert_eq!((is_valid(&of_li).await, is_valid(&of_wu).await), (false, true));

    let of_li = operator.session(&li).await;
    let refused = operator.run(&["revoke", "--all"]).await;
    assert!(refused.code == 1 && refused.err.contains("--yes"), "{}", refused.err);
    assert!(is_valid(&of_li).await);
    assert_eq!(operator.json(&["revoke", "--all", "--yes"]).await["revoked"], 2);
    assert_eq!((is_valid(&of_li).await, is_valid(&of_wu).await), (false, false));
    assert!(!operator.folder.join("members-revoke.progress").exists());
}

#[tokio::test]
async fn interrupted_run_is_resumed() {
    let operator = Operator::start("revoke-again").await;
    let ids = (0..64).map(|number| format!("00000000-0000-4000-8000-{number:012}\n"));
    operator.file("members.csv", &format!("id\n{}", ids.collect::<String>()));
    assert_eq!(operator.json(&["import", "members.csv"]).await["imported"], 64);
    let table = operator.dynamodb("DescribeTable", json!({ "TableName": operator.stack.table() })).await;
    let part = |name: &str| table["Table"][name].as_str().unwrap_or_default().to_owned();
    let identity = format!("{} {}", part("TableArn"), part("TableId"));
    let progress = |table: &str| {
        let segments = json!({ "0": null, "1": null, "2": null });
        json!({ "table": table, "began": 1_700_000_000, "count": 20, "segments": segments }).to_string()
    };
    let revoked = async || {
        let items = operator.items().await;
        items.iter().filter(|item| item["revision"]["N"] == "2").count()
    };

    let resume = ["--json", "revoke", "--all", "--yes", "--resume"];
    assert_eq!(operator.run(&resume).await.code, 2, "there is no run to resume");
    operator.file("members-revoke.progress", &progress("another"));
    let refused = operator.run(&resume).await;
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert_eq!(revoked().await, 0);

    operator.file("members-revoke.progress", &progress(&identity));
    let done = operator.run(&resume).await.ok();
    assert!(done.err.contains("resuming the run of 2023-11-14T22:13:20Z"), "{}", done.err);
    let now = revoked().await;
    assert!((1..64).contains(&now), "{now}: completed segments are not repeated");
    assert_eq!(done.json()["revoked"], 20 + now);
    assert!(!operator.folder.join("members-revoke.progress").exists());

    // Without `--resume`, an interrupted run is ignored, and every member is revoked.
    operator.file("members-revoke.progress", &progress(&identity));
    assert_eq!(operator.json(&["revoke", "--all", "--yes"]).await["revoked"], 64);
}

#[cfg(unix)]
#[tokio::test]
async fn progress_file_is_private_and_follows_no_link() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let operator = Operator::start("revoke-linked").await;
    let ids = (0..512).map(|number| format!("00000000-0000-4000-8000-{number:012}\n"));
    operator.file("members.csv", &format!("id\n{}", ids.collect::<String>()));
    assert_eq!(operator.json(&["import", "members.csv"]).await["imported"], 512);
    let victim = operator.file("victim", "untouched");
    let progress = operator.folder.join("members-revoke.progress");
    symlink(&victim, progress.with_added_extension("new")).unwrap();
    let mut command = operator.command(&["revoke", "--all", "--yes"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while child.try_wait().unwrap().is_none() {
        if let Ok(file) = fs::symlink_metadata(&progress) {
            assert!(file.is_file(), "{file:?}");
            assert_eq!(file.permissions().mode() & 0o777, 0o600);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(operator.text("victim"), "untouched");
}
