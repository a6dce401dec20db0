//! CloudFormation's intrinsic functions, as far as they can be evaluated without AWS.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::account::{ACCOUNT_ID, REGION};

/// The values of the names to which a template may refer. The name of a resource's attribute is `Resource.Attribute`.
pub(super) struct Names(BTreeMap<String, Value>);

impl Names {
    /// Combines `values`, which are parameters and resources, with the pseudo parameters.
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

    /// Replaces the intrinsic functions in `value` with their results.
    ///
    /// A result that depends on AWS, such as an ARN or a condition, becomes null.
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

    /// [Resolves](Self::resolve) each value of `entries`.
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

    /// Returns the value of an attribute, given as `Resource.Attribute` or as a list of the two.
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

    /// Replaces each `${Name}` in `text`. Returns `None` if one of the names has no value.
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

/// Formats a scalar as CloudFormation inserts it into text.
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
    fn values_that_depend_on_aws_are_null() {
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
