//! Finding about values that cannot be read.

use crate::diagnostics::findings::{Finding, Outcome};
use crate::personio::{OddNames, OddValue, is_loggable};

/// Maximum number of examples in the finding.
const MAX_EXAMPLES: usize = 10;

/// Returns a finding if a value of the persons, employments or look-ups is malformed. The finding
/// contains attribute names and ids, never a value.
pub(crate) fn finding(
    unreadable: &[&'static str],
    odd: &[OddValue],
    names: &[OddNames],
) -> Option<Finding> {
    let mut examples: Vec<String> = Vec::new();
    for attribute in unreadable {
        examples.push(format!("{attribute} of a person who cannot be read"));
    }
    for OddValue { person, attribute } in odd {
        let person = if is_loggable(person) { person } else { "with an odd id" };
        examples.push(format!("{attribute} of person {person}"));
    }
    let mut unreadable_names = 0;
    for OddNames { kind, ids, unreadable } in names {
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
    let what = format!("{values} absent or incomplete: {examples}");
    let remedy = "Enter these values in Personio again. A person whose id, e-mail address, name or \
                  status cannot be read is served as before, and a new one is not served.";
    Some(Finding {
        step: "values",
        outcome: Outcome::Doubtful,
        what,
        remedy: Some(remedy.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::personio::Kind;

    #[test]
    fn malformed_values_are_counted_and_located() {
        assert_eq!(finding(&[], &[], &[]), None);
        let odd =
            |person: &str| OddValue { person: person.to_owned(), attribute: "created_at".into() };
        let names = OddNames { kind: Kind::Team, ids: vec!["3".to_owned()], unreadable: 2 };
        let found = finding(&["email"], &[odd("7"), odd("A name")], &[names]).unwrap();
        assert_eq!(
            found.what,
            "6 values cannot be read, and are absent or incomplete: email of a person who cannot \
             be read, created_at of person 7, created_at of person with an odd id, name of Team 3"
        );
        let many: Vec<OddValue> = (0..100).map(|id| odd(&id.to_string())).collect();
        assert_eq!(finding(&[], &many, &[]).unwrap().what.matches("created_at").count(), 10);
    }
}
