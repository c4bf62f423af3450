//! Completeness check of a load. Personio omits attributes that the credential may not read. The
//! persons then appear to have no e-mail address or no status.

use crate::directory::SourceError;
use crate::mapping::primary_employment::DateRules;
use crate::sync::record_codec::DecodedRecord;

/// Maximum number of persons without an attribute that is accepted even if they are the majority.
/// The limit does not apply if all persons lack the attribute.
const MAX_INCOMPLETE_PERSONS: usize = 10;

/// Numbers of persons that lack an e-mail address or a status.
#[derive(Debug, Default)]
pub(crate) struct CompletenessCheck {
    persons: usize,
    without_email: usize,
    without_status: usize,
}

impl CompletenessCheck {
    /// Counts one person.
    pub(crate) fn count_person(&mut self, facts: &DecodedRecord, rules: &DateRules<'_>) {
        let employment = match &facts.employments {
            Some(employments) => rules.primary_employment(employments),
            None => None,
        };
        let status = employment
            .and_then(|employment| employment.status.as_ref())
            .or(facts.person.status.as_ref());
        self.persons += 1;
        self.without_email += usize::from(facts.person.email.is_none());
        self.without_status += usize::from(status.is_none());
    }

    /// Returns an error if most persons lack an attribute. The error names the attribute and the
    /// setting in Personio that grants access to it.
    pub(crate) fn error(&self) -> Option<SourceError> {
        let Self { persons: all, without_email, without_status } = *self;
        if is_most(without_status, all) {
            Some(flaw(without_status, all, "a status", "Status"))
        } else if is_most(without_email, all) {
            Some(flaw(without_email, all, "an e-mail address", "Email"))
        } else {
            None
        }
    }
}

/// Reports whether `count` of `all` persons are too many to lack an attribute.
fn is_most(count: usize, all: usize) -> bool {
    count > 0 && (count == all || (count > MAX_INCOMPLETE_PERSONS && count * 2 > all))
}

/// Returns the error for `count` of `all` persons that lack an attribute. `what` is the attribute
/// in words, `attribute` its name in Personio's settings.
fn flaw(count: usize, all: usize, what: &str, attribute: &str) -> SourceError {
    SourceError::new(format!(
        "{count} of {all} persons come without {what}: allow the API credential to read the \
         attribute {attribute} in Personio under Settings > Integrations > API credentials; if \
         these persons have none in Personio either, set --max-change (SCIM_MAX_CHANGE) to 100%"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mapping::MappingPolicy;

    #[test]
    fn attribute_that_most_persons_lack_is_reported() {
        let facts =
            |status: Option<&str>, email: Option<&str>, employment: Option<&str>| DecodedRecord {
                person: serde_json::from_value(
                    json!({"id": "1", "status": status, "email": email}),
                )
                .unwrap(),
                employments: employment
                    .map(|it| serde_json::from_value(json!([{"id": "e", "status": it}])).unwrap()),
            };
        let policy = MappingPolicy::default();
        let rules = DateRules { policy: &policy, today: jiff::civil::date(2026, 11, 23) };
        let whole = facts(Some("ACTIVE"), Some("a@example.com"), None);
        let by_employment = facts(None, Some("a@example.com"), Some("ACTIVE"));
        let nameless = facts(Some("ACTIVE"), None, None);
        let stateless = facts(None, Some("a@example.com"), None);
        for (flawed, (whole, others), expected) in [
            ((&nameless, 11), (&whole, 10), Some("Email")),
            ((&nameless, 11), (&whole, 11), None),
            ((&nameless, 10), (&whole, 1), None),
            ((&nameless, 10), (&whole, 0), Some("Email")),
            ((&stateless, 1), (&whole, 0), Some("Status")),
            ((&stateless, 11), (&by_employment, 10), Some("Status")),
            ((&by_employment, 50), (&whole, 0), None),
        ] {
            let flawed =
                std::iter::repeat_n(flawed.0, flawed.1).chain(std::iter::repeat_n(whole, others));
            let mut lacks = CompletenessCheck::default();
            flawed.for_each(|facts| lacks.count_person(facts, &rules));
            let found = lacks.error().map(|flaw| flaw.to_string());
            match expected {
                Some(word) => {
                    assert!(found.as_ref().is_some_and(|found| found.contains(word)), "{found:?}")
                }
                None => assert_eq!(found, None),
            }
        }
    }
}
