//! A query for a list and its answer (RFC 7644 §3.4.2). Once it is read, carrying it out cannot fail:
//! it can only be ended by whoever gives it a limit.

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::convert::Infallible;
use std::iter::Peekable;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::scim::filter;
use crate::scim::filter::{Condition, Filter};
use crate::scim::query::sort;
use crate::scim::query::sort::{Key, Order, Sorting};
use crate::scim::schema::{standard_attributes, suggestion};
use crate::scim::{
    AttributeId, InvalidQuery, Paging, Projection, Resource, ResourceType, Resources, ScimType, SearchRequest,
};

/// What a client asks of the resources of one or several types.
#[derive(Debug)]
pub struct ListQuery {
    /// For each type.
    parts: Vec<Part>,
    direction: Direction,
    paging: Paging,
}

#[derive(Debug)]
struct Part {
    condition: Option<Condition>,
    sort_by: Option<AttributeId>,
    projection: Projection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ascending,
    Descending,
}

/// A page of more resources than this takes a while to write.
const LARGE: usize = 1000;

/// More tests of single values than this take a while too.
const TESTS: usize = 50_000;

/// The resource at a place of a set.
type Found = (usize, u32);

impl ListQuery {
    /// Reads what is asked of resources of these types.
    ///
    /// # Errors
    /// When a parameter makes no sense.
    pub fn new(
        request: &SearchRequest,
        kinds: &[&ResourceType],
        limits: filter::Limits,
        paging: Paging,
    ) -> Result<Self, InvalidQuery> {
        let filter = match &request.filter {
            Some(text) => Some((text.as_str(), Filter::parse(text, limits)?)),
            None => None,
        };
        let sort_by = sort_by(request.sort_by.as_deref(), kinds)?;
        let part = |(kind, sort_by): (&&ResourceType, Option<AttributeId>)| {
            let condition =
                filter.as_ref().map(|(text, filter)| Condition::new(filter, text, kind, kinds)).transpose()?;
            let projection = Projection::new(kind, &request.attributes, &request.excluded_attributes)?;
            Ok(Part { condition, sort_by, projection })
        };
        let parts = kinds.iter().zip(sort_by).map(part).collect::<Result<_, InvalidQuery>>()?;
        Ok(Self { parts, direction: direction(request.sort_order.as_deref())?, paging })
    }

    /// The answer of this query over `sets`, one for each type.
    #[must_use]
    pub fn select<'a>(&'a self, sets: &[&'a Resources]) -> ListResponse<Selected<'a>> {
        let Ok(response) = self.select_while(sets, &|| Ok::<(), Infallible>(()));
        response
    }

    /// The same, for as long as `go_on` says so, which is asked now and then.
    ///
    /// # Errors
    /// Those of `go_on`.
    pub fn select_while<'a, E>(
        &'a self,
        sets: &[&'a Resources],
        go_on: &impl Fn() -> Result<(), E>,
    ) -> Result<ListResponse<Selected<'a>>, E> {
        let parts = self.parts.iter().zip(sets);
        let found = parts.map(|(part, resources)| self.places(part, resources, go_on));
        let found: Vec<Places<'_>> = found.collect::<Result<_, E>>()?;
        let total_results = found.iter().map(Places::len).sum();
        let range = self.paging.range(total_results);
        let is_sorted = self.parts.iter().any(|part| part.sort_by.is_some());
        let page = if is_sorted && found.len() > 1 { self.merged(&found, sets, range) } else { joined(&found, range) };
        let selected = page.into_iter().filter_map(|(set, place)| {
            let resource = sets.get(set)?.all().get(place as usize)?;
            Some(Selected { resource, projection: &self.parts.get(set)?.projection })
        });
        Ok(ListResponse::new(total_results, self.paging.start_index(), selected.collect()))
    }

    /// Whether carrying it out on these sets can take so long that others should not wait for it: to sort, to
    /// filter without an index, and to write a large page.
    #[must_use]
    pub fn may_take_long(&self, sets: &[&Resources]) -> bool {
        let [(part, resources)] = self.parts.iter().zip(sets).collect::<Vec<_>>()[..] else { return true };
        let is_large = || self.paging.range(resources.all().len()).len() > LARGE;
        let scans = |condition: &Condition| {
            let few = filter::candidates(condition, resources);
            few.is_none_or(|few| few.len() * condition.tests() > TESTS)
        };
        part.sort_by.is_some() || part.condition.as_ref().map_or_else(is_large, scans)
    }

    /// What is found among the resources of one type, in the order that is asked for.
    fn places<'a, E>(
        &self,
        part: &Part,
        resources: &'a Resources,
        go_on: &impl Fn() -> Result<(), E>,
    ) -> Result<Places<'a>, E> {
        let matches = part.condition.as_ref().map(|condition| filter::matches(condition, resources, go_on));
        let order = part.sort_by.and_then(|id| resources.order(id));
        Ok(match (matches.transpose()?, order) {
            (None, None) => Places::All(resources.all().len()),
            (None, Some(order)) => Places::These(match self.direction {
                Direction::Ascending => Cow::Borrowed(&order.ascending),
                Direction::Descending => descending(order).into(),
            }),
            (Some(matches), None) => Places::These(matches.into()),
            (Some(mut matches), Some(order)) => {
                let rank = |place: &u32| order.ranks.get(*place as usize).copied();
                match self.direction {
                    Direction::Ascending => matches.sort_by_key(rank),
                    Direction::Descending => matches.sort_by_key(|place| Reverse(rank(place))),
                }
                Places::These(matches.into())
            }
        })
    }

    /// A page of several sets that are sorted each: what comes behind the page is not looked at.
    fn merged(&self, found: &[Places<'_>], sets: &[&Resources], page: Range<usize>) -> Vec<Found> {
        let sorting = |(part, set): (&Part, &&Resources)| Some(Sorting::new(set.resource_type(), part.sort_by?));
        // An attribute that two types have is of the same type in both.
        let compare = |(one, _): &Keyed<'_>, (other, _): &Keyed<'_>| match self.direction {
            Direction::Ascending => sort::compare(one.as_ref(), other.as_ref()),
            Direction::Descending => sort::compare(other.as_ref(), one.as_ref()),
        };
        let parts = self.parts.iter().zip(sets).zip(found).enumerate();
        let keyed = parts.map(|(set, ((part, resources), places))| {
            let by = sorting((part, resources));
            let keyed = move |at: usize| -> Option<Keyed<'_>> {
                let place = places.at(at)?;
                let key = by.as_ref().and_then(|by| by.key(resources.all().get(place as usize)?));
                Some((key, (set, place)))
            };
            (0..places.len()).filter_map(keyed).peekable()
        });
        let mut rests: Vec<_> = keyed.collect();
        let merged = std::iter::from_fn(|| smallest(&mut rests, compare));
        merged.map(|(_, found)| found).take(page.end).skip(page.start).collect()
    }
}

/// A resource and what it is sorted by.
type Keyed<'a> = (Option<Key<'a>>, Found);

/// Takes the smallest of what comes next; of equal ones the first.
fn smallest<I: Iterator>(
    rests: &mut [Peekable<I>],
    compare: impl Fn(&I::Item, &I::Item) -> Ordering,
) -> Option<I::Item> {
    let firsts = rests.iter_mut().enumerate().filter_map(|(set, rest)| Some((set, rest.peek()?)));
    let (set, _) = firsts.min_by(|(_, one), (_, other)| compare(one, other))?;
    rests.get_mut(set)?.next()
}

/// Places of resources in the order in which they are listed.
enum Places<'a> {
    /// All, in the order of the set.
    All(usize),
    These(Cow<'a, [u32]>),
}

impl Places<'_> {
    fn len(&self) -> usize {
        match self {
            Self::All(count) => *count,
            Self::These(places) => places.len(),
        }
    }

    fn at(&self, at: usize) -> Option<u32> {
        match self {
            Self::All(_) => u32::try_from(at).ok(),
            Self::These(places) => places.get(at).copied(),
        }
    }
}

/// A page of the sets one after the other.
fn joined(found: &[Places<'_>], page: Range<usize>) -> Vec<Found> {
    let mut joined = Vec::with_capacity(page.len());
    let mut earlier = 0;
    for (set, places) in found.iter().enumerate() {
        let here = page.start.saturating_sub(earlier)..page.end.saturating_sub(earlier).min(places.len());
        joined.extend(here.filter_map(|at| Some((set, places.at(at)?))));
        earlier += places.len();
    }
    joined
}

/// From the largest to the smallest; those without a value first, equal ones in the list's own order.
fn descending(order: &Order) -> Vec<u32> {
    let rank = |place: &u32| order.ranks.get(*place as usize);
    let runs: Vec<&[u32]> = order.ascending.chunk_by(|one, other| rank(one) == rank(other)).collect();
    runs.into_iter().rev().flatten().copied().collect()
}

/// For each type the attribute with the values to sort by.
fn sort_by(name: Option<&str>, kinds: &[&ResourceType]) -> Result<Vec<Option<AttributeId>>, InvalidQuery> {
    let Some(name) = name else { return Ok(vec![None; kinds.len()]) };
    let invalid = |detail| InvalidQuery { scim_type: ScimType::InvalidPath, detail };
    let found: Vec<_> = kinds.iter().map(|kind| kind.attribute(name)).collect();
    if found.iter().all(Option::is_none) {
        // Nobody has a value for what is not served, so the list keeps its order.
        if kinds.iter().any(|kind| standard_attributes::has(kind, name)) {
            return Ok(found);
        }
        let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        return Err(invalid(format!(
            "sortBy: there is no attribute `{}` in {}{}",
            filter::shortened(name),
            names.join(" or "),
            suggestion::for_attribute(kinds, name)
        )));
    }
    let valued: Vec<_> = kinds.iter().zip(found).map(|(kind, id)| kind.valued(id?)).collect();
    if valued.iter().all(Option::is_none) {
        return Err(invalid(format!("sortBy: {} is complex: name one of its sub-attributes", filter::shortened(name))));
    }
    Ok(valued)
}

fn direction(order: Option<&str>) -> Result<Direction, InvalidQuery> {
    match order {
        None => Ok(Direction::Ascending),
        Some(order) if order.eq_ignore_ascii_case("ascending") => Ok(Direction::Ascending),
        Some(order) if order.eq_ignore_ascii_case("descending") => Ok(Direction::Descending),
        Some(_) => Err(InvalidQuery {
            scim_type: ScimType::InvalidValue,
            detail: "sortOrder must be ascending or descending".to_owned(),
        }),
    }
}

/// A resource on a page, as much of it as is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Selected<'a> {
    resource: &'a Arc<Resource>,
    projection: &'a Projection,
}

/// What can be on a page.
pub trait Listed {
    /// Writes it in JSON.
    fn write(&self, json: &mut Vec<u8>);
}

impl Listed for Selected<'_> {
    fn write(&self, json: &mut Vec<u8>) {
        self.projection.write(self.resource, json);
    }
}

impl Listed for &Json {
    fn write(&self, json: &mut Vec<u8>) {
        json.extend_from_slice(self.to_string().as_bytes());
    }
}

/// A list response. `itemsPerPage` is the number of resources in this page, never the number asked
/// for: a client that steps by it must not skip anybody.
#[derive(Debug, Clone)]
pub struct ListResponse<T> {
    total_results: usize,
    start_index: usize,
    next_cursor: Option<String>,
    resources: Vec<T>,
}

impl<T: Listed> ListResponse<T> {
    /// The page `resources`, which begins at the 1-based `start_index` of `total_results` matches.
    #[must_use]
    pub fn new(total_results: usize, start_index: usize, resources: Vec<T>) -> Self {
        Self { total_results, start_index, next_cursor: None, resources }
    }

    /// The page.
    #[must_use]
    pub fn resources(&self) -> &[T] {
        &self.resources
    }

    /// How many matches there are.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total_results
    }

    /// How many matches are on this page.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.resources.len()
    }

    /// How many matches are on this page and those before it, if there are more.
    #[must_use]
    pub fn ends_before_the_last(&self) -> Option<usize> {
        let end = self.start_index - 1 + self.resources.len();
        (end < self.total_results).then_some(end)
    }

    /// The same page with a cursor to the next one (RFC 9865 §2).
    #[must_use]
    pub fn followed_by(self, next_cursor: Option<String>) -> Self {
        Self { next_cursor, ..self }
    }

    /// The response in JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let Self { total_results, start_index, next_cursor, resources } = self;
        let next_cursor = next_cursor.as_ref().map_or_else(String::new, |next| format!("\"nextCursor\":\"{next}\","));
        let mut json = format!(
            "{{\"schemas\":[\"{}\"],\"totalResults\":{total_results},\"startIndex\":{start_index},\"itemsPerPage\":{},{next_cursor}\"Resources\":[",
            crate::scim::LIST_RESPONSE,
            resources.len(),
        )
        .into_bytes();
        for (place, resource) in resources.iter().enumerate() {
            if place > 0 {
                json.push(b',');
            }
            resource.write(&mut json);
        }
        json.extend_from_slice(b"]}");
        json
    }
}
