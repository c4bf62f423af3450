//! A query for a list and its answer (RFC 7644 §3.4.2). Once it is read, carrying it out cannot fail.

use std::cmp::Reverse;
use std::sync::Arc;

use serde_json::Value;

use super::filter::{self, Condition, Filter};
use super::resources::{Order, Sorting};
use super::{
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
        let (total_results, page): (usize, Vec<Found>) = match (self.parts.as_slice(), sets) {
            ([part], [resources]) => self.of_one(part, resources),
            _ => self.of_several(sets),
        };
        let selected = page.into_iter().filter_map(|(set, place)| {
            let resource = sets.get(set)?.all().get(place as usize)?;
            Some(Selected { resource, projection: &self.parts.get(set)?.projection })
        });
        ListResponse::new(total_results, self.paging.start_index(), selected.collect())
    }

    fn of_one(&self, part: &Part, resources: &Resources) -> (usize, Vec<Found>) {
        let matches = part.matches(resources);
        let order = part.sort_by.and_then(|id| resources.order(id));
        match (matches, order) {
            (None, None) => {
                let page = self.paging.range(resources.all().len());
                (resources.all().len(), page.filter_map(|place| Some((0, u32::try_from(place).ok()?))).collect())
            }
            (None, Some(order)) => match self.direction {
                Direction::Ascending => self.page(&order.ascending),
                Direction::Descending => self.page(&descending(order)),
            },
            (Some(matches), None) => self.page(&matches),
            (Some(mut matches), Some(order)) => {
                let rank = |place: &u32| order.ranks.get(*place as usize).copied();
                match self.direction {
                    Direction::Ascending => matches.sort_by_key(rank),
                    Direction::Descending => matches.sort_by_key(|place| Reverse(rank(place))),
                }
                self.page(&matches)
            }
        }
    }

    fn page(&self, places: &[u32]) -> (usize, Vec<Found>) {
        let page = places.get(self.paging.range(places.len())).unwrap_or_default();
        (places.len(), page.iter().map(|&place| (0, place)).collect())
    }

    fn of_several(&self, sets: &[&Resources]) -> (usize, Vec<Found>) {
        let mut keyed = Vec::new();
        let mut sorting = None;
        for (set, (part, resources)) in self.parts.iter().zip(sets).enumerate() {
            let by = part.sort_by.map(|id| Sorting::new(resources.resource_type(), id));
            let places = part.matches(resources).unwrap_or_else(|| all(resources));
            keyed.extend(places.into_iter().filter_map(|place| {
                let resource = resources.all().get(place as usize)?;
                Some((by.as_ref().and_then(|by| by.key(resource)), (set, place)))
            }));
            // An attribute that two types have is of the same type in both.
            sorting = sorting.or(by);
        }
        if let Some(by) = sorting {
            keyed.sort_by(|(one, _), (other, _)| match self.direction {
                Direction::Ascending => by.compare(*one, *other),
                Direction::Descending => by.compare(*other, *one),
            });
        }
        let page = keyed.get(self.paging.range(keyed.len())).unwrap_or_default();
        (keyed.len(), page.iter().map(|(_, found)| *found).collect())
    }
}

impl Part {
    /// The places of those that the filter lets pass; none if there is no filter.
    fn matches(&self, resources: &Resources) -> Option<Vec<u32>> {
        Some(filter::matches(self.condition.as_ref()?, resources))
    }
}

fn all(resources: &Resources) -> Vec<u32> {
    (0..u32::try_from(resources.all().len()).unwrap_or(u32::MAX)).collect()
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
        let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        return Err(invalid(format!("sortBy: there is no attribute `{name}` in {}", names.join(" or "))));
    }
    let valued: Vec<_> = kinds.iter().zip(found).map(|(kind, id)| kind.valued(id?)).collect();
    if valued.iter().all(Option::is_none) {
        return Err(invalid(format!("sortBy: {name} is complex: name one of its sub-attributes")));
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

impl Listed for &Value {
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
            super::LIST_RESPONSE,
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
