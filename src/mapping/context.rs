//! Input of the mapping in addition to the person: policy, names, managers and the current date.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::civil::Date;

use crate::mapping::MappingPolicy;
use crate::mapping::attributes::custom::AttributeMapper;
use crate::mapping::person_header::PersonHeader;
use crate::mapping::primary_employment::DateRules;
use crate::personio::{LookupKind, LookupNames};
use crate::scim::ResourceUrls;

/// Input of the mapping in addition to the person and the employments.
pub(crate) struct MappingContext<'a> {
    pub(crate) policy: &'a MappingPolicy,
    pub(crate) attribute_mapper: &'a AttributeMapper,
    pub(crate) urls: &'a ResourceUrls,
    pub(crate) lookup_names: &'a LookupNames,
    /// Users by person id, for manager references. A supervisor who is not among them is left out,
    /// because a client could not read that manager.
    pub(crate) managers: HashMap<&'a str, ManagerCard<'a>>,
    pub(crate) today: Date,
}

impl MappingContext<'_> {
    /// Returns the name of the unit with this id.
    pub(crate) fn name(&self, kind: LookupKind, id: Option<&str>) -> Option<&str> {
        self.lookup_names.get(kind, id?)
    }

    pub(crate) fn date_rules(&self) -> DateRules<'_> {
        DateRules { policy: self.policy, today: self.today }
    }
}

/// Attributes of a person that appear in the resources of the persons who report to them.
pub(crate) struct ManagerCard<'a> {
    pub(crate) header: PersonHeader<'a>,
    pub(crate) user_name: Cow<'a, str>,
    /// Supervisor of the primary employment, who is a user or not. `None` also while the manager
    /// levels are not served.
    pub(crate) supervisor: Option<&'a str>,
}

impl ManagerCard<'_> {
    pub(crate) fn display_name(&self, policy: &MappingPolicy) -> String {
        let rule = policy.standard_attributes.display_name;
        self.header.display_name(&self.user_name, rule).text.into_owned()
    }
}
