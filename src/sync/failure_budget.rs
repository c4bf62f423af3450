//! Failure budget: the number of employments that a load may fail to read before the failures count
//! as an outage.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use crate::personio::{Employments, Error};

/// Number of persons whose employments may be unreadable in a company of any size, limited to half
/// of a small company. It is also the maximum number of consecutive failures, since more of them
/// indicate an outage.
const FEW: usize = 10;
/// Divisor that gives the limit for a large company: one person in five.
const SHARE: usize = 5;
/// Divisor that gives the number of persons that may be left out of a large company because their
/// employments are unknown: one in twenty, as in a listing of persons.
const LEFT_OUT_DIVISOR: usize = 20;

/// Counter of consecutive failures. After a long streak, further requests are pointless.
#[derive(Debug, Default)]
pub(crate) struct Row {
    length: AtomicUsize,
    was_long: AtomicBool,
}

impl Row {
    /// Counts the outcome of one request.
    pub(crate) fn note(&self, succeeded: bool) {
        if succeeded {
            self.length.store(0, Relaxed);
        } else if self.length.fetch_add(1, Relaxed) >= FEW {
            self.was_long.store(true, Relaxed);
        }
    }

    /// Reports whether a long streak has occurred. A later success does not reset this.
    pub(crate) fn is_long(&self) -> bool {
        self.was_long.load(Relaxed)
    }
}

/// Validity of the earlier employments of one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// The employments are recent enough to stand in for new ones.
    Trusted,
    /// The employments are too old to stand in for new ones.
    Old,
    /// The employments are unknown, so that the person is left out.
    Missing,
}

/// State of the employments of one person before a load reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) earlier: Earlier,
    /// True if the last attempt to read them failed.
    pub(crate) failed: bool,
}

/// Counters of failures and their limits for one load.
pub(crate) struct Unreadable {
    /// Maximum number of persons without valid employments.
    tolerated: usize,
    /// Maximum number of persons among them without any employments.
    tolerated_left_out: usize,
    /// Number of persons whose employments are too old.
    old: usize,
    /// Number of persons whose employments are unknown.
    left_out: usize,
    /// Number of failures of both kinds since the last success. Persons whose last attempt had
    /// failed already do not count.
    untrusted_in_a_row: usize,
    /// Number of persons that keep valid employments of an earlier load.
    outdated: usize,
    /// Number of responses with an employment of another person.
    foreign: usize,
    /// Number of such responses since the last success.
    foreign_in_a_row: usize,
    first: Option<Error>,
}

impl Unreadable {
    /// Creates the budget for a load of this number of persons.
    pub(crate) fn among(persons: usize) -> Self {
        Self {
            tolerated: FEW.min(persons.div_ceil(2)).max(persons / SHARE),
            tolerated_left_out: FEW.min(persons / 2).max(persons / LEFT_OUT_DIVISOR),
            old: 0,
            left_out: 0,
            untrusted_in_a_row: 0,
            outdated: 0,
            foreign: 0,
            foreign_in_a_row: 0,
            first: None,
        }
    }

    /// Counts the outcome for one person. Returns the employments, or `None` if they cannot be read
    /// and the budget tolerates it.
    pub(crate) fn note(
        &mut self,
        answer: Result<Employments, Error>,
        before: Before,
    ) -> Result<Option<Employments>, Error> {
        match answer {
            Ok(employments) => {
                self.untrusted_in_a_row = 0;
                self.foreign_in_a_row = 0;
                return Ok(Some(employments));
            }
            Err(error) if error.blocks_every_request() => return Err(error),
            Err(error) => {
                match before.earlier {
                    Earlier::Trusted => self.outdated += 1,
                    Earlier::Old => self.old += 1,
                    Earlier::Missing => self.left_out += 1,
                }
                // A load reads the persons whose last attempt failed one after another, so that
                // their failures do not indicate an outage.
                if before.earlier != Earlier::Trusted && !before.failed {
                    self.untrusted_in_a_row += 1;
                }
                if self.are_too_many() {
                    return Err(error);
                }
                self.first.get_or_insert(error);
            }
        }
        Ok(None)
    }

    fn are_too_many(&self) -> bool {
        self.old + self.left_out > self.tolerated
            || self.left_out > self.tolerated_left_out
            || self.untrusted_in_a_row > FEW
    }

    /// Counts a response with an employment of another person. Such a response is wrong, so that
    /// many of them fail the load even if all persons have earlier employments.
    pub(crate) fn note_foreign(&mut self, error: &Error) -> Result<(), Error> {
        self.foreign += 1;
        self.foreign_in_a_row += 1;
        if self.foreign > self.tolerated || self.foreign_in_a_row > FEW {
            return Err(error.clone());
        }
        Ok(())
    }

    pub(crate) fn report(&self) {
        if let Some(error) = &self.first {
            let Self { left_out, old, outdated, .. } = self;
            let kept = outdated + old;
            tracing::warn!(
                kept,
                left_out,
                "the employments of some persons cannot be read: {kept} persons are served with \
                 employments of an earlier load, {left_out} persons are left out because no \
                 employments are known; first failure: {error}"
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

    const TRUSTED: Before = Before { earlier: Earlier::Trusted, failed: false };
    const OLD: Before = Before { earlier: Earlier::Old, failed: false };
    const MISSING: Before = Before { earlier: Earlier::Missing, failed: false };

    #[test]
    fn eleven_consecutive_failures_exhaust_the_budget() {
        for before in [OLD, MISSING] {
            let mut unreadable = Unreadable::among(5000);
            for _ in 0..5 {
                assert!((0..10).all(|_| unreadable.note(failure(), before).is_ok()));
                assert!(unreadable.note(Ok(Employments::default()), before).is_ok());
            }
            let failed = Before { failed: true, ..before };
            assert!(
                (0..20).all(|_| unreadable.note(failure(), failed).is_ok()),
                "they failed before, too"
            );
            assert!((0..10).all(|_| unreadable.note(failure(), before).is_ok()));
            assert!(unreadable.note(failure(), before).is_err());
        }
    }

    #[test]
    fn failures_up_to_the_limit_are_tolerated() {
        for (persons, old, left_out) in [
            (1, 1, 0),
            (2, 1, 1),
            (3, 2, 1),
            (4, 2, 2),
            (20, 10, 10),
            (49, 10, 10),
            (60, 12, 10),
            (219, 43, 10),
            (220, 44, 11),
            (1000, 200, 50),
        ] {
            for (before, tolerated) in [(OLD, old), (MISSING, left_out)] {
                let mut unreadable = Unreadable::among(persons);
                for _ in 0..tolerated {
                    assert!(unreadable.note(failure(), before).is_ok(), "{persons} {before:?}");
                    assert!(
                        unreadable.note(failure(), TRUSTED).is_ok(),
                        "trusted ones do not count"
                    );
                    assert!(unreadable.note(Ok(Employments::default()), before).is_ok());
                }
                assert!(unreadable.note(failure(), before).is_err(), "{persons} {before:?}");
            }
        }
    }

    #[test]
    fn too_many_foreign_employments_exhaust_the_budget() {
        for (persons, tolerated) in [(1, 1), (4, 2), (50, 10)] {
            let mut unreadable = Unreadable::among(persons);
            let error = Error::NotFound { endpoint: Endpoint::Employments };
            for _ in 0..tolerated {
                assert!(unreadable.note_foreign(&error).is_ok(), "{persons}");
                assert!(unreadable.note(failure(), TRUSTED).is_ok(), "{persons}");
            }
            assert!(unreadable.note_foreign(&error).is_err(), "{persons}");
        }
        let error = Error::NotFound { endpoint: Endpoint::Employments };
        for (answers_between, tolerated) in [(false, 10), (true, 200)] {
            let mut unreadable = Unreadable::among(1000);
            for _ in 0..tolerated {
                assert!(unreadable.note_foreign(&error).is_ok());
                if answers_between {
                    assert!(unreadable.note(Ok(Employments::default()), TRUSTED).is_ok());
                }
            }
            assert!(unreadable.note_foreign(&error).is_err());
        }
    }

    #[test]
    fn success_does_not_reset_a_long_streak() {
        let row = Row::default();
        (0..10).for_each(|_| row.note(false));
        assert!(!row.is_long());
        row.note(true);
        (0..11).for_each(|_| row.note(false));
        row.note(true);
        assert!(row.is_long());
    }
}
