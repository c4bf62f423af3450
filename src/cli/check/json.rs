//! Report of `check` for scripts.

use serde_json::{Value, json};

use crate::cli::check::mask;
use crate::cli::check::mask::Shown;
use crate::cli::check::word;
use crate::diagnostics::explanation::Explained;
use crate::diagnostics::preflight::{CustomAttribute, Finding, Outcome, Presence, Report, Standing};

/// Returns the report as one JSON document.
pub(super) fn json(report: &Report, shown: Shown) -> Value {
    let outcome = report.findings.iter().map(|finding| finding.outcome).max().unwrap_or(Outcome::Fine);
    let people = report.people.iter().map(|person| {
        let attribute =
            |it: &Explained| json!({"attribute": it.attribute, "value": mask::shown(it, shown), "source": it.source});
        person.iter().map(attribute).collect::<Value>()
    });
    json!({
        "outcome": word(outcome),
        "requests": report.requests,
        "findings": report.findings.iter().map(finding).collect::<Value>(),
        "attributes": report.presence.iter().map(presence).collect::<Value>(),
        "customAttributes": report.custom.iter().map(custom).collect::<Value>(),
        "limits": report.limits.iter().map(|limit| json!({
            "endpoint": limit.endpoint.route(), "perSecond": limit.per_second, "burst": limit.burst,
        })).collect::<Value>(),
        "persons": people.collect::<Value>(),
    })
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
        "id": id, "globalId": global_id, "label": label, "type": kind, "found": found, "standing": standing, "name": name,
    })
}
