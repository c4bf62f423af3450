//! Employments of a person, with dates that are consistent.
//!
//! A day is a number of days from today. Past days are negative.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde_json::Map;

use crate::simulator::generate::tree::{OrgChartPosition, department_id, job_id, team_id};
use crate::simulator::random::{Random, stable_hash};
use crate::simulator::word_lists::{COST_CENTERS, LEGAL_ENTITIES, TERMINATIONS, WORKPLACES};
use crate::simulator::world::{SimulatedEmployment, SimulatedOrgUnitType, SimulatedTermination};

/// Date and time for which a company is generated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calendar {
    now: Timestamp,
    today: Date,
}

impl Calendar {
    pub(super) fn new(now: Timestamp) -> Self {
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        Self { now, today: TimeZone::UTC.to_datetime(now).date() }
    }

    /// Returns the date that lies `days` days from today.
    pub(super) fn date_in_days(self, days: i64) -> Date {
        self.today.checked_add(Span::new().days(days)).unwrap_or(self.today)
    }

    /// Returns a random time in the 10 hours before the time that lies `days` days from now.
    ///
    /// A result in the future is replaced by the second before now.
    fn past_time_near_day(self, days: i64, random: &mut Random) -> Timestamp {
        let seconds = days * 86_400 - random.between(1, 36_000);
        Timestamp::from_second(self.now.as_second() + seconds.min(-1)).unwrap_or(self.now)
    }

    /// Returns a random time from `start` up to, but not including, now.
    pub(super) fn time_since(self, start: Timestamp, random: &mut Random) -> Timestamp {
        let passed = (self.now.as_second() - start.as_second()).max(1);
        Timestamp::from_second(start.as_second() + random.between(0, passed - 1)).unwrap_or(start)
    }
}

/// Typical course of a person's employments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Career {
    Steady,
    NoticeGiven,
    ChangePlanned,
    Rehired,
    OnLeave,
    Onboarding,
    Left,
}

impl Career {
    /// Returns a random course of employments. Most persons get `Steady`.
    pub(super) fn random(random: &mut Random) -> Self {
        match random.below(100) {
            0..10 => Self::Left,
            10..12 => Self::Onboarding,
            12..15 => Self::OnLeave,
            15..18 => Self::Rehired,
            18..20 => Self::ChangePlanned,
            20..22 => Self::NoticeGiven,
            _ => Self::Steady,
        }
    }

    /// Returns the status of the person. Personio reports a person before the first day as active.
    pub(super) fn person_status(self) -> &'static str {
        match self {
            Self::Left => "INACTIVE",
            Self::Steady
            | Self::NoticeGiven
            | Self::ChangePlanned
            | Self::Rehired
            | Self::OnLeave
            | Self::Onboarding => "ACTIVE",
        }
    }

    /// Creates the employments of this course, the current one first.
    pub(super) fn employments(
        self,
        seat: &OrgChartPosition,
        supervisor: Option<String>,
        calendar: Calendar,
        random: &mut Random,
    ) -> Vec<SimulatedEmployment> {
        let start = match self {
            Self::Onboarding => random.between(1, 42),
            Self::Rehired | Self::Left => -random.between(30, 900),
            Self::Steady | Self::NoticeGiven | Self::ChangePlanned | Self::OnLeave => {
                -random.between(10, 4_000)
            }
        };
        let mut current = employment(seat, supervisor, start, calendar, random);
        let mut others = Vec::new();
        match self {
            Self::Steady => {}
            Self::OnLeave => current.status = Some("LEAVE".to_owned()),
            Self::Onboarding => current.status = Some("ONBOARDING".to_owned()),
            Self::NoticeGiven => terminate(&mut current, random.between(3, 120), calendar, random),
            Self::Left => {
                let end_day = -random.between(1, 700);
                let first_day = end_day - random.between(100, 3_000);
                current = SimulatedEmployment {
                    employment_start_date: Some(calendar.date_in_days(first_day)),
                    probation_end_date: Some(calendar.date_in_days(first_day + 182)),
                    contract_end_date: None,
                    created_at: Some(calendar.past_time_near_day(first_day - 20, random)),
                    ..current
                };
                terminate(&mut current, end_day, calendar, random);
            }
            Self::Rehired => {
                let gap_start = start - random.between(60, 800);
                let first_day = gap_start - random.between(200, 2_000);
                let supervisor = current.supervisor.clone();
                let mut earlier = employment(seat, supervisor, first_day, calendar, random);
                earlier.contract_end_date = None;
                terminate(&mut earlier, gap_start, calendar, random);
                others.push(earlier);
            }
            Self::ChangePlanned => others.push(plan_change(&mut current, calendar, random)),
        }
        let mut employments = vec![current];
        employments.append(&mut others);
        employments
    }
}

/// Creates an active employment that starts on a day and has not been terminated.
fn employment(
    seat: &OrgChartPosition,
    supervisor: Option<String>,
    start: i64,
    calendar: Calendar,
    random: &mut Random,
) -> SimulatedEmployment {
    let created_at = calendar.past_time_near_day(start.min(0) - random.between(5, 30), random);
    let mut org_units = Vec::new();
    if let Some(department) = seat.department {
        org_units.push((SimulatedOrgUnitType::Department, department_id(department)));
    }
    if let Some(team) = seat.team {
        org_units.push((SimulatedOrgUnitType::Team, team_id(team)));
    }
    let external = !seat.is_fixed_leader && random.chance(5);
    let id = random.uuid();
    let job = job_of(&id, seat);
    SimulatedEmployment {
        id,
        status: Some("ACTIVE".to_owned()),
        employment_type: Some(if external { "EXTERNAL" } else { "INTERNAL" }.to_owned()),
        position: Some(seat.title.clone()),
        job,
        supervisor,
        office: Some((401 + random.below(WORKPLACES.len())).to_string()),
        org_units,
        legal_entity: Some((301 + random.below(LEGAL_ENTITIES.len())).to_string()),
        cost_centers: cost_centers(random),
        weekly_working_hours: Some(if random.chance(80) { 40.0 } else { 19.5 }),
        employment_start_date: Some(calendar.date_in_days(start)),
        employment_end_date: None,
        probation_end_date: Some(calendar.date_in_days(start + 182)),
        contract_end_date: random.chance(8).then(|| calendar.date_in_days(start.max(0) + 365)),
        termination: None,
        created_at: Some(created_at),
        updated_at: Some(calendar.time_since(created_at, random)),
        extra: Map::new(),
    }
}

/// Returns the id of the job of this employment. One employment in eight has no job.
fn job_of(id: &str, seat: &OrgChartPosition) -> Option<String> {
    (!stable_hash(id).is_multiple_of(8)).then(|| job_id(seat.job))
}

/// Terminates an employment on a day, which may lie in the future.
fn terminate(
    employment: &mut SimulatedEmployment,
    day: i64,
    calendar: Calendar,
    random: &mut Random,
) {
    let holidays = if random.chance(30) { random.between(1, 14) } else { 0 };
    let holidays = if day > 0 { holidays.min(day) } else { holidays };
    let terminated_at = calendar.past_time_near_day(day.min(0) - random.between(15, 90), random);
    let (kind, reason) = random.pick(TERMINATIONS).copied().unwrap_or_default();
    if day < 0 {
        employment.status = Some("INACTIVE".to_owned());
    }
    employment.employment_end_date = Some(calendar.date_in_days(day));
    employment.termination = Some(SimulatedTermination {
        termination_date: Some(calendar.date_in_days(day)),
        last_working_day: Some(calendar.date_in_days(day - holidays)),
        terminated_at: Some(terminated_at),
        termination_type: Some(kind.to_owned()),
        reason: Some(reason.to_owned()),
    });
    employment.updated_at = Some(calendar.time_since(terminated_at, random));
}

/// Ends the current employment on a future day and creates the one that starts the day after.
fn plan_change(
    current: &mut SimulatedEmployment,
    calendar: Calendar,
    random: &mut Random,
) -> SimulatedEmployment {
    let start = random.between(7, 90);
    current.employment_end_date = Some(calendar.date_in_days(start - 1));
    current.contract_end_date = None;
    SimulatedEmployment {
        id: random.uuid(),
        status: Some("ONBOARDING".to_owned()),
        position: current.position.as_ref().map(|title| format!("Principal {title}")),
        employment_start_date: Some(calendar.date_in_days(start)),
        employment_end_date: None,
        probation_end_date: None,
        created_at: current.updated_at,
        ..current.clone()
    }
}

fn cost_centers(random: &mut Random) -> Vec<(String, f64)> {
    let first = random.below(COST_CENTERS.len());
    let second = (first + 1 + random.below(COST_CENTERS.len() - 1)) % COST_CENTERS.len();
    if random.chance(15) {
        vec![(cost_center_id(first), 60.0), (cost_center_id(second), 40.0)]
    } else {
        vec![(cost_center_id(first), 100.0)]
    }
}

fn cost_center_id(index: usize) -> String {
    (501 + index).to_string()
}
