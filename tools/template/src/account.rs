//! The AWS account that a template is read for.

/// The account's number: one that AWS gives to nobody.
pub const ACCOUNT_ID: &str = "000000000000";

/// The account's region.
pub const REGION: &str = "us-east-1";

/// The ARN of the DynamoDB table `table`.
pub(crate) fn table_arn(table: &str) -> String {
    format!("arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{table}")
}

/// The ARN of the stream of the DynamoDB table `table`; AWS would end it with the time of the stream's beginning.
#[must_use]
pub fn stream_arn(table: &str) -> String {
    format!("{}/stream/local", table_arn(table))
}
