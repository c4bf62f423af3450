//! Refresh plan: the persons whose employments a load reads again. A listing shows all persons, but
//! reading employments takes one request per person. A load reads only those that may have changed.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::sync::record_codec::ListedPerson;
use crate::sync::records::{PersonRecord, RecordsById};

/// Refresh plan for the persons of one listing.
#[derive(Debug)]
pub(crate) struct RefreshPlan {
    /// Records that stay without a request.
    pub(crate) unchanged: Vec<Arc<PersonRecord>>,
    /// Persons whose employments are read, in this order.
    pub(crate) to_read: Vec<PlannedRead>,
}

/// Returns the persons of the current snapshot that are not listed. Persons without a deletion check come first, then
/// those whose last check is the oldest.
pub(crate) fn missing_persons(
    listed: &[ListedPerson],
    known: &KnownRecords<'_>,
) -> Vec<Arc<PersonRecord>> {
    let ids: HashSet<&str> = listed.iter().map(|person| &*person.id).collect();
    let mut missing = Vec::new();
    for served in known.served.iter() {
        if !ids.contains(&*served.id) {
            missing.push(Arc::clone(known.newest(&served.id).unwrap_or(served)));
        }
    }
    missing.sort_by(|one, other| {
        one.deletion_checked_at.cmp(&other.deletion_checked_at).then_with(|| one.id.cmp(&other.id))
    });
    missing
}

/// Person whose employments are read.
#[derive(Debug)]
pub(crate) struct PlannedRead {
    pub(crate) person: ListedPerson,
    /// Earlier record of the person.
    pub(crate) earlier: Option<Arc<PersonRecord>>,
    /// True if nothing indicates a change, so that the next load can read the employments instead.
    pub(crate) can_wait: bool,
}

/// Records and dirty ids that a plan takes into account in addition to the listing.
#[derive(Debug)]
pub(crate) struct KnownRecords<'a> {
    /// Records of the current snapshot.
    pub(crate) served: &'a RecordsById,
    /// Records that later loads have read, which failed or were not published.
    pub(crate) partial: &'a RecordsById,
    /// Dirty ids: persons that were reported as changed.
    pub(crate) dirty_ids: &'a HashSet<String>,
}

/// Schedule for reading employments again although nothing indicates a change. Personio does not
/// guarantee that the `updated_at` of a person changes with the employments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecheckSchedule {
    /// Interval in which the employments of each person are read again.
    pub(crate) interval: Duration,
    /// Start of this load.
    pub(crate) now: Timestamp,
    /// Start of the previous successful load.
    pub(crate) previous_load: Option<Timestamp>,
}

/// Listed persons, sorted by the reason to read their employments.
#[derive(Debug, Default)]
struct ReadCategories {
    /// New persons, persons that have changed, and persons in the dirty set.
    changed: Vec<PlannedRead>,
    /// Persons whose last read failed.
    failed: Vec<PlannedRead>,
    /// Records of persons for which nothing indicates a change.
    same: Vec<Arc<PersonRecord>>,
}

impl ReadCategories {
    fn new(listed: Vec<ListedPerson>, known: &KnownRecords<'_>) -> Self {
        let mut categories = Self::default();
        for person in listed {
            match known.newest(&person.id).cloned() {
                Some(record) if record.read_failed => {
                    categories.failed.push(PlannedRead::required(person, Some(record)));
                }
                Some(record) if known.is_same(&record, &person) => {
                    categories.same.push(clear_absence(record, &person));
                }
                record => categories.changed.push(PlannedRead::required(person, record)),
            }
        }
        categories
    }
}

impl KnownRecords<'_> {
    /// Returns the newest record of a person.
    pub(crate) fn newest(&self, id: &str) -> Option<&Arc<PersonRecord>> {
        self.partial.get(id).or_else(|| self.served.get(id))
    }

    /// Reports whether nothing indicates that the employments differ from those of the record.
    fn is_same(&self, record: &PersonRecord, person: &ListedPerson) -> bool {
        record.encoded.has_employments()
            && record.encoded.has_same_person(person)
            && !self.dirty_ids.contains(&*person.id)
    }
}

impl RefreshPlan {
    /// Divides the listed persons into records that stay and employments that are read.
    pub(crate) fn new(
        listed: Vec<ListedPerson>,
        known: &KnownRecords<'_>,
        recheck: RecheckSchedule,
    ) -> Self {
        let ReadCategories { changed: mut to_read, mut failed, mut same } =
            ReadCategories::new(listed, known);
        let recheck_count = recheck.recheck_count(&same, to_read.len() + failed.len());
        let unchanged = split_off_unchanged(&mut same, recheck_count, recheck.now);
        for record in same {
            let person = record.to_listed();
            to_read.push(PlannedRead { person, earlier: Some(record), can_wait: true });
        }
        // Persons whose last read failed come last, since a failure streak ends further reads and
        // must not block other persons. The rotation puts another person first each time.
        if !failed.is_empty() {
            let first = recheck.now.as_second().unsigned_abs() % failed.len() as u64;
            failed.rotate_left(first as usize);
        }
        to_read.append(&mut failed);
        Self { unchanged, to_read }
    }
}

/// Splits off the records that stay without a recheck. The `recheck_count` records that are
/// rechecked remain in `records`, the one with the oldest read first.
fn split_off_unchanged(
    records: &mut Vec<Arc<PersonRecord>>,
    recheck_count: usize,
    now: Timestamp,
) -> Vec<Arc<PersonRecord>> {
    // Only the persons that are rechecked need an order.
    if recheck_count < records.len() {
        records.select_nth_unstable_by(recheck_count, |one, other| recheck_order(one, other, now));
    }
    let unchanged = records.split_off(recheck_count);
    records.sort_unstable_by(|one, other| recheck_order(one, other, now));
    unchanged
}

/// Compares two records by the order of their rechecks. Read times in the future are wrong and come
/// first.
fn recheck_order(one: &PersonRecord, other: &PersonRecord, now: Timestamp) -> Ordering {
    let is_past = (one.read_at <= now).cmp(&(other.read_at <= now));
    is_past.then(one.read_at.cmp(&other.read_at)).then_with(|| one.id.cmp(&other.id))
}

impl PlannedRead {
    fn required(person: ListedPerson, earlier: Option<Arc<PersonRecord>>) -> Self {
        Self { person, earlier, can_wait: false }
    }
}

/// Returns the record of a person who is listed again. It clears the results of earlier absences
/// and unreadable listings.
fn clear_absence(mut record: Arc<PersonRecord>, person: &ListedPerson) -> Arc<PersonRecord> {
    let has_traces = record.deletion_checked_at.is_some()
        || record.is_unverified
        || record.unreadable_attribute.is_some();
    if has_traces || record.malformed.person != person.malformed {
        let record = Arc::make_mut(&mut record);
        record.deletion_checked_at = None;
        record.is_unverified = false;
        record.unreadable_attribute = None;
        record.malformed.person.clone_from(&person.malformed);
    }
    record
}

impl RecheckSchedule {
    /// Returns the number of rechecks among persons for which nothing indicates a change. Each load
    /// rechecks a share of the persons, so that they do not become overdue together. `others` is
    /// the number of persons whose employments are read anyway.
    fn recheck_count(self, same: &[Arc<PersonRecord>], others: usize) -> usize {
        let recheck_count = self.persons_due(same.len() + others).saturating_sub(others);
        let overdue = same.iter().filter(|record| self.is_overdue(record)).count();
        recheck_count.max(overdue).min(same.len())
    }

    /// Reports whether the last read is too long ago. A read time in the future is wrong, since the
    /// clock has been set back, and counts as overdue.
    fn is_overdue(self, record: &PersonRecord) -> bool {
        self.now < record.read_at
            || self.now.duration_since(record.read_at).unsigned_abs() >= self.interval
    }

    /// Returns the number of persons that a load rechecks, so that each of `persons` is rechecked
    /// once in an interval however often loads run. As the difference of two whole numbers it loses
    /// no fractions.
    fn persons_due(self, persons: usize) -> usize {
        let Some(before) = self.previous_load else { return 0 };
        let until_now = self.rechecks_until(self.now, persons);
        let recheck_count = until_now.saturating_sub(self.rechecks_until(before, persons));
        usize::try_from(recheck_count).unwrap_or(persons).min(persons)
    }

    /// Returns the number of rechecks of `persons` persons from 1970 until `moment`.
    fn rechecks_until(self, moment: Timestamp, persons: usize) -> u128 {
        let passed = u128::try_from(moment.as_millisecond()).unwrap_or_default();
        passed.saturating_mul(persons as u128) / self.interval.as_millis().max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::{Value, json};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + minutes * 60).unwrap()
    }

    fn person(id: usize) -> ListedPerson {
        changed(id, json!({}))
    }

    fn changed(id: usize, other: Value) -> ListedPerson {
        let mut person = json!({"id": id, "email": format!("{id}@example.com"), "first_name": "A", "employments": [{"id": "e"}]});
        person.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        ListedPerson::new(serde_json::from_value(person).unwrap()).unwrap()
    }

    fn record(person: ListedPerson, read: Timestamp) -> PersonRecord {
        PersonRecord::new(&person, Some(&[]), read).unwrap()
    }

    fn by_id(records: impl IntoIterator<Item = PersonRecord>) -> RecordsById {
        records.into_iter().map(Arc::new).collect()
    }

    fn plan(
        listed: Vec<ListedPerson>,
        records: &RecordsById,
        dirty_ids: &[&str],
        recheck: RecheckSchedule,
    ) -> RefreshPlan {
        let dirty_ids = dirty_ids.iter().map(|id| (*id).to_owned()).collect();
        RefreshPlan::new(
            listed,
            &KnownRecords {
                served: records,
                partial: &RecordsById::default(),
                dirty_ids: &dirty_ids,
            },
            recheck,
        )
    }

    fn ids(plan: &RefreshPlan) -> Vec<&str> {
        plan.to_read.iter().map(|it| &*it.person.id).collect()
    }

    #[test]
    fn plan_reads_only_persons_that_may_have_changed() {
        let mut records: Vec<PersonRecord> = (1..=8).map(|id| record(person(id), at(0))).collect();
        records[1].read_failed = true;
        records[2] = PersonRecord {
            read_failed: false,
            ..PersonRecord::new(&person(3), None, at(0)).unwrap()
        };
        records[3].read_at = at(-60);
        let mut listed: Vec<ListedPerson> = (1..=9).map(person).collect();
        listed[4] = changed(5, json!({"first_name": "New"}));
        listed[5] = changed(6, json!({"employments": []}));
        let recheck = RecheckSchedule { interval: HOUR, now: at(0), previous_load: Some(at(0)) };
        let plan = plan(listed, &by_id(records), &["7", "77"], recheck);
        assert_eq!(
            ids(&plan),
            ["3", "5", "6", "7", "9", "4", "2"],
            "persons that could not be read come last"
        );
        let can_wait: Vec<bool> = plan.to_read.iter().map(|it| it.can_wait).collect();
        assert_eq!(
            can_wait,
            [false, false, false, false, false, true, false],
            "only overdue persons can wait"
        );
        assert_eq!(plan.unchanged.len(), 2);
    }

    #[test]
    fn records_of_a_failed_load_are_not_read_again() {
        let partial = by_id([record(person(1), at(0))]);
        let (served, dirty_ids) = (RecordsById::default(), HashSet::new());
        let known = KnownRecords { served: &served, partial: &partial, dirty_ids: &dirty_ids };
        let plan = RefreshPlan::new(
            vec![person(1), person(2)],
            &known,
            RecheckSchedule { interval: HOUR, now: at(1), previous_load: Some(at(0)) },
        );
        assert_eq!(ids(&plan), ["2"]);
    }

    #[test]
    fn missing_persons_are_ordered_by_last_deletion_check() {
        let checked_at = [(1, None), (2, None), (3, None), (4, Some(at(-20)))];
        let records = by_id(checked_at.map(|(id, checked_at)| PersonRecord {
            deletion_checked_at: checked_at,
            ..record(person(id), at(0))
        }));
        let known = KnownRecords {
            served: &records,
            partial: &by_id([PersonRecord {
                deletion_checked_at: Some(at(0)),
                ..record(person(2), at(0))
            }]),
            dirty_ids: &HashSet::new(),
        };
        let missing = missing_persons(&[person(1)], &known);
        assert_eq!(missing.iter().map(|record| &*record.id).collect::<Vec<_>>(), ["3", "4", "2"]);
    }

    /// Each person is rechecked within an hour. Each load has about the same share for any interval
    /// between loads.
    #[test]
    fn rechecks_are_spread_evenly_over_the_loads() {
        for (persons, minutes) in [(1000, 5), (1000, 1), (7, 5), (1, 5), (13, 7), (100, 45)] {
            let mut records = by_id((1..=persons).map(|id| record(person(id), at(0))));
            let mut read = HashMap::new();
            let mut before = at(0);
            let loads = 240 / minutes;
            for load in 1..=loads {
                let now = at(load * minutes);
                let recheck = RecheckSchedule { interval: HOUR, now, previous_load: Some(before) };
                let plan = plan((1..=persons).map(person).collect(), &records, &[], recheck);
                let fair = persons as f64 * minutes as f64 / 60.0;
                assert!(
                    (plan.to_read.len() as f64 - fair).abs() <= 1.0,
                    "{persons} every {minutes}: {}",
                    plan.to_read.len()
                );
                for PlannedRead { person, .. } in plan.to_read {
                    *read.entry(person.id.clone()).or_insert(0) += 1;
                    records.insert(Arc::new(record(person, now)));
                }
                assert!(
                    records
                        .iter()
                        .all(|record| now.duration_since(record.read_at).as_secs() <= 3600)
                );
                before = now;
            }
            if minutes < 45 {
                assert!(
                    read.len() == persons && read.values().all(|times| (3..=5).contains(times)),
                    "{read:?}"
                );
            }
        }
    }

    #[test]
    fn read_time_in_the_future_is_overdue() {
        let records =
            by_id([record(person(1), at(60 * 24 * 365)), record(person(2), at(-60 * 24 * 365))]);
        let recheck =
            RecheckSchedule { interval: HOUR, now: at(0), previous_load: Some(at(60 * 24 * 365)) };
        assert_eq!(ids(&plan(vec![person(1), person(2)], &records, &[], recheck)).len(), 2);
    }
}
