//! Endpoints `/v2/persons`, `/v2/persons/{id}` and `/v2/persons/{id}/employments`.

use crate::simulator::answer::{Answer, Problem};
use crate::simulator::handle::View;
use crate::simulator::listing::{Listing, Period};
use crate::simulator::world::Person;

/// Largest accepted value of `limit`.
const MAX_LIMIT: usize = 50;
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
pub(super) fn list(view: &View<'_>) -> Result<Answer, Problem> {
    let listing = Listing::read(view.path, view.query, PERSON_FILTERS, MAX_LIMIT)?;
    let filter = Filter::read(&listing)?;
    let candidates: Vec<usize>;
    let positions: &mut dyn Iterator<Item = usize> = match listing.list("id") {
        None => &mut (listing.position..view.index.len()),
        Some(ids) => {
            let mut found: Vec<usize> = ids.into_iter().filter_map(|id| view.index.position(id)).collect();
            found.sort_unstable();
            found.dedup();
            candidates = found;
            &mut candidates.iter().copied()
        }
    };
    let entries = positions
        .filter_map(|position| Some((position, view.index.at(view.world, position)?)))
        .filter(|(_, person)| filter.passes(person));
    Ok(listing.page(entries, |person| view.wire.person(person), view.wire.quirks, view.wire.base_url))
}

/// Returns a single person, without the envelope of a listing.
pub(super) fn one(view: &View<'_>, id: &str) -> Result<Answer, Problem> {
    let person = view.index.person(view.world, id).ok_or_else(Problem::no_resource)?;
    Ok(Answer::json(200, &view.wire.person(person)))
}

/// Returns one page of a person's employments.
pub(super) fn employments(view: &View<'_>, id: &str) -> Result<Answer, Problem> {
    let person = view.index.person(view.world, id).ok_or_else(Problem::no_resource)?;
    let listing = Listing::read(view.path, view.query, EMPLOYMENT_FILTERS, MAX_LIMIT)?;
    let (ids, updated) = (listing.list("id"), listing.period("updated_at")?);
    let entries = view
        .wire
        .employments_of(person)
        .into_iter()
        .enumerate()
        .filter(|(_, it)| ids.as_ref().is_none_or(|ids| ids.contains(&it.id.as_str())))
        .filter(|(_, it)| updated.contains(it.updated_at));
    Ok(listing.page(entries, |it| view.wire.employment(it, id), view.wire.quirks, view.wire.base_url))
}

/// Filters of `/v2/persons`, except for `id`, which selects the candidates before filtering.
struct Filter<'l> {
    emails: Option<Vec<&'l str>>,
    first_name: Option<&'l str>,
    last_name: Option<&'l str>,
    preferred_name: Option<&'l str>,
    status: Option<&'l str>,
    created: Period,
    updated: Period,
}

impl<'l> Filter<'l> {
    fn read(listing: &'l Listing) -> Result<Self, Problem> {
        let status = listing.text("status");
        if !matches!(status, None | Some("ACTIVE" | "INACTIVE")) {
            return Err(Problem::bad_request("status must be ACTIVE or INACTIVE."));
        }
        Ok(Self {
            emails: listing.list("email"),
            first_name: listing.text("first_name"),
            last_name: listing.text("last_name"),
            preferred_name: listing.text("preferred_name"),
            status,
            created: listing.period("created_at")?,
            updated: listing.period("updated_at")?,
        })
    }

    fn passes(&self, person: &Person) -> bool {
        let is = |wanted: Option<&str>, value: &Option<String>| wanted.is_none() || wanted == value.as_deref();
        is(self.first_name, &person.first_name)
            && is(self.last_name, &person.last_name)
            && is(self.preferred_name, &person.preferred_name)
            && is(self.status, &person.status)
            && self.created.contains(person.created_at)
            && self.updated.contains(person.updated_at)
            && self.emails.as_ref().is_none_or(|emails| {
                let email = person.email.as_deref();
                email.is_some_and(|email| emails.iter().any(|wanted| wanted.eq_ignore_ascii_case(email)))
            })
    }
}
