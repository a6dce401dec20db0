//! `members audit`, and the records that every command writes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::operator::{Operator, PHONE};

const BY_WU: Option<&str> = Some("wu");

#[tokio::test]
async fn every_command_is_recorded_with_its_actor() {
    let operator = Operator::start("records").await;
    let id = operator.member(json!({ "phone": PHONE, "password": "the-old-password" })).await;
    let token = operator.session(&id).await;
    operator.change(&token, "the-old-password", "a-new-password").await;
    for command in ["show", "unlock", "unfreeze", "revoke"] {
        operator.run(&[command, &id]).await.ok();
    }
    let trail = operator.trail(&id).await;
    let trail: Vec<_> = trail.iter().map(|(action, actor)| (action.as_str(), actor.as_deref())).collect();
    let expected = [
        ("session-signed", BY_WU),
        ("password-changed", None),
        ("shown", BY_WU),
        ("unlocked", BY_WU),
        ("unfrozen", BY_WU),
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
    let of_no_member: Vec<_> = records
        .iter()
        .filter(|record| record["member"] == "operator")
        .map(|record| &record["action"])
        .collect();
    assert_eq!(of_no_member, ["exported", "imported", "audit-read"]);
    assert!(
        records
            .iter()
            .any(|record| record["member"] == id.as_str() && record["action"] == "password-changed")
    );
    assert!(operator.lines(&["audit", "--day", "2020-02-29"]).await.is_empty());
    // The stack can read the records of an operator beside the member's own.
    let (_, shown) = operator.call(Method::GET, &format!("/_local/members/{id}"), "", &Value::Null).await;
    assert!(shown["audit"].as_array().is_some_and(|audit| audit.len() >= 6), "{shown}");
}

/// Returns the date of a day since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
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
