//! Mass-change guard: refuses a load that would take something from too many users at once, or give
//! access to too many. Such a load is most likely a mistake in Personio, and an identity system
//! would act on it.
//!
//! The guard compares the account states of a load with those of the current snapshot. Losses
//! within the last hours count as well.

mod account_state;
pub(crate) mod held_change;
mod losses;
mod window;

use std::fmt;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwapOption;
use jiff::SignedDuration;

#[cfg(test)]
pub(crate) use crate::directory::guard::account_state::TestAccountStates;
use crate::directory::guard::account_state::{AccountChanges, AccountStates};
use crate::directory::guard::held_change::HeldChange;
pub use crate::directory::guard::losses::{
    ChangeKind, ChangeKinds, GroupLosses, Losses, MaxChange,
};
use crate::directory::guard::window::LossWindow;
use crate::directory::scopes::ScopeLosses;
use crate::directory::store::Store;
use crate::directory::{LoadedDirectory, lock};
use crate::scim;

/// Number of bytes of a digest that serve as id of a change.
const CHANGE_ID_BYTES: usize = 6;

/// Id of a change: a digest of the users and groups that differ, the kinds of change, and the new
/// states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeId([u8; CHANGE_ID_BYTES]);

impl ChangeId {
    fn of(change: &AccountChanges, later: &AccountStates) -> Self {
        let mut bytes = Vec::new();
        append_number(&mut bytes, change.users.len());
        for (id, kinds) in &change.users {
            append_id(&mut bytes, id);
            bytes.extend_from_slice(&kinds.bits().to_be_bytes());
            bytes.extend_from_slice(&later.user_hash(id).to_be_bytes());
        }
        append_number(&mut bytes, change.groups.len());
        for (id, _) in &change.groups {
            append_id(&mut bytes, id);
            bytes.extend_from_slice(&later.group_hash(id).to_be_bytes());
        }
        for id in &change.gained {
            append_id(&mut bytes, id);
            bytes.extend_from_slice(&later.user_hash(id).to_be_bytes());
        }
        let digest = scim::digest([&bytes]);
        let mut id = [0; CHANGE_ID_BYTES];
        for (byte, found) in id.iter_mut().zip(digest) {
            *byte = found;
        }
        Self(id)
    }
}

/// Appends a number with a fixed length.
fn append_number(bytes: &mut Vec<u8>, number: usize) {
    bytes.extend_from_slice(&(number as u64).to_be_bytes());
}

/// Appends an id after its length, so that different ids never give the same bytes.
fn append_id(bytes: &mut Vec<u8>, id: &str) {
    append_number(bytes, id.len());
    bytes.extend_from_slice(id.as_bytes());
}

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Verdict of the guard on a load.
#[derive(Debug)]
pub(super) struct Verdict {
    accounts: AccountStates,
    pub(super) id: ChangeId,
    pub(super) change: AccountChanges,
    /// Losses of the change alone.
    pub(super) own_losses: Losses,
    /// Losses of the change together with those within the window.
    pub(super) losses: Losses,
    pub(super) exceeds_limit: bool,
}

/// Guard with the states it compares with, and the change that it holds.
pub(super) struct MassChangeGuard {
    max_change: MaxChange,
    store: Arc<Store>,
    comparison: Mutex<Comparison>,
    /// Change of the newest load, if the guard refused it. Requests read it without a lock.
    held: ArcSwapOption<HeldChange>,
}

/// States with which a load is compared.
#[derive(Debug, Default)]
struct Comparison {
    /// Account states of the current snapshot; `None` before the first one.
    current: Option<AccountStates>,
    window: LossWindow,
}

impl MassChangeGuard {
    pub(super) fn new(max_change: MaxChange, store: Arc<Store>) -> Self {
        Self { max_change, store, comparison: Mutex::default(), held: ArcSwapOption::empty() }
    }

    /// Reports whether there is a limit.
    pub(super) fn is_limited(&self) -> bool {
        self.max_change.is_limited()
    }

    /// Compares a load with the current snapshot. `scope_losses` are the users of the load who leave
    /// the scopes of clients. While a change is held, no loss in the window
    /// expires.
    pub(super) fn compare(&self, loaded: &LoadedDirectory, scope_losses: &ScopeLosses) -> Verdict {
        let comparison = lock(&self.comparison);
        let accounts = AccountStates::of(loaded, comparison.current.as_ref());
        let mut change = match &comparison.current {
            Some(served) => served.changes(&accounts, &comparison.window.approved),
            None => AccountChanges::default(),
        };
        change.add_scope_losses(&scope_losses.users);
        let losses = comparison.window.losses(&change, self.now(), self.is_holding());
        // A change that takes nothing passes, whatever was lost before.
        let exceeds_limit = change.counts()
            && (self.max_change.is_exceeded_by(&losses)
                || self.exceeds_in_a_scope(&change, scope_losses));
        let id = ChangeId::of(&change, &accounts);
        Verdict { accounts, id, own_losses: change.losses(), change, losses, exceeds_limit }
    }

    /// Reports whether too many users leave the scope of a client. The client would take them for
    /// deleted. With a new mapping the users of a scope are the decision of the operator.
    fn exceeds_in_a_scope(&self, change: &AccountChanges, scope_losses: &ScopeLosses) -> bool {
        let mut by_scope = scope_losses.by_scope.iter();
        !change.has_new_mapping
            && by_scope.any(|loss| self.max_change.is_exceeded_in_scope(loss.lost, loss.total))
    }

    /// Records that a load within the limit was published.
    pub(super) fn record_published(&self, verdict: Verdict) {
        let mut comparison = lock(&self.comparison);
        if comparison.current.is_some() {
            comparison.window.add(&verdict.change, self.now(), self.is_holding());
        }
        let unverified = verdict.accounts.unverified();
        comparison.window.approved.retain(|id| unverified.contains(id));
        comparison.current = Some(verdict.accounts);
    }

    /// Records that a load was published because an operator approved it.
    pub(super) fn record_approved(&self, verdict: Verdict) {
        let mut comparison = lock(&self.comparison);
        comparison.window.reset_on_approval(verdict.accounts.unverified());
        comparison.current = Some(verdict.accounts);
    }

    /// Restores the account states and the window of the state file, which was written `elapsed`
    /// ago. Returns `None` if the window cannot be decoded.
    pub(super) fn restore(
        &self,
        loaded: &LoadedDirectory,
        window: &[u8],
        elapsed: SignedDuration,
    ) -> Option<()> {
        let window = LossWindow::from_bytes(window, self.now(), elapsed)?;
        let current = Some(AccountStates::of(loaded, None));
        *lock(&self.comparison) = Comparison { current, window };
        Some(())
    }

    /// Encodes the window.
    pub(super) fn window_bytes(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        lock(&self.comparison).window.to_bytes(self.now())
    }

    /// Returns the time on the monotonic clock.
    fn now(&self) -> SignedDuration {
        SignedDuration::try_from(self.store.clock.monotonic()).unwrap_or(SignedDuration::MAX)
    }
}
