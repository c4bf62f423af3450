//! Mapping policy: the mapping settings of a company, parsed from the configuration file.

use jiff::tz::TimeZone;

use crate::mapping::GroupKind;
use crate::mapping::person_header::DisplayNameRule;
use crate::mapping::standard_attributes::{AttributeOverride, OverridableAttribute};
use crate::scim;

/// Mapping settings of one company.
#[derive(Debug, Clone, PartialEq)]
pub struct MappingPolicy {
    /// Number of days before the employment start for which an ONBOARDING person is already active.
    /// With `None`, the rule does not apply.
    pub active_before_start_days: Option<u16>,
    /// Date until which a person with a termination is active. With `None`, Personio's status alone
    /// decides.
    pub active_until: Option<ActiveUntil>,
    /// Time zone in which a day begins at midnight.
    pub time_zone: TimeZone,
    /// Choices for attributes of the standard schemas.
    pub standard_attributes: StandardAttributePolicy,
    /// Switch for leaving out persons without an e-mail address.
    pub require_email: bool,
    /// Content that is served only on request.
    pub optional: OptionalContent,
    /// Kinds of units that become groups. An empty list means no groups.
    pub groups: Vec<GroupKind>,
    /// Custom attributes that are served.
    pub custom_attributes: Vec<CustomAttributePolicy>,
}

/// Content that is served only on request, because it makes resources larger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OptionalContent {
    /// Employments that are served as a list.
    pub employments: ServedEmployments,
    /// Switch for serving the managers of each person up to the top.
    pub manager_levels: bool,
    /// Switch for groups as members of the groups of the units above them.
    pub nested_groups: bool,
}

/// Choices for attributes of the standard schemas.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StandardAttributePolicy {
    /// Rule for `displayName`.
    pub display_name: DisplayNameRule,
    /// Switch for serving the team as `division` of the enterprise extension.
    pub team_is_division: bool,
    /// Attributes with another source or other values, at most one entry for each attribute.
    pub overrides: Vec<AttributeOverride>,
}

impl StandardAttributePolicy {
    /// Serves a custom attribute as a standard attribute. With `has_fallback`, a person without a
    /// value of it has the value from Personio's own field.
    #[must_use]
    pub fn with_source(
        mut self,
        attribute: OverridableAttribute,
        id: &str,
        has_fallback: bool,
    ) -> Self {
        self.overrides.push(AttributeOverride::with_source(attribute, id, has_fallback));
        self
    }
}

/// Date of a termination that is the last day on which a person is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActiveUntil {
    /// Last working day, or the termination date if Personio has no last working day.
    LastWorkingDay,
    /// Date on which the termination takes effect.
    TerminationDate,
}

/// Employments that are served as a list, in addition to the attributes of the primary one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServedEmployments {
    /// None: only the attributes of the primary employment are served.
    #[default]
    Primary,
    /// All employments, the earlier and the planned ones too.
    All,
}

impl ActiveUntil {
    /// Returns the value's name in the configuration file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LastWorkingDay => "last_working_day",
            Self::TerminationDate => "termination_date",
        }
    }
}

/// Custom attribute that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomAttributePolicy {
    /// Id (for example `dynamic_305`) or global id in Personio.
    pub id: String,
    /// Name and type of the SCIM attribute.
    pub definition: scim::CustomAttributeDefinition,
}

impl Default for MappingPolicy {
    fn default() -> Self {
        Self {
            active_before_start_days: None,
            active_until: None,
            time_zone: TimeZone::get("Europe/Berlin").unwrap_or(TimeZone::UTC),
            standard_attributes: StandardAttributePolicy::default(),
            require_email: false,
            optional: OptionalContent::default(),
            groups: Vec::new(),
            custom_attributes: Vec::new(),
        }
    }
}

impl MappingPolicy {
    /// Returns the ids and global ids of all custom attributes that the mapping reads.
    #[must_use]
    pub fn required_custom_attribute_ids(&self) -> Vec<String> {
        let overrides = &self.standard_attributes.overrides;
        let mut ids = Vec::with_capacity(overrides.len() + self.custom_attributes.len());
        for AttributeOverride { source, .. } in overrides {
            ids.extend(source.as_ref().map(|source| source.id.clone()));
        }
        for custom in &self.custom_attributes {
            ids.push(custom.id.clone());
        }
        ids
    }

    /// Returns the SCIM attributes of the custom attributes.
    #[must_use]
    pub fn custom_attribute_definitions(&self) -> Vec<scim::CustomAttributeDefinition> {
        self.custom_attributes.iter().map(|custom| custom.definition.clone()).collect()
    }
}
