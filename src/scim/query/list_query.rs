//! List query and list response (RFC 7644 §3.4.2).
//!
//! [`ListQuery::new`] binds a search request to resource types, which can fail. Running the query
//! cannot fail, it can only be stopped at its [`Deadline`]. The steps are: candidates of the
//! indexes ([`ListQuery::plan`]), matches of each type ([`MatchList`]), the page across the types
//! ([`MatchIndex`]), and the resources of the page with their projection ([`SelectedResource`]).

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::scim::filter;
use crate::scim::filter::{BoundFilter, Filter};
use crate::scim::query::sort;
use crate::scim::query::sort::{SortKey, SortKeyExtractor};
use crate::scim::schema::{standard_attributes, suggestion};
use crate::scim::{
    AttributeId, Deadline, DeadlineExceeded, InvalidQuery, PageRequest, Projection, Resource,
    ResourceSet, ResourceType, ScimType, SearchRequest,
};

/// List query, bound to one or several resource types.
#[derive(Debug)]
pub struct ListQuery {
    /// Queries of the types, in the order of the types.
    type_queries: Vec<TypeQuery>,
    direction: SortDirection,
    paging: PageRequest,
}

/// List query for certain sets of resources: with the candidates that their indexes leave.
#[derive(Debug)]
pub struct PlannedQuery {
    query: ListQuery,
    /// Candidates in the order of the types.
    candidates: Vec<Candidates>,
}

/// Indexes of the few resources of one type that can match. None if there is no filter, or no index
/// narrows it down.
type Candidates = Option<Vec<u32>>;

/// Part of a list query that is bound to one resource type.
#[derive(Debug)]
struct TypeQuery {
    filter: Option<BoundFilter>,
    /// Attribute to sort by. None if the query does not sort, or this type does not have it.
    sort_by: Option<AttributeId>,
    projection: Projection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SortDirection {
    Ascending,
    Descending,
}

/// Maximum number of resources on a page that is written quickly.
const MAX_FAST_PAGE_RESOURCES: usize = 1000;

/// Maximum number of predicate tests that take little time.
const MAX_FAST_PREDICATE_TESTS: usize = 50_000;

/// Position of a match: the index of its set, and its own index in the set.
#[derive(Debug, Clone, Copy)]
struct MatchIndex {
    set: usize,
    index: u32,
}

impl ListQuery {
    /// Binds a search request to resource types.
    ///
    /// # Errors
    /// If a parameter is invalid.
    pub fn new(
        request: &SearchRequest,
        resource_types: &[&ResourceType],
        limits: filter::FilterLimits,
        paging: PageRequest,
    ) -> Result<Self, InvalidQuery> {
        let filter = match &request.filter {
            Some(text) => Some((text.as_str(), Filter::parse(text, limits)?)),
            None => None,
        };
        let sort_by = resolve_sort_by(request.sort_by.as_deref(), resource_types)?;
        let mut type_queries = Vec::with_capacity(resource_types.len());
        for (resource_type, sort_by) in resource_types.iter().zip(sort_by) {
            let mut bound_filter = None;
            if let Some((text, filter)) = &filter {
                bound_filter = Some(BoundFilter::new(filter, text, resource_type, resource_types)?);
            }
            let (attributes, excluded) = (&request.attributes, &request.excluded_attributes);
            let projection = Projection::new(resource_type, attributes, excluded)?;
            type_queries.push(TypeQuery { filter: bound_filter, sort_by, projection });
        }
        let direction = parse_sort_order(request.sort_order.as_deref())?;
        Ok(Self { type_queries, direction, paging })
    }

    /// Looks up the candidates of the query in `sets`, one for each type.
    #[must_use]
    pub fn plan(self, sets: &[&ResourceSet]) -> PlannedQuery {
        PlannedQuery { candidates: self.candidates(sets), query: self }
    }

    /// Runs the query over `sets`, one for each type.
    ///
    /// # Errors
    /// Returns an error at the deadline. Without one, the query always completes.
    pub fn select<'a>(
        &'a self,
        sets: &[&'a ResourceSet],
        deadline: Option<Deadline>,
    ) -> Result<ListResponse<SelectedResource<'a>>, DeadlineExceeded> {
        self.run(sets, &self.candidates(sets), deadline)
    }

    fn candidates(&self, sets: &[&ResourceSet]) -> Vec<Candidates> {
        let mut candidates = Vec::with_capacity(sets.len());
        for (query, resources) in self.type_queries.iter().zip(sets) {
            candidates.push(match &query.filter {
                Some(filter) => filter::candidates(filter, resources),
                None => None,
            });
        }
        candidates
    }

    fn run<'a>(
        &'a self,
        sets: &[&'a ResourceSet],
        candidates: &[Candidates],
        deadline: Option<Deadline>,
    ) -> Result<ListResponse<SelectedResource<'a>>, DeadlineExceeded> {
        let mut lists = Vec::with_capacity(sets.len());
        for ((query, resources), candidates) in self.type_queries.iter().zip(sets).zip(candidates) {
            let candidates = candidates.as_deref();
            lists.push(query.matches(resources, self.direction, candidates, deadline)?);
        }
        let total_results = lists.iter().map(MatchList::len).sum();
        let range = self.paging.range(total_results);
        let is_sorted = self.type_queries.iter().any(|query| query.sort_by.is_some());
        let page = match lists.as_slice() {
            [_, _, ..] if is_sorted => Merge::new(self, &lists, sets).page(range),
            _ => concatenate(&lists, range),
        };
        let mut selected = Vec::with_capacity(page.len());
        for MatchIndex { set, index } in page {
            if let Some(query) = self.type_queries.get(set)
                && let Some(resources) = sets.get(set)
                && let Some(resource) = resources.all().get(index as usize)
            {
                selected.push(SelectedResource { resource, projection: &query.projection });
            }
        }
        Ok(ListResponse::new(total_results, self.paging.start_index(), selected))
    }
}

impl PlannedQuery {
    /// Runs the query over the sets for which it was planned.
    ///
    /// # Errors
    /// Returns an error at the deadline. Without one, the query always completes.
    pub fn run<'a>(
        &'a self,
        sets: &[&'a ResourceSet],
        deadline: Option<Deadline>,
    ) -> Result<ListResponse<SelectedResource<'a>>, DeadlineExceeded> {
        self.query.run(sets, &self.candidates, deadline)
    }

    /// Reports whether the query can take so long that it must not delay other requests. A query is
    /// expensive if it sorts, filters many resources without an index, or writes a large page.
    /// `sets` are those for which it was planned.
    #[must_use]
    pub fn is_expensive(&self, sets: &[&ResourceSet]) -> bool {
        let ([query], [resources]) = (self.query.type_queries.as_slice(), sets) else {
            return true;
        };
        if query.sort_by.is_some() {
            return true;
        }
        let Some(filter) = &query.filter else {
            return self.query.paging.range(resources.all().len()).len() > MAX_FAST_PAGE_RESOURCES;
        };
        let [Some(candidates)] = self.candidates.as_slice() else { return true };
        candidates.len() * filter.predicate_count() > MAX_FAST_PREDICATE_TESTS
    }
}

impl TypeQuery {
    /// Returns the matches in the requested order.
    fn matches<'a>(
        &self,
        resources: &'a ResourceSet,
        direction: SortDirection,
        candidates: Option<&[u32]>,
        deadline: Option<Deadline>,
    ) -> Result<MatchList<'a>, DeadlineExceeded> {
        let matches = match &self.filter {
            Some(filter) => Some(filter::matches(filter, resources, candidates, deadline)?),
            None => None,
        };
        let order = match self.sort_by {
            Some(id) => resources.sort_index(id),
            None => None,
        };
        let indexes = match (matches, order) {
            (None, None) => return Ok(MatchList::All(resources.all().len())),
            (Some(matches), None) => Cow::Owned(matches),
            (None, Some(order)) => match direction {
                SortDirection::Ascending => Cow::Borrowed(order.ascending()),
                SortDirection::Descending => Cow::Owned(order.descending()),
            },
            (Some(mut matches), Some(order)) => {
                match direction {
                    SortDirection::Ascending => matches.sort_by_key(|index| order.rank(*index)),
                    SortDirection::Descending => {
                        matches.sort_by_key(|index| Reverse(order.rank(*index)));
                    }
                }
                Cow::Owned(matches)
            }
        };
        Ok(MatchList::Indexes(indexes))
    }
}

/// Matches of one type, in the order of the list.
enum MatchList<'a> {
    /// All resources of the set, in its order, with their number.
    All(usize),
    /// Indexes of the matches.
    Indexes(Cow<'a, [u32]>),
}

impl MatchList<'_> {
    fn len(&self) -> usize {
        match self {
            Self::All(count) => *count,
            Self::Indexes(indexes) => indexes.len(),
        }
    }

    /// Returns the index of the resource at a position of the list.
    fn get(&self, position: usize) -> Option<u32> {
        match self {
            Self::All(_) => u32::try_from(position).ok(),
            Self::Indexes(indexes) => indexes.get(position).copied(),
        }
    }
}

/// Merge of the sorted matches of several types.
struct Merge<'a> {
    /// Matches of the types, in the order of the types.
    inputs: Vec<MergeInput<'a>>,
    direction: SortDirection,
}

/// Sorted matches of one type.
struct MergeInput<'a> {
    resources: &'a ResourceSet,
    matches: &'a MatchList<'a>,
    /// Extractor of the sort keys. None if the type does not have the attribute.
    extractor: Option<SortKeyExtractor>,
    /// Position of the match behind `head`.
    next_position: usize,
    /// First match that is not yet merged. None at the end.
    head: Option<MergeHead<'a>>,
}

struct MergeHead<'a> {
    key: Option<SortKey<'a>>,
    index: u32,
}

impl<'a> Merge<'a> {
    fn new(query: &ListQuery, lists: &'a [MatchList<'a>], sets: &[&'a ResourceSet]) -> Self {
        let mut inputs = Vec::with_capacity(sets.len());
        for ((query, resources), matches) in query.type_queries.iter().zip(sets).zip(lists) {
            inputs.push(MergeInput::new(query, resources, matches));
        }
        Self { inputs, direction: query.direction }
    }

    /// Returns a page of the merged list. Matches behind the page are not compared.
    fn page(mut self, page: Range<usize>) -> Vec<MatchIndex> {
        let mut merged = Vec::with_capacity(page.len());
        for position in 0..page.end {
            let Some(next) = self.take_first() else { break };
            if position >= page.start {
                merged.push(next);
            }
        }
        merged
    }

    /// Takes the next match of the merged list. Among equal matches, the first type's comes first.
    /// An attribute that several types have has the same type in all of them, so the keys compare.
    fn take_first(&mut self) -> Option<MatchIndex> {
        let mut first: Option<(usize, &MergeHead<'_>)> = None;
        for (set, input) in self.inputs.iter().enumerate() {
            let Some(head) = &input.head else { continue };
            let is_first = match first {
                Some((_, first)) => compare(head, first, self.direction).is_lt(),
                None => true,
            };
            if is_first {
                first = Some((set, head));
            }
        }
        let (set, _) = first?;
        let index = self.inputs.get_mut(set)?.take()?;
        Some(MatchIndex { set, index })
    }
}

impl<'a> MergeInput<'a> {
    fn new(query: &TypeQuery, resources: &'a ResourceSet, matches: &'a MatchList<'a>) -> Self {
        let resource_type = resources.resource_type();
        let extractor = query.sort_by.map(|id| SortKeyExtractor::new(resource_type, id));
        let mut input = Self { resources, matches, extractor, next_position: 0, head: None };
        input.head = input.read();
        input
    }

    /// Reads the next match.
    fn read(&mut self) -> Option<MergeHead<'a>> {
        if self.next_position >= self.matches.len() {
            return None;
        }
        let index = self.matches.get(self.next_position)?;
        self.next_position += 1;
        let key = match (&self.extractor, self.resources.all().get(index as usize)) {
            (Some(extractor), Some(resource)) => extractor.key(resource),
            (Some(_) | None, _) => None,
        };
        Some(MergeHead { key, index })
    }

    /// Removes the head, reads the next one, and returns the index of the removed resource.
    fn take(&mut self) -> Option<u32> {
        let next = self.read();
        let head = std::mem::replace(&mut self.head, next)?;
        Some(head.index)
    }
}

fn compare(one: &MergeHead<'_>, other: &MergeHead<'_>, direction: SortDirection) -> Ordering {
    let ordering = sort::compare(one.key.as_ref(), other.key.as_ref());
    match direction {
        SortDirection::Ascending => ordering,
        SortDirection::Descending => ordering.reverse(),
    }
}

/// Returns a page of the lists, one list after the other.
fn concatenate(lists: &[MatchList<'_>], page: Range<usize>) -> Vec<MatchIndex> {
    let mut matches = Vec::with_capacity(page.len());
    let mut list_start = 0;
    for (set, list) in lists.iter().enumerate() {
        let start = page.start.saturating_sub(list_start);
        let end = page.end.saturating_sub(list_start).min(list.len());
        for position in start..end {
            if let Some(index) = list.get(position) {
                matches.push(MatchIndex { set, index });
            }
        }
        list_start += list.len();
    }
    matches
}

/// Returns for each type the attribute to sort by. For a complex attribute that is the
/// sub-attribute with its value.
fn resolve_sort_by(
    name: Option<&str>,
    resource_types: &[&ResourceType],
) -> Result<Vec<Option<AttributeId>>, InvalidQuery> {
    let Some(name) = name else { return Ok(vec![None; resource_types.len()]) };
    let mut sort_by = Vec::with_capacity(resource_types.len());
    let mut is_served = false;
    let mut is_sortable = false;
    for resource_type in resource_types {
        let attribute = resource_type.attribute(name);
        let valued = match attribute {
            Some(id) => resource_type.comparable_attribute(id),
            None => None,
        };
        is_served |= attribute.is_some();
        is_sortable |= valued.is_some();
        sort_by.push(valued);
    }
    if is_sortable {
        return Ok(sort_by);
    }
    if is_served {
        let name = filter::shortened(name);
        let detail = format!("sortBy: {name} is complex: name one of its sub-attributes");
        return Err(InvalidQuery { scim_type: ScimType::InvalidPath, detail });
    }
    // No resource has a value of an attribute that is not served, so the list keeps its order.
    if resource_types.iter().any(|it| standard_attributes::has_attribute(it, name)) {
        return Ok(sort_by);
    }
    let type_names: Vec<_> = resource_types.iter().map(|it| it.name()).collect();
    let detail = format!(
        "sortBy: there is no attribute `{}` in {}{}",
        filter::shortened(name),
        type_names.join(" or "),
        suggestion::for_attribute(resource_types, name),
    );
    Err(InvalidQuery { scim_type: ScimType::InvalidPath, detail })
}

fn parse_sort_order(text: Option<&str>) -> Result<SortDirection, InvalidQuery> {
    match text {
        None => Ok(SortDirection::Ascending),
        Some(text) if text.eq_ignore_ascii_case("ascending") => Ok(SortDirection::Ascending),
        Some(text) if text.eq_ignore_ascii_case("descending") => Ok(SortDirection::Descending),
        Some(_) => Err(InvalidQuery {
            scim_type: ScimType::InvalidValue,
            detail: "sortOrder must be ascending or descending".to_owned(),
        }),
    }
}

/// Resource on a page, with its projection.
#[derive(Debug, Clone, Copy)]
pub struct SelectedResource<'a> {
    resource: &'a Arc<Resource>,
    projection: &'a Projection,
}

/// Item of a list response.
pub trait ListItem {
    /// Appends the item to `json`.
    fn write(&self, json: &mut Vec<u8>);
}

impl ListItem for SelectedResource<'_> {
    fn write(&self, json: &mut Vec<u8>) {
        self.projection.write(self.resource, json);
    }
}

impl ListItem for &Json {
    fn write(&self, json: &mut Vec<u8>) {
        json.extend_from_slice(self.to_string().as_bytes());
    }
}

/// List response.
///
/// `itemsPerPage` is the number of resources on this page, never the requested number: a client
/// that adds it to `startIndex` must not skip a resource.
#[derive(Debug, Clone)]
pub struct ListResponse<T> {
    total_results: usize,
    start_index: usize,
    next_cursor: Option<String>,
    resources: Vec<T>,
}

impl<T: ListItem> ListResponse<T> {
    /// Creates the page `resources`, which begins at the 1-based `start_index` of `total_results`
    /// matches.
    #[must_use]
    pub fn new(total_results: usize, start_index: usize, resources: Vec<T>) -> Self {
        Self { total_results, start_index, next_cursor: None, resources }
    }

    /// Returns the resources of the page.
    #[must_use]
    pub fn resources(&self) -> &[T] {
        &self.resources
    }

    /// Returns the number of matches.
    #[must_use]
    pub fn total_results(&self) -> usize {
        self.total_results
    }

    /// Returns the number of resources on the page.
    #[must_use]
    pub fn items_per_page(&self) -> usize {
        self.resources.len()
    }

    /// Returns the offset of the next page: the number of matches on this page and those before it.
    /// Returns none on the last page.
    #[must_use]
    pub fn next_offset(&self) -> Option<usize> {
        let end = self.start_index - 1 + self.resources.len();
        if end < self.total_results { Some(end) } else { None }
    }

    /// Returns the page with a cursor to the next one (RFC 9865 §2).
    #[must_use]
    pub fn with_next_cursor(self, next_cursor: Option<String>) -> Self {
        Self { next_cursor, ..self }
    }

    /// Encodes the response as JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let Self { total_results, start_index, next_cursor, resources } = self;
        let next_cursor = match next_cursor {
            Some(cursor) => format!("\"nextCursor\":\"{cursor}\","),
            None => String::new(),
        };
        let mut json = format!(
            "{{\"schemas\":[\"{}\"],\"totalResults\":{total_results},\
             \"startIndex\":{start_index},\"itemsPerPage\":{},{next_cursor}\"Resources\":[",
            crate::scim::LIST_RESPONSE_SCHEMA,
            resources.len(),
        )
        .into_bytes();
        for (position, resource) in resources.iter().enumerate() {
            if position > 0 {
                json.push(b',');
            }
            resource.write(&mut json);
        }
        json.extend_from_slice(b"]}");
        json
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::{Discovery, ResourceUrls};

    fn set_of(user_type: &Arc<ResourceType>, ids: [&str; 2]) -> ResourceSet {
        let mut users = Vec::new();
        for id in ids {
            let user = json!({"id": id, "userName": id});
            users.push(Arc::new(Resource::new(user_type, &user).unwrap()));
        }
        ResourceSet::new(user_type, users)
    }

    /// Two sets in which a user has different indexes show whose candidates are used.
    #[test]
    fn candidates_are_looked_up_when_the_query_is_planned_and_not_again() {
        let urls = ResourceUrls::new("https://scim.example.com");
        let discovery = Discovery::new(&urls, 1000, &[]).unwrap();
        let user_type = discovery.compile_types().unwrap().user;
        let sets = [set_of(&user_type, ["a", "b"]), set_of(&user_type, ["b", "a"])];
        let [planned, other] = &sets;
        let query = || {
            let request =
                SearchRequest { filter: Some("id eq \"b\"".to_owned()), ..Default::default() };
            let paging = PageRequest::at_offset(0, 10);
            ListQuery::new(&request, &[&user_type], filter::FilterLimits::default(), paging)
                .unwrap()
        };
        let plan = query().plan(&[planned]);
        assert_eq!(plan.candidates, [Some(vec![1])]);
        assert_eq!(plan.run(&[planned], None).unwrap().total_results(), 1);
        assert_eq!(plan.run(&[other], None).unwrap().total_results(), 0, "index 1 is user a");
        assert!(!plan.is_expensive(&[planned]));
        assert!(query().plan(&[]).is_expensive(&[planned]), "it was planned without candidates");
    }
}
