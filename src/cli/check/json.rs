//! Report of `check` for scripts.

use serde_json::{Value, json};

use crate::cli::check::mask;
use crate::cli::check::mask::ValueVisibility;
use crate::cli::check::outcome_word;
use crate::diagnostics::preflight::{
    Coverage, CustomAttributeReport, CustomAttributeUse, Finding, FindingOutcome, PreflightReport,
};

/// Returns the report as one JSON document.
pub(super) fn to_json(report: &PreflightReport, visibility: ValueVisibility) -> Value {
    let outcome =
        report.findings.iter().map(|finding| finding.outcome).max().unwrap_or(FindingOutcome::Pass);
    let mut persons = Vec::with_capacity(report.explained_users.len());
    for person in &report.explained_users {
        let mut attributes = Vec::with_capacity(person.len());
        for it in person {
            let value = mask::display_value(it, visibility);
            attributes
                .push(json!({"attribute": it.attribute, "value": value, "source": it.source}));
        }
        persons.push(attributes);
    }
    let mut limits = Vec::with_capacity(report.limits.len());
    for limit in &report.limits {
        limits.push(json!({
            "endpoint": limit.endpoint.route(),
            "perSecond": limit.per_second,
            "burst": limit.burst,
        }));
    }
    json!({
        "outcome": outcome_word(outcome),
        "requests": report.request_count,
        "findings": array(&report.findings, finding),
        "attributes": array(&report.coverage, coverage),
        "customAttributes": array(&report.custom_attributes, custom),
        "limits": limits,
        "persons": persons,
    })
}

fn array<T>(items: &[T], to_json: fn(&T) -> Value) -> Value {
    items.iter().map(to_json).collect()
}

fn finding(finding: &Finding) -> Value {
    let Finding { step, outcome, description, remedy } = finding;
    json!({"step": step, "outcome": outcome_word(*outcome), "what": description, "remedy": remedy})
}

fn coverage(coverage: &Coverage) -> Value {
    let Coverage { attribute, present, total, .. } = coverage;
    json!({"attribute": attribute, "found": present, "of": total})
}

fn custom(attribute: &CustomAttributeReport) -> Value {
    let CustomAttributeReport { id, global_id, label, value_type, present, usage } = attribute;
    let (usage, name) = match usage {
        CustomAttributeUse::Personal => ("neverServed", None),
        CustomAttributeUse::Served(name) => ("served", Some(name)),
        CustomAttributeUse::Unused => ("canBeServed", None),
    };
    json!({
        "id": id,
        "globalId": global_id,
        "label": label,
        "type": value_type,
        "found": present,
        "standing": usage,
        "name": name,
    })
}
