//! A complete, immutable set of users and groups. What did not change since the last snapshot is taken
//! over from it, so that `meta` moves exactly when something else does.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};

use crate::clock::Clock;
use crate::directory::{Defects, Loaded, MaxChange, Skipped, SourceError, parallel};
use crate::scim;
use crate::scim::{Content, Digest, Resource, ResourceType, Resources, Stamp, Stamps, Unwritable, User, Vocabulary};

/// All users and groups at one moment.
#[derive(Debug)]
pub struct Snapshot {
    vocabulary: Arc<Vocabulary>,
    /// Also in the snapshot before, if nothing changed.
    users: Arc<Resources>,
    groups: Arc<Resources>,
    skipped: Skipped,
    outdated: usize,
    defects: Defects,
    nameless: usize,
    unconfirmed: HashSet<Box<str>>,
    loaded: SignedDuration,
    day: Option<Range<Timestamp>>,
    digest: Digest,
}

/// What is known of a state that this one follows.
#[derive(Debug, Clone, Copy)]
pub enum Earlier<'a> {
    /// Nothing.
    Unknown,
    /// It was served by this program.
    Served(&'a Snapshot),
    /// It was served before a restart.
    Stamped {
        /// The stamps of its users.
        users: &'a Stamps,
        /// The stamps of its groups.
        groups: &'a Stamps,
    },
}

/// The same for resources of one type.
#[derive(Debug, Clone, Copy)]
enum Previous<'a> {
    Unknown,
    Served(&'a Arc<Resources>),
    Stamped(&'a Stamps),
}

impl Snapshot {
    /// A snapshot whose load began at `loaded` on the monotonic clock, and which is to be published now.
    ///
    /// # Errors
    /// When a resource cannot be written as JSON.
    pub fn new(
        load: Loaded,
        earlier: Earlier<'_>,
        loaded: SignedDuration,
        clock: &dyn Clock,
    ) -> Result<Self, SourceError> {
        let types = &load.vocabulary.types;
        // Later others are served meanwhile.
        let alone = matches!(earlier, Earlier::Unknown | Earlier::Stamped { .. });
        let mut users = parallel::each(load.users, alone, Content::versioned)?;
        users.sort_by_cached_key(scim::User::list_key);
        let groups = parallel::each(load.groups, alone, Content::versioned)?;
        // Only now, after what takes long: a change must not be dated to before it can be seen.
        let now = moment(clock.now());
        let (earlier_users, earlier_groups) = match earlier {
            Earlier::Unknown => (Previous::Unknown, Previous::Unknown),
            Earlier::Served(earlier) => (Previous::Served(&earlier.users), Previous::Served(&earlier.groups)),
            Earlier::Stamped { users, groups } => (Previous::Stamped(users), Previous::Stamped(groups)),
        };
        let users = resources(&types.user, users, earlier_users, now)?;
        let groups = resources(&types.group, groups, earlier_groups, now)?;
        let digest = match earlier {
            Earlier::Served(earlier) if earlier.holds(&users, &groups) => earlier.digest,
            Earlier::Unknown | Earlier::Served(_) | Earlier::Stamped { .. } => digest([&users, &groups]),
        };
        let Loaded { vocabulary, skipped, outdated, defects, nameless, unconfirmed, day, .. } = load;
        Ok(Self { vocabulary, users, groups, skipped, outdated, defects, nameless, unconfirmed, loaded, day, digest })
    }

    /// Whether its users and groups are these very ones.
    fn holds(&self, users: &Arc<Resources>, groups: &Arc<Resources>) -> bool {
        Arc::ptr_eq(&self.users, users) && Arc::ptr_eq(&self.groups, groups)
    }

    /// The same, as a load found it again that began at `loaded` on the monotonic clock.
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

    /// What there is to say of them.
    #[must_use]
    pub fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.vocabulary
    }

    /// What a first load brought, where nothing else was served before and nobody is to serve it.
    ///
    /// # Errors
    /// When it is such that it must not be served either.
    pub fn alone(mut load: Loaded, max_change: MaxChange, clock: &dyn Clock) -> Result<Self, SourceError> {
        match load.flaw.take().filter(|_| max_change.is_bound()) {
            Some(flaw) => Err(flaw),
            None => Self::new(load, Earlier::Unknown, SignedDuration::ZERO, clock),
        }
    }

    /// The users, by creation and id.
    #[must_use]
    pub fn users(&self) -> &Resources {
        &self.users
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &Resources {
        &self.groups
    }

    /// Who was left out on purpose.
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        self.skipped
    }

    /// What could not be read, or not be taken as it is.
    #[must_use]
    pub fn defects(&self) -> &Defects {
        &self.defects
    }

    /// How many of the users are partly as they were before, since that could not be read again.
    #[must_use]
    pub fn outdated(&self) -> usize {
        self.outdated
    }

    /// Number of users who lack a name, of a department for example, since it could not be read.
    #[must_use]
    pub fn nameless(&self) -> usize {
        self.nameless
    }

    /// The ids of those users who may be gone, which is not confirmed.
    #[must_use]
    pub fn unconfirmed(&self) -> &HashSet<Box<str>> {
        &self.unconfirmed
    }

    /// What its content is recognised by: a snapshot with the same content has the same.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Returns whether there are more users than the largest page holds.
    #[must_use]
    pub fn exceeds_page(&self) -> bool {
        self.users().all().len() > self.vocabulary().max_results
    }

    /// How old it is at `now` on the monotonic clock.
    #[must_use]
    pub fn age(&self, now: Duration) -> Duration {
        let now = SignedDuration::try_from(now).unwrap_or(SignedDuration::MAX);
        Duration::try_from(now.saturating_sub(self.loaded)).unwrap_or_default()
    }

    /// When its load began, on the monotonic clock; before its beginning for what was loaded before a restart.
    pub(super) fn loaded(&self) -> SignedDuration {
        self.loaded
    }

    /// Whether the date makes no other users of the same data.
    pub(super) fn is_of_today(&self, now: Timestamp) -> bool {
        self.day.as_ref().is_none_or(|day| day.contains(&now))
    }
}

/// To the millisecond, since clients read no more digits, and not before: a change must not be missed.
fn moment(now: Timestamp) -> Timestamp {
    let up = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Ceil);
    now.round(up).unwrap_or(now)
}

/// The same set as before, if nothing in it has changed: then nothing about it needs to be worked out again.
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

/// The resource as it was, if nothing that a client sees has changed. Otherwise, and when it is new to
/// us, clients can see the change only from `now` on: whoever asks for what was modified since the last
/// time must not miss it, however long ago it happened upstream.
fn taken_over<C: Content>(
    kind: &Arc<ResourceType>,
    mut content: C,
    previous: Previous<'_>,
    now: Timestamp,
) -> Result<Arc<Resource>, Unwritable> {
    let is_first_load = matches!(previous, Previous::Unknown);
    let earlier = match previous {
        Previous::Unknown => None,
        Previous::Served(previous) => match previous.find(content.id()) {
            Some(earlier) => {
                let is_unchanged = earlier.version().as_deref() == Some(&content.meta_mut().version);
                // The same may be said of it in another vocabulary.
                if is_unchanged && Arc::ptr_eq(earlier.resource_type(), kind) {
                    return Ok(Arc::clone(earlier));
                }
                Stamp::of(earlier)
            }
            None => None,
        },
        Previous::Stamped(stamps) => stamps.get(content.id()).cloned(),
    };
    let is_dated_by_server = content.is_dated_by_server();
    let meta = content.meta_mut();
    meta.last_modified = match &earlier {
        Some(earlier) if earlier.version == meta.version => earlier.last_modified,
        Some(earlier) => Some(now).max(just_after(earlier.last_modified)),
        None if is_first_load => Some(meta.last_modified.unwrap_or(now).min(now)),
        None => Some(now),
    };
    if is_dated_by_server {
        let seen = earlier.and_then(|earlier| earlier.created.or(earlier.last_modified));
        meta.created = seen.or(Some(now));
    } else {
        meta.created = not_in_future(meta.created, meta.last_modified, now);
    }
    Resource::new(kind, &content).map(Arc::new)
}

/// The first moment that clients tell from this one. What has changed is never older than it was, also after the clock
/// was set back.
fn just_after(moment: Option<Timestamp>) -> Option<Timestamp> {
    moment?.checked_add(SignedDuration::from_millis(1)).ok()
}

/// The moment at which somebody was created. Personio's clock may be ahead, or its time zone unclear; the change that
/// was seen last is then the latest moment that is sure, and it stays the same across restarts.
fn not_in_future(created: Option<Timestamp>, last_modified: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    match created {
        Some(created) if created > now => last_modified,
        created => created,
    }
}

/// Limits the moments of a user who was fetched alone, as those of a first load are.
pub(super) fn limit_moments(user: &mut User, now: Timestamp) {
    let now = moment(now);
    let meta = user.meta_mut();
    meta.last_modified = meta.last_modified.map(|last_modified| last_modified.min(now));
    meta.created = not_in_future(meta.created, meta.last_modified.or(Some(now)), now);
}

fn digest(sets: [&Resources; 2]) -> Digest {
    let resources = sets.into_iter().flat_map(|resources| resources.all());
    let parts = resources.flat_map(|resource| {
        let (version, last_modified) = (resource.version(), resource.last_modified_text());
        [resource.id(), version.unwrap_or_default(), last_modified.unwrap_or_default()].map(Cow::into_owned)
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
        Group { id: id.to_owned(), external_id: id.to_owned(), display_name: id.to_owned(), members: Vec::new(), meta }
    }

    fn made(vocabulary: &Arc<Vocabulary>, users: Vec<User>, groups: Vec<Group>, earlier: Earlier<'_>) -> Snapshot {
        let load = Loaded { users, groups, ..Loaded::nobody(Arc::clone(vocabulary)) };
        Snapshot::new(load, earlier, SignedDuration::ZERO, &SystemClock::default()).unwrap()
    }

    #[test]
    fn what_has_not_changed_is_the_same_set() {
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
            (vec![user("10", "a"), user("9", "b"), user("x", "c"), user("y", "c")], vec![group("g")], false),
            (users(), vec![group("h")], true),
            (users(), Vec::new(), true),
        ] {
            let other = made(&words, users, groups, Earlier::Served(&same));
            assert_eq!(ptr::eq(other.users(), first.users()), are_users_same);
            assert_eq!(ptr::eq(other.groups(), first.groups()), !are_users_same);
            assert_ne!(other.digest(), first.digest());
            for user in other.users().all() {
                let is_kept = first.users().find(&user.id()).is_some_and(|earlier| Arc::ptr_eq(earlier, user));
                assert_eq!(is_kept, !matches!(&*user.text("title").unwrap(), "d") && user.id() != "y");
            }
        }
        let another = made(&vocabulary(), users(), vec![group("g")], Earlier::Served(&first));
        assert!(!ptr::eq(another.users(), first.users()), "another vocabulary has other types");
        assert_eq!(another.digest(), first.digest());
    }
}
