//! The passwords that are tried first, and refused (NIST SP 800-63B-4, 3.1.1.2).

/// The commonest passwords, in lower case and sorted; `data/README.md` tells where they are from.
const COMMON: &str = include_str!("../../../data/common-passwords.txt");

/// Whether a password is one of them.
pub(super) fn has(lower: &str) -> bool {
    // Binary search over the lines of the text itself: no table is built at a cold start.
    let (mut low, mut high) = (0, COMMON.len());
    while low < high {
        let start = COMMON
            .get(low..low.midpoint(high))
            .and_then(|half| half.rfind('\n'))
            .map_or(low, |at| low + at + 1);
        let line = COMMON.get(start..high).and_then(|rest| rest.lines().next()).unwrap_or_default();
        match line.cmp(lower) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => low = start + line.len() + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_line_of_the_list_is_found_and_the_list_is_sorted() {
        assert!(COMMON.lines().is_sorted());
        // ASVS 5, 6.2.4 asks for the 3,000 commonest of those that are long enough.
        assert!(COMMON.lines().filter(|line| line.chars().count() >= 8).count() >= 3_000);
        for line in COMMON.lines() {
            assert!(has(line), "{line}");
        }
    }

    proptest! {
        #[test]
        fn a_text_that_is_no_line_of_the_list_is_not_common(text in "\\PC{0,12}") {
            prop_assert_eq!(has(&text), COMMON.lines().any(|line| line == text));
        }
    }
}
