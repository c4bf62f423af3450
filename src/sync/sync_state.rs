//! Data from which a load made its users. The directory holds it to make them again on another day
//! or after a restart.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::directory::{SourceError, SyncState};
use crate::sync::active_mapping::ActiveMapping;
use crate::sync::records::Records;

/// Records of a load and the mapping that it used.
pub(crate) struct MappedRecords {
    pub(crate) records: Arc<Records>,
    pub(crate) mapping: Arc<ActiveMapping>,
}

impl MappedRecords {
    /// Returns the state if it comes from this kind of source.
    pub(crate) fn from_state(state: &Arc<dyn SyncState>) -> Option<&Self> {
        let any: &dyn Any = &**state;
        any.downcast_ref()
    }

    /// Reports whether both states give the same users on the same day.
    pub(crate) fn gives_same_users_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mapping, &other.mapping)
            && self.records.gives_same_users_as(&other.records)
    }
}

impl SyncState for MappedRecords {
    fn to_bytes(&self) -> Result<Vec<u8>, SourceError> {
        self.records.to_bytes()
    }
}

impl fmt::Debug for MappedRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MappedRecords").finish_non_exhaustive()
    }
}
