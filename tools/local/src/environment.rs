//! The environment variables of a function: the template's, with what differs on a laptop.

use std::collections::BTreeMap;

use template::Function;

use crate::aws;

/// The variable that names the table.
pub(crate) const TABLE_NAME: &str = "TABLE_NAME";

/// Would send a function to Secrets Manager; the stack hands the keys over in `KEYS`.
pub const KEYS_SECRET_ARN: &str = "KEYS_SECRET_ARN";

/// The variable that says who asks AWS for something.
pub(crate) const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";

/// The variable of that name has a value that no environment file can have.
#[derive(Debug, thiserror::Error)]
#[error("{0} holds a quotation mark or a line break, which an environment file cannot have")]
pub struct Unquotable(String);

/// What the functions are to know of the stack.
pub(crate) struct Surroundings<'a> {
    /// Where the routes are served.
    pub(crate) url: &'a str,
    pub(crate) dynamodb_url: &'a str,
    /// Where SNS and SES are served.
    pub(crate) messages_url: &'a str,
    pub(crate) table: &'a str,
    /// The value of `KEYS`.
    pub(crate) keys: &'a str,
    /// Come before all else.
    pub(crate) settings: &'a BTreeMap<String, String>,
    /// The search path for programs.
    pub(crate) path: Option<String>,
}

impl Surroundings<'_> {
    /// The whole environment of `function`; it gets nothing of the stack's own.
    pub(crate) fn environment(&self, function: &Function) -> BTreeMap<String, String> {
        let template =
            function.variables.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
        let memory = function.memory_mib.to_string();
        let log_group = format!("/aws/lambda/{}", function.binary);
        let local = [
            // Every example of the documents works as printed.
            ("PASSWORD_MIN_LENGTH", "6"),
            // Only the owner of a domain can say where mail comes from.
            ("MAIL_FROM", "no-reply@example.com"),
            ("MAIL_LINK_BASE_URL", self.url),
            (TABLE_NAME, self.table),
            ("KEYS", self.keys),
            ("AWS_REGION", aws::REGION),
            // As each has a role of its own: who asked can be told from a request's Authorization header.
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

/// A line `NAME='value'` for each, as `cargo lambda watch --env-file` reads it.
pub(crate) fn file(environment: &BTreeMap<String, String>) -> Result<String, Unquotable> {
    let mut file = String::new();
    for (name, value) in environment {
        if value.contains(['\'', '\n']) {
            return Err(Unquotable(name.clone()));
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
    fn the_stack_comes_before_the_template_and_settings_come_before_both() {
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
        let surroundings = Surroundings {
            url: "http://127.0.0.1:3000",
            dynamodb_url: "http://127.0.0.1:8000",
            messages_url: "http://127.0.0.1:9000",
            table: "accounts",
            keys: "{}",
            settings: &BTreeMap::from([("CODE_LENGTH".to_owned(), "8".to_owned())]),
            path: None,
        };
        let environment = surroundings.environment(&function);
        let value = |name: &str| environment.get(name).map(String::as_str);
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
    fn a_file_has_a_line_for_each_and_takes_no_value_that_would_end_one() {
        let environment = |value: &str| BTreeMap::from([("KEYS".to_owned(), value.to_owned())]);
        assert_eq!(file(&environment("{\"a\": 1}")).unwrap(), "KEYS='{\"a\": 1}'\n");
        assert!(file(&environment("it's")).is_err());
        assert!(file(&environment("a\nB='c")).is_err());
    }
}
