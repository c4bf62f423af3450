//! Finding about values that cannot be read.

use crate::diagnostics::findings::{Finding, FindingOutcome};
use crate::personio::{MalformedNames, MalformedValue, is_loggable};

/// Maximum number of examples in the finding.
const MAX_EXAMPLES: usize = 10;

/// Returns a finding if a value of the persons, employments or look-ups is malformed. The finding
/// contains attribute names and ids, never a value.
pub(crate) fn malformed_values_finding(
    unreadable: &[&'static str],
    malformed: &[MalformedValue],
    names: &[MalformedNames],
) -> Option<Finding> {
    let mut examples: Vec<String> = Vec::new();
    for attribute in unreadable {
        examples.push(format!("{attribute} of a person who cannot be read"));
    }
    for MalformedValue { person, attribute } in malformed {
        let person = if is_loggable(person) { person } else { "with an odd id" };
        examples.push(format!("{attribute} of person {person}"));
    }
    let mut unreadable_names = 0;
    for MalformedNames { kind, ids, unreadable } in names {
        unreadable_names += unreadable;
        for id in ids {
            let id = if is_loggable(id) { id } else { "with an odd id" };
            examples.push(format!("name of {kind:?} {id}"));
        }
    }
    let count = examples.len() + unreadable_names;
    if count == 0 {
        return None;
    }
    examples.truncate(MAX_EXAMPLES);
    let examples = examples.join(", ");
    let values = match count {
        1 => "1 value cannot be read, and is".to_owned(),
        count => format!("{count} values cannot be read, and are"),
    };
    let description = format!("{values} absent or incomplete: {examples}");
    let remedy = "Enter these values in Personio again. A person whose id, e-mail address, name or \
                  status cannot be read is served as before, and a new one is not served.";
    Some(Finding {
        step: "values",
        outcome: FindingOutcome::Warning,
        description,
        remedy: Some(remedy.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::personio::LookupKind;

    #[test]
    fn malformed_values_are_counted_and_located() {
        assert_eq!(malformed_values_finding(&[], &[], &[]), None);
        let malformed = |person: &str| MalformedValue {
            person: person.to_owned(),
            attribute: "created_at".into(),
        };
        let names =
            MalformedNames { kind: LookupKind::Team, ids: vec!["3".to_owned()], unreadable: 2 };
        let found =
            malformed_values_finding(&["email"], &[malformed("7"), malformed("A name")], &[names])
                .unwrap();
        assert_eq!(
            found.description,
            "6 values cannot be read, and are absent or incomplete: email of a person who cannot \
             be read, created_at of person 7, created_at of person with an odd id, name of Team 3"
        );
        let many: Vec<MalformedValue> = (0..100).map(|id| malformed(&id.to_string())).collect();
        assert_eq!(
            malformed_values_finding(&[], &many, &[])
                .unwrap()
                .description
                .matches("created_at")
                .count(),
            10
        );
    }
}
