//! Writes a JSON value as YAML that a person can read.

use serde_json::{Map, Value};

/// The keys that come first in a mapping, in this order. The others follow in alphabetical order.
const FIRST: [&str; 42] = [
    "openapi",
    "info",
    "title",
    "version",
    "url",
    "servers",
    "tags",
    "paths",
    "components",
    "get",
    "put",
    "post",
    "delete",
    "operationId",
    "name",
    "in",
    "required",
    "deprecated",
    "summary",
    "description",
    "security",
    "parameters",
    "requestBody",
    "200",
    "201",
    "$ref",
    "type",
    "scheme",
    "bearerFormat",
    "format",
    "nullable",
    "enum",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "additionalProperties",
    "status",
    "result",
    "success",
    "headers",
    "content",
];

/// Returns a document.
pub fn document(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value, 0);
    text.trim_start_matches('\n').to_owned()
}

/// Writes a value after its key or dash.
fn write(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if map.len() == 1 && map.contains_key("$ref") => {
            *text += &format!(" {{ $ref: {} }}", map["$ref"]);
        }
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in sorted(map) {
                *text += &format!("\n{:indent$}{}:", "", scalar(key));
                write(text, value, indent + 2);
            }
        }
        Value::Array(values) if values.iter().any(|value| value.is_object() || value.is_array()) => {
            for value in values {
                *text += &format!("\n{:indent$}-", "");
                let mut item = String::new();
                write(&mut item, value, indent + 2);
                // The first key of a mapping follows its dash.
                *text += &format!(" {}", item.trim_start());
            }
        }
        Value::Array(values) => {
            let values: Vec<_> =
                values.iter().map(|value| value.as_str().map_or(value.to_string(), scalar)).collect();
            *text += &format!(" [{}]", values.join(", "));
        }
        Value::String(lines) if lines.contains('\n') => {
            *text += " |-";
            for line in lines.lines() {
                *text +=
                    &format!("\n{:indent$}{line}", "", indent = if line.is_empty() { 0 } else { indent });
            }
        }
        Value::String(line) => *text += &format!(" {}", scalar(line)),
        other => *text += &format!(" {other}"),
    }
    if indent == 0 {
        text.push('\n');
    }
}

fn sorted(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut pairs: Vec<_> = map.iter().collect();
    let place = |key: &str| FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len());
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
