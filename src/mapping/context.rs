//! Input of the mapping in addition to the person: policy, names, managers and the current date.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::civil::Date;

use crate::mapping::Policy;
use crate::mapping::attributes::Attributes;
use crate::mapping::person_header::Head;
use crate::mapping::primary_employment::DateRules;
use crate::personio::{Kind, Names};
use crate::scim::Locations;

/// Input of the mapping in addition to the person and the employments.
pub(crate) struct Context<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) attributes: &'a Attributes,
    pub(crate) locations: &'a Locations,
    pub(crate) names: &'a Names,
    /// Users by person id, for manager references. A supervisor who is not among them is left out,
    /// because a client could not read that manager.
    pub(crate) people: HashMap<&'a str, Card<'a>>,
    pub(crate) today: Date,
}

impl Context<'_> {
    /// Returns the name of the unit with this id.
    pub(crate) fn name(&self, kind: Kind, id: Option<&str>) -> Option<&str> {
        self.names.get(kind, id?)
    }

    pub(crate) fn rules(&self) -> DateRules<'_> {
        DateRules { policy: self.policy, today: self.today }
    }
}

/// Attributes of a person that appear in the resources of the persons who report to them.
pub(crate) struct Card<'a> {
    pub(crate) head: Head<'a>,
    pub(crate) user_name: Cow<'a, str>,
}

impl Card<'_> {
    pub(crate) fn display_name(&self) -> String {
        self.head.display_name(&self.user_name)
    }
}
