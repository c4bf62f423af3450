//! Elements of the attributes with several values, in the form in which they are served.

use std::collections::HashSet;
use std::ptr;

use jiff::civil::Date;
use serde::Serialize;
use serde_json::Value;

use crate::mapping::ServedEmployments;
use crate::mapping::attributes::input::{ManagerReference, MappingInput};
use crate::mapping::employment;
use crate::mapping::employment::{compare_ids, cost_centers_by_weight};
use crate::personio::LookupKind;
use crate::personio::model::{Employment, Status};

/// Maximum number of managers of one person. A reporting line of thousands of persons would make
/// users of megabytes.
const MAX_MANAGER_LEVELS: usize = 50;

/// Cost centre of a person.
#[derive(Serialize)]
struct CostCenterShare<'a> {
    value: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    display: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<f64>,
}

/// Employment of a person.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EmploymentElement<'a> {
    value: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    employment_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_date: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_date: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    legal_entity: Option<&'a str>,
    primary: bool,
}

/// Manager of a person, at some distance.
#[derive(Serialize)]
struct ManagerLevel<'a> {
    value: &'a str,
    display: String,
    level: usize,
}

/// Returns the cost centres with their shares, the largest share first.
pub(super) fn map_cost_centers(input: &MappingInput<'_>) -> Vec<Value> {
    let Some(employment) = input.employment() else { return Vec::new() };
    let mut elements = Vec::with_capacity(employment.cost_centers.len());
    for center in cost_centers_by_weight(employment) {
        elements.push(CostCenterShare {
            value: &center.id,
            display: input.context.name(LookupKind::CostCenter, Some(&center.id)),
            weight: center.weight,
        });
    }
    to_json(&elements)
}

/// Returns all employments, the latest start first, if the company chose to serve them.
pub(super) fn map_employments(input: &MappingInput<'_>) -> Vec<Value> {
    if input.context.policy.optional.employments == ServedEmployments::Primary {
        return Vec::new();
    }
    let mut employments: Vec<&Employment> = input.employments.iter().collect();
    employments.sort_by(|one, other| {
        let by_start = other.employment_start_date.cmp(&one.employment_start_date);
        by_start.then_with(|| compare_ids(&other.id, &one.id))
    });
    let mut elements = Vec::with_capacity(employments.len());
    for own in employments {
        let entity = employment::legal_entity(own);
        elements.push(EmploymentElement {
            value: &own.id,
            status: own.status.as_ref().map(Status::value),
            employment_type: own.employment_type.as_deref(),
            start_date: own.employment_start_date,
            end_date: own.employment_end_date,
            title: employment::title(own),
            legal_entity: input.context.name(LookupKind::LegalEntity, entity),
            primary: input.employment().is_some_and(|primary| ptr::eq(primary, own)),
        });
    }
    to_json(&elements)
}

/// Returns the managers from the nearest to the top, if the company chose to serve them. A circle
/// ends before the first person in it occurs again.
pub(super) fn map_manager_levels(input: &MappingInput<'_>) -> Vec<Value> {
    if !input.context.policy.optional.manager_levels {
        return Vec::new();
    }
    let policy = input.context.policy;
    let mut known = HashSet::from([input.person.id.as_str()]);
    let mut levels = Vec::new();
    let mut next = input.manager;
    while let Some(manager) = next
        && levels.len() < MAX_MANAGER_LEVELS
        && known.insert(manager.id)
    {
        let (display, level) = (manager.card.display_name(policy), levels.len() + 1);
        levels.push(ManagerLevel { value: manager.id, display, level });
        next = ManagerReference::find(manager.card.supervisor, input.context);
    }
    to_json(&levels)
}

/// Returns the JSON of each element.
pub(super) fn to_json<T: Serialize>(elements: &[T]) -> Vec<Value> {
    elements.iter().flat_map(serde_json::to_value).collect()
}
