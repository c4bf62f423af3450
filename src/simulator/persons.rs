//! Endpoints `/v2/persons`, `/v2/persons/{id}` and `/v2/persons/{id}/employments`.

use crate::simulator::handle::EndpointContext;
use crate::simulator::listing::{ListingParameters, TimeFilter};
use crate::simulator::response::{PersonioProblem, SimulatedResponse};
use crate::simulator::world::SimulatedPerson;

/// Largest accepted value of `limit`.
const MAX_PAGE_SIZE: usize = 50;
const PERSON_FILTERS: &[&str] = &[
    "id",
    "email",
    "first_name",
    "last_name",
    "preferred_name",
    "status",
    "created_at",
    "created_at.gt",
    "created_at.lt",
    "updated_at",
    "updated_at.gt",
    "updated_at.lt",
];
const EMPLOYMENT_FILTERS: &[&str] = &["id", "updated_at", "updated_at.gt", "updated_at.lt"];

/// Returns one page of persons.
pub(super) fn list(view: &EndpointContext<'_>) -> Result<SimulatedResponse, PersonioProblem> {
    let listing = ListingParameters::parse(view.path, view.query, PERSON_FILTERS, MAX_PAGE_SIZE)?;
    let filter = PersonFilter::read(&listing)?;
    let Some(ids) = listing.list_parameter("id") else {
        return Ok(page(view, &listing, &filter, listing.position..view.index.person_count()));
    };
    let mut positions = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some(position) = view.index.position(id) {
            positions.push(position);
        }
    }
    positions.sort_unstable();
    positions.dedup();
    Ok(page(view, &listing, &filter, positions.into_iter()))
}

/// Creates the page of the persons at these positions who pass the filter.
fn page(
    view: &EndpointContext<'_>,
    listing: &ListingParameters,
    filter: &PersonFilter<'_>,
    positions: impl Iterator<Item = usize>,
) -> SimulatedResponse {
    let (wire, world) = (view.wire, view.world);
    let entries = positions.filter_map(|position| {
        let person = view.index.person_at(world, position)?;
        if filter.matches(person) { Some((position, person)) } else { None }
    });
    listing.page(entries, |person| wire.person(person), wire.quirks, wire.base_url)
}

/// Returns a single person, without the envelope of a listing.
pub(super) fn get(
    view: &EndpointContext<'_>,
    id: &str,
) -> Result<SimulatedResponse, PersonioProblem> {
    let person =
        view.index.person_by_id(view.world, id).ok_or_else(PersonioProblem::no_resource)?;
    Ok(SimulatedResponse::json(200, &view.wire.person(person)))
}

/// Returns one page of a person's employments.
pub(super) fn list_employments(
    view: &EndpointContext<'_>,
    id: &str,
) -> Result<SimulatedResponse, PersonioProblem> {
    let person =
        view.index.person_by_id(view.world, id).ok_or_else(PersonioProblem::no_resource)?;
    let listing =
        ListingParameters::parse(view.path, view.query, EMPLOYMENT_FILTERS, MAX_PAGE_SIZE)?;
    let (ids, updated) = (listing.list_parameter("id"), listing.time_filter("updated_at")?);
    let employments = view.wire.employments_of(person).into_iter().enumerate();
    let entries = employments.filter(|(_, employment)| {
        has_id(ids.as_deref(), &employment.id) && updated.contains(employment.updated_at)
    });
    let wire = view.wire;
    Ok(listing.page(entries, |it| wire.employment(it, id), wire.quirks, wire.base_url))
}

/// Reports whether a filter by ids contains an id. `None` contains every id.
fn has_id(ids: Option<&[&str]>, id: &str) -> bool {
    match ids {
        Some(ids) => ids.contains(&id),
        None => true,
    }
}

/// Filters of `/v2/persons`, except for `id`, which selects the candidates before filtering.
struct PersonFilter<'l> {
    emails: Option<Vec<&'l str>>,
    first_name: Option<&'l str>,
    last_name: Option<&'l str>,
    preferred_name: Option<&'l str>,
    status: Option<&'l str>,
    created: TimeFilter,
    updated: TimeFilter,
}

impl<'l> PersonFilter<'l> {
    fn read(listing: &'l ListingParameters) -> Result<Self, PersonioProblem> {
        let status = listing.parameter("status");
        if !matches!(status, None | Some("ACTIVE" | "INACTIVE")) {
            return Err(PersonioProblem::bad_request("status must be ACTIVE or INACTIVE."));
        }
        Ok(Self {
            emails: listing.list_parameter("email"),
            first_name: listing.parameter("first_name"),
            last_name: listing.parameter("last_name"),
            preferred_name: listing.parameter("preferred_name"),
            status,
            created: listing.time_filter("created_at")?,
            updated: listing.time_filter("updated_at")?,
        })
    }

    fn matches(&self, person: &SimulatedPerson) -> bool {
        equals(self.first_name, person.first_name.as_deref())
            && equals(self.last_name, person.last_name.as_deref())
            && equals(self.preferred_name, person.preferred_name.as_deref())
            && equals(self.status, person.status.as_deref())
            && self.created.contains(person.created_at)
            && self.updated.contains(person.updated_at)
            && self.has_email(person.email.as_deref())
    }

    fn has_email(&self, email: Option<&str>) -> bool {
        let Some(emails) = &self.emails else { return true };
        let Some(email) = email else { return false };
        emails.iter().any(|filter| filter.eq_ignore_ascii_case(email))
    }
}

/// Reports whether a value passes a filter by equality. `None` passes every value.
fn equals(filter: Option<&str>, value: Option<&str>) -> bool {
    filter.is_none() || filter == value
}
