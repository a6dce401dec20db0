//! The environment variables of a function: those of the template, with the values that differ in the local stack.

use std::collections::BTreeMap;

use template::Function;

use crate::aws;

/// The variable that names the table.
pub(crate) const TABLE_NAME: &str = "TABLE_NAME";

/// The variable that names a secret of Secrets Manager. The stack leaves it unset and passes the keys in `KEYS`.
pub const KEYS_SECRET_ARN: &str = "KEYS_SECRET_ARN";

/// The variable that identifies the caller of an AWS service.
pub(crate) const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";

/// The variable of this name has a value that an environment file cannot quote.
#[derive(Debug, thiserror::Error)]
#[error("{0} contains a single quote or a line break, which an environment file cannot express")]
pub struct UnquotableValue(String);

/// The values of the stack from which the environment of a function is built.
pub(crate) struct FunctionEnv<'a> {
    /// The base URL of the routes.
    pub(crate) url: &'a str,
    pub(crate) dynamodb_url: &'a str,
    /// The endpoint of SNS and SES.
    pub(crate) messages_url: &'a str,
    pub(crate) table: &'a str,
    /// The value of `KEYS`.
    pub(crate) keys: &'a str,
    /// Settings that override all other values.
    pub(crate) settings: &'a BTreeMap<String, String>,
    /// The search path for programs.
    pub(crate) path: Option<String>,
}

impl FunctionEnv<'_> {
    /// Returns the whole environment of `function`. A process does not inherit the environment of the stack.
    pub(crate) fn variables(&self, function: &Function) -> BTreeMap<String, String> {
        let template =
            function.variables.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
        let memory = function.memory_mib.to_string();
        let log_group = format!("/aws/lambda/{}", function.binary);
        let local = [
            // The documented examples use passwords of six characters.
            ("PASSWORD_MIN_LENGTH", "6"),
            // The template has no default, because the sender depends on the deployer's domain.
            ("MAIL_FROM", "no-reply@example.com"),
            ("MAIL_LINK_BASE_URL", self.url),
            (TABLE_NAME, self.table),
            ("KEYS", self.keys),
            ("AWS_REGION", aws::REGION),
            // Stands for the role of the function: the Authorization header of a request then names its caller.
            (ACCESS_KEY_ID, &function.binary),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb_url),
            ("AWS_ENDPOINT_URL_SNS", self.messages_url),
            ("AWS_ENDPOINT_URL_SESV2", self.messages_url),
            ("AWS_LAMBDA_FUNCTION_NAME", &function.binary),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
            ("AWS_LAMBDA_FUNCTION_VERSION", aws::FUNCTION_VERSION),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", &log_group),
        ];
        let mut environment: BTreeMap<String, String> = template
            .chain(local.map(|(name, value)| (name.to_owned(), value.to_owned())))
            .chain(self.path.clone().map(|path| ("PATH".to_owned(), path)))
            .collect();
        environment.remove(KEYS_SECRET_ARN);
        environment.extend(self.settings.clone());
        environment
    }
}

/// Formats a line `NAME='value'` for each variable, as `cargo lambda watch --env-file` reads it.
pub(crate) fn file(environment: &BTreeMap<String, String>) -> Result<String, UnquotableValue> {
    let mut file = String::new();
    for (name, value) in environment {
        if value.contains(['\'', '\n']) {
            return Err(UnquotableValue(name.clone()));
        }
        file.extend([name, "='", value, "'\n"]);
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn settings_override_the_stack_which_overrides_the_template() {
        let function = Function {
            logical_id: "SendCodeFunction".to_owned(),
            binary: "send-code".to_owned(),
            routes: Vec::new(),
            schedules: Vec::new(),
            subscriptions: Vec::new(),
            variables: [
                ("CODE_LENGTH", Some("6")),
                ("CODE_TTL_SECONDS", Some("300")),
                ("PASSWORD_MIN_LENGTH", Some("8")),
                ("KEYS_SECRET_ARN", Some("arn")),
                ("MAIL_FROM", None),
                ("SMS_SENDER_ID", None),
            ]
            .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))
            .into(),
            memory_mib: 512,
            timeout: Duration::from_secs(10),
        };
        let function_env = FunctionEnv {
            url: "http://127.0.0.1:3000",
            dynamodb_url: "http://127.0.0.1:8000",
            messages_url: "http://127.0.0.1:9000",
            table: "accounts",
            keys: "{}",
            settings: &BTreeMap::from([("CODE_LENGTH".to_owned(), "8".to_owned())]),
            path: None,
        };
        let variables = function_env.variables(&function);
        let value = |name: &str| variables.get(name).map(String::as_str);
        assert_eq!(value("CODE_LENGTH"), Some("8"));
        assert_eq!(value("CODE_TTL_SECONDS"), Some("300"));
        assert_eq!(value("PASSWORD_MIN_LENGTH"), Some("6"));
        assert_eq!(value("MAIL_LINK_BASE_URL"), Some("http://127.0.0.1:3000"));
        assert_eq!(value("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), Some("512"));
        assert_eq!(value("AWS_ACCESS_KEY_ID"), Some("send-code"));
        assert_eq!(value("KEYS_SECRET_ARN"), None);
        assert_eq!(value("SMS_SENDER_ID"), None);
    }

    #[test]
    fn file_rejects_values_that_end_a_line() {
        let environment = |value: &str| BTreeMap::from([("KEYS".to_owned(), value.to_owned())]);
        assert_eq!(file(&environment("{\"a\": 1}")).unwrap(), "KEYS='{\"a\": 1}'\n");
        assert!(file(&environment("it's")).is_err());
        assert!(file(&environment("a\nB='c")).is_err());
    }
}
