//! The languages in which a person is spoken to.

use serde::{Deserialize, Serialize};

/// A language that every text exists in.
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

    /// The language of a BCP 47 tag, by its primary subtag: any Chinese is answered in Simplified
    /// Chinese, any English in English. `None` for every other.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        match tag.split('-').next()?.to_ascii_lowercase().as_str() {
            "zh" => Some(Self::Chinese),
            "en" => Some(Self::English),
            _ => None,
        }
    }

    /// The most wanted language of an `Accept-Language` header (RFC 9110, 12.5.4) that exists here.
    #[must_use]
    pub fn of_header(accept_language: &str) -> Option<Self> {
        accept_language::parse(accept_language).iter().find_map(|tag| Self::of_tag(tag))
    }

    /// The BCP 47 tag.
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
    fn the_most_wanted_language_that_exists_is_taken() {
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
