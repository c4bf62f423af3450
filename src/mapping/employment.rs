//! Parts of an employment: units, cost centres, references and the dates of a termination. The
//! results do not depend on the order in which Personio lists them.

use std::cmp::Ordering;
use std::collections::HashSet;

use jiff::civil::Date;

use crate::personio::model::{CostCenter, Employment, OrgUnitType};

/// Returns the id of the unit of this type. Of several units, the smallest id is taken, so that the
/// result is always the same.
pub(crate) fn unit_id<'e>(employment: &'e Employment, unit_type: &OrgUnitType) -> Option<&'e str> {
    let mut smallest: Option<&str> = None;
    for unit in &employment.org_units {
        if unit.unit_type.as_ref() != Some(unit_type) {
            continue;
        }
        match smallest {
            Some(id) if compare_ids(id, &unit.id).is_le() => {}
            Some(_) | None => smallest = Some(&unit.id),
        }
    }
    smallest
}

/// Returns the id of the cost centre with the highest weight. Of equal weights, the smallest id is
/// taken.
pub(crate) fn cost_center_id(employment: &Employment) -> Option<&str> {
    let heaviest = employment.cost_centers.iter().min_by(|one, other| compare_shares(one, other));
    Some(&heaviest?.id)
}

/// Returns the cost centres, the one with the highest weight first. A cost centre that is listed
/// several times counts once, with its highest weight.
pub(crate) fn cost_centers_by_weight(employment: &Employment) -> Vec<&CostCenter> {
    let mut centers: Vec<&CostCenter> = employment.cost_centers.iter().collect();
    centers.sort_by(|one, other| compare_shares(one, other));
    let mut known = HashSet::new();
    centers.retain(|center| known.insert(center.id.as_str()));
    centers
}

/// Orders cost centres by weight, the highest first, then by id.
fn compare_shares(one: &CostCenter, other: &CostCenter) -> Ordering {
    weight(other).total_cmp(&weight(one)).then_with(|| compare_ids(&one.id, &other.id))
}

fn weight(center: &CostCenter) -> f64 {
    center.weight.unwrap_or(0.0)
}

/// Returns the id of the manager.
pub(crate) fn supervisor(employment: &Employment) -> Option<&str> {
    employment.supervisor.as_ref()?.id.as_deref()
}

/// Returns the id of the office.
pub(crate) fn office(employment: &Employment) -> Option<&str> {
    employment.office.as_ref()?.id.as_deref()
}

/// Returns the id of the legal entity.
pub(crate) fn legal_entity(employment: &Employment) -> Option<&str> {
    employment.legal_entity.as_ref()?.id.as_deref()
}

/// Returns the id of the job.
pub(crate) fn job_id(employment: &Employment) -> Option<&str> {
    employment.job.as_ref()?.id.as_deref()
}

/// Returns the job title.
pub(crate) fn title(employment: &Employment) -> Option<&str> {
    employment.position.as_ref()?.title.as_deref()
}

/// Returns the date on which the termination takes effect.
pub(crate) fn termination_date(employment: &Employment) -> Option<Date> {
    employment.termination.as_ref()?.termination_date
}

/// Returns the last working day before the termination.
pub(crate) fn last_working_day(employment: &Employment) -> Option<Date> {
    employment.termination.as_ref()?.last_working_day()
}

/// Compares ids as numbers, because most ids are numbers. Other ids come last, in text order.
pub(crate) fn compare_ids(one: &str, other: &str) -> Ordering {
    let one_number = one.parse().unwrap_or(u64::MAX);
    let other_number = other.parse().unwrap_or(u64::MAX);
    one_number.cmp(&other_number).then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unit_and_cost_centre_do_not_depend_on_the_listing_order() {
        let employment: Employment = serde_json::from_value(json!({
            "id": "e",
            "org_units": [
                {"id": "10", "type": "team"},
                {"id": "9", "type": "TEAM"},
                {"id": "1", "type": "department"},
            ],
            "cost_centers": [
                {"id": "7", "weight": 30},
                {"id": "8", "weight": 35.0},
                {"id": "5", "weight": 35},
                {"id": "1"},
                {"id": "8", "weight": 1},
            ],
        }))
        .unwrap();
        assert_eq!(unit_id(&employment, &OrgUnitType::Team), Some("9"));
        assert_eq!(unit_id(&employment, &OrgUnitType::Department), Some("1"));
        assert_eq!(unit_id(&employment, &OrgUnitType::Other("GUILD".to_owned())), None);
        assert_eq!(cost_center_id(&employment), Some("5"));
        let ids: Vec<&str> =
            cost_centers_by_weight(&employment).iter().map(|center| center.id.as_str()).collect();
        assert_eq!(ids, ["5", "8", "7", "1"]);
    }
}
