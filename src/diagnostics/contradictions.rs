//! Employments whose status and dates contradict each other. An operator corrects them in Personio.

use jiff::ToSpan;
use jiff::civil::Date;

use crate::diagnostics::findings::{Finding, format_person_count};
use crate::mapping::employment::last_working_day;
use crate::mapping::primary_employment::DateRules;
use crate::personio::model::{Employment, Status};
use crate::sync::record_codec::DecodedRecord;

/// Maximum number of days after the start for which the status ONBOARDING is accepted. A later
/// ONBOARDING is a contradiction.
const MAX_DAYS_ONBOARDING_AFTER_START: i64 = 7;

/// Number of persons with each contradiction.
#[derive(Debug, Default)]
struct Contradictions {
    active_before_start: usize,
    onboarding_long_after_start: usize,
    active_after_last_working_day: usize,
}

/// Returns the finding about the persons whose employments are known.
pub(crate) fn contradictions_finding(records: &[DecodedRecord], rules: &DateRules<'_>) -> Finding {
    let mut found = Contradictions::default();
    let mut person_count = 0;
    for record in records {
        if let Some(employments) = &record.employments {
            found.note(employments, rules);
            person_count += 1;
        }
    }
    found.to_finding(person_count)
}

impl Contradictions {
    /// Counts a person once for each contradiction that one of the employments has.
    fn note(&mut self, employments: &[Employment], rules: &DateRules<'_>) {
        let today = rules.today;
        if employments.iter().any(|it| is_active_before_start(it, today)) {
            self.active_before_start += 1;
        }
        if employments.iter().any(|it| is_onboarding_long_after_start(it, today)) {
            self.onboarding_long_after_start += 1;
        }
        // With `active_until`, the company has a rule for this case.
        if rules.policy.active_until.is_none()
            && employments.iter().any(|it| is_active_after_last_working_day(it, today))
        {
            self.active_after_last_working_day += 1;
        }
    }

    fn to_finding(&self, person_count: usize) -> Finding {
        let mut parts = Vec::new();
        let mut remedies = vec!["Correct status and dates in Personio."];
        if self.active_before_start > 0 {
            let count = self.active_before_start;
            parts.push(format!("{} ACTIVE before the start date", format_count_with_verb(count)));
        }
        if self.onboarding_long_after_start > 0 {
            let persons = format_count_with_verb(self.onboarding_long_after_start);
            parts.push(format!(
                "{persons} still ONBOARDING more than {MAX_DAYS_ONBOARDING_AFTER_START} days after \
                 the start date"
            ));
        }
        if self.active_after_last_working_day > 0 {
            let count = self.active_after_last_working_day;
            parts.push(format!(
                "{} still ACTIVE after the last working day",
                format_count_with_verb(count)
            ));
            remedies.push(
                "`active_until` in the mapping file makes people inactive after their last \
                 working day.",
            );
        }
        if parts.is_empty() {
            let description = format!(
                "employment status matches the dates of {}",
                format_person_count(person_count)
            );
            return Finding::pass("dates", description);
        }
        let description = format!("of {}, {}", format_person_count(person_count), parts.join("; "));
        Finding::warning("dates", description, remedies.join(" "))
    }
}

fn format_count_with_verb(count: usize) -> String {
    if count == 1 { "1 is".to_owned() } else { format!("{count} are") }
}

fn is_active_before_start(employment: &Employment, today: Date) -> bool {
    let Some(start) = employment.employment_start_date else { return false };
    employment.status == Some(Status::Active) && start > today
}

fn is_onboarding_long_after_start(employment: &Employment, today: Date) -> bool {
    let Some(start) = employment.employment_start_date else { return false };
    let is_late = start.saturating_add(MAX_DAYS_ONBOARDING_AFTER_START.days()) < today;
    employment.status == Some(Status::Onboarding) && is_late
}

fn is_active_after_last_working_day(employment: &Employment, today: Date) -> bool {
    let Some(last) = last_working_day(employment) else { return false };
    employment.status == Some(Status::Active) && last < today
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use serde_json::{Value, json};

    use super::*;
    use crate::diagnostics::preflight::FindingOutcome;
    use crate::mapping::{ActiveUntil, MappingPolicy};

    /// Asserts the text and severity of the finding. Each item of `employments` is the list of one
    /// person; `null` means that the employments are unknown.
    #[track_caller]
    fn check(policy: &MappingPolicy, employments: &[Value], expected: &str) {
        let rules = DateRules { policy, today: date(2026, 11, 23) };
        let records: Vec<DecodedRecord> = employments
            .iter()
            .map(|list| DecodedRecord {
                person: serde_json::from_value(json!({"id": "7"})).unwrap(),
                employments: (!list.is_null())
                    .then(|| serde_json::from_value(list.clone()).unwrap()),
            })
            .collect();
        let finding = contradictions_finding(&records, &rules);
        assert_eq!(finding.description, expected);
        let is_fine = expected.contains("matches");
        assert_eq!(
            finding.outcome,
            if is_fine { FindingOutcome::Pass } else { FindingOutcome::Warning }
        );
    }

    fn of(status: &str, start: &str) -> Value {
        json!({"id": "e", "status": status, "employment_start_date": start})
    }

    fn leaver(status: &str, last: &str) -> Value {
        let termination = json!({"last_working_date": last});
        json!([{"id": "e", "status": status, "termination": termination}])
    }

    #[test]
    fn contradictions_are_counted_by_person() {
        let default = MappingPolicy::default();
        let with_rule = MappingPolicy {
            active_until: Some(ActiveUntil::TerminationDate),
            ..MappingPolicy::default()
        };
        let fine = [
            json!([of("ACTIVE", "2026-11-23")]),
            json!([of("LEAVE", "2026-11-24"), of("ONBOARDING", "2026-11-16")]),
            leaver("ACTIVE", "2026-11-23"),
            leaver("INACTIVE", "2026-11-22"),
            json!([{"id": "e", "status": "ACTIVE"}]),
            json!([]),
            json!(null),
        ];
        check(&default, &fine, "employment status matches the dates of 6 persons");
        let later = json!([of("ACTIVE", "2026-11-24"), of("ACTIVE", "2026-12-24")]);
        let late = json!([of("ONBOARDING", "2026-11-15")]);
        check(
            &default,
            std::slice::from_ref(&later),
            "of 1 person, 1 is ACTIVE before the start date",
        );
        check(
            &default,
            &[late.clone(), late.clone(), json!(null)],
            "of 2 persons, 2 are still ONBOARDING more than 7 days after the start date",
        );
        check(
            &default,
            &[leaver("ACTIVE", "2026-11-22"), later, late],
            "of 3 persons, 1 is ACTIVE before the start date; 1 is still ONBOARDING more than 7 \
             days after the start date; 1 is still ACTIVE after the last working day",
        );
        check(
            &with_rule,
            &[leaver("ACTIVE", "2026-11-22")],
            "employment status matches the dates of 1 person",
        );
    }
}
