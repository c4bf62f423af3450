//! Index-based pagination (RFC 7644 §3.4.2.4), and the page size of cursor-based pagination (RFC
//! 9865 §2).

use std::ops::Range;

use crate::scim::{InvalidQuery, ScimType};

/// Page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Index of the first resource, counted from 1.
    start_index: usize,
    count: usize,
}

impl PageRequest {
    /// Parses `startIndex` and `count`.
    ///
    /// "A value less than 1 SHALL be interpreted as 1", "a negative value SHALL be interpreted as
    /// '0'" (RFC 7644 table 6). Without `count`, the page has `max_results` resources, because some
    /// clients send one request and never page.
    ///
    /// # Errors
    /// If either is not a whole number.
    pub fn parse(
        start_index: Option<&str>,
        count: Option<&str>,
        max_results: usize,
    ) -> Result<Self, InvalidQuery> {
        let start_index = match start_index {
            Some(text) => parse_number("startIndex", text)?.max(1),
            None => 1,
        };
        let count = match count {
            Some(text) => parse_number("count", text)?.min(max_results),
            None => max_results,
        };
        Ok(Self { start_index, count })
    }

    /// Returns the page of `count` resources that follows the first `offset` resources.
    #[must_use]
    pub fn at_offset(offset: usize, count: usize) -> Self {
        Self { start_index: offset.saturating_add(1), count }
    }

    /// Parses `count` of a query with a cursor. A size that is not possible gives `invalidCount`
    /// (RFC 9865 §2). Zero requests only the total; a negative value is interpreted as zero, as
    /// without a cursor.
    ///
    /// # Errors
    /// If it is not a whole number, or greater than `max_results`.
    pub fn parse_count_with_cursor(count: &str, max_results: usize) -> Result<usize, InvalidQuery> {
        match parse_number("count", count) {
            Ok(size) if size <= max_results => Ok(size),
            Ok(_) | Err(_) => {
                let limit = format!("must be a whole number of at most {max_results}");
                let detail = format!("with a cursor, count {limit}");
                Err(InvalidQuery { scim_type: ScimType::InvalidCount, detail })
            }
        }
    }

    /// Returns the maximum number of resources on the page.
    #[must_use]
    pub fn count(self) -> usize {
        self.count
    }

    /// Returns the index of the first resource, counted from 1.
    #[must_use]
    pub fn start_index(self) -> usize {
        self.start_index
    }

    /// Returns the indexes of the page, counted from 0, in a list of `total` resources.
    #[must_use]
    pub fn range(self, total: usize) -> Range<usize> {
        let start = (self.start_index - 1).min(total);
        start..start.saturating_add(self.count).min(total)
    }
}

/// Maximum value of a parameter. A larger number is interpreted as this one: the response repeats
/// `startIndex`, and clients store it in 32 bits.
const MAX_NUMBER: usize = i32::MAX as usize;

/// Parses a whole number of any size. A negative number gives zero.
fn parse_number(parameter: &'static str, text: &str) -> Result<usize, InvalidQuery> {
    let text = text.trim();
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let detail = format!("{parameter} must be a whole number");
        return Err(InvalidQuery { scim_type: ScimType::InvalidValue, detail });
    }
    if is_negative {
        return Ok(0);
    }
    Ok(digits.parse().unwrap_or(MAX_NUMBER).min(MAX_NUMBER))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the page of a list of 250 resources, with pages of at most 1000.
    fn page(start: Option<&str>, count: Option<&str>) -> Result<Range<usize>, InvalidQuery> {
        Ok(PageRequest::parse(start, count, 1000)?.range(250))
    }

    #[test]
    fn numbers_out_of_range_are_interpreted_as_the_rfc_requires() {
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
            assert_eq!(page(start, count), Ok(expected), "{start:?} {count:?}");
        }
    }

    #[test]
    fn text_that_is_not_a_whole_number_is_refused() {
        for text in ["", "x", "1.5", "1e3", "--1", "0x10", "١"] {
            let error = page(Some(text), None).unwrap_err();
            assert_eq!(error.detail, "startIndex must be a whole number", "{text:?}");
            let error = page(None, Some(text)).unwrap_err();
            assert_eq!(error.detail, "count must be a whole number", "{text:?}");
        }
    }

    #[test]
    fn page_is_never_larger_than_max_results() {
        let paging = PageRequest::parse(None, Some("5000"), 1000).unwrap();
        assert_eq!(paging.range(5000), 0..1000);
    }

    proptest! {
        #[test]
        fn pages_of_every_size_partition_the_list(total in 0usize..500, size in 1usize..60) {
            let mut seen = Vec::new();
            let size = size.to_string();
            loop {
                let start = (seen.len() + 1).to_string();
                let paging = PageRequest::parse(Some(&start), Some(&size), 1000).unwrap();
                let page = paging.range(total);
                if page.is_empty() {
                    break;
                }
                seen.extend(page);
            }
            prop_assert_eq!(seen, (0..total).collect::<Vec<_>>());
        }

        #[test]
        fn no_text_panics(start in ".{0,12}", count in ".{0,12}", total in 0usize..50) {
            if let Ok(paging) = PageRequest::parse(Some(&start), Some(&count), 1000) {
                let range = paging.range(total);
                prop_assert!(range.start <= range.end && range.end <= total);
            }
        }
    }
}
