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
    pub(crate) fn count_person(&mut self, record: &DecodedRecord, rules: &DateRules<'_>) {
        self.count(record.person.email.is_none(), lacks_status(record, rules));
    }

    /// Counts one person who may lack an e-mail address or a status.
    pub(crate) fn count(&mut self, lacks_email: bool, lacks_status: bool) {
        self.persons += 1;
        self.without_email += usize::from(lacks_email);
        self.without_status += usize::from(lacks_status);
    }

    /// Returns an error if most persons lack an attribute. The error names the attribute and the
    /// setting in Personio that grants access to it.
    pub(crate) fn error(&self) -> Option<SourceError> {
        let Self { persons: all, without_email, without_status } = *self;
        if is_most(without_status, all) {
            Some(missing_attribute_error(without_status, all, "a status", "Status"))
        } else if is_most(without_email, all) {
            Some(missing_attribute_error(without_email, all, "an e-mail address", "Email"))
        } else {
            None
        }
    }
}

/// Reports whether neither the primary employment nor the person has a status.
pub(crate) fn lacks_status(record: &DecodedRecord, rules: &DateRules<'_>) -> bool {
    let employment = match &record.employments {
        Some(employments) => rules.primary_employment(employments),
        None => None,
    };
    let status = employment.and_then(|employment| employment.status.as_ref());
    status.or(record.person.status.as_ref()).is_none()
}

/// Reports whether `count` of `all` persons are too many to lack an attribute.
fn is_most(count: usize, all: usize) -> bool {
    count > 0 && (count == all || (count > MAX_INCOMPLETE_PERSONS && count * 2 > all))
}

/// Returns the error for `count` of `all` persons that lack an attribute. `what` is the attribute
/// in words, `attribute` its name in Personio's settings.
fn missing_attribute_error(count: usize, all: usize, what: &str, attribute: &str) -> SourceError {
    SourceError::upstream(format!(
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
        let record =
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
        let complete = record(Some("ACTIVE"), Some("a@example.com"), None);
        let by_employment = record(None, Some("a@example.com"), Some("ACTIVE"));
        let without_email = record(Some("ACTIVE"), None, None);
        let without_status = record(None, Some("a@example.com"), None);
        for (incomplete, (complete, others), expected) in [
            ((&without_email, 11), (&complete, 10), Some("Email")),
            ((&without_email, 11), (&complete, 11), None),
            ((&without_email, 10), (&complete, 1), None),
            ((&without_email, 10), (&complete, 0), Some("Email")),
            ((&without_status, 1), (&complete, 0), Some("Status")),
            ((&without_status, 11), (&by_employment, 10), Some("Status")),
            ((&by_employment, 50), (&complete, 0), None),
        ] {
            let incomplete = std::iter::repeat_n(incomplete.0, incomplete.1)
                .chain(std::iter::repeat_n(complete, others));
            let mut check = CompletenessCheck::default();
            incomplete.for_each(|record| check.count_person(record, &rules));
            let found = check.error().map(|error| error.to_string());
            match expected {
                Some(word) => {
                    assert!(found.as_ref().is_some_and(|found| found.contains(word)), "{found:?}")
                }
                None => assert_eq!(found, None),
            }
        }
    }
}
