//! Look-ups: the names of departments, teams, legal entities, workplaces, cost centres and jobs. An
//! employment contains only their ids.
//!
//! Names are read as whole lists, once a day. A list can be incomplete or missing (404) although
//! single units can be read. Units that are in use and have no name are therefore requested one by
//! one, each once a day. While names cannot be read, earlier names stay.
//!
//! [`PersonioClient::look_up_names`] is the entry point; [`CachedLookup`] decides what to request,
//! and the methods of [`PersonioClient`] at the end send the requests.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::personio::model::LookupEntry;
use crate::personio::{Endpoint, Error, PersonioClient, RetryPolicy};

/// Lifetime of a list, and the time before a single unit is requested again.
const NAME_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Pause of all requests of a kind after a failure.
const COOL_DOWN: Duration = Duration::from_secs(60);
/// Pause after a refused list whose right is optional. A credential may lack the right for ever.
const COOL_DOWN_WITHOUT_RIGHT: Duration = Duration::from_secs(3600);
/// Pause after a retryable failure while no name of the kind is known. It is short, so that the
/// next load tries again.
const COOL_DOWN_WITHOUT_NAMES: Duration = Duration::from_secs(10);

/// Kind of a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LookupKind {
    /// `/v2/org-units?type=department`
    Department,
    /// `/v2/org-units?type=team`
    Team,
    /// `/v2/legal-entities`
    LegalEntity,
    /// `/v2/workplaces`; an employment calls it its office.
    Workplace,
    /// `/v2/cost-centers`
    CostCenter,
    /// `/v2/jobs`
    Job,
}

impl LookupKind {
    /// All kinds, in the order of definition.
    pub const ALL: [Self; 6] = [
        Self::Department,
        Self::Team,
        Self::LegalEntity,
        Self::Workplace,
        Self::CostCenter,
        Self::Job,
    ];

    /// Reports whether the right to read these names is optional: users without them are complete.
    pub(crate) fn is_optional(self) -> bool {
        match self {
            Self::Job => true,
            Self::Department
            | Self::Team
            | Self::LegalEntity
            | Self::Workplace
            | Self::CostCenter => false,
        }
    }

    /// Returns the value of the parameter `type` for kinds whose units can be requested one by one.
    /// Personio documents no such endpoint for the other kinds.
    pub(super) fn org_unit_type(self) -> Option<&'static str> {
        match self {
            Self::Department => Some("department"),
            Self::Team => Some("team"),
            Self::LegalEntity | Self::Workplace | Self::CostCenter | Self::Job => None,
        }
    }
}

impl fmt::Display for LookupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Department => "departments",
            Self::Team => "teams",
            Self::LegalEntity => "legal entities",
            Self::Workplace => "workplaces",
            Self::CostCenter => "cost centres",
            Self::Job => "jobs",
        })
    }
}

/// Names by kind and id, as of the time of their look-up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LookupNames {
    by_kind: HashMap<LookupKind, Arc<NamesById>>,
    /// Parents of the units, of the kinds that have any. Earlier state files have none.
    #[serde(default)]
    parents: HashMap<LookupKind, Arc<ParentsById>>,
}

/// Names of one kind by id. `None` marks an id whose name Personio did not return.
type NamesById = HashMap<String, Option<String>>;
/// Ids of the parents of the units of one kind, by the id of the unit.
type ParentsById = HashMap<String, String>;

impl LookupNames {
    /// Returns the name of a unit, if it is known.
    #[must_use]
    pub fn get(&self, kind: LookupKind, id: &str) -> Option<&str> {
        self.by_kind.get(&kind)?.get(id)?.as_deref()
    }

    /// Reports whether Personio has returned a unit with this id.
    #[must_use]
    pub fn contains(&self, kind: LookupKind, id: &str) -> bool {
        self.by_kind.get(&kind).is_some_and(|names| names.contains_key(id))
    }

    /// Returns the id of the unit to which a unit belongs.
    #[must_use]
    pub fn parent(&self, kind: LookupKind, id: &str) -> Option<&str> {
        self.parents.get(&kind)?.get(id).map(String::as_str)
    }

    /// Sets the unit to which a unit belongs.
    #[cfg(test)]
    pub(crate) fn set_parent(&mut self, kind: LookupKind, id: &str, parent: &str) {
        let parents = Arc::make_mut(self.parents.entry(kind).or_default());
        parents.insert(id.to_owned(), parent.to_owned());
    }

    /// Reports whether a unit may have a name that could not be read.
    ///
    /// A unit without a name in Personio's response has none. This does not count while no unit of
    /// the kind has a name: the credential may lack the access right to read names. If this right is
    /// optional, the names that it protects count as absent.
    #[must_use]
    pub fn is_name_unread(&self, kind: LookupKind, id: &str) -> bool {
        let Some(names) = self.by_kind.get(&kind) else { return true };
        match names.get(id) {
            None => true,
            Some(Some(_)) => false,
            Some(None) => !kind.is_optional() && !names.values().any(Option::is_some),
        }
    }
}

impl FromIterator<(LookupKind, String, String)> for LookupNames {
    fn from_iter<I: IntoIterator<Item = (LookupKind, String, String)>>(names: I) -> Self {
        let mut by_kind: HashMap<LookupKind, Arc<NamesById>> = HashMap::new();
        for (kind, id, name) in names {
            Arc::make_mut(by_kind.entry(kind).or_default()).insert(id, Some(name));
        }
        Self { by_kind, parents: HashMap::new() }
    }
}

/// Names and parents of one kind.
struct NamesOfKind {
    kind: LookupKind,
    by_id: Arc<NamesById>,
    parents: Arc<ParentsById>,
}

/// State of one look-up. All times are monotonic times of the clock.
#[derive(Debug, Default)]
struct CachedLookup {
    names: Arc<NamesById>,
    parents: Arc<ParentsById>,
    list: ListState,
    units: UnitState,
    /// True if a warning was logged since names could last be read.
    is_reported: bool,
}

/// State of the list of one kind.
#[derive(Debug, Default)]
struct ListState {
    /// Time of the last successful read.
    read_at: Option<Duration>,
    /// Number of entries with a name in the last successful read.
    named_count: usize,
    /// Last failure since then.
    failure: Option<LookupFailure>,
    /// Number of consecutive failures without a pause between them.
    consecutive_failures: usize,
    beta: BetaHeader,
}

/// State of the units of one kind that were requested one by one.
#[derive(Debug, Default)]
struct UnitState {
    /// Time of the last request of each unit, with any outcome.
    requested_at: HashMap<String, Duration>,
    /// Failure that ended the last round of requests.
    failure: Option<LookupFailure>,
}

#[derive(Debug)]
struct LookupFailure {
    failed_at: Duration,
    error: Error,
}

/// Need of the header `Beta: true`, without which some endpoints answer 404.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum BetaHeader {
    #[default]
    Untried,
    Needed,
    /// The endpoint answers 404 with the header too.
    Useless {
        tried_at: Duration,
    },
}

/// Outcome of the look-up of one kind so far.
#[derive(Debug, Clone)]
pub struct LookupReport {
    /// Kind of the look-up.
    pub kind: LookupKind,
    /// Number of names in the list, or the reason why the list cannot be read.
    pub list_result: Result<usize, Error>,
    /// Number of units requested one by one.
    pub units_requested: usize,
    /// Reason why some units without a name could not be requested.
    pub failure: Option<Error>,
}

/// Cache of all look-ups.
pub(super) struct LookupCache {
    by_kind: [Mutex<CachedLookup>; LookupKind::ALL.len()],
    clock: Arc<dyn Clock>,
}

impl LookupCache {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { by_kind: Default::default(), clock }
    }

    fn iter(&self) -> impl Iterator<Item = (LookupKind, &Mutex<CachedLookup>)> {
        LookupKind::ALL.into_iter().zip(&self.by_kind)
    }
}

impl CachedLookup {
    /// Reports whether each id has a name or was requested within the last day.
    fn is_settled(&self, used_ids: &HashSet<String>, now: Duration) -> bool {
        used_ids.iter().all(|id| self.names.contains_key(id) || self.units.was_requested(id, now))
    }

    /// Reports whether the list must be read again to find the names of these ids.
    fn is_list_due(&self, kind: LookupKind, used_ids: &HashSet<String>, now: Duration) -> bool {
        if self.is_list_paused(kind, now) {
            return self.may_retry_at_once();
        }
        let Some(read_at) = self.list.read_at else { return true };
        if !is_within(read_at, NAME_LIFETIME, now) {
            return true;
        }
        // Ids that are missing from a new list are requested one by one, if the kind allows it.
        let is_new = kind.org_unit_type().is_some() && is_within(read_at, COOL_DOWN, now);
        !is_new && !self.units.is_paused(now) && !self.is_settled(used_ids, now)
    }

    /// Reports whether the cool-down after a failure blocks reading the list.
    fn is_list_paused(&self, kind: LookupKind, now: Duration) -> bool {
        let Some(LookupFailure { failed_at, error }) = &self.list.failure else { return false };
        let is_short = self.has_no_name() && error.is_retryable();
        let pause = if is_short {
            COOL_DOWN_WITHOUT_NAMES
        } else if kind.is_optional() && is_refused(error) {
            COOL_DOWN_WITHOUT_RIGHT
        } else {
            COOL_DOWN
        };
        is_within(*failed_at, pause, now)
    }

    /// Reports whether a list that failed once may be read again without a pause. This is allowed
    /// while there are no names at all, since all users would be served without them.
    fn may_retry_at_once(&self) -> bool {
        let Some(failure) = &self.list.failure else { return false };
        self.has_no_name() && self.list.consecutive_failures == 1 && failure.error.is_retryable()
    }

    fn has_no_name(&self) -> bool {
        !self.names.values().any(Option::is_some)
    }

    /// Adopts a complete list.
    ///
    /// An earlier name stays if the list leaves out the unit or its name, since an employment may
    /// still refer to the unit.
    fn adopt_list(&mut self, list: Vec<LookupEntry>, now: Duration) {
        let mut names = NamesById::clone(&self.names);
        let mut parents = ParentsById::clone(&self.parents);
        let mut named_count = 0;
        for LookupEntry { id, name, parent } in list {
            set_parent(&mut parents, &id, parent);
            if name.is_some() {
                named_count += 1;
                self.units.requested_at.remove(&id);
            }
            if name.is_some() || !names.contains_key(&id) {
                names.insert(id, name);
            }
        }
        self.names = Arc::new(names);
        self.parents = Arc::new(parents);
        self.list = ListState {
            read_at: Some(now),
            named_count,
            failure: None,
            consecutive_failures: 0,
            beta: self.list.beta,
        };
    }

    fn record_list_failure(&mut self, error: Error, now: Duration) {
        self.list.failure = Some(LookupFailure { failed_at: now, error });
        self.list.consecutive_failures += 1;
    }

    /// Returns the ids to request one by one, in a fixed order.
    fn units_to_request(&self, used_ids: &HashSet<String>, now: Duration) -> Vec<String> {
        let may_have_names = match &self.list.failure {
            None => self.list.read_at.is_some(),
            Some(LookupFailure { error, .. }) => is_not_found(error),
        };
        if !may_have_names || self.units.is_paused(now) {
            return Vec::new();
        }
        let mut ids = Vec::new();
        for id in used_ids {
            let has_name = matches!(self.names.get(id), Some(Some(_)));
            // The name of an unlisted unit comes from its last request, and expires after a day.
            let is_unlisted = !has_name || self.units.requested_at.contains_key(id);
            if is_unlisted && !self.units.was_requested(id, now) {
                ids.push(id.clone());
            }
        }
        ids.sort_unstable();
        ids
    }

    /// Adopts the response about one unit. An error ends the round: no further unit is requested.
    fn adopt_unit(
        &mut self,
        id: String,
        response: Result<LookupEntry, Error>,
        now: Duration,
    ) -> Result<(), Error> {
        let name = match response {
            Ok(unit) => {
                set_parent(Arc::make_mut(&mut self.parents), &id, unit.parent);
                unit.name
            }
            Err(Error::NotFound { .. }) => None,
            Err(error) => {
                // A missing route is a final outcome: another request would fail in the same way.
                if is_not_found(&error) {
                    self.units.requested_at.insert(id, now);
                }
                return Err(error);
            }
        };
        self.units.requested_at.insert(id.clone(), now);
        if name.is_some() || !self.names.contains_key(&id) {
            Arc::make_mut(&mut self.names).insert(id, name);
        }
        Ok(())
    }

    /// Marks ids that are missing from the list as nameless. This is for kinds whose units cannot
    /// be requested one by one. Without the right to read a list that is optional, all its units
    /// are nameless.
    fn mark_unlisted(&mut self, kind: LookupKind, used_ids: &HashSet<String>) {
        let is_final = match &self.list.failure {
            None => self.list.read_at.is_some(),
            Some(LookupFailure { error, .. }) => kind.is_optional() && is_refused(error),
        };
        if is_final && used_ids.iter().any(|id| !self.names.contains_key(id)) {
            let names = Arc::make_mut(&mut self.names);
            for id in used_ids {
                names.entry(id.clone()).or_default();
            }
        }
    }

    /// Restores the parents of `trusted` if they have changed, and makes the list due.
    fn restore_trusted_parents(&mut self, trusted: &Arc<ParentsById>) {
        if self.parents != *trusted {
            self.parents = Arc::clone(trusted);
            self.list.read_at = None;
        }
    }

    /// Restores the names of `trusted` that have changed, and makes the list due.
    fn restore_trusted(&mut self, trusted: &NamesById) {
        for (id, name) in trusted {
            if name.is_some() && self.names.get(id) != Some(name) {
                Arc::make_mut(&mut self.names).insert(id.clone(), name.clone());
                self.units.requested_at.remove(id);
                self.list.read_at = None;
            }
        }
    }

    /// Logs that names in use cannot be read: the first time as a warning, then for debugging.
    fn log_failure(&mut self, kind: LookupKind, used_ids: &HashSet<String>) {
        let failure = self.list.failure.as_ref().or(self.units.failure.as_ref());
        let Some(LookupFailure { error, .. }) = failure else {
            self.is_reported = false;
            return;
        };
        let lacking = used_ids.iter().filter(|id| self.lacks_name(kind, id)).count();
        if kind.is_optional() && is_refused(error) && !self.is_reported {
            tracing::info!(
                %kind,
                lacking,
                "names of {kind} cannot be read, and the right to read them is optional: {error}"
            );
        } else if self.is_reported || error.blocks_every_request() {
            tracing::debug!(%kind, lacking, "names of {kind} still cannot be read: {error}");
            return;
        } else {
            tracing::warn!(
                %kind,
                lacking,
                "names of {kind} cannot be read, so {lacking} units are served without a name: \
                 {error}"
            );
        }
        self.is_reported = true;
    }

    /// Reports whether a unit is served without a name that Personio may have.
    fn lacks_name(&self, kind: LookupKind, id: &str) -> bool {
        match self.names.get(id) {
            None => true,
            Some(name) => kind.is_optional() && name.is_none(),
        }
    }
}

impl UnitState {
    fn was_requested(&self, id: &str, now: Duration) -> bool {
        self.requested_at.get(id).is_some_and(|at| is_within(*at, NAME_LIFETIME, now))
    }

    fn is_paused(&self, now: Duration) -> bool {
        match &self.failure {
            Some(failure) => is_within(failure.failed_at, COOL_DOWN, now),
            None => false,
        }
    }
}

/// Sets the parent of a unit, or removes it.
fn set_parent(parents: &mut ParentsById, id: &str, parent: Option<String>) {
    match parent {
        Some(parent) => drop(parents.insert(id.to_owned(), parent)),
        None => drop(parents.remove(id)),
    }
}

/// Reports whether less than `span` has passed between `moment` and `now`.
fn is_within(moment: Duration, span: Duration, now: Duration) -> bool {
    now.saturating_sub(moment) < span
}

/// Reports whether Personio refused to return a list: the credential lacks the right, or the
/// company lacks the endpoint.
fn is_refused(error: &Error) -> bool {
    let lacks_right = matches!(
        error,
        Error::Unauthorized { .. } | Error::Forbidden { .. } | Error::Rejected { .. }
    );
    lacks_right || is_not_found(error)
}

/// Reports whether the response was a 404, of a unit or of a route.
fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. } | Error::UnknownRoute { .. })
}

impl PersonioClient {
    /// Restores `names` that an earlier run of this program has read, until they are read
    /// again. A look-up that is running keeps its own names.
    pub fn restore_names(&self, names: &LookupNames) {
        for (kind, lookup) in self.lookups.iter() {
            if let (Some(restored), Ok(mut lookup)) = (names.by_kind.get(&kind), lookup.try_lock())
            {
                lookup.names = Arc::clone(restored);
                if let Some(parents) = names.parents.get(&kind) {
                    lookup.parents = Arc::clone(parents);
                }
            }
        }
    }

    /// Restores the names of `trusted` that have changed since. The next load reads their lists
    /// again, since a wrong name would otherwise stay for a day. A look-up that is running is left
    /// alone.
    pub fn restore_trusted_names(&self, trusted: &LookupNames) {
        for (kind, lookup) in self.lookups.iter() {
            if let (Some(names), Ok(mut lookup)) = (trusted.by_kind.get(&kind), lookup.try_lock()) {
                lookup.restore_trusted(names);
                if let Some(parents) = trusted.parents.get(&kind) {
                    lookup.restore_trusted_parents(parents);
                }
            }
        }
    }

    /// Reads the lists whose names have expired, so that a load does not wait for them. Failures
    /// are not logged here: [`PersonioClient::look_up_names`] logs failures that affect names in
    /// use.
    pub async fn prefetch_names(&self) {
        let no_ids = HashSet::new();
        let mut updates = Vec::new();
        for (kind, lookup) in self.lookups.iter() {
            updates.push(self.prefetch_list(kind, lookup, &no_ids));
        }
        join_all(updates).await;
    }

    async fn prefetch_list(
        &self,
        kind: LookupKind,
        lookup: &Mutex<CachedLookup>,
        no_ids: &HashSet<String>,
    ) {
        self.update_list(kind, &mut *lookup.lock().await, no_ids).await;
    }

    /// Returns the names of all kinds. A kind with ids in `used_ids` is read first if its names have
    /// expired or do not include one of them. Concurrent callers share one request.
    pub async fn look_up_names(
        &self,
        used_ids: &HashMap<LookupKind, HashSet<String>>,
    ) -> LookupNames {
        let mut updates = Vec::new();
        for (kind, lookup) in self.lookups.iter() {
            updates.push(self.updated_names(kind, lookup, used_ids.get(&kind)));
        }
        let mut names = LookupNames::default();
        for NamesOfKind { kind, by_id, parents } in join_all(updates).await {
            names.by_kind.insert(kind, by_id);
            if kind.org_unit_type().is_some() {
                names.parents.insert(kind, parents);
            }
        }
        names
    }

    /// Updates the names of one kind if ids are wanted, and returns them.
    async fn updated_names(
        &self,
        kind: LookupKind,
        lookup: &Mutex<CachedLookup>,
        used_ids: Option<&HashSet<String>>,
    ) -> NamesOfKind {
        let mut lookup = lookup.lock().await;
        if let Some(ids) = used_ids {
            self.update(kind, &mut lookup, ids).await;
        }
        let (by_id, parents) = (Arc::clone(&lookup.names), Arc::clone(&lookup.parents));
        NamesOfKind { kind, by_id, parents }
    }

    /// Returns the outcome of each look-up so far.
    pub async fn lookup_reports(&self) -> Vec<LookupReport> {
        let mut look_ups = Vec::new();
        for (kind, lookup) in self.lookups.iter() {
            let CachedLookup { list, units, .. } = &*lookup.lock().await;
            let list_result = match &list.failure {
                None => Ok(list.named_count),
                Some(LookupFailure { error, .. }) => Err(error.clone()),
            };
            let failure = units.failure.as_ref().map(|failure| failure.error.clone());
            look_ups.push(LookupReport {
                kind,
                list_result,
                units_requested: units.requested_at.len(),
                failure,
            });
        }
        look_ups
    }

    async fn update(
        &self,
        kind: LookupKind,
        lookup: &mut CachedLookup,
        used_ids: &HashSet<String>,
    ) {
        self.update_list(kind, lookup, used_ids).await;
        match kind.org_unit_type() {
            Some(_) => self.update_units(kind, lookup, used_ids).await,
            None => lookup.mark_unlisted(kind, used_ids),
        }
        lookup.log_failure(kind, used_ids);
    }

    /// Reads the list if it is due. While no name is known, all retries are used, since users would
    /// be served without names.
    async fn update_list(
        &self,
        kind: LookupKind,
        lookup: &mut CachedLookup,
        used_ids: &HashSet<String>,
    ) {
        let now = self.lookups.clock.monotonic();
        if !lookup.is_list_due(kind, used_ids, now) {
            return;
        }
        if !lookup.is_list_paused(kind, now) {
            lookup.list.consecutive_failures = 0;
        }
        let retry = if lookup.has_no_name() { self.settings.retry } else { self.one_retry() };
        match self.read_list(kind, &mut lookup.list.beta, retry, now).await {
            Ok(list) => lookup.adopt_list(list, now),
            // Without a token, the list itself was not requested. It stays due.
            Err(error) if error.endpoint() == Endpoint::Token => {}
            Err(error) => lookup.record_list_failure(error, now),
        }
    }

    /// Reads the list. After a 404 it is requested with the header `Beta: true`, once a day.
    async fn read_list(
        &self,
        kind: LookupKind,
        beta: &mut BetaHeader,
        retry: RetryPolicy,
        now: Duration,
    ) -> Result<Vec<LookupEntry>, Error> {
        let list = self.lookup_list(kind, *beta == BetaHeader::Needed, retry).await;
        let may_try_beta = match *beta {
            BetaHeader::Untried => true,
            BetaHeader::Needed => false,
            BetaHeader::Useless { tried_at } => !is_within(tried_at, NAME_LIFETIME, now),
        };
        if !may_try_beta || !list.as_ref().is_err_and(is_not_found) {
            return list;
        }
        let list = self.lookup_list(kind, true, retry).await;
        *beta = match &list {
            Ok(_) => BetaHeader::Needed,
            Err(error) if is_not_found(error) => BetaHeader::Useless { tried_at: now },
            Err(_) => BetaHeader::Untried,
        };
        list
    }

    /// Requests the units that are in use and have no name, one by one.
    async fn update_units(
        &self,
        kind: LookupKind,
        lookup: &mut CachedLookup,
        used_ids: &HashSet<String>,
    ) {
        let now = self.lookups.clock.monotonic();
        let ids = lookup.units_to_request(used_ids, now);
        if ids.is_empty() {
            return;
        }
        let is_beta = lookup.list.beta == BetaHeader::Needed;
        lookup.units.failure = None;
        let requests = stream::iter(ids).map(|id| async move {
            let response = self.unit(kind, &id, is_beta).await;
            (id, response)
        });
        let mut responses = requests.buffered(self.max_concurrency());
        while let Some((id, response)) = responses.next().await {
            if let Err(error) = lookup.adopt_unit(id, response, now) {
                lookup.units.failure = Some(LookupFailure { failed_at: now, error });
                return;
            }
        }
    }

    /// Reads one unit. After a 404 it is requested once more, with the header `Beta: true`.
    async fn unit(&self, kind: LookupKind, id: &str, is_beta: bool) -> Result<LookupEntry, Error> {
        match self.org_unit(kind, id, is_beta).await {
            Err(error) if is_not_found(&error) && !is_beta => self.org_unit(kind, id, true).await,
            response => response,
        }
    }

    fn one_retry(&self) -> RetryPolicy {
        RetryPolicy { max_retries: self.settings.retry.max_retries.min(1), ..self.settings.retry }
    }
}
