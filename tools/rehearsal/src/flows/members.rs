//! The flows of an operator, through the `members` command.

use serde_json::{Value, json};

use super::{NEW_PASSWORD, Outcome, PASSWORD, SECURITY, SEND, e164, ensure};
use crate::{cloud::Cloud, failure::Failure};

/// The bcrypt hash of [`PASSWORD`], as another system would export it.
const BCRYPT: &str = "$2a$04$x1mdGEW6GjhvyC81qw5urOy7c9JUUJf2y9.q3/aqTYK2N98v9iFpq";

/// Imports a member and runs every command on them.
pub async fn life_cycle(cloud: &Cloud) -> Outcome {
    let (id, phone) = ("6f1a6e4c-5a0e-4a7a-9a39-1d3a5f0f6c11", "13800001018");
    let line = json!({ "id": id, "phone": phone, "password": BCRYPT });
    let file = cloud.members.file("members.jsonl", &format!("{line}\n"))?;
    let imported = one(cloud, &["import", &file.display().to_string()]).await?;
    ensure(imported["imported"] == 1, "the member was not imported")?;

    let session = one(cloud, &["sign-session", phone]).await?["token"].as_str().map(str::to_owned);
    let mut app = cloud.anonymous_caller();
    app.session = session;
    let wrong = [("oldPassword", "not-the-old-one"), ("newPasswordFirst", NEW_PASSWORD)];
    app.put(SECURITY, &wrong).await?.refused(400, "{OLD_PASSWORD}_NOT_VALID")?;
    let unlocked = one(cloud, &["unlock", id]).await?;
    ensure(unlocked[0]["count"] == 1, "the failed attempt was not cleared")?;
    app.put(SECURITY, &[("oldPassword", PASSWORD), ("newPasswordFirst", NEW_PASSWORD)]).await?.ok()?;
    let shown = one(cloud, &["show", id]).await?;
    ensure(
        shown["password"] == "set" && shown["phone"] == e164(phone),
        "the imported password was not replaced",
    )?;

    one(cloud, &["revoke", id]).await?;
    app.post(SEND, &[]).await?.refused(401, "INVALID_TOKEN")?;
    let trail = cloud.members.run(&["audit", id]).await?;
    let actions: Vec<_> = trail.iter().filter_map(|record| record["action"].as_str()).collect();
    let expected = ["session-signed", "unlocked", "password-changed", "shown", "revoked", "audit-read"];
    ensure(actions == expected, &format!("the audit trail has {actions:?}"))?;
    let actor = trail.first().and_then(|record| record["actor"].as_str()).unwrap_or_default();
    ensure(actor.starts_with("arn:aws:"), "the audit trail does not record who ran the command")?;
    let exported = cloud.members.run(&["export"]).await?;
    ensure(exported.iter().any(|member| member["id"] == id), "the member is not in the export")?;
    Ok(None)
}

/// Adds a key and retires it, while the first key remains in use.
pub async fn key_rotation(cloud: &Cloud) -> Outcome {
    let before = one(cloud, &["keys", "list"]).await?;
    one(cloud, &["keys", "rotate", "--id", "second"]).await?;
    let used = one(cloud, &["keys", "list"]).await?;
    ensure(
        used["passwords"]["second"] == 0 && used["current"] == before["current"],
        "the key was not added",
    )?;
    one(cloud, &["keys", "retire", "second"]).await?;
    let after = one(cloud, &["keys", "list"]).await?;
    ensure(after["passwords"]["second"].is_null(), "the key was not retired")?;
    Ok(None)
}

/// Runs a command and returns its first line of output.
async fn one(cloud: &Cloud, arguments: &[&str]) -> Result<Value, Failure> {
    Ok(cloud.members.run(arguments).await?.into_iter().next().unwrap_or_default())
}
