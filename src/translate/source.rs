//! Reads everybody from Personio and translates them: what the directory calls when it wants to be
//! filled. A load is whole or it has failed.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::task::block_in_place;

use super::extension::Attributes;
use super::flaw::flaw;
use super::marks::Marks;
use super::plan::{Known, Plan, Recheck};
use super::records::{Record, Records, forget_personal};
use super::refresh::{Refresh, believed};
use super::user::{Context, People, card, user};
use super::{Policy, employment, groups, user_name};
use crate::clock::Clock;
use crate::directory::{self, Loaded, Malformed, Memory, Progress, Skipped, SourceError, Told};
use crate::personio::model::{Employment, Person};
use crate::personio::webhook::{self, Notice};
use crate::personio::{self, Client, Kind, Names};
use crate::scim::{Locations, User, list_order};

/// How long what was read is good.
#[derive(Debug, Clone, Copy)]
pub struct Recency {
    /// Employments are read again after this long although nothing says that they have changed.
    pub recheck: Duration,
    /// Employments that cannot be read again count as unreadable after this long.
    pub trusted: Duration,
}

/// A source of users: one company's Personio, and its choices.
pub struct Source {
    client: Client,
    policy: Policy,
    attributes: Attributes,
    locations: Locations,
    clock: Arc<dyn Clock>,
    recency: Recency,
    marks: Marks,
    kept: Mutex<Kept>,
}

/// What is kept between loads.
#[derive(Debug, Default)]
struct Kept {
    records: Arc<Records>,
    /// What was read by a load that failed then.
    gleaned: HashMap<String, Arc<Record>>,
    /// When the last load began that did not fail.
    loaded: Option<Timestamp>,
}

impl Source {
    /// A source that has not asked for anything yet.
    #[must_use]
    pub fn new(client: Client, policy: Policy, locations: Locations, clock: Arc<dyn Clock>, recency: Recency) -> Self {
        let attributes = Attributes::new(&policy);
        let (marks, kept) = (Marks::default(), Mutex::default());
        Self { client, policy, attributes, locations, clock, recency, marks, kept }
    }

    /// From now on Personio is asked with this secret of the credential. Whether it is another one than before.
    pub fn adopt_secret(&self, client_secret: &SecretString) -> bool {
        self.client.adopt(client_secret)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads everybody. Who was said to have changed is still to be read if that fails.
    async fn everybody(&self, progress: &Progress) -> Result<Loaded, personio::Error> {
        let (marked, before) = (self.marks.take(), self.client.traffic().requests());
        let loaded = self.refreshed(marked.ids(), progress).await;
        // Whoever is asked for alone meanwhile is counted as well; there are few.
        progress.cost(self.client.traffic().requests() - before);
        if loaded.is_ok() {
            marked.are_seen();
        }
        loaded
    }

    async fn refreshed(&self, marked: &HashSet<String>, progress: &Progress) -> Result<Loaded, personio::Error> {
        let now = self.clock.now();
        // Names are asked for at once, so that they are there when one person is asked for alone.
        let every_kind = Kind::ALL.into_iter().map(|kind| (kind, HashSet::new())).collect();
        let (found, _) = tokio::join!(self.people(marked, now, progress), self.client.names(&every_kind));
        let people = found?;
        let employments = people.values().filter_map(|record| record.employments.as_deref());
        let names = self.client.names(&named(employments)).await;
        let records = Arc::new(Records { people, names });
        *self.kept() = Kept { records: Arc::clone(&records), gleaned: HashMap::new(), loaded: Some(now) };
        Ok(block_in_place(|| Loaded { memory: Some(records.clone()), ..self.translated(&records) }))
    }

    async fn people(
        &self,
        marked: &HashSet<String>,
        now: Timestamp,
        progress: &Progress,
    ) -> Result<HashMap<String, Arc<Record>>, personio::Error> {
        let mut listed = self.client.persons(|count| progress.listed(count)).await?;
        if listed.is_empty() {
            let reason = "it names no person at all, which the API credential may be the reason for".to_owned();
            return Err(personio::Error::Unreadable { endpoint: personio::Endpoint::Persons, reason });
        }
        listed.iter_mut().for_each(forget_personal);
        let (plan, mut gleaned) = {
            let mut kept = self.kept();
            let known = Known { people: &kept.records.people, gleaned: &kept.gleaned, marked };
            let plan = Plan::new(listed, &known, Recheck { every: self.recency.recheck, now, before: kept.loaded });
            (plan, mem::take(&mut kept.gleaned))
        };
        let (client, clock) = (&self.client, &*self.clock);
        let refresh = Refresh { client, progress, clock, now, trusted: self.recency.trusted };
        let found = refresh.carry_out(plan, &mut gleaned).await;
        self.kept().gleaned = gleaned;
        found
    }

    /// Without the memory that it is made of.
    fn translated(&self, records: &Records) -> Loaded {
        let (people, skipped) = self.users_among(records);
        let persons: Vec<&Person> = people.iter().map(|record| &record.person).collect();
        let (user_names, shared) = user_name::all(&persons);
        if shared > 0 {
            tracing::warn!(shared, "{shared} persons share an e-mail address with another; they are named by their id");
        }
        let cards = persons.iter().zip(&user_names).map(|(person, name)| (person.id.as_str(), card(person, name)));
        let now = self.clock.now();
        let context = self.context(&records.names, People::Served(cards.collect()), now);
        let users = people.iter().zip(user_names).map(|(record, user_name)| {
            user(&record.person, user_name, record.employments.as_deref().unwrap_or_default(), &context)
        });
        let users: Vec<User> = users.collect();
        Loaded {
            groups: groups::groups(&users, &self.locations),
            users,
            skipped,
            outdated: people.iter().filter(|record| record.failed && record.employments.is_some()).count(),
            unconfirmed: people.iter().filter(|record| record.unconfirmed).count(),
            flaw: flaw(records.people.values()),
            turns: self.turns(now),
            memory: None,
        }
    }

    /// Whom the company wants to be served, in the order of the list: of two persons with one e-mail address
    /// always the same one is the first.
    fn users_among<'r>(&self, records: &'r Records) -> (Vec<&'r Record>, Skipped) {
        let mut served: Vec<&Record> = records.people.values().map(Arc::as_ref).collect();
        served.retain(|record| !self.policy.require_email || record.person.email.is_some());
        served.sort_by(|one, other| {
            let (one, other) = (&one.person, &other.person);
            list_order((one.created_at, &one.id), (other.created_at, &other.id))
        });
        let without_email = records.people.len() - served.len();
        if without_email > 0 {
            tracing::info!(
                without_email,
                "{without_email} persons without an e-mail address are left out, as configured"
            );
        }
        (served, Skipped { without_email })
    }

    /// When the same records make other users: at the next midnight, where somebody can be active because of
    /// the date alone.
    fn turns(&self, now: Timestamp) -> Option<Timestamp> {
        self.policy.active_before_start_days?;
        let zone = &self.policy.time_zone;
        let tomorrow = now.to_zoned(zone.clone()).date().tomorrow().ok()?;
        Some(tomorrow.to_zoned(zone.clone()).ok()?.timestamp())
    }

    async fn alone(&self, id: &str) -> Result<Option<User>, personio::Error> {
        let (person, employments) = tokio::join!(self.client.person(id), self.client.employments(id));
        let Some(person) = person? else { return Ok(None) };
        if self.policy.require_email && person.email.is_none() {
            return Ok(None);
        }
        let earlier = self.known(id);
        let employments = match employments.and_then(|read| believed(read, &person, earlier.as_deref())) {
            Ok(employments) => employments,
            Err(error @ personio::Error::Credential { .. }) => return Err(error),
            // Whoever had an employment must not seem to have lost it: no answer is better.
            Err(error) if earlier.is_some_and(|record| record.is_employed()) => return Err(error),
            Err(_) => Vec::new(),
        };
        let names = self.client.names(&named(employment::that_counts(&employments).map(std::slice::from_ref))).await;
        let user_name = person.email.clone().unwrap_or_else(|| user_name::fallback(&person.id));
        Ok(Some(user(&person, user_name, &employments, &self.context(&names, People::Unknown, self.clock.now()))))
    }

    /// What is known of this person.
    fn known(&self, id: &str) -> Option<Arc<Record>> {
        let kept = self.kept();
        kept.gleaned.get(id).or_else(|| kept.records.people.get(id)).cloned()
    }

    fn context<'a>(&'a self, names: &'a Names, people: People<'a>, now: Timestamp) -> Context<'a> {
        let today = now.to_zoned(self.policy.time_zone.clone()).date();
        Context { policy: &self.policy, attributes: &self.attributes, locations: &self.locations, names, people, today }
    }
}

impl directory::Source for Source {
    fn load<'a>(&'a self, progress: &'a Progress) -> BoxFuture<'a, Result<Loaded, directory::SourceError>> {
        self.everybody(progress).map(|loaded| loaded.map_err(failure)).boxed()
    }

    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<User>, directory::SourceError>> {
        self.alone(id).map(|user| user.map_err(failure)).boxed()
    }

    fn again(&self, memory: &Arc<dyn Memory>) -> Option<Loaded> {
        let known: &dyn Any = &**memory;
        Some(Loaded { memory: Some(Arc::clone(memory)), ..self.translated(known.downcast_ref()?) })
    }

    fn recall(&self, memory: &[u8]) -> Result<Loaded, SourceError> {
        let records = Arc::new(Records::from_bytes(memory)?);
        self.client.recall_names(&records.names);
        let loaded = records.people.values().map(|record| record.read).max();
        *self.kept() = Kept { records: Arc::clone(&records), gleaned: HashMap::new(), loaded };
        Ok(Loaded { memory: Some(records.clone()), ..self.translated(&records) })
    }

    fn login(&self) -> Option<directory::Login> {
        let personio::Login { refusal, since } = self.client.login()?;
        Some(directory::Login { refusal: refusal.map(failure), since })
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
