//! What users were made of, for the directory to keep.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::records::Records;
use super::source::Choice;
use crate::directory::{Memory, SourceError};

/// What users were made of, and by which choice.
pub(super) struct Remembered {
    pub(super) records: Arc<Records>,
    pub(super) choice: Arc<Choice>,
}

impl Remembered {
    pub(super) fn of(memory: &Arc<dyn Memory>) -> Option<&Self> {
        let remembered: &dyn Any = &**memory;
        remembered.downcast_ref()
    }

    /// Whether the same users are made of both, on one day.
    pub(super) fn makes_the_same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.choice, &other.choice) && self.records.make_the_same_as(&other.records)
    }
}

impl Memory for Remembered {
    fn to_bytes(&self) -> Result<Vec<u8>, SourceError> {
        self.records.to_bytes()
    }
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remembered").finish_non_exhaustive()
    }
}
