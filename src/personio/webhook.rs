//! Webhooks v2: requests by which Personio reports changes.
//!
//! Personio documents only the envelope, and the payload contains only ids. A webhook is therefore
//! a hint to read again: one person, if the payload contains the id, or any person. No other data
//! of a webhook is used.

use serde_json::Value;

/// Change that a webhook reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookEvent {
    /// Change of the person with this id, or of one of their employments.
    Person(String),
    /// Change of a person that the payload does not identify.
    UnknownPerson,
    /// Event that does not concern persons.
    Unrelated,
}

/// Body that is not a webhook. The error does not quote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a JSON object with an event_name")]
pub struct MalformedEvent;

/// JSON pointers to the id of a person. Personio does not document the members of a payload.
const PERSON_ID_POINTERS: [&str; 4] =
    ["/person_id", "/data/person_id", "/person/id", "/data/person/id"];
/// Further JSON pointers to the id in events of persons. In events of employments they point to the
/// id of the employment.
const OWN_ID_POINTERS: [&str; 2] = ["/data/id", "/id"];
/// Maximum length of an id. Personio's ids are shorter; a longer text is not an id.
const MAX_ID_BYTES: usize = 64;

/// Parses the body of a webhook.
///
/// # Errors
/// If the body is not a JSON object with an `event_name`.
pub fn parse(body: &[u8]) -> Result<WebhookEvent, MalformedEvent> {
    let Ok(webhook) = serde_json::from_slice::<Value>(body) else { return Err(MalformedEvent) };
    let Some(Value::String(event)) = webhook.get("event_name") else { return Err(MalformedEvent) };
    let payload = webhook.get("payload").unwrap_or(&Value::Null);
    // Personio adds events without notice, and an unnecessary refresh costs little. All events of
    // these two families count therefore.
    let event = event.to_ascii_lowercase();
    let id = if event.starts_with("person.") {
        find_id(payload, &PERSON_ID_POINTERS).or_else(|| find_id(payload, &OWN_ID_POINTERS))
    } else if event.starts_with("employment.") {
        find_id(payload, &PERSON_ID_POINTERS)
    } else {
        return Ok(WebhookEvent::Unrelated);
    };
    match id {
        Some(id) => Ok(WebhookEvent::Person(id)),
        None => Ok(WebhookEvent::UnknownPerson),
    }
}

/// Returns the first valid id that one of the pointers finds.
fn find_id(payload: &Value, pointers: &[&str]) -> Option<String> {
    for pointer in pointers {
        if let Some(id) = payload.pointer(pointer).and_then(valid_id) {
            return Some(id);
        }
    }
    None
}

/// Returns the text of a valid id. A text with other characters could change the path of a request.
fn valid_id(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.as_u64()?.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_plain && (1..=MAX_ID_BYTES).contains(&text.len()) { Some(text) } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PERSON_EVENTS: [&str; 5] = [
        "person.created",
        "person.updated",
        "person.deleted",
        "person.updated.email",
        "person.merged",
    ];
    const EMPLOYMENT_EVENTS: [&str; 8] = [
        "employment.created",
        "employment.updated",
        "employment.deleted",
        "employment.started",
        "employment.terminated",
        "employment.updated.cost-centers",
        "employment.updated.org-units",
        "employment.suspended",
    ];

    fn person(id: &str) -> WebhookEvent {
        WebhookEvent::Person(id.to_owned())
    }

    fn parsed(event: &str, payload: Value) -> WebhookEvent {
        let body = json!({
            "company_id": 12, "event_name": event, "occurred_at": "2026-11-23T10:00:00Z",
            "payload": payload, "meta": {"id": "e-1"},
        });
        parse(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn id_of_the_person_is_found_in_every_known_position() {
        let longest = "7".repeat(64);
        // Payload; expected change for an event of a person; for an event of an employment.
        let rows = [
            (json!({"person_id": "7"}), person("7"), person("7")),
            (json!({"person_id": 7}), person("7"), person("7")),
            (json!({"person": {"id": "7"}}), person("7"), person("7")),
            (json!({"person": {"id": 1_220_426}}), person("1220426"), person("1220426")),
            (json!({"data": {"person_id": "7"}}), person("7"), person("7")),
            (json!({"data": {"person": {"id": 7}}}), person("7"), person("7")),
            (json!({"id": "7"}), person("7"), WebhookEvent::UnknownPerson),
            (json!({"id": 7}), person("7"), WebhookEvent::UnknownPerson),
            (json!({"data": {"id": "7"}}), person("7"), WebhookEvent::UnknownPerson),
            (json!({"id": "e-1", "data": {"id": "7"}}), person("7"), WebhookEvent::UnknownPerson),
            (json!({"id": "e-1", "data": {"person_id": "7"}}), person("7"), person("7")),
            (json!({"id": "e-1", "person": {"id": "7"}}), person("7"), person("7")),
            (json!({"person_id": "a-B_9"}), person("a-B_9"), person("a-B_9")),
            (json!({"person_id": &longest}), person(&longest), person(&longest)),
            (
                json!({"person_id": format!("{longest}7")}),
                WebhookEvent::UnknownPerson,
                WebhookEvent::UnknownPerson,
            ),
            (json!({"person_id": ""}), WebhookEvent::UnknownPerson, WebhookEvent::UnknownPerson),
            (
                json!({"person_id": "../7"}),
                WebhookEvent::UnknownPerson,
                WebhookEvent::UnknownPerson,
            ),
            (
                json!({"person_id": "7?x=1"}),
                WebhookEvent::UnknownPerson,
                WebhookEvent::UnknownPerson,
            ),
            (json!({"person_id": "ü"}), WebhookEvent::UnknownPerson, WebhookEvent::UnknownPerson),
            (json!({"person_id": -7}), WebhookEvent::UnknownPerson, WebhookEvent::UnknownPerson),
            (json!({"person_id": 7.5}), WebhookEvent::UnknownPerson, WebhookEvent::UnknownPerson),
            (json!({"person_id": true}), WebhookEvent::UnknownPerson, WebhookEvent::UnknownPerson),
            (json!({"person_id": null}), WebhookEvent::UnknownPerson, WebhookEvent::UnknownPerson),
            (json!({"person_id": ["7"]}), WebhookEvent::UnknownPerson, WebhookEvent::UnknownPerson),
            (json!({"person": "7"}), WebhookEvent::UnknownPerson, WebhookEvent::UnknownPerson),
            (json!({"employee_id": "7"}), WebhookEvent::UnknownPerson, WebhookEvent::UnknownPerson),
            (json!({}), WebhookEvent::UnknownPerson, WebhookEvent::UnknownPerson),
            (json!(null), WebhookEvent::UnknownPerson, WebhookEvent::UnknownPerson),
            (json!("7"), WebhookEvent::UnknownPerson, WebhookEvent::UnknownPerson),
            (json!([{"id": "7"}]), WebhookEvent::UnknownPerson, WebhookEvent::UnknownPerson),
        ];
        for (payload, for_person_event, for_employment_event) in rows {
            for event in PERSON_EVENTS {
                assert_eq!(parsed(event, payload.clone()), for_person_event, "{event} {payload}");
            }
            for event in EMPLOYMENT_EVENTS {
                assert_eq!(
                    parsed(event, payload.clone()),
                    for_employment_event,
                    "{event} {payload}"
                );
            }
        }
    }

    #[test]
    fn events_that_do_not_concern_persons_are_ignored_and_case_does_not_matter() {
        for event in [
            "ping",
            "absence.created",
            "absence-period.updated",
            "attendance-period.created",
            "document.created",
            "person",
            "employment",
            "",
            "persons.created",
            "employments.created",
            "person-document.created",
            "document.person.created",
        ] {
            assert_eq!(
                parsed(event, json!({"person_id": "7"})),
                WebhookEvent::Unrelated,
                "{event}"
            );
        }
        for event in ["PERSON.UPDATED", "Employment.Updated.Cost-Centers"] {
            assert_eq!(parsed(event, json!({"person_id": "7"})), person("7"), "{event}");
        }
        assert_eq!(
            parse(br#"{"event_name": "person.updated"}"#),
            Ok(WebhookEvent::UnknownPerson),
            "without a payload"
        );
    }

    #[test]
    fn body_without_an_event_is_an_error_that_does_not_quote_it() {
        let deep = "[".repeat(1000);
        for body in [
            "",
            "MARKER",
            "null",
            "7",
            "\"person.updated\"",
            "[]",
            "[\"person.updated\", {}]",
            "{}",
            "{\"event_name\": null}",
            "{\"event_name\": 7, \"payload\": \"MARKER\"}",
            "{\"event_name\": [\"person.updated\"]}",
            "{\"payload\": {\"person_id\": \"MARKER\"}}",
            "{\"event_name\": \"person.updated\"",
            "{\"event_name\": \"person.updated\"} MARKER",
            &deep,
        ] {
            let malformed = parse(body.as_bytes()).unwrap_err();
            assert!(!malformed.to_string().contains("MARKER"), "{body}");
        }
        assert_eq!(parse(b"{\"event_name\": \"\xff\"}"), Err(MalformedEvent));
    }
}
