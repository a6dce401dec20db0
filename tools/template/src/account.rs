//! The AWS account for which a template is evaluated.

/// The account's number, which AWS does not assign.
pub const ACCOUNT_ID: &str = "000000000000";

/// The account's region.
pub const REGION: &str = "us-east-1";

/// Returns the ARN of the DynamoDB table `table`.
pub(crate) fn table_arn(table: &str) -> String {
    format!("arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{table}")
}

/// Returns the ARN of the stream of the DynamoDB table `table`. In AWS it ends with the time at which the stream was
/// enabled.
#[must_use]
pub fn stream_arn(table: &str) -> String {
    format!("{}/stream/local", table_arn(table))
}
