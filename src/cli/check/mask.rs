//! Masking of personal values, for screens that others may see and for tickets.

use serde_json::Value;

use crate::diagnostics::explanation::{Explained, Nature};

/// Visibility of personal values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// The complete value.
    Whole,
    /// First letter and length of a text, or the type of another value. A value that is the same
    /// for all users is shown completely.
    Masked,
}

/// Minimum length of a text whose first letter is shown. The first letter of a shorter text could
/// reveal it.
const SHORTEST: usize = 4;

/// Returns the text that is shown for a value.
pub(super) fn shown(explained: &Explained, shown: Shown) -> String {
    match (&explained.value, shown) {
        (value, Shown::Whole) => whole(value),
        (value, Shown::Masked) => match (explained.nature, value) {
            (Nature::Fixed, value) => whole(value),
            (Nature::Open, Value::String(text)) => masked(text),
            (Nature::Open | Nature::Word, value) => format!("…({})", kind(value)),
        },
    }
}

fn whole(value: &Value) -> String {
    match value.as_str() {
        Some(text) => plain(text),
        None => value.to_string(),
    }
}

fn masked(text: &str) -> String {
    let length = text.chars().count();
    match text.chars().next() {
        Some(first) if length >= SHORTEST && first.is_alphanumeric() => {
            format!("{first}…({length})")
        }
        Some(_) | None => format!("…({length})"),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a word",
        Value::Null | Value::Array(_) | Value::Object(_) => "a value",
    }
}

/// Returns the text with control characters escaped, so that a terminal does not act on them.
pub(super) fn plain(text: &str) -> String {
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
        let explained =
            |value, nature| Explained { attribute: "a".into(), value, source: None, nature };
        for (value, nature, expected) in [
            (json!("ann@example.com"), Nature::Open, "a…(15)"),
            (json!("Ümit"), Nature::Open, "Ü…(4)"),
            (json!("Ann"), Nature::Open, "…(3)"),
            (json!("M"), Nature::Open, "…(1)"),
            (json!(""), Nature::Open, "…(0)"),
            (json!("\u{1b}[31mred"), Nature::Open, "…(8)"),
            (json!("LEAVE"), Nature::Word, "…(a word)"),
            (json!(true), Nature::Word, "…(true or false)"),
            (json!(1234), Nature::Open, "…(a number)"),
            (json!("work"), Nature::Fixed, "work"),
            (json!(true), Nature::Fixed, "true"),
        ] {
            assert_eq!(shown(&explained(value, nature), Shown::Masked), expected);
        }
        assert_eq!(
            shown(&explained(json!("\u{1b}[31mred"), Nature::Open), Shown::Whole),
            "\\u{1b}[31mred"
        );
    }
}
