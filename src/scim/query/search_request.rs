//! What a client asks of a list, as it wrote it: the parameters of a URL (RFC 7644 §3.4.2) or a
//! SearchRequest (§3.4.3). Names have no case: there are clients that write `startindex`.

use std::fmt::{self, Write as _};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::scim::{InvalidQuery, SEARCH_REQUEST, ScimType};

/// The parameters of a query for a list, without blanks around names. An empty name counts as not given; an
/// empty filter does not: who forgot to fill it in does not mean everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchRequest {
    /// What a resource must be like.
    pub filter: Option<String>,
    /// By which attribute the list is sorted.
    pub sort_by: Option<String>,
    /// In which direction.
    pub sort_order: Option<String>,
    /// The place of the first resource of the page.
    pub start_index: Option<String>,
    /// The largest size of the page.
    pub count: Option<String>,
    /// Where the page before ended; empty for the first page.
    pub cursor: Option<String>,
    /// The attributes that are asked for.
    pub attributes: Vec<String>,
    /// The attributes that are not wanted.
    pub excluded_attributes: Vec<String>,
}

/// As they are written.
const PARAMETERS: [&str; 8] =
    ["filter", "sortBy", "sortOrder", "startIndex", "count", "cursor", "attributes", "excludedAttributes"];

impl SearchRequest {
    /// Reads the parameters of a URL, decoded. Those that mean nothing are ignored.
    ///
    /// `attributes` and `excludedAttributes` may be given several times: many HTTP libraries encode a list that
    /// way, some of them as `attributes[]` or `attributes[0]`.
    ///
    /// # Errors
    /// When another parameter is given twice: which one would count?
    pub fn from_parameters<N, V>(parameters: impl IntoIterator<Item = (N, V)>) -> Result<Self, InvalidQuery>
    where
        N: AsRef<str>,
        V: Into<String>,
    {
        let mut this = Self::default();
        let mut others = Vec::new();
        for (name, value) in parameters {
            let value = value.into();
            let whole = without_brackets(name.as_ref());
            if whole.eq_ignore_ascii_case("attributes") {
                this.attributes.append(&mut names(value.split(',')));
            } else if whole.eq_ignore_ascii_case("excludedAttributes") {
                this.excluded_attributes.append(&mut names(value.split(',')));
            } else {
                others.push((name, value));
            }
        }
        for (name, value) in each_once(others)? {
            this.set(name, value);
        }
        Ok(this)
    }

    /// Reads the body of a SearchRequest: its members mean what the parameters of the same name mean, and
    /// null is not given. `schemas` may be left out, and a list of attributes may be one string, as in a URL:
    /// there are clients that send both.
    ///
    /// # Errors
    /// When it is none, a member is of another type, or is there twice.
    pub fn from_json(body: &[u8]) -> Result<Self, InvalidQuery> {
        let syntax = |detail: String| InvalidQuery { scim_type: ScimType::InvalidSyntax, detail };
        let Members(mut members) = serde_json::from_slice(body).map_err(|error| {
            syntax(format!("the body is no SearchRequest in JSON: line {}, column {}", error.line(), error.column()))
        })?;
        for (name, value) in &members {
            if name.eq_ignore_ascii_case("schemas") && !may_be_search(value) {
                return Err(syntax(format!("the schemas of the body do not name {SEARCH_REQUEST}")));
            }
        }
        members.retain(|(_, value)| !value.is_null());
        let mut this = Self::default();
        for (name, value) in each_once(members)? {
            match name {
                "attributes" => this.attributes = listed_names(name, &value)?,
                "excludedAttributes" => this.excluded_attributes = listed_names(name, &value)?,
                name => this.set(name, scalar(name, value)?),
            }
        }
        Ok(this)
    }

    fn set(&mut self, name: &str, text: String) {
        let word = |text: String| (!text.is_empty()).then(|| text.trim().to_owned());
        match name {
            "filter" => self.filter = Some(text),
            "sortBy" => self.sort_by = word(text),
            "sortOrder" => self.sort_order = word(text),
            "startIndex" => self.start_index = Some(text),
            "count" => self.count = Some(text),
            "cursor" => self.cursor = Some(text),
            _ => {}
        }
    }

    /// All that stays the same from page to page of a list of `what`: two requests with the same are parts of one walk.
    #[must_use]
    pub fn walk(&self, what: &str) -> String {
        let Self { filter, sort_by, sort_order, attributes, excluded_attributes, .. } = self;
        let mut walk = String::with_capacity(64 + filter.as_ref().map_or(0, String::len));
        walk.push_str(what);
        // With its length in front, no text can look like the end of another.
        let put = |walk: &mut String, text: &str| {
            let _ = write!(walk, "{}:{text}", text.len());
        };
        for one in [filter, sort_by, sort_order] {
            match one {
                Some(text) => put(&mut walk, text),
                None => walk.push('-'),
            }
        }
        for names in [attributes, excluded_attributes] {
            let _ = write!(walk, "{}*", names.len());
            names.iter().for_each(|name| put(&mut walk, name));
        }
        walk
    }
}

/// The parameters that mean something, by the names that [`PARAMETERS`] has.
fn each_once<N: AsRef<str>, V>(
    parameters: impl IntoIterator<Item = (N, V)>,
) -> Result<Vec<(&'static str, V)>, InvalidQuery> {
    let mut found: Vec<(&'static str, V)> = Vec::new();
    for (name, value) in parameters {
        let Some(name) = PARAMETERS.into_iter().find(|known| known.eq_ignore_ascii_case(name.as_ref())) else {
            continue;
        };
        if found.iter().any(|(earlier, _)| *earlier == name) {
            return Err(invalid(format!("the parameter {name} is given more than once")));
        }
        found.push((name, value));
    }
    Ok(found)
}

/// Without blanks around them; an empty name is none.
fn names<'n>(list: impl Iterator<Item = &'n str>) -> Vec<String> {
    list.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The members of a JSON object, also those that are there twice.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Members;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

/// Returns `attributes` for `attributes[]` and `attributes[0]`, and any other name as it is.
fn without_brackets(name: &str) -> &str {
    match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
        Some((whole, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => whole,
        Some(_) | None => name,
    }
}

/// Reports whether the value of `schemas` names a search, or nothing at all: "null and the empty array" are the
/// same as not given (RFC 7643 §2.5).
fn may_be_search(schemas: &Value) -> bool {
    match schemas {
        Value::Null => true,
        Value::String(urn) => urn.eq_ignore_ascii_case(SEARCH_REQUEST),
        Value::Array(urns) => {
            let mut texts = urns.iter().filter_map(Value::as_str);
            urns.is_empty() || texts.any(|urn| urn.eq_ignore_ascii_case(SEARCH_REQUEST))
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

/// Reads a list of attribute names: an array of strings, or one string with commas. An element may have commas too.
fn listed_names(name: &str, value: &Value) -> Result<Vec<String>, InvalidQuery> {
    let elements = match value {
        Value::String(_) => std::slice::from_ref(value),
        Value::Array(elements) => elements,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return Err(no_names(name)),
    };
    let mut found = Vec::new();
    for element in elements {
        let text = element.as_str().ok_or_else(|| no_names(name))?;
        found.append(&mut names(text.split(',')));
    }
    Ok(found)
}

fn no_names(name: &str) -> InvalidQuery {
    invalid(format!("{name} must be an array of strings, or one string with commas"))
}

fn scalar(name: &str, value: Value) -> Result<String, InvalidQuery> {
    match (name, value) {
        (_, Value::String(text)) => Ok(text),
        ("startIndex" | "count", Value::Number(number)) => {
            // To JSON `100.0` is whole, and so is what is too large for an integer.
            let whole = number.as_f64().filter(|value| number.is_f64() && value.fract() == 0.0);
            Ok(whole.map_or_else(|| number.to_string(), |whole| format!("{whole:.0}")))
        }
        ("startIndex" | "count", _) => Err(invalid(format!("{name} must be a whole number"))),
        _ => Err(invalid(format!("{name} must be a string"))),
    }
}

fn invalid(detail: String) -> InvalidQuery {
    InvalidQuery { scim_type: ScimType::InvalidValue, detail }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn different_queries_are_different_walks() {
        let none = SearchRequest::default();
        let some = |text: &str| Some(text.to_owned());
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let queries = [
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
        let walks: HashSet<String> = queries.iter().map(|query| query.walk("Users")).collect();
        assert_eq!(walks.len(), queries.len(), "{walks:?}");
        assert_ne!(none.walk("Users"), none.walk("Groups"));
        let page = SearchRequest { start_index: some("2"), count: some("3"), cursor: some("c"), ..none.clone() };
        assert_eq!(page.walk("Users"), none.walk("Users"));
    }
}
