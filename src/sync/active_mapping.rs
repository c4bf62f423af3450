//! Mapping in force: the policy of the configuration and the values derived from it.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::mapping::MappingPolicy;
use crate::mapping::attributes::custom::AttributeMapper;
use crate::mapping::context::{ManagerCard, MappingContext};
use crate::mapping::person_header::PersonHeader;
use crate::mapping::primary_employment::DateRules;
use crate::personio::LookupNames;
use crate::scim::{ResourceUrls, SchemaRegistry};

/// Mapping policy and the values derived from it. A load uses the same one from its beginning to
/// its end.
pub(crate) struct ActiveMapping {
    pub(super) policy: MappingPolicy,
    /// Custom attributes that a load reads.
    pub(super) custom_attributes: Vec<String>,
    pub(super) attributes: AttributeMapper,
    pub(super) schema_registry: Arc<SchemaRegistry>,
}

impl ActiveMapping {
    pub(super) fn new(policy: MappingPolicy, schema_registry: Arc<SchemaRegistry>) -> Arc<Self> {
        let attributes = AttributeMapper::new(&policy);
        Arc::new(Self {
            custom_attributes: policy.required_custom_attribute_ids(),
            attributes,
            policy,
            schema_registry,
        })
    }

    /// Reports whether a person becomes a user.
    pub(super) fn serves(&self, header: &PersonHeader<'_>) -> bool {
        !self.policy.require_email || header.email.is_some()
    }

    /// Returns the input of the mapping in addition to the person.
    pub(super) fn context<'a>(
        &'a self,
        urls: &'a ResourceUrls,
        lookup_names: &'a LookupNames,
        managers: HashMap<&'a str, ManagerCard<'a>>,
        now: Timestamp,
    ) -> MappingContext<'a> {
        let DateRules { policy, today } = self.date_rules(now);
        let attribute_mapper = &self.attributes;
        MappingContext { policy, attribute_mapper, urls, lookup_names, managers, today }
    }

    /// Returns the date rules for the current day in the company's time zone.
    pub(super) fn date_rules(&self, now: Timestamp) -> DateRules<'_> {
        let policy = &self.policy;
        DateRules { policy, today: now.to_zoned(policy.time_zone.clone()).date() }
    }
}
