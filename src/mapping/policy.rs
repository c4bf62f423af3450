//! What a company may choose about its translation; its part of the configuration file, as it is meant.

use jiff::tz::TimeZone;

use crate::mapping::GroupKind;
use crate::scim;

/// The choices of one company.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// For how many days before the first day of work an ONBOARDING person is active; never, if
    /// nothing is said.
    pub active_before_start_days: Option<u16>,
    /// Until when a person whose employment ends is active; as long as Personio's status says so, if nothing is said.
    pub active_until: Option<ActiveUntil>,
    /// Where it is midnight when days change.
    pub time_zone: TimeZone,
    /// The id or global id of the custom attribute that is the employee number; the person's id
    /// otherwise.
    pub employee_number: Option<String>,
    /// Whether the team is served as the enterprise extension's `division`.
    pub team_is_division: bool,
    /// Whether persons without an e-mail address are left out.
    pub require_email: bool,
    /// What groups are made of; there are none otherwise.
    pub groups: Vec<GroupKind>,
    /// Custom attributes that are served.
    pub custom: Vec<Custom>,
}

/// The date of a termination that is the last day on which a person is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActiveUntil {
    /// The last working day; the date of the termination where Personio has none.
    LastWorkingDay,
    /// The date on which the termination takes effect.
    TerminationDate,
}

impl ActiveUntil {
    /// Returns the word of the configuration file.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::LastWorkingDay => "last_working_day",
            Self::TerminationDate => "termination_date",
        }
    }
}

/// A custom attribute that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Custom {
    /// Its id (`dynamic_305`) or global id in Personio.
    pub id: String,
    /// How it is served.
    pub attribute: scim::CustomAttribute,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            active_before_start_days: None,
            active_until: None,
            time_zone: TimeZone::get("Europe/Berlin").unwrap_or(TimeZone::UTC),
            employee_number: None,
            team_is_division: false,
            require_email: false,
            groups: Vec::new(),
            custom: Vec::new(),
        }
    }
}

impl Policy {
    /// The ids and global ids of all custom attributes that the translation reads.
    #[must_use]
    pub fn wanted_attributes(&self) -> Vec<String> {
        self.employee_number.iter().cloned().chain(self.custom.iter().map(|custom| custom.id.clone())).collect()
    }

    /// The custom attributes as they are served.
    #[must_use]
    pub fn served_attributes(&self) -> Vec<scim::CustomAttribute> {
        self.custom.iter().map(|custom| custom.attribute.clone()).collect()
    }
}
