//! Endpoints of the look-up lists: org units, legal entities, workplaces, cost centres and jobs.

use crate::simulator::answer::{Answer, Problem};
use crate::simulator::handle::View;
use crate::simulator::listing::{Listing, pairs};
use crate::simulator::world::{Named, OrgUnit, OrgUnitKind};

/// Largest accepted value of `limit` for legal entities, as documented.
pub(super) const LEGAL_ENTITY_LIMIT: usize = 100;
/// Largest accepted value of `limit` for lists without a documented maximum: the smaller of the
/// known maxima.
pub(super) const OTHER_LIMIT: usize = 50;

/// Returns one page of a look-up list.
pub(super) fn list(view: &View<'_>, all: &[Named], max_limit: usize) -> Result<Answer, Problem> {
    let listing = Listing::read(view.path, view.query, &[], max_limit)?;
    let entries = all.iter().enumerate();
    Ok(listing.page(entries, |named| view.wire.named(named), view.wire.quirks, view.wire.base_url))
}

/// Returns one page of departments or of teams.
pub(super) fn org_units(view: &View<'_>) -> Result<Answer, Problem> {
    let listing = Listing::read(view.path, view.query, &["type"], OTHER_LIMIT)?;
    let kind = kind(listing.text("type"))?;
    let entries = view
        .world
        .org_units
        .iter()
        .enumerate()
        .filter(|(_, unit)| unit.kind == kind && !view.wire.quirks.unlisted_org_units.contains(&unit.id));
    Ok(listing.page(entries, |unit| view.wire.org_unit(unit), view.wire.quirks, view.wire.base_url))
}

/// Returns a single department or team.
pub(super) fn org_unit(view: &View<'_>, id: &str) -> Result<Answer, Problem> {
    let kind = kind(pairs(view.query).get("type").map(String::as_str))?;
    let is_it = |unit: &&OrgUnit| unit.kind == kind && unit.id == id;
    let unit = view.world.org_units.iter().find(is_it).ok_or_else(Problem::no_resource)?;
    Ok(Answer::json(200, &view.wire.org_unit(unit)))
}

fn kind(text: Option<&str>) -> Result<OrgUnitKind, Problem> {
    match text {
        Some("department") => Ok(OrgUnitKind::Department),
        Some("team") => Ok(OrgUnitKind::Team),
        Some(_) | None => Err(Problem::bad_request("type must be department or team.")),
    }
}
