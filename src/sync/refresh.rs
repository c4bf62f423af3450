//! Course of a load: the listed persons, the deletion checks and the employments that are read.
//! Data that Personio does not return stays as it was. A missing response never deletes a person.

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

/// Time in which a load reads employments again although nothing indicates a change. The rest waits
/// for the next load, so that the first load after a long pause does not last for hours.
const RECHECKS: Duration = Duration::from_secs(300);
/// Maximum number of deletion checks in one load. The others wait for the next load.
const CONFIRMATIONS: usize = 200;

/// Load in progress.
pub(crate) struct Refresh<'a> {
    pub(crate) client: &'a Client,
    pub(crate) progress: &'a Progress,
    pub(crate) clock: &'a dyn Clock,
    /// Custom attributes that the load reads.
    pub(crate) wanted: &'a [String],
    /// Start of the load. Everything that it reads has this read time.
    pub(crate) now: Timestamp,
    /// Maximum age at which employments are still valid when reading them again fails.
    pub(crate) trusted: Duration,
}

/// Outcome of reading the employments of one person.
enum Answer {
    /// A request was sent.
    Of(Reading),
    /// No request was sent, since too many earlier ones failed in a row.
    InVain,
    /// No request was sent, since the read can wait for the next load.
    NotNow,
}

/// Outcome for one person, with the earlier record.
struct PersonAnswer {
    person: Listed,
    earlier: Option<Arc<Record>>,
    answer: Answer,
}

/// Employments that were read for a person.
struct Reading {
    /// Ids of all employments in the response, even if the response was rejected.
    ids: Vec<String>,
    /// Employments, or the reason why the read failed or was rejected.
    believed: Result<Employments, Error>,
}

/// Results of loads, including failed ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gleaned {
    /// Records that were read since the last successful load.
    pub(crate) people: People,
    /// Look-up ids of all employments that were ever read.
    pub(crate) named: Named,
}

/// Results of the deletion checks.
#[derive(Debug, Default)]
pub(crate) struct Confirmed {
    /// Persons that still exist, in their current state.
    pub(crate) found: Vec<Listed>,
    /// Unverified persons, in their previous state.
    pub(crate) unconfirmed: Vec<Arc<Record>>,
    /// Number of persons that Personio no longer knows.
    gone: usize,
}

/// Result of the deletion check of one missing person.
struct DeletionCheck {
    record: Arc<Record>,
    /// Response; `None` if no request was sent.
    answer: Option<Result<Option<Read<Person>>, Error>>,
}

impl Refresh<'_> {
    /// Runs a deletion check for each missing person. A person counts as deleted only if Personio
    /// does not know the id, since a listing can be incomplete for many reasons.
    pub(crate) async fn confirmed(
        &self,
        mut missing: Vec<Arc<Record>>,
    ) -> Result<Confirmed, Error> {
        let later = missing.split_off(missing.len().min(CONFIRMATIONS));
        let mut confirmed = Confirmed::default();
        for record in later {
            confirmed.leave(record);
        }
        let failures = Row::default();
        let checks = stream::iter(missing).map(|record| self.check_deletion(record, &failures));
        let mut checks = checks.buffer_unordered(self.client.max_concurrency());
        while let Some(DeletionCheck { record, answer }) = checks.next().await {
            confirmed.note(record, answer, self.now)?;
        }
        confirmed.report();
        Ok(confirmed)
    }

    /// Runs the deletion check of one person, unless too many checks have failed in a row.
    async fn check_deletion(&self, record: Arc<Record>, failures: &Row) -> DeletionCheck {
        if failures.is_long() {
            return DeletionCheck { record, answer: None };
        }
        let answer = self.client.person(&record.id, self.wanted).await;
        failures.note(answer.is_ok());
        DeletionCheck { record, answer: Some(answer) }
    }

    /// Carries out a refresh plan. The results stay in `gleaned` even if the load fails.
    pub(crate) async fn carry_out(
        &self,
        plan: Plan,
        owners: Owners,
        gleaned: &mut Gleaned,
    ) -> Result<Vec<Arc<Record>>, Error> {
        let Plan { mut kept, to_read } = plan;
        self.progress.complete(kept.len() + to_read.len());
        for _ in &kept {
            self.progress.enriched();
        }
        let mut read = self.enriched(&kept, to_read, owners, gleaned).await?;
        kept.append(&mut read);
        Ok(kept)
    }

    /// Reads employments. If a read fails, the last known ones stay. A record without any belongs
    /// to a person who is not served yet. Many failures fail the load.
    async fn enriched(
        &self,
        kept: &[Arc<Record>],
        to_read: Vec<ToRead>,
        mut owners: Owners,
        gleaned: &mut Gleaned,
    ) -> Result<Vec<Arc<Record>>, Error> {
        let mut unreadable = Unreadable::among(kept.len() + to_read.len());
        let mut bytes: usize = kept.iter().map(|record| record.encoded.size()).sum();
        let failures = Row::default();
        let recheck_end = self.clock.monotonic() + RECHECKS;
        let answers =
            stream::iter(to_read).map(|to_read| self.answer(to_read, &failures, recheck_end));
        let mut answers = answers.buffer_unordered(self.client.max_concurrency());
        let mut read = Vec::new();
        while let Some(PersonAnswer { person, earlier, answer }) = answers.next().await {
            if let (Answer::NotNow, Some(earlier)) = (&answer, &earlier) {
                read.push(Arc::clone(earlier));
                continue;
            }
            let employments = match answer {
                Answer::Of(reading) => {
                    let before = self.before(earlier.as_deref());
                    counted(reading, &person.id, before, &mut owners, &mut unreadable)?
                }
                Answer::InVain | Answer::NotNow => None,
            };
            let record = self.record(&person, earlier.as_deref(), employments.as_ref())?;
            let record = Arc::new(record);
            bytes += record.encoded.size();
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

    /// Reads the employments of one person. No request is sent if recent employments are known and
    /// the read can wait after `recheck_end`, or too many reads have failed in a row.
    async fn answer(&self, to_read: ToRead, failures: &Row, recheck_end: Duration) -> PersonAnswer {
        let ToRead { person, earlier, can_wait } = to_read;
        let is_trusted = self.is_trusted(earlier.as_deref());
        let answer = if is_trusted && can_wait && self.clock.monotonic() > recheck_end {
            Answer::NotNow
        } else if is_trusted && failures.is_long() {
            Answer::InVain
        } else {
            let reading = self.reading(&person, earlier.as_deref()).await;
            failures.note(reading.believed.is_ok());
            Answer::Of(reading)
        };
        self.progress.enriched();
        PersonAnswer { person, earlier, answer }
    }

    /// Requests the employments of one person and checks the response.
    async fn reading(&self, person: &Listed, earlier: Option<&Record>) -> Reading {
        match self.client.employments(&person.id).await {
            Ok(read) => Reading { ids: read.ids(), believed: checked(read, person, earlier) },
            Err(error) => Reading { ids: Vec::new(), believed: Err(error) },
        }
    }

    fn before(&self, earlier: Option<&Record>) -> Before {
        let Some(record) = earlier else {
            return Before { earlier: Earlier::Missing, failed: false };
        };
        let validity = if !record.encoded.knows_employments() {
            Earlier::Missing
        } else if self.is_trusted(earlier) {
            Earlier::Trusted
        } else {
            Earlier::Old
        };
        Before { earlier: validity, failed: record.read_failed }
    }

    /// Reports whether the earlier employments are recent enough to be served without a new read.
    fn is_trusted(&self, earlier: Option<&Record>) -> bool {
        let Some(record) = earlier else { return false };
        let age = self.now.duration_since(record.read_at).unsigned_abs();
        record.encoded.knows_employments() && age <= self.trusted
    }

    /// Creates the record of a listed person, with the employments that were read now or else the
    /// earlier ones.
    fn record(
        &self,
        person: &Listed,
        earlier: Option<&Record>,
        read: Option<&Employments>,
    ) -> Result<Record, Fault> {
        let mut record = Record::new(person, read.map(|read| &*read.employments), self.now)?;
        if let Some(read) = read {
            record.malformed.employments.clone_from(&read.odd);
        } else if let Some(earlier) = earlier {
            let odd =
                Odd { person: record.malformed.person, employments: earlier.malformed.employments.clone() };
            let packed = earlier.encoded.with_person(person);
            return Ok(Record { encoded: packed, read_at: earlier.read_at, malformed: odd, ..record });
        }
        Ok(record)
    }
}

impl Confirmed {
    /// Applies the result of one deletion check; `None` means that no request was sent.
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
            // The check time moves a failed check to the end of the order, so that it does not
            // block the others.
            Some(Err(_)) => {
                self.leave(Arc::new(Record { deletion_checked_at: Some(now), ..Record::clone(&record) }))
            }
            None => self.leave(record),
        }
        Ok(())
    }

    /// Keeps a person as unverified.
    fn leave(&mut self, mut record: Arc<Record>) {
        if !record.is_unverified {
            Arc::make_mut(&mut record).is_unverified = true;
        }
        self.unconfirmed.push(record);
    }

    fn report(&self) {
        let gone = self.gone;
        let unconfirmed = self.unconfirmed.len();
        let found = self.found.len();
        if gone > 0 {
            tracing::info!(gone, "{gone} persons were deleted in Personio");
        }
        if unconfirmed + found > 0 {
            tracing::warn!(
                unconfirmed,
                found,
                "{} persons are missing from Personio's list and are still served: {found} of them \
                 exist, for {unconfirmed} the deletion is not verified yet",
                unconfirmed + found
            );
        }
    }
}

/// Returns the employments of an earlier record, or none.
pub(crate) fn known_employments(earlier: Option<&Record>) -> Result<Vec<Employment>, Fault> {
    let Some(record) = earlier else { return Ok(Vec::new()) };
    Ok(record.encoded.employments()?.unwrap_or_default())
}

/// Reason in the error for employments that belong to another person.
const FOREIGN_EMPLOYMENT: &str = "an employment is another person's";

fn unreadable(reason: &str) -> Error {
    Error::Unreadable { endpoint: Endpoint::Employments, reason: reason.to_owned() }
}

fn is_foreign_error(error: &Error) -> bool {
    matches!(error, Error::Unreadable { endpoint: Endpoint::Employments, reason } if reason == FOREIGN_EMPLOYMENT)
}

/// Checks employments that were read for a person against the listing and the earlier record.
fn checked(
    read: Employments,
    person: &Listed,
    earlier: Option<&Record>,
) -> Result<Employments, Error> {
    believed(read, &person.person()?, &known_employments(earlier)?)
}

/// Counts the outcome of one read. Returns the employments, or `None` if they cannot be read and
/// the failure budget tolerates it.
fn counted(
    reading: Reading,
    person: &str,
    before: Before,
    owners: &mut Owners,
    unreadable: &mut Unreadable,
) -> Result<Option<Employments>, Error> {
    let employments = owned(reading, person, owners);
    if let Err(error) = &employments
        && is_foreign_error(error)
    {
        unreadable.note_foreign(error)?;
    }
    unreadable.note(employments, before)
}

/// Returns the employments that were read for a person. Fails if one in the response belongs to
/// another person.
fn owned(reading: Reading, person: &str, owners: &mut Owners) -> Result<Employments, Error> {
    for id in &reading.ids {
        if !owners.belongs(id, person) {
            return Err(unreadable(FOREIGN_EMPLOYMENT));
        }
    }
    reading.believed
}

/// Fails if the records of a load take more than `limit` bytes.
pub(crate) fn check_size(bytes: usize, limit: usize) -> Result<(), Error> {
    if bytes <= limit {
        return Ok(());
    }
    let reason =
        format!("persons and employments take more than {limit} bytes, the limit of one load");
    Err(Error::Unreadable { endpoint: Endpoint::Persons, reason })
}

/// Returns the employments that were read. `known` holds the earlier ones. Fails in three cases:
/// - An employment is missing that the person, as listed, still has, and it is in `known` or the
///   response is empty. A response can be incomplete for many reasons. Each load reads the
///   employments of a few persons only, so that all persons could lose theirs without a load in
///   which many do.
/// - An employment names another person.
/// - An employment in `known` has an unreadable date of those that decide when the person is
///   active.
pub(crate) fn believed(
    read: Employments,
    person: &Person,
    known: &[Employment],
) -> Result<Employments, Error> {
    if read.has_foreign {
        return Err(unreadable(FOREIGN_EMPLOYMENT));
    }
    for employment in &person.employments {
        let Some(id) = &employment.id else { continue };
        let is_required = read.employments.is_empty() || has_id(known, id);
        if is_required && !has_id(&read.employments, id) {
            return Err(unreadable("an employment is missing that the person has"));
        }
    }
    if read.undated.iter().any(|id| has_id(known, id)) {
        return Err(unreadable("a date of an employment cannot be read"));
    }
    Ok(read)
}

/// Reports whether an employment with this id is among `employments`.
fn has_id(employments: &[Employment], id: &str) -> bool {
    employments.iter().any(|employment| employment.id == id)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn employment_is_removed_only_if_response_and_listing_lack_it() {
        let employments = |ids: &[&str]| -> Vec<Employment> {
            ids.iter().map(|id| serde_json::from_value(json!({"id": id})).unwrap()).collect()
        };
        let answered =
            |ids: &[&str]| Employments { employments: employments(ids), ..Employments::default() };
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
            let person: Person =
                serde_json::from_value(json!({"id": "7", "employments": listed})).unwrap();
            let result = believed(answered(read), &person, &employments(known));
            assert_eq!(result.is_ok(), is_believed, "{known:?} {listed:?} {read:?}");
            let is_empty = read.is_empty() && !person.employments.is_empty();
            assert_eq!(believed(answered(read), &person, &[]).is_ok(), !is_empty);
            let foreign = Employments { has_foreign: true, ..answered(read) };
            assert!(is_foreign_error(&believed(foreign, &person, &[]).unwrap_err()));
        }
        let person: Person = serde_json::from_value(json!({"id": "7"})).unwrap();
        for (known, undated, is_believed) in
            [(["a"], "a", false), (["a"], "b", true), (["b"], "a", true)]
        {
            let read = Employments { undated: vec![undated.to_owned()], ..answered(&["a", "b"]) };
            assert_eq!(
                believed(read, &person, &employments(&known)).is_ok(),
                is_believed,
                "{known:?} {undated}"
            );
        }
    }
}
