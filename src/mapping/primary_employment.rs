//! Primary employment: the employment that a user's attributes come from, and that decides whether
//! the user is active today.
//!
//! Personio's status decides. Dates decide in three cases: if the status is late during a change of
//! employment, if the company configured a rule ([`MappingPolicy::active_before_start_days`],
//! [`MappingPolicy::active_until`]), and between several employments. The results do not depend on
//! the order in which Personio lists the employments.

use std::cmp::{Ordering, Reverse};

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

use crate::mapping::MappingPolicy;
use crate::mapping::employment::{last_working_day, termination_date};
use crate::mapping::policy::ActiveUntil;
use crate::mapping::validity::ValidityPeriod;
use crate::personio::model::{Employment, Person, Status};

/// Maximum number of days between the end of an employment and the start of the next one for which
/// the person stays active. It covers a weekend and a public holiday, and applies once the next
/// employment has begun.
const MAX_GAP_DAYS: i32 = 3;

/// Date rules of a company, applied on one day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DateRules<'p> {
    pub(crate) policy: &'p MappingPolicy,
    pub(crate) today: Date,
}

/// State of an employment or a person on one day. A later variant has precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EmploymentState {
    /// Status INACTIVE or unknown, or an employment that a rule has ended.
    Inactive,
    /// Employment that has not begun.
    Onboarding,
    /// Employed person on leave.
    Leave,
    /// Employed person at work.
    Active,
}

/// Rule that decided an [`ActivityDecision`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActivityRule {
    /// Status in Personio, without a date.
    Status,
    /// Change of employment: the previous employment has ended without a break.
    ChangeOfEmployment,
    /// Early activation before the start, by [`MappingPolicy::active_before_start_days`].
    BeforeStart,
    /// Withdrawn employment: its end is before its start, or before today while it is ONBOARDING.
    Withdrawn,
    /// End of the activity, by [`MappingPolicy::active_until`].
    ActiveUntil,
}

/// Result of the rules for one employment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ActivityDecision {
    pub(crate) state: EmploymentState,
    pub(crate) is_active: bool,
    pub(crate) rule: ActivityRule,
}

impl ActivityDecision {
    fn new(state: EmploymentState, is_active: bool, rule: ActivityRule) -> Self {
        Self { state, is_active, rule }
    }
}

/// Result of the rules for one person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PrimaryEmployment<'e> {
    /// Primary employment; `None` for a person without readable employments.
    pub(crate) employment: Option<&'e Employment>,
    pub(crate) activity: ActivityDecision,
    /// First day of the next employment of a person who is not active.
    pub(crate) next_start: Option<Date>,
}

impl<'p> DateRules<'p> {
    /// Evaluates the rules for one person. Returns the primary employment, with the activity that
    /// it gives the person.
    pub(crate) fn evaluate<'e>(
        &self,
        person: &Person,
        employments: &'e [Employment],
    ) -> PrimaryEmployment<'e> {
        let employment = self.primary_employment(employments);
        let activity = match employment {
            // Without a readable status of the employment, the status of the person decides:
            // Personio derives it from the employment.
            Some(own) => self.decide_activity(
                own,
                own.status.as_ref().or(person.status.as_ref()),
                employments,
            ),
            None => self.decide_without_employment(person.status.as_ref()),
        };
        let next_start = if activity.is_active { None } else { self.next_start(employments) };
        PrimaryEmployment { employment, activity, next_start }
    }

    /// Returns the first day of the next employment that begins after today. An employment that was
    /// withdrawn does not count.
    fn next_start(&self, employments: &[Employment]) -> Option<Date> {
        let mut next: Option<Date> = None;
        for employment in employments {
            let Some(start) = employment.employment_start_date else { continue };
            let is_planned = employment.status == Some(Status::Onboarding)
                && start > self.today
                && !self.has_been_withdrawn(employment);
            if is_planned && next.is_none_or(|earlier| start < earlier) {
                next = Some(start);
            }
        }
        next
    }

    /// Reports whether an employment with the status ONBOARDING ends before its start, or has
    /// ended.
    fn has_been_withdrawn(&self, employment: &Employment) -> bool {
        was_withdrawn(employment) || end_dates(employment).any(|end| end < self.today)
    }

    /// Returns the employment with the highest state. Of several, it is the one with the latest
    /// start that has begun, or else the next to begin. Of several inactive ones, it is the one
    /// with the latest start. The greater id decides between equal ones.
    pub(crate) fn primary_employment<'e>(
        &self,
        employments: &'e [Employment],
    ) -> Option<&'e Employment> {
        if let [only] = employments {
            return Some(only);
        }
        employments.iter().max_by(|one, other| {
            let state = self.state(one, employments);
            let other_state = self.state(other, employments);
            let by_start = match state {
                EmploymentState::Inactive => {
                    one.employment_start_date.cmp(&other.employment_start_date)
                }
                EmploymentState::Onboarding | EmploymentState::Leave | EmploymentState::Active => {
                    self.compare_starts(one, other)
                }
            };
            state.cmp(&other_state).then(by_start).then_with(|| one.id.cmp(&other.id))
        })
    }

    fn state(&self, employment: &Employment, all: &[Employment]) -> EmploymentState {
        self.decide_activity(employment, employment.status.as_ref(), all).state
    }

    /// Orders employments by start date. Employments that have begun rank above future ones. Among
    /// those that have begun, the later start ranks higher; among future ones, the earlier start.
    /// An employment without a start date counts as the oldest one that has begun.
    fn compare_starts(&self, one: &Employment, other: &Employment) -> Ordering {
        let (start, other_start) = (one.employment_start_date, other.employment_start_date);
        match (self.has_begun(one), self.has_begun(other)) {
            (true, true) => start.cmp(&other_start),
            (false, false) => Reverse(start).cmp(&Reverse(other_start)),
            (begun, other_begun) => begun.cmp(&other_begun),
        }
    }

    fn has_begun(&self, employment: &Employment) -> bool {
        employment.employment_start_date.is_none_or(|start| start <= self.today)
    }

    fn decide_activity(
        &self,
        employment: &Employment,
        status: Option<&Status>,
        all: &[Employment],
    ) -> ActivityDecision {
        match status {
            Some(Status::Active | Status::Leave) if self.is_ended_by_rule(employment) => {
                ActivityDecision::new(EmploymentState::Inactive, false, ActivityRule::ActiveUntil)
            }
            Some(Status::Active) => {
                ActivityDecision::new(EmploymentState::Active, true, ActivityRule::Status)
            }
            Some(Status::Leave) => {
                ActivityDecision::new(EmploymentState::Leave, true, ActivityRule::Status)
            }
            Some(Status::Onboarding) => self.decide_before_start(employment, all),
            Some(Status::Inactive | Status::Other(_)) | None => {
                ActivityDecision::new(EmploymentState::Inactive, false, ActivityRule::Status)
            }
        }
    }

    fn decide_without_employment(&self, status: Option<&Status>) -> ActivityDecision {
        match status {
            Some(Status::Active) => {
                ActivityDecision::new(EmploymentState::Active, true, ActivityRule::Status)
            }
            Some(Status::Leave) => {
                ActivityDecision::new(EmploymentState::Leave, true, ActivityRule::Status)
            }
            Some(Status::Onboarding) => {
                ActivityDecision::new(EmploymentState::Onboarding, false, ActivityRule::Status)
            }
            Some(Status::Inactive | Status::Other(_)) | None => {
                ActivityDecision::new(EmploymentState::Inactive, false, ActivityRule::Status)
            }
        }
    }

    /// Decides the activity for an employment with the status ONBOARDING.
    fn decide_before_start(&self, employment: &Employment, all: &[Employment]) -> ActivityDecision {
        if self.has_been_withdrawn(employment) {
            return ActivityDecision::new(
                EmploymentState::Inactive,
                false,
                ActivityRule::Withdrawn,
            );
        }
        if self.continues_another(employment, all) {
            return ActivityDecision::new(
                EmploymentState::Active,
                true,
                ActivityRule::ChangeOfEmployment,
            );
        }
        let start = employment.employment_start_date;
        let (Some(days), Some(start)) = (self.policy.active_before_start_days, start) else {
            return ActivityDecision::new(EmploymentState::Onboarding, false, ActivityRule::Status);
        };
        let is_soon = self.today >= start.saturating_sub(i64::from(days).days());
        ActivityDecision::new(EmploymentState::Onboarding, is_soon, ActivityRule::BeforeStart)
    }

    /// Reports whether a rule of the company has ended an employment that is ACTIVE or LEAVE in
    /// Personio.
    fn is_ended_by_rule(&self, employment: &Employment) -> bool {
        self.last_active_day(employment).is_some_and(|last| last < self.today)
    }

    /// Returns the last day on which a person is active by the rule of the company.
    fn last_active_day(&self, employment: &Employment) -> Option<Date> {
        let termination = employment.termination.as_ref()?;
        match self.policy.active_until? {
            ActiveUntil::LastWorkingDay => {
                termination.last_working_day().or(termination.termination_date)
            }
            ActiveUntil::TerminationDate => termination.termination_date,
        }
    }

    /// Reports whether `next` follows an employment that has ended, without a break.
    fn continues_another(&self, next: &Employment, all: &[Employment]) -> bool {
        let Some(start) = next.employment_start_date else { return false };
        all.iter().any(|earlier| earlier.id != next.id && self.is_continued_from(earlier, start))
    }

    /// Reports whether `earlier` has ended and an employment that begins on `start` follows without
    /// a break. If the next employment has begun, up to [`MAX_GAP_DAYS`] days may lie between.
    /// Before it begins, only a weekend may lie between.
    fn is_continued_from(&self, earlier: &Employment, start: Date) -> bool {
        let has_ended = match &earlier.status {
            Some(Status::Inactive) => true,
            Some(Status::Active | Status::Leave) => self.is_ended_by_rule(earlier),
            Some(Status::Onboarding | Status::Other(_)) | None => false,
        };
        let Some(end) = last_day(earlier) else { return false };
        let is_earlier = earlier.employment_start_date.is_none_or(|begin| begin < start);
        if !has_ended || !is_earlier || was_withdrawn(earlier) {
            return false;
        }
        if start <= self.today {
            let gap_days = (start - end).get_days() - 1;
            return gap_days <= MAX_GAP_DAYS;
        }
        end <= self.today && has_only_weekend_between(end, start)
    }

    /// Limits `validity` to the days on which the rules give the same result for this person.
    pub(crate) fn limit_validity(
        &self,
        person: &Person,
        employments: &[Employment],
        validity: &mut ValidityPeriod,
    ) {
        if !self.depends_on_date(person, employments) {
            return;
        }
        for employment in employments {
            for day in self.change_days(employment) {
                if self.changes_on(day, person, employments) {
                    validity.note_change(day, self.today);
                }
            }
        }
    }

    /// Reports whether the result on `day` differs from the result on the day before.
    fn changes_on(&self, day: Date, person: &Person, employments: &[Employment]) -> bool {
        let Ok(yesterday) = day.yesterday() else { return false };
        let before = DateRules { today: yesterday, ..*self };
        let after = DateRules { today: day, ..*self };
        before.evaluate(person, employments) != after.evaluate(person, employments)
    }

    /// Reports whether the result can depend on a date. For most persons it cannot.
    fn depends_on_date(&self, person: &Person, employments: &[Employment]) -> bool {
        let [only] = employments else { return !employments.is_empty() };
        match only.status.as_ref().or(person.status.as_ref()) {
            Some(Status::Active | Status::Leave) => self.last_active_day(only).is_some(),
            Some(Status::Onboarding) => true,
            Some(Status::Inactive | Status::Other(_)) | None => false,
        }
    }

    /// Returns the days on which a comparison with a date of this employment can have another
    /// result than on the day before.
    fn change_days(&self, employment: &Employment) -> Vec<Date> {
        let start = employment.employment_start_date;
        let mut days: Vec<Date> = start.into_iter().collect();
        if let (Some(start), Some(before)) = (start, self.policy.active_before_start_days) {
            days.push(start.saturating_sub(i64::from(before).days()));
        }
        for end in end_dates(employment) {
            days.push(end);
            days.extend(end.tomorrow());
        }
        days
    }
}

/// Returns the dates that end an employment. The end of a contract is not among them, because
/// contracts are renewed.
fn end_dates(employment: &Employment) -> impl Iterator<Item = Date> {
    let ends = [
        employment.employment_end_date,
        termination_date(employment),
        last_working_day(employment),
    ];
    ends.into_iter().flatten()
}

/// Returns the last day of an employment, if Personio has one.
fn last_day(employment: &Employment) -> Option<Date> {
    end_dates(employment).next()
}

/// Reports whether an employment ends before its start.
fn was_withdrawn(employment: &Employment) -> bool {
    let Some(start) = employment.employment_start_date else { return false };
    end_dates(employment).any(|end| end < start)
}

/// Returns the first day of the first employment. Employments that were withdrawn do not count.
pub(crate) fn first_start(employments: &[Employment]) -> Option<Date> {
    let mut first: Option<Date> = None;
    for employment in employments {
        let Some(start) = employment.employment_start_date else { continue };
        if !was_withdrawn(employment) && first.is_none_or(|earlier| start < earlier) {
            first = Some(start);
        }
    }
    first
}

/// Reports whether each day between `end` and `start` is a Saturday or Sunday.
fn has_only_weekend_between(end: Date, start: Date) -> bool {
    let mut day = end;
    while let Ok(next) = day.tomorrow() {
        if next >= start {
            return true;
        }
        if !matches!(next.weekday(), Weekday::Saturday | Weekday::Sunday) {
            return false;
        }
        day = next;
    }
    true
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// Date of the tests, a Monday.
    const TODAY: Date = date(2026, 11, 23);

    fn employments(list: Value) -> Vec<Employment> {
        serde_json::from_value(list).unwrap()
    }

    fn person(status: Option<&str>) -> Person {
        serde_json::from_value(json!({"id": "7", "status": status})).unwrap()
    }

    fn of(id: &str, status: &str, start: &str) -> Value {
        json!({"id": id, "status": status, "employment_start_date": start})
    }

    fn ended(id: &str, start: &str, end: &str) -> Value {
        json!({
            "id": id, "status": "INACTIVE",
            "employment_start_date": start, "employment_end_date": end,
        })
    }

    fn terminated(
        status: &str,
        start: &str,
        last_working_day: Option<&str>,
        on: Option<&str>,
    ) -> Value {
        json!({
            "id": "t", "status": status, "employment_start_date": start,
            "termination": {"last_working_date": last_working_day, "termination_date": on},
        })
    }

    /// Asserts the id of the primary employment and the activity for each row, in both orders of
    /// the employments.
    #[track_caller]
    fn check(policy: &MappingPolicy, today: Date, rows: &[(&str, bool, Value)]) {
        let rules = DateRules { policy, today };
        for (id, is_active, list) in rows {
            let mut employments = employments(list.clone());
            for _ in 0..2 {
                let primary = rules.evaluate(&person(Some("ACTIVE")), &employments);
                let found = (primary.employment.unwrap().id.as_str(), primary.activity.is_active);
                assert_eq!(found, (*id, *is_active), "{today}: {list}");
                employments.reverse();
            }
        }
    }

    #[test]
    fn primary_employment_has_the_highest_state_and_then_the_latest_start() {
        check(
            &MappingPolicy::default(),
            TODAY,
            &[
                (
                    "a",
                    true,
                    json!([of("a", "ACTIVE", "2020-01-01"), of("b", "ONBOARDING", "2027-01-01")]),
                ),
                (
                    "a",
                    true,
                    json!([of("a", "ACTIVE", "2001-01-01"), of("l", "LEAVE", "2024-01-01")]),
                ),
                (
                    "b",
                    true,
                    json!([of("a", "ACTIVE", "2020-01-01"), of("b", "ACTIVE", "2021-01-01")]),
                ),
                (
                    "b",
                    true,
                    json!([of("a", "ACTIVE", "2021-01-01"), of("b", "ACTIVE", "2021-01-01")]),
                ),
                (
                    "a",
                    true,
                    json!([of("a", "ACTIVE", "1999-01-01"), {"id": "z", "status": "ACTIVE"}]),
                ),
                (
                    "b",
                    true,
                    json!([of("a", "ACTIVE", "2020-01-01"), of("b", "ACTIVE", "2026-11-23")]),
                ),
                (
                    "a",
                    true,
                    json!([of("a", "ACTIVE", "2020-01-01"), of("b", "ACTIVE", "2026-11-24")]),
                ),
                (
                    "a",
                    true,
                    json!([{"id": "a", "status": "ACTIVE"}, of("b", "ACTIVE", "2026-11-24")]),
                ),
                (
                    "a",
                    true,
                    json!([of("a", "ACTIVE", "2026-12-01"), of("b", "ACTIVE", "2027-01-01")]),
                ),
                (
                    "l",
                    true,
                    json!([of("l", "LEAVE", "2001-01-01"), of("b", "INACTIVE", "2024-01-01")]),
                ),
                (
                    "a",
                    false,
                    json!([
                        of("a", "ONBOARDING", "2026-12-01"),
                        of("b", "ONBOARDING", "2027-01-01")
                    ]),
                ),
                (
                    "n",
                    false,
                    json!([of("o", "INACTIVE", "2010-01-01"), of("n", "ONBOARDING", "2027-01-01")]),
                ),
                (
                    "n",
                    false,
                    json!([{"id": "o", "status": "INACTIVE"}, of("n", "SABBATICAL", "1990-01-01")]),
                ),
                (
                    "n",
                    false,
                    json!([of("n", "INACTIVE", "2027-01-01"), of("o", "INACTIVE", "2020-01-01")]),
                ),
                ("u", true, json!([{"id": "u"}])),
            ],
        );
        let policy = MappingPolicy::default();
        let rules = DateRules { policy: &policy, today: TODAY };
        assert_eq!(rules.evaluate(&person(None), &[]).employment, None);
    }

    #[test]
    fn change_of_employment_without_a_break_keeps_the_person_active() {
        let next = |start: &str| of("n", "ONBOARDING", start);
        let pair = |end: &str, start: &str| json!([ended("o", "2020-01-01", end), next(start)]);
        check(
            &MappingPolicy::default(),
            TODAY,
            &[
                ("n", true, pair("2026-11-22", "2026-11-23")),
                ("n", true, pair("2026-11-23", "2026-11-23")),
                // A weekend and a holiday lie between.
                ("n", true, pair("2026-11-20", "2026-11-23")),
                ("n", true, pair("2026-11-19", "2026-11-23")),
                ("n", false, pair("2026-11-18", "2026-11-23")),
                // Personio's status is a week late.
                ("n", true, pair("2026-11-15", "2026-11-16")),
                ("n", true, pair("2026-12-31", "2026-11-23")),
                // The next employment has not begun.
                ("n", false, pair("2026-11-22", "2026-11-24")),
                ("n", true, pair("2026-11-23", "2026-11-24")),
                ("n", false, pair("2026-11-24", "2026-11-25")),
                // A former employee returns.
                ("n", false, pair("2024-11-22", "2026-11-23")),
                // The previous employment was withdrawn.
                ("n", false, json!([ended("o", "2026-11-25", "2026-11-20"), next("2026-11-23")])),
                // The other employment starts later.
                ("n", false, json!([ended("o", "2027-01-01", "2027-06-01"), next("2026-11-23")])),
                // The end of the previous employment is unknown.
                ("n", false, json!([of("o", "INACTIVE", "2020-01-01"), next("2026-11-23")])),
                // The date of a termination is an end.
                (
                    "n",
                    true,
                    json!([
                        {
                            "id": "o", "status": "INACTIVE",
                            "termination": {"termination_date": "2026-11-22"},
                        },
                        next("2026-11-23"),
                    ]),
                ),
                // Another employment is planned.
                (
                    "n",
                    true,
                    json!([
                        ended("o", "2020-01-01", "2026-11-22"),
                        next("2026-11-23"),
                        of("p", "ONBOARDING", "2027-01-01"),
                    ]),
                ),
                // The next employment was withdrawn.
                (
                    "t",
                    false,
                    json!([
                        ended("o", "2020-01-01", "2026-11-22"),
                        terminated("ONBOARDING", "2026-11-23", None, Some("2026-11-20")),
                    ]),
                ),
                // No employment follows.
                ("o", false, json!([ended("o", "2020-01-01", "2026-11-22")])),
                (
                    "p",
                    false,
                    json!([
                        ended("o", "2020-01-01", "2026-11-21"),
                        ended("p", "2026-11-22", "2026-11-22")
                    ]),
                ),
            ],
        );
        // The person stays active from Friday to Monday.
        for (today, is_active) in [
            (date(2026, 11, 20), true),
            (date(2026, 11, 21), true),
            (date(2026, 11, 22), true),
            (date(2026, 11, 23), true),
        ] {
            check(
                &MappingPolicy::default(),
                today,
                &[("n", is_active, pair("2026-11-20", "2026-11-23"))],
            );
        }
        for today in [date(2026, 11, 20), date(2026, 11, 21), date(2026, 11, 23)] {
            check(
                &MappingPolicy::default(),
                today,
                &[("n", false, pair("2026-11-19", "2026-11-24"))],
            );
        }
    }

    #[test]
    fn onboarding_person_is_active_before_the_start_unless_withdrawn() {
        let policy =
            MappingPolicy { active_before_start_days: Some(14), ..MappingPolicy::default() };
        let withdrawn = |last: Option<&str>, on: Option<&str>| {
            json!([terminated("ONBOARDING", "2026-12-01", last, on)])
        };
        check(
            &policy,
            TODAY,
            &[
                ("n", true, json!([of("n", "ONBOARDING", "2026-12-07")])),
                ("n", false, json!([of("n", "ONBOARDING", "2026-12-08")])),
                ("n", true, json!([of("n", "ONBOARDING", "2026-11-01")])),
                ("t", true, withdrawn(None, None)),
                ("t", true, withdrawn(None, Some("2027-11-30"))),
                ("t", true, withdrawn(None, Some("2026-12-01"))),
                ("t", false, withdrawn(None, Some("2026-11-30"))),
                ("t", false, withdrawn(None, Some("2026-11-22"))),
                ("t", false, withdrawn(Some("2026-11-30"), Some("2027-11-30"))),
                (
                    "t",
                    false,
                    json!([terminated("ONBOARDING", "2026-11-02", None, Some("2026-11-22"))]),
                ),
                (
                    "t",
                    true,
                    json!([terminated("ONBOARDING", "2026-11-02", None, Some("2026-11-23"))]),
                ),
                (
                    "n",
                    false,
                    json!([{
                        "id": "n", "status": "ONBOARDING",
                        "employment_start_date": "2026-12-01", "employment_end_date": "2026-11-30",
                    }]),
                ),
                ("n", false, json!([{"id": "n", "status": "ONBOARDING"}])),
                // The other employment was not withdrawn.
                (
                    "n",
                    true,
                    json!([
                        of("n", "ONBOARDING", "2026-11-30"),
                        terminated("ONBOARDING", "2026-12-01", None, Some("2026-11-30")),
                    ]),
                ),
            ],
        );
    }

    #[test]
    fn active_until_ends_the_activity_after_the_configured_date() {
        let last_working_day = MappingPolicy {
            active_until: Some(ActiveUntil::LastWorkingDay),
            ..MappingPolicy::default()
        };
        let termination_date = MappingPolicy {
            active_until: Some(ActiveUntil::TerminationDate),
            ..MappingPolicy::default()
        };
        let ends = |last: Option<&str>, on: Option<&str>| {
            json!([terminated("ACTIVE", "2020-01-01", last, on)])
        };
        let leave =
            json!([terminated("LEAVE", "2020-01-01", Some("2026-11-22"), Some("2026-11-22"))]);
        let (past, today, later) = (Some("2026-11-22"), Some("2026-11-23"), Some("2026-12-31"));
        check(
            &last_working_day,
            TODAY,
            &[
                ("t", false, ends(past, later)),
                ("t", true, ends(today, later)),
                ("t", false, ends(None, past)),
                ("t", true, ends(None, None)),
                ("t", false, leave.clone()),
                ("a", true, json!([of("a", "ACTIVE", "2020-01-01")])),
                // The next employment begins today.
                (
                    "n",
                    true,
                    json!([
                        terminated("ACTIVE", "2020-01-01", past, past),
                        of("n", "ONBOARDING", "2026-11-23"),
                    ]),
                ),
                (
                    "n",
                    true,
                    json!([
                        terminated("ACTIVE", "2025-01-01", past, past),
                        of("n", "LEAVE", "2020-01-01")
                    ]),
                ),
            ],
        );
        check(
            &termination_date,
            TODAY,
            &[
                ("t", true, ends(past, later)),
                ("t", true, ends(past, today)),
                ("t", false, ends(past, past)),
                ("t", true, ends(past, None)),
                ("t", false, leave.clone()),
            ],
        );
        check(
            &MappingPolicy::default(),
            TODAY,
            &[("t", true, ends(past, past)), ("t", true, leave)],
        );
    }

    /// Generates lists of employments in every state, with dates around [`TODAY`].
    fn employment_lists() -> impl Strategy<Value = Vec<Employment>> {
        let day = || {
            let around =
                (-6i64..7).prop_map(|days| json!(TODAY.saturating_add(days.days()).to_string()));
            prop_oneof![3 => around, 1 => Just(Value::Null)]
        };
        let status = prop_oneof![
            Just("ACTIVE"),
            Just("LEAVE"),
            Just("ONBOARDING"),
            Just("ONBOARDING"),
            Just("INACTIVE"),
            Just("INACTIVE"),
            Just("OTHER"),
        ];
        let employment = (status, day(), day(), day(), day());
        prop::collection::vec(employment, 0..4).prop_map(|rows| {
            let rows =
                rows.into_iter().enumerate().map(|(index, (status, start, end, last, on))| {
                    json!({
                        "id": format!("e{index}"), "status": status, "employment_start_date": start,
                        "employment_end_date": end,
                        "termination": {"last_working_day": last, "termination_date": on},
                    })
                });
            employments(rows.collect())
        })
    }

    fn policies() -> impl Strategy<Value = MappingPolicy> {
        let until = prop::option::of(prop_oneof![
            Just(ActiveUntil::LastWorkingDay),
            Just(ActiveUntil::TerminationDate),
        ]);
        (prop::option::of(0u16..5), until).prop_map(|(active_before_start_days, active_until)| {
            MappingPolicy {
                active_before_start_days,
                active_until,
                time_zone: TimeZone::UTC,
                ..MappingPolicy::default()
            }
        })
    }

    proptest! {
        #[test]
        fn primary_employment_does_not_depend_on_the_listing_order(
            policy in policies(),
            (list, shuffled) in employment_lists()
                .prop_flat_map(|list| (Just(list.clone()), Just(list).prop_shuffle())),
        ) {
            let rules = DateRules { policy: &policy, today: TODAY };
            let person = person(Some("ACTIVE"));
            prop_assert_eq!(rules.evaluate(&person, &list), rules.evaluate(&person, &shuffled));
        }

        #[test]
        fn outcome_changes_only_at_the_end_of_the_validity(
            policy in policies(),
            list in employment_lists(),
        ) {
            let rules = DateRules { policy: &policy, today: TODAY };
            let person = person(Some("ACTIVE"));
            let mut validity = ValidityPeriod::default();
            rules.limit_validity(&person, &list, &mut validity);
            let range = validity.time_range(&TimeZone::UTC);
            let own = rules.evaluate(&person, &list);
            let has_own = |day: Date| {
                DateRules { today: day, ..rules }.evaluate(&person, &list) == own
            };
            let is_within = |day: Date| {
                let moment = day.to_zoned(TimeZone::UTC).unwrap().timestamp();
                range.as_ref().is_none_or(|range| range.contains(&moment))
            };
            prop_assert!(is_within(TODAY));
            for days in -30i64..30 {
                let day = TODAY.saturating_add(days.days());
                prop_assert!(!is_within(day) || has_own(day), "{} is within {:?}", day, range);
                // The result differs on the first day after the period.
                if is_within(day) && !is_within(day.tomorrow().unwrap()) {
                    prop_assert!(!has_own(day.tomorrow().unwrap()));
                }
            }
        }
    }
}
