//! Input of the attribute table: a person, and the values that several attributes are made of.

use jiff::Timestamp;

use crate::mapping::context::{ManagerCard, MappingContext};
use crate::mapping::employment::supervisor;
use crate::mapping::person_header::{DisplayName, PersonHeader};
use crate::mapping::primary_employment::PrimaryEmployment;
use crate::personio::model::{Employment, Person};

/// Person with everything from which the attributes of the user are extracted.
pub(crate) struct MappingInput<'a> {
    pub(crate) person: &'a Person,
    /// All employments of the person.
    pub(crate) employments: &'a [Employment],
    pub(crate) header: PersonHeader<'a>,
    pub(crate) primary: PrimaryEmployment<'a>,
    pub(crate) user_name: &'a str,
    pub(crate) display_name: DisplayName<'a>,
    /// Supervisor of the primary employment, if that person is a user.
    pub(crate) manager: Option<ManagerReference<'a>>,
    pub(crate) context: &'a MappingContext<'a>,
}

/// Manager of a person: another user.
#[derive(Clone, Copy)]
pub(crate) struct ManagerReference<'a> {
    pub(crate) id: &'a str,
    pub(crate) card: &'a ManagerCard<'a>,
}

impl<'a> MappingInput<'a> {
    /// Collects the input of one person. Without readable `employments`, only the attributes that
    /// come from the person have a value.
    pub(crate) fn new(
        person: &'a Person,
        user_name: &'a str,
        employments: &'a [Employment],
        context: &'a MappingContext<'a>,
    ) -> Self {
        let primary = context.date_rules().evaluate(person, employments);
        let header = PersonHeader::from_person(person);
        let display_name_rule = context.policy.standard_attributes.display_name;
        let supervisor = primary.employment.and_then(supervisor);
        Self {
            person,
            employments,
            header,
            primary,
            user_name,
            display_name: header.display_name(user_name, display_name_rule),
            manager: ManagerReference::find(supervisor, context),
            context,
        }
    }

    /// Returns the primary employment.
    pub(crate) fn employment(&self) -> Option<&'a Employment> {
        self.primary.employment
    }

    /// Returns the time of the newest change of the person or the primary employment.
    pub(crate) fn last_modified(&self) -> Option<Timestamp> {
        let of_employment = self.employment().and_then(|employment| employment.updated_at);
        self.person.updated_at.max(of_employment)
    }
}

impl<'a> ManagerReference<'a> {
    /// Returns the person with this id, if that person is a user.
    pub(crate) fn find(id: Option<&'a str>, context: &'a MappingContext<'a>) -> Option<Self> {
        let id = id?;
        Some(Self { id, card: context.managers.get(id)? })
    }
}
