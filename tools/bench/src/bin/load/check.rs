//! Checks that the table contains exactly what the responses imply.

use crate::member::{NOTICES_SENT, Response, SimulatedMember, e164};
use serde_json::{Value, json};
use shared::{keys::Keys, password::PasswordHash};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    error::Error,
    fmt::Display,
    sync::atomic::Ordering,
};

/// Each rule with the number of its checks and the items that violate it.
#[derive(Default)]
struct Checks(BTreeMap<&'static str, (usize, Vec<String>)>);

impl Checks {
    fn that(&mut self, rule: &'static str, holds: bool, item: impl Display) {
        let (count, violations) = self.0.entry(rule).or_default();
        *count += 1;
        if !holds {
            violations.push(item.to_string());
        }
    }
}

/// Compares the table with the responses, prints the result, and returns whether every rule holds.
pub fn check(members: &[SimulatedMember], items: &[Value], keys: &Keys) -> Result<bool, Box<dyn Error>> {
    let text = |item: &Value, name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
    let number = |item: &Value, name: &str| item[name]["N"].as_str().and_then(|n| n.parse::<usize>().ok());
    let by_key: HashMap<(String, String), &Value> =
        items.iter().map(|item| ((text(item, "pk"), text(item, "sk")), item)).collect();
    let item = |pk: &str, sk: &str| by_key.get(&(pk.to_owned(), sk.to_owned())).copied();
    let mut records: HashMap<String, Vec<&Value>> = HashMap::new();
    let mut notices: HashMap<String, usize> = HashMap::new();
    for item in items {
        if let Some(member) = text(item, "pk").strip_prefix("audit#") {
            // A login writes no member.
            if text(item, "action") == "logged-in" {
                continue;
            }
            records.entry(member.to_owned()).or_default().push(item);
        } else if text(item, "kind") == "changed" {
            *notices.entry(text(&item["origin"]["M"], "request_id")).or_default() += 1;
        }
    }

    let mut checks = Checks::default();
    for member in members {
        let pk = format!("member#{}", member.id);
        let stored = item(&pk, "member").unwrap_or(&Value::Null);
        let records = records.remove(&member.id).unwrap_or_default();
        let recorded: BTreeSet<_> = records.iter().map(|record| text(record, "request_id")).collect();
        let ids = |is: fn(&Response) -> bool| -> BTreeSet<_> {
            member
                .responses
                .iter()
                .filter(|response| is(response))
                .map(|response| response.request_id.clone())
                .collect()
        };
        let (changed, unknown) = (ids(Response::is_change), ids(Response::is_unknown));
        for id in &changed {
            checks.that("a successful change is recorded", recorded.contains(id), id);
        }
        for id in &recorded {
            let explained = changed.contains(id) || unknown.contains(id) || unknown.contains("");
            checks.that("a recorded change succeeded, or its response was lost", explained, id);
        }
        checks.that(
            "a member was written once per record",
            number(stored, "revision") == Some(1 + records.len()),
            &pk,
        );
        let of_password =
            records.iter().filter(|record| text(record, "action").starts_with("password-")).count();
        checks.that(
            "the credential version counts the changes of the login password",
            number(stored, "credential_version") == Some(1 + of_password),
            &pk,
        );
        for record in records {
            // The phone and the email address, plus the one that was replaced.
            let addresses = if text(record, "action").ends_with("-replaced") { 3 } else { 2 };
            let id = text(record, "request_id");
            checks.that(
                "every destination has a notice of every change",
                notices.remove(&id) == Some(addresses),
                id,
            );
        }

        // After a lost response, the responses do not determine the member's state.
        if !unknown.is_empty() {
            continue;
        }
        let phone = e164(&member.phone);
        let owns = |pk: String| item(&pk, "owner").is_some_and(|owner| text(owner, "member") == member.id);
        checks.that(
            "a member has the phone and the email address of the last change",
            text(stored, "phone") == phone
                && text(stored, "email") == member.email
                && owns(format!("phone#{phone}"))
                && owns(format!("email#{}", member.email)),
            &pk,
        );
        if !changed.is_empty() {
            let matches = is_hash_of(keys, &text(stored, "password"), Some(&member.password))?
                && is_hash_of(keys, &text(stored, "pay_password"), member.pay_password.as_deref())?;
            checks.that("a member has the passwords of the last change", matches, &pk);
        }
        for (proof, exists) in &member.proofs {
            let sk = if proof.starts_with("grant#") { "grant" } else { "code" };
            checks.that(
                "a code or grant exists until it is consumed",
                item(proof, sk).is_some() == *exists,
                proof,
            );
        }
    }
    for id in notices.keys() {
        checks.that("every notice belongs to a recorded change", false, id);
    }
    let queued = items.iter().filter(|item| text(item, "kind") == "changed").count();
    let sent = NOTICES_SENT.load(Ordering::Relaxed);
    checks.that("every notice was sent", sent >= queued, format!("{sent} of {queued}"));

    for (rule, (count, violations)) in &checks.0 {
        println!("{count:>6} × {rule}: {} violations", violations.len());
        for item in violations.iter().take(5) {
            println!("         {item}");
        }
    }
    Ok(checks.0.values().all(|(_, violations)| violations.is_empty()))
}

/// Whether `stored` is the hash of `password`, or both are absent.
fn is_hash_of(keys: &Keys, stored: &str, password: Option<&str>) -> Result<bool, Box<dyn Error>> {
    let Some(password) = password else { return Ok(stored.is_empty()) };
    let hash: PasswordHash = serde_json::from_value(json!(stored))?;
    Ok(shared::password::verify(keys, password, &hash)?)
}
