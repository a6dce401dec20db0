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

/// The codes of Chinese and of the members of its macrolanguage (ISO 639-3, `zho`), as `zh` or as a language of their
/// own. An Android phone set to Cantonese sends `yue-Hant-HK`.
const CHINESE: [&str; 22] = [
    "zh", "zho", "chi", "cdo", "cjy", "cmn", "cnp", "cpx", "csp", "czh", "czo", "gan", "hak", "hnm", "hsn",
    "luh", "lzh", "mnp", "nan", "sjc", "wuu", "yue",
];

/// The codes of English (ISO 639-1 and 639-3).
const ENGLISH: [&str; 2] = ["en", "eng"];

/// The weight of a range whose own weight is malformed: the least of all that are not excluded (RFC 9110, 12.4.2).
const LEAST_WEIGHT: f32 = 0.001;

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::Chinese, Self::English];

    /// Returns the language of a BCP 47 tag such as `zh-Hant-HK`, or of a POSIX or Java locale such as `en_US.UTF-8`
    /// or `zh_CN_#Hans`, by its primary subtag: Simplified Chinese for any Chinese, English for any English, and `None`
    /// for any other.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(|character: char| !character.is_ascii_alphanumeric()).next()?;
        let is_in = |codes: &[&str]| codes.iter().any(|code| code.eq_ignore_ascii_case(primary));
        if is_in(&CHINESE) {
            Some(Self::Chinese)
        } else if is_in(&ENGLISH) {
            Some(Self::English)
        } else {
            None
        }
    }

    /// Returns the supported language that an `Accept-Language` header (RFC 9110, 12.5.4) prefers most, or `None` if it
    /// has no preference among them. `*` stands for the languages that the header does not name. If the header only
    /// excludes a language by `q=0`, the other one remains. A malformed list never fails.
    #[must_use]
    pub fn of_header(accept_language: &str) -> Option<Self> {
        let mut ranges: Vec<_> = accept_language.split(',').map(weighted).collect();
        // The sort is stable, so the first of two ranges with the same weight is preferred.
        ranges.sort_by(|(_, weight), (_, other)| other.total_cmp(weight));
        let mut unnamed = Self::ALL
            .into_iter()
            .filter(|language| !ranges.iter().any(|(tag, _)| Self::of_tag(tag) == Some(*language)));
        let other = match (unnamed.next(), unnamed.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        };
        let accepted = ranges.iter().filter(|(_, weight)| *weight > 0.0);
        let mut preferred = accepted
            .filter_map(|(tag, _)| if *tag == "*" { Some(other) } else { Self::of_tag(tag).map(Some) });
        preferred.next().unwrap_or(other)
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

/// Returns the tag and the weight of a language range such as `en-GB;q=0.8`.
fn weighted(range: &str) -> (&str, f32) {
    let mut parts = range.split(';').map(str::trim);
    let tag = parts.next().unwrap_or_default();
    let mut weights = parts.filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then_some(value.trim())
    });
    let weight = weights
        .next()
        .map_or(1.0, |text| text.parse().ok().filter(|weight: &f32| *weight >= 0.0).unwrap_or(LEAST_WEIGHT));
    (tag, weight)
}

#[cfg(test)]
mod tests {
    use super::Language::{self, Chinese, English};
    use proptest::prelude::*;

    #[test]
    fn tags_of_every_notation_are_read() {
        for (tag, expected) in [
            ("zh", Some(Chinese)),
            ("zh-CN", Some(Chinese)),
            ("ZH-cn", Some(Chinese)),
            (" zh-Hant-HK ", Some(Chinese)),
            ("zh-min-nan", Some(Chinese)),
            // POSIX, Java, iOS and WeChat.
            ("zh_CN", Some(Chinese)),
            ("zh_CN.UTF-8", Some(Chinese)),
            ("zh_TW.Big5@radical", Some(Chinese)),
            ("zh_CN_#Hans", Some(Chinese)),
            ("zh__#Hant", Some(Chinese)),
            ("zh_Hans_CN", Some(Chinese)),
            ("zh-CHS", Some(Chinese)),
            ("zho", Some(Chinese)),
            ("chi", Some(Chinese)),
            ("yue", Some(Chinese)),
            ("yue-Hant-HK", Some(Chinese)),
            ("cmn-Hans-CN", Some(Chinese)),
            ("wuu", Some(Chinese)),
            ("NAN-TW", Some(Chinese)),
            ("en", Some(English)),
            ("en_US", Some(English)),
            ("en_US.UTF-8", Some(English)),
            ("en_US_POSIX", Some(English)),
            ("en-Latn-GB-oxendict", Some(English)),
            ("eng", Some(English)),
            ("EN-us@calendar=gregorian", Some(English)),
            ("C.UTF-8", None),
            ("POSIX", None),
            ("fr-CN", None),
            ("ja", None),
            ("za", None),
            ("ii-CN", None),
            ("enm", None),
            ("zha", None),
            ("x-zh", None),
            ("中文", None),
            ("_CN", None),
            ("", None),
        ] {
            assert_eq!(Language::of_tag(tag), expected, "{tag}");
        }
    }

    #[test]
    fn header_selects_the_most_preferred_supported_language() {
        for (header, expected) in [
            ("en", Some(English)),
            ("en_US", Some(English)),
            ("en-us", Some(English)),
            ("zh-TW,en;q=0.8", Some(Chinese)),
            ("zh-CN,zh;q=0.9,en;q=0.8", Some(Chinese)),
            ("zh-Hans-CN;q=1.0, en-CN;q=0.9", Some(Chinese)),
            ("yue-Hant-HK, en-HK;q=0.9", Some(Chinese)),
            ("fr-FR, en-GB;q=0.7, zh;q=0.3", Some(English)),
            ("zh;q=0.1,EN-us;q=0.9", Some(English)),
            ("de;q=0.1, en ; q = 0.9 , zh;q=0.2", Some(English)),
            ("en;Q=0.1,zh;Q=0.2", Some(Chinese)),
            ("en;level=1;q=0.1,zh;q=0.2", Some(Chinese)),
            ("fr", None),
            ("", None),
        ] {
            assert_eq!(Language::of_header(header), expected, "{header}");
        }
    }

    #[test]
    fn excluded_language_is_never_selected() {
        for (header, expected) in [
            ("en;q=0", Some(Chinese)),
            ("zh;q=0", Some(English)),
            ("zh;q=0.000, fr", Some(English)),
            ("en;q=0, zh;q=0", None),
            ("fr;q=0", None),
            ("en-GB, en;q=0", Some(English)),
            ("en;q=0, *", Some(Chinese)),
        ] {
            assert_eq!(Language::of_header(header), expected, "{header}");
        }
    }

    #[test]
    fn wildcard_stands_for_the_unnamed_languages() {
        for (header, expected) in [
            ("*", None),
            ("*;q=0", None),
            ("fr, *;q=0.5", None),
            ("en, *;q=0.1", Some(English)),
            ("en;q=0.5, *;q=0.8", Some(Chinese)),
            ("en, zh;q=0.5, *;q=0.8", Some(English)),
            ("en-US,en;q=0.5,*;q=0.1", Some(English)),
        ] {
            assert_eq!(Language::of_header(header), expected, "{header}");
        }
    }

    #[test]
    fn malformed_list_is_read_as_far_as_possible() {
        for (header, expected) in [
            (";;,,q=", None),
            ("en;q=", Some(English)),
            ("en;q=high, zh;q=0.5", Some(Chinese)),
            ("en;q=NaN, zh;q=0.5", Some(Chinese)),
            ("en;q=-1, zh;q=0.5", Some(Chinese)),
            ("en;q=0,8", Some(Chinese)),
            ("zh;q=0.9;q=0, en;q=0.8", Some(Chinese)),
            ("zh-CN;en-US", Some(Chinese)),
            (",en,", Some(English)),
            ("undefined", None),
            ("[object Object]", None),
        ] {
            assert_eq!(Language::of_header(header), expected, "{header}");
        }
        let many = "en;q=NaN,zh;q=0.5,".repeat(1_000);
        assert_eq!(Language::of_header(&many), Some(Chinese));
    }

    proptest! {
        #[test]
        fn own_tag_is_read_in_any_list(text in any::<String>(), language in prop::sample::select(&Language::ALL[..])) {
            let _ = Language::of_header(&text);
            prop_assert_eq!(Language::of_tag(language.tag()), Some(language));
            prop_assert_eq!(Language::of_header(&format!("xx;q=1.0,{};q=0.5", language.tag())), Some(language));
        }
    }
}
