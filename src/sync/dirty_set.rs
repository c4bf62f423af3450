//! Who is said to have changed, and so is to be read at the next load whatever else that reads.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// So many are remembered: more than a company has. What is beyond is found when everybody is read in turn.
const MOST: usize = 500_000;

/// Persons who are said to have changed.
#[derive(Debug, Default)]
pub(crate) struct Marks(Mutex<HashSet<String>>);

impl Marks {
    /// Remembers this person.
    pub(crate) fn note(&self, id: String) {
        let mut marked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if marked.len() < MOST {
            marked.insert(id);
        }
    }

    /// All who were noted since the last time; they are noted again unless they [are seen](Taken::are_seen_but).
    pub(crate) fn take(&self) -> Taken<'_> {
        let ids = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        Taken { marks: self, ids }
    }
}

/// Those whom a load reads. It may fail or break off.
#[derive(Debug)]
pub(crate) struct Taken<'m> {
    marks: &'m Marks,
    ids: HashSet<String>,
}

impl Taken<'_> {
    pub(crate) fn ids(&self) -> &HashSet<String> {
        &self.ids
    }

    /// They have been read, but for those.
    pub(crate) fn are_seen_but(mut self, others: &HashSet<Box<str>>) {
        self.ids.retain(|id| others.contains(id.as_str()));
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.ids.drain().for_each(|id| self.marks.note(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_noted_once_and_until_they_are_seen() {
        let marks = Marks::default();
        for id in ["7", "8", "7"] {
            marks.note(id.to_owned());
        }
        let taken = marks.take();
        assert_eq!(*taken.ids(), HashSet::from(["7".to_owned(), "8".to_owned()]));
        assert_eq!(*marks.take().ids(), HashSet::new());
        marks.note("9".to_owned());
        drop(taken);
        let all = marks.take();
        assert_eq!(all.ids().len(), 3, "the load has failed");
        all.are_seen_but(&HashSet::from(["8".into(), "88".into()]));
        let left = marks.take();
        assert_eq!(*left.ids(), HashSet::from(["8".to_owned()]));
        left.are_seen_but(&HashSet::new());
        assert_eq!(*marks.take().ids(), HashSet::new());
    }

    #[test]
    fn no_more_are_noted_than_can_be_kept() {
        let marks = Marks::default();
        for id in 0..=MOST {
            marks.note(id.to_string());
        }
        let all = marks.take();
        assert_eq!(all.ids().len(), MOST);
        all.are_seen_but(&HashSet::new());
        marks.note("7".to_owned());
        assert_eq!(marks.take().ids().len(), 1, "once they are seen there is room again");
    }
}
