//! Data from which a load made its users. The directory holds it to make them again on another day
//! or after a restart.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::directory::{Memory, SourceError};
use crate::sync::active_mapping::Choice;
use crate::sync::records::Records;

/// Records of a load and the mapping that it used.
pub(crate) struct Remembered {
    pub(crate) records: Arc<Records>,
    pub(crate) choice: Arc<Choice>,
}

impl Remembered {
    /// Returns the state if it comes from this kind of source.
    pub(crate) fn of(memory: &Arc<dyn Memory>) -> Option<&Self> {
        let remembered: &dyn Any = &**memory;
        remembered.downcast_ref()
    }

    /// Reports whether both states give the same users on the same day.
    pub(crate) fn makes_the_same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.choice, &other.choice) && self.records.gives_same_users_as(&other.records)
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
