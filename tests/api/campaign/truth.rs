//! History of all upstream values that access rules use. Every served value must be one of them.

use std::collections::{BTreeMap, BTreeSet};

use personio_scim::scim::ENTERPRISE_USER_SCHEMA as ENTERPRISE;
use personio_scim::simulator::{SimulatedEmployment, SimulatedOrgUnitType, World};
use serde_json::Value;

/// All values of all persons, and all names of all departments.
#[derive(Default)]
pub struct Truth {
    persons: BTreeMap<String, Values>,
    department_names: BTreeMap<String, BTreeSet<String>>,
}

/// All values that one person ever had; `None` for a time without a value.
#[derive(Default)]
struct Values {
    /// Ids of departments.
    departments: BTreeSet<Option<String>>,
    managers: BTreeSet<Option<String>>,
    /// Sets of group ids, one set for each point in time.
    groups: BTreeSet<BTreeSet<String>>,
}

impl Values {
    fn add(&mut self, employment: &SimulatedEmployment) {
        let units = employment
            .org_units
            .iter()
            .filter(|(kind, _)| *kind == SimulatedOrgUnitType::Department);
        let departments: Vec<&String> = units.map(|(_, id)| id).collect();
        if departments.is_empty() {
            self.departments.insert(None);
        }
        self.departments.extend(departments.iter().map(|id| Some((*id).clone())));
        self.managers.insert(employment.supervisor.clone());
        let mut groups: BTreeSet<String> =
            departments.iter().map(|id| format!("department-{id}")).collect();
        groups.extend(employment.legal_entity.iter().map(|id| format!("legalEntity-{id}")));
        self.groups.insert(groups);
    }
}

impl Truth {
    /// Adds the values of the current world.
    pub fn add(&mut self, world: &World) {
        for unit in &world.org_units {
            self.department_names.entry(unit.id.clone()).or_default().insert(unit.name.clone());
        }
        for person in &world.persons {
            let values = self.persons.entry(person.id.clone()).or_default();
            if person.employments.is_empty() {
                values.departments.insert(None);
                values.managers.insert(None);
                values.groups.insert(BTreeSet::new());
            }
            for employment in &person.employments {
                values.add(employment);
            }
        }
    }

    /// Returns the ids of users with a department, a manager or a membership that they never had
    /// upstream, and of users that lack one although they never lacked it upstream.
    pub fn wrong(&self, users: &[Value]) -> BTreeSet<String> {
        let served: BTreeSet<&str> = users.iter().filter_map(|user| user["id"].as_str()).collect();
        let mut wrong = BTreeSet::new();
        for user in users {
            let id = user["id"].as_str().unwrap();
            let values = &self.persons[id];
            if !(self.is_department(values, user)
                && is_manager(values, user, &served)
                && are_groups(values, user))
            {
                wrong.insert(id.to_owned());
            }
        }
        wrong
    }

    fn is_department(&self, values: &Values, user: &Value) -> bool {
        let Some(name) = user[ENTERPRISE]["department"].as_str() else {
            return values.departments.contains(&None);
        };
        let names =
            values.departments.iter().flatten().filter_map(|id| self.department_names.get(id));
        names.flatten().any(|known| known == name)
    }
}

/// Reports whether the user's manager is correct. The server omits a manager who is not served.
fn is_manager(values: &Values, user: &Value, served: &BTreeSet<&str>) -> bool {
    match user[ENTERPRISE]["manager"]["value"].as_str() {
        Some(manager) => values.managers.contains(&Some(manager.to_owned())),
        None => values
            .managers
            .iter()
            .any(|manager| manager.as_ref().is_none_or(|id| !served.contains(id.as_str()))),
    }
}

fn are_groups(values: &Values, user: &Value) -> bool {
    let groups = user["groups"].as_array().into_iter().flatten();
    values
        .groups
        .contains(&groups.map(|group| group["value"].as_str().unwrap().to_owned()).collect())
}
