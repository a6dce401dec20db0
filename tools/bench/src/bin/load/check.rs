//! Whether the table holds what was answered, all of it and nothing besides.

use crate::flow::{Answer, Member, TOLD, e164};
use local::Stack;
use reqwest::Client;
use serde_json::{Value, json};
use shared::{
    keys::Keys,
    password::{self, PasswordHash},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    error::Error,
    fmt::Display,
    sync::atomic::Ordering,
};

/// Every item of the table, past the functions.
pub async fn scan(stack: &Stack, http: &Client) -> Result<Vec<Value>, Box<dyn Error>> {
    // Well-formed, signed by nobody: the embedded DynamoDB reads no signature.
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={:064}",
        0
    );
    let mut items = Vec::new();
    let mut input = json!({ "TableName": stack.table(), "ConsistentRead": true });
    loop {
        let request = http
            .post(stack.dynamodb_url())
            .header("X-Amz-Target", "DynamoDB_20120810.Scan")
            .header("Content-Type", "application/x-amz-json-1.0")
            .header("X-Amz-Date", "20260101T000000Z")
            .header("Authorization", &authorization);
        let mut page: Value =
            request.body(input.to_string()).send().await?.error_for_status()?.json().await?;
        items.extend(page["Items"].as_array_mut().map(std::mem::take).unwrap_or_default());
        match page["LastEvaluatedKey"].take() {
            Value::Null => return Ok(items),
            key => input["ExclusiveStartKey"] = key,
        }
    }
}

/// What must hold, how often it was looked at, and where it does not.
#[derive(Default)]
struct Checks(BTreeMap<&'static str, (usize, Vec<String>)>);

impl Checks {
    fn that(&mut self, what: &'static str, holds: bool, of: impl Display) {
        let (looked_at, faults) = self.0.entry(what).or_default();
        *looked_at += 1;
        if !holds {
            faults.push(of.to_string());
        }
    }
}

/// Holds the table against the answers, prints the outcome, and answers whether all is as it must be.
pub fn check(members: &[Member], items: &[Value], keys: &Keys) -> Result<bool, Box<dyn Error>> {
    let of = |item: &Value, name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
    let number = |item: &Value, name: &str| item[name]["N"].as_str().and_then(|n| n.parse::<usize>().ok());
    let by_key: HashMap<(String, String), &Value> =
        items.iter().map(|item| ((of(item, "pk"), of(item, "sk")), item)).collect();
    let item = |pk: &str, sk: &str| by_key.get(&(pk.to_owned(), sk.to_owned())).copied();
    let mut records: HashMap<String, Vec<&Value>> = HashMap::new();
    let mut notices: HashMap<String, usize> = HashMap::new();
    for item in items {
        if let Some(member) = of(item, "pk").strip_prefix("audit#") {
            records.entry(member.to_owned()).or_default().push(item);
        } else if of(item, "kind") == "changed" {
            *notices.entry(of(&item["origin"]["M"], "request_id")).or_default() += 1;
        }
    }

    let mut checks = Checks::default();
    for member in members {
        let pk = format!("member#{}", member.id);
        let kept = item(&pk, "member").unwrap_or(&Value::Null);
        let records = records.remove(&member.id).unwrap_or_default();
        let recorded: BTreeSet<_> = records.iter().map(|record| of(record, "request_id")).collect();
        let ids = |is: fn(&Answer) -> bool| -> BTreeSet<_> {
            member
                .answers
                .iter()
                .filter(|answer| is(answer))
                .map(|answer| answer.request_id.clone())
                .collect()
        };
        let (changed, lost) = (ids(Answer::is_change), ids(Answer::is_lost));
        for id in &changed {
            checks.that("an answered change is on record", recorded.contains(id), id);
        }
        for id in &recorded {
            let known = changed.contains(id) || lost.contains(id) || lost.contains("");
            checks.that("what is on record was answered, or its answer was lost", known, id);
        }
        checks.that(
            "a member was written once for each record",
            number(kept, "revision") == Some(1 + records.len()),
            &pk,
        );
        let of_password =
            records.iter().filter(|record| of(record, "action").starts_with("password-")).count();
        checks.that(
            "the credential version counts the changes of the login password",
            number(kept, "credential_version") == Some(1 + of_password),
            &pk,
        );
        for record in records {
            // Phone and mail address, and the one that was replaced.
            let addresses = if of(record, "action").ends_with("-replaced") { 3 } else { 2 };
            let id = of(record, "request_id");
            checks.that(
                "each address has a notice of each change",
                notices.remove(&id) == Some(addresses),
                id,
            );
        }

        // What a lost answer has left cannot be told from the answers.
        if !lost.is_empty() {
            continue;
        }
        let phone = e164(&member.phone);
        let owns = |pk: String| item(&pk, "owner").is_some_and(|owner| of(owner, "member") == member.id);
        checks.that(
            "a member has the phone and the mail address of the last answer",
            of(kept, "phone") == phone
                && of(kept, "email") == member.email
                && owns(format!("phone#{phone}"))
                && owns(format!("email#{}", member.email)),
            &pk,
        );
        if !changed.is_empty() {
            let right = is_right(keys, &of(kept, "password"), Some(&member.password))?
                && is_right(keys, &of(kept, "pay_password"), member.pay_password.as_deref())?;
            checks.that("a member has the passwords of the last answer", right, &pk);
        }
        for (proof, is_there) in &member.proofs {
            let sk = if proof.starts_with("grant#") { "grant" } else { "code" };
            checks.that(
                "a code or grant is there until it is spent",
                item(proof, sk).is_some() == *is_there,
                proof,
            );
        }
    }
    for id in notices.keys() {
        checks.that("no notice is of anything that is not on record", false, id);
    }
    let queued = items.iter().filter(|item| of(item, "kind") == "changed").count();
    let told = TOLD.load(Ordering::Relaxed);
    checks.that("every notice was delivered", told >= queued, format!("{told} of {queued}"));

    for (what, (looked_at, faults)) in &checks.0 {
        println!("{:>6} × {what}: {} faults", looked_at, faults.len());
        for fault in faults.iter().take(5) {
            println!("         {fault}");
        }
    }
    Ok(checks.0.values().all(|(_, faults)| faults.is_empty()))
}

/// Whether the hash is of this password, or there is neither.
fn is_right(keys: &Keys, kept: &str, typed: Option<&str>) -> Result<bool, Box<dyn Error>> {
    let Some(typed) = typed else { return Ok(kept.is_empty()) };
    let kept: PasswordHash = serde_json::from_value(json!(kept))?;
    Ok(password::verify(keys, typed, &kept)?)
}
