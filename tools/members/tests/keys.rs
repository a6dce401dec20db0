//! `members keys`.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::operator::{Done, Operator, PHONE, done};

/// Runs the command on a key file, without a table.
fn keys(operator: &Operator, arguments: &[&str]) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_members"));
    command.current_dir(&operator.folder).args(["keys", "--file", "keys.json"]).args(arguments);
    done(command.output().unwrap())
}

#[tokio::test]
async fn keys_are_created_rotated_and_retired() {
    let operator = Operator::start("keys").await;
    keys(&operator, &["init"]).ok();
    let path = operator.folder.join("keys.json");
    let secret = || serde_json::from_str::<Value>(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(secret()["current"], "first");
    assert!(keys(&operator, &["init"]).code != 0, "existing keys are never overwritten");

    let steps = keys(&operator, &["rotate", "--id", "second"]).ok().out;
    assert!(steps.contains("members keys rotate --use second"), "{steps}");
    assert_eq!((&secret()["current"], secret()["second"].as_str().unwrap().len()), (&json!("first"), 64));
    assert!(keys(&operator, &["rotate", "--use", "third"]).err.contains("does not exist"));
    keys(&operator, &["rotate", "--use", "second"]).ok();
    assert_eq!(secret()["current"], "second");
    assert!(keys(&operator, &["retire", "second"]).err.contains("is the current key"));
    assert!(keys(&operator, &["retire", "first"]).err.contains("--yes"));
    keys(&operator, &["retire", "first", "--yes"]).ok();
    assert_eq!(secret().as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn retiring_a_key_in_use_requires_confirmation() {
    let operator = Operator::start("used").await;
    operator.member(json!({ "phone": PHONE, "password": "the-old-password", "payPassword": "739154" })).await;
    let mut secret: Value = serde_json::from_str(operator.stack.keys()).unwrap();
    let id = secret["current"].as_str().unwrap().to_owned();
    secret["second"] = json!("s".repeat(64));
    secret["current"] = json!("second");
    operator.file("keys.json", &secret.to_string());

    let listed = operator.json(&["keys", "--file", "keys.json", "list"]).await;
    assert_eq!(
        (&listed["current"], &listed["passwords"]),
        (&json!("second"), &json!({ id.as_str(): 2, "second": 0 }))
    );
    let refused = operator.run(&["keys", "--file", "keys.json", "retire", &id]).await;
    assert!(refused.code == 1 && refused.err.contains("2 password hashes use key"), "{}", refused.err);
    assert!(operator.text("keys.json").contains(&id));
    operator.run(&["keys", "--file", "keys.json", "retire", &id, "--yes"]).await.ok();
    assert!(!operator.text("keys.json").contains(&id));
}
