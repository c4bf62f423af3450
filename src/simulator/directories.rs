//! The lists that give names to ids: org units, legal entities, workplaces, cost centres, jobs.

use crate::simulator::answer::{Answer, Problem};
use crate::simulator::handle::View;
use crate::simulator::listing::{Listing, pairs};
use crate::simulator::world::{Named, OrgUnit, OrgUnitKind};

/// The documented limit for legal entities.
pub(super) const LEGAL_ENTITY_LIMIT: usize = 100;
/// The limit where none is documented: the smaller of the known ones.
pub(super) const OTHER_LIMIT: usize = 50;

/// One page of a list of names.
pub(super) fn list(view: &View<'_>, all: &[Named], max_limit: usize) -> Result<Answer, Problem> {
    let listing = Listing::read(view.path, view.query, &[], max_limit)?;
    let entries = all.iter().enumerate();
    Ok(listing.page(entries, |named| view.wire.named(named), view.wire.quirks, view.wire.base_url))
}

/// One page of departments or of teams.
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

/// One department or team.
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
