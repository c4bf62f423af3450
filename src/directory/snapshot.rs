//! Snapshot: a complete, immutable set of users and groups. Resources that did not change are taken
//! over from the snapshot before, so that `meta.lastModified` changes exactly when another
//! attribute does.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};

use crate::clock::Clock;
use crate::directory::scopes::ScopedSnapshots;
use crate::directory::{
    LoadQuality, LoadedContent, LoadedDirectory, MaxChange, SourceError, parallel,
};
use crate::scim;
use crate::scim::{
    BoundScope, CutResource, Digest, EncodedContent, Resource, ResourceContent, ResourceMeta,
    ResourceSet, ResourceType, SchemaRegistry, SerializationError, VersionStamp, VersionStamps,
};

/// Users and groups of one load.
#[derive(Debug)]
pub struct Snapshot {
    schema_registry: Arc<SchemaRegistry>,
    /// Users. The set is shared with the snapshot before, if no user has changed.
    users: Arc<ResourceSet>,
    /// Groups, shared in the same way.
    groups: Arc<ResourceSet>,
    quality: LoadQuality,
    /// Start of the load, on the monotonic clock; negative for a load before a restart.
    load_started: SignedDuration,
    /// Period in which the mapping of the load is valid; unlimited if there is none.
    valid_during: Option<Range<Timestamp>>,
    /// Digest of the content: ids, versions and modification times of all resources.
    digest: Digest,
    /// Flag set once the day rollover was tried. A snapshot is remapped at most once.
    is_rollover_tried: AtomicBool,
    /// Snapshots of what each scope shows of this one.
    scoped: ScopedSnapshots,
}

/// Earlier state, from which a new snapshot takes over what did not change.
#[derive(Debug, Clone, Copy)]
pub enum PreviousState<'a> {
    /// No earlier state is known.
    Unknown,
    /// Snapshot that this process has served.
    Snapshot(&'a Snapshot),
    /// State that was served before a restart, of which only the stamps are known.
    Stamped {
        /// Stamps of its users.
        users: &'a VersionStamps,
        /// Stamps of its groups.
        groups: &'a VersionStamps,
    },
}

/// Earlier state of the resources of one type.
#[derive(Debug, Clone, Copy)]
enum PreviousResources<'a> {
    Unknown,
    Served(&'a Arc<ResourceSet>),
    Stamped(&'a VersionStamps),
}

impl<'a> PreviousState<'a> {
    fn users(self) -> PreviousResources<'a> {
        match self {
            Self::Unknown => PreviousResources::Unknown,
            Self::Snapshot(snapshot) => PreviousResources::Served(&snapshot.users),
            Self::Stamped { users, .. } => PreviousResources::Stamped(users),
        }
    }

    fn groups(self) -> PreviousResources<'a> {
        match self {
            Self::Unknown => PreviousResources::Unknown,
            Self::Snapshot(snapshot) => PreviousResources::Served(&snapshot.groups),
            Self::Stamped { groups, .. } => PreviousResources::Stamped(groups),
        }
    }
}

impl Snapshot {
    /// Creates the snapshot of a load that began at `load_started` on the monotonic clock. It is
    /// meant to be published now: changes are dated to this moment.
    ///
    /// # Errors
    /// Returns an error when a resource cannot be written as JSON.
    pub fn new(
        load: LoadedDirectory,
        earlier: PreviousState<'_>,
        load_started: SignedDuration,
        clock: &dyn Clock,
    ) -> Result<Self, SourceError> {
        let types = &load.schema_registry.types;
        let users = encode_all(&types.user, load.users, earlier.users(), clock)?;
        let groups = encode_all(&types.group, load.groups, earlier.groups(), clock)?;
        // The time is read after the long work above: a change must not be dated to before clients
        // can see it.
        let now = round_up_to_millisecond(clock.now());
        let users = resource_set(&types.user, users, earlier.users(), now)?;
        let groups = resource_set(&types.group, groups, earlier.groups(), now)?;
        let digest = match earlier {
            PreviousState::Snapshot(earlier) if earlier.shares_sets(&users, &groups) => {
                earlier.digest
            }
            PreviousState::Unknown | PreviousState::Snapshot(_) | PreviousState::Stamped { .. } => {
                digest([&users, &groups])
            }
        };
        Ok(Self {
            schema_registry: load.schema_registry,
            users,
            groups,
            quality: load.quality,
            load_started,
            valid_during: load.valid_during,
            digest,
            is_rollover_tried: AtomicBool::new(false),
            scoped: ScopedSnapshots::default(),
        })
    }

    /// Creates the snapshot of what a scope shows of `full`. `earlier` is the earlier state of what
    /// the scope showed.
    ///
    /// # Errors
    /// Returns an error when a resource cannot be written as JSON.
    pub(super) fn of_scope(
        full: &Self,
        scope: &BoundScope,
        earlier: PreviousState<'_>,
        clock: &dyn Clock,
    ) -> Result<Self, SourceError> {
        let types = &scope.schema_registry().types;
        let selected = scope.select(&full.users, &full.groups);
        let users = cut_all(&types.user, selected.users(), earlier.users(), clock)?;
        let groups = cut_all(&types.group, selected.groups(), earlier.groups(), clock)?;
        drop(selected);
        let digest = digest([&users, &groups]);
        Ok(Self {
            schema_registry: Arc::clone(scope.schema_registry()),
            users,
            groups,
            quality: LoadQuality::default(),
            load_started: full.load_started,
            valid_during: full.valid_during.clone(),
            digest,
            is_rollover_tried: AtomicBool::new(false),
            scoped: ScopedSnapshots::default(),
        })
    }

    /// Returns the snapshot of what a scope shows of this one, for a command that does not serve.
    ///
    /// # Errors
    /// Returns an error when a resource cannot be written as JSON.
    pub fn shown_by(&self, scope: &BoundScope, clock: &dyn Clock) -> Result<Self, SourceError> {
        Self::of_scope(self, scope, PreviousState::Unknown, clock)
    }

    /// Returns the snapshots of scopes.
    pub(super) fn scoped(&self) -> &ScopedSnapshots {
        &self.scoped
    }

    /// Reports whether users and groups are the very sets of this snapshot.
    fn shares_sets(&self, users: &Arc<ResourceSet>, groups: &Arc<ResourceSet>) -> bool {
        Arc::ptr_eq(&self.users, users) && Arc::ptr_eq(&self.groups, groups)
    }

    /// Returns a copy whose load began at `load_started` on the monotonic clock. It is used when a
    /// load finds the same data as before.
    pub(super) fn reloaded_at(&self, load_started: SignedDuration) -> Self {
        Self {
            schema_registry: Arc::clone(&self.schema_registry),
            users: Arc::clone(&self.users),
            groups: Arc::clone(&self.groups),
            quality: self.quality.clone(),
            load_started,
            valid_during: self.valid_during.clone(),
            digest: self.digest,
            is_rollover_tried: AtomicBool::new(false),
            scoped: self.scoped.reloaded_at(load_started),
        }
    }

    /// Returns the schema registry of its users and groups.
    #[must_use]
    pub fn schema_registry(&self) -> &Arc<SchemaRegistry> {
        &self.schema_registry
    }

    /// Creates the snapshot of a single load, for a command that does not serve.
    ///
    /// # Errors
    /// Returns the error of the completeness check, unless `max_change` sets no limit, or an
    /// error when a resource cannot be written as JSON.
    pub fn of_single_load(
        mut load: LoadedDirectory,
        max_change: MaxChange,
        clock: &dyn Clock,
    ) -> Result<Self, SourceError> {
        if max_change.is_limited()
            && let Some(error) = load.completeness_error.take()
        {
            return Err(error);
        }
        Self::new(load, PreviousState::Unknown, SignedDuration::ZERO, clock)
    }

    /// Returns the users, ordered by creation and id.
    #[must_use]
    pub fn users(&self) -> &ResourceSet {
        &self.users
    }

    /// Returns the groups.
    #[must_use]
    pub fn groups(&self) -> &ResourceSet {
        &self.groups
    }

    /// Returns the persons and values that its load left out or could not read.
    #[must_use]
    pub fn quality(&self) -> &LoadQuality {
        &self.quality
    }

    /// Returns the digest of the content. Snapshots with the same content have the same digest.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Reports whether there are more users than the largest page holds.
    #[must_use]
    pub fn exceeds_page(&self) -> bool {
        self.users().all().len() > self.schema_registry().max_results
    }

    /// Returns the age at `now` on the monotonic clock.
    #[must_use]
    pub fn age(&self, now: Duration) -> Duration {
        let now = SignedDuration::try_from(now).unwrap_or(SignedDuration::MAX);
        Duration::try_from(now.saturating_sub(self.load_started)).unwrap_or_default()
    }

    /// Returns the start of its load on the monotonic clock; negative for a load before a restart.
    pub(super) fn load_started(&self) -> SignedDuration {
        self.load_started
    }

    /// Reports whether the mapping is valid at `now`. Otherwise the date alone changes the result.
    pub(super) fn is_valid_at(&self, now: Timestamp) -> bool {
        self.valid_during.as_ref().is_none_or(|day| day.contains(&now))
    }

    /// Reports whether the snapshot needs the day rollover and has not had one.
    pub(super) fn awaits_rollover(&self, now: Timestamp) -> bool {
        !self.is_valid_at(now) && !self.is_rollover_tried.load(Ordering::Acquire)
    }

    /// Notes that the day rollover was tried, whatever its outcome.
    pub(super) fn mark_rollover_tried(&self) {
        self.is_rollover_tried.store(true, Ordering::Release);
    }
}

/// Cuts resources down to what a scope shows. A resource of which nothing is hidden is shared with
/// the full snapshot, unless that would date a change to before clients could see it.
fn cut_all(
    resource_type: &Arc<ResourceType>,
    all: Vec<CutResource<'_>>,
    previous: PreviousResources<'_>,
    clock: &dyn Clock,
) -> Result<Arc<ResourceSet>, SourceError> {
    let cut = parallel::map_all(all, false, |cut| {
        if cut.is_whole() && can_be_shared(cut.full(), previous) {
            return Ok(LoadedResource::Complete(Arc::clone(cut.full())));
        }
        let mut encoded = encode_or_reuse(resource_type, cut, previous)?;
        if let LoadedResource::Undated(undated) = &mut encoded {
            undated.content.shrink_to_fit();
        }
        Ok::<_, SerializationError>(encoded)
    })?;
    resource_set(resource_type, cut, previous, round_up_to_millisecond(clock.now()))
}

/// Reports whether clients with a scope can see the resource of the full snapshot itself. They may
/// have seen another version of it, which must be older.
fn can_be_shared(full: &Arc<Resource>, previous: PreviousResources<'_>) -> bool {
    let earlier = match previous {
        PreviousResources::Unknown => return true,
        PreviousResources::Served(previous) => match previous.find(&full.id()) {
            Some(earlier) if Arc::ptr_eq(earlier, full) => return true,
            Some(earlier) => VersionStamp::of(earlier),
            None => None,
        },
        PreviousResources::Stamped(stamps) => stamps.get(&full.id()).cloned(),
    };
    let Some(earlier) = earlier else { return true };
    if full.version().as_deref() == Some(earlier.version.as_str()) {
        return full.last_modified() == earlier.last_modified;
    }
    full.last_modified() > earlier.last_modified
}

/// Rounds a time up to the millisecond. Clients read no more digits, and rounding down could date a
/// change to before a client's last request, so that the client misses it.
fn round_up_to_millisecond(now: Timestamp) -> Timestamp {
    let up = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Ceil);
    now.round(up).unwrap_or(now)
}

/// Encoded resource of a load.
enum LoadedResource<'t> {
    /// Complete resource: the earlier one, if no attribute that a client sees has changed.
    Complete(Arc<Resource>),
    /// Resource without dates.
    Undated(Box<UndatedResource<'t>>),
}

/// Resource that is new or has changed, before it has dates.
struct UndatedResource<'t> {
    content: EncodedContent<'t>,
    meta: ResourceMeta,
    /// True if this server sets `meta.created`.
    is_dated_by_server: bool,
    /// Stamp that clients have seen.
    earlier: Option<VersionStamp>,
    is_first_load: bool,
}

/// Encodes all resources of one type, and takes over the earlier ones that have not changed.
fn encode_all<'t, C: ResourceContent + Send>(
    resource_type: &'t Arc<ResourceType>,
    contents: Vec<LoadedContent<C>>,
    previous: PreviousResources<'_>,
    clock: &dyn Clock,
) -> Result<Vec<LoadedResource<'t>>, SourceError> {
    if let PreviousResources::Served(_) = previous {
        // Requests are served meanwhile, so they have the other processors.
        return parallel::map_all(contents, false, |content| {
            let mut encoded = take_or_encode(resource_type, content, previous)?;
            if let LoadedResource::Undated(undated) = &mut encoded {
                undated.content.shrink_to_fit();
            }
            Ok(encoded)
        });
    }
    // Before the first snapshot no client sees anything. The dates need not be later than the
    // encoding, and resources are completed one by one, which needs less memory.
    let now = round_up_to_millisecond(clock.now());
    parallel::map_all(contents, true, |content| {
        let encoded = take_or_encode(resource_type, content, previous)?;
        Ok(LoadedResource::Complete(encoded.complete(now)?))
    })
}

/// Returns the earlier resource if the load reports that it is unchanged, or if no attribute that a
/// client sees has changed. Otherwise returns the encoded content.
fn take_or_encode<'t, C: ResourceContent>(
    resource_type: &'t Arc<ResourceType>,
    content: LoadedContent<C>,
    previous: PreviousResources<'_>,
) -> Result<LoadedResource<'t>, SourceError> {
    match content {
        LoadedContent::Unchanged(id) => previous.unchanged(&id),
        LoadedContent::Mapped(content) => Ok(encode_or_reuse(resource_type, *content, previous)?),
    }
}

/// Returns the earlier resource if no attribute that a client sees has changed, and the encoded
/// content otherwise.
fn encode_or_reuse<'t, C: ResourceContent>(
    resource_type: &'t Arc<ResourceType>,
    content: C,
    previous: PreviousResources<'_>,
) -> Result<LoadedResource<'t>, SerializationError> {
    let encoded = EncodedContent::new(resource_type, &content)?;
    let earlier = match previous {
        PreviousResources::Unknown => None,
        PreviousResources::Served(previous) => match previous.find(content.id()) {
            Some(earlier) => {
                if is_same(earlier, resource_type, encoded.version()) {
                    return Ok(LoadedResource::Complete(Arc::clone(earlier)));
                }
                VersionStamp::of(earlier)
            }
            None => None,
        },
        PreviousResources::Stamped(stamps) => stamps.get(content.id()).cloned(),
    };
    Ok(LoadedResource::Undated(Box::new(UndatedResource {
        content: encoded,
        is_dated_by_server: content.is_dated_by_server(),
        meta: content.into_meta(),
        earlier,
        is_first_load: matches!(previous, PreviousResources::Unknown),
    })))
}

impl PreviousResources<'_> {
    /// Returns the resource with this id, of which the load reports that it is unchanged.
    fn unchanged<'t>(self, id: &str) -> Result<LoadedResource<'t>, SourceError> {
        let resource = match self {
            Self::Served(previous) => previous.find(id),
            Self::Unknown | Self::Stamped(_) => None,
        };
        match resource {
            Some(resource) => Ok(LoadedResource::Complete(Arc::clone(resource))),
            None => Err(SourceError::internal("an unchanged resource is not in the snapshot")),
        }
    }
}

impl LoadedResource<'_> {
    /// Returns the complete resource. A change is dated to `now`, however long ago it happened in
    /// Personio: clients see it only from now on, and a client that requests what was modified
    /// since its last request must not miss it.
    fn complete(self, now: Timestamp) -> Result<Arc<Resource>, SerializationError> {
        match self {
            Self::Complete(resource) => Ok(resource),
            Self::Undated(mut undated) => {
                undated.set_times(now);
                undated.content.into_resource(&undated.meta).map(Arc::new)
            }
        }
    }
}

impl UndatedResource<'_> {
    /// Sets `meta.lastModified` and `meta.created`.
    fn set_times(&mut self, now: Timestamp) {
        let meta = &mut self.meta;
        meta.last_modified = match &self.earlier {
            Some(earlier) if earlier.version == self.content.version() => earlier.last_modified,
            Some(earlier) => Some(now).max(next_distinct_time(earlier.last_modified)),
            None if self.is_first_load => Some(meta.last_modified.unwrap_or(now).min(now)),
            None => Some(now),
        };
        meta.created = if !self.is_dated_by_server {
            limit_created(meta.created, meta.last_modified, now)
        } else if let Some(earlier) = &self.earlier {
            earlier.created.or(earlier.last_modified).or(Some(now))
        } else {
            Some(now)
        };
    }
}

/// Returns the set of resources of one type. If no resource has changed, it is the earlier set.
fn resource_set(
    resource_type: &Arc<ResourceType>,
    loaded: Vec<LoadedResource<'_>>,
    previous: PreviousResources<'_>,
    now: Timestamp,
) -> Result<Arc<ResourceSet>, SourceError> {
    let mut all = Vec::with_capacity(loaded.len());
    for resource in loaded {
        all.push(resource.complete(now)?);
    }
    match previous {
        PreviousResources::Served(previous) if previous.is_same_set(resource_type, &all) => {
            Ok(Arc::clone(previous))
        }
        PreviousResources::Served(previous) => {
            Ok(Arc::new(ResourceSet::following(previous, resource_type, all)))
        }
        PreviousResources::Unknown | PreviousResources::Stamped(_) => {
            Ok(Arc::new(ResourceSet::new(resource_type, all)))
        }
    }
}

/// Reports whether a resource differs from the earlier one in no attribute that a client sees. A
/// resource of another schema registry has the same version, but another type.
fn is_same(earlier: &Resource, resource_type: &Arc<ResourceType>, version: &str) -> bool {
    earlier.version().as_deref() == Some(version)
        && Arc::ptr_eq(earlier.resource_type(), resource_type)
}

/// Returns the next time that clients can distinguish from `moment`. A changed resource must be
/// newer than before, even after the system clock was set back.
fn next_distinct_time(moment: Option<Timestamp>) -> Option<Timestamp> {
    moment?.checked_add(SignedDuration::from_millis(1)).ok()
}

/// Returns the creation time, or `last_modified` if the creation time is in the future. Personio's
/// clock may be ahead, or its time zone unclear. The last modification is then the latest time that
/// is certain, and it stays the same across restarts.
fn limit_created(
    created: Option<Timestamp>,
    last_modified: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    match created {
        Some(created) if created > now => last_modified,
        created => created,
    }
}

/// Limits the times of a user who was fetched alone, in the same way as those of a first load.
pub(super) fn limit_times(mut meta: ResourceMeta, now: Timestamp) -> ResourceMeta {
    let now = round_up_to_millisecond(now);
    if let Some(last_modified) = &mut meta.last_modified {
        *last_modified = now.min(*last_modified);
    }
    meta.created = limit_created(meta.created, meta.last_modified.or(Some(now)), now);
    meta
}

fn digest(sets: [&ResourceSet; 2]) -> Digest {
    let resources = sets.into_iter().flat_map(|resources| resources.all());
    let parts = resources.flat_map(|resource| {
        let (version, last_modified) = (resource.version(), resource.last_modified_text());
        [resource.id(), version.unwrap_or_default(), last_modified.unwrap_or_default()]
            .map(Cow::into_owned)
    });
    scim::digest(parts)
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;
    use crate::clock::SystemClock;
    use crate::scim::{Group, PersonName, ResourceUrls, User};

    fn schema_registry() -> Arc<SchemaRegistry> {
        Arc::new(
            SchemaRegistry::new(&ResourceUrls::new("https://scim.example.com"), 1000, &[]).unwrap(),
        )
    }

    fn user(id: &str, title: &str) -> User {
        User {
            id: id.to_owned(),
            external_id: id.to_owned(),
            user_name: format!("{id}@example.com"),
            name: PersonName::default(),
            display_name: id.to_owned(),
            attributes: [("title".into(), title.into())].into_iter().collect(),
            active: true,
            emails: Vec::new(),
            groups: Vec::new(),
            enterprise: scim::EnterpriseUser::default(),
            extension: scim::AttributeValues::default(),
            meta: ResourceMeta::of_user(format!("https://scim.example.com/Users/{id}"), None, None),
        }
    }

    fn group(id: &str) -> Group {
        let meta = ResourceMeta::of_group(format!("https://scim.example.com/Groups/{id}"));
        Group {
            id: id.to_owned(),
            external_id: id.to_owned(),
            display_name: id.to_owned(),
            members: Vec::new(),
            meta,
        }
    }

    fn new_snapshot(
        schema_registry: &Arc<SchemaRegistry>,
        users: Vec<User>,
        groups: Vec<Group>,
        earlier: PreviousState<'_>,
    ) -> Snapshot {
        let load = LoadedDirectory::new(Arc::clone(schema_registry), users, groups);
        Snapshot::new(load, earlier, SignedDuration::ZERO, &SystemClock::default()).unwrap()
    }

    #[test]
    fn unchanged_resources_share_the_earlier_set() {
        let registry = schema_registry();
        let users = || vec![user("10", "a"), user("9", "b"), user("x", "c")];
        let first = new_snapshot(&registry, users(), vec![group("g")], PreviousState::Unknown);
        let ids: Vec<_> = first.users().all().iter().map(|user| user.id()).collect();
        assert_eq!(ids, ["9", "10", "x"]);

        let mut reversed = users();
        reversed.reverse();
        let same =
            new_snapshot(&registry, reversed, vec![group("g")], PreviousState::Snapshot(&first));
        assert!(ptr::eq(same.users(), first.users()) && ptr::eq(same.groups(), first.groups()));
        assert_eq!(same.digest(), first.digest());

        for (users, groups, are_users_same) in [
            (vec![user("10", "a"), user("9", "b"), user("x", "d")], vec![group("g")], false),
            (vec![user("10", "a"), user("9", "b")], vec![group("g")], false),
            (
                vec![user("10", "a"), user("9", "b"), user("x", "c"), user("y", "c")],
                vec![group("g")],
                false,
            ),
            (users(), vec![group("h")], true),
            (users(), Vec::new(), true),
        ] {
            let other = new_snapshot(&registry, users, groups, PreviousState::Snapshot(&same));
            assert_eq!(ptr::eq(other.users(), first.users()), are_users_same);
            assert_eq!(ptr::eq(other.groups(), first.groups()), !are_users_same);
            assert_ne!(other.digest(), first.digest());
            for user in other.users().all() {
                let is_reused = first
                    .users()
                    .find(&user.id())
                    .is_some_and(|earlier| Arc::ptr_eq(earlier, user));
                assert_eq!(
                    is_reused,
                    !matches!(&*user.text("title").unwrap(), "d") && user.id() != "y"
                );
            }
        }
        let another = new_snapshot(
            &schema_registry(),
            users(),
            vec![group("g")],
            PreviousState::Snapshot(&first),
        );
        assert!(
            !ptr::eq(another.users(), first.users()),
            "another schema registry has other types"
        );
        assert_eq!(another.digest(), first.digest());
    }
}
