//! The names of departments, teams, legal entities, workplaces and cost centres: employments hold
//! only their ids.
//!
//! Names are read as whole lists, once a day. A list can be incomplete or missing (404) while single
//! units can be read, so units that are in use and have no name are requested one by one, each once a
//! day. Where names cannot be read there are none, and where they could once be read, the old ones stay.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::personio::model::Named;
use crate::personio::{Client, Endpoint, Error, Retry};

/// Time for which names are good, and for which a unit is not requested again on its own.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Time for which nothing is requested after a failure.
const PAUSE: Duration = Duration::from_secs(60);

/// The same while no name of a kind is known, after a failure that may pass: the next load makes another attempt.
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// What is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// `/v2/org-units?type=department`
    Department,
    /// `/v2/org-units?type=team`
    Team,
    /// `/v2/legal-entities`
    LegalEntity,
    /// `/v2/workplaces`: what an employment calls its office.
    Workplace,
    /// `/v2/cost-centers`
    CostCenter,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Department, Self::Team, Self::LegalEntity, Self::Workplace, Self::CostCenter];

    /// Returns the value of the parameter `type`, for the units that can be read one by one. Of the other kinds no
    /// such endpoint is documented.
    pub(super) fn org_unit_type(self) -> Option<&'static str> {
        match self {
            Self::Department => Some("department"),
            Self::Team => Some("team"),
            Self::LegalEntity | Self::Workplace | Self::CostCenter => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Department => "departments",
            Self::Team => "teams",
            Self::LegalEntity => "legal entities",
            Self::Workplace => "workplaces",
            Self::CostCenter => "cost centres",
        })
    }
}

/// Names by kind and id, as they were when they were asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Names {
    by_kind: HashMap<Kind, Arc<Known>>,
}

/// An id without a name was looked for and not found.
type Known = HashMap<String, Option<String>>;

impl Names {
    /// The name of something, if it is known.
    #[must_use]
    pub fn get(&self, kind: Kind, id: &str) -> Option<&str> {
        self.by_kind.get(&kind)?.get(id)?.as_deref()
    }

    /// Reports whether a unit may have a name that could not be read. It has none where Personio says so, which is
    /// not believed while no unit of its kind has a name.
    #[must_use]
    pub fn lacks(&self, kind: Kind, id: &str) -> bool {
        let Some(known) = self.by_kind.get(&kind) else { return true };
        match known.get(id) {
            None => true,
            Some(Some(_)) => false,
            Some(None) => !known.values().any(Option::is_some),
        }
    }
}

impl FromIterator<(Kind, String, String)> for Names {
    fn from_iter<I: IntoIterator<Item = (Kind, String, String)>>(names: I) -> Self {
        let mut by_kind: HashMap<Kind, Known> = HashMap::new();
        for (kind, id, name) in names {
            by_kind.entry(kind).or_default().insert(id, Some(name));
        }
        Self { by_kind: by_kind.into_iter().map(|(kind, known)| (kind, Arc::new(known))).collect() }
    }
}

/// What is known of one kind. All times are of the clock.
#[derive(Debug, Default)]
struct Entry {
    known: Arc<Known>,
    list: List,
    units: Units,
    /// Whether a warning was logged since names could last be read.
    is_reported: bool,
}

/// The list of one kind.
#[derive(Debug, Default)]
struct List {
    /// Time at which it could last be read.
    read: Option<Duration>,
    /// Number of its entries with a name then.
    named: usize,
    /// Last failure since then.
    failure: Option<Failure>,
    /// Number of failures in a row, without a pause between them.
    failures: usize,
    beta: Beta,
}

/// Units of one kind that were requested one by one.
#[derive(Debug, Default)]
struct Units {
    /// Time at which each was last requested, whatever the answer.
    requested: HashMap<String, Duration>,
    /// Failure that ended the last round.
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Failure {
    at: Duration,
    error: Error,
}

/// Whether an endpoint is read with the header `Beta: true`, without which some are 404.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Beta {
    #[default]
    Untried,
    Needed,
    /// It is 404 with the header as well, which was last tried then.
    Useless {
        tried: Duration,
    },
}

/// What became of reading the names of one kind.
#[derive(Debug, Clone)]
pub struct LookUp {
    /// The kind.
    pub kind: Kind,
    /// Number of names in its list, or why the list cannot be read.
    pub listed: Result<usize, Error>,
    /// Number of units that were requested one by one.
    pub requested: usize,
    /// Why not all units that are without a name could be requested.
    pub failure: Option<Error>,
}

/// The names that were read so far.
pub(super) struct NameCache {
    entries: [Mutex<Entry>; Kind::ALL.len()],
    clock: Arc<dyn Clock>,
}

impl NameCache {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { entries: Default::default(), clock }
    }
}

impl Entry {
    /// Reports whether all that can be done for these ids today was done.
    fn is_settled(&self, wanted: &HashSet<String>, now: Duration) -> bool {
        wanted.iter().all(|id| self.known.contains_key(id) || self.units.was_requested(id, now))
    }

    /// Reports whether the list is to be read again for these ids.
    fn is_due(&self, kind: Kind, wanted: &HashSet<String>, now: Duration) -> bool {
        if self.is_paused(now) {
            return self.has_second_chance();
        }
        let Some(read) = self.list.read else { return true };
        if !is_within(read, LIFETIME, now) {
            return true;
        }
        // What a list did not name a moment ago is requested one by one, where that can be done.
        let is_new = kind.org_unit_type().is_some() && is_within(read, PAUSE, now);
        !is_new && !self.units.is_paused(now) && !self.is_settled(wanted, now)
    }

    /// Reports whether the list is not read again yet, since it could not be read a moment ago.
    fn is_paused(&self, now: Duration) -> bool {
        let Some(Failure { at, error }) = &self.list.failure else { return false };
        let pause = if self.has_no_name() && error.is_retryable() { FIRST_PAUSE } else { PAUSE };
        is_within(*at, pause, now)
    }

    /// Reports whether a list that failed once is read again at once: while there is no name at all, everybody would be
    /// served without.
    fn has_second_chance(&self) -> bool {
        let Some(failure) = &self.list.failure else { return false };
        self.has_no_name() && self.list.failures == 1 && failure.error.is_retryable()
    }

    fn has_no_name(&self) -> bool {
        !self.known.values().any(Option::is_some)
    }

    /// Takes over a list that was read whole.
    fn take_list(&mut self, list: Vec<Named>, now: Duration) {
        let mut known = Known::clone(&self.known);
        let mut named = 0;
        // A name is not forgotten because a list leaves it or its name out: somebody may still refer to it.
        for Named { id, name } in list {
            if name.is_some() {
                named += 1;
                self.units.requested.remove(&id);
            }
            if name.is_some() || !known.contains_key(&id) {
                known.insert(id, name);
            }
        }
        self.known = Arc::new(known);
        self.list = List { read: Some(now), named, failure: None, failures: 0, beta: self.list.beta };
    }

    fn take_failure(&mut self, error: Error, now: Duration) {
        self.list.failure = Some(Failure { at: now, error });
        self.list.failures += 1;
    }

    /// The ids that have no name and are to be requested one by one, in a fixed order.
    fn to_request(&self, wanted: &HashSet<String>, now: Duration) -> Vec<String> {
        let may_have_a_name = match &self.list.failure {
            None => self.list.read.is_some(),
            Some(Failure { error, .. }) => is_not_found(error),
        };
        if !may_have_a_name || self.units.is_paused(now) {
            return Vec::new();
        }
        let mut ids = Vec::new();
        for id in wanted {
            let is_nameless = self.known.get(id).is_none_or(Option::is_none);
            // A name that no list holds is as old as the day on which it was requested.
            let is_unlisted = is_nameless || self.units.requested.contains_key(id);
            if is_unlisted && !self.units.was_requested(id, now) {
                ids.push(id.clone());
            }
        }
        ids.sort_unstable();
        ids
    }

    /// Takes over the answer about one unit. The error is one after which no other unit is requested.
    fn take_unit(&mut self, id: String, answer: Result<Named, Error>, now: Duration) -> Result<(), Error> {
        let name = match answer {
            Ok(unit) => unit.name,
            Err(Error::NotFound { .. }) => None,
            Err(error) => {
                // Where there is no such route, the unit was requested as well as it can be.
                if is_not_found(&error) {
                    self.units.requested.insert(id, now);
                }
                return Err(error);
            }
        };
        self.units.requested.insert(id.clone(), now);
        if name.is_some() || !self.known.contains_key(&id) {
            Arc::make_mut(&mut self.known).insert(id, name);
        }
        Ok(())
    }

    /// Takes it that units which a list does not name have no name, where they cannot be requested one by one.
    fn settle(&mut self, wanted: &HashSet<String>) {
        let is_read = self.list.read.is_some() && self.list.failure.is_none();
        if is_read && wanted.iter().any(|id| !self.known.contains_key(id)) {
            let known = Arc::make_mut(&mut self.known);
            for id in wanted {
                known.entry(id.clone()).or_default();
            }
        }
    }

    /// Takes back names that are other ones than in `trusted`, and has them read again.
    fn put_back(&mut self, trusted: &Known) {
        for (id, name) in trusted {
            if name.is_some() && self.known.get(id) != Some(name) {
                Arc::make_mut(&mut self.known).insert(id.clone(), name.clone());
                self.units.requested.remove(id);
                self.list.read = None;
            }
        }
    }

    /// Logs that names which are in use cannot be read: the first time as a warning.
    fn report(&mut self, kind: Kind, wanted: &HashSet<String>) {
        let failure = self.list.failure.as_ref().or(self.units.failure.as_ref());
        let Some(Failure { error, .. }) = failure else {
            self.is_reported = false;
            return;
        };
        let lacking = wanted.iter().filter(|id| !self.known.contains_key(*id)).count();
        if self.is_reported || error.blocks_every_request() {
            tracing::debug!(%kind, lacking, "names of {kind} still cannot be read: {error}");
            return;
        }
        tracing::warn!(%kind, lacking, "names of {kind} cannot be read, and {lacking} in use have none: {error}");
        self.is_reported = true;
    }
}

impl Units {
    fn was_requested(&self, id: &str, now: Duration) -> bool {
        self.requested.get(id).is_some_and(|at| is_within(*at, LIFETIME, now))
    }

    fn is_paused(&self, now: Duration) -> bool {
        self.failure.as_ref().is_some_and(|failure| is_within(failure.at, PAUSE, now))
    }
}

fn is_within(moment: Duration, span: Duration, now: Duration) -> bool {
    now.saturating_sub(moment) < span
}

/// Reports whether an answer was 404, of a unit or of a route.
fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. } | Error::UnknownRoute { .. })
}

impl Client {
    /// Takes over `names` that were read in an earlier life of this program, until they can be read anew.
    /// Where names are being read already, these come too late.
    pub fn recall_names(&self, names: &Names) {
        for (kind, entry) in Kind::ALL.into_iter().zip(&self.names.entries) {
            if let (Some(known), Ok(mut entry)) = (names.by_kind.get(&kind), entry.try_lock()) {
                entry.known = Arc::clone(known);
            }
        }
    }

    /// Takes back names that are other ones than in `trusted`. The next load reads their lists again: a mistake of one
    /// moment would last for a day otherwise. Names that are being read now are left as they are.
    pub fn put_back_names(&self, trusted: &Names) {
        for (kind, entry) in Kind::ALL.into_iter().zip(&self.names.entries) {
            if let (Some(trusted), Ok(mut entry)) = (trusted.by_kind.get(&kind), entry.try_lock()) {
                entry.put_back(trusted);
            }
        }
    }

    /// Reads the lists whose names are old, so that they are there when they are needed. Failures are not reported:
    /// [`Client::names`] does that for the names that are in use.
    pub async fn prefetch_names(&self) {
        let nothing = HashSet::new();
        let lists = Kind::ALL.into_iter().zip(&self.names.entries).map(|(kind, entry)| {
            let nothing = &nothing;
            async move { self.update_list(kind, &mut *entry.lock().await, nothing).await }
        });
        join_all(lists).await;
    }

    /// The names of the `wanted` ids and of all others of their kinds. A kind is asked for when its
    /// names are old, or when a wanted id is not among them; callers at the same time share it.
    pub async fn names(&self, wanted: &HashMap<Kind, HashSet<String>>) -> Names {
        let kinds = Kind::ALL.into_iter().zip(&self.names.entries).map(|(kind, entry)| async move {
            let mut entry = entry.lock().await;
            if let Some(ids) = wanted.get(&kind) {
                self.update(kind, &mut entry, ids).await;
            }
            (kind, Arc::clone(&entry.known))
        });
        Names { by_kind: join_all(kinds).await.into_iter().collect() }
    }

    /// Returns what became of reading the names of each kind so far.
    pub async fn look_ups(&self) -> Vec<LookUp> {
        let mut look_ups = Vec::new();
        for (kind, entry) in Kind::ALL.into_iter().zip(&self.names.entries) {
            let Entry { list, units, .. } = &*entry.lock().await;
            let listed = list.failure.as_ref().map_or(Ok(list.named), |failure| Err(failure.error.clone()));
            let failure = units.failure.as_ref().map(|failure| failure.error.clone());
            look_ups.push(LookUp { kind, listed, requested: units.requested.len(), failure });
        }
        look_ups
    }

    async fn update(&self, kind: Kind, entry: &mut Entry, wanted: &HashSet<String>) {
        self.update_list(kind, entry, wanted).await;
        match kind.org_unit_type() {
            Some(_) => self.update_units(kind, entry, wanted).await,
            None => entry.settle(wanted),
        }
        entry.report(kind, wanted);
    }

    /// Reads the list, if that is due. While no name is known all attempts are made: whoever is served then has none.
    async fn update_list(&self, kind: Kind, entry: &mut Entry, wanted: &HashSet<String>) {
        let now = self.names.clock.monotonic();
        if !entry.is_due(kind, wanted, now) {
            return;
        }
        if !entry.is_paused(now) {
            entry.list.failures = 0;
        }
        let retry = if entry.has_no_name() { self.settings.retry } else { self.few_retries() };
        let mut list = self.named(kind, entry.list.beta == Beta::Needed, retry).await;
        let is_to_try = match entry.list.beta {
            Beta::Untried => true,
            Beta::Needed => false,
            Beta::Useless { tried } => !is_within(tried, LIFETIME, now),
        };
        if list.as_ref().is_err_and(is_not_found) && is_to_try {
            list = self.named(kind, true, retry).await;
            entry.list.beta = match &list {
                Ok(_) => Beta::Needed,
                Err(error) if is_not_found(error) => Beta::Useless { tried: now },
                Err(_) => Beta::Untried,
            };
        }
        match list {
            Ok(list) => entry.take_list(list, now),
            // Without a token nothing was asked of the list: it is read as soon as there is one.
            Err(error) if error.endpoint() == Endpoint::Token => {}
            Err(error) => entry.take_failure(error, now),
        }
    }

    /// Requests the units that are in use and have no name, one by one.
    async fn update_units(&self, kind: Kind, entry: &mut Entry, wanted: &HashSet<String>) {
        let now = self.names.clock.monotonic();
        let ids = entry.to_request(wanted, now);
        if ids.is_empty() {
            return;
        }
        let is_beta = entry.list.beta == Beta::Needed;
        entry.units.failure = None;
        let answers = stream::iter(ids).map(|id| async move {
            let answer = self.unit(kind, &id, is_beta).await;
            (id, answer)
        });
        let mut answers = answers.buffered(self.max_concurrency());
        while let Some((id, answer)) = answers.next().await {
            if let Err(error) = entry.take_unit(id, answer, now) {
                entry.units.failure = Some(Failure { at: now, error });
                return;
            }
        }
    }

    /// One unit. Where it is 404 it is requested once more, with the header `Beta: true`.
    async fn unit(&self, kind: Kind, id: &str, is_beta: bool) -> Result<Named, Error> {
        match self.org_unit(kind, id, is_beta).await {
            Err(error) if is_not_found(&error) && !is_beta => self.org_unit(kind, id, true).await,
            answer => answer,
        }
    }

    fn few_retries(&self) -> Retry {
        Retry { times: self.settings.retry.times.min(1), ..self.settings.retry }
    }
}
