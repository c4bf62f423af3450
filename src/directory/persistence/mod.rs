//! What is served, kept in a file, so that a restart serves it at once. Written after each load; read once.

pub(crate) mod encryption;
pub mod state_file;

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::directory::guard::Guard;
use crate::directory::persistence::state_file::StateFile;
use crate::directory::snapshot::{Earlier, Snapshot};
use crate::directory::{Directory, Inner, Memory, SourceError};
use crate::scim::Stamps;

/// The version of the content of the file.
const VERSION: u8 = 3;
/// A file from further in the future than this was not written by a clock that can be believed.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(5);

/// What is written.
#[derive(Debug, Clone)]
pub(super) struct Keepsake {
    snapshot: Arc<Snapshot>,
    memory: Option<Arc<dyn Memory>>,
    /// When the load of it began.
    loaded: Timestamp,
    /// When it came to be served.
    published: Timestamp,
    /// What the guard counts from before, as of then.
    window: Vec<u8>,
}

impl Keepsake {
    pub(super) fn new(
        snapshot: Arc<Snapshot>,
        memory: Option<Arc<dyn Memory>>,
        guard: &Guard,
        clock: &dyn Clock,
    ) -> Self {
        let published = clock.now();
        let loaded = published.saturating_sub(snapshot.age(clock.monotonic())).unwrap_or(Timestamp::UNIX_EPOCH);
        let window = guard.window_bytes(clock.monotonic()).unwrap_or_else(|error| {
            tracing::error!("what was lost within the last hours cannot be written: {error}");
            Vec::new()
        });
        Self { snapshot, memory, loaded, published, window }
    }

    /// The version, the moments in milliseconds, the window of the guard and the stamps of users and groups with their
    /// lengths, the memory.
    fn to_bytes(&self) -> Result<Option<Vec<u8>>, SourceError> {
        let Some(memory) = &self.memory else { return Ok(None) };
        let mut bytes = vec![VERSION];
        for moment in [self.loaded, self.published] {
            bytes.extend_from_slice(&moment.as_millisecond().to_be_bytes());
        }
        bytes.extend_from_slice(&(self.window.len() as u64).to_be_bytes());
        bytes.extend_from_slice(&self.window);
        for resources in [self.snapshot.users(), self.snapshot.groups()] {
            let stamps = Stamps::of(resources).to_json();
            bytes.extend_from_slice(&(stamps.len() as u64).to_be_bytes());
            bytes.extend_from_slice(&stamps);
        }
        bytes.append(&mut memory.to_bytes()?);
        Ok(Some(bytes))
    }
}

/// A file as it was read.
struct Kept<'b> {
    loaded: Timestamp,
    published: Timestamp,
    window: &'b [u8],
    users: Stamps,
    groups: Stamps,
    memory: &'b [u8],
}

impl<'b> Kept<'b> {
    fn from_bytes(bytes: &'b [u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (loaded, rest) = moment(rest)?;
        let (published, rest) = moment(rest)?;
        let (window, rest) = part(rest)?;
        let (users, rest) = part(rest)?;
        let (groups, memory) = part(rest)?;
        let (users, groups) = (Stamps::from_json(users)?, Stamps::from_json(groups)?);
        (*version == VERSION).then_some(Self { loaded, published, window, users, groups, memory })
    }
}

fn moment(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (moment, rest) = bytes.split_first_chunk()?;
    Some((Timestamp::from_millisecond(i64::from_be_bytes(*moment)).ok()?, rest))
}

/// Splits off a part that follows its length.
fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)
}

/// The file, and what is to be written into it next.
pub(super) struct State {
    file: Arc<StateFile>,
    next: watch::Sender<Option<Keepsake>>,
    /// What came of the last attempt; `since` is a moment of the clock.
    keeping: ArcSwap<Keeping>,
}

/// What came of keeping what is served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Keeping {
    /// Nothing was to be written since the start.
    #[default]
    Unwritten,
    /// The file is as new as what is served.
    Written,
    /// The file could not be written.
    Failed {
        /// Why.
        reason: String,
        /// For how long.
        since: Duration,
    },
}

impl State {
    pub(super) fn new(file: StateFile) -> Self {
        Self { file: Arc::new(file), next: watch::Sender::new(None), keeping: ArcSwap::default() }
    }
}

impl Directory {
    /// Serves what the state file holds, if there is one, and writes into it from now on. What is too old is
    /// not served, but whatever is loaded is compared with it.
    pub fn recall(&self) {
        let Some(state) = &self.0.state else { return };
        if let Some(content) = state.file.read() {
            match self.recalled(&content) {
                Ok(snapshot) => {
                    let age = snapshot.age(self.0.clock.monotonic());
                    let users = snapshot.users().all().len();
                    tracing::info!(users, age = age.as_secs(), "the state file holds {users} users");
                    self.0.last_good.store(Some(snapshot));
                }
                Err(reason) => state.file.set_aside(&reason.to_string()),
            }
        }
        self.0.runtime.spawn(write(Arc::downgrade(&self.0), Arc::clone(&state.file), state.next.subscribe()));
    }

    fn recalled(&self, content: &[u8]) -> Result<Arc<Snapshot>, SourceError> {
        let unknown = || SourceError::new("was written by another version of this program".to_owned());
        let kept = Kept::from_bytes(content).ok_or_else(unknown)?;
        let Kept { loaded, published, window, users, groups, memory } = kept;
        let recalled = self.0.source.recall(memory)?;
        *self.0.memory.lock().unwrap_or_else(PoisonError::into_inner) = recalled.memory.clone();
        let clock = &*self.0.clock;
        let elapsed = clock.now().duration_since(published);
        self.0.guard.recall(&recalled, window, clock.monotonic(), elapsed).ok_or_else(unknown)?;
        let mut age = clock.now().duration_since(loaded);
        if age < -CLOCKS_DIFFER {
            tracing::warn!("the state file is from the future; it is not served, since its age is not known");
            age = SignedDuration::MAX / 2;
        }
        let started = SignedDuration::try_from(clock.monotonic()).unwrap_or_default() - age;
        let earlier = Earlier::Stamped { users: &users, groups: &groups };
        Snapshot::new(recalled, earlier, started, clock).map(Arc::new)
    }

    /// How keeping what is served goes; nothing where there is no state file.
    #[must_use]
    pub fn keeping(&self) -> Option<Keeping> {
        let keeping = Keeping::clone(&self.0.state.as_ref()?.keeping.load());
        let now = self.0.clock.monotonic();
        Some(match keeping {
            Keeping::Failed { reason, since } => Keeping::Failed { reason, since: now.saturating_sub(since) },
            keeping @ (Keeping::Unwritten | Keeping::Written) => keeping,
        })
    }

    /// Has this written in a while; what waits to be written is not needed any more.
    pub(super) fn write_down(&self, keepsake: Keepsake) {
        if let Some(state) = &self.0.state {
            state.next.send_replace(Some(keepsake));
        }
    }
}

impl Inner {
    /// The state file was to be written.
    fn state_ended(&self, written: &Result<(), String>) {
        self.counters.state_ended(written);
        if let Some(state) = &self.state {
            let since = match &**state.keeping.load() {
                Keeping::Failed { since, .. } => *since,
                Keeping::Unwritten | Keeping::Written => self.clock.monotonic(),
            };
            let failed = |reason| Keeping::Failed { reason, since };
            state.keeping.store(Arc::new(written.clone().map_or_else(failed, |()| Keeping::Written)));
        }
    }
}

/// Writes the newest there is, one after the other, until the directory is gone.
async fn write(directory: Weak<Inner>, file: Arc<StateFile>, mut next: watch::Receiver<Option<Keepsake>>) {
    let mut has_failed = false;
    while next.changed().await.is_ok() {
        let Some(keepsake) = next.borrow_and_update().clone() else { continue };
        let file = Arc::clone(&file);
        let written = tokio::task::spawn_blocking(move || put(&file, &keepsake)).await;
        let written = written.unwrap_or_else(|_| Err("that is a fault of this program".to_owned()));
        let ended = match &written {
            Ok(true) => Some(Ok(())),
            Ok(false) => None,
            Err(reason) => Some(Err(reason.clone())),
        };
        if let (Some(directory), Some(ended)) = (directory.upgrade(), ended) {
            directory.state_ended(&ended);
        }
        if let Some(reason) = written.as_ref().err().filter(|_| !has_failed) {
            tracing::error!("the state file cannot be written, so a restart begins with older data or none: {reason}");
        }
        has_failed = written.is_err();
    }
}

/// Whether it was written: there may be nothing to write.
fn put(file: &StateFile, keepsake: &Keepsake) -> Result<bool, String> {
    let Some(bytes) = keepsake.to_bytes().map_err(|error| error.to_string())? else { return Ok(false) };
    match file.write(bytes) {
        Ok(()) => Ok(true),
        // Another server does it.
        Err(state_file::Error::Busy { .. }) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}
