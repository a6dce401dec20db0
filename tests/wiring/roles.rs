//! Writes the statements of a role from the recorded acts of its function.

use super::{endpoints::Function, generate::part};
use std::collections::{BTreeMap, BTreeSet};

/// The kinds of requests to the table with their actions, in the order of a role's statements.
const KINDS: [(&str, &str); 6] = [
    ("Get", "dynamodb:GetItem"),
    ("Query", "dynamodb:Query"),
    ("ConditionCheck", "dynamodb:ConditionCheckItem"),
    ("Put", "dynamodb:PutItem"),
    ("Update", "dynamodb:UpdateItem"),
    ("Delete", "dynamodb:DeleteItem"),
];

/// The partition that a function reads only to open its connection.
const CONNECTION: &str = "connection";

/// Returns the statements that allow these actions, each given with the partition key of its item, if it has one, and
/// the attributes that it reads, if it does not read all.
pub fn statements<'a>(
    function: &Function,
    acts: impl Iterator<Item = (&'a str, Option<&'a str>, &'a BTreeSet<String>)>,
) -> String {
    let mut done: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut read: BTreeMap<&str, Option<BTreeSet<String>>> = BTreeMap::new();
    for (action, partition, attributes) in acts {
        done.entry(action).or_default().extend(partition.map(pattern));
        if partition != Some(CONNECTION) {
            let read = read.entry(action).or_insert_with(|| Some(BTreeSet::new()));
            *read = read.take().filter(|_| !attributes.is_empty());
            if let Some(read) = read {
                read.extend(attributes.iter().cloned());
            }
        }
    }
    let mut text = part("logs", &[("Id", &function.camel())]);
    for (kind, action) in KINDS {
        if let Some(keys) = done.remove(action) {
            let list = |texts: BTreeSet<String>| texts.into_iter().collect::<Vec<_>>().join(", ");
            let keys = list(keys);
            text += &match read.remove(action).flatten() {
                Some(attributes) => {
                    let attributes = list(attributes);
                    let values =
                        [("kind", kind), ("action", action), ("keys", &keys), ("attributes", &attributes)];
                    part("items-of-attributes", &values)
                }
                None => part("items", &[("kind", kind), ("action", action), ("keys", &keys)]),
            };
        }
    }
    for (action, name) in [("sns:Publish", "sms"), ("ses:SendEmail", "mail")] {
        if done.remove(action).is_some() {
            text += &part(name, &[]);
        }
    }
    if function.stream {
        text += &part("read-stream", &[]);
    }
    assert!(done.is_empty(), "{}: parts.yaml has no statement for {:?}", function.name, done.keys());
    text
}

/// Returns the pattern of the partition keys of a kind: `sent#phone#*` for `sent#phone#+8613627140483`. A kind has
/// only lower-case letters and hyphens, so the identifier begins at the first part with anything else.
fn pattern(partition: &str) -> String {
    let is_kind = |part: &&str| part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let kinds: Vec<_> = partition.split('#').take_while(is_kind).collect();
    let kind = kinds.join("#");
    if kind == partition { kind } else { kind + "#*" }
}

#[test]
fn pattern_ends_before_the_identifier() {
    for (partition, expected) in [
        ("connection", "connection"),
        ("member#0192f0c1-7d3a-7c60-b1a5-0d8b0a3f5e11", "member#*"),
        ("code#phone#+8613627140483#60", "code#phone#*"),
        ("sent#email#li@example.com", "sent#email#*"),
        ("failures#pay-password#0192f0c1", "failures#pay-password#*"),
        ("source#192.0.2.1#1", "source#*"),
        ("calling-code#86", "calling-code#*"),
    ] {
        assert_eq!(pattern(partition), expected);
    }
}
