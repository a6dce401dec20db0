//! Reads settings from text into typed values, and collects all errors.

use super::{BreakerAction, KeysSource};
use crate::{contact::PhoneRules, language::Language, settings::web_origin::WebOrigin};
use phonenumber::country;
use std::{fmt, ops::RangeInclusive, str::FromStr};

/// Reads settings by name, and collects an error for each invalid one.
pub(super) struct Reader<F> {
    lookup: F,
    pub(super) errors: Vec<String>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    pub(super) fn new(lookup: F) -> Self {
        Self { lookup, errors: Vec::new() }
    }

    pub(super) fn optional(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    pub(super) fn text(&self, name: &str, default: &str) -> String {
        self.optional(name).unwrap_or_else(|| default.to_owned())
    }

    fn error(&mut self, name: &str, expected: &str) {
        self.errors.push(format!("{name} must be {expected}"));
    }

    pub(super) fn required(&mut self, name: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.errors.push(format!("{name} must be set"));
            String::new()
        })
    }

    pub(super) fn number<T>(&mut self, name: &str, default: T, range: RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + Copy + fmt::Display,
    {
        let Some(text) = self.optional(name) else {
            return default;
        };
        match text.parse() {
            Ok(value) if range.contains(&value) => value,
            _ => {
                self.error(name, &format!("a number from {} to {}", range.start(), range.end()));
                default
            }
        }
    }

    /// Reads the region of national numbers and the list of allowed regions. The region must be in the list.
    pub(super) fn phones(&mut self, default_region: &str, allowed_regions: &str) -> PhoneRules {
        let region = self.text(default_region, "CN").parse::<country::Id>();
        if region.is_err() {
            self.error(default_region, "an ISO 3166 region such as CN");
        }
        let allowed = self.text(allowed_regions, "CN");
        let allowed: Result<Vec<country::Id>, _> =
            allowed.split(',').map(|region| region.trim().parse()).collect();
        if allowed.is_err() {
            self.error(allowed_regions, "ISO 3166 regions separated by commas, such as CN,HK");
        }
        if let (Ok(region), Ok(allowed)) = (&region, &allowed)
            && !allowed.contains(region)
        {
            self.error(default_region, &format!("one of {allowed_regions}"));
        }
        PhoneRules {
            default_region: region.unwrap_or(country::CN),
            allowed_regions: allowed.unwrap_or_default(),
        }
    }

    pub(super) fn language(&mut self, name: &str, default: Language) -> Language {
        let Some(tag) = self.optional(name) else {
            return default;
        };
        Language::ALL.into_iter().find(|language| language.tag() == tag).unwrap_or_else(|| {
            self.error(name, "zh-CN or en");
            default
        })
    }

    pub(super) fn breaker_action(&mut self, name: &str) -> BreakerAction {
        match self.optional(name).as_deref() {
            Some("deny") | None => BreakerAction::Deny,
            Some("record") => BreakerAction::Record,
            Some(_) => {
                self.error(name, "deny or record");
                BreakerAction::Deny
            }
        }
    }

    /// Reads a sender id for the message attribute `AWS.SNS.SMS.SenderID` of SNS.
    pub(super) fn sender_id(&mut self, name: &str) -> Option<String> {
        let id = self.optional(name)?;
        let valid = id.len() <= 11
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && id.bytes().any(|byte| byte.is_ascii_alphabetic());
        if !valid {
            self.error(name, "1 to 11 letters, digits and hyphens with at least one letter");
        }
        Some(id)
    }

    pub(super) fn origin(&mut self, name: &str) -> Option<WebOrigin> {
        let origin = self.optional(name)?.parse::<WebOrigin>();
        if origin.is_err() {
            self.error(name, "an origin such as https://app.example.com, or http://localhost:5173");
        }
        origin.ok()
    }

    pub(super) fn keys(&mut self) -> KeysSource {
        match (self.optional("KEYS"), self.optional("KEYS_SECRET_ARN")) {
            (Some(keys), None) => KeysSource::Inline(keys.into()),
            (None, Some(arn)) => KeysSource::SecretsManager(arn),
            _ => {
                self.errors.push("exactly one of KEYS_SECRET_ARN and KEYS must be set".to_owned());
                KeysSource::SecretsManager(String::new())
            }
        }
    }
}
