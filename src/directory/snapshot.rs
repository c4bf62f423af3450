//! Snapshot: a complete, immutable set of users and groups. Resources that did not change are taken
//! over from the snapshot before, so that `meta.lastModified` changes exactly when another
//! attribute does.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};

use crate::clock::Clock;
use crate::directory::{Defects, Loaded, MaxChange, Skipped, SourceError, parallel};
use crate::scim;
use crate::scim::{
    Content, Digest, Resource, ResourceType, Resources, Stamp, Stamps, Unwritable, User, Vocabulary,
};

/// Users and groups of one load.
#[derive(Debug)]
pub struct Snapshot {
    vocabulary: Arc<Vocabulary>,
    /// Users. The set is shared with the snapshot before, if no user has changed.
    users: Arc<Resources>,
    /// Groups, shared in the same way.
    groups: Arc<Resources>,
    skipped: Skipped,
    outdated: usize,
    defects: Defects,
    nameless: usize,
    unconfirmed: HashSet<Box<str>>,
    /// Start of the load, on the monotonic clock; negative for a load before a restart.
    loaded: SignedDuration,
    /// Period in which the mapping of the load is valid; unlimited if there is none.
    day: Option<Range<Timestamp>>,
    /// Digest of the content: ids, versions and modification times of all resources.
    digest: Digest,
}

/// Earlier state, from which a new snapshot takes over what did not change.
#[derive(Debug, Clone, Copy)]
pub enum Earlier<'a> {
    /// No earlier state is known.
    Unknown,
    /// Snapshot that this process has served.
    Served(&'a Snapshot),
    /// State that was served before a restart, of which only the stamps are known.
    Stamped {
        /// Stamps of its users.
        users: &'a Stamps,
        /// Stamps of its groups.
        groups: &'a Stamps,
    },
}

/// Earlier state of the resources of one type.
#[derive(Debug, Clone, Copy)]
enum Previous<'a> {
    Unknown,
    Served(&'a Arc<Resources>),
    Stamped(&'a Stamps),
}

impl<'a> Earlier<'a> {
    fn users(self) -> Previous<'a> {
        match self {
            Self::Unknown => Previous::Unknown,
            Self::Served(snapshot) => Previous::Served(&snapshot.users),
            Self::Stamped { users, .. } => Previous::Stamped(users),
        }
    }

    fn groups(self) -> Previous<'a> {
        match self {
            Self::Unknown => Previous::Unknown,
            Self::Served(snapshot) => Previous::Served(&snapshot.groups),
            Self::Stamped { groups, .. } => Previous::Stamped(groups),
        }
    }
}

impl Snapshot {
    /// Creates the snapshot of a load that began at `loaded` on the monotonic clock. It is meant to
    /// be published now: changes are dated to this moment.
    ///
    /// # Errors
    /// Returns an error when a resource cannot be written as JSON.
    pub fn new(
        load: Loaded,
        earlier: Earlier<'_>,
        loaded: SignedDuration,
        clock: &dyn Clock,
    ) -> Result<Self, SourceError> {
        let types = &load.vocabulary.types;
        // Once there is a snapshot, requests need processors as well. Before that, all may be used.
        let alone = matches!(earlier, Earlier::Unknown | Earlier::Stamped { .. });
        let mut users = parallel::each(load.users, alone, Content::versioned)?;
        users.sort_by_cached_key(scim::User::list_key);
        let groups = parallel::each(load.groups, alone, Content::versioned)?;
        // The time is read after the long work above: a change must not be dated to before clients
        // can see it.
        let now = moment(clock.now());
        let users = resources(&types.user, users, earlier.users(), now)?;
        let groups = resources(&types.group, groups, earlier.groups(), now)?;
        let digest = match earlier {
            Earlier::Served(earlier) if earlier.holds(&users, &groups) => earlier.digest,
            Earlier::Unknown | Earlier::Served(_) | Earlier::Stamped { .. } => {
                digest([&users, &groups])
            }
        };
        Ok(Self {
            vocabulary: load.vocabulary,
            users,
            groups,
            skipped: load.skipped,
            outdated: load.outdated,
            defects: load.defects,
            nameless: load.nameless,
            unconfirmed: load.unconfirmed,
            loaded,
            day: load.day,
            digest,
        })
    }

    /// Reports whether users and groups are the very sets of this snapshot.
    fn holds(&self, users: &Arc<Resources>, groups: &Arc<Resources>) -> bool {
        Arc::ptr_eq(&self.users, users) && Arc::ptr_eq(&self.groups, groups)
    }

    /// Returns a copy whose load began at `loaded` on the monotonic clock. It is used when a load
    /// finds the same data as before.
    pub(super) fn found_again(&self, loaded: SignedDuration) -> Self {
        Self {
            vocabulary: Arc::clone(&self.vocabulary),
            users: Arc::clone(&self.users),
            groups: Arc::clone(&self.groups),
            skipped: self.skipped,
            outdated: self.outdated,
            defects: self.defects.clone(),
            nameless: self.nameless,
            unconfirmed: self.unconfirmed.clone(),
            loaded,
            day: self.day.clone(),
            digest: self.digest,
        }
    }

    /// Returns the schema registry of its users and groups.
    #[must_use]
    pub fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.vocabulary
    }

    /// Creates the snapshot of a single load, for a command that does not serve.
    ///
    /// # Errors
    /// Returns the flaw of a load that is incomplete, unless `max_change` sets no limit, or an
    /// error when a resource cannot be written as JSON.
    pub fn alone(
        mut load: Loaded,
        max_change: MaxChange,
        clock: &dyn Clock,
    ) -> Result<Self, SourceError> {
        if max_change.is_bound()
            && let Some(flaw) = load.flaw.take()
        {
            return Err(flaw);
        }
        Self::new(load, Earlier::Unknown, SignedDuration::ZERO, clock)
    }

    /// Returns the users, ordered by creation and id.
    #[must_use]
    pub fn users(&self) -> &Resources {
        &self.users
    }

    /// Returns the groups.
    #[must_use]
    pub fn groups(&self) -> &Resources {
        &self.groups
    }

    /// Returns the number of persons who were left out on purpose.
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        self.skipped
    }

    /// Returns the persons and values that could not be read.
    #[must_use]
    pub fn defects(&self) -> &Defects {
        &self.defects
    }

    /// Returns the number of users with values from an earlier load, because these could not be
    /// read again.
    #[must_use]
    pub fn outdated(&self) -> usize {
        self.outdated
    }

    /// Returns the number of users without a look-up name, such as that of a department, because
    /// the name could not be read.
    #[must_use]
    pub fn nameless(&self) -> usize {
        self.nameless
    }

    /// Returns the ids of the unverified users: Personio no longer lists them, and the deletion
    /// check has not confirmed that they are deleted.
    #[must_use]
    pub fn unconfirmed(&self) -> &HashSet<Box<str>> {
        &self.unconfirmed
    }

    /// Returns the digest of the content. Snapshots with the same content have the same digest.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Reports whether there are more users than the largest page holds.
    #[must_use]
    pub fn exceeds_page(&self) -> bool {
        self.users().all().len() > self.vocabulary().max_results
    }

    /// Returns the age at `now` on the monotonic clock.
    #[must_use]
    pub fn age(&self, now: Duration) -> Duration {
        let now = SignedDuration::try_from(now).unwrap_or(SignedDuration::MAX);
        Duration::try_from(now.saturating_sub(self.loaded)).unwrap_or_default()
    }

    /// Returns the start of its load on the monotonic clock; negative for a load before a restart.
    pub(super) fn loaded(&self) -> SignedDuration {
        self.loaded
    }

    /// Reports whether the mapping is valid at `now`. Otherwise the date alone changes the result.
    pub(super) fn is_of_today(&self, now: Timestamp) -> bool {
        self.day.as_ref().is_none_or(|day| day.contains(&now))
    }
}

/// Rounds a time up to the millisecond. Clients read no more digits, and rounding down could date a
/// change to before a client's last request, so that the client misses it.
fn moment(now: Timestamp) -> Timestamp {
    let up = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Ceil);
    now.round(up).unwrap_or(now)
}

/// Returns the set of resources of one type. If no resource has changed, it is the earlier set,
/// with its indexes. Otherwise the indexes that clients used are built in advance.
fn resources<C: Content + Send>(
    kind: &Arc<ResourceType>,
    contents: Vec<C>,
    previous: Previous<'_>,
    now: Timestamp,
) -> Result<Arc<Resources>, SourceError> {
    let alone = matches!(previous, Previous::Unknown | Previous::Stamped(_));
    let all = parallel::each(contents, alone, |content| taken_over(kind, content, previous, now))?;
    match previous {
        Previous::Served(previous) if previous.are(kind, &all) => Ok(Arc::clone(previous)),
        Previous::Served(previous) => {
            let resources = Resources::new(kind, all);
            resources.prepare_like(previous);
            Ok(Arc::new(resources))
        }
        Previous::Unknown | Previous::Stamped(_) => Ok(Arc::new(Resources::new(kind, all))),
    }
}

/// Returns the earlier resource if no attribute that a client sees has changed. Otherwise the
/// change is dated to `now`, however long ago it happened in Personio: clients see it only from now
/// on, and a client that requests what was modified since its last request must not miss it.
fn taken_over<C: Content>(
    kind: &Arc<ResourceType>,
    mut content: C,
    previous: Previous<'_>,
    now: Timestamp,
) -> Result<Arc<Resource>, Unwritable> {
    let earlier = match previous {
        Previous::Unknown => None,
        Previous::Served(previous) => match previous.find(content.id()) {
            Some(earlier) => {
                if is_same(earlier, kind, &content.meta_mut().version) {
                    return Ok(Arc::clone(earlier));
                }
                Stamp::of(earlier)
            }
            None => None,
        },
        Previous::Stamped(stamps) => stamps.get(content.id()).cloned(),
    };
    let is_first_load = matches!(previous, Previous::Unknown);
    set_times(&mut content, earlier.as_ref(), is_first_load, now);
    Resource::new(kind, &content).map(Arc::new)
}

/// Reports whether a resource differs from the earlier one in no attribute that a client sees. A
/// resource of another schema registry has the same version, but another type.
fn is_same(earlier: &Resource, kind: &Arc<ResourceType>, version: &str) -> bool {
    earlier.version().as_deref() == Some(version) && Arc::ptr_eq(earlier.resource_type(), kind)
}

/// Sets `meta.lastModified` and `meta.created`. `earlier` is the stamp that clients have seen.
fn set_times<C: Content>(
    content: &mut C,
    earlier: Option<&Stamp>,
    is_first_load: bool,
    now: Timestamp,
) {
    let is_dated_by_server = content.is_dated_by_server();
    let meta = content.meta_mut();
    meta.last_modified = match earlier {
        Some(earlier) if earlier.version == meta.version => earlier.last_modified,
        Some(earlier) => Some(now).max(just_after(earlier.last_modified)),
        None if is_first_load => Some(meta.last_modified.unwrap_or(now).min(now)),
        None => Some(now),
    };
    meta.created = if !is_dated_by_server {
        not_in_future(meta.created, meta.last_modified, now)
    } else if let Some(earlier) = earlier {
        earlier.created.or(earlier.last_modified).or(Some(now))
    } else {
        Some(now)
    };
}

/// Returns the next time that clients can distinguish from `moment`. A changed resource must be
/// newer than before, even after the system clock was set back.
fn just_after(moment: Option<Timestamp>) -> Option<Timestamp> {
    moment?.checked_add(SignedDuration::from_millis(1)).ok()
}

/// Returns the creation time, or `last_modified` if the creation time is in the future. Personio's
/// clock may be ahead, or its time zone unclear. The last modification is then the latest time that
/// is certain, and it stays the same across restarts.
fn not_in_future(
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
pub(super) fn limit_moments(user: &mut User, now: Timestamp) {
    let now = moment(now);
    let meta = user.meta_mut();
    if let Some(last_modified) = &mut meta.last_modified {
        *last_modified = now.min(*last_modified);
    }
    meta.created = not_in_future(meta.created, meta.last_modified.or(Some(now)), now);
}

fn digest(sets: [&Resources; 2]) -> Digest {
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
    use crate::scim::{Group, Locations, Meta, Name, User};

    fn vocabulary() -> Arc<Vocabulary> {
        Arc::new(Vocabulary::new(&Locations::new("https://scim.example.com"), 1000, &[]).unwrap())
    }

    fn user(id: &str, title: &str) -> User {
        User {
            id: id.to_owned(),
            external_id: id.to_owned(),
            user_name: format!("{id}@example.com"),
            name: Name::default(),
            display_name: id.to_owned(),
            title: Some(title.to_owned()),
            user_type: None,
            active: true,
            emails: Vec::new(),
            groups: Vec::new(),
            enterprise: scim::EnterpriseUser::default(),
            extension: scim::Extension::default(),
            meta: Meta::of_user(format!("https://scim.example.com/Users/{id}"), None, None),
        }
    }

    fn group(id: &str) -> Group {
        let meta = Meta::of_group(format!("https://scim.example.com/Groups/{id}"));
        Group {
            id: id.to_owned(),
            external_id: id.to_owned(),
            display_name: id.to_owned(),
            members: Vec::new(),
            meta,
        }
    }

    fn made(
        vocabulary: &Arc<Vocabulary>,
        users: Vec<User>,
        groups: Vec<Group>,
        earlier: Earlier<'_>,
    ) -> Snapshot {
        let load = Loaded { users, groups, ..Loaded::nobody(Arc::clone(vocabulary)) };
        Snapshot::new(load, earlier, SignedDuration::ZERO, &SystemClock::default()).unwrap()
    }

    #[test]
    fn unchanged_resources_share_the_earlier_set() {
        let words = vocabulary();
        let users = || vec![user("10", "a"), user("9", "b"), user("x", "c")];
        let first = made(&words, users(), vec![group("g")], Earlier::Unknown);
        let ids: Vec<_> = first.users().all().iter().map(|user| user.id()).collect();
        assert_eq!(ids, ["9", "10", "x"]);

        let mut turned = users();
        turned.reverse();
        let same = made(&words, turned, vec![group("g")], Earlier::Served(&first));
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
            let other = made(&words, users, groups, Earlier::Served(&same));
            assert_eq!(ptr::eq(other.users(), first.users()), are_users_same);
            assert_eq!(ptr::eq(other.groups(), first.groups()), !are_users_same);
            assert_ne!(other.digest(), first.digest());
            for user in other.users().all() {
                let is_kept = first
                    .users()
                    .find(&user.id())
                    .is_some_and(|earlier| Arc::ptr_eq(earlier, user));
                assert_eq!(
                    is_kept,
                    !matches!(&*user.text("title").unwrap(), "d") && user.id() != "y"
                );
            }
        }
        let another = made(&vocabulary(), users(), vec![group("g")], Earlier::Served(&first));
        assert!(!ptr::eq(another.users(), first.users()), "another vocabulary has other types");
        assert_eq!(another.digest(), first.digest());
    }
}
