//! Entries collected while the pages of a listing are read, within limits.

use std::collections::HashMap;

use crate::personio::limits::ListingLimits;

/// Maximum number of unreadable entries in a small listing, unless half of it are fewer.
const MAX_UNREADABLE_ENTRIES: usize = 10;
/// Minimum number of entries for each unreadable one in a large listing (5 %).
const ENTRIES_PER_UNREADABLE: usize = 20;

/// Parsed entry, and the names of its malformed attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedEntry<T> {
    /// Entry itself.
    pub value: T,
    /// Names of attributes with a malformed value, which was repaired or dropped.
    pub malformed: Vec<Box<str>>,
}

/// All entries of a listing, each once.
#[derive(Debug)]
pub struct CompleteListing<T> {
    /// Readable entries, in the order of their first occurrence.
    pub entries: Vec<T>,
    /// Unreadable entries.
    pub unreadable: Vec<UnreadableEntry>,
}

/// Entry of a listing that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableEntry {
    /// Id, if it can be read.
    pub id: Option<String>,
    /// Attribute that cannot be read.
    pub attribute: &'static str,
}

/// Collector of the entries of a listing. An entry that occurs on two pages counts once.
pub(super) struct ListingCollector<T> {
    limits: ListingLimits,
    entries: Vec<T>,
    /// Position of each id in `entries`.
    positions: HashMap<String, usize>,
    /// Unreadable attribute by id of the entry.
    unreadable: HashMap<String, &'static str>,
    /// Unreadable attribute of each entry without a readable id.
    unreadable_without_id: Vec<&'static str>,
    pages: usize,
    bytes: usize,
}

impl<T> ListingCollector<T> {
    pub(super) fn new(limits: ListingLimits) -> Self {
        Self {
            limits,
            entries: Vec::new(),
            positions: HashMap::new(),
            unreadable: HashMap::new(),
            unreadable_without_id: Vec::new(),
            pages: 0,
            bytes: 0,
        }
    }

    /// Returns the number of distinct entries.
    pub(super) fn len(&self) -> usize {
        self.entries.len() + self.unreadable.len() + self.unreadable_without_id.len()
    }

    /// Adds an entry, or replaces the earlier one with the same id.
    pub(super) fn insert(&mut self, id: String, entry: T) {
        let position = *self.positions.entry(id).or_insert(self.entries.len());
        match self.entries.get_mut(position) {
            Some(earlier) => *earlier = entry,
            None => self.entries.push(entry),
        }
    }

    /// Adds an unreadable entry, unless an entry with the same id was readable.
    pub(super) fn insert_unreadable(&mut self, id: Option<String>, attribute: &'static str) {
        match id {
            Some(id) if self.positions.contains_key(&id) => {}
            Some(id) => drop(self.unreadable.insert(id, attribute)),
            None => self.unreadable_without_id.push(attribute),
        }
    }

    /// Counts a page and its size.
    ///
    /// # Errors
    /// If a limit is exceeded; the text names the limit.
    pub(super) fn count_page(&mut self, bytes: usize) -> Result<(), String> {
        self.pages += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        let ListingLimits { pages: max_pages, bytes: max_bytes, .. } = self.limits;
        if self.pages > max_pages {
            return Err(format!("it has more than {max_pages} pages, the limit of one listing"));
        }
        if self.bytes > max_bytes {
            return Err(format!(
                "its pages are larger than {max_bytes} bytes together, the limit of one listing"
            ));
        }
        Ok(())
    }

    /// Checks the number of entries.
    ///
    /// # Errors
    /// If there are more entries than the limit; the text names the limit.
    pub(super) fn check_entries(&self) -> Result<(), String> {
        let limit = self.limits.entries;
        if self.len() > limit {
            return Err(format!("it has more than {limit} entries, the limit of one listing"));
        }
        Ok(())
    }

    /// Returns the listing. Unreadable entries with an id come first, ordered by id.
    ///
    /// # Errors
    /// If more entries are unreadable than damaged data of single persons can explain.
    pub(super) fn finish(mut self) -> Result<CompleteListing<T>, String> {
        self.unreadable.retain(|id, _| !self.positions.contains_key(id));
        let total = self.len();
        let mut with_id: Vec<_> = self.unreadable.into_iter().collect();
        with_id.sort_unstable();
        let mut unreadable = Vec::with_capacity(with_id.len() + self.unreadable_without_id.len());
        for (id, attribute) in with_id {
            unreadable.push(UnreadableEntry { id: Some(id), attribute });
        }
        for attribute in self.unreadable_without_id {
            unreadable.push(UnreadableEntry { id: None, attribute });
        }
        match unreadable.first() {
            Some(UnreadableEntry { attribute, .. }) if unreadable.len() > max_unreadable(total) => {
                let count = unreadable.len();
                Err(format!(
                    "{count} of {total} entries cannot be read, for example `{attribute}` of one"
                ))
            }
            _ => Ok(CompleteListing { entries: self.entries, unreadable }),
        }
    }
}

/// Returns the number of entries that may be unreadable: 10, or 5 % if that is more, but never more
/// than half.
fn max_unreadable(entries: usize) -> usize {
    MAX_UNREADABLE_ENTRIES.min(entries / 2).max(entries / ENTRIES_PER_UNREADABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ListingLimits = ListingLimits { entries: 1000, pages: 2, bytes: 10 };

    #[test]
    fn listing_fails_with_more_unreadable_entries_than_the_limit() {
        for (all, expected) in [
            (1, 0),
            (2, 1),
            (3, 1),
            (10, 5),
            (20, 10),
            (21, 10),
            (200, 10),
            (219, 10),
            (220, 11),
            (1000, 50),
        ] {
            assert_eq!(max_unreadable(all), expected, "{all}");
            for (unreadable, is_listing) in [(expected, true), (expected + 1, false)] {
                let mut collector = ListingCollector::new(LIMITS);
                for id in 0..unreadable {
                    collector.insert_unreadable((id % 2 == 0).then(|| id.to_string()), "email");
                }
                for id in unreadable..all {
                    collector.insert(id.to_string(), id);
                }
                assert_eq!(collector.finish().is_ok(), is_listing, "{unreadable} of {all}");
            }
        }
    }

    #[test]
    fn readable_entry_replaces_an_unreadable_one_with_the_same_id() {
        let mut collector = ListingCollector::new(LIMITS);
        collector.insert("1".to_owned(), "old");
        collector.insert("1".to_owned(), "new");
        collector.insert_unreadable(Some("1".to_owned()), "email");
        collector.insert_unreadable(Some("2".to_owned()), "email");
        collector.insert("2".to_owned(), "two");
        let listing = collector.finish().unwrap();
        assert_eq!((listing.entries, listing.unreadable), (vec!["new", "two"], vec![]));
    }

    #[test]
    fn error_names_the_exceeded_limit() {
        let mut collector = ListingCollector::<usize>::new(ListingLimits { entries: 2, ..LIMITS });
        assert!(collector.count_page(5).is_ok() && collector.count_page(5).is_ok());
        assert!(collector.count_page(0).unwrap_err().contains("more than 2 pages"));
        let mut large = ListingCollector::<usize>::new(LIMITS);
        assert!(large.count_page(11).unwrap_err().contains("larger than 10 bytes"));
        collector.insert("1".to_owned(), 1);
        collector.insert_unreadable(None, "id");
        assert!(collector.check_entries().is_ok());
        collector.insert("2".to_owned(), 2);
        assert!(collector.check_entries().unwrap_err().contains("more than 2 entries"));
    }
}
