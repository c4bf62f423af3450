//! How texts compare (RFC 7643 §2.2): as they are where `caseExact`, otherwise in lower case, character
//! by character. Nothing is allocated: filters do this for every resource.

use std::cmp::Ordering;

/// Whether case matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Exact,
    Ignored,
}

impl Case {
    pub(super) fn of(case_exact: bool) -> Self {
        if case_exact { Self::Exact } else { Self::Ignored }
    }

    pub(super) fn compare(self, one: &str, other: &str) -> Ordering {
        match self {
            Self::Exact => one.cmp(other),
            Self::Ignored if one.is_ascii() && other.is_ascii() => one
                .bytes()
                .map(|byte| byte.to_ascii_lowercase())
                .cmp(other.bytes().map(|byte| byte.to_ascii_lowercase())),
            Self::Ignored => folded(one).cmp(folded(other)),
        }
    }

    pub(super) fn equal(self, one: &str, other: &str) -> bool {
        match self {
            Self::Exact => one == other,
            Self::Ignored if one.is_ascii() && other.is_ascii() => one.eq_ignore_ascii_case(other),
            Self::Ignored => folded(one).eq(folded(other)),
        }
    }

    pub(super) fn starts_with(self, text: &str, start: &str) -> bool {
        match self {
            Self::Exact => text.starts_with(start),
            Self::Ignored if text.is_ascii() && start.is_ascii() => {
                text.get(..start.len()).is_some_and(|text| text.eq_ignore_ascii_case(start))
            }
            Self::Ignored => begins(folded(text), start).is_some(),
        }
    }

    pub(super) fn ends_with(self, text: &str, end: &str) -> bool {
        match self {
            Self::Exact => text.ends_with(end),
            Self::Ignored if text.is_ascii() && end.is_ascii() => {
                let tail = text.len().checked_sub(end.len()).and_then(|start| text.get(start..));
                tail.is_some_and(|text| text.eq_ignore_ascii_case(end))
            }
            Self::Ignored => {
                let length = folded(end).count();
                let skipped = folded(text).count().checked_sub(length);
                skipped.is_some_and(|skipped| folded(text).skip(skipped).eq(folded(end)))
            }
        }
    }

    pub(super) fn contains(self, text: &str, part: &str) -> bool {
        match self {
            Self::Exact => text.contains(part),
            Self::Ignored if text.is_ascii() && part.is_ascii() => {
                let (text, part) = (text.as_bytes(), part.as_bytes());
                part.is_empty() || text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
            }
            Self::Ignored => {
                let mut rest = folded(text);
                loop {
                    if begins(rest.clone(), part).is_some() {
                        return true;
                    }
                    if rest.next().is_none() {
                        return false;
                    }
                }
            }
        }
    }
}

/// In lower case, whatever follows: the small sigma at the end of a word is the same letter.
fn folded(text: &str) -> impl Iterator<Item = char> + Clone {
    text.chars().flat_map(char::to_lowercase).map(|char| if char == 'ς' { 'σ' } else { char })
}

fn begins(mut text: impl Iterator<Item = char>, start: &str) -> Option<()> {
    folded(start).try_for_each(|char| (text.next() == Some(char)).then_some(()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_is_ignored_in_every_script() {
        for (one, other) in [("Müller", "MÜLLER"), ("ΟΔΟΣ", "οδος"), ("K", "\u{212a}"), ("Éa", "éA"), ("ЖУК", "жук")]
        {
            assert!(Case::Ignored.equal(one, other), "{one} {other}");
            assert!(!Case::Exact.equal(one, other), "{one} {other}");
        }
        assert!(!Case::Ignored.equal("Straße", "Strasse"));
        assert!(Case::Ignored.contains("xMÜLLERx", "üll"));
        assert!(Case::Ignored.ends_with("MÜLLER", "er"));
        assert!(!Case::Ignored.ends_with("er", "MÜLLER"));
        assert!(Case::Ignored.starts_with("MÜLLER", "mü"));
    }

    proptest! {
        #[test]
        fn without_case_is_as_in_lower_case(one in "[a-zA-ZäÄéÉ ]{0,8}", other in "[a-zA-ZäÄéÉ ]{0,3}") {
            let (low_one, low_other) = (one.to_lowercase(), other.to_lowercase());
            let case = Case::Ignored;
            prop_assert_eq!(case.equal(&one, &other), low_one == low_other);
            prop_assert_eq!(case.contains(&one, &other), low_one.contains(&low_other));
            prop_assert_eq!(case.starts_with(&one, &other), low_one.starts_with(&low_other));
            prop_assert_eq!(case.ends_with(&one, &other), low_one.ends_with(&low_other));
            prop_assert_eq!(case.compare(&one, &other), low_one.cmp(&low_other));
        }

        #[test]
        fn equal_texts_compare_as_equal(one in ".{0,4}", other in ".{0,4}") {
            for case in [Case::Exact, Case::Ignored] {
                prop_assert_eq!(case.equal(&one, &other), case.compare(&one, &other).is_eq());
                prop_assert!(case.contains(&one, &one) && case.starts_with(&one, &one) && case.ends_with(&one, &one));
            }
        }
    }
}
