//! One load: who is listed, who is really gone, and what has changed of the others. What Personio does not
//! answer is taken as it was, and nobody goes because of an answer that is missing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use super::plan::Plan;
use super::records::Record;
use crate::directory::Progress;
use crate::personio::model::{Employment, Person};
use crate::personio::{Client, Endpoint, Error};

/// Of so many persons the employments may be unreadable before a load counts as failed, though not of
/// more than half of a small company …
const FEW: usize = 10;
/// … nor may so many in a row, since that is an outage; a large company may have one in five.
const SHARE: usize = 5;
/// So many persons who are missing are asked for in one load. The others wait for the next.
const CONFIRMATIONS: usize = 200;

/// A load that is under way.
pub(super) struct Refresh<'a> {
    pub(super) client: &'a Client,
    pub(super) progress: &'a Progress,
    /// The custom attributes that are read.
    pub(super) wanted: &'a [String],
    /// When it began: nothing that it reads is taken to be newer.
    pub(super) now: Timestamp,
    /// For how long employments that cannot be read again are as good as those that can.
    pub(super) trusted: Duration,
}

/// Those who are missing, after Personio was asked for each.
#[derive(Debug, Default)]
struct Confirmed {
    /// Those who are not gone, or not surely.
    left: Vec<Arc<Record>>,
    gone: usize,
    unconfirmed: usize,
}

/// What a load has found out.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) people: HashMap<String, Arc<Record>>,
    /// How many of them are missing from the listing without being surely gone.
    pub(super) unconfirmed: usize,
}

impl Refresh<'_> {
    /// Carries out a plan. What was read stays in `gleaned` also when the load fails.
    pub(super) async fn carry_out(
        &self,
        plan: Plan,
        gleaned: &mut HashMap<String, Arc<Record>>,
    ) -> Result<Found, Error> {
        let Plan { kept, to_read, missing } = plan;
        self.progress.complete(kept.len() + to_read.len());
        kept.iter().for_each(|_| self.progress.enriched());
        let confirmed = self.confirmed(missing).await?;
        let read = self.enriched(kept.len(), to_read, gleaned).await?;
        let people = kept.into_iter().chain(read).chain(confirmed.left);
        let people = people.map(|record| (record.person.id.clone(), record)).collect();
        Ok(Found { people, unconfirmed: confirmed.unconfirmed })
    }

    /// Asks for those who are missing one by one. Only whom Personio says not to know is gone: a listing can
    /// be short for many reasons.
    async fn confirmed(&self, mut missing: Vec<Arc<Record>>) -> Result<Confirmed, Error> {
        let later = missing.split_off(missing.len().min(CONFIRMATIONS));
        let mut confirmed = Confirmed { unconfirmed: later.len(), left: later, gone: 0 };
        let in_vain = Row::default();
        let answers = stream::iter(missing).map(|record| {
            let in_vain = &in_vain;
            async move {
                if in_vain.is_long() {
                    return (record, None);
                }
                let answer = self.client.person(&record.person.id, self.wanted).await;
                in_vain.note(answer.is_ok());
                (record, Some(answer))
            }
        });
        let mut answers = answers.buffer_unordered(self.client.max_concurrency());
        while let Some((record, answer)) = answers.next().await {
            confirmed.note(record, answer, self.now)?;
        }
        confirmed.report();
        Ok(confirmed)
    }

    /// Reads employments. Where they cannot be read, those that could last be read are kept; a few persons
    /// may have none, many mean that something larger is wrong, and then nobody is served without.
    async fn enriched(
        &self,
        kept: usize,
        to_read: Vec<(Person, Option<Arc<Record>>)>,
        gleaned: &mut HashMap<String, Arc<Record>>,
    ) -> Result<Vec<Arc<Record>>, Error> {
        let mut unreadable = Unreadable::among(kept + to_read.len());
        let in_vain = Row::default();
        let answers = stream::iter(to_read).map(|(person, earlier)| {
            let in_vain = &in_vain;
            async move {
                let answer = if in_vain.is_long() && self.is_trusted(earlier.as_deref()) {
                    None
                } else {
                    let answer = self.client.employments(&person.id).await;
                    let answer = answer.and_then(|read| believed(read, &person, earlier.as_deref()));
                    in_vain.note(answer.is_ok());
                    Some(answer)
                };
                self.progress.enriched();
                (person, earlier, answer)
            }
        });
        let mut answers = answers.buffer_unordered(self.client.max_concurrency());
        let mut read = Vec::new();
        while let Some((person, earlier, answer)) = answers.next().await {
            let before = self.before(earlier.as_deref());
            let employments = answer.map(|answer| unreadable.note(answer, before)).transpose()?.flatten();
            let is_read = employments.is_some();
            let record = Arc::new(self.record(person, earlier.as_deref(), employments));
            if is_read {
                gleaned.insert(record.person.id.clone(), Arc::clone(&record));
            }
            read.push(record);
        }
        unreadable.report();
        Ok(read)
    }

    fn before(&self, earlier: Option<&Record>) -> Before {
        match earlier {
            _ if self.is_trusted(earlier) => Before::Trusted,
            Some(record) if record.failed => Before::Failed,
            Some(_) | None => Before::Unknown,
        }
    }

    fn is_trusted(&self, earlier: Option<&Record>) -> bool {
        let age = |record: &Record| self.now.duration_since(record.read).unsigned_abs();
        earlier.is_some_and(|record| record.employments.is_some() && age(record) <= self.trusted)
    }

    /// The person as listed, with the employments as they were read now, or else as they were before.
    fn record(&self, person: Person, earlier: Option<&Record>, employments: Option<Vec<Employment>>) -> Record {
        match (employments, earlier) {
            (Some(employments), _) => {
                Record { person, employments: Some(employments), read: self.now, failed: false, asked: None }
            }
            (None, Some(earlier)) => {
                let Record { employments, read, .. } = earlier.clone();
                Record { person, employments, read, failed: true, asked: None }
            }
            (None, None) => Record { person, employments: None, read: self.now, failed: true, asked: None },
        }
    }
}

impl Confirmed {
    /// What Personio said of somebody who is missing; nothing if it was not asked.
    fn note(
        &mut self,
        record: Arc<Record>,
        answer: Option<Result<Option<Person>, Error>>,
        now: Timestamp,
    ) -> Result<(), Error> {
        match answer {
            Some(Ok(None)) => self.gone += 1,
            Some(Ok(Some(person))) => {
                let changed = person != record.person;
                let failed = record.failed || changed;
                self.left.push(Arc::new(Record { person, asked: Some(now), failed, ..Record::clone(&record) }));
            }
            Some(Err(error @ Error::Credential { .. })) => return Err(error),
            Some(Err(_)) => {
                self.unconfirmed += 1;
                // Whoever cannot be told must not keep the others from being asked for.
                self.left.push(Arc::new(Record { asked: Some(now), ..Record::clone(&record) }));
            }
            None => {
                self.unconfirmed += 1;
                self.left.push(record);
            }
        }
        Ok(())
    }

    fn report(&self) {
        let Self { left, gone, unconfirmed } = self;
        if *gone > 0 {
            tracing::info!(gone, "{gone} persons are gone: Personio knows them no longer");
        }
        if !left.is_empty() {
            let left = left.len();
            tracing::warn!(
                left,
                unconfirmed,
                "{left} persons are missing from Personio's list and are kept: {unconfirmed} of them are not confirmed to \
                 be gone, the others exist"
            );
        }
    }
}

/// The employments that were read, unless one is missing that was there before and that the person, as
/// listed, still has: a list can be short for many reasons. A few at a time, as they are read, all could lose
/// theirs without there ever being many at once.
pub(super) fn believed(
    read: Vec<Employment>,
    person: &Person,
    earlier: Option<&Record>,
) -> Result<Vec<Employment>, Error> {
    let known = earlier.and_then(|record| record.employments.as_deref()).unwrap_or_default();
    let is_among = |employments: &[Employment], id: &str| employments.iter().any(|employment| employment.id == id);
    let mut listed = person.employments.iter().filter_map(|employment| employment.id.as_deref());
    if listed.any(|id| !is_among(&read, id) && (read.is_empty() || is_among(known, id))) {
        let reason = "an employment is missing that the person has".to_owned();
        return Err(Error::Unreadable { endpoint: Endpoint::Employments, reason });
    }
    Ok(read)
}

/// Counts failures in a row: after a long one it makes no sense to go on asking.
#[derive(Debug, Default)]
struct Row {
    length: std::sync::atomic::AtomicUsize,
    was_long: AtomicBool,
}

impl Row {
    fn note(&self, succeeded: bool) {
        if succeeded {
            self.length.store(0, Relaxed);
        } else if self.length.fetch_add(1, Relaxed) >= FEW {
            self.was_long.store(true, Relaxed);
        }
    }

    fn is_long(&self) -> bool {
        self.was_long.load(Relaxed)
    }
}

/// What was known of somebody's employments before they were to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Some that are as good as new ones.
    Trusted,
    /// Nothing, or nothing of worth, since they could not be read then either.
    Failed,
    /// Nothing.
    Unknown,
}

/// Counts the persons whose employments cannot be read.
struct Unreadable {
    tolerated: usize,
    /// How many persons have no employments that can be trusted, and how many of those came in a row.
    bare: usize,
    bare_in_a_row: usize,
    /// How many persons have those of an earlier load.
    outdated: usize,
    first: Option<Error>,
}

impl Unreadable {
    fn among(persons: usize) -> Self {
        let tolerated = FEW.min(persons.div_ceil(2)).max(persons / SHARE);
        Self { tolerated, bare: 0, bare_in_a_row: 0, outdated: 0, first: None }
    }

    /// The employments, or none if they may be missing; of somebody whose earlier ones are trusted they may.
    fn note(
        &mut self,
        answer: Result<Vec<Employment>, Error>,
        before: Before,
    ) -> Result<Option<Vec<Employment>>, Error> {
        match answer {
            Ok(employments) => {
                self.bare_in_a_row = 0;
                return Ok(Some(employments));
            }
            Err(error @ Error::Credential { .. }) => return Err(error),
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

    fn report(&self) {
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
    use serde_json::json;

    use super::*;

    fn failure() -> Result<Vec<Employment>, Error> {
        Err(Error::NotFound { endpoint: Endpoint::Employments })
    }

    #[test]
    fn eleven_in_a_row_without_employments_are_an_outage() {
        let mut unreadable = Unreadable::among(500);
        for _ in 0..5 {
            assert!((0..10).all(|_| unreadable.note(failure(), Before::Unknown).is_ok()));
            assert!(unreadable.note(Ok(Vec::new()), Before::Unknown).is_ok());
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
                assert!(unreadable.note(Ok(Vec::new()), Before::Unknown).is_ok());
            }
            assert!(unreadable.note(failure(), Before::Unknown).is_err(), "{persons}");
        }
    }

    #[test]
    fn an_employment_goes_only_if_it_is_missing_everywhere() {
        let employments = |ids: &[&str]| -> Vec<Employment> {
            ids.iter().map(|id| serde_json::from_value(json!({"id": id})).unwrap()).collect()
        };
        for (known, listed, read, is_believed) in [
            (["a", "b"].as_slice(), ["a", "b"].as_slice(), ["b", "a"].as_slice(), true),
            (&["a"], &["a"], &[], false),
            (&["a", "b"], &["a", "b"], &["b"], false),
            (&["a"], &["a", "b"], &["b"], false),
            (&["a", "b"], &["b"], &["b"], true),
            (&["a"], &[], &[], true),
            (&[], &["a"], &[], false),
            (&["a"], &["b"], &["b"], true),
        ] {
            let listed: Vec<_> = listed.iter().map(|id| json!({"id": id})).collect();
            let person: Person = serde_json::from_value(json!({"id": "7", "employments": listed})).unwrap();
            let earlier = Record {
                person: person.clone(),
                employments: Some(employments(known)),
                read: Timestamp::UNIX_EPOCH,
                failed: false,
                asked: None,
            };
            let result = believed(employments(read), &person, Some(&earlier));
            assert_eq!(result.is_ok(), is_believed, "{known:?} {listed:?} {read:?}");
            let is_empty = read.is_empty() && !person.employments.is_empty();
            assert_eq!(believed(employments(read), &person, None).is_ok(), !is_empty);
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
