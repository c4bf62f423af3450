//! The employment that counts, of those that a person has. It does not depend on the order in which
//! they are listed.

use std::cmp::Ordering;

use crate::personio::model::{CostCenter, Employment, Status};

/// The ACTIVE employment if there is one (of several, the newest), else the one on LEAVE, otherwise
/// the newest. Newest is by start; one without a start comes last; ties go by id.
pub(super) fn that_counts(employments: &[Employment]) -> Option<&Employment> {
    let rank = |employment: &Employment| match employment.status {
        Some(Status::Active) => 2,
        Some(Status::Leave) => 1,
        Some(Status::Inactive | Status::Onboarding | Status::Other(_)) | None => 0,
    };
    employments.iter().max_by(|one, other| {
        let by_start = one.employment_start_date.cmp(&other.employment_start_date);
        rank(one).cmp(&rank(other)).then(by_start).then_with(|| one.id.cmp(&other.id))
    })
}

/// The id of the department or team (`kind` in upper case): of several, the smallest id, so that
/// it is the same one every time.
pub(super) fn unit<'e>(employment: &'e Employment, kind: &str) -> Option<&'e str> {
    let of_kind = employment.org_units.iter().filter(|unit| unit.kind.as_deref() == Some(kind));
    of_kind.map(|unit| unit.id.as_str()).min_by(|one, other| by_number(one, other))
}

/// The id of the heaviest cost centre; ties go to the smallest id.
pub(super) fn cost_center(employment: &Employment) -> Option<&str> {
    let weight = |center: &CostCenter| center.weight.unwrap_or(0.0);
    let heaviest = employment
        .cost_centers
        .iter()
        .max_by(|one, other| weight(one).total_cmp(&weight(other)).then_with(|| by_number(&other.id, &one.id)));
    heaviest.map(|center| center.id.as_str())
}

/// Ids are mostly numbers in text.
pub(super) fn by_number(one: &str, other: &str) -> Ordering {
    let number = |id: &str| id.parse().unwrap_or(u64::MAX);
    number(one).cmp(&number(other)).then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn employment(id: &str, status: Option<&str>, start: Option<&str>) -> Employment {
        serde_json::from_value(json!({"id": id, "status": status, "employment_start_date": start})).unwrap()
    }

    #[test]
    fn the_employment_that_counts() {
        let active = |id, start| employment(id, Some("ACTIVE"), start);
        let other = |id, status, start| employment(id, Some(status), start);
        for (expected, employments) in [
            (None, vec![]),
            (Some("a"), vec![active("a", Some("2020-01-01")), other("b", "ONBOARDING", Some("2027-01-01"))]),
            (Some("a"), vec![active("a", Some("2001-01-01")), other("l", "LEAVE", Some("2024-01-01"))]),
            (Some("b"), vec![active("a", Some("2020-01-01")), active("b", Some("2021-01-01"))]),
            (Some("b"), vec![active("a", Some("2021-01-01")), active("b", Some("2021-01-01"))]),
            (Some("a"), vec![active("a", Some("1999-01-01")), active("z", None)]),
            (Some("l"), vec![other("l", "LEAVE", Some("2001-01-01")), other("b", "INACTIVE", Some("2024-01-01"))]),
            (Some("n"), vec![other("o", "INACTIVE", Some("2010-01-01")), other("n", "ONBOARDING", Some("2027-01-01"))]),
            (Some("n"), vec![other("o", "INACTIVE", None), other("n", "SABBATICAL", Some("1990-01-01"))]),
            (Some("u"), vec![employment("u", None, None)]),
        ] {
            for employments in [employments.clone(), employments.into_iter().rev().collect()] {
                assert_eq!(that_counts(&employments).map(|employment| employment.id.as_str()), expected);
            }
        }
    }

    proptest! {
        #[test]
        fn the_order_of_listing_never_matters(
            rows in prop::collection::vec((0u8..3, 0u8..4, 0u8..5), 0..6).prop_shuffle(),
        ) {
            let employments: Vec<_> = rows.iter().enumerate().map(|(index, (status, year, _))| {
                let status = ["ACTIVE", "LEAVE", "INACTIVE"][usize::from(*status)];
                let start = (*year > 0).then(|| format!("202{year}-01-01"));
                employment(&format!("e{index}"), Some(status), start.as_deref())
            }).collect();
            let mut turned = employments.clone();
            turned.rotate_left(employments.len() / 2);
            let id = |list: &[Employment]| that_counts(list).map(|employment| employment.id.clone());
            prop_assert_eq!(id(&employments), id(&turned));
        }
    }

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
