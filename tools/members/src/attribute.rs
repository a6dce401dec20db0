//! DynamoDB attribute values.

use aws_sdk_dynamodb::types::AttributeValue;

/// Returns a string attribute.
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// Returns a number attribute.
pub fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
