//! Reporting lines: the chief, a head for each department, team leads, and members.
//!
//! Persons are numbered from the top, so that a supervisor has a smaller number than the persons
//! below. There is one lead for every eight members. The first lead of a team reports to the head
//! of the department, and each further lead to an earlier lead of the team.

use crate::simulator::random::Random;
use crate::simulator::word_lists::{
    CHIEF_JOB, CHIEF_TITLE, DEPARTMENTS, HEAD_JOB, LEAD_JOB, LEADING_JOBS,
};

/// Average number of members per lead, and maximum number of leads that report to a lead.
const REPORTS_PER_LEAD: usize = 8;

pub(super) fn department_id(department: usize) -> String {
    (1_001 + department).to_string()
}

pub(super) fn team_id(team: usize) -> String {
    (2_001 + team).to_string()
}

/// Id of the first job.
pub(super) const FIRST_JOB_ID: usize = 601;

pub(super) fn job_id(job: usize) -> String {
    (FIRST_JOB_ID + job).to_string()
}

/// Returns the name of every team with the index of its department.
///
/// The first team of each department comes first, then the second team of each, and so on.
pub(super) fn teams() -> Vec<(usize, &'static str)> {
    let rounds = DEPARTMENTS.iter().map(|department| department.teams.len()).max();
    let mut teams = Vec::new();
    for round in 0..rounds.unwrap_or_default() {
        for (index, department) in DEPARTMENTS.iter().enumerate() {
            if let Some(name) = department.teams.get(round) {
                teams.push((index, *name));
            }
        }
    }
    teams
}

/// Place of one person in the company.
#[derive(Debug)]
pub(super) struct OrgChartPosition {
    pub(super) department: Option<usize>,
    pub(super) team: Option<usize>,
    /// Number of the person who is the supervisor.
    pub(super) supervisor: Option<usize>,
    pub(super) title: String,
    /// Index of the job: those of [`LEADING_JOBS`], then one for each department.
    pub(super) job: usize,
    /// True for the chief, the heads and the first leads. They never leave, so that the reporting
    /// lines hold.
    pub(super) is_fixed_leader: bool,
}

/// Team of a lead.
#[derive(Debug)]
struct Team {
    /// Index of the team.
    index: usize,
    /// Index of its department.
    department: usize,
    name: &'static str,
}

/// Reporting lines of a company of a certain size.
#[derive(Debug)]
pub(super) struct OrgChart {
    /// Department index and name of each team.
    teams: Vec<(usize, &'static str)>,
    /// Number of leads.
    lead_count: usize,
}

impl OrgChart {
    pub(super) fn new(persons: usize) -> Self {
        let below_heads = persons.saturating_sub(1 + DEPARTMENTS.len());
        Self { teams: teams(), lead_count: below_heads.div_ceil(REPORTS_PER_LEAD + 1) }
    }

    /// Returns the place of the person with this number.
    pub(super) fn position(&self, index: usize, random: &mut Random) -> OrgChartPosition {
        let Some(below_chief) = index.checked_sub(1) else {
            let title = CHIEF_TITLE.to_owned();
            return OrgChartPosition {
                department: None,
                team: None,
                supervisor: None,
                title,
                job: CHIEF_JOB,
                is_fixed_leader: true,
            };
        };
        if let Some(department) = DEPARTMENTS.get(below_chief) {
            return OrgChartPosition {
                department: Some(below_chief),
                team: None,
                supervisor: Some(0),
                title: department.head_title.to_owned(),
                job: HEAD_JOB,
                is_fixed_leader: true,
            };
        }
        let lead = below_chief - DEPARTMENTS.len();
        if lead < self.lead_count { self.lead_position(lead) } else { self.member_position(random) }
    }

    fn lead_position(&self, lead: usize) -> OrgChartPosition {
        let team = self.team_of_lead(lead);
        let row = lead.checked_div(self.teams.len()).unwrap_or_default();
        let supervisor = match row.checked_sub(1) {
            None => 1 + team.department,
            Some(above) => lead_index(above / REPORTS_PER_LEAD * self.teams.len() + team.index),
        };
        OrgChartPosition {
            department: Some(team.department),
            team: Some(team.index),
            supervisor: Some(supervisor),
            title: format!("Team Lead {}", team.name),
            job: LEAD_JOB,
            is_fixed_leader: row == 0,
        }
    }

    fn member_position(&self, random: &mut Random) -> OrgChartPosition {
        let lead = random.below(self.lead_count);
        let team = self.team_of_lead(lead);
        let titles: &[&'static str] = match DEPARTMENTS.get(team.department) {
            Some(department) => department.member_titles,
            None => &[],
        };
        OrgChartPosition {
            department: Some(team.department),
            team: Some(team.index),
            supervisor: Some(lead_index(lead)),
            title: random.pick_text(titles).to_owned(),
            job: LEADING_JOBS.len() + team.department,
            is_fixed_leader: false,
        }
    }

    /// Returns the team of a lead.
    fn team_of_lead(&self, lead: usize) -> Team {
        let index = lead.checked_rem(self.teams.len()).unwrap_or_default();
        let (department, name) = self.teams.get(index).copied().unwrap_or_default();
        Team { index, department, name }
    }
}

/// Returns the number of the person who is this lead.
fn lead_index(lead: usize) -> usize {
    1 + DEPARTMENTS.len() + lead
}
