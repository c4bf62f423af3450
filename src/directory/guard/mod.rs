//! The mass-change guard: a load that would take something from very many users at once, or give access to very
//! many, is most likely a mistake upstream, and an identity system would act on it.
//!
//! What is compared are account states, with those that are served. What was lost within the last hours counts too.

mod account_state;
pub(crate) mod held_change;
mod losses;
mod window;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;

pub(super) use crate::directory::guard::account_state::{Accounts, Change};
pub use crate::directory::guard::losses::{GroupLosses, Kind, Kinds, Losses, MaxChange};
use crate::directory::guard::window::Window;

use crate::directory::Loaded;
use crate::scim;

/// Bytes of a digest that name a change.
const ID_LENGTH: usize = 6;

/// Name of a change: the digest of whom it changes, in what, and into what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeId([u8; ID_LENGTH]);

impl ChangeId {
    fn of(change: &Change, later: &Accounts) -> Self {
        let users = change.users.iter().flat_map(|(id, kinds)| {
            let [kinds, state] =
                [u64::from(kinds.bits()), later.hash_of(id)].map(|number| number.to_be_bytes().to_vec());
            [id.as_bytes().to_vec(), kinds, state]
        });
        let groups = change
            .groups
            .iter()
            .flat_map(|(id, _)| [id.as_bytes().to_vec(), later.group_hash(id).to_be_bytes().to_vec()]);
        let digest = scim::digest(users.chain([b"groups".to_vec()]).chain(groups));
        let mut id = [0; ID_LENGTH];
        id.iter_mut().zip(digest).for_each(|(byte, found)| *byte = found);
        Self(id)
    }
}

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What the guard makes of a load.
#[derive(Debug)]
pub(super) struct Verdict {
    accounts: Accounts,
    pub(super) id: ChangeId,
    pub(super) change: Change,
    /// Numbers of the change alone.
    pub(super) own: Losses,
    /// Numbers of the change and of what was lost within the window.
    pub(super) losses: Losses,
    pub(super) is_too_much: bool,
}

/// The guard.
#[derive(Debug, Default)]
pub(super) struct Guard(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Account states that are served; nothing before anything is.
    served: Option<Accounts>,
    window: Window,
}

impl Guard {
    /// Compares a load with what is served. While something `is_held`, nothing in the window is too old.
    pub(super) fn judge(&self, bound: MaxChange, loaded: &Loaded, now: Duration, is_held: bool) -> Verdict {
        let accounts = Accounts::of(loaded);
        let state = self.state();
        let change = match &state.served {
            Some(served) => served.changes(&accounts, &state.window.approved),
            None => Change::default(),
        };
        let losses = state.window.losses(&change, signed(now), is_held);
        // What takes nothing from anybody passes, whatever was lost before.
        let is_too_much = change.counts() && bound.is_exceeded_by(&losses);
        let id = ChangeId::of(&change, &accounts);
        Verdict { accounts, id, own: change.losses(), change, losses, is_too_much }
    }

    /// Notes that what was judged is served from now on.
    pub(super) fn published(&self, verdict: Verdict, now: Duration, is_held: bool) {
        let mut state = self.state();
        if state.served.is_some() {
            state.window.note(&verdict.change, signed(now), is_held);
        }
        let unconfirmed = verdict.accounts.unconfirmed();
        state.window.approved.retain(|id| unconfirmed.contains(id));
        state.served = Some(verdict.accounts);
    }

    /// Notes that what was judged is served from now on because somebody says that it is right.
    pub(super) fn approved(&self, verdict: Verdict) {
        let mut state = self.state();
        state.window.approve(verdict.accounts.unconfirmed());
        state.served = Some(verdict.accounts);
    }

    /// Takes over what was served before a restart, and the window of that time, written `elapsed` ago. Returns nothing
    /// if the window cannot be read.
    pub(super) fn recall(&self, loaded: &Loaded, window: &[u8], now: Duration, elapsed: SignedDuration) -> Option<()> {
        let window = Window::from_bytes(window, signed(now), elapsed)?;
        *self.state() = State { served: Some(Accounts::of(loaded)), window };
        Some(())
    }

    /// Returns the window in bytes.
    pub(super) fn window_bytes(&self, now: Duration) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        self.state().window.to_bytes(signed(now))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn signed(moment: Duration) -> SignedDuration {
    SignedDuration::try_from(moment).unwrap_or(SignedDuration::MAX)
}
