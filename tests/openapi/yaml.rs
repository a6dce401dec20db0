//! Writes a JSON value as YAML that a person can read.

use serde_json::{Map, Value};
use std::fmt::Write;

/// The keys that come first in a mapping, in this order. The others follow in alphabetical order.
const FIRST: &str = "openapi info title version url servers tags paths components get put post delete operationId name in \
    required deprecated summary description security parameters requestBody 200 201 $ref type scheme \
    bearerFormat format nullable enum minLength maxLength pattern minimum additionalProperties status \
    result success headers content";

/// Returns a document.
pub fn document(value: &Value) -> String {
    let mut text = String::new();
    append(&mut text, value, 0);
    text.trim_start_matches('\n').to_owned()
}

/// Writes a value after its key or dash.
fn append(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if map.len() == 1 && map.contains_key("$ref") => {
            write!(text, " {{ $ref: {} }}", map["$ref"]).unwrap();
        }
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in sorted(map) {
                write!(text, "\n{:indent$}{}:", "", scalar(key)).unwrap();
                append(text, value, indent + 2);
            }
        }
        Value::Array(values) if values.iter().any(|value| value.is_object() || value.is_array()) => {
            for value in values {
                write!(text, "\n{:indent$}-", "").unwrap();
                let mut item = String::new();
                append(&mut item, value, indent + 2);
                // The first key of a mapping follows its dash.
                write!(text, " {}", item.trim_start()).unwrap();
            }
        }
        Value::Array(values) => {
            let values: Vec<_> =
                values.iter().map(|value| value.as_str().map_or(value.to_string(), scalar)).collect();
            write!(text, " [{}]", values.join(", ")).unwrap();
        }
        Value::String(lines) if lines.contains('\n') => {
            *text += " |-";
            for line in lines.lines() {
                write!(text, "\n{:indent$}{line}", "", indent = if line.is_empty() { 0 } else { indent })
                    .unwrap();
            }
        }
        Value::String(line) => write!(text, " {}", scalar(line)).unwrap(),
        other => write!(text, " {other}").unwrap(),
    }
    if indent == 0 {
        text.push('\n');
    }
}

fn sorted(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut pairs: Vec<_> = map.iter().collect();
    let place = |key: &str| FIRST.split(' ').position(|first| first == key).unwrap_or(usize::MAX);
    pairs.sort_by_key(|(key, _)| place(key));
    pairs
}

/// Returns a text as it is if YAML reads it as that text, and otherwise in quotation marks as JSON does.
fn scalar(text: &str) -> String {
    let is_plain = |character: char| character.is_alphanumeric() || " _-./()'’".contains(character);
    let starts_plain = text.starts_with(|first: char| first.is_alphabetic() || first == '/' || first == '$');
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let is_reserved = reserved.contains(&text.to_ascii_lowercase().as_str());
    let rest = text.strip_prefix('$').unwrap_or(text);
    if starts_plain && rest.chars().all(is_plain) && !is_reserved && !text.ends_with(' ') {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}
