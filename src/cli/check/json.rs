//! Report of `check` for scripts.

use serde_json::{Value, json};

use crate::cli::check::mask;
use crate::cli::check::mask::Shown;
use crate::cli::check::word;
use crate::diagnostics::preflight::{
    CustomAttribute, Finding, Outcome, Presence, Report, Standing,
};

/// Returns the report as one JSON document.
pub(super) fn json(report: &Report, shown: Shown) -> Value {
    let outcome =
        report.findings.iter().map(|finding| finding.outcome).max().unwrap_or(Outcome::Fine);
    let mut persons = Vec::with_capacity(report.people.len());
    for person in &report.people {
        let mut attributes = Vec::with_capacity(person.len());
        for it in person {
            let value = mask::shown(it, shown);
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
        "outcome": word(outcome),
        "requests": report.requests,
        "findings": array(&report.findings, finding),
        "attributes": array(&report.presence, presence),
        "customAttributes": array(&report.custom, custom),
        "limits": limits,
        "persons": persons,
    })
}

fn array<T>(items: &[T], to_json: fn(&T) -> Value) -> Value {
    items.iter().map(to_json).collect()
}

fn finding(finding: &Finding) -> Value {
    let Finding { step, outcome, what, remedy } = finding;
    json!({"step": step, "outcome": word(*outcome), "what": what, "remedy": remedy})
}

fn presence(presence: &Presence) -> Value {
    let Presence { attribute, found, of, .. } = presence;
    json!({"attribute": attribute, "found": found, "of": of})
}

fn custom(attribute: &CustomAttribute) -> Value {
    let CustomAttribute { id, global_id, label, kind, found, standing } = attribute;
    let (standing, name) = match standing {
        Standing::Personal => ("neverServed", None),
        Standing::Served(name) => ("served", Some(name)),
        Standing::Free => ("canBeServed", None),
    };
    json!({
        "id": id,
        "globalId": global_id,
        "label": label,
        "type": kind,
        "found": found,
        "standing": standing,
        "name": name,
    })
}
