//! Limits of what is read from Personio. No real company reaches them; an upstream that never ends does.

/// Limits of what is read from Personio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one answer.
    pub answer_bytes: usize,
    /// Bytes of one text. A longer one counts as absent.
    pub text_bytes: usize,
    /// Bytes of everything that is kept of all persons and their employments.
    pub record_bytes: usize,
    /// The listing of all persons.
    pub persons: ListingLimits,
    /// The employments of one person.
    pub employments: ListingLimits,
    /// The names of one look-up.
    pub names: ListingLimits,
}

/// Limits of one listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListingLimits {
    /// Entries on all its pages.
    pub entries: usize,
    /// Pages, empty ones included.
    pub pages: usize,
    /// Bytes of all its pages.
    pub bytes: usize,
}

impl Limits {
    /// Bytes of one answer: a page of 50 persons has about 200 kB.
    pub const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
    /// Bytes of one text: names and titles have less than 200.
    pub const MAX_TEXT_BYTES: usize = 64 * 1024;
    /// Bytes of all records: two kilobytes for each of a million persons.
    pub const MAX_RECORD_BYTES: usize = 2 * 1024 * 1024 * 1024;
    /// Number of persons, twice the pages that they fill, and 32 kB for each.
    pub const MAX_PERSONS: ListingLimits =
        ListingLimits { entries: 1_000_000, pages: 40_000, bytes: 32 * 1024 * 1_000_000 };
    /// Number of employments of one person: a rehire adds one.
    pub const MAX_EMPLOYMENTS: ListingLimits = ListingLimits { entries: 1_000, pages: 100, bytes: 16 * 1024 * 1024 };
    /// Number of names of one look-up.
    pub const MAX_NAMES: ListingLimits = ListingLimits { entries: 10_000, pages: 1_000, bytes: 64 * 1024 * 1024 };
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            answer_bytes: Self::MAX_ANSWER_BYTES,
            text_bytes: Self::MAX_TEXT_BYTES,
            record_bytes: Self::MAX_RECORD_BYTES,
            persons: Self::MAX_PERSONS,
            employments: Self::MAX_EMPLOYMENTS,
            names: Self::MAX_NAMES,
        }
    }
}
