//! Sync state of a load: the data from which it made its users. The directory keeps it while these
//! users are served, to make them again on another day or after a restart, and passes it to the next
//! load.

use std::sync::Arc;

use crate::directory::{SourceError, SyncState};
use crate::sync::active_mapping::ActiveMapping;
use crate::sync::records::Records;

/// Records of a load and the mapping that it used.
pub struct MappedRecords {
    pub(crate) records: Arc<Records>,
    pub(crate) mapping: Arc<ActiveMapping>,
}

impl MappedRecords {
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
