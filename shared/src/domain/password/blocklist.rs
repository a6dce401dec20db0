//! The blocklist of common passwords (NIST SP 800-63B-4, 3.1.1.2).

/// The most common passwords, in lower case and sorted. `data/README.md` names their source.
const COMMON: &str = include_str!("../../../data/common-passwords.txt");

/// Whether the list contains a password that is given in lower case.
pub(super) fn contains(lower: &str) -> bool {
    // A binary search over the lines of the text itself, because building a table would slow down a cold start.
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
    fn sorted_list_contains_each_of_its_lines() {
        assert!(COMMON.lines().is_sorted());
        // ASVS 5, 6.2.4 requires the top 3,000 of the passwords that are long enough.
        assert!(COMMON.lines().filter(|line| line.chars().count() >= 8).count() >= 3_000);
        for line in COMMON.lines() {
            assert!(contains(line), "{line}");
        }
    }

    proptest! {
        #[test]
        fn text_is_common_only_as_a_whole_line(text in "\\PC{0,12}") {
            prop_assert_eq!(contains(&text), COMMON.lines().any(|line| line == text));
        }
    }
}
