//! Reads everybody from Personio and translates them: what the directory calls when it wants to be
//! filled. A load is whole or it has failed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::task::block_in_place;

use super::extension::Attributes;
use super::marks::Marks;
use super::user::{Context, People, card, user};
use super::{Policy, employment, groups, user_name};
use crate::clock::Clock;
use crate::directory::{self, Loaded, Malformed, Progress, Skipped, Told};
use crate::personio::model::{Employment, Person};
use crate::personio::webhook::{self, Notice};
use crate::personio::{self, Client, Kind, Names};
use crate::scim::{Locations, User, list_order};

/// Of so many persons the employments may be unreadable before a load counts as failed, though not of
/// more than half of a small company …
const FEW: usize = 10;
/// … nor may so many in a row, since that is an outage; a large company may have one in five.
const SHARE: usize = 5;

/// A source of users: one company's Personio, and its choices.
pub struct Source {
    client: Client,
    policy: Policy,
    attributes: Attributes,
    locations: Locations,
    clock: Arc<dyn Clock>,
    marks: Marks,
}

/// A person with the employments, or without where they could not be read.
type Enriched = (Person, Option<Vec<Employment>>);

impl Source {
    /// A source that has not asked for anything yet.
    #[must_use]
    pub fn new(client: Client, policy: Policy, locations: Locations, clock: Arc<dyn Clock>) -> Self {
        let attributes = Attributes::new(&policy);
        Self { client, policy, attributes, locations, clock, marks: Marks::default() }
    }

    async fn everybody(&self, progress: &Progress) -> Result<Loaded, personio::Error> {
        // Everybody is read, marked or not.
        self.marks.take();
        // Names are asked for at once, so that they are there when one person is asked for alone.
        let every_kind = Kind::ALL.into_iter().map(|kind| (kind, HashSet::new())).collect();
        let (enriched, _) = tokio::join!(self.people(progress), self.client.names(&every_kind));
        let enriched = enriched?;
        let names =
            self.client.names(&named(enriched.iter().filter_map(|(_, employments)| employments.as_deref()))).await;
        Ok(block_in_place(|| self.translated(enriched, &names)))
    }

    async fn people(&self, progress: &Progress) -> Result<Vec<Enriched>, personio::Error> {
        let persons = self.client.persons(|count| progress.listed(count)).await?;
        if persons.is_empty() {
            let reason = "it names no person at all, which the API credential may be the reason for".to_owned();
            return Err(personio::Error::Unreadable { endpoint: personio::Endpoint::Persons, reason });
        }
        progress.complete(persons.len());
        self.enriched(persons, progress).await
    }

    /// Adds the employments. A few persons' may be unreadable; many persons' mean that something
    /// larger is wrong, and then nobody is served without.
    async fn enriched(&self, persons: Vec<Person>, progress: &Progress) -> Result<Vec<Enriched>, personio::Error> {
        let mut unreadable = Unreadable::among(persons.len());
        let employments = stream::iter(persons).map(|person| async move {
            let employments = self.client.employments(&person.id).await;
            progress.enriched();
            (person, employments)
        });
        let mut employments = employments.buffer_unordered(self.client.max_concurrency());
        let mut enriched: Vec<Enriched> = Vec::new();
        while let Some((person, employments)) = employments.next().await {
            enriched.push((person, unreadable.note(employments)?));
        }
        unreadable.report();
        // In the order of the list, so that of two persons with one e-mail address always the same one
        // is the first.
        enriched.sort_by(|(one, _), (other, _)| list_order((one.created_at, &one.id), (other.created_at, &other.id)));
        Ok(enriched)
    }

    fn translated(&self, enriched: Vec<Enriched>, names: &Names) -> Loaded {
        let (enriched, skipped) = self.users_among(enriched);
        let (persons, employments): (Vec<Person>, Vec<Option<Vec<Employment>>>) = enriched.into_iter().unzip();
        let (user_names, shared) = user_name::all(&persons);
        if shared > 0 {
            tracing::warn!(shared, "{shared} persons share an e-mail address with another; they are named by their id");
        }
        let cards = persons.iter().zip(&user_names).map(|(person, name)| (person.id.as_str(), card(person, name)));
        let context = self.context(names, People::Served(cards.collect()));
        let users = persons.iter().zip(user_names).zip(&employments).map(|((person, user_name), employments)| {
            user(person, user_name, employments.as_deref().unwrap_or_default(), &context)
        });
        let users: Vec<User> = users.collect();
        Loaded { groups: groups::groups(&users, &self.locations), users, skipped }
    }

    /// Leaves out those whom the company does not want to be served.
    fn users_among(&self, enriched: Vec<Enriched>) -> (Vec<Enriched>, Skipped) {
        let all = enriched.len();
        let served: Vec<_> =
            enriched.into_iter().filter(|(person, _)| !self.policy.require_email || person.email.is_some()).collect();
        let without_email = all - served.len();
        if without_email > 0 {
            tracing::info!(
                without_email,
                "{without_email} persons without an e-mail address are left out, as configured"
            );
        }
        (served, Skipped { without_email })
    }

    async fn alone(&self, id: &str) -> Result<Option<User>, personio::Error> {
        let (person, employments) = tokio::join!(self.client.person(id), self.client.employments(id));
        let Some(person) = person? else { return Ok(None) };
        if self.policy.require_email && person.email.is_none() {
            return Ok(None);
        }
        let employments = match employments {
            Ok(employments) => employments,
            Err(error @ personio::Error::Credential { .. }) => return Err(error),
            Err(_) => Vec::new(),
        };
        let names = self.client.names(&named(employment::that_counts(&employments).map(std::slice::from_ref))).await;
        let user_name = person.email.clone().unwrap_or_else(|| user_name::fallback(&person.id));
        Ok(Some(user(&person, user_name, &employments, &self.context(&names, People::Unknown))))
    }

    fn context<'a>(&'a self, names: &'a Names, people: People<'a>) -> Context<'a> {
        let today = self.clock.now().to_zoned(self.policy.time_zone.clone()).date();
        Context { policy: &self.policy, attributes: &self.attributes, locations: &self.locations, names, people, today }
    }
}

/// Counts the persons whose employments cannot be read.
struct Unreadable {
    tolerated: usize,
    count: usize,
    in_a_row: usize,
    first: Option<personio::Error>,
}

impl Unreadable {
    fn among(persons: usize) -> Self {
        let tolerated = FEW.min(persons.div_ceil(2)).max(persons / SHARE);
        Self { tolerated, count: 0, in_a_row: 0, first: None }
    }

    /// The employments, or none if they may be missing.
    fn note(
        &mut self,
        read: Result<Vec<Employment>, personio::Error>,
    ) -> Result<Option<Vec<Employment>>, personio::Error> {
        match read {
            Ok(employments) => {
                self.in_a_row = 0;
                Ok(Some(employments))
            }
            Err(error @ personio::Error::Credential { .. }) => Err(error),
            Err(error) => {
                self.count += 1;
                self.in_a_row += 1;
                if self.count > self.tolerated || self.in_a_row > FEW {
                    return Err(error);
                }
                self.first.get_or_insert(error);
                Ok(None)
            }
        }
    }

    fn report(&self) {
        if let Some(error) = &self.first {
            let count = self.count;
            tracing::warn!(count, "{count} persons are served without their employments; the first failure: {error}");
        }
    }
}

impl directory::Source for Source {
    fn load<'a>(&'a self, progress: &'a Progress) -> BoxFuture<'a, Result<Loaded, directory::SourceError>> {
        self.everybody(progress).map(|loaded| loaded.map_err(failure)).boxed()
    }

    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<User>, directory::SourceError>> {
        self.alone(id).map(|user| user.map_err(failure)).boxed()
    }

    fn told(&self, message: &[u8]) -> Result<Told, Malformed> {
        match webhook::read(message).map_err(|malformed| Malformed::new(malformed.to_string()))? {
            Notice::Person(id) => self.marks.note(id),
            Notice::Somebody => {}
            Notice::Nothing => return Ok(Told::Nothing),
        }
        Ok(Told::Refresh)
    }
}

fn failure(error: personio::Error) -> directory::SourceError {
    directory::SourceError::new(error.to_string())
}

/// The ids whose names are needed to translate these employments.
fn named<'e>(employments: impl IntoIterator<Item = &'e [Employment]>) -> HashMap<Kind, HashSet<String>> {
    let mut wanted: HashMap<Kind, HashSet<String>> = HashMap::new();
    let mut want = |kind, id: Option<&str>| {
        if let Some(id) = id {
            wanted.entry(kind).or_default().insert(id.to_owned());
        }
    };
    for employment in employments.into_iter().filter_map(employment::that_counts) {
        for unit in &employment.org_units {
            match unit.kind.as_deref() {
                Some("DEPARTMENT") => want(Kind::Department, Some(&unit.id)),
                Some("TEAM") => want(Kind::Team, Some(&unit.id)),
                _ => {}
            }
        }
        want(Kind::LegalEntity, employment.legal_entity.as_ref().and_then(|entity| entity.id.as_deref()));
        want(Kind::Workplace, employment.office.as_ref().and_then(|office| office.id.as_deref()));
        want(Kind::CostCenter, employment::cost_center(employment));
    }
    wanted
}
