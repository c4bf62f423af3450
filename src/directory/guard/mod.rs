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
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use jiff::SignedDuration;

pub(super) use crate::directory::guard::account_state::{AccountChanges, AccountStates};
pub use crate::directory::guard::losses::{
    ChangeKind, ChangeKinds, GroupLosses, Losses, MaxChange,
};
use crate::directory::guard::window::LossWindow;

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

/// Guard with the state it compares with.
#[derive(Debug, Default)]
pub(super) struct MassChangeGuard(Mutex<GuardState>);

#[derive(Debug, Default)]
struct GuardState {
    /// Account states of the current snapshot; `None` before the first one.
    current: Option<AccountStates>,
    window: LossWindow,
}

impl MassChangeGuard {
    /// Compares a load with the current snapshot. While a load `is_held`, no loss in the window
    /// expires.
    pub(super) fn compare(
        &self,
        max_change: MaxChange,
        loaded: &LoadedDirectory,
        now: Duration,
        is_held: bool,
    ) -> Verdict {
        let accounts = AccountStates::of(loaded);
        let state = self.state();
        let change = match &state.current {
            Some(served) => served.changes(&accounts, &state.window.approved),
            None => AccountChanges::default(),
        };
        let losses = state.window.losses(&change, to_signed(now), is_held);
        // A change that takes nothing passes, whatever was lost before.
        let exceeds_limit = change.counts() && max_change.is_exceeded_by(&losses);
        let id = ChangeId::of(&change, &accounts);
        Verdict { accounts, id, own_losses: change.losses(), change, losses, exceeds_limit }
    }

    /// Records that a load within the limit was published.
    pub(super) fn record_published(&self, verdict: Verdict, now: Duration, is_held: bool) {
        let mut state = self.state();
        if state.current.is_some() {
            state.window.add(&verdict.change, to_signed(now), is_held);
        }
        let unverified = verdict.accounts.unverified();
        state.window.approved.retain(|id| unverified.contains(id));
        state.current = Some(verdict.accounts);
    }

    /// Records that a load was published because an operator approved it.
    pub(super) fn record_approved(&self, verdict: Verdict) {
        let mut state = self.state();
        state.window.reset_on_approval(verdict.accounts.unverified());
        state.current = Some(verdict.accounts);
    }

    /// Restores the account states and the window of the state file, which was written `elapsed`
    /// ago. Returns `None` if the window cannot be decoded.
    pub(super) fn restore(
        &self,
        loaded: &LoadedDirectory,
        window: &[u8],
        now: Duration,
        elapsed: SignedDuration,
    ) -> Option<()> {
        let window = LossWindow::from_bytes(window, to_signed(now), elapsed)?;
        *self.state() = GuardState { current: Some(AccountStates::of(loaded)), window };
        Some(())
    }

    /// Encodes the window.
    pub(super) fn window_bytes(&self, now: Duration) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        self.state().window.to_bytes(to_signed(now))
    }

    fn state(&self) -> MutexGuard<'_, GuardState> {
        lock(&self.0)
    }
}

fn to_signed(moment: Duration) -> SignedDuration {
    SignedDuration::try_from(moment).unwrap_or(SignedDuration::MAX)
}
