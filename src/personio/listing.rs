//! What is collected while the pages of a listing are read, within limits.

use std::collections::HashMap;

use crate::personio::limits::ListingLimits;

/// Number of entries that may be unreadable in any listing, unless they are more than half of it.
const MAX_UNREADABLE: usize = 10;
/// In a large listing one entry in so many may be unreadable.
const UNREADABLE_SHARE: usize = 20;

/// An entry that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Read<T> {
    /// The entry.
    pub value: T,
    /// Names of its attributes whose values could not be taken as they are.
    pub odd: Vec<Box<str>>,
}

/// All entries of a listing, each once.
#[derive(Debug)]
pub struct Listing<K> {
    /// The entries that could be read, in the order in which they first came.
    pub entries: Vec<K>,
    /// The others.
    pub unreadable: Vec<UnreadableEntry>,
}

/// An entry of a listing that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableEntry {
    /// Its id, where that can be read.
    pub id: Option<String>,
    /// The attribute that cannot be read.
    pub attribute: &'static str,
}

/// Entries with distinct ids, in the order in which they first came.
pub(super) struct Collected<K> {
    limits: ListingLimits,
    entries: Vec<K>,
    positions: HashMap<String, usize>,
    unreadable: HashMap<String, &'static str>,
    /// Attributes of the unreadable entries without an id.
    without_id: Vec<&'static str>,
    pages: usize,
    bytes: usize,
}

impl<K> Collected<K> {
    pub(super) fn new(limits: ListingLimits) -> Self {
        Self {
            limits,
            entries: Vec::new(),
            positions: HashMap::new(),
            unreadable: HashMap::new(),
            without_id: Vec::new(),
            pages: 0,
            bytes: 0,
        }
    }

    /// Returns the number of distinct entries.
    pub(super) fn len(&self) -> usize {
        self.entries.len() + self.unreadable.len() + self.without_id.len()
    }

    /// Adds an entry. What came before under this id is replaced.
    pub(super) fn insert(&mut self, id: String, entry: K) {
        let position = *self.positions.entry(id).or_insert(self.entries.len());
        match self.entries.get_mut(position) {
            Some(earlier) => *earlier = entry,
            None => self.entries.push(entry),
        }
    }

    /// Adds an entry that cannot be read. One that could be read before stays.
    pub(super) fn insert_unreadable(&mut self, id: Option<String>, attribute: &'static str) {
        match id {
            Some(id) if self.positions.contains_key(&id) => {}
            Some(id) => drop(self.unreadable.insert(id, attribute)),
            None => self.without_id.push(attribute),
        }
    }

    /// Counts a page of so many bytes.
    ///
    /// # Errors
    /// When a limit is exceeded; the text names it.
    pub(super) fn count_page(&mut self, bytes: usize) -> Result<(), String> {
        self.pages += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        let ListingLimits { pages, bytes, .. } = self.limits;
        if self.pages > pages {
            return Err(format!("it has more than {pages} pages, the limit of one listing"));
        }
        if self.bytes > bytes {
            return Err(format!("its pages are larger than {bytes} bytes together, the limit of one listing"));
        }
        Ok(())
    }

    /// Checks the number of entries.
    ///
    /// # Errors
    /// When there are more than the limit, which the text names.
    pub(super) fn check_entries(&self) -> Result<(), String> {
        let limit = self.limits.entries;
        if self.len() > limit {
            return Err(format!("it has more than {limit} entries, the limit of one listing"));
        }
        Ok(())
    }

    /// Returns the listing.
    ///
    /// # Errors
    /// When so much of it is unreadable that something larger is wrong.
    pub(super) fn finish(mut self) -> Result<Listing<K>, String> {
        self.unreadable.retain(|id, _| !self.positions.contains_key(id));
        let all = self.len();
        let mut unreadable: Vec<_> = self.unreadable.into_iter().collect();
        unreadable.sort_unstable();
        let mut unreadable: Vec<_> =
            unreadable.into_iter().map(|(id, attribute)| UnreadableEntry { id: Some(id), attribute }).collect();
        for attribute in self.without_id {
            unreadable.push(UnreadableEntry { id: None, attribute });
        }
        if let Some(first) = unreadable.first().filter(|_| unreadable.len() > tolerated(all)) {
            let (count, attribute) = (unreadable.len(), first.attribute);
            return Err(format!("{count} of {all} entries cannot be read, for example `{attribute}` of one"));
        }
        Ok(Listing { entries: self.entries, unreadable })
    }
}

/// Returns how many of so many entries may be unreadable: 10, or 5 % where that is more, but never more than half.
fn tolerated(entries: usize) -> usize {
    MAX_UNREADABLE.min(entries / 2).max(entries / UNREADABLE_SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ListingLimits = ListingLimits { entries: 1000, pages: 2, bytes: 10 };

    #[test]
    fn so_many_entries_may_be_unreadable_and_no_more() {
        for (all, expected) in
            [(1, 0), (2, 1), (3, 1), (10, 5), (20, 10), (21, 10), (200, 10), (219, 10), (220, 11), (1000, 50)]
        {
            assert_eq!(tolerated(all), expected, "{all}");
            for (unreadable, is_listing) in [(expected, true), (expected + 1, false)] {
                let mut collected = Collected::new(LIMITS);
                for id in 0..unreadable {
                    collected.insert_unreadable((id % 2 == 0).then(|| id.to_string()), "email");
                }
                for id in unreadable..all {
                    collected.insert(id.to_string(), id);
                }
                assert_eq!(collected.finish().is_ok(), is_listing, "{unreadable} of {all}");
            }
        }
    }

    #[test]
    fn of_one_entry_that_comes_twice_the_readable_one_counts() {
        let mut collected = Collected::new(LIMITS);
        collected.insert("1".to_owned(), "old");
        collected.insert("1".to_owned(), "new");
        collected.insert_unreadable(Some("1".to_owned()), "email");
        collected.insert_unreadable(Some("2".to_owned()), "email");
        collected.insert("2".to_owned(), "two");
        let listing = collected.finish().unwrap();
        assert_eq!((listing.entries, listing.unreadable), (vec!["new", "two"], vec![]));
    }

    #[test]
    fn each_limit_is_named_where_it_is_exceeded() {
        let mut collected = Collected::<usize>::new(ListingLimits { entries: 2, ..LIMITS });
        assert!(collected.count_page(5).is_ok() && collected.count_page(5).is_ok());
        assert!(collected.count_page(0).unwrap_err().contains("more than 2 pages"));
        let mut large = Collected::<usize>::new(LIMITS);
        assert!(large.count_page(11).unwrap_err().contains("larger than 10 bytes"));
        collected.insert("1".to_owned(), 1);
        collected.insert_unreadable(None, "id");
        assert!(collected.check_entries().is_ok());
        collected.insert("2".to_owned(), 2);
        assert!(collected.check_entries().unwrap_err().contains("more than 2 entries"));
    }
}
