//! A complete, immutable set of users in their one order. What did not change since the last
//! snapshot is taken over from it, so that `meta` moves exactly when something else does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Loaded, Skipped};
use crate::clock::Clock;
use crate::scim::User;

/// All users at one moment.
#[derive(Debug)]
pub struct Snapshot {
    users: Vec<Arc<User>>,
    by_id: HashMap<String, usize>,
    skipped: Skipped,
    loaded: Duration,
}

impl Snapshot {
    /// A snapshot whose load began at `loaded` on the monotonic clock, and which is to be published now.
    #[must_use]
    pub fn new(load: Loaded, previous: Option<&Self>, loaded: Duration, clock: &dyn Clock) -> Self {
        let users: Vec<User> = load.users.into_iter().map(User::versioned).collect();
        // Only now, after what takes long: a change must not be dated to before it can be seen.
        let now = clock.now();
        let mut users: Vec<Arc<User>> = users.into_iter().map(|user| taken_over(user, previous, now)).collect();
        users.sort_by(|one, other| one.list_order(other));
        let by_id = users.iter().enumerate().map(|(place, user)| (user.id.clone(), place)).collect();
        Self { users, by_id, skipped: load.skipped, loaded }
    }

    /// The users, by creation and id.
    #[must_use]
    pub fn users(&self) -> &[Arc<User>] {
        &self.users
    }

    /// The user with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Arc<User>> {
        self.users.get(*self.by_id.get(id)?)
    }

    /// Who was left out on purpose.
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        self.skipped
    }

    /// How old it is at `now` on the monotonic clock.
    #[must_use]
    pub fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.loaded)
    }
}

/// The user as it was, if nothing that a client sees has changed. Otherwise, and when the user is
/// new to us, clients can see the change only from `now` on: whoever asks for what was modified
/// since the last time must not miss it, however long ago it happened upstream.
fn taken_over(mut user: User, previous: Option<&Snapshot>, now: Timestamp) -> Arc<User> {
    let Some(previous) = previous else { return Arc::new(user) };
    match previous.find(&user.id) {
        Some(earlier) if earlier.meta.version == user.meta.version => Arc::clone(earlier),
        Some(_) | None => {
            user.meta.last_modified = user.meta.last_modified.max(Some(now));
            Arc::new(user)
        }
    }
}
