//! CloudFormation's intrinsic functions, as far as they have an answer without AWS.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::account::{ACCOUNT_ID, REGION};

/// The names that a template may refer to, with their values; a resource's attribute is named `Resource.Attribute`.
pub(super) struct Names(BTreeMap<String, Value>);

impl Names {
    /// `values` are parameters and resources; the pseudo parameters are added.
    pub(super) fn new(values: impl IntoIterator<Item = (String, Value)>) -> Self {
        let pseudo = [
            ("AWS::AccountId", ACCOUNT_ID),
            ("AWS::Partition", "aws"),
            ("AWS::Region", REGION),
            ("AWS::StackName", "local"),
            ("AWS::URLSuffix", "amazonaws.com"),
        ];
        Self(
            pseudo
                .into_iter()
                .map(|(name, value)| (name.to_owned(), Value::from(value)))
                .chain(values)
                .collect(),
        )
    }

    /// `value` with its functions replaced by their results.
    ///
    /// What only AWS can answer (an ARN, a condition) becomes null.
    fn resolve(&self, value: &Value) -> Value {
        match value {
            Value::Object(entries) => match function_call(entries) {
                Some((function, argument)) => self.call(function, argument),
                None => self.resolve_entries(entries),
            },
            Value::Array(items) => items.iter().map(|item| self.resolve(item)).collect(),
            scalar => scalar.clone(),
        }
    }

    /// The map of `entries`, each one [resolved](Self::resolve).
    pub(super) fn resolve_entries(&self, entries: &Map<String, Value>) -> Value {
        entries.iter().map(|(key, value)| (key.clone(), self.resolve(value))).collect()
    }

    fn call(&self, function: &str, argument: &Value) -> Value {
        match (function, argument) {
            ("Ref", Value::String(name)) => self.0.get(name).cloned().unwrap_or_default(),
            ("Fn::GetAtt", attribute) => self.attribute(attribute).unwrap_or_default(),
            ("Fn::Sub", Value::String(text)) => {
                self.substitute(text, &Map::new()).map_or(Value::Null, Value::from)
            }
            ("Fn::Sub", Value::Array(arguments)) => match arguments.as_slice() {
                [Value::String(text), variables] => match self.resolve(variables) {
                    Value::Object(own) => self.substitute(text, &own).map_or(Value::Null, Value::from),
                    _ => Value::Null,
                },
                _ => Value::Null,
            },
            _ => Value::Null,
        }
    }

    /// The attribute that `Resource.Attribute`, or the list of the two, names.
    fn attribute(&self, named: &Value) -> Option<Value> {
        match named {
            Value::String(name) => self.0.get(name).cloned(),
            Value::Array(parts) => {
                let parts: Option<Vec<_>> = parts.iter().map(Value::as_str).collect();
                self.0.get(&parts?.join(".")).cloned()
            }
            _ => None,
        }
    }

    /// `text` with each `${Name}` replaced, or `None` when one of them has no value here.
    fn substitute(&self, text: &str, own: &Map<String, Value>) -> Option<String> {
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, remainder) = after.split_once('}')?;
            result.push_str(before);
            match name.strip_prefix('!') {
                Some(literal) => result.extend(["${", literal, "}"]),
                None => result.push_str(&text_of(own.get(name).or_else(|| self.0.get(name))?)?),
            }
            rest = remainder;
        }
        result.push_str(rest);
        Some(result)
    }
}

/// A scalar as CloudFormation writes it into text.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

pub(super) fn function_call(entries: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut entries = entries.iter();
    match (entries.next(), entries.next()) {
        (Some((key, argument)), None) if key == "Ref" || key.starts_with("Fn::") => Some((key, argument)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names() -> Names {
        Names::new([
            ("Length".to_owned(), json!(6)),
            ("Table".to_owned(), json!("accounts")),
            ("Table.StreamArn".to_owned(), json!("the-stream")),
        ])
    }

    #[test]
    fn references_and_substitutions_are_resolved() {
        let names = names();
        assert_eq!(names.resolve(&json!({"Ref": "Length"})), json!(6));
        assert_eq!(
            names.resolve(&json!({"Fn::Sub": "${Table}-${Length}-${!Kept}"})),
            json!("accounts-6-${Kept}")
        );
        assert_eq!(
            names.resolve(&json!({"Fn::Sub": ["${a}@${AWS::Region}", {"a": {"Ref": "Table"}}]})),
            json!("accounts@us-east-1")
        );
        assert_eq!(names.resolve(&json!({"Fn::GetAtt": "Table.StreamArn"})), json!("the-stream"));
        assert_eq!(names.resolve(&json!({"Fn::GetAtt": ["Table", "StreamArn"]})), json!("the-stream"));
        assert_eq!(names.resolve(&json!({"Fn::Sub": "${Table.StreamArn}"})), json!("the-stream"));
    }

    #[test]
    fn what_only_aws_knows_is_null() {
        let names = names();
        assert_eq!(
            names.resolve(&json!({
                "arn": {"Fn::GetAtt": ["Keys", "Arn"]},
                "url": {"Fn::Sub": "https://${Api}.example.com"},
                "unknown": {"Ref": "Nothing"},
                "choice": {"Fn::If": ["Prod", "a", "b"]},
            })),
            json!({"arn": null, "url": null, "unknown": null, "choice": null})
        );
    }
}
