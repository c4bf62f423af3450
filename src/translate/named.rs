//! Which names are needed to translate employments.

use std::collections::{HashMap, HashSet};

use super::employment;
use crate::personio::Kind;
use crate::personio::model::Employment;

/// Ids of what has a name, by kind. They are few, however many people there are.
#[derive(Debug, Clone, Default)]
pub(super) struct Named(HashMap<Kind, HashSet<String>>);

impl Named {
    /// Adds what these employments of one person name.
    pub(super) fn add(&mut self, employments: &[Employment]) {
        let Some(employment) = employment::that_counts(employments) else { return };
        for unit in &employment.org_units {
            match unit.kind.as_deref() {
                Some("DEPARTMENT") => self.want(Kind::Department, Some(&unit.id)),
                Some("TEAM") => self.want(Kind::Team, Some(&unit.id)),
                _ => {}
            }
        }
        self.want(Kind::LegalEntity, employment.legal_entity.as_ref().and_then(|entity| entity.id.as_deref()));
        self.want(Kind::Workplace, employment.office.as_ref().and_then(|office| office.id.as_deref()));
        self.want(Kind::CostCenter, employment::cost_center(employment));
    }

    fn want(&mut self, kind: Kind, id: Option<&str>) {
        let Some(id) = id else { return };
        let ids = self.0.entry(kind).or_default();
        if !ids.contains(id) {
            ids.insert(id.to_owned());
        }
    }

    pub(super) fn by_kind(&self) -> &HashMap<Kind, HashSet<String>> {
        &self.0
    }
}
