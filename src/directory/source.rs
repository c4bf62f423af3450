//! Interface to the source of users, as far as the directory needs to know it.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::ptr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use crate::directory::LoadProgress;
use crate::scim::{Group, ResourceContent, SchemaRegistry, SerializationError, User};

/// Source of users, as the parts use it that serve requests and reports, apart from loads.
pub trait SourceAccess: Send + Sync + 'static {
    /// Returns the current schema registry.
    fn schema_registry(&self) -> Arc<SchemaRegistry>;
    /// Fetches one user. Returns `None` only if it is certain that the user does not exist.
    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<User>, SourceError>>;
    /// Returns the last known state of the login, or `None` before the first login.
    fn login(&self) -> Option<SourceLogin>;
    /// Returns a condition that does no harm yet and that an operator should know. Its text
    /// continues a sentence.
    fn warning(&self) -> Option<String> {
        None
    }
    /// Parses a webhook and records what it reports.
    ///
    /// # Errors
    /// Returns an error when the message cannot be parsed.
    fn handle_webhook(&self, message: &[u8]) -> Result<WebhookEffect, MalformedWebhook>;
}

/// Source of users and groups, from which the directory loads.
pub trait Source: SourceAccess {
    /// Sync state: what the source keeps of a load, to map the same users again on another day or
    /// after a restart, and to read in the next load only what may have changed.
    type State: SyncState;

    /// Loads all users and groups. The result is complete, or an error. `served` is the sync state
    /// of the current snapshot.
    fn load(
        &self,
        served: Option<Arc<Self::State>>,
        progress: &LoadProgress,
    ) -> impl Future<Output = Result<LoadResult<Self::State>, SourceError>> + Send;
    /// Maps the users of a sync state again for today, without a request to the source. `served`
    /// is the sync state of the current snapshot, and users that are the same there need not be
    /// mapped.
    ///
    /// # Errors
    /// Returns an error when the sync state cannot be decoded.
    fn remap(
        &self,
        state: &Arc<Self::State>,
        served: Option<&Arc<Self::State>>,
    ) -> Result<Loaded<Self::State>, SourceError>;
    /// Notes that the last load, which ended with the sync state `loaded`, is not served. The next
    /// load continues from `served`, the sync state of the current snapshot, and reads again what
    /// was different.
    fn discard(&self, loaded: &Self::State, served: Option<&Self::State>);
    /// Notes that an operator approved an earlier load, so that `served` is now the sync state of
    /// the current snapshot.
    fn adopt(&self, served: &Self::State);
    /// Restores the users from the bytes that [`SyncState::to_bytes`] returned before a restart,
    /// without a request to the source.
    ///
    /// # Errors
    /// Returns an error when this source did not write `bytes`.
    fn decode_state(&self, bytes: &[u8]) -> Result<Loaded<Self::State>, InvalidState>;
}

/// Sync state of a source.
pub trait SyncState: Send + Sync + 'static {
    /// Encodes the sync state for the state file.
    ///
    /// # Errors
    /// Returns an error when it cannot be encoded.
    fn to_bytes(&self) -> Result<Vec<u8>, SourceError>;
}

/// Sync state of a source that keeps nothing.
impl SyncState for () {
    fn to_bytes(&self) -> Result<Vec<u8>, SourceError> {
        Ok(Vec::new())
    }
}

/// State of the login at a source.
#[derive(Debug, Clone)]
pub struct SourceLogin {
    /// Reason why the last login failed; `None` if it succeeded.
    pub failure: Option<SourceError>,
    /// True if the source refused the credential.
    pub is_refused: bool,
    /// Time for which that state has lasted.
    pub since: Duration,
}

/// Effect of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookEffect {
    /// Something has changed, and a load is necessary.
    Refresh,
    /// Nothing has changed.
    Ignored,
}

/// Error for a webhook that cannot be parsed. The reason contains nothing of the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MalformedWebhook(String);

impl MalformedWebhook {
    /// Creates the error. `reason` is a sentence about the message.
    #[must_use]
    pub fn new(reason: String) -> Self {
        Self(reason)
    }
}

/// Result of a load.
pub enum LoadResult<T> {
    /// Data that differs from the current snapshot.
    Changed(Box<Loaded<T>>),
    /// Data that is the same as that of the current snapshot, as of the day of its mapping, with
    /// the new sync state.
    Unchanged(Arc<T>),
}

impl<T> LoadResult<T> {
    /// Returns the sync state of the source after the load.
    #[must_use]
    pub fn state(&self) -> &Arc<T> {
        match self {
            Self::Changed(loaded) => &loaded.state,
            Self::Unchanged(state) => state,
        }
    }
}

/// Users and groups, with the sync state from which they were mapped.
pub struct Loaded<T> {
    /// Users and groups.
    pub directory: LoadedDirectory,
    /// Sync state.
    pub state: Arc<T>,
    /// Sync state of the snapshot in which the unchanged users and groups are the same. Without
    /// it no user and no group is unchanged.
    pub base: Option<Weak<T>>,
}

impl<T> Loaded<T> {
    /// Reports whether a snapshot with the sync state `served` has the unchanged users and groups.
    pub(super) fn is_based_on(&self, served: Option<&Arc<T>>) -> bool {
        match (&self.base, served) {
            (None, _) => true,
            (Some(base), Some(served)) => ptr::eq(base.as_ptr(), Arc::as_ptr(served)),
            (Some(_), None) => false,
        }
    }
}

/// User or group of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadedContent<C> {
    /// Resource with this id in the current snapshot, which is the same.
    Unchanged(Box<str>),
    /// New resource, or one that may have changed.
    Mapped(Box<C>),
}

impl<C: ResourceContent> LoadedContent<C> {
    /// Returns the id of the resource.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Unchanged(id) => id,
            Self::Mapped(content) => content.id(),
        }
    }
}

/// Users and groups of one load, with their circumstances.
#[derive(Debug, Clone)]
pub struct LoadedDirectory {
    /// Schema registry of the users and groups.
    pub schema_registry: Arc<SchemaRegistry>,
    /// All users, in the order of the list.
    pub users: Vec<LoadedContent<User>>,
    /// All groups, in the order of the list.
    pub groups: Vec<LoadedContent<Group>>,
    /// Numbers of what the load lacks.
    pub quality: LoadQuality,
    /// Reason not to serve this load as the first snapshot: the completeness check found that data
    /// is missing.
    pub completeness_error: Option<SourceError>,
    /// Period in which the mapping is valid. Outside of it the same records make other users,
    /// because of the date alone.
    pub valid_during: Option<Range<Timestamp>>,
}

impl LoadedDirectory {
    /// Creates a load without users and groups.
    #[must_use]
    pub fn empty(schema_registry: Arc<SchemaRegistry>) -> Self {
        Self::new(schema_registry, Vec::new(), Vec::new())
    }

    /// Creates a load of these users, in any order, and these groups, in the order of the list.
    #[must_use]
    pub fn new(
        schema_registry: Arc<SchemaRegistry>,
        mut users: Vec<User>,
        groups: Vec<Group>,
    ) -> Self {
        users.sort_by_cached_key(User::list_key);
        Self {
            schema_registry,
            users: all_mapped(users),
            groups: all_mapped(groups),
            quality: LoadQuality::default(),
            completeness_error: None,
            valid_during: None,
        }
    }

    /// Reports whether the mapping is valid at `now`.
    pub(super) fn is_valid_at(&self, now: Timestamp) -> bool {
        self.valid_during.as_ref().is_none_or(|period| period.contains(&now))
    }
}

/// Returns the contents as those of new resources.
fn all_mapped<C>(contents: Vec<C>) -> Vec<LoadedContent<C>> {
    let mut mapped = Vec::with_capacity(contents.len());
    for content in contents {
        mapped.push(LoadedContent::Mapped(Box::new(content)));
    }
    mapped
}

/// Persons and values that a load left out, could not read, or could not read again.
#[derive(Debug, Clone, Default)]
pub struct LoadQuality {
    /// Number of persons who were left out on purpose.
    pub skipped: SkippedCounts,
    /// Persons and values that could not be read.
    pub defects: Defects,
    /// Number of users with values from an earlier load, because these could not be read again.
    pub outdated: usize,
    /// Number of users without a look-up name, such as that of a department, because the name could
    /// not be read.
    pub without_lookup_name: usize,
    /// Ids of the unverified users: they are no longer listed, and the deletion check has not
    /// confirmed that they are deleted.
    pub unverified: HashSet<Box<str>>,
}

impl LoadQuality {
    /// Reports whether users are outdated, unverified or without look-up names.
    pub(super) fn is_incomplete(&self) -> bool {
        self.outdated + self.without_lookup_name + self.unverified.len() > 0
    }
}

/// Numbers of persons who were left out of a load on purpose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SkippedCounts {
    /// Number of persons without an e-mail address, where the configuration requires one.
    pub without_email: usize,
}

/// Maximum number of examples of defects.
const MAX_EXAMPLES: usize = 10;

/// Persons and values that a successful load could not read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defects {
    /// Number of new persons who cannot be read and are left out.
    pub left_out: usize,
    /// Number of persons who cannot be read and are served as they were before.
    pub kept: usize,
    /// Number of values that are absent, or have U+FFFD in place of what cannot be decoded.
    pub values: usize,
    /// Examples of defects, by id and attribute and without values.
    pub examples: Vec<String>,
}

impl Defects {
    /// Adds an example, unless [`Defects::examples`] is full.
    pub fn add_example(&mut self, example: impl FnOnce() -> String) {
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(example());
        }
    }

    /// Reports whether there are no defects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.left_out + self.kept + self.values == 0
    }
}

impl fmt::Display for Defects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { left_out, kept, values, examples } = self;
        write!(
            f,
            "{kept} persons cannot be read and are served as before, {left_out} new persons cannot \
             be read and are left out, {values} values cannot be read and are absent or incomplete \
             ({})",
            examples.join("; ")
        )
    }
}

/// Failure of a source, in words for an operator and without personal data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Failure of the upstream system, of its data or of the way to it.
    #[error("{0}")]
    Upstream(Arc<str>),
    /// Fault of this program.
    #[error("internal error: {0}")]
    Internal(Arc<str>),
}

impl SourceError {
    /// Creates a failure of the upstream system; `reason` is one sentence.
    #[must_use]
    pub fn upstream(reason: impl Into<Arc<str>>) -> Self {
        Self::Upstream(reason.into())
    }

    /// Creates an error for a fault of this program; `reason` is one sentence.
    #[must_use]
    pub fn internal(reason: impl Into<Arc<str>>) -> Self {
        Self::Internal(reason.into())
    }

    /// Reports whether this program is at fault, and not the upstream system.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        match self {
            Self::Upstream(_) => false,
            Self::Internal(_) => true,
        }
    }
}

impl From<SerializationError> for SourceError {
    fn from(error: SerializationError) -> Self {
        Self::internal(error.to_string())
    }
}

/// Reason why the content of a state file is not used. The text continues the sentence "the state
/// file …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidState(String);

impl InvalidState {
    /// Creates the error.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}
