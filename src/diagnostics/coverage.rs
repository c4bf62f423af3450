//! Coverage: the number of persons who have each attribute. Personio omits attributes that a
//! credential may not read. An attribute that no person has is therefore most likely not readable.

use crate::mapping::attributes::fields::{FIELDS, PersonioField, Presence};
use crate::mapping::primary_employment::DateRules;
use crate::personio::model::Employment;
use crate::sync::record_codec::DecodedRecord;

/// Coverage of one attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Name of the attribute in Personio's settings.
    pub attribute: &'static str,
    /// Number of persons or employments that have the attribute.
    pub present: usize,
    /// Number of persons or employments that were examined.
    pub total: usize,
    /// Flag for an attribute that at least one person has in nearly every company.
    pub is_usual: bool,
}

/// Returns the coverage of each attribute. Attributes of employments are counted over the primary
/// employments of the persons whose employments are known.
pub(crate) fn measure_coverage(records: &[DecodedRecord], rules: &DateRules<'_>) -> Vec<Coverage> {
    let employments = primary_employments(records, rules);
    let mut coverage = Vec::with_capacity(FIELDS.len());
    for PersonioField { name, is_usual, presence } in FIELDS {
        let (present, total) = match presence {
            Presence::Person(is_present) => {
                let present = records.iter().filter(|record| is_present(&record.person)).count();
                (present, records.len())
            }
            Presence::Employment(is_present) => {
                let present =
                    employments.iter().filter(|employment| is_present(employment)).count();
                (present, employments.len())
            }
        };
        coverage.push(Coverage { attribute: name, present, total, is_usual });
    }
    coverage
}

/// Returns the primary employments of the persons whose employments are known.
fn primary_employments<'p>(
    records: &'p [DecodedRecord],
    rules: &DateRules<'_>,
) -> Vec<&'p Employment> {
    let mut primary_employments: Vec<&Employment> = Vec::new();
    for record in records {
        if let Some(employments) = &record.employments {
            primary_employments.extend(rules.primary_employment(employments));
        }
    }
    primary_employments
}
