//! Sync state of a load: the data from which it made its users. The directory keeps it while these
//! users are served, to make them again on another day or after a restart, and passes it to the next
//! load.

use std::sync::Arc;

use crate::directory::{SourceError, SyncState};
use crate::sync::active_mapping::ActiveMapping;
use crate::sync::record_mapping::{self, MappedPerson};
use crate::sync::records::Records;

/// Records of a load, and the mapping that it uses.
#[derive(Clone)]
pub(crate) struct UnmappedRecords {
    pub(crate) records: Arc<Records>,
    pub(crate) mapping: Arc<ActiveMapping>,
}

/// Records of a load that were mapped to users.
pub struct MappedRecords {
    pub(crate) records: Arc<Records>,
    pub(crate) mapping: Arc<ActiveMapping>,
    /// Persons with a complete record, in list order, as they were mapped.
    pub(super) persons: Vec<MappedPerson>,
}

impl MappedRecords {
    /// Returns the records without what was mapped.
    pub(super) fn unmapped(&self) -> UnmappedRecords {
        let (records, mapping) = (Arc::clone(&self.records), Arc::clone(&self.mapping));
        UnmappedRecords { records, mapping }
    }
}

impl UnmappedRecords {
    /// Returns the sync state of these records without mapping them, if they give the same users
    /// as `served` on the same day.
    pub(super) fn mapped_like(&self, served: &MappedRecords) -> Option<MappedRecords> {
        let is_same = Arc::ptr_eq(&self.mapping, &served.mapping)
            && self.records.gives_same_users_as(&served.records);
        if !is_same {
            return None;
        }
        let persons = record_mapping::with_records(&served.persons, &self.records.by_id)?;
        let Self { records, mapping } = self.clone();
        Some(MappedRecords { records, mapping, persons })
    }

    /// Reports whether a person with the same record in `served` can be the same user: the mapping
    /// and the look-up names are the same.
    pub(super) fn is_comparable_with(&self, served: &MappedRecords) -> bool {
        Arc::ptr_eq(&self.mapping, &served.mapping) && self.records.names == served.records.names
    }
}

impl SyncState for MappedRecords {
    fn to_bytes(&self) -> Result<Vec<u8>, SourceError> {
        self.records.to_bytes()
    }
}
