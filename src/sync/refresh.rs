//! Course of a load: the listed persons, the deletion checks and the employments that are read.
//! Data that Personio does not return stays as it was. A missing response never deletes a person.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use crate::clock::Clock;
use crate::directory::LoadProgress;
use crate::personio::model::{Employment, Person};
use crate::personio::{Endpoint, Error, ParsedEntry, PersonEmployments, PersonioClient};
use crate::sync::employment_owners::EmploymentOwners;
use crate::sync::error::LoadError;
use crate::sync::failure_budget::{
    EarlierEmployments, FailureBudget, FailureStreak, StateBeforeRead,
};
use crate::sync::lookup_ids::LookupIds;
use crate::sync::record_codec::{CodecError, ListedPerson};
use crate::sync::records::{MalformedAttributes, PersonRecord, RecordsById};
use crate::sync::refresh_plan::{PlannedRead, RefreshPlan};

/// Time in which a load reads employments again although nothing indicates a change. The rest waits
/// for the next load, so that the first load after a long pause does not last for hours.
const MAX_RECHECK_TIME: Duration = Duration::from_secs(300);
/// Maximum number of deletion checks in one load. The others wait for the next load.
const MAX_DELETION_CHECKS: usize = 200;

/// Reads the persons and employments of one load.
pub(crate) struct RecordReader<'a> {
    pub(crate) client: &'a PersonioClient,
    pub(crate) progress: &'a LoadProgress,
    pub(crate) clock: &'a dyn Clock,
    /// Custom attributes that the load reads.
    pub(crate) custom_attributes: &'a [String],
    /// Start of the load. Everything that it reads has this read time.
    pub(crate) started_at: Timestamp,
    /// Maximum age at which employments are still valid when reading them again fails.
    pub(crate) max_valid_age: Duration,
}

/// Outcome of reading the employments of one person.
enum ReadOutcome {
    /// A request was sent.
    Read(EmploymentResponse),
    /// No request was sent, since too many earlier ones failed in a row.
    SkippedAfterFailures,
    /// No request was sent, since the read can wait for the next load.
    Deferred,
}

/// Outcome for one person, with the earlier record.
struct PersonRead {
    person: ListedPerson,
    earlier: Option<Arc<PersonRecord>>,
    outcome: ReadOutcome,
}

/// Employments that were read for a person.
struct EmploymentResponse {
    /// Ids of all employments in the response, even if the response was rejected.
    ids: Vec<String>,
    /// Employments, or the reason why the read failed or was rejected.
    result: Result<PersonEmployments, Error>,
}

/// Results of loads, including failed ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct PartialLoad {
    /// Records that were read since the last successful load.
    pub(crate) records: RecordsById,
    /// Look-up ids of all employments that were ever read.
    pub(crate) lookup_ids: LookupIds,
}

/// Results of the deletion checks.
#[derive(Debug, Default)]
pub(crate) struct DeletionChecks {
    /// Persons that still exist, in their current state.
    pub(crate) found: Vec<ListedPerson>,
    /// Unverified persons, in their previous state.
    pub(crate) unverified: Vec<Arc<PersonRecord>>,
    /// Number of persons that Personio no longer knows.
    deleted: usize,
}

/// Result of the deletion check of one missing person.
struct DeletionCheck {
    record: Arc<PersonRecord>,
    /// Response; `None` if no request was sent.
    outcome: Option<Result<Option<ParsedEntry<Person>>, Error>>,
}

impl RecordReader<'_> {
    /// Runs a deletion check for each missing person. A person counts as deleted only if Personio
    /// does not know the id, since a listing can be incomplete for many reasons.
    pub(crate) async fn check_deletions(
        &self,
        mut missing: Vec<Arc<PersonRecord>>,
    ) -> Result<DeletionChecks, LoadError> {
        let later = missing.split_off(missing.len().min(MAX_DELETION_CHECKS));
        let mut results = DeletionChecks::default();
        for record in later {
            results.add_unverified(record);
        }
        let failures = FailureStreak::default();
        let checks = stream::iter(missing).map(|record| self.check_deletion(record, &failures));
        let mut checks = checks.buffer_unordered(self.client.max_concurrency());
        while let Some(DeletionCheck { record, outcome }) = checks.next().await {
            results.add_result(record, outcome, self.started_at)?;
        }
        results.log();
        Ok(results)
    }

    /// Runs the deletion check of one person, unless too many checks have failed in a row.
    async fn check_deletion(
        &self,
        record: Arc<PersonRecord>,
        failures: &FailureStreak,
    ) -> DeletionCheck {
        if failures.was_exceeded() {
            return DeletionCheck { record, outcome: None };
        }
        let outcome = self.client.person(&record.id, self.custom_attributes).await;
        failures.add_outcome(outcome.is_ok());
        DeletionCheck { record, outcome: Some(outcome) }
    }

    /// Carries out a refresh plan. The results stay in `partial_load` even if the load fails.
    pub(crate) async fn run_plan(
        &self,
        plan: RefreshPlan,
        owners: EmploymentOwners,
        partial_load: &mut PartialLoad,
    ) -> Result<Vec<Arc<PersonRecord>>, LoadError> {
        let RefreshPlan { mut unchanged, to_read } = plan;
        self.progress.set_total(unchanged.len() + to_read.len());
        for _ in &unchanged {
            self.progress.add_enriched();
        }
        let mut read = self.read_employments(&unchanged, to_read, owners, partial_load).await?;
        unchanged.append(&mut read);
        Ok(unchanged)
    }

    /// Reads employments. If a read fails, the last known ones stay. A record without any belongs
    /// to a person who is not served yet. Many failures fail the load.
    async fn read_employments(
        &self,
        unchanged: &[Arc<PersonRecord>],
        to_read: Vec<PlannedRead>,
        mut owners: EmploymentOwners,
        partial_load: &mut PartialLoad,
    ) -> Result<Vec<Arc<PersonRecord>>, LoadError> {
        let mut budget = FailureBudget::for_persons(unchanged.len() + to_read.len());
        let mut bytes: usize = unchanged.iter().map(|record| record.encoded.size()).sum();
        let failures = FailureStreak::default();
        let recheck_end = self.clock.monotonic() + MAX_RECHECK_TIME;
        let reads =
            stream::iter(to_read).map(|to_read| self.read_person(to_read, &failures, recheck_end));
        let mut reads = reads.buffer_unordered(self.client.max_concurrency());
        let mut read = Vec::new();
        while let Some(read_person) = reads.next().await {
            let PersonRead { person, earlier, outcome } = read_person?;
            if let (ReadOutcome::Deferred, Some(earlier)) = (&outcome, &earlier) {
                read.push(Arc::clone(earlier));
                continue;
            }
            let employments = match outcome {
                ReadOutcome::Read(response) => {
                    let before = self.earlier_state(earlier.as_deref());
                    count_read(response, &person.id, before, &mut owners, &mut budget)?
                }
                ReadOutcome::SkippedAfterFailures | ReadOutcome::Deferred => None,
            };
            let record = self.new_record(&person, earlier.as_deref(), employments.as_ref())?;
            let record = Arc::new(record);
            bytes += record.encoded.size();
            check_record_bytes(bytes, self.client.limits().record_bytes)?;
            if let Some(read) = employments {
                partial_load.lookup_ids.add_all(&read.employments);
                partial_load.records.insert(Arc::clone(&record));
            }
            read.push(record);
        }
        budget.log();
        Ok(read)
    }

    /// Reads the employments of one person. No request is sent if recent employments are known and
    /// the read can wait after `recheck_end`, or too many reads have failed in a row.
    async fn read_person(
        &self,
        to_read: PlannedRead,
        failures: &FailureStreak,
        recheck_end: Duration,
    ) -> Result<PersonRead, CodecError> {
        let PlannedRead { person, earlier, can_wait } = to_read;
        let is_valid = self.is_still_valid(earlier.as_deref());
        let outcome = if is_valid && can_wait && self.clock.monotonic() > recheck_end {
            ReadOutcome::Deferred
        } else if is_valid && failures.was_exceeded() {
            ReadOutcome::SkippedAfterFailures
        } else {
            let response = self.request_employments(&person, earlier.as_deref()).await?;
            failures.add_outcome(response.result.is_ok());
            ReadOutcome::Read(response)
        };
        self.progress.add_enriched();
        Ok(PersonRead { person, earlier, outcome })
    }

    /// Requests the employments of one person and checks the response.
    async fn request_employments(
        &self,
        person: &ListedPerson,
        earlier: Option<&PersonRecord>,
    ) -> Result<EmploymentResponse, CodecError> {
        match self.client.employments(&person.id).await {
            Ok(read) => check_read(read, person, earlier),
            Err(error) => Ok(EmploymentResponse { ids: Vec::new(), result: Err(error) }),
        }
    }

    fn earlier_state(&self, earlier: Option<&PersonRecord>) -> StateBeforeRead {
        let Some(record) = earlier else {
            return StateBeforeRead { earlier: EarlierEmployments::Missing, failed_before: false };
        };
        let validity = if !record.encoded.has_employments() {
            EarlierEmployments::Missing
        } else if self.is_still_valid(earlier) {
            EarlierEmployments::Valid
        } else {
            EarlierEmployments::Outdated
        };
        StateBeforeRead { earlier: validity, failed_before: record.read_failed }
    }

    /// Reports whether the earlier employments are recent enough to be served without a new read.
    fn is_still_valid(&self, earlier: Option<&PersonRecord>) -> bool {
        let Some(record) = earlier else { return false };
        let age = self.started_at.duration_since(record.read_at).unsigned_abs();
        record.encoded.has_employments() && age <= self.max_valid_age
    }

    /// Creates the record of a listed person, with the employments that were read now or else the
    /// earlier ones.
    fn new_record(
        &self,
        person: &ListedPerson,
        earlier: Option<&PersonRecord>,
        read: Option<&PersonEmployments>,
    ) -> Result<PersonRecord, CodecError> {
        let mut record =
            PersonRecord::new(person, read.map(|read| &*read.employments), self.started_at)?;
        if let Some(read) = read {
            record.malformed.employments.clone_from(&read.malformed);
        } else if let Some(earlier) = earlier {
            let malformed = MalformedAttributes {
                person: record.malformed.person,
                employments: earlier.malformed.employments.clone(),
            };
            let encoded = earlier.encoded.with_person(person);
            return Ok(PersonRecord { encoded, read_at: earlier.read_at, malformed, ..record });
        }
        Ok(record)
    }
}

impl DeletionChecks {
    /// Applies the result of one deletion check; `None` means that no request was sent.
    fn add_result(
        &mut self,
        record: Arc<PersonRecord>,
        outcome: Option<Result<Option<ParsedEntry<Person>>, Error>>,
        now: Timestamp,
    ) -> Result<(), LoadError> {
        match outcome {
            Some(Ok(None)) => self.deleted += 1,
            Some(Ok(Some(person))) => self.found.push(ListedPerson::from_entry(person)?),
            Some(Err(error)) if error.blocks_every_request() => return Err(error.into()),
            // The check time moves a failed check to the end of the order, so that it does not
            // block the others.
            Some(Err(_)) => self.add_unverified(Arc::new(PersonRecord {
                deletion_checked_at: Some(now),
                ..PersonRecord::clone(&record)
            })),
            None => self.add_unverified(record),
        }
        Ok(())
    }

    /// Keeps a person as unverified.
    fn add_unverified(&mut self, mut record: Arc<PersonRecord>) {
        if !record.is_unverified {
            Arc::make_mut(&mut record).is_unverified = true;
        }
        self.unverified.push(record);
    }

    fn log(&self) {
        let deleted = self.deleted;
        let unverified = self.unverified.len();
        let found = self.found.len();
        if deleted > 0 {
            tracing::info!(gone = deleted, "{deleted} persons were deleted in Personio");
        }
        if unverified + found > 0 {
            tracing::warn!(
                unconfirmed = unverified,
                found,
                "{} persons are missing from Personio's list and are still served: {found} of them \
                 exist, for {unverified} the deletion is not verified yet",
                unverified + found
            );
        }
    }
}

/// Returns the employments of an earlier record, or none.
pub(crate) fn earlier_employments(
    earlier: Option<&PersonRecord>,
) -> Result<Vec<Employment>, CodecError> {
    let Some(record) = earlier else { return Ok(Vec::new()) };
    Ok(record.encoded.decode_employments()?.unwrap_or_default())
}

/// Reason in the error for employments that belong to another person.
const FOREIGN_EMPLOYMENT: &str = "an employment belongs to another person";

fn unreadable_error(reason: &str) -> Error {
    Error::Unreadable { endpoint: Endpoint::Employments, reason: reason.to_owned() }
}

fn is_foreign_error(error: &Error) -> bool {
    let Error::Unreadable { endpoint: Endpoint::Employments, reason } = error else { return false };
    reason == FOREIGN_EMPLOYMENT
}

/// Checks employments that were read for a person against the listing and the earlier record. Fails
/// only if these cannot be decoded.
fn check_read(
    read: PersonEmployments,
    person: &ListedPerson,
    earlier: Option<&PersonRecord>,
) -> Result<EmploymentResponse, CodecError> {
    let person = person.decode()?;
    let known = earlier_employments(earlier)?;
    Ok(EmploymentResponse { ids: read.ids(), result: check_response(read, &person, &known) })
}

/// Counts the outcome of one read. Returns the employments, or `None` if they cannot be read and
/// the failure budget tolerates it.
fn count_read(
    response: EmploymentResponse,
    person: &str,
    before: StateBeforeRead,
    owners: &mut EmploymentOwners,
    budget: &mut FailureBudget,
) -> Result<Option<PersonEmployments>, Error> {
    let employments = check_owner(response, person, owners);
    if let Err(error) = &employments
        && is_foreign_error(error)
    {
        budget.add_foreign(error)?;
    }
    budget.add_outcome(employments, before)
}

/// Returns the employments that were read for a person. Fails if one in the response belongs to
/// another person.
fn check_owner(
    response: EmploymentResponse,
    person: &str,
    owners: &mut EmploymentOwners,
) -> Result<PersonEmployments, Error> {
    for id in &response.ids {
        if !owners.belongs_to(id, person) {
            return Err(unreadable_error(FOREIGN_EMPLOYMENT));
        }
    }
    response.result
}

/// Fails if the records of a load take more than `limit` bytes.
pub(crate) fn check_record_bytes(bytes: usize, limit: usize) -> Result<(), LoadError> {
    if bytes <= limit { Ok(()) } else { Err(LoadError::TooLarge { limit }) }
}

/// Returns the employments that were read. `known` holds the earlier ones. Fails in three cases:
/// - An employment is missing that the person, as listed, still has, and it is in `known` or the
///   response is empty. A response can be incomplete for many reasons. Each load reads the
///   employments of a few persons only, so that all persons could lose theirs without a load in
///   which many do.
/// - An employment names another person.
/// - An employment in `known` has an unreadable date of those that decide when the person is
///   active.
pub(crate) fn check_response(
    read: PersonEmployments,
    person: &Person,
    known: &[Employment],
) -> Result<PersonEmployments, Error> {
    if read.names_other_person {
        return Err(unreadable_error(FOREIGN_EMPLOYMENT));
    }
    for employment in &person.employments {
        let Some(id) = &employment.id else { continue };
        let is_required = read.employments.is_empty() || has_id(known, id);
        if is_required && !has_id(&read.employments, id) {
            return Err(unreadable_error(
                "an employment is missing that the list of persons names",
            ));
        }
    }
    if read.ids_with_malformed_dates.iter().any(|id| has_id(known, id)) {
        return Err(unreadable_error("a date of an employment cannot be read"));
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
    use crate::sync::record_codec::EncodedRecord;

    #[test]
    fn a_damaged_earlier_record_is_no_failed_read() {
        let person: Person = serde_json::from_value(json!({"id": "7"})).unwrap();
        let person = ListedPerson::new(person).unwrap();
        let record = PersonRecord::new(&person, Some(&[]), Timestamp::UNIX_EPOCH).unwrap();
        let read = PersonEmployments::default;
        assert!(check_read(read(), &person, Some(&record)).unwrap().result.is_ok());
        let damaged = PersonRecord { encoded: EncodedRecord::damaged(), ..record };
        assert!(matches!(check_read(read(), &person, Some(&damaged)), Err(CodecError::INVALID)));
    }

    #[test]
    fn employment_is_removed_only_if_response_and_listing_lack_it() {
        let employments = |ids: &[&str]| -> Vec<Employment> {
            ids.iter().map(|id| serde_json::from_value(json!({"id": id})).unwrap()).collect()
        };
        let response = |ids: &[&str]| PersonEmployments {
            employments: employments(ids),
            ..PersonEmployments::default()
        };
        for (known, listed, read, is_accepted) in [
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
            let result = check_response(response(read), &person, &employments(known));
            assert_eq!(result.is_ok(), is_accepted, "{known:?} {listed:?} {read:?}");
            let is_empty = read.is_empty() && !person.employments.is_empty();
            assert_eq!(check_response(response(read), &person, &[]).is_ok(), !is_empty);
            let foreign = PersonEmployments { names_other_person: true, ..response(read) };
            assert!(is_foreign_error(&check_response(foreign, &person, &[]).unwrap_err()));
        }
        let person: Person = serde_json::from_value(json!({"id": "7"})).unwrap();
        for (known, id_without_date, is_accepted) in
            [(["a"], "a", false), (["a"], "b", true), (["b"], "a", true)]
        {
            let read = PersonEmployments {
                ids_with_malformed_dates: vec![id_without_date.to_owned()],
                ..response(&["a", "b"])
            };
            assert_eq!(
                check_response(read, &person, &employments(&known)).is_ok(),
                is_accepted,
                "{known:?} {id_without_date}"
            );
        }
    }
}
