//! Listings: their common parameters, the selection of a page, and the links of a page.
//!
//! `persons` and `lookups` provide the entries.

use std::collections::BTreeMap;

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::simulator::cursor::ListingCursor;
use crate::simulator::options::{NextLinkForm, Quirks};
use crate::simulator::response::{PersonioProblem, SimulatedResponse};

const DEFAULT_PAGE_SIZE: usize = 10;

/// Request of a listing. Its parameters are those of the query and those in the cursor.
#[derive(Debug)]
pub(super) struct ListingParameters {
    path: String,
    query: String,
    parameters: BTreeMap<String, String>,
    /// Cursor of the request, as received.
    sent_cursor: Option<String>,
    limit: usize,
    /// Position of the first candidate of the page.
    pub(super) position: usize,
}

impl ListingParameters {
    /// Parses a query. `filters` are the accepted parameters other than `limit` and `cursor`.
    ///
    /// A parameter in the query replaces the parameter of the same name in the cursor.
    pub(super) fn parse(
        path: &str,
        query: &str,
        filters: &[&str],
        max_limit: usize,
    ) -> Result<Self, PersonioProblem> {
        let mut sent = query_parameters(query);
        for name in sent.keys() {
            if !matches!(name.as_str(), "limit" | "cursor") && !filters.contains(&name.as_str()) {
                return Err(PersonioProblem::bad_request(format!("Unknown parameter: {name}")));
            }
        }
        let sent_cursor = sent.remove("cursor");
        let (position, mut parameters) = match &sent_cursor {
            None => (0, BTreeMap::new()),
            Some(text) => {
                let Some(cursor) = ListingCursor::decode(text, path) else {
                    return Err(PersonioProblem::bad_request("The cursor is not valid."));
                };
                (cursor.position, query_parameters(&cursor.query))
            }
        };
        parameters.extend(sent);
        let limit = match parameters.get("limit") {
            None => DEFAULT_PAGE_SIZE,
            Some(text) => match text.parse::<usize>() {
                Ok(limit) if (1..=max_limit).contains(&limit) => limit,
                Ok(_) | Err(_) => {
                    let detail = format!("limit must be from 1 to {max_limit}.");
                    return Err(PersonioProblem::bad_request(detail));
                }
            },
        };
        let (path, query) = (path.to_owned(), query.to_owned());
        Ok(Self { path, query, parameters, sent_cursor, limit, position })
    }

    /// Returns the value of a parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// Returns the items of a parameter that is a list separated by commas.
    pub(super) fn list_parameter(&self, name: &str) -> Option<Vec<&str>> {
        let items = self.parameter(name)?.split(',').map(str::trim);
        Some(items.filter(|item| !item.is_empty()).collect())
    }

    /// Parses a filter by time from the parameters `name`, `name.gt` and `name.lt`.
    pub(super) fn time_filter(&self, name: &str) -> Result<TimeFilter, PersonioProblem> {
        Ok(TimeFilter {
            at: self.time(name)?,
            after: self.time(&format!("{name}.gt"))?,
            before: self.time(&format!("{name}.lt"))?,
        })
    }

    fn time(&self, name: &str) -> Result<Option<Timestamp>, PersonioProblem> {
        let Some(text) = self.parameter(name) else { return Ok(None) };
        match text.parse::<Timestamp>() {
            Ok(time) => Ok(Some(time)),
            Err(_) => Err(PersonioProblem::bad_request(format!("{name} is not a date and time."))),
        }
    }

    /// Creates the page of the entries from the position of this request on, up to the limit.
    ///
    /// Each entry comes with its position. The positions must be in ascending order.
    pub(super) fn page<T>(
        &self,
        entries: impl Iterator<Item = (usize, T)>,
        write: impl Fn(T) -> Value,
        quirks: &Quirks,
        base_url: &str,
    ) -> SimulatedResponse {
        let entries = entries.skip_while(|(position, _)| *position < self.position);
        let mut entries = entries.peekable();
        let mut data = Vec::with_capacity(self.limit);
        let mut last = self.position;
        for (position, entry) in entries.by_ref().take(self.limit) {
            data.push(write(entry));
            last = position;
        }
        let next = match entries.peek() {
            None => None,
            Some(_) if quirks.overlapping_pages && self.limit > 1 => Some(last),
            Some(_) => Some(last + 1),
        };
        let cursor = self.next_cursor(next, last, quirks);
        let links = self.links(cursor.as_deref(), quirks.next_link, base_url);
        SimulatedResponse::json(200, &json!({ "_data": data, "_meta": { "links": links } }))
    }

    /// Returns the cursor of the next link, or `None` without a next page.
    ///
    /// `next` is the position of the next page, and `last` that of the last entry on this page. The
    /// quirk `repeating_cursor` adds a next link to every page.
    fn next_cursor(&self, next: Option<usize>, last: usize, quirks: &Quirks) -> Option<String> {
        if quirks.repeating_cursor && self.sent_cursor.is_some() {
            return self.sent_cursor.clone();
        }
        let position = match next {
            Some(position) => position,
            None if quirks.repeating_cursor => last + 1,
            None => return None,
        };
        let mut query = form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs(&self.parameters).finish();
        let cursor = ListingCursor { position, path: self.path.clone(), query };
        Some(cursor.encode(quirks.awkward_cursors))
    }

    fn links(
        &self,
        cursor: Option<&str>,
        shape: NextLinkForm,
        base_url: &str,
    ) -> Map<String, Value> {
        let mut links = Map::new();
        links.insert("self".to_owned(), json!({ "href": self.self_url(base_url) }));
        let next = match cursor {
            Some(cursor) => Some(self.next_link(cursor, shape, base_url)),
            None if shape == NextLinkForm::NullOnLastPage => Some(Value::Null),
            None => None,
        };
        if let Some(next) = next {
            links.insert("next".to_owned(), next);
        }
        links
    }

    fn next_link(&self, cursor: &str, shape: NextLinkForm, base_url: &str) -> Value {
        let path = &self.path;
        let query = format!("?cursor={}", utf8_percent_encode(cursor, NON_ALPHANUMERIC));
        match shape {
            NextLinkForm::Object | NextLinkForm::NullOnLastPage => {
                json!({ "href": format!("{base_url}{path}{query}") })
            }
            NextLinkForm::BareString => json!(format!("{base_url}{path}{query}")),
            NextLinkForm::RelativeHref => json!({ "href": format!("{path}{query}") }),
            NextLinkForm::OtherOrigin => {
                json!({ "href": format!("https://evil.example{path}{query}") })
            }
            NextLinkForm::WrongPath => {
                json!({ "href": format!("{base_url}/v2/wrong{path}{query}") })
            }
        }
    }

    fn self_url(&self, base_url: &str) -> String {
        let mark = if self.query.is_empty() { "" } else { "?" };
        format!("{base_url}{}{mark}{}", self.path, self.query)
    }
}

/// Creates a page without entries and without a next link.
pub(super) fn empty_page(path: &str, base_url: &str) -> Value {
    let href = format!("{base_url}{path}");
    json!({ "_data": [], "_meta": { "links": { "self": { "href": href } } } })
}

/// Parses a query into its parameters by name. The last parameter of a name counts.
pub(super) fn query_parameters(query: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// Filter by time: an exact time, and bounds that are exclusive.
#[derive(Debug)]
pub(super) struct TimeFilter {
    at: Option<Timestamp>,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

impl TimeFilter {
    /// Reports whether a time passes the filter. An unknown time passes only an empty filter.
    pub(super) fn contains(&self, time: Option<Timestamp>) -> bool {
        let Some(time) = time else {
            return self.at.is_none() && self.after.is_none() && self.before.is_none();
        };
        if let Some(at) = self.at
            && time != at
        {
            return false;
        }
        if let Some(after) = self.after
            && time <= after
        {
            return false;
        }
        match self.before {
            Some(before) => time < before,
            None => true,
        }
    }
}
