//! Units and cost centres of an employment. Nothing depends on the order in which they are listed.

use std::cmp::Ordering;

use crate::personio::model::{CostCenter, Employment};

/// The id of the department or team (`kind` in upper case): of several, the smallest id, so that
/// it is the same one every time.
pub(crate) fn unit<'e>(employment: &'e Employment, kind: &str) -> Option<&'e str> {
    let of_kind = employment.org_units.iter().filter(|unit| unit.kind.as_deref() == Some(kind));
    of_kind.map(|unit| unit.id.as_str()).min_by(|one, other| by_number(one, other))
}

/// The id of the heaviest cost centre; ties go to the smallest id.
pub(crate) fn cost_center(employment: &Employment) -> Option<&str> {
    let weight = |center: &CostCenter| center.weight.unwrap_or(0.0);
    let heaviest = employment
        .cost_centers
        .iter()
        .max_by(|one, other| weight(one).total_cmp(&weight(other)).then_with(|| by_number(&other.id, &one.id)));
    heaviest.map(|center| center.id.as_str())
}

/// Ids are mostly numbers in text.
pub(crate) fn by_number(one: &str, other: &str) -> Ordering {
    let number = |id: &str| id.parse().unwrap_or(u64::MAX);
    number(one).cmp(&number(other)).then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_several_units_and_cost_centres_always_the_same_one() {
        let employment: Employment = serde_json::from_value(json!({
            "id": "e",
            "org_units": [{"id": "10", "type": "team"}, {"id": "9", "type": "TEAM"}, {"id": "1", "type": "department"}],
            "cost_centers": [{"id": "7", "weight": 30}, {"id": "8", "weight": 35.0}, {"id": "5", "weight": 35}, {"id": "1"}],
        }))
        .unwrap();
        assert_eq!(unit(&employment, "TEAM"), Some("9"));
        assert_eq!(unit(&employment, "DEPARTMENT"), Some("1"));
        assert_eq!(unit(&employment, "GUILD"), None);
        assert_eq!(cost_center(&employment), Some("5"));
    }
}
