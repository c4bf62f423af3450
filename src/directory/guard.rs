//! The mass-change guard: when very many users lose something at once, it is most likely a mistake upstream,
//! and an identity system would act on it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use super::{Loaded, Snapshot};
use crate::scim::Loss;

/// So few may lose anything, whatever the share.
const FEW: usize = 10;

/// Which share of the users may lose something from one snapshot to the next, or within some time: 1 is
/// everybody.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaxChange(pub f64);

impl MaxChange {
    /// Whether there is a bound at all.
    pub(super) fn is_bound(self) -> bool {
        self.0 < 1.0
    }

    /// Whether `losses` are too many.
    pub(super) fn is_exceeded_by(self, losses: &Losses) -> bool {
        self.is_bound() && losses.users > FEW && losses.users as f64 > losses.of as f64 * self.0
    }
}

/// How many users a change would take something from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// All users there were.
    pub of: usize,
    /// Those who would lose anything.
    pub users: usize,
    /// Those who would disappear, also if that is not confirmed yet.
    pub disappeared: usize,
    /// Those who would become inactive.
    pub deactivated: usize,
    /// Those whose `userName` would be another.
    pub renamed: usize,
    /// Those who would have no e-mail address any more.
    pub without_email: usize,
    /// Those who would have no employment any more.
    pub without_employment: usize,
}

impl Losses {
    /// What the users of `before` would lose if `after` were served.
    pub(super) fn between(before: &Snapshot, after: &Loaded) -> Self {
        let later: std::collections::HashMap<&str, _> = after.users.iter().map(|user| (&*user.id, user)).collect();
        let mut losses = Self { of: before.users().all().len(), ..Self::default() };
        for user in before.users().all() {
            let id = user.text("id").unwrap_or_default();
            // Who may be gone counted when they became so; otherwise they would have to be approved twice.
            if before.unconfirmed().contains(id) {
                continue;
            }
            let Some(later) = later.get(id).filter(|_| !after.unconfirmed.contains(id)) else {
                losses.disappeared += 1;
                losses.users += 1;
                continue;
            };
            let mut loses = false;
            for loss in user.standing().losses(later.standing()) {
                loses = true;
                *losses.of_kind(loss) += 1;
            }
            losses.users += usize::from(loses);
        }
        losses
    }

    fn of_kind(&mut self, loss: Loss) -> &mut usize {
        match loss {
            Loss::Active => &mut self.deactivated,
            Loss::UserName => &mut self.renamed,
            Loss::Email => &mut self.without_email,
            Loss::Employment => &mut self.without_employment,
        }
    }
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, users, disappeared, deactivated, renamed, without_email, without_employment } = self;
        write!(
            f,
            "{users} of {of} users would lose something: {disappeared} would disappear, {deactivated} become inactive, \
             {renamed} get another userName, {without_email} have no e-mail address, {without_employment} have no employment"
        )
    }
}

/// For how long losses add up. Employments are read again a few at a time, so what happened to everybody at
/// once can come in small parts, none of which is too large.
pub(super) const WINDOW: Duration = Duration::from_secs(2 * 3600);

/// What was served at the beginning of such a time.
#[derive(Debug)]
pub(super) struct Baseline {
    pub(super) snapshot: Arc<Snapshot>,
    /// When it became the baseline, on the monotonic clock.
    pub(super) since: Duration,
}

/// A change that is not served yet.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) loaded: Loaded,
    /// When its load began.
    pub(super) started: SignedDuration,
    pub(super) losses: Losses,
    /// When the first of a row of such loads was held back.
    pub(super) since: Duration,
    /// How many users would lose something as an operator was told last.
    pub(super) told: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_too_large_beyond_the_share_and_beyond_a_few() {
        for (users, of, share, expected) in [
            (10, 10, 0.2, false),
            (11, 11, 0.2, true),
            (11, 55, 0.2, false),
            (12, 55, 0.2, true),
            (200, 1000, 0.2, false),
            (201, 1000, 0.2, true),
            (11, 1000, 0.0, true),
            (1000, 1000, 1.0, false),
        ] {
            let losses = Losses { users, of, ..Losses::default() };
            assert_eq!(MaxChange(share).is_exceeded_by(&losses), expected, "{users} of {of}");
        }
    }
}
