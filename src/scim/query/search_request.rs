//! Parameters of a list query as the client wrote them: those of a URL (RFC 7644 §3.4.2), or the
//! members of a SearchRequest body (§3.4.3). Their names are case-insensitive, because some clients
//! write `startindex`.

use std::fmt::{self, Write as _};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Number, Value};

use crate::scim::{InvalidQuery, SEARCH_REQUEST_SCHEMA, ScimType};

/// Parameters of a list query.
///
/// Names of attributes have no whitespace around them, and an empty name counts as not given. An
/// empty filter counts as given and fails to parse: a client that forgets to fill it in does not
/// mean all users.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchRequest {
    /// Filter that the resources must match.
    pub filter: Option<String>,
    /// Attribute to sort by.
    pub sort_by: Option<String>,
    /// Sort direction.
    pub sort_order: Option<String>,
    /// Index of the first resource of the page, counted from 1.
    pub start_index: Option<String>,
    /// Maximum number of resources on the page.
    pub count: Option<String>,
    /// Cursor of the page; empty for the first page.
    pub cursor: Option<String>,
    /// Requested attributes.
    pub attributes: Vec<String>,
    /// Attributes to leave out.
    pub excluded_attributes: Vec<String>,
}

/// Names of the parameters in their usual spelling.
const PARAMETERS: [&str; 8] = [
    "filter",
    "sortBy",
    "sortOrder",
    "startIndex",
    "count",
    "cursor",
    // Lists of names.
    "attributes",
    "excludedAttributes",
];

impl SearchRequest {
    /// Reads the decoded parameters of a URL. Unknown parameters are ignored.
    ///
    /// `attributes` and `excludedAttributes` can be given several times, because many HTTP
    /// libraries encode a list that way, some of them as `attributes[]` or `attributes[0]`.
    ///
    /// # Errors
    /// If another parameter is given twice.
    pub fn from_parameters<I, N, V>(parameters: I) -> Result<Self, InvalidQuery>
    where
        I: IntoIterator<Item = (N, V)>,
        N: AsRef<str>,
        V: Into<String>,
    {
        let mut request = Self::default();
        let mut single_valued = Vec::new();
        for (name, value) in parameters {
            let value = value.into();
            let base_name = without_brackets(name.as_ref());
            if base_name.eq_ignore_ascii_case("attributes") {
                push_names(&value, &mut request.attributes);
            } else if base_name.eq_ignore_ascii_case("excludedAttributes") {
                push_names(&value, &mut request.excluded_attributes);
            } else {
                single_valued.push((name, value));
            }
        }
        drop_empty_cursors(&mut single_valued);
        for (name, value) in known_parameters(single_valued)? {
            request.set(name, value);
        }
        Ok(request)
    }

    /// Reads the body of a SearchRequest. Its members are the parameters of a URL, and null counts
    /// as not given. Two deviations of clients are accepted: `schemas` can be absent, and a list of
    /// attributes can be one string with commas, as in a URL.
    ///
    /// # Errors
    /// If the body is not a SearchRequest, or a member has another type or is given twice.
    pub fn from_json(body: &[u8]) -> Result<Self, InvalidQuery> {
        let SearchBody(mut members) = match serde_json::from_slice(body) {
            Ok(members) => members,
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                return Err(invalid_syntax(format!(
                    "the body is not a SearchRequest in JSON: line {line}, column {column}"
                )));
            }
        };
        for (name, value) in &members {
            if name.eq_ignore_ascii_case("schemas") && !is_search_schema(value) {
                let detail = format!("the schemas of the body do not name {SEARCH_REQUEST_SCHEMA}");
                return Err(invalid_syntax(detail));
            }
        }
        members.retain(|(_, value)| !value.is_null());
        let mut request = Self::default();
        for (name, value) in known_parameters(members)? {
            match name {
                "attributes" => request.attributes = parse_names(name, &value)?,
                "excludedAttributes" => request.excluded_attributes = parse_names(name, &value)?,
                name => request.set(name, parse_scalar(name, value)?),
            }
        }
        Ok(request)
    }

    fn set(&mut self, name: &str, text: String) {
        match name {
            "filter" => self.filter = Some(text),
            "sortBy" => self.sort_by = trimmed(&text),
            "sortOrder" => self.sort_order = trimmed(&text),
            "startIndex" => self.start_index = Some(text),
            "count" => self.count = Some(text),
            "cursor" => self.cursor = Some(text),
            _ => {}
        }
    }

    /// Returns the key of the query over the endpoint `endpoint`: everything that stays the same
    /// from page to page. Pages with the same key belong to the same list.
    #[must_use]
    pub fn query_key(&self, endpoint: &str) -> String {
        let Self { filter, sort_by, sort_order, attributes, excluded_attributes, .. } = self;
        let mut key = String::with_capacity(64 + filter.as_ref().map_or(0, String::len));
        key.push_str(endpoint);
        for parameter in [filter, sort_by, sort_order] {
            match parameter {
                Some(text) => push_with_length(&mut key, text),
                None => key.push('-'),
            }
        }
        for names in [attributes, excluded_attributes] {
            let _ = write!(key, "{}*", names.len());
            for name in names {
                push_with_length(&mut key, name);
            }
        }
        key
    }
}

/// Appends `text` with its length in front, so that different queries never have the same key.
fn push_with_length(key: &mut String, text: &str) {
    let _ = write!(key, "{}:{text}", text.len());
}

/// Returns the known parameters, with their names as in [`PARAMETERS`].
fn known_parameters<N: AsRef<str>, V>(
    parameters: impl IntoIterator<Item = (N, V)>,
) -> Result<Vec<(&'static str, V)>, InvalidQuery> {
    let mut known: Vec<(&'static str, V)> = Vec::new();
    for (name, value) in parameters {
        let Some(name) = usual_spelling(name.as_ref()) else { continue };
        if known.iter().any(|(earlier, _)| *earlier == name) {
            return Err(invalid_value(format!("the parameter {name} is given more than once")));
        }
        known.push((name, value));
    }
    Ok(known)
}

/// Removes empty cursors next to a cursor with a value. Some clients add the cursor of the next page
/// to the parameters of the first one, instead of replacing the empty cursor there.
fn drop_empty_cursors<N: AsRef<str>>(parameters: &mut Vec<(N, String)>) {
    let is_cursor = |name: &N| usual_spelling(name.as_ref()) == Some("cursor");
    if parameters.iter().any(|(name, value)| is_cursor(name) && !value.is_empty()) {
        parameters.retain(|(name, value)| !is_cursor(name) || !value.is_empty());
    }
}

fn usual_spelling(name: &str) -> Option<&'static str> {
    PARAMETERS.into_iter().find(|parameter| parameter.eq_ignore_ascii_case(name))
}

/// Returns the text without whitespace around it, or none for an empty text.
fn trimmed(text: &str) -> Option<String> {
    if text.is_empty() { None } else { Some(text.trim().to_owned()) }
}

/// Appends the names of a comma-separated list to `names`. Empty names are ignored.
fn push_names(list: &str, names: &mut Vec<String>) {
    for name in list.split(',') {
        let name = name.trim();
        if !name.is_empty() {
            names.push(name.to_owned());
        }
    }
}

/// Members of the JSON object in a request body, including duplicates.
struct SearchBody(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for SearchBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SearchBodyVisitor)
    }
}

struct SearchBodyVisitor;

impl<'de> Visitor<'de> for SearchBodyVisitor {
    type Value = SearchBody;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SearchBody, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(SearchBody(members))
    }
}

/// Returns `attributes` for `attributes[]` and `attributes[0]`, and any other name unchanged.
fn without_brackets(name: &str) -> &str {
    let Some(inner) = name.strip_suffix(']') else { return name };
    match inner.split_once('[') {
        Some((base_name, index)) if index.bytes().all(|byte| byte.is_ascii_digit()) => base_name,
        Some(_) | None => name,
    }
}

/// Reports whether the value of `schemas` names a search. Null and the empty array count as not
/// given (RFC 7643 §2.5).
fn is_search_schema(schemas: &Value) -> bool {
    match schemas {
        Value::Null => true,
        Value::String(urn) => urn.eq_ignore_ascii_case(SEARCH_REQUEST_SCHEMA),
        Value::Array(urns) => {
            let mut texts = urns.iter().filter_map(Value::as_str);
            urns.is_empty() || texts.any(|urn| urn.eq_ignore_ascii_case(SEARCH_REQUEST_SCHEMA))
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

/// Reads a list of attribute names: an array of strings, or one string. Each string can be a list
/// with commas.
fn parse_names(parameter: &str, value: &Value) -> Result<Vec<String>, InvalidQuery> {
    let elements = match value {
        Value::String(_) => std::slice::from_ref(value),
        Value::Array(elements) => elements,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return Err(invalid_names(parameter));
        }
    };
    let mut names = Vec::new();
    for element in elements {
        let Some(list) = element.as_str() else { return Err(invalid_names(parameter)) };
        push_names(list, &mut names);
    }
    Ok(names)
}

fn parse_scalar(parameter: &str, value: Value) -> Result<String, InvalidQuery> {
    match (parameter, value) {
        (_, Value::String(text)) => Ok(text),
        ("startIndex" | "count", Value::Number(number)) => Ok(number_text(&number)),
        ("startIndex" | "count", _) => {
            let detail = format!("{parameter} must be a whole number");
            Err(invalid_value(detail))
        }
        _ => Err(invalid_value(format!("{parameter} must be a string"))),
    }
}

/// Returns the text of a number. A number with a fraction of zero is whole in JSON, and so is a
/// number that is too large for an integer, so both are written without a fraction.
fn number_text(number: &Number) -> String {
    if number.is_f64()
        && let Some(float) = number.as_f64()
        && float.fract() == 0.0
    {
        return format!("{float:.0}");
    }
    number.to_string()
}

fn invalid_names(parameter: &str) -> InvalidQuery {
    let detail = format!("{parameter} must be an array of strings, or one string with commas");
    invalid_value(detail)
}

fn invalid_value(detail: String) -> InvalidQuery {
    InvalidQuery { scim_type: ScimType::InvalidValue, detail }
}

fn invalid_syntax(detail: String) -> InvalidQuery {
    InvalidQuery { scim_type: ScimType::InvalidSyntax, detail }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn different_queries_have_different_keys() {
        let none = SearchRequest::default();
        let requests = [
            none.clone(),
            SearchRequest { filter: some(""), ..none.clone() },
            SearchRequest { filter: some("-"), ..none.clone() },
            SearchRequest { sort_by: some("a"), ..none.clone() },
            SearchRequest { sort_order: some("a"), ..none.clone() },
            SearchRequest { filter: some("a"), sort_by: some("b"), ..none.clone() },
            SearchRequest { filter: some("a1:b"), ..none.clone() },
            SearchRequest { attributes: names(&["a"]), ..none.clone() },
            SearchRequest { attributes: names(&["a", "b"]), ..none.clone() },
            SearchRequest { attributes: names(&["a,b"]), ..none.clone() },
            SearchRequest { attributes: names(&["a1:b"]), ..none.clone() },
            SearchRequest { excluded_attributes: names(&["a"]), ..none.clone() },
        ];
        let keys: HashSet<String> =
            requests.iter().map(|request| request.query_key("Users")).collect();
        assert_eq!(keys.len(), requests.len(), "{keys:?}");
        assert_ne!(none.query_key("Users"), none.query_key("Groups"));
    }

    #[test]
    fn pages_of_the_same_query_have_the_same_key() {
        let first = SearchRequest::default();
        let mut page = first.clone();
        page.start_index = some("2");
        page.count = some("3");
        page.cursor = some("c");
        assert_eq!(page.query_key("Users"), first.query_key("Users"));
    }
}
