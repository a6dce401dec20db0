//! Events of type `DynamoDB`, which subscribe a function to the table's stream.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::document::number;

/// The subscription of a function to the table's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The most records in one event.
    pub batch_size: u32,
    /// How often a failed event is retried. `None` means without limit.
    pub maximum_retry_attempts: Option<u32>,
    /// Whether the function's response names the records that failed.
    pub reports_item_failures: bool,
    /// The filters, one of which a record must match. Without filters, all records match.
    pub filters: Vec<Filter>,
}

impl Subscription {
    /// Whether a record matches the filters. `key` returns the record's key attribute of a name, if it is text.
    pub fn matches<'a>(&self, event_name: &str, key: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| filter.matches(event_name, &key))
    }
}

/// A filter pattern. Only event names and prefixes of keys are supported.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    event_name: Option<Vec<String>>,
    #[serde(default)]
    dynamodb: KeysFilter,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct KeysFilter {
    keys: BTreeMap<String, KeyFilter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct KeyFilter {
    s: Vec<Prefix>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prefix {
    prefix: String,
}

impl Filter {
    fn matches<'a>(&self, event_name: &str, key: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.event_name.as_ref().is_none_or(|names| names.iter().any(|name| name == event_name))
            && self.dynamodb.keys.iter().all(|(name, filter)| {
                key(name).is_some_and(|key| filter.s.iter().any(|start| key.starts_with(&start.prefix)))
            })
    }
}

/// The properties of a subscription in the template.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StreamProperties {
    /// The stream's ARN.
    #[serde(default)]
    pub(super) stream: Value,
    #[serde(default, deserialize_with = "number")]
    batch_size: Option<u32>,
    #[serde(default, deserialize_with = "number")]
    maximum_retry_attempts: Option<u32>,
    #[serde(default)]
    function_response_types: Vec<String>,
    #[serde(default)]
    filter_criteria: FilterCriteria,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct FilterCriteria {
    filters: Vec<FilterProperties>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FilterProperties {
    /// The pattern, as JSON text.
    #[serde(deserialize_with = "pattern")]
    pattern: Filter,
}

impl From<StreamProperties> for Subscription {
    fn from(properties: StreamProperties) -> Self {
        Self {
            // The default of Lambda.
            batch_size: properties.batch_size.unwrap_or(100).max(1),
            maximum_retry_attempts: properties.maximum_retry_attempts,
            reports_item_failures: properties
                .function_response_types
                .iter()
                .any(|kind| kind == "ReportBatchItemFailures"),
            filters: properties.filter_criteria.filters.into_iter().map(|filter| filter.pattern).collect(),
        }
    }
}

fn pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Filter, D::Error> {
    serde_json::from_str(&String::deserialize(deserializer)?)
        .map_err(|error| de::Error::custom(format_args!("unsupported Pattern: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn subscription(properties: Value) -> Result<Subscription, serde_json::Error> {
        serde_json::from_value::<StreamProperties>(properties).map(Into::into)
    }

    fn filtered(pattern: &str) -> Result<Subscription, serde_json::Error> {
        subscription(json!({"FilterCriteria": {"Filters": [{"Pattern": pattern}]}}))
    }

    fn matches(subscription: &Subscription, event_name: &str, pk: Option<&str>) -> bool {
        subscription.matches(event_name, |name| pk.filter(|_| name == "pk"))
    }

    #[test]
    fn subscription_has_defaults_of_lambda() {
        let default = subscription(json!({"StartingPosition": "LATEST"})).unwrap();
        assert_eq!((default.batch_size, default.maximum_retry_attempts), (100, None));
        assert!(!default.reports_item_failures);
        assert!(matches(&default, "REMOVE", None));
        let explicit = subscription(json!({
            "BatchSize": 10, "MaximumRetryAttempts": "5", "FunctionResponseTypes": ["ReportBatchItemFailures"],
        }));
        let explicit = explicit.unwrap();
        assert_eq!((explicit.batch_size, explicit.maximum_retry_attempts), (10, Some(5)));
        assert!(explicit.reports_item_failures);
    }

    #[test]
    fn filter_matches_event_names_and_key_prefixes() {
        let both =
            filtered(r#"{"eventName":["INSERT"],"dynamodb":{"Keys":{"pk":{"S":[{"prefix":"notice#"}]}}}}"#)
                .unwrap();
        assert!(matches(&both, "INSERT", Some("notice#1")));
        assert!(!matches(&both, "MODIFY", Some("notice#1")));
        assert!(!matches(&both, "INSERT", Some("member#1")));
        assert!(!matches(&both, "INSERT", None));
        let either = filtered(r#"{"dynamodb":{"Keys":{"pk":{"S":[{"prefix":"a"},{"prefix":"b"}]}}}}"#);
        assert!(matches(&either.unwrap(), "REMOVE", Some("b")));
    }

    #[test]
    fn unsupported_patterns_are_errors() {
        for (pattern, expected) in [
            (r#"{"eventID":["1"]}"#, "unknown field `eventID`"),
            (r#"{"eventName":[{"prefix":"IN"}]}"#, "invalid type: map"),
            (r#"{"dynamodb":{"NewImage":{}}}"#, "unknown field `NewImage`"),
            (r#"{"dynamodb":{"Keys":{"pk":{"N":["1"]}}}}"#, "unknown field `N`"),
            (r#"{"dynamodb":{"Keys":{"pk":{"S":["1"]}}}}"#, "invalid type: string"),
            (r#"{"dynamodb":{"Keys":{"pk":{"S":[{"suffix":"1"}]}}}}"#, "unknown field `suffix`"),
            ("eventName", "expected value"),
        ] {
            let error = filtered(pattern).unwrap_err().to_string();
            let expected = format!("unsupported Pattern: {expected}");
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}
