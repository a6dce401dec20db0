//! Identifiers of the AWS account that the stack emulates.

use time::OffsetDateTime;
use uuid::Uuid;

pub(crate) use template::{ACCOUNT_ID, REGION, stream_arn};

/// The version of every function.
pub(crate) const FUNCTION_VERSION: &str = "$LATEST";

/// Returns the ARN of the Lambda function `name`.
pub(crate) fn function_arn(name: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{name}")
}

/// Returns a random id in the form that AWS uses for requests and messages.
pub(crate) fn random_id() -> String {
    random().to_string()
}

/// Returns a new X-Ray trace id for an unsampled request at `time`.
pub(crate) fn trace_id(time: OffsetDateTime) -> String {
    let random = random().simple().to_string();
    format!("Root=1-{:08x}-{:.24};Sampled=0", time.unix_timestamp(), random)
}

#[expect(clippy::disallowed_methods, reason = "the one source of randomness of the local stack")]
pub(crate) fn random() -> Uuid {
    Uuid::new_v4()
}
