//! The first step of every parser of a text that a person typed or pasted.

use unicode_normalization::UnicodeNormalization;

/// Returns the characters of a typed text in Unicode normalization form KC, without invisible characters.
///
/// NFKC turns the full-width letters, digits and signs of East Asian keyboards into ASCII, and every kind of space
/// into U+0020. Copying adds the invisible characters: iOS encloses the phone number of a contact in U+202D and
/// U+202C, and web pages contain U+200B and U+FEFF.
pub(crate) fn typed(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|character| !is_invisible(*character)).nfkc()
}

/// Returns whether a character has no glyph of its own: the format and ignorable characters of UAX 44, General
/// Category Cf and `Default_Ignorable_Code_Point`, except those that belong to a script.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Removes a scheme such as `tel:` in any case, which a copied link begins with, and spaces after it.
pub(crate) fn without_scheme<'a>(text: &'a str, scheme: &str) -> &'a str {
    match text.split_at_checked(scheme.len()) {
        Some((start, rest)) if start.eq_ignore_ascii_case(scheme) => rest.trim_start(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn typed_text_loses_width_and_invisible_characters() {
        for (text, expected) in [
            ("１２３ＡＢｃ＠．－＋", "123ABc@.-+"),
            ("1\u{a0}2\u{3000}3\u{2009}4", "1 2 3 4"),
            ("\u{202d}+86 136\u{202c}\u{200b}\u{feff}", "+86 136"),
            ("\u{2068}a\u{2069}\u{200e}\u{ad}\u{fe0f}", "a"),
            ("①²", "12"),
            ("中é", "中é"),
        ] {
            assert_eq!(typed(text).collect::<String>(), expected, "{text:?}");
        }
    }

    #[test]
    fn scheme_is_removed_in_any_case() {
        for (text, expected) in
            [("tel:1", "1"), ("TEL: 1", "1"), ("telephone", "telephone"), ("中文", "中文"), ("", "")]
        {
            assert_eq!(without_scheme(text, "tel:"), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn typed_text_is_normalized_once(text in any::<String>()) {
            let once: String = typed(&text).collect();
            prop_assert_eq!(typed(&once).collect::<String>(), once);
        }
    }
}
