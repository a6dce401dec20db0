//! What an operator relies on.

use serde_json::{Value, json};

use super::{NEW_PASSWORD, Outcome, PASSWORD, SECURITY, SEND, e164, ensure};
use crate::{cloud::Cloud, failure::Failure};

/// [`PASSWORD`] by bcrypt, as most systems keep it.
const BCRYPT: &str = "$2a$04$x1mdGEW6GjhvyC81qw5urOy7c9JUUJf2y9.q3/aqTYK2N98v9iFpq";

/// From an import to the end of every session.
pub async fn members_come_along(cloud: &Cloud) -> Outcome {
    let (id, phone) = ("6f1a6e4c-5a0e-4a7a-9a39-1d3a5f0f6c11", "13800001018");
    let line = json!({ "id": id, "phone": phone, "password": BCRYPT });
    let file = cloud.operator.file("members.jsonl", &format!("{line}\n"))?;
    let imported = one(cloud, &["import", &file.display().to_string()]).await?;
    ensure(imported["imported"] == 1, "the member was not imported")?;

    let session = one(cloud, &["sign-session", phone]).await?["token"].as_str().map(str::to_owned);
    let mut app = cloud.app_of_nobody();
    app.session = session;
    let wrong = [("oldPassword", "not-the-old-one"), ("newPasswordFirst", NEW_PASSWORD)];
    app.put(SECURITY, &wrong).await?.refused(400, "{OLD_PASSWORD}_NOT_VALID")?;
    let unlocked = one(cloud, &["unlock", id]).await?;
    ensure(unlocked[0]["count"] == 1, "the wrong try was not forgotten")?;
    app.put(SECURITY, &[("oldPassword", PASSWORD), ("newPasswordFirst", NEW_PASSWORD)]).await?.ok()?;
    let shown = one(cloud, &["show", id]).await?;
    ensure(shown["password"] == "set" && shown["phone"] == e164(phone), "the password is not ours")?;

    one(cloud, &["revoke", id]).await?;
    app.post(SEND, &[]).await?.refused(401, "INVALID_TOKEN")?;
    let trail = cloud.operator.run(&["audit", id]).await?;
    let actions: Vec<_> = trail.iter().filter_map(|record| record["action"].as_str()).collect();
    let expected = ["session-signed", "unlocked", "password-changed", "shown", "revoked", "audit-read"];
    ensure(actions == expected, &format!("the trail has {actions:?}"))?;
    let actor = trail.first().and_then(|record| record["actor"].as_str()).unwrap_or_default();
    ensure(actor.starts_with("arn:aws:"), "the trail does not say who ran the command")?;
    let exported = cloud.operator.run(&["export"]).await?;
    ensure(exported.iter().any(|member| member["id"] == id), "the member is not in the export")?;
    Ok(None)
}

/// A key is added and taken away again; the one that all else hangs on stays.
pub async fn keys_rotate(cloud: &Cloud) -> Outcome {
    let before = one(cloud, &["keys", "list"]).await?;
    one(cloud, &["keys", "rotate", "--id", "second"]).await?;
    let used = one(cloud, &["keys", "list"]).await?;
    ensure(used["passwords"]["second"] == 0 && used["current"] == before["current"], "the key is not there")?;
    one(cloud, &["keys", "retire", "second"]).await?;
    let after = one(cloud, &["keys", "list"]).await?;
    ensure(after["passwords"]["second"].is_null(), "the key is still there")?;
    Ok(None)
}

/// The one line that a command answers.
async fn one(cloud: &Cloud, arguments: &[&str]) -> Result<Value, Failure> {
    Ok(cloud.operator.run(arguments).await?.into_iter().next().unwrap_or_default())
}
