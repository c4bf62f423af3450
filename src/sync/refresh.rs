//! One load: who is listed, who is really gone, and what has changed of the others. What Personio does not
//! answer is taken as it was, and nobody goes because of an answer that is missing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use crate::clock::Clock;
use crate::directory::Progress;
use crate::personio::model::{Employment, Person};
use crate::personio::{Client, Employments, Endpoint, Error, Read};
use crate::sync::employment_owners::Owners;
use crate::sync::failure_budget::{Before, Earlier, Row, Unreadable};
use crate::sync::lookup_ids::Named;
use crate::sync::record_codec::{Fault, Listed};
use crate::sync::records::{Odd, People, Record};
use crate::sync::refresh_plan::{Plan, ToRead};

/// For so long a load reads again what nothing says to have changed; the rest waits for the next, so that a long
/// silence does not make one that lasts for hours.
const RECHECKS: Duration = Duration::from_secs(300);
/// So many persons who are missing are asked for in one load. The others wait for the next.
const CONFIRMATIONS: usize = 200;

/// A load that is under way.
pub(crate) struct Refresh<'a> {
    pub(crate) client: &'a Client,
    pub(crate) progress: &'a Progress,
    pub(crate) clock: &'a dyn Clock,
    /// The custom attributes that are read.
    pub(crate) wanted: &'a [String],
    /// When it began: nothing that it reads is taken to be newer.
    pub(crate) now: Timestamp,
    /// For how long employments that cannot be read again are as good as those that can.
    pub(crate) trusted: Duration,
}

/// What became of asking for somebody's employments.
enum Answer {
    Of(Reading),
    /// It was not asked for: too many before could not be read.
    InVain,
    /// It was not asked for: that can wait.
    NotNow,
}

/// Employments that were read for a person.
struct Reading {
    /// Ids of those in the answer, also where it is not believed.
    ids: Vec<String>,
    believed: Result<Employments, Error>,
}

/// What loads have read, also those that failed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gleaned {
    /// Those who were read since the last load that did not fail.
    pub(crate) people: People,
    /// What the employments of everybody name who was ever read.
    pub(crate) named: Named,
}

/// Those who are missing, after Personio was asked for each.
#[derive(Debug, Default)]
pub(crate) struct Confirmed {
    /// Those who exist all the same, as they are now.
    pub(crate) found: Vec<Listed>,
    /// Those of whom it is not sure whether they exist, as they were.
    pub(crate) unconfirmed: Vec<Arc<Record>>,
    gone: usize,
}

impl Refresh<'_> {
    /// Asks for those who are missing one by one. Only whom Personio says not to know is gone: a listing can
    /// be short for many reasons.
    pub(crate) async fn confirmed(&self, mut missing: Vec<Arc<Record>>) -> Result<Confirmed, Error> {
        let later = missing.split_off(missing.len().min(CONFIRMATIONS));
        let mut confirmed = Confirmed::default();
        later.into_iter().for_each(|record| confirmed.leave(record));
        let in_vain = Row::default();
        let answers = stream::iter(missing).map(|record| {
            let in_vain = &in_vain;
            async move {
                if in_vain.is_long() {
                    return (record, None);
                }
                let answer = self.client.person(&record.id, self.wanted).await;
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

    /// Carries out a plan. What was read stays in `gleaned` also when the load fails.
    pub(crate) async fn carry_out(
        &self,
        plan: Plan,
        owners: Owners,
        gleaned: &mut Gleaned,
    ) -> Result<Vec<Arc<Record>>, Error> {
        let Plan { mut kept, to_read } = plan;
        self.progress.complete(kept.len() + to_read.len());
        kept.iter().for_each(|_| self.progress.enriched());
        let mut read = self.enriched(&kept, to_read, owners, gleaned).await?;
        kept.append(&mut read);
        Ok(kept)
    }

    /// Reads employments. Where they cannot be read, those that could last be read are kept. A record without any
    /// belongs to a person who is not served yet; many of these fail the load.
    async fn enriched(
        &self,
        kept: &[Arc<Record>],
        to_read: Vec<ToRead>,
        mut owners: Owners,
        gleaned: &mut Gleaned,
    ) -> Result<Vec<Arc<Record>>, Error> {
        let mut unreadable = Unreadable::among(kept.len() + to_read.len());
        let mut bytes: usize = kept.iter().map(|record| record.packed.size()).sum();
        let (in_vain, end) = (Row::default(), self.clock.monotonic() + RECHECKS);
        let answers = stream::iter(to_read).map(|ToRead { person, earlier, can_wait }| {
            let in_vain = &in_vain;
            async move {
                let is_trusted = self.is_trusted(earlier.as_deref());
                let answer = if can_wait && is_trusted && self.clock.monotonic() > end {
                    Answer::NotNow
                } else if in_vain.is_long() && is_trusted {
                    Answer::InVain
                } else {
                    let read = self.client.employments(&person.id).await;
                    let ids = read.as_ref().map(Employments::ids).unwrap_or_default();
                    let believed = read
                        .and_then(|read| believed(read, &person.person()?, &known_employments(earlier.as_deref())?));
                    in_vain.note(believed.is_ok());
                    Answer::Of(Reading { ids, believed })
                };
                self.progress.enriched();
                (person, earlier, answer)
            }
        });
        let mut answers = answers.buffer_unordered(self.client.max_concurrency());
        let mut read = Vec::new();
        while let Some((person, earlier, answer)) = answers.next().await {
            let employments = match (answer, &earlier) {
                (Answer::NotNow, Some(earlier)) => {
                    read.push(Arc::clone(earlier));
                    continue;
                }
                (Answer::NotNow | Answer::InVain, _) => None,
                (Answer::Of(reading), _) => {
                    let answer = owned(reading, &person.id, &mut owners);
                    if let Err(error) = &answer
                        && is_about_another(error)
                    {
                        unreadable.note_foreign(error)?;
                    }
                    unreadable.note(answer, self.before(earlier.as_deref()))?
                }
            };
            let record = Arc::new(self.record(&person, earlier.as_deref(), employments.as_ref())?);
            bytes += record.packed.size();
            check_size(bytes, self.client.limits().record_bytes)?;
            if let Some(read) = employments {
                gleaned.named.add(&read.employments);
                gleaned.people.insert(Arc::clone(&record));
            }
            read.push(record);
        }
        unreadable.report();
        Ok(read)
    }

    fn before(&self, earlier: Option<&Record>) -> Before {
        let kept = match earlier {
            Some(record) if record.packed.knows_employments() => Earlier::Old,
            Some(_) | None => Earlier::Missing,
        };
        let is_trusted = self.is_trusted(earlier);
        Before {
            earlier: if is_trusted { Earlier::Trusted } else { kept },
            failed: earlier.is_some_and(|record| record.failed),
        }
    }

    fn is_trusted(&self, earlier: Option<&Record>) -> bool {
        let age = |record: &Record| self.now.duration_since(record.read).unsigned_abs();
        earlier.is_some_and(|record| record.packed.knows_employments() && age(record) <= self.trusted)
    }

    /// The person as listed, with the employments as they were read now, or else as they were before.
    fn record(&self, person: &Listed, earlier: Option<&Record>, read: Option<&Employments>) -> Result<Record, Fault> {
        let mut record = Record::new(person, read.map(|read| &*read.employments), self.now)?;
        if let Some(read) = read {
            record.odd.employments.clone_from(&read.odd);
        } else if let Some(earlier) = earlier {
            let odd = Odd { person: record.odd.person, employments: earlier.odd.employments.clone() };
            let packed = earlier.packed.with_person(person);
            return Ok(Record { packed, read: earlier.read, odd, ..record });
        }
        Ok(record)
    }
}

impl Confirmed {
    /// What Personio said of somebody who is missing; nothing if it was not asked.
    fn note(
        &mut self,
        record: Arc<Record>,
        answer: Option<Result<Option<Read<Person>>, Error>>,
        now: Timestamp,
    ) -> Result<(), Error> {
        match answer {
            Some(Ok(None)) => self.gone += 1,
            Some(Ok(Some(person))) => self.found.push(Listed::of(person)?),
            Some(Err(error)) if error.blocks_every_request() => return Err(error),
            // Whoever cannot be told must not keep the others from being asked for.
            Some(Err(_)) => self.leave(Arc::new(Record { asked: Some(now), ..Record::clone(&record) })),
            None => self.leave(record),
        }
        Ok(())
    }

    /// Somebody stays who may be gone.
    fn leave(&mut self, mut record: Arc<Record>) {
        if !record.unconfirmed {
            Arc::make_mut(&mut record).unconfirmed = true;
        }
        self.unconfirmed.push(record);
    }

    fn report(&self) {
        let (gone, unconfirmed, found) = (self.gone, self.unconfirmed.len(), self.found.len());
        if gone > 0 {
            tracing::info!(gone, "{gone} persons are gone: Personio knows them no longer");
        }
        if unconfirmed + found > 0 {
            tracing::warn!(
                unconfirmed,
                found,
                "some persons are missing from Personio's list and are kept: {unconfirmed} are not confirmed to be gone, \
                 {found} exist"
            );
        }
    }
}

/// The employments of somebody as they could last be read.
pub(crate) fn known_employments(earlier: Option<&Record>) -> Result<Vec<Employment>, Fault> {
    Ok(earlier.map(|record| record.packed.employments()).transpose()?.flatten().unwrap_or_default())
}

/// Why employments are not taken that belong to another person.
const ABOUT_ANOTHER: &str = "an employment is another person's";

fn unreadable(reason: &str) -> Error {
    Error::Unreadable { endpoint: Endpoint::Employments, reason: reason.to_owned() }
}

fn is_about_another(error: &Error) -> bool {
    matches!(error, Error::Unreadable { endpoint: Endpoint::Employments, reason } if reason == ABOUT_ANOTHER)
}

/// The employments that were read for a person, unless one of them belongs to another.
fn owned(reading: Reading, person: &str, owners: &mut Owners) -> Result<Employments, Error> {
    for id in &reading.ids {
        if !owners.belongs(id, person) {
            return Err(unreadable(ABOUT_ANOTHER));
        }
    }
    reading.believed
}

/// Fails a load whose records take more than `limit` bytes.
pub(crate) fn check_size(bytes: usize, limit: usize) -> Result<(), Error> {
    if bytes <= limit {
        return Ok(());
    }
    let reason = format!("persons and employments take more than {limit} bytes, the limit of one load");
    Err(Error::Unreadable { endpoint: Endpoint::Persons, reason })
}

/// The employments that were read, unless
/// - one is missing that was there before and that the person, as listed, still has: a list can be short for many
///   reasons. A few at a time, as they are read, all could lose theirs without there ever being many at once.
/// - one names another person.
/// - a date that decides when the person is active cannot be read, and is known from before.
///
/// `known` are those that were there before.
pub(crate) fn believed(read: Employments, person: &Person, known: &[Employment]) -> Result<Employments, Error> {
    if read.has_foreign {
        return Err(unreadable(ABOUT_ANOTHER));
    }
    let is_among = |employments: &[Employment], id: &str| employments.iter().any(|employment| employment.id == id);
    let employments = &read.employments;
    let mut listed = person.employments.iter().filter_map(|employment| employment.id.as_deref());
    if listed.any(|id| !is_among(employments, id) && (employments.is_empty() || is_among(known, id))) {
        return Err(unreadable("an employment is missing that the person has"));
    }
    if read.undated.iter().any(|id| is_among(known, id)) {
        return Err(unreadable("a date of an employment cannot be read"));
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_employment_goes_only_if_it_is_missing_everywhere() {
        let employments = |ids: &[&str]| -> Vec<Employment> {
            ids.iter().map(|id| serde_json::from_value(json!({"id": id})).unwrap()).collect()
        };
        let answered = |ids: &[&str]| Employments { employments: employments(ids), ..Employments::default() };
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
            let result = believed(answered(read), &person, &employments(known));
            assert_eq!(result.is_ok(), is_believed, "{known:?} {listed:?} {read:?}");
            let is_empty = read.is_empty() && !person.employments.is_empty();
            assert_eq!(believed(answered(read), &person, &[]).is_ok(), !is_empty);
            let foreign = Employments { has_foreign: true, ..answered(read) };
            assert!(is_about_another(&believed(foreign, &person, &[]).unwrap_err()));
        }
        let person: Person = serde_json::from_value(json!({"id": "7"})).unwrap();
        for (known, undated, is_believed) in [(["a"], "a", false), (["a"], "b", true), (["b"], "a", true)] {
            let read = Employments { undated: vec![undated.to_owned()], ..answered(&["a", "b"]) };
            assert_eq!(believed(read, &person, &employments(&known)).is_ok(), is_believed, "{known:?} {undated}");
        }
    }
}
