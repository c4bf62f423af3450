//! Persistence: the current snapshot is kept in the state file, so that a restart serves it at
//! once. The file is written after each load and read once.

pub(crate) mod encryption;
pub mod state_file;

use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::directory::guard::MassChangeGuard;
use crate::directory::persistence::state_file::StateFile;
use crate::directory::snapshot::{PreviousState, Snapshot};
use crate::directory::{Directory, DirectoryInner, InvalidState, SourceError, SyncState, lock};
use crate::scim::VersionStamps;

/// Version of the encoded content.
const CONTENT_VERSION: u8 = 3;
/// Largest difference by which a state file may be newer than the system clock. A file from further
/// in the future has no known age.
const MAX_CLOCK_DIFFERENCE: SignedDuration = SignedDuration::from_mins(5);

/// State to write.
#[derive(Debug, Clone)]
pub(super) struct PendingState {
    snapshot: Arc<Snapshot>,
    sync_state: Option<Arc<dyn SyncState>>,
    /// Start of its load.
    loaded: Timestamp,
    /// Time of publication.
    published: Timestamp,
    /// Window of losses of the mass-change guard at that time.
    window: Vec<u8>,
}

impl PendingState {
    pub(super) fn new(
        snapshot: Arc<Snapshot>,
        sync_state: Option<Arc<dyn SyncState>>,
        guard: &MassChangeGuard,
        clock: &dyn Clock,
    ) -> Self {
        let published = clock.now();
        let loaded = published
            .saturating_sub(snapshot.age(clock.monotonic()))
            .unwrap_or(Timestamp::UNIX_EPOCH);
        let window = match guard.window_bytes(clock.monotonic()) {
            Ok(window) => window,
            Err(error) => {
                tracing::error!(
                    "internal error: the mass-change guard's window of losses cannot be encoded; \
                     after a restart all persons are read again: {error}"
                );
                Vec::new()
            }
        };
        Self { snapshot, sync_state, loaded, published, window }
    }

    /// Encodes the state: version, times in milliseconds, the guard's window and the stamps of
    /// users and groups, each with its length, then the sync state. Returns `None` without a sync
    /// state.
    fn to_bytes(&self) -> Result<Option<Vec<u8>>, SourceError> {
        let Some(sync_state) = &self.sync_state else { return Ok(None) };
        let mut bytes = vec![CONTENT_VERSION];
        for moment in [self.loaded, self.published] {
            bytes.extend_from_slice(&moment.as_millisecond().to_be_bytes());
        }
        bytes.extend_from_slice(&(self.window.len() as u64).to_be_bytes());
        bytes.extend_from_slice(&self.window);
        for resources in [self.snapshot.users(), self.snapshot.groups()] {
            let stamps = VersionStamps::of(resources).to_json();
            bytes.extend_from_slice(&(stamps.len() as u64).to_be_bytes());
            bytes.extend_from_slice(&stamps);
        }
        bytes.append(&mut sync_state.to_bytes()?);
        Ok(Some(bytes))
    }
}

/// Decoded content of a state file.
struct DecodedState<'b> {
    loaded: Timestamp,
    published: Timestamp,
    window: &'b [u8],
    users: VersionStamps,
    groups: VersionStamps,
    sync_state: &'b [u8],
}

impl<'b> DecodedState<'b> {
    fn from_bytes(bytes: &'b [u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (loaded, rest) = split_time(rest)?;
        let (published, rest) = split_time(rest)?;
        let (window, rest) = split_part(rest)?;
        let (users, rest) = split_part(rest)?;
        let (groups, sync_state) = split_part(rest)?;
        let users = VersionStamps::from_json(users)?;
        let groups = VersionStamps::from_json(groups)?;
        if *version != CONTENT_VERSION {
            return None;
        }
        Some(Self { loaded, published, window, users, groups, sync_state })
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

/// Returns the error for content that this version cannot decode.
fn other_version() -> InvalidState {
    InvalidState::new("was written by another version of this program")
}

/// State file, and the state to write next.
pub(super) struct Persistence {
    file: Arc<StateFile>,
    /// Newest state to write. A newer one replaces it.
    pending: watch::Sender<Option<PendingState>>,
    /// Outcome of the last write. `since` is a time on the monotonic clock.
    last_write: ArcSwap<WriteStatus>,
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
    pub(super) fn new(file: StateFile) -> Self {
        Self {
            file: Arc::new(file),
            pending: watch::Sender::new(None),
            last_write: ArcSwap::default(),
        }
    }
}

impl Directory {
    /// Restores the snapshot from the state file, if there is one, and starts the task that writes
    /// later snapshots to it. A restored snapshot that is too old is not served, but the
    /// mass-change guard compares the first load with it.
    pub fn restore(&self) {
        let Some(persistence) = &self.0.persistence else { return };
        if let Some(content) = persistence.file.read() {
            match self.adopt_restored_state(&content) {
                Ok(snapshot) => {
                    self.log_restored(&snapshot);
                    self.0.current.store(Some(snapshot));
                }
                Err(reason) => persistence.file.set_aside(&reason.to_string()),
            }
        }
        self.0.runtime.spawn(write_pending_states(
            Arc::downgrade(&self.0),
            Arc::clone(&persistence.file),
            persistence.pending.subscribe(),
        ));
    }

    fn log_restored(&self, snapshot: &Snapshot) {
        let users = snapshot.users().all().len();
        let age = snapshot.age(self.0.clock.monotonic());
        let effect = if age <= self.0.freshness.max_stale {
            "they are served until a load succeeds"
        } else {
            "they are older than --max-stale and are not served; the mass-change guard compares \
             the first load with them"
        };
        let age = age.as_secs();
        tracing::info!(
            users,
            age,
            "restored {users} users from the state file, as they were {age} s ago; {effect}"
        );
    }

    /// Decodes the content of a state file, and sets the sync state and the guard to it. Returns
    /// the snapshot.
    fn adopt_restored_state(&self, content: &[u8]) -> Result<Arc<Snapshot>, InvalidState> {
        let decoded = DecodedState::from_bytes(content).ok_or_else(other_version)?;
        let DecodedState { loaded, published, window, users, groups, sync_state } = decoded;
        let restored = self.0.source.decode_state(sync_state)?;
        *lock(&self.0.sync_state) = restored.sync_state.clone();
        let clock = &*self.0.clock;
        let elapsed = clock.now().duration_since(published);
        let guard = &self.0.guard;
        guard.restore(&restored, window, clock.monotonic(), elapsed).ok_or_else(other_version)?;
        let mut age = clock.now().duration_since(loaded);
        if age < -MAX_CLOCK_DIFFERENCE {
            tracing::warn!(
                "the state file is dated {} s in the future, so its age is unknown and it is not \
                 served; check the system clock",
                age.as_secs().unsigned_abs()
            );
            age = SignedDuration::MAX / 2;
        }
        let started = SignedDuration::try_from(clock.monotonic()).unwrap_or_default() - age;
        let earlier = PreviousState::Stamped { users: &users, groups: &groups };
        match Snapshot::new(restored, earlier, started, clock) {
            Ok(snapshot) => Ok(Arc::new(snapshot)),
            Err(error) => {
                let reason = format!("holds users that cannot be encoded ({error})");
                Err(InvalidState::new(reason))
            }
        }
    }

    /// Returns the state of persistence, or `None` if no state file is configured.
    #[must_use]
    pub fn state_write_status(&self) -> Option<WriteStatus> {
        let write_status = WriteStatus::clone(&self.0.persistence.as_ref()?.last_write.load());
        let now = self.0.clock.monotonic();
        Some(match write_status {
            WriteStatus::Failed { reason, since } => {
                WriteStatus::Failed { reason, since: now.saturating_sub(since) }
            }
            write_status @ (WriteStatus::Unwritten | WriteStatus::Written) => write_status,
        })
    }

    /// Schedules a write of the state. It replaces a state that still waits to be written.
    pub(super) fn schedule_write(&self, pending_state: PendingState) {
        if let Some(persistence) = &self.0.persistence {
            persistence.pending.send_replace(Some(pending_state));
        }
    }
}

impl DirectoryInner {
    /// Counts a write and stores its outcome.
    fn record_write(&self, written: &Result<(), String>) {
        self.metrics.state_writes.count(written.is_ok());
        if let Some(persistence) = &self.persistence {
            let since = match &**persistence.last_write.load() {
                WriteStatus::Failed { since, .. } => *since,
                WriteStatus::Unwritten | WriteStatus::Written => self.clock.monotonic(),
            };
            let write_status = match written {
                Ok(()) => WriteStatus::Written,
                Err(reason) => WriteStatus::Failed { reason: reason.clone(), since },
            };
            persistence.last_write.store(Arc::new(write_status));
        }
    }
}

/// Writes the newest state, one write after the other, until the directory is dropped.
async fn write_pending_states(
    directory: Weak<DirectoryInner>,
    file: Arc<StateFile>,
    mut next: watch::Receiver<Option<PendingState>>,
) {
    let mut has_failed = false;
    while next.changed().await.is_ok() {
        let Some(pending_state) = next.borrow_and_update().clone() else { continue };
        let file = Arc::clone(&file);
        let written =
            match tokio::task::spawn_blocking(move || write_state(&file, &pending_state)).await {
                Ok(written) => written,
                Err(_) => Err("internal error of this program".to_owned()),
            };
        let outcome = match &written {
            Ok(true) => Some(Ok(())),
            Ok(false) => None,
            Err(reason) => Some(Err(reason.clone())),
        };
        if let (Some(directory), Some(outcome)) = (directory.upgrade(), outcome) {
            directory.record_write(&outcome);
        }
        if let Err(reason) = &written
            && !has_failed
        {
            tracing::error!("a restart would begin with older data or none: {reason}");
        }
        has_failed = written.is_err();
    }
}

/// Writes the state. Returns `false` if there was nothing to write or another server is writing.
fn write_state(file: &StateFile, pending_state: &PendingState) -> Result<bool, String> {
    let bytes = match pending_state.to_bytes() {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(false),
        Err(error) => return Err(error.to_string()),
    };
    match file.write(bytes) {
        Ok(()) => Ok(true),
        // The other server writes its own state.
        Err(state_file::Error::Busy { .. }) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}
