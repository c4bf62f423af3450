//! Sorting (RFC 7644 §3.4.2.3): sort keys of resources, and the sort index of a whole set.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Number;

use crate::scim::resource::number_order;
use crate::scim::resource::{Resource, ResourceValue};
use crate::scim::store::case_fold::CaseSensitivity;
use crate::scim::{AttributeId, AttributeType, ResourceType};

/// Sort index of a set of resources by one attribute.
#[derive(Debug)]
pub(in crate::scim) struct SortIndex {
    /// Indexes of the resources in ascending order. Resources with equal keys keep the order of the
    /// set, and resources without a value come last (RFC 7644 §3.4.2.3).
    ascending: Box<[u32]>,
    /// Rank of each resource, by its index. Resources with equal keys have the same rank, and a
    /// greater key has a greater rank.
    ranks: Box<[u32]>,
}

impl SortIndex {
    pub(in crate::scim) fn new(
        resource_type: &ResourceType,
        attribute: AttributeId,
        resources: &[Arc<Resource>],
    ) -> Self {
        let extractor = SortKeyExtractor::new(resource_type, attribute);
        let mut keyed: Vec<(Option<SortKey<'_>>, u32)> = Vec::with_capacity(resources.len());
        for (index, resource) in (0..).zip(resources) {
            keyed.push((extractor.key(resource), index));
        }
        keyed.sort_by(|(one, _), (other, _)| compare(one.as_ref(), other.as_ref()));
        let mut ascending = Vec::with_capacity(resources.len());
        let mut ranks = vec![0; resources.len()];
        let runs = keyed.chunk_by(|(one, _), (other, _)| {
            let ordering = compare(one.as_ref(), other.as_ref());
            ordering.is_eq()
        });
        for (rank, run) in (0..).zip(runs) {
            for (_, index) in run {
                ascending.push(*index);
                if let Some(slot) = ranks.get_mut(*index as usize) {
                    *slot = rank;
                }
            }
        }
        Self { ascending: ascending.into(), ranks: ranks.into() }
    }

    /// Returns the indexes of the resources in ascending order.
    pub(in crate::scim) fn ascending(&self) -> &[u32] {
        &self.ascending
    }

    /// Returns the indexes of the resources in descending order: resources without a value come
    /// first, and resources with equal keys keep the order of the set.
    pub(in crate::scim) fn descending(&self) -> Vec<u32> {
        let runs = self.ascending.chunk_by(|one, other| self.rank(*one) == self.rank(*other));
        let mut descending = Vec::with_capacity(self.ascending.len());
        for run in runs.rev() {
            descending.extend_from_slice(run);
        }
        descending
    }

    /// Returns the rank of the resource at `index`.
    pub(in crate::scim) fn rank(&self, index: u32) -> Option<u32> {
        self.ranks.get(index as usize).copied()
    }
}

/// Extractor of the sort keys of one attribute.
pub(in crate::scim) struct SortKeyExtractor {
    /// Attributes from the resource down to the attribute.
    path: Box<[AttributeId]>,
    attribute_type: AttributeType,
    case: CaseSensitivity,
    /// Boolean sub-attribute that marks the element to sort by. None if the attribute is not within
    /// elements, or they have no such sub-attribute.
    primary: Option<AttributeId>,
}

/// Value that a resource is sorted by.
pub(in crate::scim) enum SortKey<'a> {
    /// Case-folded text.
    Text(Cow<'a, str>),
    Boolean(Option<bool>),
    Number(Option<Number>),
    /// Timestamp and case-folded text. The text orders values with equal timestamps or without one.
    DateTime(Option<Timestamp>, Cow<'a, str>),
}

impl SortKeyExtractor {
    pub(in crate::scim) fn new(resource_type: &ResourceType, id: AttributeId) -> Self {
        let attribute = resource_type.get(id);
        let primary = match attribute.parent {
            Some(parent) => resource_type.sub_attribute(parent, "primary"),
            None => None,
        };
        Self {
            path: resource_type.path_ids(id),
            attribute_type: attribute.attribute_type,
            case: CaseSensitivity::from_case_exact(attribute.case_exact),
            primary,
        }
    }

    /// Returns the sort key of the resource. Among several values, "the primary … or else the first
    /// value in the list" counts (RFC 7644 §3.4.2.3).
    pub(in crate::scim) fn key<'a>(&self, resource: &'a Resource) -> Option<SortKey<'a>> {
        let mut value = resource.value();
        for id in &self.path {
            value = self.element(value)?.member(*id)?;
        }
        let value = self.element(value)?;
        if value.is_empty() {
            return None;
        }
        Some(match self.attribute_type {
            AttributeType::Boolean => SortKey::Boolean(value.boolean()),
            AttributeType::Decimal | AttributeType::Integer => SortKey::Number(value.number()),
            AttributeType::DateTime => {
                let text = self.folded_text(value);
                SortKey::DateTime(value.date_time(), text)
            }
            AttributeType::String | AttributeType::Reference | AttributeType::Complex => {
                SortKey::Text(self.folded_text(value))
            }
        })
    }

    fn folded_text<'a>(&self, value: ResourceValue<'a>) -> Cow<'a, str> {
        match value.text() {
            Some(Cow::Borrowed(text)) => self.case.fold(text),
            Some(Cow::Owned(text)) => Cow::Owned(self.case.fold(&text).into_owned()),
            None => Cow::Borrowed(""),
        }
    }

    /// Returns the primary element of an array, or else the first. Any other value is returned
    /// unchanged.
    fn element<'a>(&self, value: ResourceValue<'a>) -> Option<ResourceValue<'a>> {
        if !value.is_array() {
            return Some(value);
        }
        value
            .children()
            .find(|element| self.is_primary(element))
            .or_else(|| value.children().next())
    }

    fn is_primary(&self, element: &ResourceValue<'_>) -> bool {
        if let Some(id) = self.primary
            && let Some(primary) = element.member(id)
        {
            return primary.boolean().unwrap_or_default();
        }
        false
    }
}

/// Compares two sort keys of attributes of the same type. In ascending order, a resource without a
/// value comes last.
pub(in crate::scim) fn compare(one: Option<&SortKey<'_>>, other: Option<&SortKey<'_>>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => one.compare(other),
        (one, other) => other.is_some().cmp(&one.is_some()),
    }
}

impl SortKey<'_> {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::Boolean(one), Self::Boolean(other)) => one.cmp(other),
            (Self::Number(Some(one)), Self::Number(Some(other))) => {
                number_order::compare(one, other).unwrap_or(Ordering::Equal)
            }
            (Self::Number(one), Self::Number(other)) => one.is_some().cmp(&other.is_some()),
            (Self::DateTime(one, text), Self::DateTime(other, other_text)) => {
                one.cmp(other).then_with(|| text.cmp(other_text))
            }
            (Self::Text(_) | Self::Boolean(_), _) => Ordering::Equal,
            (Self::Number(_) | Self::DateTime(..), _) => Ordering::Equal,
        }
    }
}
