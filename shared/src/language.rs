//! The languages of everything that a person reads: messages, notices, errors and pages.

use serde::{Deserialize, Serialize};

/// A language that every text is available in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    /// Simplified Chinese.
    #[serde(rename = "zh-CN")]
    Chinese,
    /// English.
    #[serde(rename = "en")]
    English,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::Chinese, Self::English];

    /// Returns the language of a BCP 47 tag, by its primary subtag: Simplified Chinese for any Chinese, English for
    /// any English, and `None` for any other.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        match tag.split('-').next()?.to_ascii_lowercase().as_str() {
            "zh" => Some(Self::Chinese),
            "en" => Some(Self::English),
            _ => None,
        }
    }

    /// Returns the supported language that an `Accept-Language` header (RFC 9110, 12.5.4) prefers most.
    #[must_use]
    pub fn of_header(accept_language: &str) -> Option<Self> {
        accept_language::parse(accept_language).iter().find_map(|tag| Self::of_tag(tag))
    }

    /// Returns the BCP 47 tag.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Chinese => "zh-CN",
            Self::English => "en",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_selects_the_most_preferred_supported_language() {
        for (header, expected) in [
            ("en", Some(Language::English)),
            ("zh-TW,en;q=0.8", Some(Language::Chinese)),
            ("fr-FR, en-GB;q=0.7, zh;q=0.3", Some(Language::English)),
            ("zh;q=0.1,EN-us;q=0.9", Some(Language::English)),
            ("fr", None),
            ("", None),
            (";;,,q=", None),
        ] {
            assert_eq!(Language::of_header(header), expected, "{header}");
        }
    }
}
