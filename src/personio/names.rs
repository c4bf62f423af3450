//! The names of departments, teams, legal entities, workplaces and cost centres: employments hold
//! only their ids. Names are read rarely, kept for a day, and an ornament: where they cannot be
//! read there are none, and where they could once be read, the old ones stay.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{Client, Error};
use crate::clock::Clock;

/// How long names are good.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// How long nothing is asked after a failure.
const PAUSE: Duration = Duration::from_secs(60);

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

/// What is known of one kind.
#[derive(Debug, Default)]
struct Entry {
    known: Arc<Known>,
    read: Option<Duration>,
    failed: Option<Duration>,
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

    /// The names of the `wanted` ids and of all others of their kinds. A kind is asked for when its
    /// names are old, or when a wanted id is not among them; callers at the same time share it.
    pub async fn names(&self, wanted: &HashMap<Kind, HashSet<String>>) -> Names {
        let by_kind =
            futures_util::future::join_all(Kind::ALL.into_iter().zip(&self.names.entries).map(|(kind, entry)| {
                let wanted = wanted.get(&kind);
                async move {
                    let mut entry = entry.lock().await;
                    if let Some(ids) = wanted {
                        self.refresh(kind, &mut entry, ids).await;
                    }
                    (kind, Arc::clone(&entry.known))
                }
            }));
        Names { by_kind: by_kind.await.into_iter().collect() }
    }

    async fn refresh(&self, kind: Kind, entry: &mut Entry, wanted: &HashSet<String>) {
        let now = self.names.clock.monotonic();
        let within = |moment: Option<Duration>, span| moment.is_some_and(|moment| now.saturating_sub(moment) < span);
        let complete = wanted.iter().all(|id| entry.known.contains_key(id));
        if (complete && within(entry.read, LIFETIME)) || within(entry.failed, PAUSE) {
            return;
        }
        match self.named(kind).await {
            Ok(named) => {
                let mut known: Known = wanted.iter().map(|id| (id.clone(), None)).collect();
                // A name is not forgotten because a list leaves it or its name out: somebody may still refer to it.
                known.extend(entry.known.iter().map(|(id, name)| (id.clone(), name.clone())));
                for named in named {
                    if named.name.is_some() || !known.contains_key(&named.id) {
                        known.insert(named.id, named.name);
                    }
                }
                *entry = Entry { known: Arc::new(known), read: Some(now), failed: None };
            }
            Err(error) => {
                report(kind, &error, entry.failed.is_none());
                entry.failed = Some(now);
            }
        }
    }
}

/// Tells of a look-up that failed, the first time as a warning.
fn report(kind: Kind, error: &Error, first: bool) {
    if first {
        tracing::warn!(?kind, "these names cannot be read and are left out: {error}");
    } else {
        tracing::debug!(?kind, "these names still cannot be read: {error}");
    }
}
