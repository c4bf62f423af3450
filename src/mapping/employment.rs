//! Units and cost centres of an employment. The results do not depend on the order in which
//! Personio lists them.

use std::cmp::Ordering;

use crate::personio::model::{CostCenter, Employment};

/// Returns the id of the department or team; `kind` is in upper case. Of several units, the
/// smallest id is taken, so that the result is always the same.
pub(crate) fn unit<'e>(employment: &'e Employment, kind: &str) -> Option<&'e str> {
    let of_kind = employment.org_units.iter().filter(|unit| unit.kind.as_deref() == Some(kind));
    of_kind.map(|unit| unit.id.as_str()).min_by(|one, other| by_number(one, other))
}

/// Returns the id of the cost centre with the highest weight. Of equal weights, the smallest id is
/// taken.
pub(crate) fn cost_center(employment: &Employment) -> Option<&str> {
    let weight = |center: &CostCenter| center.weight.unwrap_or(0.0);
    let heaviest = employment
        .cost_centers
        .iter()
        .max_by(|one, other| weight(one).total_cmp(&weight(other)).then_with(|| by_number(&other.id, &one.id)));
    heaviest.map(|center| center.id.as_str())
}

/// Compares ids as numbers, because most ids are numbers. Other ids come last, in text order.
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
