//! Who runs a command, for the audit trail.

use aws_types::SdkConfig;

use crate::{environment, error::Error};

/// The identity whose credentials are used.
pub async fn of_account(config: &SdkConfig) -> Result<String, Error> {
    let answer = aws_sdk_sts::Client::new(config).get_caller_identity().send().await;
    let arn = answer.map_err(Error::of_call("STS"))?.arn;
    arn.ok_or_else(|| Error::Absent("STS does not say who runs this".to_owned()))
}

/// The user of this machine.
pub fn of_machine() -> String {
    let names = ["USER", "LOGNAME", "USERNAME"];
    names.into_iter().find_map(environment::variable).unwrap_or_else(|| "unknown".to_owned())
}
