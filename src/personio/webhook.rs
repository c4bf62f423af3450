//! Webhooks v2: what Personio tells of its own accord. Only the envelope is documented, and ids are all
//! there is in it, so a notice is a hint that somebody should be read again, and of whom if that can be
//! found. Nothing else is taken from it.

use serde_json::Value;

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// This person has changed, or one of their employments.
    Person(String),
    /// Somebody has changed.
    Somebody,
    /// Nothing that is about people.
    Nothing,
}

/// A body that is no notice. It is not quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no JSON object with an event_name")]
pub struct Malformed;

/// Where the id of a person may be: the members of a payload are not documented.
const PERSON_ID: &[&str] = &["/person_id", "/data/person_id", "/person/id", "/data/person/id"];
/// Where it may be, too, if the event is about a person. The `id` of an employment's event is the
/// employment's.
const OWN_ID: &[&str] = &["/data/id", "/id"];
/// Ids are short; what is longer is something else.
const LONGEST_ID: usize = 64;

/// Reads the body of a notice.
///
/// # Errors
/// When it is no JSON object that names an event.
pub fn read(body: &[u8]) -> Result<Notice, Malformed> {
    let notice: Value = serde_json::from_slice(body).map_err(|_| Malformed)?;
    let event = notice.get("event_name").and_then(Value::as_str).ok_or(Malformed)?;
    let payload = notice.get("payload").unwrap_or(&Value::Null);
    // Personio adds events, and an unnecessary refresh is cheap: every event of these two families counts.
    let event = event.to_ascii_lowercase();
    if event.starts_with("person.") {
        return Ok(about(payload, &[PERSON_ID, OWN_ID]));
    }
    if event.starts_with("employment.") {
        return Ok(about(payload, &[PERSON_ID]));
    }
    Ok(Notice::Nothing)
}

fn about(payload: &Value, places: &[&[&str]]) -> Notice {
    let mut places = places.iter().copied().flatten();
    places.find_map(|place| id(payload.pointer(place)?)).map_or(Notice::Somebody, Notice::Person)
}

/// The text of an id. What looks otherwise could lead a request elsewhere.
fn id(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.as_u64()?.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    (plain && (1..=LONGEST_ID).contains(&text.len())).then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ABOUT_PERSONS: [&str; 5] =
        ["person.created", "person.updated", "person.deleted", "person.updated.email", "person.merged"];
    const ABOUT_EMPLOYMENTS: [&str; 8] = [
        "employment.created",
        "employment.updated",
        "employment.deleted",
        "employment.started",
        "employment.terminated",
        "employment.updated.cost-centers",
        "employment.updated.org-units",
        "employment.suspended",
    ];

    fn told(event: &str, payload: Value) -> Notice {
        let body = json!({
            "company_id": 12, "event_name": event, "occurred_at": "2026-11-23T10:00:00Z", "payload": payload,
            "meta": {"id": "e-1"},
        });
        read(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_person_is_found_wherever_a_payload_may_name_one() {
        let person = |id: &str| Notice::Person(id.to_owned());
        let longest = "7".repeat(64);
        // The payload, what an event of a person says by it, and one of an employment.
        let rows = [
            (json!({"person_id": "7"}), person("7"), person("7")),
            (json!({"person_id": 7}), person("7"), person("7")),
            (json!({"person": {"id": "7"}}), person("7"), person("7")),
            (json!({"person": {"id": 1_220_426}}), person("1220426"), person("1220426")),
            (json!({"data": {"person_id": "7"}}), person("7"), person("7")),
            (json!({"data": {"person": {"id": 7}}}), person("7"), person("7")),
            (json!({"id": "7"}), person("7"), Notice::Somebody),
            (json!({"id": 7}), person("7"), Notice::Somebody),
            (json!({"data": {"id": "7"}}), person("7"), Notice::Somebody),
            (json!({"id": "e-1", "data": {"id": "7"}}), person("7"), Notice::Somebody),
            (json!({"id": "e-1", "data": {"person_id": "7"}}), person("7"), person("7")),
            (json!({"id": "e-1", "person": {"id": "7"}}), person("7"), person("7")),
            (json!({"person_id": "a-B_9"}), person("a-B_9"), person("a-B_9")),
            (json!({"person_id": &longest}), person(&longest), person(&longest)),
            (json!({"person_id": format!("{longest}7")}), Notice::Somebody, Notice::Somebody),
            (json!({"person_id": ""}), Notice::Somebody, Notice::Somebody),
            (json!({"person_id": "../7"}), Notice::Somebody, Notice::Somebody),
            (json!({"person_id": "7?x=1"}), Notice::Somebody, Notice::Somebody),
            (json!({"person_id": "ü"}), Notice::Somebody, Notice::Somebody),
            (json!({"person_id": -7}), Notice::Somebody, Notice::Somebody),
            (json!({"person_id": 7.5}), Notice::Somebody, Notice::Somebody),
            (json!({"person_id": true}), Notice::Somebody, Notice::Somebody),
            (json!({"person_id": null}), Notice::Somebody, Notice::Somebody),
            (json!({"person_id": ["7"]}), Notice::Somebody, Notice::Somebody),
            (json!({"person": "7"}), Notice::Somebody, Notice::Somebody),
            (json!({"employee_id": "7"}), Notice::Somebody, Notice::Somebody),
            (json!({}), Notice::Somebody, Notice::Somebody),
            (json!(null), Notice::Somebody, Notice::Somebody),
            (json!("7"), Notice::Somebody, Notice::Somebody),
            (json!([{"id": "7"}]), Notice::Somebody, Notice::Somebody),
        ];
        for (payload, of_a_person, of_an_employment) in rows {
            for event in ABOUT_PERSONS {
                assert_eq!(told(event, payload.clone()), of_a_person, "{event} {payload}");
            }
            for event in ABOUT_EMPLOYMENTS {
                assert_eq!(told(event, payload.clone()), of_an_employment, "{event} {payload}");
            }
        }
    }

    #[test]
    fn what_is_not_about_people_is_nothing_and_case_says_nothing() {
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
            assert_eq!(told(event, json!({"person_id": "7"})), Notice::Nothing, "{event}");
        }
        for event in ["PERSON.UPDATED", "Employment.Updated.Cost-Centers"] {
            assert_eq!(told(event, json!({"person_id": "7"})), Notice::Person("7".to_owned()), "{event}");
        }
        assert_eq!(read(br#"{"event_name": "person.updated"}"#), Ok(Notice::Somebody), "without a payload");
    }

    #[test]
    fn what_names_no_event_is_malformed_and_not_quoted() {
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
            let malformed = read(body.as_bytes()).unwrap_err();
            assert!(!malformed.to_string().contains("MARKER"), "{body}");
        }
        assert_eq!(read(b"{\"event_name\": \"\xff\"}"), Err(Malformed));
    }
}
