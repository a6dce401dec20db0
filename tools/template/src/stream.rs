//! Events of type `DynamoDB`: which records of the table's stream a function is handed, and how.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::document::number;

/// What hands the records of the table's stream to a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The most records of one event.
    pub batch_size: u32,
    /// How often an event that failed is handed over again; `None` is for ever.
    pub maximum_retry_attempts: Option<u32>,
    /// Whether the function's answer names the records that failed.
    pub reports_item_failures: bool,
    /// A record is handed over where one of them matches, or where there is none.
    pub filters: Vec<Filter>,
}

impl Subscription {
    /// Whether a record is handed over: one of this event name, with these keys that are text.
    pub fn takes<'a>(&self, event_name: &str, key: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| filter.matches(event_name, &key))
    }
}

/// A filter pattern, as far as the stack serves them: event names, and how keys begin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    event_name: Option<Vec<String>>,
    #[serde(default)]
    dynamodb: Change,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Change {
    keys: BTreeMap<String, Key>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Key {
    s: Vec<Beginning>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beginning {
    prefix: String,
}

impl Filter {
    fn matches<'a>(&self, event_name: &str, key: impl Fn(&str) -> Option<&'a str>) -> bool {
        let named = self.event_name.as_ref().is_none_or(|names| names.iter().any(|name| name == event_name));
        named
            && self.dynamodb.keys.iter().all(|(name, beginnings)| {
                key(name).is_some_and(|key| {
                    beginnings.s.iter().any(|beginning| key.starts_with(&beginning.prefix))
                })
            })
    }
}

/// A subscription as it is written.
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
    filters: Vec<WrittenFilter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenFilter {
    /// The pattern, as JSON text.
    #[serde(deserialize_with = "pattern")]
    pattern: Filter,
}

impl From<StreamProperties> for Subscription {
    fn from(written: StreamProperties) -> Self {
        Self {
            // Lambda's own default.
            batch_size: written.batch_size.unwrap_or(100).max(1),
            maximum_retry_attempts: written.maximum_retry_attempts,
            reports_item_failures: written
                .function_response_types
                .iter()
                .any(|kind| kind == "ReportBatchItemFailures"),
            filters: written.filter_criteria.filters.into_iter().map(|filter| filter.pattern).collect(),
        }
    }
}

fn pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Filter, D::Error> {
    serde_json::from_str(&String::deserialize(deserializer)?)
        .map_err(|error| de::Error::custom(format_args!("the stack does not serve this Pattern: {error}")))
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

    fn takes(subscription: &Subscription, event_name: &str, pk: Option<&str>) -> bool {
        subscription.takes(event_name, |name| pk.filter(|_| name == "pk"))
    }

    #[test]
    fn a_subscription_has_lambdas_defaults() {
        let default = subscription(json!({"StartingPosition": "LATEST"})).unwrap();
        assert_eq!((default.batch_size, default.maximum_retry_attempts), (100, None));
        assert!(!default.reports_item_failures);
        assert!(takes(&default, "REMOVE", None));
        let written = subscription(json!({
            "BatchSize": 10, "MaximumRetryAttempts": "5", "FunctionResponseTypes": ["ReportBatchItemFailures"],
        }));
        let written = written.unwrap();
        assert_eq!((written.batch_size, written.maximum_retry_attempts), (10, Some(5)));
        assert!(written.reports_item_failures);
    }

    #[test]
    fn a_filter_looks_at_the_event_name_and_at_how_keys_begin() {
        let both =
            filtered(r#"{"eventName":["INSERT"],"dynamodb":{"Keys":{"pk":{"S":[{"prefix":"notice#"}]}}}}"#)
                .unwrap();
        assert!(takes(&both, "INSERT", Some("notice#1")));
        assert!(!takes(&both, "MODIFY", Some("notice#1")));
        assert!(!takes(&both, "INSERT", Some("member#1")));
        assert!(!takes(&both, "INSERT", None));
        let either = filtered(r#"{"dynamodb":{"Keys":{"pk":{"S":[{"prefix":"a"},{"prefix":"b"}]}}}}"#);
        assert!(takes(&either.unwrap(), "REMOVE", Some("b")));
    }

    #[test]
    fn a_pattern_of_another_kind_is_told() {
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
            let expected = format!("the stack does not serve this Pattern: {expected}");
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}
