//! Endpoints of the look-up lists: org units, legal entities, workplaces, cost centres and jobs.

use crate::simulator::handle::EndpointContext;
use crate::simulator::listing::{ListingParameters, query_parameters};
use crate::simulator::response::{PersonioProblem, SimulatedResponse};
use crate::simulator::world::{SimulatedLookupEntry, SimulatedOrgUnitType};

/// Largest accepted value of `limit` for legal entities, as documented.
pub(super) const MAX_LEGAL_ENTITY_PAGE_SIZE: usize = 100;
/// Largest accepted value of `limit` for lists without a documented maximum: the smaller of the
/// known maxima.
pub(super) const MAX_LOOKUP_PAGE_SIZE: usize = 50;

/// Returns one page of a look-up list.
pub(super) fn list(
    view: &EndpointContext<'_>,
    all: &[SimulatedLookupEntry],
    max_limit: usize,
) -> Result<SimulatedResponse, PersonioProblem> {
    let listing = ListingParameters::parse(view.path, view.query, &[], max_limit)?;
    let entries = all.iter().enumerate();
    Ok(listing.page(
        entries,
        |entry| view.wire.lookup_entry(entry),
        view.wire.quirks,
        view.wire.base_url,
    ))
}

/// Returns one page of departments or of teams.
pub(super) fn list_org_units(
    view: &EndpointContext<'_>,
) -> Result<SimulatedResponse, PersonioProblem> {
    let listing = ListingParameters::parse(view.path, view.query, &["type"], MAX_LOOKUP_PAGE_SIZE)?;
    let unit_type = parse_org_unit_type(listing.parameter("type"))?;
    let unlisted = &view.wire.quirks.unlisted_org_units;
    let units = view.world.org_units.iter().enumerate();
    let entries =
        units.filter(|(_, unit)| unit.unit_type == unit_type && !unlisted.contains(&unit.id));
    Ok(listing.page(entries, |unit| view.wire.org_unit(unit), view.wire.quirks, view.wire.base_url))
}

/// Returns a single department or team.
pub(super) fn get_org_unit(
    view: &EndpointContext<'_>,
    id: &str,
) -> Result<SimulatedResponse, PersonioProblem> {
    let unit_type =
        parse_org_unit_type(query_parameters(view.query).get("type").map(String::as_str))?;
    for unit in &view.world.org_units {
        if unit.unit_type == unit_type && unit.id == id {
            return Ok(SimulatedResponse::json(200, &view.wire.org_unit(unit)));
        }
    }
    Err(PersonioProblem::no_resource())
}

fn parse_org_unit_type(text: Option<&str>) -> Result<SimulatedOrgUnitType, PersonioProblem> {
    match text {
        Some("department") => Ok(SimulatedOrgUnitType::Department),
        Some("team") => Ok(SimulatedOrgUnitType::Team),
        Some(_) | None => Err(PersonioProblem::bad_request("type must be department or team.")),
    }
}
