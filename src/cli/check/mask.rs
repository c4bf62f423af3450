//! Masking of personal values, for screens that others may see and for tickets.

use serde_json::Value;

use crate::diagnostics::explanation::{AttributeExplanation, Sensitivity};

/// Visibility of personal values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueVisibility {
    /// The complete value.
    Full,
    /// First letter and length of a text, or the type of another value. A value that is the same
    /// for all users is shown completely.
    Masked,
}

/// Minimum length of a text whose first letter is shown. The first letter of a shorter text could
/// reveal it.
const MIN_LENGTH_FOR_FIRST_LETTER: usize = 4;

/// Returns the text that is shown for a value.
pub(super) fn display_value(
    explained: &AttributeExplanation,
    visibility: ValueVisibility,
) -> String {
    match (&explained.value, visibility) {
        (value, ValueVisibility::Full) => full_value(value),
        (value, ValueVisibility::Masked) => match (explained.sensitivity, value) {
            (Sensitivity::Fixed, value) => full_value(value),
            (Sensitivity::LargeSet, Value::String(text)) => masked_text(text),
            (Sensitivity::LargeSet | Sensitivity::SmallSet, value) => {
                format!("…({})", type_name(value))
            }
        },
    }
}

fn full_value(value: &Value) -> String {
    match value.as_str() {
        Some(text) => escape_control_characters(text),
        None => value.to_string(),
    }
}

fn masked_text(text: &str) -> String {
    let length = text.chars().count();
    match text.chars().next() {
        Some(first) if length >= MIN_LENGTH_FOR_FIRST_LETTER && first.is_alphanumeric() => {
            format!("{first}…({length})")
        }
        Some(_) | None => format!("…({length})"),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a word",
        Value::Null | Value::Array(_) | Value::Object(_) => "a value",
    }
}

/// Returns the text with control characters escaped, so that a terminal does not act on them.
pub(super) fn escape_control_characters(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() {
            visible.extend(char.escape_default());
        } else {
            visible.push(char);
        }
    }
    visible
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn masked_value_shows_at_most_first_letter_and_length() {
        let explained = |value, sensitivity| AttributeExplanation {
            attribute: "a".into(),
            value,
            source: None,
            sensitivity,
        };
        for (value, sensitivity, expected) in [
            (json!("ann@example.com"), Sensitivity::LargeSet, "a…(15)"),
            (json!("Ümit"), Sensitivity::LargeSet, "Ü…(4)"),
            (json!("Ann"), Sensitivity::LargeSet, "…(3)"),
            (json!("M"), Sensitivity::LargeSet, "…(1)"),
            (json!(""), Sensitivity::LargeSet, "…(0)"),
            (json!("\u{1b}[31mred"), Sensitivity::LargeSet, "…(8)"),
            (json!("LEAVE"), Sensitivity::SmallSet, "…(a word)"),
            (json!(true), Sensitivity::SmallSet, "…(true or false)"),
            (json!(1234), Sensitivity::LargeSet, "…(a number)"),
            (json!("work"), Sensitivity::Fixed, "work"),
            (json!(true), Sensitivity::Fixed, "true"),
        ] {
            assert_eq!(
                display_value(&explained(value, sensitivity), ValueVisibility::Masked),
                expected
            );
        }
        assert_eq!(
            display_value(
                &explained(json!("\u{1b}[31mred"), Sensitivity::LargeSet),
                ValueVisibility::Full
            ),
            "\\u{1b}[31mred"
        );
    }
}
