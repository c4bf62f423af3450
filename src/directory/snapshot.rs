//! A complete, immutable set of users and groups. What did not change since the last snapshot is taken
//! over from it, so that `meta` moves exactly when something else does.

use std::sync::Arc;
use std::time::Duration;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

use super::{Loaded, Skipped, SourceError};
use crate::clock::Clock;
use crate::scim::{self, Content, Digest, Resource, ResourceType, ResourceTypes, Resources, Unwritable};

/// All users and groups at one moment.
#[derive(Debug)]
pub struct Snapshot {
    users: Resources,
    groups: Resources,
    skipped: Skipped,
    loaded: Duration,
    digest: Digest,
}

impl Snapshot {
    /// A snapshot whose load began at `loaded` on the monotonic clock, and which is to be published now.
    ///
    /// # Errors
    /// When a resource cannot be written as JSON.
    pub fn new(
        load: Loaded,
        types: &ResourceTypes,
        previous: Option<&Self>,
        loaded: Duration,
        clock: &dyn Clock,
    ) -> Result<Self, SourceError> {
        let mut users = versioned(load.users)?;
        users.sort_by(scim::User::list_order);
        let mut groups = versioned(load.groups)?;
        // Only now, after what takes long: a change must not be dated to before it can be seen.
        let now = moment(clock.now());
        // Nothing tells when a group changed: perhaps while this program did not run.
        groups.iter_mut().for_each(|group| group.meta.last_modified = Some(now));
        let users = resources(&types.user, users, previous.map(|previous| &previous.users), now)?;
        let groups = resources(&types.group, groups, previous.map(|previous| &previous.groups), now)?;
        let digest = digest([&users, &groups]);
        Ok(Self { users, groups, skipped: load.skipped, loaded, digest })
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

    /// What its content is recognised by: a snapshot with the same content has the same.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// How old it is at `now` on the monotonic clock.
    #[must_use]
    pub fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.loaded)
    }
}

/// To the millisecond, since clients read no more digits, and not before: a change must not be missed.
fn moment(now: Timestamp) -> Timestamp {
    let up = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Ceil);
    now.round(up).unwrap_or(now)
}

fn versioned<C: Content>(contents: Vec<C>) -> Result<Vec<C>, SourceError> {
    Ok(contents.into_iter().map(Content::versioned).collect::<Result<_, _>>()?)
}

fn resources<C: Content>(
    kind: &Arc<ResourceType>,
    contents: Vec<C>,
    previous: Option<&Resources>,
    now: Timestamp,
) -> Result<Resources, SourceError> {
    let all = contents.into_iter().map(|content| taken_over(kind, content, previous, now));
    let resources = Resources::new(kind, all.collect::<Result<_, _>>()?);
    if let Some(previous) = previous {
        resources.prepare_like(previous);
    }
    Ok(resources)
}

/// The resource as it was, if nothing that a client sees has changed. Otherwise, and when it is new to
/// us, clients can see the change only from `now` on: whoever asks for what was modified since the last
/// time must not miss it, however long ago it happened upstream.
fn taken_over<C: Content>(
    kind: &Arc<ResourceType>,
    mut content: C,
    previous: Option<&Resources>,
    now: Timestamp,
) -> Result<Arc<Resource>, Unwritable> {
    if let Some(previous) = previous {
        let earlier = previous.find(content.id());
        let meta = content.meta_mut();
        if let Some(earlier) = earlier
            && earlier.text("meta.version") == Some(&meta.version)
        {
            return Ok(Arc::clone(earlier));
        }
        meta.last_modified = meta.last_modified.max(Some(now));
    }
    Resource::new(kind, &content).map(Arc::new)
}

fn digest(sets: [&Resources; 2]) -> Digest {
    let resources = sets.into_iter().flat_map(|resources| resources.all());
    let parts = resources.flat_map(|resource| {
        ["id", "meta.version", "meta.lastModified"].map(|path| resource.text(path).unwrap_or_default().as_bytes())
    });
    scim::digest(parts)
}
