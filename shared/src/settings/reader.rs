//! Reads settings from text into typed values, and collects all errors.

use super::{ApiFamily, BreakerAction, KeysSource, mailbox::Mailbox};
use crate::{
    contact::{self, PhoneRules},
    language::Language,
    settings::web_origin::WebOrigin,
};
use lambda_http::http::Uri;
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

    pub(super) fn families(&mut self, name: &str) -> Vec<ApiFamily> {
        let text = self.text(name, "");
        let names = text.split(',').map(str::trim).filter(|_| !text.is_empty());
        let families: Option<_> =
            names.map(|name| ApiFamily::ALL.into_iter().find(|family| family.name() == name)).collect();
        families.unwrap_or_else(|| {
            self.error(name, "user, member, or both separated by a comma");
            Vec::new()
        })
    }

    /// Reads a method of authentication.
    pub(super) fn amr(&mut self, name: &str) -> String {
        let amr = self.text(name, "pwd");
        if !["pwd", "sms", "mail"].contains(&amr.as_str()) {
            self.error(name, "pwd, sms or mail");
        }
        amr
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

    /// Reads a color on which white text is legible.
    pub(super) fn accent(&mut self, name: &str) -> Option<String> {
        let color = self.optional(name)?;
        if !contrast_with_white(&color).is_some_and(|contrast| contrast >= 4.5) {
            self.error(name, "a color such as #0b57d0, on which white text has a contrast of at least 4.5:1");
        }
        Some(color)
    }

    /// Reads addresses of apps and sites, separated by spaces.
    pub(super) fn return_urls(&mut self, name: &str) -> Vec<String> {
        let text = self.text(name, "");
        let urls: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
        if !urls.iter().all(|url| is_return_url(url)) {
            self.error(name, "https URLs, or URLs of an app such as shop://account, separated by spaces");
        }
        urls
    }

    /// Reads a mailbox, and returns it as a header contains it.
    pub(super) fn mailbox(&mut self, name: &str) -> Option<String> {
        let mailbox = self.optional(name)?.parse::<Mailbox>();
        if mailbox.is_err() {
            self.error(name, "an address such as security@example.com, or Shop <security@example.com>");
        }
        mailbox.ok().map(Mailbox::into_header)
    }

    /// Reads a domain in the one form that a browser compares.
    pub(super) fn domain(&mut self, name: &str) -> Option<String> {
        let domain = self.optional(name)?;
        if !is_domain(&domain) {
            self.error(name, "a domain in lower case, without scheme, port or path, such as example.com");
        }
        Some(domain)
    }

    /// Reads the start of links. Without TLS only the local machine is accepted, because a link contains a code.
    pub(super) fn link_base(&mut self, name: &str) -> Option<String> {
        let base = self.optional(name)?;
        let is_valid = http_url(&base).is_some_and(|(scheme, host)| match scheme.as_str() {
            "https" => is_domain(&host),
            _ => ["localhost", "127.0.0.1"].contains(&host.as_str()),
        });
        if !is_valid || base.ends_with('/') || base.contains(['?', '#']) {
            self.error(name, "an https URL without query, fragment or trailing slash");
        }
        Some(base)
    }

    /// Reads the URL of an AWS endpoint.
    pub(super) fn endpoint(&mut self, name: &str) -> Option<String> {
        let endpoint = self.optional(name)?;
        if http_url(&endpoint).is_none() {
            self.error(name, "an http or https URL");
        }
        Some(endpoint)
    }

    /// Reads a namespace of CloudWatch metrics (Amazon CloudWatch API Reference, `PutMetricData`). CloudWatch drops the
    /// metrics of any other one.
    pub(super) fn namespace(&mut self, name: &str) -> Option<String> {
        let namespace = self.optional(name)?;
        let valid = namespace.len() <= 255
            && !namespace.starts_with(':')
            && !namespace.starts_with("AWS/")
            && namespace.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_/#:".contains(&byte));
        if !valid {
            self.error(name, "1 to 255 letters, digits and . - _ / # :, and not start with : or AWS/");
        }
        Some(namespace)
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

/// Returns whether a text is a domain in its ASCII form and lower case.
fn is_domain(text: &str) -> bool {
    contact::ascii_domain(text).is_some_and(|ascii| ascii == text)
}

/// Returns the scheme and host of an http or https URL without user and password.
fn http_url(text: &str) -> Option<(String, String)> {
    let url: Uri = text.parse().ok()?;
    let (scheme, authority) = (url.scheme_str()?, url.authority()?);
    let (host, port) = (authority.host(), authority.port_u16());
    // `Authority` also accepts a user, and keeps an invalid port as text.
    let is_plain =
        authority.as_str() == port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let is_http = ["http", "https"].contains(&scheme) && !host.is_empty();
    (is_http && is_plain).then(|| (scheme.to_owned(), host.to_owned()))
}

/// Whether a link may lead to this URL: one of https, of localhost, or of an app's own scheme. The latter has a full stop
/// or another scheme than those that run scripts or show data.
fn is_return_url(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+.-".contains(&byte));
    let is_plain = scheme == "http"
        && !["localhost", "127.0.0.1"].iter().any(|host| {
            rest.strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
        });
    let is_active = ["javascript", "data", "vbscript", "blob", "file"].contains(&scheme);
    let is_url = !rest.is_empty()
        && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
    is_scheme && is_url && !is_plain && !is_active
}

/// Returns the contrast of white with a color such as `#0b57d0` (WCAG 2.2, "relative luminance", "contrast ratio").
fn contrast_with_white(color: &str) -> Option<f64> {
    let digits = color.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
    let channel = |at: usize| {
        let value = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
        let value = f64::from(value) / 255.0;
        Some(if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) })
    };
    let luminance = 0.2126 * channel(0)? + 0.7152 * channel(2)? + 0.0722 * channel(4)?;
    Some(1.05 / (luminance + 0.05))
}
