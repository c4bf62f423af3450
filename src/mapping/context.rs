//! Input of the mapping besides the person: policy, names, managers and the day.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::civil::Date;

use crate::mapping::Policy;
use crate::mapping::attributes::Attributes;
use crate::mapping::person_header::Head;
use crate::mapping::primary_employment::DateRules;
use crate::personio::Names;
use crate::scim::Locations;

/// What a translation needs besides the person.
pub(crate) struct Context<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) attributes: &'a Attributes,
    pub(crate) locations: &'a Locations,
    pub(crate) names: &'a Names,
    /// Persons who are served, by id. A supervisor who is not among them is left out: a manager that cannot be read
    /// back is none.
    pub(crate) people: HashMap<&'a str, Card<'a>>,
    pub(crate) today: Date,
}

impl Context<'_> {
    pub(crate) fn rules(&self) -> DateRules<'_> {
        DateRules { policy: self.policy, today: self.today }
    }
}

/// What can be said of a person in another's resource.
pub(crate) struct Card<'a> {
    pub(crate) head: Head<'a>,
    pub(crate) user_name: Cow<'a, str>,
}

impl Card<'_> {
    pub(crate) fn display_name(&self) -> String {
        self.head.display_name(&self.user_name)
    }
}
