//! Endpoints of the look-up lists: org units, legal entities, workplaces, cost centres and jobs.

use crate::simulator::answer::{Answer, Problem};
use crate::simulator::handle::View;
use crate::simulator::listing::{Listing, pairs};
use crate::simulator::world::{Named, OrgUnitKind};

/// Largest accepted value of `limit` for legal entities, as documented.
pub(super) const MAX_LEGAL_ENTITY_PAGE_SIZE: usize = 100;
/// Largest accepted value of `limit` for lists without a documented maximum: the smaller of the
/// known maxima.
pub(super) const MAX_LOOKUP_PAGE_SIZE: usize = 50;

/// Returns one page of a look-up list.
pub(super) fn list(view: &View<'_>, all: &[Named], max_limit: usize) -> Result<Answer, Problem> {
    let listing = Listing::read(view.path, view.query, &[], max_limit)?;
    let entries = all.iter().enumerate();
    Ok(listing.page(entries, |named| view.wire.named(named), view.wire.quirks, view.wire.base_url))
}

/// Returns one page of departments or of teams.
pub(super) fn org_units(view: &View<'_>) -> Result<Answer, Problem> {
    let listing = Listing::read(view.path, view.query, &["type"], MAX_LOOKUP_PAGE_SIZE)?;
    let kind = kind(listing.text("type"))?;
    let unlisted = &view.wire.quirks.unlisted_org_units;
    let units = view.world.org_units.iter().enumerate();
    let entries = units.filter(|(_, unit)| unit.kind == kind && !unlisted.contains(&unit.id));
    Ok(listing.page(entries, |unit| view.wire.org_unit(unit), view.wire.quirks, view.wire.base_url))
}

/// Returns a single department or team.
pub(super) fn org_unit(view: &View<'_>, id: &str) -> Result<Answer, Problem> {
    let kind = kind(pairs(view.query).get("type").map(String::as_str))?;
    for unit in &view.world.org_units {
        if unit.kind == kind && unit.id == id {
            return Ok(Answer::json(200, &view.wire.org_unit(unit)));
        }
    }
    Err(Problem::no_resource())
}

fn kind(text: Option<&str>) -> Result<OrgUnitKind, Problem> {
    match text {
        Some("department") => Ok(OrgUnitKind::Department),
        Some("team") => Ok(OrgUnitKind::Team),
        Some(_) | None => Err(Problem::bad_request("type must be department or team.")),
    }
}
