//! Size limits of data read from Personio. No real company reaches them; they stop an endless or
//! damaged upstream.

/// Size limits of data read from Personio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Maximum size of one response, in bytes.
    pub response_bytes: usize,
    /// Maximum size of one text, in bytes. A longer text counts as absent.
    pub text_bytes: usize,
    /// Maximum size of the records of all persons and their employments, in bytes.
    pub record_bytes: usize,
    /// Limits of the listing of all persons.
    pub persons: ListingLimits,
    /// Limits of the employments of one person.
    pub employments: ListingLimits,
    /// Limits of the list of one look-up.
    pub names: ListingLimits,
}

/// Size limits of one listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListingLimits {
    /// Maximum number of entries on all pages.
    pub entries: usize,
    /// Maximum number of pages, including empty ones.
    pub pages: usize,
    /// Maximum size of all pages, in bytes.
    pub bytes: usize,
}

impl ReadLimits {
    /// Default maximum size of one response. A page of 50 persons has about 200 kB.
    pub const MAX_RESPONSE_BYTES: usize = 16 * 1024 * 1024;
    /// Default maximum size of one text. Names and titles have less than 200 bytes.
    pub const MAX_TEXT_BYTES: usize = 64 * 1024;
    /// Default maximum size of all records: 2 kB for each of a million persons.
    pub const MAX_RECORD_BYTES: usize = 2 * 1024 * 1024 * 1024;
    /// Default limits of the persons: a million, twice the pages that they fill, 32 kB for each.
    pub const PERSON_LISTING_LIMITS: ListingLimits =
        ListingLimits { entries: 1_000_000, pages: 40_000, bytes: 32 * 1024 * 1_000_000 };
    /// Default limits of the employments of one person. Each rehire adds an employment.
    pub const EMPLOYMENT_LISTING_LIMITS: ListingLimits =
        ListingLimits { entries: 1_000, pages: 100, bytes: 16 * 1024 * 1024 };
    /// Default limits of the list of one look-up.
    pub const LOOKUP_LISTING_LIMITS: ListingLimits =
        ListingLimits { entries: 10_000, pages: 1_000, bytes: 64 * 1024 * 1024 };
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            response_bytes: Self::MAX_RESPONSE_BYTES,
            text_bytes: Self::MAX_TEXT_BYTES,
            record_bytes: Self::MAX_RECORD_BYTES,
            persons: Self::PERSON_LISTING_LIMITS,
            employments: Self::EMPLOYMENT_LISTING_LIMITS,
            names: Self::LOOKUP_LISTING_LIMITS,
        }
    }
}
