//! The identity that runs a command, for audit records.

use aws_types::SdkConfig;

use crate::{environment, error::Error};

/// Returns the ARN of the AWS identity whose credentials are used.
pub async fn aws_identity(config: &SdkConfig) -> Result<String, Error> {
    let response = aws_sdk_sts::Client::new(config).get_caller_identity().send().await;
    let arn = response.map_err(Error::from_call("STS"))?.arn;
    arn.ok_or_else(|| Error::NotFound("STS returned no identity; check the credentials".to_owned()))
}

/// Returns the name of this machine's user.
pub fn local_user() -> String {
    let names = ["USER", "LOGNAME", "USERNAME"];
    names.into_iter().find_map(environment::variable).unwrap_or_else(|| "unknown".to_owned())
}
