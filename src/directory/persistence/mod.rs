//! Persistence: the current snapshot is kept in the state file, so that a restart serves it at
//! once. The file is written after each load and read once.

pub(crate) mod encryption;
pub mod state_file;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::directory::persistence::state_file::StateFile;
use crate::directory::scopes::{ScopeStamps, ScopedSnapshot};
use crate::directory::snapshot::{PreviousState, Snapshot};
use crate::directory::store::Store;
use crate::directory::{InvalidState, LoadedDirectory, SourceError, SyncState};
use crate::scim::{Digest, VersionStamps};

/// Version of the encoded content.
const CONTENT_VERSION: u8 = 4;
/// Earlier version, which has no scopes.
const VERSION_WITHOUT_SCOPES: u8 = 3;
/// Largest difference by which a state file may be newer than the system clock. A file from further
/// in the future has no known age.
const MAX_CLOCK_DIFFERENCE: SignedDuration = SignedDuration::from_mins(5);

/// State to write.
#[derive(Clone)]
pub(super) struct PendingState {
    snapshot: Arc<Snapshot>,
    sync_state: Arc<dyn SyncState>,
    /// Start of its load.
    loaded: Timestamp,
    /// Time of publication.
    published: Timestamp,
    /// Window of losses of the mass-change guard at that time.
    window: Vec<u8>,
}

impl PendingState {
    /// Creates the state of a snapshot that is published now. `window` is the encoded window of
    /// losses of the mass-change guard.
    pub(super) fn new(
        snapshot: Arc<Snapshot>,
        sync_state: Arc<dyn SyncState>,
        window: Vec<u8>,
        clock: &dyn Clock,
    ) -> Self {
        let published = clock.now();
        let loaded = published
            .saturating_sub(snapshot.age(clock.monotonic()))
            .unwrap_or(Timestamp::UNIX_EPOCH);
        Self { snapshot, sync_state, loaded, published, window }
    }

    /// Encodes the state: version, times in milliseconds, the guard's window and the stamps of
    /// users and groups, each with its length, the stamps of what each scope shows, then the sync
    /// state.
    fn to_bytes(&self) -> Result<Vec<u8>, SourceError> {
        let mut bytes = vec![CONTENT_VERSION];
        for moment in [self.loaded, self.published] {
            bytes.extend_from_slice(&moment.as_millisecond().to_be_bytes());
        }
        bytes.extend_from_slice(&(self.window.len() as u64).to_be_bytes());
        bytes.extend_from_slice(&self.window);
        for resources in [self.snapshot.users(), self.snapshot.groups()] {
            append_stamps(&mut bytes, &VersionStamps::of(resources));
        }
        let scoped = self.snapshot.scoped().all();
        bytes.extend_from_slice(&(scoped.len() as u64).to_be_bytes());
        for ScopedSnapshot { scope, snapshot } in scoped {
            bytes.extend_from_slice(&scope);
            // A shared resource has the stamp of the full snapshot.
            for (resources, full) in [
                (snapshot.users(), self.snapshot.users()),
                (snapshot.groups(), self.snapshot.groups()),
            ] {
                append_stamps(&mut bytes, &VersionStamps::of_other_than(resources, full));
            }
        }
        bytes.append(&mut self.sync_state.to_bytes()?);
        Ok(bytes)
    }
}

fn append_stamps(bytes: &mut Vec<u8>, stamps: &VersionStamps) {
    let stamps = stamps.to_json();
    bytes.extend_from_slice(&(stamps.len() as u64).to_be_bytes());
    bytes.extend_from_slice(&stamps);
}

/// Decoded content of a state file.
pub(super) struct DecodedState<'b> {
    /// Start of the load.
    loaded: Timestamp,
    /// Time of publication.
    published: Timestamp,
    pub(super) window: &'b [u8],
    users: VersionStamps,
    groups: VersionStamps,
    /// Stamps of what scopes showed.
    pub(super) scopes: HashMap<Digest, ScopeStamps>,
    pub(super) sync_state: &'b [u8],
}

impl<'b> DecodedState<'b> {
    /// Decodes the content of a state file.
    pub(super) fn from_bytes(bytes: &'b [u8]) -> Result<Self, InvalidState> {
        Self::decode(bytes).ok_or_else(other_version)
    }

    fn decode(bytes: &'b [u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (loaded, rest) = split_time(rest)?;
        let (published, rest) = split_time(rest)?;
        let (window, rest) = split_part(rest)?;
        let (users, rest) = split_part(rest)?;
        let (groups, rest) = split_part(rest)?;
        let users = VersionStamps::from_json(users)?;
        let groups = VersionStamps::from_json(groups)?;
        let (scopes, sync_state) = match *version {
            CONTENT_VERSION => split_scopes(rest)?,
            VERSION_WITHOUT_SCOPES => (HashMap::new(), rest),
            _ => return None,
        };
        Some(Self { loaded, published, window, users, groups, scopes, sync_state })
    }

    /// Returns the time since publication.
    pub(super) fn elapsed(&self, clock: &dyn Clock) -> SignedDuration {
        clock.now().duration_since(self.published)
    }

    /// Creates the snapshot that was current when the file was written. `restored` are its users
    /// and groups.
    pub(super) fn snapshot(
        &self,
        restored: LoadedDirectory,
        clock: &dyn Clock,
    ) -> Result<Snapshot, InvalidState> {
        let mut age = clock.now().duration_since(self.loaded);
        if age < -MAX_CLOCK_DIFFERENCE {
            tracing::warn!(
                "the state file is dated {} s in the future, so its age is unknown and it is not \
                 served; check the system clock",
                age.as_secs().unsigned_abs()
            );
            age = SignedDuration::MAX / 2;
        }
        let started = SignedDuration::try_from(clock.monotonic()).unwrap_or_default() - age;
        let earlier = PreviousState::Stamped { users: &self.users, groups: &self.groups };
        match Snapshot::new(restored, earlier, started, clock) {
            Ok(snapshot) => Ok(snapshot),
            Err(error) => {
                Err(InvalidState::new(format!("holds users that cannot be encoded ({error})")))
            }
        }
    }
}

/// Splits off a time in milliseconds.
fn split_time(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (moment, rest) = bytes.split_first_chunk()?;
    Some((Timestamp::from_millisecond(i64::from_be_bytes(*moment)).ok()?, rest))
}

/// Splits off a part that follows its length.
fn split_part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)
}

/// Splits off the stamps of what scopes showed.
fn split_scopes(bytes: &[u8]) -> Option<(HashMap<Digest, ScopeStamps>, &[u8])> {
    let (count, mut rest) = bytes.split_first_chunk()?;
    let mut scopes = HashMap::new();
    for _ in 0..u64::from_be_bytes(*count) {
        let (scope, after_scope) = rest.split_first_chunk()?;
        let (users, after_users) = split_part(after_scope)?;
        let (groups, after_groups) = split_part(after_users)?;
        let stamps = ScopeStamps {
            users: VersionStamps::from_json(users)?,
            groups: VersionStamps::from_json(groups)?,
        };
        scopes.insert(*scope, stamps);
        rest = after_groups;
    }
    Some((scopes, rest))
}

/// Returns the error for content that this version cannot decode.
pub(super) fn other_version() -> InvalidState {
    InvalidState::new("was written by another version of this program")
}

/// State file, and the state to write next.
pub(super) struct Persistence {
    file: Arc<StateFile>,
    /// Newest state to write. A newer one replaces it.
    pending: watch::Sender<Option<PendingState>>,
    outcomes: Arc<WriteOutcomes>,
}

/// State of persistence, as health reports it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum WriteStatus {
    /// Nothing had to be written since the start.
    #[default]
    Unwritten,
    /// The last write succeeded.
    Written,
    /// The last write failed.
    Failed {
        /// Reason of the failure.
        reason: String,
        /// Time since the first failure in a row.
        since: Duration,
    },
}

impl Persistence {
    /// Creates the persistence in `file`, and starts the task that writes to it.
    pub(super) fn new(file: StateFile, store: Arc<Store>, runtime: &Handle) -> Self {
        let file = Arc::new(file);
        let (pending, next) = watch::channel(None);
        let outcomes = Arc::new(WriteOutcomes { last: ArcSwap::default(), store });
        runtime.spawn(write_pending_states(Arc::clone(&file), next, Arc::clone(&outcomes)));
        Self { file, pending, outcomes }
    }

    /// Reads the content of the file, if it is there.
    pub(super) fn read(&self) -> Option<Vec<u8>> {
        self.file.read()
    }

    /// Renames the file, because its content is not used.
    pub(super) fn set_aside(&self, reason: &InvalidState) {
        self.file.set_aside(&reason.to_string());
    }

    /// Schedules a write of the state. It replaces a state that still waits to be written.
    pub(super) fn schedule_write(&self, state: PendingState) {
        self.pending.send_replace(Some(state));
    }

    /// Returns the state of persistence.
    pub(super) fn write_status(&self) -> WriteStatus {
        let now = self.outcomes.store.clock.monotonic();
        match WriteStatus::clone(&self.outcomes.last.load()) {
            WriteStatus::Failed { reason, since } => {
                WriteStatus::Failed { reason, since: now.saturating_sub(since) }
            }
            status @ (WriteStatus::Unwritten | WriteStatus::Written) => status,
        }
    }
}

/// Outcomes of writes.
struct WriteOutcomes {
    /// Outcome of the last write. `since` is a time on the monotonic clock.
    last: ArcSwap<WriteStatus>,
    store: Arc<Store>,
}

impl WriteOutcomes {
    /// Counts and stores the outcome of a write. The first failure in a row is logged.
    fn record(&self, outcome: Result<(), String>) {
        self.store.metrics.state_writes.count(outcome.is_ok());
        let failed_since = match &**self.last.load() {
            WriteStatus::Failed { since, .. } => Some(*since),
            WriteStatus::Unwritten | WriteStatus::Written => None,
        };
        let status = match outcome {
            Ok(()) => WriteStatus::Written,
            Err(reason) => {
                if failed_since.is_none() {
                    tracing::error!("a restart would begin with older data or none: {reason}");
                }
                let since = failed_since.unwrap_or_else(|| self.store.clock.monotonic());
                WriteStatus::Failed { reason, since }
            }
        };
        self.last.store(Arc::new(status));
    }
}

/// Writes the newest state, one write after the other, until the directory is dropped.
async fn write_pending_states(
    file: Arc<StateFile>,
    mut next: watch::Receiver<Option<PendingState>>,
    outcomes: Arc<WriteOutcomes>,
) {
    while next.changed().await.is_ok() {
        let Some(state) = next.borrow_and_update().clone() else { continue };
        let file = Arc::clone(&file);
        let write = tokio::task::spawn_blocking(move || write_state(&file, &state));
        match write.await {
            Ok(Ok(())) => outcomes.record(Ok(())),
            // Another server is writing its own state.
            Ok(Err(WriteError::File(state_file::Error::Busy { .. }))) => {}
            Ok(Err(error)) => outcomes.record(Err(error.to_string())),
            Err(_) => outcomes.record(Err("internal error of this program".to_owned())),
        }
    }
}

/// Reason why a state could not be written.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    State(#[from] SourceError),
    #[error(transparent)]
    File(#[from] state_file::Error),
}

fn write_state(file: &StateFile, state: &PendingState) -> Result<(), WriteError> {
    Ok(file.write(state.to_bytes()?)?)
}
