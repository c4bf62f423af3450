//! When employments that cannot be read are those of a few, and when they are an outage.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use crate::personio::{Employments, Error};

/// Of so many persons the employments may be unreadable before a load counts as failed, though not of
/// more than half of a small company …
const FEW: usize = 10;
/// … nor may so many in a row, since that is an outage; a large company may have one in five.
const SHARE: usize = 5;

/// Counts failures in a row: after a long one it makes no sense to go on asking.
#[derive(Debug, Default)]
pub(super) struct Row {
    length: AtomicUsize,
    was_long: AtomicBool,
}

impl Row {
    pub(super) fn note(&self, succeeded: bool) {
        if succeeded {
            self.length.store(0, Relaxed);
        } else if self.length.fetch_add(1, Relaxed) >= FEW {
            self.was_long.store(true, Relaxed);
        }
    }

    pub(super) fn is_long(&self) -> bool {
        self.was_long.load(Relaxed)
    }
}

/// What was known of somebody's employments before they were to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// Some that are as good as new ones.
    Trusted,
    /// Nothing, or nothing of worth, since they could not be read then either.
    Failed,
    /// Nothing.
    Unknown,
}

/// Counts the persons whose employments cannot be read.
pub(super) struct Unreadable {
    tolerated: usize,
    /// How many persons have no employments that can be trusted, and how many of those came in a row.
    bare: usize,
    bare_in_a_row: usize,
    /// How many persons have those of an earlier load.
    outdated: usize,
    /// Number of answers with an employment of another person.
    foreign: usize,
    foreign_in_a_row: usize,
    first: Option<Error>,
}

impl Unreadable {
    pub(super) fn among(persons: usize) -> Self {
        let tolerated = FEW.min(persons.div_ceil(2)).max(persons / SHARE);
        Self { tolerated, bare: 0, bare_in_a_row: 0, outdated: 0, foreign: 0, foreign_in_a_row: 0, first: None }
    }

    /// The employments, or none if they may be missing; of somebody whose earlier ones are trusted they may.
    pub(super) fn note(
        &mut self,
        answer: Result<Employments, Error>,
        before: Before,
    ) -> Result<Option<Employments>, Error> {
        match answer {
            Ok(employments) => {
                self.bare_in_a_row = 0;
                self.foreign_in_a_row = 0;
                return Ok(Some(employments));
            }
            Err(error) if error.blocks_every_request() => return Err(error),
            Err(error) if before == Before::Trusted => {
                self.outdated += 1;
                self.first.get_or_insert(error);
            }
            Err(error) => {
                self.bare += 1;
                // In a later load those who failed before come one after the other: that is no outage.
                self.bare_in_a_row += usize::from(before == Before::Unknown);
                if self.bare > self.tolerated || self.bare_in_a_row > FEW {
                    return Err(error);
                }
                self.first.get_or_insert(error);
            }
        }
        Ok(None)
    }

    /// Counts an answer with an employment of another person. It is an answer about the wrong person, so that many of
    /// them fail the load also where all persons have earlier employments.
    pub(super) fn note_foreign(&mut self, error: &Error) -> Result<(), Error> {
        self.foreign += 1;
        self.foreign_in_a_row += 1;
        if self.foreign > self.tolerated || self.foreign_in_a_row > FEW {
            return Err(error.clone());
        }
        Ok(())
    }

    pub(super) fn report(&self) {
        if let Some(error) = &self.first {
            let Self { bare, outdated, .. } = self;
            tracing::warn!(
                bare,
                outdated,
                "the employments of some persons cannot be read: {outdated} are served with the last that could be, {bare} \
                 without or with old ones; the first failure: {error}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::personio::Endpoint;

    fn failure() -> Result<Employments, Error> {
        Err(Error::NotFound { endpoint: Endpoint::Employments })
    }

    #[test]
    fn eleven_in_a_row_without_employments_are_an_outage() {
        let mut unreadable = Unreadable::among(500);
        for _ in 0..5 {
            assert!((0..10).all(|_| unreadable.note(failure(), Before::Unknown).is_ok()));
            assert!(unreadable.note(Ok(Employments::default()), Before::Unknown).is_ok());
        }
        assert!((0..10).all(|_| unreadable.note(failure(), Before::Unknown).is_ok()));
        assert!(unreadable.note(failure(), Before::Unknown).is_err());
    }

    #[test]
    fn some_may_be_without_employments_more_may_not() {
        for (persons, tolerated) in
            [(1, 1), (2, 1), (3, 2), (4, 2), (20, 10), (49, 10), (50, 10), (60, 12), (1000, 200)]
        {
            let mut unreadable = Unreadable::among(persons);
            for _ in 0..tolerated {
                assert!(unreadable.note(failure(), Before::Unknown).is_ok(), "{persons}");
                assert!(unreadable.note(failure(), Before::Trusted).is_ok(), "earlier ones do not count");
                assert!(unreadable.note(Ok(Employments::default()), Before::Unknown).is_ok());
            }
            assert!(unreadable.note(failure(), Before::Unknown).is_err(), "{persons}");
        }
    }

    #[test]
    fn many_employments_of_other_persons_are_no_accident() {
        for (persons, tolerated) in [(1, 1), (4, 2), (50, 10)] {
            let mut unreadable = Unreadable::among(persons);
            let error = Error::NotFound { endpoint: Endpoint::Employments };
            for _ in 0..tolerated {
                assert!(unreadable.note_foreign(&error).is_ok(), "{persons}");
                assert!(unreadable.note(failure(), Before::Trusted).is_ok(), "{persons}");
            }
            assert!(unreadable.note_foreign(&error).is_err(), "{persons}");
        }
        let error = Error::NotFound { endpoint: Endpoint::Employments };
        for (answers_between, tolerated) in [(false, 10), (true, 200)] {
            let mut unreadable = Unreadable::among(1000);
            for _ in 0..tolerated {
                assert!(unreadable.note_foreign(&error).is_ok());
                if answers_between {
                    assert!(unreadable.note(Ok(Employments::default()), Before::Trusted).is_ok());
                }
            }
            assert!(unreadable.note_foreign(&error).is_err());
        }
    }

    #[test]
    fn a_long_row_is_remembered() {
        let row = Row::default();
        (0..10).for_each(|_| row.note(false));
        assert!(!row.is_long());
        row.note(true);
        (0..11).for_each(|_| row.note(false));
        row.note(true);
        assert!(row.is_long());
    }
}
