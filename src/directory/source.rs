//! Where users come from, as far as the directory needs to know.

use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use crate::directory::Progress;
use crate::scim::{Group, Unwritable, User, Vocabulary};

/// Where users come from.
pub trait Source: Send + Sync + 'static {
    /// What there is to say of users and groups now.
    fn vocabulary(&self) -> Arc<Vocabulary>;
    /// All users and groups, or a failure: never a part of them.
    fn load<'a>(&'a self, progress: &'a Progress) -> BoxFuture<'a, Result<Loaded, SourceError>>;
    /// As [`Source::load`], for whoever serves what was made of `served`: where all would be as it is, it need not be
    /// made anew.
    fn load_after<'a>(
        &'a self,
        progress: &'a Progress,
        served: Option<Arc<dyn Memory>>,
    ) -> BoxFuture<'a, Result<News, SourceError>> {
        drop(served);
        self.load(progress).map(|loaded| Ok(News::Loaded(Box::new(loaded?)))).boxed()
    }
    /// The same as in the load that left this memory, made anew for today; nothing if it is another source's.
    /// Asks nobody.
    fn again(&self, memory: &Arc<dyn Memory>) -> Option<Loaded>;
    /// What is served is this, and not what was loaded last: the next load goes by it, and reads again what was
    /// different.
    fn served(&self, memory: &Arc<dyn Memory>);
    /// The same as when [`Memory::to_bytes`] was called, in an earlier life of the program. Asks nobody.
    ///
    /// # Errors
    /// When `memory` is not what this source writes; in words that go on from "the state file …".
    fn recall(&self, memory: &[u8]) -> Result<Loaded, SourceError>;
    /// One user; `None` if it is certain that there is none.
    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<User>, SourceError>>;
    /// Whether it lets us in, as it said last; nothing if it was not asked yet.
    fn login(&self) -> Option<Login>;
    /// A condition that an operator should know of and that stops nothing, if there is one. In words that continue
    /// a sentence.
    fn warning(&self) -> Option<SourceError> {
        None
    }
    /// What follows from a message that has come from there.
    ///
    /// # Errors
    /// When it cannot be understood.
    fn told(&self, message: &[u8]) -> Result<Told, Malformed>;
}

/// Whether a source lets us in.
#[derive(Debug, Clone)]
pub struct Login {
    /// Why not.
    pub refusal: Option<SourceError>,
    /// For how long that has been so.
    pub since: Duration,
}

/// What a source knows, to make the same users again: on another day, or after a restart.
pub trait Memory: Any + fmt::Debug + Send + Sync {
    /// The same in bytes.
    ///
    /// # Errors
    /// When it cannot be written.
    fn to_bytes(&self) -> Result<Vec<u8>, SourceError>;
}

/// What follows from a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Something has changed: a load would bring it.
    Refresh,
    /// Nothing.
    Nothing,
}

/// A message that cannot be understood. The reason holds nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

impl Malformed {
    /// A reason, as a sentence about what was sent.
    #[must_use]
    pub fn new(reason: String) -> Self {
        Self(reason)
    }
}

/// What a load means for whoever serves something.
#[derive(Debug)]
pub enum News {
    /// This is to be served.
    Loaded(Box<Loaded>),
    /// On the day for which it was made, what is served is what would be loaded. This is what the source knows now.
    Same(Arc<dyn Memory>),
}

/// What a load brought.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// By what they are rendered.
    pub vocabulary: Arc<Vocabulary>,
    /// Every user, in any order.
    pub users: Vec<User>,
    /// Every group, in the order in which they are listed.
    pub groups: Vec<Group>,
    /// Who was left out.
    pub skipped: Skipped,
    /// How many of the users are partly as they were before, since that could not be read again.
    pub outdated: usize,
    /// What could not be read, or not be taken as it is.
    pub defects: Defects,
    /// Number of users who lack a name, of a department for example, since it could not be read.
    pub nameless: usize,
    /// The ids of those users who may be gone, which is not confirmed.
    pub unconfirmed: HashSet<Box<str>>,
    /// Why this must not be served where nothing was served before.
    pub flaw: Option<SourceError>,
    /// When the same makes the same users; at other times it makes others, by the date alone.
    pub day: Option<Range<Timestamp>>,
    /// What the source knows.
    pub memory: Option<Arc<dyn Memory>>,
}

impl Loaded {
    /// Nobody, of a company without anybody.
    #[must_use]
    pub fn nobody(vocabulary: Arc<Vocabulary>) -> Self {
        Self {
            vocabulary,
            users: Vec::new(),
            groups: Vec::new(),
            skipped: Skipped::default(),
            outdated: 0,
            defects: Defects::default(),
            nameless: 0,
            unconfirmed: HashSet::new(),
            flaw: None,
            day: None,
            memory: None,
        }
    }
}

/// Who was left out of a load on purpose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Persons without an e-mail address, where the company requires one.
    pub without_email: usize,
}

/// Number of examples of defects that are shown.
const MAX_EXAMPLES: usize = 10;

/// What a load could not read, or not take as it is, although it succeeded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defects {
    /// New persons who cannot be read, and are not served therefore.
    pub left_out: usize,
    /// Persons who cannot be read, and are served as they were before.
    pub kept: usize,
    /// Values that are absent, or have U+FFFD for what cannot be decoded.
    pub values: usize,
    /// A few of them by id and attribute, never by value.
    pub examples: Vec<String>,
}

impl Defects {
    /// Adds an example, unless there are enough.
    pub fn add_example(&mut self, example: impl FnOnce() -> String) {
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(example());
        }
    }

    /// Reports whether there are none.
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
            "{kept} persons cannot be read and stay as they were, {left_out} new persons cannot be read and are left \
             out, {values} values cannot be read and are absent or incomplete ({})",
            examples.join("; ")
        )
    }
}

/// Why a source failed, in words for the operator, without anything of a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(Arc<str>);

impl SourceError {
    /// A failure, in one sentence.
    #[must_use]
    pub fn new(reason: String) -> Self {
        Self(reason.into())
    }
}

impl From<Unwritable> for SourceError {
    fn from(error: Unwritable) -> Self {
        Self::new(error.to_string())
    }
}
