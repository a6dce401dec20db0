//! The template's parameters accept what the settings accept.

use super::template;
use crate::bundle::root;
use regex::Regex;
use shared::settings::Settings;
use std::{collections::BTreeMap, fmt::Debug, fs};

/// Reads the settings with `value` for the setting `name` and the defaults for the others.
fn read(name: &str, value: &str) -> Result<Settings, impl Debug> {
    let required = BTreeMap::from([
        ("TABLE_NAME", "t"),
        ("KEYS", "{}"),
        ("AWS_REGION", "r"),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
    ]);
    Settings::read(|setting| {
        if setting == name { Some(value.to_owned()) } else { required.get(setting).map(|&v| v.to_owned()) }
    })
}

/// Returns the settings that are parameters of the template: name, default of the template, lines of the parameter.
fn parameters() -> Vec<(String, String, Vec<String>)> {
    let text = fs::read_to_string(root().join("template.yaml")).unwrap();
    let variables = template().functions.remove(0).variables.into_iter();
    let of_the_stack = ["TABLE_NAME", "KEYS_SECRET_ARN", "RELEASE", "METRICS_NAMESPACE"];
    variables
        .filter(|(name, _)| !of_the_stack.contains(&name.as_str()))
        .map(|(name, value)| {
            let camel: String =
                name.split('_').map(|word| word[..1].to_owned() + &word[1..].to_lowercase()).collect();
            let (_, lines) =
                text.split_once(&format!("\n  {camel}:\n")).unwrap_or_else(|| panic!("no parameter {camel}"));
            let lines = lines.lines().take_while(|line| line.starts_with("    "));
            let lines = lines.map(|line| line.trim().to_owned()).collect();
            (name, value.unwrap_or_default(), lines)
        })
        .collect()
}

/// Returns a field of a parameter, without quotation marks.
fn field<'a>(lines: &'a [String], name: &str) -> Option<&'a str> {
    let value = lines.iter().find_map(|line| line.strip_prefix(&format!("{name}: ")))?;
    Some(value.trim_matches('\''))
}

#[test]
fn parameters_have_the_settings_defaults_and_bounds() {
    let defaults = format!("{:?}", read("", "").unwrap());
    let mut bounded = 0;
    for (name, value, lines) in parameters() {
        assert_eq!(
            format!("{:?}", read(&name, &value).unwrap()),
            defaults,
            "{name}: the default is not {value}"
        );
        if let (Some(least), Some(most)) = (field(&lines, "MinValue"), field(&lines, "MaxValue")) {
            let (least, most): (u64, u64) = (least.parse().unwrap(), most.parse().unwrap());
            for (value, is_valid) in [(least, true), (most, true), (most + 1, false)] {
                assert_eq!(read(&name, &value.to_string()).is_ok(), is_valid, "{name}={value}");
            }
            assert!(least == 0 || read(&name, &(least - 1).to_string()).is_err(), "{name}={}", least - 1);
            bounded += 1;
        }
    }
    assert!(bounded >= 20, "{bounded}");
}

/// Valid and invalid values of each setting whose parameter has a pattern.
const SAMPLES: [(&str, &[&str], &[&str]); 10] = [
    ("ACCOUNT_ACCENT", &["#0b57d0", "#B3261E"], &["blue", "#fff", "0b57d0", "#0b57d0f", "#gggggg"]),
    (
        "ACCOUNT_RETURN_URLS",
        &["https://app.example.com/me?tab=1", "https://app.example.com com.example.shop://account"],
        &["app.example.com", "/account", "javascript:alert(1)", "https://a.example/\"x", "shop://", "://x"],
    ),
    ("ALLOWED_REGIONS", &["CN", "CN,HK,US"], &["86", "CN,", "CHN", "china"]),
    (
        "CORS_ORIGIN",
        &["https://app.example.com", "http://localhost:5173"],
        &["*", "http://app.example.com", "https://App.example.com", "https://app.example.com/"],
    ),
    ("DEFAULT_REGION", &["CN"], &["C", "China"]),
    (
        "HTTP_200_FAMILIES",
        &["user", "member", "user,member", "member,user"],
        &["web", "user,", "user;member", "USER"],
    ),
    (
        "MAIL_FROM",
        &[
            "security@example.com",
            "Shop <security@example.com>",
            "云商城 <a@example.com>",
            "\"S, Inc.\" <a@b.example>",
        ],
        &[
            "security",
            "the security@example.com",
            "云商城",
            "Shop <security>",
            "Shop <a@example.com",
            "a@1.2.3.4",
        ],
    ),
    (
        "MAIL_LINK_BASE_URL",
        &["https://example.com", "https://api.example.com/live"],
        &["http://example.com", "https://example.com/", "app.example.com"],
    ),
    ("SMS_SENDER_ID", &["A", "1-A", "Shop-24", "ABCDEFGHIJK"], &["12345", "1-2", "Shop 24", "ABCDEFGHIJKL"]),
    ("WEB_OTP_DOMAIN", &["example.com"], &["example", "Example.com", "https://example.com"]),
];

#[test]
fn patterns_accept_what_the_settings_accept() {
    let mut patterned = Vec::new();
    for (name, _, lines) in parameters() {
        let Some(pattern) = field(&lines, "AllowedPattern") else { continue };
        let pattern = Regex::new(&format!("^(?:{pattern})$")).unwrap();
        let longest: usize = field(&lines, "MaxLength").map_or(usize::MAX, |most| most.parse().unwrap());
        let (_, valid, invalid) = SAMPLES.iter().find(|(sampled, ..)| *sampled == name).unwrap();
        for (value, is_valid) in
            valid.iter().map(|value| (value, true)).chain(invalid.iter().map(|value| (value, false)))
        {
            let is_allowed = pattern.is_match(value) && value.len() <= longest;
            assert_eq!(is_allowed, is_valid, "the parameter of {name}={value}");
            assert_eq!(read(&name, value).is_ok(), is_valid, "the setting {name}={value}");
        }
        patterned.push(name);
    }
    assert_eq!(patterned, SAMPLES.map(|(name, ..)| name));
}
