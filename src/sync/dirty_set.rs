//! Dirty set: ids of persons that a webhook reported as changed. The next load reads their
//! employments, in addition to those of its recheck schedule.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Maximum number of ids, more than a company has persons. It bounds the memory. A periodic recheck
/// finds changes beyond it.
const MAX_DIRTY_IDS: usize = 500_000;

/// Ids of persons that were reported as changed.
#[derive(Debug, Default)]
pub(crate) struct DirtySet(Mutex<HashSet<String>>);

impl DirtySet {
    /// Adds the id of a person, unless the set is full.
    pub(crate) fn insert(&self, id: String) {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.len() < MAX_DIRTY_IDS {
            ids.insert(id);
        }
    }

    /// Takes all ids out of the set. On drop, the ids that the load did not read return to it.
    pub(crate) fn take(&self) -> TakenDirtyIds<'_> {
        let ids = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        TakenDirtyIds { dirty_set: self, ids }
    }
}

/// Dirty ids that a running load reads. The load can fail or be cancelled, so the remaining ids
/// return to the set on drop.
#[derive(Debug)]
pub(crate) struct TakenDirtyIds<'m> {
    dirty_set: &'m DirtySet,
    ids: HashSet<String>,
}

impl TakenDirtyIds<'_> {
    pub(crate) fn ids(&self) -> &HashSet<String> {
        &self.ids
    }

    /// Discards the ids, which have been read. Only `others` return to the set.
    pub(crate) fn finish_except(mut self, others: &HashSet<Box<str>>) {
        self.ids.retain(|id| others.contains(id.as_str()));
    }
}

impl Drop for TakenDirtyIds<'_> {
    fn drop(&mut self) {
        for id in self.ids.drain() {
            self.dirty_set.insert(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_until_a_load_has_read_them() {
        let dirty_set = DirtySet::default();
        for id in ["7", "8", "7"] {
            dirty_set.insert(id.to_owned());
        }
        let taken = dirty_set.take();
        assert_eq!(*taken.ids(), HashSet::from(["7".to_owned(), "8".to_owned()]));
        assert_eq!(*dirty_set.take().ids(), HashSet::new());
        dirty_set.insert("9".to_owned());
        drop(taken);
        let all = dirty_set.take();
        assert_eq!(all.ids().len(), 3, "the load has failed");
        all.finish_except(&HashSet::from(["8".into(), "88".into()]));
        let left = dirty_set.take();
        assert_eq!(*left.ids(), HashSet::from(["8".to_owned()]));
        left.finish_except(&HashSet::new());
        assert_eq!(*dirty_set.take().ids(), HashSet::new());
    }

    #[test]
    fn full_set_accepts_no_more_ids() {
        let dirty_set = DirtySet::default();
        for id in 0..=MAX_DIRTY_IDS {
            dirty_set.insert(id.to_string());
        }
        let all = dirty_set.take();
        assert_eq!(all.ids().len(), MAX_DIRTY_IDS);
        all.finish_except(&HashSet::new());
        dirty_set.insert("7".to_owned());
        assert_eq!(dirty_set.take().ids().len(), 1, "the set has room again once the ids are read");
    }
}
