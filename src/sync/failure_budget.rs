//! Failure budget: the number of employments that a load may fail to read before the failures count
//! as an outage.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use crate::personio::{Error, PersonEmployments};

/// Number of persons whose employments may be unreadable in a company of any size, limited to half
/// of a small company. It is also the maximum number of consecutive failures, since more of them
/// indicate an outage.
const MAX_FAILURES: usize = 10;
/// Divisor that gives the limit for a large company: one person in five.
const FAILURE_DIVISOR: usize = 5;
/// Divisor that gives the number of persons that may be left out of a large company because their
/// employments are unknown: one in twenty, as in a listing of persons.
const LEFT_OUT_DIVISOR: usize = 20;

/// Counter of consecutive failures. After a long streak, further requests are pointless.
#[derive(Debug, Default)]
pub(crate) struct FailureStreak {
    length: AtomicUsize,
    was_exceeded: AtomicBool,
}

impl FailureStreak {
    /// Counts the outcome of one request.
    pub(crate) fn add_outcome(&self, succeeded: bool) {
        if succeeded {
            self.length.store(0, Relaxed);
        } else if self.length.fetch_add(1, Relaxed) >= MAX_FAILURES {
            self.was_exceeded.store(true, Relaxed);
        }
    }

    /// Reports whether a long streak has occurred. A later success does not reset this.
    pub(crate) fn was_exceeded(&self) -> bool {
        self.was_exceeded.load(Relaxed)
    }
}

/// Validity of the earlier employments of one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EarlierEmployments {
    /// The employments are recent enough to replace a failed read.
    Valid,
    /// The employments are too old to replace a failed read.
    Outdated,
    /// The employments are unknown, so that the person is left out.
    Missing,
}

/// State of the employments of one person before a load reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StateBeforeRead {
    pub(crate) earlier: EarlierEmployments,
    /// True if the last attempt to read them failed.
    pub(crate) failed_before: bool,
}

/// Responses with an employment of another person.
#[derive(Default)]
struct ForeignResponses {
    count: usize,
    /// Number of such responses since the last success.
    streak: usize,
}

/// Counters of failures and their limits for one load.
pub(crate) struct FailureBudget {
    /// Maximum number of persons without valid employments.
    max_failures: usize,
    /// Maximum number of persons among them without any employments.
    max_left_out: usize,
    /// Number of persons that keep outdated employments of an earlier load.
    kept_outdated: usize,
    /// Number of persons that are left out because their employments are unknown.
    left_out: usize,
    /// Number of failures of both kinds since the last success. Persons whose last attempt had
    /// failed already do not count.
    failure_streak: usize,
    /// Number of persons that keep valid employments of an earlier load.
    kept_valid: usize,
    foreign: ForeignResponses,
    first_error: Option<Error>,
}

impl FailureBudget {
    /// Creates the budget for a load of this number of persons.
    pub(crate) fn for_persons(persons: usize) -> Self {
        Self {
            max_failures: MAX_FAILURES.min(persons.div_ceil(2)).max(persons / FAILURE_DIVISOR),
            max_left_out: MAX_FAILURES.min(persons / 2).max(persons / LEFT_OUT_DIVISOR),
            kept_outdated: 0,
            left_out: 0,
            failure_streak: 0,
            kept_valid: 0,
            foreign: ForeignResponses::default(),
            first_error: None,
        }
    }

    /// Counts the outcome for one person. Returns the employments, or `None` if they cannot be read
    /// and the budget tolerates it.
    pub(crate) fn add_outcome(
        &mut self,
        result: Result<PersonEmployments, Error>,
        before: StateBeforeRead,
    ) -> Result<Option<PersonEmployments>, Error> {
        match result {
            Ok(employments) => {
                self.failure_streak = 0;
                self.foreign.streak = 0;
                return Ok(Some(employments));
            }
            Err(error) if error.blocks_every_request() => return Err(error),
            Err(error) => {
                match before.earlier {
                    EarlierEmployments::Valid => self.kept_valid += 1,
                    EarlierEmployments::Outdated => self.kept_outdated += 1,
                    EarlierEmployments::Missing => self.left_out += 1,
                }
                // A load reads the persons whose last attempt failed one after another, so that
                // their failures do not indicate an outage.
                if before.earlier != EarlierEmployments::Valid && !before.failed_before {
                    self.failure_streak += 1;
                }
                if self.is_exhausted() {
                    return Err(error);
                }
                self.first_error.get_or_insert(error);
            }
        }
        Ok(None)
    }

    fn is_exhausted(&self) -> bool {
        self.kept_outdated + self.left_out > self.max_failures
            || self.left_out > self.max_left_out
            || self.failure_streak > MAX_FAILURES
    }

    /// Counts a response with an employment of another person. Such a response is wrong, so that
    /// many of them fail the load even if all persons have earlier employments.
    pub(crate) fn add_foreign(&mut self, error: &Error) -> Result<(), Error> {
        self.foreign.count += 1;
        self.foreign.streak += 1;
        if self.foreign.count > self.max_failures || self.foreign.streak > MAX_FAILURES {
            return Err(error.clone());
        }
        Ok(())
    }

    pub(crate) fn log(&self) {
        if let Some(error) = &self.first_error {
            let Self { left_out, kept_outdated, kept_valid, .. } = self;
            let kept = kept_valid + kept_outdated;
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

    fn failure() -> Result<PersonEmployments, Error> {
        Err(Error::NotFound { endpoint: Endpoint::Employments })
    }

    const VALID: StateBeforeRead =
        StateBeforeRead { earlier: EarlierEmployments::Valid, failed_before: false };
    const OUTDATED: StateBeforeRead =
        StateBeforeRead { earlier: EarlierEmployments::Outdated, failed_before: false };
    const MISSING: StateBeforeRead =
        StateBeforeRead { earlier: EarlierEmployments::Missing, failed_before: false };

    #[test]
    fn eleven_consecutive_failures_exhaust_the_budget() {
        for before in [OUTDATED, MISSING] {
            let mut budget = FailureBudget::for_persons(5000);
            for _ in 0..5 {
                assert!((0..10).all(|_| budget.add_outcome(failure(), before).is_ok()));
                assert!(budget.add_outcome(Ok(PersonEmployments::default()), before).is_ok());
            }
            let failed = StateBeforeRead { failed_before: true, ..before };
            assert!(
                (0..20).all(|_| budget.add_outcome(failure(), failed).is_ok()),
                "they failed before, too"
            );
            assert!((0..10).all(|_| budget.add_outcome(failure(), before).is_ok()));
            assert!(budget.add_outcome(failure(), before).is_err());
        }
    }

    #[test]
    fn failures_up_to_the_limit_are_tolerated() {
        for (persons, kept_outdated, left_out) in [
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
            for (before, tolerated) in [(OUTDATED, kept_outdated), (MISSING, left_out)] {
                let mut budget = FailureBudget::for_persons(persons);
                for _ in 0..tolerated {
                    assert!(budget.add_outcome(failure(), before).is_ok(), "{persons} {before:?}");
                    assert!(
                        budget.add_outcome(failure(), VALID).is_ok(),
                        "valid ones do not count"
                    );
                    assert!(budget.add_outcome(Ok(PersonEmployments::default()), before).is_ok());
                }
                assert!(budget.add_outcome(failure(), before).is_err(), "{persons} {before:?}");
            }
        }
    }

    #[test]
    fn too_many_foreign_employments_exhaust_the_budget() {
        for (persons, tolerated) in [(1, 1), (4, 2), (50, 10)] {
            let mut budget = FailureBudget::for_persons(persons);
            let error = Error::NotFound { endpoint: Endpoint::Employments };
            for _ in 0..tolerated {
                assert!(budget.add_foreign(&error).is_ok(), "{persons}");
                assert!(budget.add_outcome(failure(), VALID).is_ok(), "{persons}");
            }
            assert!(budget.add_foreign(&error).is_err(), "{persons}");
        }
        let error = Error::NotFound { endpoint: Endpoint::Employments };
        for (successes_between, tolerated) in [(false, 10), (true, 200)] {
            let mut budget = FailureBudget::for_persons(1000);
            for _ in 0..tolerated {
                assert!(budget.add_foreign(&error).is_ok());
                if successes_between {
                    assert!(budget.add_outcome(Ok(PersonEmployments::default()), VALID).is_ok());
                }
            }
            assert!(budget.add_foreign(&error).is_err());
        }
    }

    #[test]
    fn success_does_not_reset_a_long_streak() {
        let streak = FailureStreak::default();
        (0..10).for_each(|_| streak.add_outcome(false));
        assert!(!streak.was_exceeded());
        streak.add_outcome(true);
        (0..11).for_each(|_| streak.add_outcome(false));
        streak.add_outcome(true);
        assert!(streak.was_exceeded());
    }
}
