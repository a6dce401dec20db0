//! The settings of the functions, with their defaults and bounds. The only reader of the environment.

mod mailbox;
mod reader;
pub mod web_origin;

use crate::{contact::PhoneRules, language::Language, settings::web_origin::WebOrigin};
use reader::Reader;
use std::{fmt, ops::RangeInclusive};

/// The bounds of `ARGON2_MEMORY_KIB`. The minimum is from the OWASP Password Storage Cheat Sheet.
pub(crate) const ARGON2_MEMORY_KIB: RangeInclusive<u32> = 7_168..=262_144;

/// The bounds of `ARGON2_PASSES`.
pub(crate) const ARGON2_PASSES: RangeInclusive<u32> = 1..=10;

/// The highest rate limit per destination or member. The update that records a send names the time of each send
/// that counts, and a DynamoDB expression has at most 4 KB (Amazon DynamoDB Developer Guide, "Constraints in Amazon
/// DynamoDB").
pub(crate) const MAX_LOGGED_SENDS: u32 = 100;

/// Every setting of the functions. Times are in seconds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `CODE_LENGTH`: digits of a code by SMS. ASVS 5, 6.5.4 requires 20 bits of entropy, or 6 digits.
    pub code_length: usize,
    /// `MAIL_CODE_LENGTH`: digits of a code by email. More than by SMS, because sending email costs an attacker who
    /// guesses the codes of many accounts nothing, and the link contains the code anyway.
    pub mail_code_length: usize,
    /// `CODE_TTL_SECONDS`: lifetime of a code sent by SMS. NIST SP 800-63B-4, 3.1.3.2: at most 10 minutes.
    pub code_ttl_seconds: u64,
    /// `MAIL_CODE_TTL_SECONDS`: lifetime of a code sent by email, under the same bound.
    pub mail_code_ttl_seconds: u64,
    /// `RESEND_AFTER_SECONDS`: resend cooldown, the wait between two codes to one destination.
    pub resend_after_seconds: u64,
    /// `CODE_MAX_ATTEMPTS`: attempts per code.
    pub code_max_attempts: u32,
    /// `FAILURES_PER_DAY`: wrong codes per destination and purpose in 24 h. NIST SP 800-63B-4, 3.2.2: at most 100.
    pub failures_per_day: u32,
    /// `SOURCE_WRONG_CODES_PER_HOUR`: wrong codes from a source address in an hour, across all destinations.
    pub source_wrong_codes_per_hour: u32,
    /// `GRANT_TTL_SECONDS`: lifetime of a grant.
    pub grant_ttl_seconds: u64,
    /// `SENDS_PER_HOUR`: codes per destination in an hour.
    pub sends_per_hour: u32,
    /// `SENDS_PER_DAY`: codes per destination in a day.
    pub sends_per_day: u32,
    /// `MEMBER_SENDS_PER_DAY`: codes that one member requests in a day.
    pub member_sends_per_day: u32,
    /// `SOURCE_SENDS_PER_HOUR`: codes that one source address requests in an hour.
    pub source_sends_per_hour: u32,
    /// `NOTICES_PER_DAY`: notices of changes by SMS to one phone in 24 h. The next one announces that no more follow.
    pub notices_per_day: u32,
    /// `REGION_SENDS_PER_HOUR`: SMS to one calling code in an hour, codes and notices.
    pub region_sends_per_hour: u32,
    /// `REGISTER_SENDS_PER_HOUR`: codes to register that are sent to one calling code in an hour, and as many by email. They
    /// go to anyone, so they have a budget and a circuit breaker of their own.
    pub register_sends_per_hour: u32,
    /// `MAIL_SENDS_PER_HOUR`: emails in an hour, codes and notices; it refuses only codes. The default is 48,000 a day.
    pub mail_sends_per_hour: u32,
    /// `BREAKER_MIN_VERIFIED_PERCENT`: minimum share of verified codes of those sent to a calling code, or by email,
    /// in an hour; below it the circuit breaker opens. Vonage blocks a network below 35 % ("Verify Velocity Rules").
    /// 0 disables the breaker.
    pub breaker_min_verified_percent: u32,
    /// `BREAKER_MIN_CODES`: codes that the breaker needs before it can open. If members usually verify two thirds,
    /// fewer than 35 % of 50 codes are verified once in a million (binomial distribution).
    pub breaker_min_codes: u32,
    /// `BREAKER_ACTION`: the effect of an open breaker.
    pub breaker_action: BreakerAction,
    /// `ALLOWED_REGIONS` and `DEFAULT_REGION`: the phone numbers that are accepted.
    pub phones: PhoneRules,
    /// `DEFAULT_LANGUAGE`: language for a client that requests no supported one.
    pub default_language: Language,
    /// `PASSWORD_MIN_LENGTH`: minimum length in code points. NIST SP 800-63B-4, 3.1.1.2: 8 with a second factor.
    pub password_min_length: usize,
    /// `PASSWORD_MAX_FAILURES`: wrong login passwords in a row on a session before the lockout, and failed logins in a row
    /// with one phone or email address, or on one known device.
    pub password_max_failures: u32,
    /// `PASSWORD_LOCK_SECONDS`: duration of that lockout.
    pub password_lock_seconds: u64,
    /// `LOG_IN_FAILURES_PER_DAY`: failed logins with one phone or email address, or on one known device, in 24 h. NIST SP
    /// 800-63B-4, 3.2.2: at most 100.
    pub log_in_failures_per_day: u32,
    /// `SOURCE_LOG_IN_FAILURES_PER_HOUR`: failed logins from a source address in an hour, across all members.
    pub source_log_in_failures_per_hour: u32,
    /// `PAY_PASSWORD_MAX_FAILURES`: wrong pay passwords in a row before the lockout.
    pub pay_password_max_failures: u32,
    /// `PAY_PASSWORD_LOCK_SECONDS`: duration of that lockout.
    pub pay_password_lock_seconds: u64,
    /// `PAY_PASSWORD_FAILURES_PER_DAY`: wrong pay passwords in 24 h, across lockouts. NIST SP 800-63B-4, 3.2.2: at most
    /// 100.
    pub pay_password_failures_per_day: u32,
    /// `REAUTHENTICATION_SECONDS`: age up to which a login counts as recent.
    pub reauthentication_seconds: u64,
    /// `COOLING_OFF_SECONDS`: cooling-off period after a replaced phone or a recovery, in which the pay password
    /// cannot be reset, and the time in which an immature contact resets nothing.
    pub cooling_off_seconds: u64,
    /// `CHANGES_PER_HOUR`: changes that one member makes in an hour.
    pub changes_per_hour: u32,
    /// `SESSION_TTL_SECONDS`: lifetime of a session.
    pub session_ttl_seconds: u64,
    /// `SESSION_MAX_SECONDS`: how long after the login a session is valid, and can be renewed.
    pub session_max_seconds: u64,
    /// `SESSION_ISSUER`: the `iss` of a session.
    pub session_issuer: String,
    /// `SESSION_AUDIENCE`: the `aud` of a session.
    pub session_audience: String,
    /// `SESSION_DEFAULT_AMR`: the `amr` of a session without one (RFC 8176).
    pub session_default_amr: String,
    /// `SERVICE_AUDIENCE`: the `aud` of a service token.
    pub service_audience: String,
    /// `ARGON2_MEMORY_KIB`: memory of one password hash. OWASP Password Storage Cheat Sheet: 19 MiB with 2 passes,
    /// at least 7 MiB.
    pub argon2_memory_kib: u32,
    /// `ARGON2_PASSES`: passes of one password hash.
    pub argon2_passes: u32,
    /// `TABLE_NAME`: the DynamoDB table.
    pub table_name: String,
    /// `METRICS_NAMESPACE`: the CloudWatch namespace; without it no metrics are printed.
    pub metrics_namespace: Option<String>,
    /// `MAIL_FROM`: sender of email, as a header contains it; without it no email is sent.
    pub mail_from: Option<String>,
    /// `MAIL_LINK_BASE_URL`: start of the links in email, without a slash at its end.
    pub mail_link_base_url: Option<String>,
    /// `WEB_OTP_DOMAIN`: the domain, in ASCII and lower case, whose page may read a code from an SMS (the `WebOTP` API's
    /// origin-bound codes).
    pub web_otp_domain: Option<String>,
    /// `SMS_SENDER_ID`: sender shown on an SMS, where the country allows one.
    pub sms_sender_id: Option<String>,
    /// `CORS_ORIGIN`: the origin whose pages may call the functions from a browser.
    pub cors_origin: Option<WebOrigin>,
    /// `TRUSTED_PROXIES`: position, from the right, of the caller's address in `X-Forwarded-For`; 0 if the gateway
    /// itself reports the caller.
    pub trusted_proxies: usize,
    /// `HTTP_200_FAMILIES`: families whose responses all have the HTTP status 200, and their own status in the body only.
    pub http_200_families: Vec<ApiFamily>,
    /// The source of the keys.
    pub keys: KeysSource,
    /// Region, credentials and endpoints of AWS, which Lambda sets.
    pub aws: AwsSettings,
}

/// The effect of an open circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerAction {
    /// Further codes on the route are refused.
    Deny,
    /// The breaker is only logged, and no code is refused.
    Record,
}

/// A family of documented calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiFamily {
    /// The user API, under `/v1/user`.
    User,
    /// The member API, under `/member` and `/web`.
    Member,
}

impl ApiFamily {
    /// Every family.
    pub(crate) const ALL: [Self; 2] = [Self::User, Self::Member];

    /// Returns the name, as settings and metrics write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Member => "member",
        }
    }
}

/// The source of the keys.
#[derive(Clone)]
pub enum KeysSource {
    /// `KEYS_SECRET_ARN`: a Secrets Manager secret, read once at start-up.
    SecretsManager(String),
    /// `KEYS`: the secret's text itself, as the local stack passes it.
    Inline(crate::Secret),
}

impl KeysSource {
    /// Returns the name of the setting.
    pub(crate) fn setting(&self) -> &'static str {
        match self {
            Self::SecretsManager(_) => "KEYS_SECRET_ARN",
            Self::Inline(_) => "KEYS",
        }
    }
}

impl fmt::Debug for KeysSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecretsManager(arn) => f.debug_tuple("SecretsManager").field(arn).finish(),
            Self::Inline(_) => f.write_str("Inline(…)"),
        }
    }
}

/// Region, credentials and endpoints, under the variable names that every AWS SDK reads.
#[derive(Clone, Debug)]
pub struct AwsSettings {
    /// `AWS_REGION`.
    pub region: String,
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: crate::Secret,
    /// `AWS_SESSION_TOKEN`.
    pub session_token: Option<crate::Secret>,
    /// `AWS_ENDPOINT_URL_DYNAMODB`, else `AWS_ENDPOINT_URL`: an endpoint other than that of AWS.
    pub dynamodb_endpoint: Option<String>,
    /// `AWS_ENDPOINT_URL_SNS`, else `AWS_ENDPOINT_URL`.
    pub sns_endpoint: Option<String>,
    /// `AWS_ENDPOINT_URL_SESV2`, else `AWS_ENDPOINT_URL`.
    pub sesv2_endpoint: Option<String>,
    /// `AWS_ENDPOINT_URL_SECRETS_MANAGER`, else `AWS_ENDPOINT_URL`.
    pub secrets_manager_endpoint: Option<String>,
}

/// All errors in the settings, one per line. Each names its setting, and none shows a value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct SettingsError(pub Vec<String>);

impl Settings {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// [`SettingsError`] with all errors.
    pub fn from_environment() -> Result<Self, SettingsError> {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads the settings through `lookup`. A blank setting counts as absent.
    ///
    /// # Errors
    /// [`SettingsError`] with all errors.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(lookup);
        let aws_endpoint = reader.endpoint("AWS_ENDPOINT_URL");
        let endpoint = |reader: &mut Reader<_>, service: &str| {
            reader.endpoint(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| aws_endpoint.clone())
        };
        let settings = Self {
            code_length: reader.number("CODE_LENGTH", 6, 6..=10),
            mail_code_length: reader.number("MAIL_CODE_LENGTH", 8, 6..=10),
            code_ttl_seconds: reader.number("CODE_TTL_SECONDS", 300, 1..=600),
            mail_code_ttl_seconds: reader.number("MAIL_CODE_TTL_SECONDS", 600, 1..=600),
            resend_after_seconds: reader.number("RESEND_AFTER_SECONDS", 120, 1..=3_600),
            code_max_attempts: reader.number("CODE_MAX_ATTEMPTS", 5, 1..=10),
            failures_per_day: reader.number("FAILURES_PER_DAY", 20, 1..=100),
            source_wrong_codes_per_hour: reader.number("SOURCE_WRONG_CODES_PER_HOUR", 100, 1..=1_000_000),
            grant_ttl_seconds: reader.number("GRANT_TTL_SECONDS", 600, 1..=600),
            sends_per_hour: reader.number("SENDS_PER_HOUR", 5, 1..=MAX_LOGGED_SENDS),
            sends_per_day: reader.number("SENDS_PER_DAY", 10, 1..=MAX_LOGGED_SENDS),
            member_sends_per_day: reader.number("MEMBER_SENDS_PER_DAY", 10, 1..=MAX_LOGGED_SENDS),
            source_sends_per_hour: reader.number("SOURCE_SENDS_PER_HOUR", 30, 1..=100_000),
            notices_per_day: reader.number("NOTICES_PER_DAY", 20, 1..=1_000),
            region_sends_per_hour: reader.number("REGION_SENDS_PER_HOUR", 500, 1..=1_000_000),
            mail_sends_per_hour: reader.number("MAIL_SENDS_PER_HOUR", 2_000, 1..=1_000_000),
            register_sends_per_hour: reader.number("REGISTER_SENDS_PER_HOUR", 100, 1..=1_000_000),
            breaker_min_verified_percent: reader.number("BREAKER_MIN_VERIFIED_PERCENT", 35, 0..=100),
            breaker_min_codes: reader.number("BREAKER_MIN_CODES", 50, 1..=1_000_000),
            breaker_action: reader.breaker_action("BREAKER_ACTION"),
            phones: reader.phones("DEFAULT_REGION", "ALLOWED_REGIONS"),
            default_language: reader.language("DEFAULT_LANGUAGE", Language::Chinese),
            password_min_length: reader.number("PASSWORD_MIN_LENGTH", 8, 6..=64),
            password_max_failures: reader.number("PASSWORD_MAX_FAILURES", 10, 1..=100),
            password_lock_seconds: reader.number("PASSWORD_LOCK_SECONDS", 900, 1..=86_400),
            log_in_failures_per_day: reader.number("LOG_IN_FAILURES_PER_DAY", 100, 1..=100),
            source_log_in_failures_per_hour: reader.number(
                "SOURCE_LOG_IN_FAILURES_PER_HOUR",
                100,
                1..=1_000_000,
            ),
            pay_password_max_failures: reader.number("PAY_PASSWORD_MAX_FAILURES", 5, 1..=10),
            pay_password_lock_seconds: reader.number("PAY_PASSWORD_LOCK_SECONDS", 10_800, 1..=604_800),
            pay_password_failures_per_day: reader.number("PAY_PASSWORD_FAILURES_PER_DAY", 20, 1..=100),
            reauthentication_seconds: reader.number("REAUTHENTICATION_SECONDS", 900, 1..=86_400),
            cooling_off_seconds: reader.number("COOLING_OFF_SECONDS", 86_400, 0..=2_592_000),
            changes_per_hour: reader.number("CHANGES_PER_HOUR", 10, 1..=100),
            session_ttl_seconds: reader.number("SESSION_TTL_SECONDS", 604_800, 1..=2_592_000),
            session_max_seconds: reader.number("SESSION_MAX_SECONDS", 2_592_000, 1..=2_592_000),
            session_issuer: reader.text("SESSION_ISSUER", "account-security"),
            session_audience: reader.text("SESSION_AUDIENCE", "account-security"),
            session_default_amr: reader.amr("SESSION_DEFAULT_AMR"),
            service_audience: reader.text("SERVICE_AUDIENCE", "account-security-services"),
            argon2_memory_kib: reader.number("ARGON2_MEMORY_KIB", 19_456, ARGON2_MEMORY_KIB),
            argon2_passes: reader.number("ARGON2_PASSES", 2, ARGON2_PASSES),
            table_name: reader.required("TABLE_NAME"),
            metrics_namespace: reader.namespace("METRICS_NAMESPACE"),
            mail_from: reader.mailbox("MAIL_FROM"),
            mail_link_base_url: reader.link_base("MAIL_LINK_BASE_URL"),
            web_otp_domain: reader.domain("WEB_OTP_DOMAIN"),
            sms_sender_id: reader.sender_id("SMS_SENDER_ID"),
            cors_origin: reader.origin("CORS_ORIGIN"),
            trusted_proxies: reader.number("TRUSTED_PROXIES", 0, 0..=8),
            http_200_families: reader.families("HTTP_200_FAMILIES"),
            keys: reader.keys(),
            aws: AwsSettings {
                region: reader.required("AWS_REGION"),
                access_key_id: reader.required("AWS_ACCESS_KEY_ID"),
                secret_access_key: reader.required("AWS_SECRET_ACCESS_KEY").into(),
                session_token: reader.optional("AWS_SESSION_TOKEN").map(Into::into),
                dynamodb_endpoint: endpoint(&mut reader, "DYNAMODB"),
                sns_endpoint: endpoint(&mut reader, "SNS"),
                sesv2_endpoint: endpoint(&mut reader, "SESV2"),
                secrets_manager_endpoint: endpoint(&mut reader, "SECRETS_MANAGER"),
            },
        };
        if settings.service_audience == settings.session_audience {
            // Otherwise a service token would be a session.
            reader.errors.push("SERVICE_AUDIENCE must differ from SESSION_AUDIENCE".to_owned());
        }
        if reader.errors.is_empty() { Ok(settings) } else { Err(SettingsError(reader.errors)) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use phonenumber::country;

    const REQUIRED: [(&str, &str); 5] = [
        ("TABLE_NAME", "account-security"),
        ("KEYS", "{}"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];

    fn read(more: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let lookup = |name: &str| {
            more.iter().chain(&REQUIRED).find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
        };
        Settings::read(lookup)
    }

    /// Returns the defaults, with only the required settings set.
    pub(crate) fn defaults() -> Settings {
        read(&[]).unwrap()
    }

    #[test]
    fn all_errors_are_reported_with_name_and_bounds() {
        let errors = read(&[
            ("CODE_LENGTH", "5"),
            ("CODE_TTL_SECONDS", "soon"),
            ("ALLOWED_REGIONS", "CN,china"),
            ("DEFAULT_REGION", "Atlantis"),
            ("DEFAULT_LANGUAGE", "fr"),
            ("SENDS_PER_DAY", "101"),
            ("BREAKER_ACTION", "panic"),
            ("SMS_SENDER_ID", "far too long a name"),
            ("TABLE_NAME", " "),
            ("KEYS_SECRET_ARN", "arn:aws:secretsmanager:us-east-1:123456789012:secret:keys"),
        ]);
        assert_eq!(
            errors.unwrap_err().to_string(),
            "CODE_LENGTH must be a number from 6 to 10\n\
             CODE_TTL_SECONDS must be a number from 1 to 600\n\
             SENDS_PER_DAY must be a number from 1 to 100\n\
             BREAKER_ACTION must be deny or record\n\
             DEFAULT_REGION must be an ISO 3166 region such as CN\n\
             ALLOWED_REGIONS must be ISO 3166 regions separated by commas, such as CN,HK\n\
             DEFAULT_LANGUAGE must be zh-CN or en\n\
             TABLE_NAME must be set\n\
             SMS_SENDER_ID must be 1 to 11 letters, digits and hyphens with at least one letter\n\
             exactly one of KEYS_SECRET_ARN and KEYS must be set"
        );
    }

    #[test]
    fn settings_reject_values_beyond_the_standards() {
        for (name, accepted, rejected) in [
            ("CODE_LENGTH", "6", "5"),
            ("MAIL_CODE_LENGTH", "6", "5"),
            ("CODE_TTL_SECONDS", "600", "601"),
            ("MAIL_CODE_TTL_SECONDS", "600", "601"),
            ("FAILURES_PER_DAY", "100", "101"),
            ("PAY_PASSWORD_FAILURES_PER_DAY", "100", "101"),
            ("LOG_IN_FAILURES_PER_DAY", "100", "101"),
            ("ARGON2_MEMORY_KIB", "7168", "7167"),
        ] {
            assert!(read(&[(name, accepted)]).is_ok() && read(&[(name, rejected)]).is_err(), "{name}");
        }
    }

    #[test]
    fn blank_setting_uses_the_default() {
        let settings =
            read(&[("CODE_LENGTH", ""), ("SMS_SENDER_ID", " "), ("ALLOWED_REGIONS", "CN, HK")]).unwrap();
        assert_eq!((settings.code_length, settings.mail_code_length), (6, 8));
        assert_eq!(settings.sms_sender_id, None);
        assert_eq!(settings.phones.allowed_regions, [country::CN, country::HK]);
    }

    #[test]
    fn default_region_must_be_allowed() {
        let settings = |regions, region| read(&[("ALLOWED_REGIONS", regions), ("DEFAULT_REGION", region)]);
        assert!(settings("CN,DE", "DE").is_ok());
        let expected = "DEFAULT_REGION must be one of ALLOWED_REGIONS";
        assert_eq!(settings("CN", "DE").unwrap_err().to_string(), expected);
        assert_eq!(read(&[("DEFAULT_REGION", "DE")]).unwrap_err().to_string(), expected);
        assert_eq!(read(&[("ALLOWED_REGIONS", "DE")]).unwrap_err().to_string(), expected);
    }

    #[test]
    fn service_tokens_have_an_audience_of_their_own() {
        let errors = read(&[("SESSION_AUDIENCE", "shop"), ("SERVICE_AUDIENCE", "shop")]).unwrap_err();
        assert_eq!(errors.to_string(), "SERVICE_AUDIENCE must differ from SESSION_AUDIENCE");
        let errors = read(&[("SESSION_DEFAULT_AMR", "otp")]).unwrap_err().to_string();
        assert_eq!(errors, "SESSION_DEFAULT_AMR must be pwd, sms or mail");
    }

    #[test]
    fn cors_allows_only_the_configured_origin() {
        assert_eq!(defaults().cors_origin, None);
        let origin = "https://app.example.com";
        assert_eq!(read(&[("CORS_ORIGIN", origin)]).unwrap().cors_origin, Some(origin.parse().unwrap()));
        let errors = read(&[("CORS_ORIGIN", "*")]).unwrap_err().to_string();
        assert!(errors.starts_with("CORS_ORIGIN must be an origin"), "{errors}");
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_name() {
        for (name, accepted, rejected) in [
            (
                "MAIL_LINK_BASE_URL",
                &[
                    "https://example.com",
                    "https://api.example.com/live",
                    "https://api.example.com:8443",
                    "https://xn--bcher-kva.example",
                    "http://127.0.0.1:3000",
                    "http://localhost:3000",
                ][..],
                &[
                    "app.example.com",
                    "//app.example.com",
                    "http://app.example.com",
                    "ftp://app.example.com",
                    "https://",
                    "https:app.example.com",
                    "https://app",
                    "https://app.example.com/",
                    "https://app.example.com?a=1",
                    "https://app.example.com#a",
                    "https://li@app.example.com",
                    "https://li:secret@app.example.com",
                    "https://app.example.com:",
                    "https://app.example.com:99999",
                    "https://app.example.com https://b.example.com",
                    "https://应用.example",
                    "https://App.example.com",
                    "undefined",
                ][..],
            ),
            (
                "WEB_OTP_DOMAIN",
                &["example.com", "shop.example.com", "xn--bcher-kva.example"],
                &[
                    "https://example.com/",
                    "https://example.com",
                    "example.com/",
                    "@example.com",
                    "example.com:443",
                    "Example.com",
                    "example",
                    "*.example.com",
                    "example.com.",
                    "bücher.example",
                    "1.2.3.4",
                    "a_b.example",
                    "a.example,b.example",
                ],
            ),
            (
                "MAIL_FROM",
                &["security@example.com", "云商城 <security@example.com>", "\"Shop, Inc.\" <a@example.com>"],
                &["security", "云商城", "Shop <>", "a@example.com,b@example.com", "用户@example.com"],
            ),
            (
                "METRICS_NAMESPACE",
                &["AccountSecurity/live", "a.b-c_d/e#f:g"],
                &["Account Security", "账户", ":a", "AWS/Lambda", "a*"],
            ),
            (
                "AWS_ENDPOINT_URL_SNS",
                &["http://127.0.0.1:4566", "https://sns.us-east-1.amazonaws.com", "http://localstack:4566/"],
                &["127.0.0.1:4566", "localstack", "ftp://localstack", "https://"],
            ),
            ("AWS_ENDPOINT_URL", &["http://127.0.0.1:4566"], &["127.0.0.1:4566"]),
            ("CORS_ORIGIN", &["https://app.example.com"], &["app.example.com", "https://app.example.com/"]),
            ("SMS_SENDER_ID", &["Shop"], &["云商城"]),
        ] {
            for value in accepted {
                assert!(read(&[(name, value)]).is_ok(), "{name}={value}");
            }
            for value in rejected {
                let error = read(&[(name, value)]).unwrap_err().to_string();
                assert!(error.starts_with(&format!("{name} must be ")), "{name}={value}: {error}");
                assert_eq!(error.lines().count(), 1, "{name}={value}: {error}");
            }
        }
    }

    #[test]
    fn families_with_status_200_are_listed() {
        use ApiFamily::{Member, User};
        for (text, families) in [
            ("", &[][..]),
            ("user", &[User]),
            ("member", &[Member]),
            ("user,member", &[User, Member]),
            (" member , user ", &[Member, User]),
        ] {
            assert_eq!(read(&[("HTTP_200_FAMILIES", text)]).unwrap().http_200_families, families, "{text}");
        }
        for text in ["web", "User", "user,", "user member", "true"] {
            let errors = read(&[("HTTP_200_FAMILIES", text)]).unwrap_err().to_string();
            assert_eq!(errors, "HTTP_200_FAMILIES must be user, member, or both separated by a comma");
        }
    }

    #[test]
    fn sender_is_encoded_for_a_header() {
        let settings = read(&[("MAIL_FROM", "云商城 <security@example.com>")]).unwrap();
        assert_eq!(settings.mail_from.unwrap(), "=?utf-8?b?5LqR5ZWG5Z+O?= <security@example.com>");
    }

    #[test]
    fn debug_hides_keys_and_credentials() {
        let settings = read(&[("KEYS", "the-keys"), ("AWS_SECRET_ACCESS_KEY", "the-credential")]).unwrap();
        let shown = format!("{settings:?}");
        assert!(!shown.contains("the-keys") && !shown.contains("the-credential"), "{shown}");
    }
}
