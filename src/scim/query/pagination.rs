//! Index-based paging (RFC 7644 §3.4.2.4): which part of a list a client asks for.

use std::ops::Range;

use crate::scim::{InvalidQuery, ScimType};

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    start_index: usize,
    count: usize,
}

impl Paging {
    /// Reads `startIndex` and `count` as a client writes them.
    ///
    /// "A value less than 1 SHALL be interpreted as 1", "a negative value SHALL be interpreted as
    /// '0'" (RFC 7644 table 6). Without `count` the page is as large as `max_results` allows, since
    /// there are clients that ask once and never page.
    ///
    /// # Errors
    /// When either is not a whole number.
    pub fn parse(start_index: Option<&str>, count: Option<&str>, max_results: usize) -> Result<Self, InvalidQuery> {
        let start_index = start_index.map(|text| number("startIndex", text)).transpose()?;
        let count = count.map(|text| number("count", text)).transpose()?;
        Ok(Self { start_index: start_index.unwrap_or(1).max(1), count: count.unwrap_or(max_results).min(max_results) })
    }

    /// The page that a walk with a cursor begins with, or has come to after `offset` resources.
    #[must_use]
    pub fn after(offset: usize, count: usize) -> Self {
        Self { start_index: offset.saturating_add(1), count }
    }

    /// Reads `count` as it goes with a cursor: "invalidCount" if there are no pages of that size (RFC 9865 §2).
    /// Zero asks for the total only, and what is below it reads as zero, as without a cursor.
    ///
    /// # Errors
    /// When it is no whole number, or more than `max_results`.
    pub fn page_size(count: &str, max_results: usize) -> Result<usize, InvalidQuery> {
        let size = number("count", count).ok().filter(|size| *size <= max_results);
        size.ok_or_else(|| InvalidQuery {
            scim_type: ScimType::InvalidCount,
            detail: format!("with a cursor, count must be a whole number of at most {max_results}"),
        })
    }

    /// The largest size of the page.
    #[must_use]
    pub fn count(self) -> usize {
        self.count
    }

    /// The 1-based index of the first resource asked for.
    #[must_use]
    pub fn start_index(self) -> usize {
        self.start_index
    }

    /// The resources asked for, out of `total`.
    #[must_use]
    pub fn range(self, total: usize) -> Range<usize> {
        let start = (self.start_index - 1).min(total);
        start..start.saturating_add(self.count).min(total)
    }
}

/// What a larger number reads as: `startIndex` is told back, and clients read it into 32 bits.
const LARGEST: usize = i32::MAX as usize;

/// A whole number of any size; what is below zero reads as zero, what is too large as the largest.
fn number(parameter: &'static str, text: &str) -> Result<usize, InvalidQuery> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let detail = format!("{parameter} must be a whole number");
        return Err(InvalidQuery { scim_type: ScimType::InvalidValue, detail });
    }
    Ok(if negative { 0 } else { digits.parse().unwrap_or(LARGEST).min(LARGEST) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn odd_numbers_read_as_the_rfc_says() {
        let range = |start, count| Paging::parse(start, count, 1000).map(|paging| paging.range(250));
        for (start, count, expected) in [
            (None, None, 0..250),
            (Some("1"), Some("100"), 0..100),
            (Some("101"), Some("100"), 100..200),
            (Some("201"), Some("100"), 200..250),
            (Some("0"), Some("10"), 0..10),
            (Some("-5"), Some("10"), 0..10),
            (Some("1"), Some("0"), 0..0),
            (Some("1"), Some("-1"), 0..0),
            (Some("251"), Some("10"), 250..250),
            (Some("99999999999999999999999"), None, 250..250),
            (Some(" 3"), Some("+2"), 2..4),
        ] {
            assert_eq!(range(start, count), Ok(expected), "{start:?} {count:?}");
        }
        for text in ["", "x", "1.5", "1e3", "--1", "0x10", "١"] {
            let message = |start, count| range(start, count).unwrap_err().detail;
            assert_eq!(message(Some(text), None), "startIndex must be a whole number", "{text:?}");
            assert_eq!(message(None, Some(text)), "count must be a whole number", "{text:?}");
        }
    }

    #[test]
    fn a_page_is_never_larger_than_the_cap() {
        let paging = Paging::parse(None, Some("5000"), 1000).unwrap();
        assert_eq!(paging.range(5000), 0..1000);
    }

    proptest! {
        #[test]
        fn pages_of_every_size_partition_the_list(total in 0usize..500, size in 1usize..60) {
            let mut seen = Vec::new();
            loop {
                let start = (seen.len() + 1).to_string();
                let page = Paging::parse(Some(&start), Some(&size.to_string()), 1000).unwrap().range(total);
                if page.is_empty() {
                    break;
                }
                seen.extend(page);
            }
            prop_assert_eq!(seen, (0..total).collect::<Vec<_>>());
        }

        #[test]
        fn no_text_panics(start in ".{0,12}", count in ".{0,12}", total in 0usize..50) {
            if let Ok(paging) = Paging::parse(Some(&start), Some(&count), 1000) {
                let range = paging.range(total);
                prop_assert!(range.start <= range.end && range.end <= total);
            }
        }
    }
}
