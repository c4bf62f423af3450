//! Look-up ids that the mapping of employments needs.

use std::collections::{HashMap, HashSet};

use jiff::civil::Date;

use crate::mapping::employment;
use crate::mapping::primary_employment::DateRules;
use crate::personio::model::{Employment, OrgUnitType, Status};
use crate::personio::{LookupKind, LookupNames};
use crate::sync::record_codec::DecodedRecord;

/// Look-up ids by kind. They are few in any company, since many persons share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct LookupIds(HashMap<LookupKind, HashSet<String>>);

impl LookupIds {
    /// Adds the look-up ids of each employment of one person that can be the primary one on some
    /// day, and the legal entities of all. Of the ended employments only the newest can be.
    pub(crate) fn add_all(&mut self, employments: &[Employment]) {
        let mut newest_ended: Option<&Employment> = None;
        for employment in employments {
            if matches!(
                employment.status,
                Some(Status::Active | Status::Leave | Status::Onboarding)
            ) {
                self.add_one(employment);
            } else if newest_ended
                .is_none_or(|newest| recency_key(newest) < recency_key(employment))
            {
                newest_ended = Some(employment);
            }
        }
        if let Some(employment) = newest_ended {
            self.add_one(employment);
        }
        self.add_legal_entities(employments);
    }

    /// Adds the legal entities of employments.
    pub(crate) fn add_legal_entities(&mut self, employments: &[Employment]) {
        for employment in employments {
            if let Some(id) = employment::legal_entity(employment) {
                self.add(LookupKind::LegalEntity, id);
            }
        }
    }

    /// Adds the look-up ids of one employment.
    pub(crate) fn add_one(&mut self, employment: &Employment) {
        for (kind, id) in lookups_of(employment) {
            self.add(kind, id);
        }
    }

    fn add(&mut self, kind: LookupKind, id: &str) {
        let ids = self.0.entry(kind).or_default();
        if !ids.contains(id) {
            ids.insert(id.to_owned());
        }
    }

    pub(crate) fn by_kind(&self) -> &HashMap<LookupKind, HashSet<String>> {
        &self.0
    }
}

/// Reports whether a primary employment refers to a look-up whose name could not be read.
pub(crate) fn lacks_name(employment: Option<&Employment>, names: &LookupNames) -> bool {
    let Some(employment) = employment else { return false };
    lookups_of(employment).into_iter().any(|(kind, id)| names.is_name_unread(kind, id))
}

/// Number of persons that refer to look-ups of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LookupUsage {
    /// Persons that refer to at least one.
    pub(crate) persons: usize,
    /// Persons among them that refer to a look-up without a name.
    pub(crate) nameless: usize,
}

impl LookupUsage {
    /// Counts the persons whose primary employment refers to look-ups of `kind`.
    pub(crate) fn count(
        kind: LookupKind,
        records: &[DecodedRecord],
        names: &LookupNames,
        rules: &DateRules<'_>,
    ) -> Self {
        let mut in_use = Self::default();
        for record in records {
            let Some(employments) = &record.employments else { continue };
            let Some(employment) = rules.primary_employment(employments) else { continue };
            let mut units = lookups_of(employment);
            units.retain(|(unit_kind, _)| *unit_kind == kind);
            in_use.persons += usize::from(!units.is_empty());
            in_use.nameless +=
                usize::from(units.iter().any(|(_, id)| names.get(kind, id).is_none()));
        }
        in_use
    }
}

/// Returns the look-ups to which an employment refers, as kind and id.
fn lookups_of(employment: &Employment) -> Vec<(LookupKind, &str)> {
    let mut units = Vec::new();
    for unit in &employment.org_units {
        if let Some(kind) = unit.unit_type.as_ref().and_then(OrgUnitType::lookup_kind) {
            units.push((kind, unit.id.as_str()));
        }
    }
    let others = [
        (LookupKind::LegalEntity, employment::legal_entity(employment)),
        (LookupKind::Workplace, employment::office(employment)),
        (LookupKind::Job, employment::job_id(employment)),
    ];
    for (kind, id) in others {
        if let Some(id) = id {
            units.push((kind, id));
        }
    }
    for center in &employment.cost_centers {
        units.push((LookupKind::CostCenter, &center.id));
    }
    units
}

/// Returns the sort key of an ended employment. The one with the largest key is the newest.
fn recency_key(employment: &Employment) -> (Option<Date>, &str) {
    (employment.employment_start_date, &employment.id)
}
