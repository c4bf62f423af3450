//! Mapping in force: the policy of the configuration and the values derived from it.

use std::sync::Arc;

use jiff::Timestamp;

use crate::mapping::Policy;
use crate::mapping::attributes::Attributes;
use crate::mapping::person_header::Head;
use crate::mapping::primary_employment::DateRules;
use crate::scim::Vocabulary;

/// Mapping policy and the values derived from it. A load uses the same one from its beginning to
/// its end.
pub(crate) struct Choice {
    pub(super) policy: Policy,
    /// Custom attributes that a load reads.
    pub(super) wanted: Vec<String>,
    pub(super) attributes: Attributes,
    pub(super) vocabulary: Arc<Vocabulary>,
}

impl Choice {
    pub(super) fn new(policy: Policy, vocabulary: Arc<Vocabulary>) -> Arc<Self> {
        let attributes = Attributes::new(&policy);
        Arc::new(Self { wanted: policy.wanted_attributes(), attributes, policy, vocabulary })
    }

    /// Reports whether a person becomes a user.
    pub(super) fn serves(&self, head: &Head<'_>) -> bool {
        !self.policy.require_email || head.email.is_some()
    }

    /// Returns the date rules for the current day in the company's time zone.
    pub(super) fn rules(&self, now: Timestamp) -> DateRules<'_> {
        let policy = &self.policy;
        DateRules { policy, today: now.to_zoned(policy.time_zone.clone()).date() }
    }
}
