//! Who is said to have changed, and so is to be read at the next load whatever else that reads.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// So many are remembered: more than a company has. What is beyond is found when everybody is read in turn.
const MOST: usize = 500_000;

/// Persons who are said to have changed.
#[derive(Debug, Default)]
pub(super) struct Marks(Mutex<HashSet<String>>);

impl Marks {
    /// Remembers this person.
    pub(super) fn note(&self, id: String) {
        let mut marked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if marked.len() < MOST {
            marked.insert(id);
        }
    }

    /// All who were noted since the last time.
    pub(super) fn take(&self) -> HashSet<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_noted_once_and_taken_once() {
        let marks = Marks::default();
        for id in ["7", "8", "7"] {
            marks.note(id.to_owned());
        }
        assert_eq!(marks.take(), HashSet::from(["7".to_owned(), "8".to_owned()]));
        assert_eq!(marks.take(), HashSet::new());
    }

    #[test]
    fn no_more_are_noted_than_can_be_kept() {
        let marks = Marks::default();
        for id in 0..=MOST {
            marks.note(id.to_string());
        }
        assert_eq!(marks.take().len(), MOST);
        marks.note("7".to_owned());
        assert_eq!(marks.take().len(), 1, "once they are taken there is room again");
    }
}
