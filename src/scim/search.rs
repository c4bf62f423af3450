//! What a client asks of a list, as it wrote it: the parameters of a URL (RFC 7644 §3.4.2) or a
//! SearchRequest (§3.4.3). Names have no case: there are clients that write `startindex`.

use serde_json::{Map, Value};

use super::{InvalidQuery, SEARCH_REQUEST, ScimType};

/// The parameters of a query for a list. An empty name counts as not given; an empty filter does not: who
/// forgot to fill it in does not mean everybody.
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

impl SearchRequest {
    /// Reads the parameters of a URL, decoded. Those that mean nothing are ignored.
    ///
    /// # Errors
    /// When a parameter is given twice: which one would count?
    pub fn from_parameters<N, V>(parameters: impl IntoIterator<Item = (N, V)>) -> Result<Self, InvalidQuery>
    where
        N: AsRef<str>,
        V: Into<String>,
    {
        let mut this = Self::default();
        let (mut attributes, mut excluded) = (None, None);
        for (name, value) in parameters {
            let Some((name, given)) = (match name.as_ref().to_ascii_lowercase().as_str() {
                "attributes" => Some(("attributes", &mut attributes)),
                "excludedattributes" => Some(("excludedAttributes", &mut excluded)),
                name => this.parameter(name),
            }) else {
                continue;
            };
            if given.replace(value.into()).is_some() {
                return Err(invalid(format!("the parameter {name} is given more than once")));
            }
        }
        this.attributes = names(attributes.as_deref());
        this.excluded_attributes = names(excluded.as_deref());
        Ok(this.without_empty_names())
    }

    /// Reads the body of a SearchRequest.
    ///
    /// # Errors
    /// When it is none, or a member is of another type.
    pub fn from_json(body: &[u8]) -> Result<Self, InvalidQuery> {
        let syntax = |detail: String| InvalidQuery { scim_type: ScimType::InvalidSyntax, detail };
        let body: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
            syntax(format!("the body is no SearchRequest in JSON: line {}, column {}", error.line(), error.column()))
        })?;
        let mut this = Self::default();
        let mut is_search = false;
        for (name, value) in &body {
            match (name.to_ascii_lowercase().as_str(), value) {
                (_, Value::Null) => {}
                ("schemas", value) => {
                    let urns = value.as_array().into_iter().flatten().filter_map(Value::as_str);
                    is_search = urns.into_iter().any(|urn| urn.eq_ignore_ascii_case(SEARCH_REQUEST));
                }
                ("attributes", value) => this.attributes = array("attributes", value)?,
                ("excludedattributes", value) => this.excluded_attributes = array("excludedAttributes", value)?,
                (name, value) => {
                    if let Some((name, given)) = this.parameter(name) {
                        *given = Some(scalar(name, value)?);
                    }
                }
            }
        }
        if !is_search {
            return Err(syntax(format!("the body has no schemas with {SEARCH_REQUEST}")));
        }
        Ok(this.without_empty_names())
    }

    fn without_empty_names(mut self) -> Self {
        self.sort_by = self.sort_by.filter(|name| !name.is_empty());
        self.sort_order = self.sort_order.filter(|name| !name.is_empty());
        self
    }

    /// The parameter of this name in lower case.
    fn parameter(&mut self, name: &str) -> Option<(&'static str, &mut Option<String>)> {
        Some(match name {
            "filter" => ("filter", &mut self.filter),
            "sortby" => ("sortBy", &mut self.sort_by),
            "sortorder" => ("sortOrder", &mut self.sort_order),
            "startindex" => ("startIndex", &mut self.start_index),
            "count" => ("count", &mut self.count),
            "cursor" => ("cursor", &mut self.cursor),
            _ => return None,
        })
    }

    /// All that stays the same from page to page: two requests with the same are parts of one walk.
    #[must_use]
    pub fn walk(&self) -> String {
        let Self { filter, sort_by, sort_order, attributes, excluded_attributes, .. } = self;
        serde_json::json!([filter, sort_by, sort_order, attributes, excluded_attributes]).to_string()
    }
}

/// The names in a comma list.
fn names(list: Option<&str>) -> Vec<String> {
    let names = list.unwrap_or_default().split(',').map(str::trim);
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn array(name: &str, value: &Value) -> Result<Vec<String>, InvalidQuery> {
    let names = value
        .as_array()
        .and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>());
    names.ok_or_else(|| invalid(format!("{name} must be an array of strings")))
}

fn scalar(name: &str, value: &Value) -> Result<String, InvalidQuery> {
    match (name, value) {
        ("startIndex" | "count", Value::Number(number)) => Ok(number.to_string()),
        ("startIndex" | "count", _) => Err(invalid(format!("{name} must be a whole number"))),
        (_, Value::String(text)) => Ok(text.clone()),
        _ => Err(invalid(format!("{name} must be a string"))),
    }
}

fn invalid(detail: String) -> InvalidQuery {
    InvalidQuery { scim_type: ScimType::InvalidValue, detail }
}
