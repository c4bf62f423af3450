//! Property test: an incremental mapping gives the same directory as a full mapping.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::civil::date;
use jiff::{SignedDuration, ToSpan};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::clock::Clock;
use crate::directory::{PreviousState, Snapshot, TestAccountStates};
use crate::mapping::{
    ActiveUntil, CustomAttributePolicy, GroupKind, MappingPolicy, OptionalContent,
    ServedEmployments, StandardAttributePolicy,
};
use crate::personio::model::Employment;
use crate::personio::{LookupKind, LookupNames};
use crate::scim::{AttributeType, CustomAttributeDefinition, ResourceSet, SchemaRegistry};
use crate::sync::record_codec;
use crate::sync::sync_state::{MappedRecords, UnmappedRecords};

const FIRST_DAY: Date = date(2026, 11, 23);
const PERSONS: u8 = 8;

/// Clock that stands still at noon of a day.
struct NoonClock(Date);

impl Clock for NoonClock {
    fn now(&self) -> Timestamp {
        let noon = self.0.at(12, 0, 0, 0).in_tz("Europe/Berlin").unwrap();
        noon.timestamp()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn wait_until(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

/// Person of the generated company. Small numbers stand for ids and texts, so that they coincide.
#[derive(Debug, Clone)]
struct GeneratedPerson {
    email: Option<u8>,
    /// `None` for a person without a name, whose display name is the userName.
    first_name: Option<u8>,
    preferred_name: Option<u8>,
    created: u8,
    custom: Option<u8>,
    /// `None` if the employments could not be read yet.
    employments: Option<Vec<GeneratedEmployment>>,
    is_unverified: bool,
    read_failed: bool,
    has_malformed_value: bool,
    updated: u8,
}

#[derive(Debug, Clone)]
struct GeneratedEmployment {
    status: Option<u8>,
    /// Day of the start, counted from the first day.
    start: i8,
    last_working_day: Option<i8>,
    supervisor: Option<u8>,
    team: Option<u8>,
    department: Option<u8>,
}

/// Change of the company between two loads.
#[derive(Debug, Clone)]
enum Edit {
    Replace(u8, GeneratedPerson),
    Delete(u8),
    Email(u8, Option<u8>),
    FirstName(u8, Option<u8>),
    PreferredName(u8, Option<u8>),
    Custom(u8, Option<u8>),
    Created(u8, u8),
    Updated(u8),
    Supervisor(u8, Option<u8>),
    Team(u8, Option<u8>),
    Department(u8, Option<u8>),
    Status(u8, Option<u8>),
    LastWorkingDay(u8, Option<i8>),
    Unverified(u8, bool),
    ReadFailed(u8, bool),
    MalformedValue(u8, bool),
    /// Employments are read again, with the same result.
    ReadAgain(u8),
    NameOfUnit(LookupKind, u8, Option<u8>),
    /// Another unit above a department.
    Parent(u8, Option<u8>),
    /// The date changes by this number of days.
    Days(i8),
    /// The mapping is put in force again.
    NewMapping,
    /// The load is not published, so the next one has the same base.
    Held,
}

/// Generated company, with the records of the last load.
struct Company {
    persons: BTreeMap<u8, GeneratedPerson>,
    names: BTreeMap<(u8, u8), u8>,
    /// Department above each department.
    parents: BTreeMap<u8, u8>,
    today: Date,
    records: HashMap<u8, Arc<PersonRecord>>,
}

fn generated_employment() -> impl Strategy<Value = GeneratedEmployment> {
    let days = prop::option::weighted(0.3, -3..6i8);
    let unit = || prop::option::weighted(0.8, 0..3u8);
    let supervisor = prop::option::weighted(0.8, 0..PERSONS);
    (prop::option::weighted(0.9, 0..4u8), -9..6i8, days, supervisor, unit(), unit()).prop_map(
        |(status, start, last_working_day, supervisor, team, department)| GeneratedEmployment {
            status,
            start,
            last_working_day,
            supervisor,
            team,
            department,
        },
    )
}

fn generated_person() -> impl Strategy<Value = GeneratedPerson> {
    let employments =
        prop::option::weighted(0.95, prop::collection::vec(generated_employment(), 0..3));
    let email = prop::option::weighted(0.8, 0..6u8);
    let first_name = prop::option::weighted(0.7, 0..3u8);
    (email, first_name, prop::option::weighted(0.2, 0..3u8), 0..3u8, employments).prop_map(
        |(email, first_name, preferred_name, created, employments)| GeneratedPerson {
            email,
            first_name,
            preferred_name,
            created,
            custom: None,
            employments,
            is_unverified: false,
            read_failed: false,
            has_malformed_value: false,
            updated: 0,
        },
    )
}

fn edit() -> impl Strategy<Value = Edit> {
    let id = || 0..PERSONS;
    let value = || prop::option::weighted(0.8, 0..3u8);
    let kind = prop::sample::select(&[LookupKind::Team, LookupKind::Department][..]);
    prop_oneof![
        (id(), generated_person()).prop_map(|(id, person)| Edit::Replace(id, person)),
        id().prop_map(Edit::Delete),
        (id(), prop::option::weighted(0.8, 0..6u8)).prop_map(|(id, to)| Edit::Email(id, to)),
        (id(), value()).prop_map(|(id, to)| Edit::FirstName(id, to)),
        (id(), value()).prop_map(|(id, to)| Edit::PreferredName(id, to)),
        (id(), value()).prop_map(|(id, to)| Edit::Custom(id, to)),
        (id(), 0..3u8).prop_map(|(id, to)| Edit::Created(id, to)),
        id().prop_map(Edit::Updated),
        (id(), prop::option::weighted(0.8, id())).prop_map(|(id, to)| Edit::Supervisor(id, to)),
        (id(), value()).prop_map(|(id, to)| Edit::Team(id, to)),
        (id(), value()).prop_map(|(id, to)| Edit::Department(id, to)),
        (id(), prop::option::weighted(0.9, 0..4u8)).prop_map(|(id, to)| Edit::Status(id, to)),
        (id(), prop::option::of(-3..6i8)).prop_map(|(id, to)| Edit::LastWorkingDay(id, to)),
        (id(), any::<bool>()).prop_map(|(id, to)| Edit::Unverified(id, to)),
        (id(), any::<bool>()).prop_map(|(id, to)| Edit::ReadFailed(id, to)),
        (id(), any::<bool>()).prop_map(|(id, to)| Edit::MalformedValue(id, to)),
        id().prop_map(Edit::ReadAgain),
        (kind, 0..3u8, value()).prop_map(|(kind, id, to)| Edit::NameOfUnit(kind, id, to)),
        (0..3u8, value()).prop_map(|(id, to)| Edit::Parent(id, to)),
        (-2..4i8).prop_map(Edit::Days),
        (-2..4i8).prop_map(Edit::Days),
        Just(Edit::NewMapping),
        Just(Edit::Held),
    ]
}

impl GeneratedPerson {
    fn to_record(&self, id: u8) -> PersonRecord {
        let person = json!({
            // The ids are numbers and texts, so that the order of the list has both.
            "id": person_id(id),
            "email": self.email.map(address),
            "first_name": self.first_name.map(|name| format!("Name {name}")),
            "preferred_name": self.preferred_name.map(|name| format!("Preferred {name}")),
            "created_at": format!("2020-01-0{}T00:00:00Z", self.created + 1),
            "updated_at": format!("2026-01-01T00:00:{:02}Z", self.updated % 60),
            "custom_attributes": [{"id": "dynamic_1", "label": "Desk", "value": self.custom}],
        });
        let employments: Option<Vec<Employment>> = self.employments.as_ref().map(|all| {
            let all = all.iter().enumerate();
            let all: Vec<Value> = all.map(|(index, one)| one.to_json(id, index)).collect();
            serde_json::from_value(Value::Array(all)).unwrap()
        });
        let listed = serde_json::from_value(person).unwrap();
        let listed = record_codec::ListedPerson::new(listed).unwrap();
        let read_at = Timestamp::UNIX_EPOCH;
        let mut record = PersonRecord::new(&listed, employments.as_deref(), read_at).unwrap();
        record.is_unverified = self.is_unverified;
        record.read_failed = self.read_failed;
        if self.has_malformed_value {
            record.malformed.person.push("last_name".into());
        }
        record
    }
}

fn person_id(id: u8) -> String {
    if id % 4 == 3 { format!("text-{id}") } else { id.to_string() }
}

/// Returns an address. Two differ only in case, and one looks like a userName that is made of an
/// id.
fn address(number: u8) -> String {
    match number {
        0 => "Ann@example.com".to_owned(),
        1 => "ann@example.com".to_owned(),
        2 => "personio-1".to_owned(),
        other => format!("person{other}@example.com"),
    }
}

fn day(number: i8) -> String {
    (FIRST_DAY + i64::from(number).days()).to_string()
}

impl GeneratedEmployment {
    fn to_json(&self, person: u8, index: usize) -> Value {
        let statuses = ["ACTIVE", "ONBOARDING", "LEAVE", "INACTIVE"];
        let status = self.status.and_then(|status| statuses.get(usize::from(status)));
        let last_working_day = self.last_working_day.map(day);
        let mut units = Vec::new();
        units.extend(self.team.map(|id| json!({"id": id.to_string(), "type": "team"})));
        units.extend(self.department.map(|id| json!({"id": id.to_string(), "type": "department"})));
        json!({
            "id": format!("{person}-{index}"),
            "status": status,
            "employment_start_date": day(self.start),
            "supervisor": self.supervisor.map(|id| json!({"id": person_id(id)})),
            "termination": last_working_day.map(|day| json!({"last_working_day": day})),
            "org_units": units,
        })
    }
}

/// Kind of a unit as a number, for the order of a map.
fn kind_number(kind: LookupKind) -> u8 {
    u8::from(kind == LookupKind::Team)
}

impl Company {
    /// Applies an edit to the persons, names and date.
    fn apply(&mut self, edit: Edit) {
        match edit {
            Edit::Replace(id, person) => drop(self.persons.insert(id, person)),
            Edit::Delete(id) => drop(self.persons.remove(&id)),
            Edit::Email(id, to) => self.edit(id, |person| person.email = to),
            Edit::FirstName(id, to) => self.edit(id, |person| person.first_name = to),
            Edit::PreferredName(id, to) => self.edit(id, |person| person.preferred_name = to),
            Edit::Custom(id, to) => self.edit(id, |person| person.custom = to),
            Edit::Created(id, to) => self.edit(id, |person| person.created = to),
            Edit::Updated(id) => self.edit(id, |person| person.updated += 1),
            Edit::Supervisor(id, to) => self.edit_employments(id, |it| it.supervisor = to),
            Edit::Team(id, to) => self.edit_employments(id, |it| it.team = to),
            Edit::Department(id, to) => self.edit_employments(id, |it| it.department = to),
            Edit::Status(id, to) => self.edit_employments(id, |it| it.status = to),
            Edit::LastWorkingDay(id, to) => {
                self.edit_employments(id, |it| it.last_working_day = to);
            }
            Edit::Unverified(id, to) => self.edit(id, |person| person.is_unverified = to),
            Edit::ReadFailed(id, to) => self.edit(id, |person| person.read_failed = to),
            Edit::MalformedValue(id, to) => self.edit(id, |person| person.has_malformed_value = to),
            Edit::ReadAgain(id) => {
                if let Some(record) = self.records.get_mut(&id) {
                    Arc::make_mut(record).read_at += 1.hour();
                }
            }
            Edit::NameOfUnit(kind, id, Some(name)) => {
                self.names.insert((kind_number(kind), id), name);
            }
            Edit::NameOfUnit(kind, id, None) => drop(self.names.remove(&(kind_number(kind), id))),
            Edit::Parent(id, Some(parent)) => drop(self.parents.insert(id, parent)),
            Edit::Parent(id, None) => drop(self.parents.remove(&id)),
            Edit::Days(days) => self.today += i64::from(days).days(),
            Edit::NewMapping | Edit::Held => {}
        }
    }

    fn edit(&mut self, id: u8, change: impl FnOnce(&mut GeneratedPerson)) {
        if let Some(person) = self.persons.get_mut(&id) {
            change(person);
        }
    }

    fn edit_employments(&mut self, id: u8, change: impl Fn(&mut GeneratedEmployment)) {
        let Some(person) = self.persons.get_mut(&id) else { return };
        for employment in person.employments.iter_mut().flatten() {
            change(employment);
        }
    }

    /// Loads all persons. A record that is the same as in the last load is the same object.
    fn load(&mut self) -> Records {
        let mut records = HashMap::new();
        for (id, person) in &self.persons {
            let record = person.to_record(*id);
            let record = match self.records.remove(id) {
                Some(earlier) if earlier.gives_same_user_as(&record) => earlier,
                Some(_) | None => Arc::new(record),
            };
            records.insert(*id, record);
        }
        self.records = records;
        let mut names: LookupNames = self
            .names
            .iter()
            .map(|((kind, id), name)| {
                let kind = if *kind == 1 { LookupKind::Team } else { LookupKind::Department };
                (kind, id.to_string(), format!("Unit {name}"))
            })
            .collect();
        for (id, parent) in &self.parents {
            names.set_parent(LookupKind::Department, &id.to_string(), &parent.to_string());
        }
        Records {
            by_id: self.records.values().map(Arc::clone).collect(),
            names,
            ..Records::default()
        }
    }
}

fn policy(require_email: bool, active_until: bool, manager_levels: bool) -> MappingPolicy {
    let definition = CustomAttributeDefinition {
        name: "desk".into(),
        attribute_type: AttributeType::Integer,
        multi_valued: false,
    };
    MappingPolicy {
        require_email,
        optional: OptionalContent {
            manager_levels,
            nested_groups: true,
            employments: ServedEmployments::All,
        },
        active_before_start_days: Some(2),
        active_until: active_until.then_some(ActiveUntil::LastWorkingDay),
        standard_attributes: StandardAttributePolicy {
            team_is_division: true,
            ..StandardAttributePolicy::default()
        },
        groups: vec![GroupKind::Department, GroupKind::Team],
        custom_attributes: vec![CustomAttributePolicy { id: "dynamic_1".to_owned(), definition }],
        ..MappingPolicy::default()
    }
}

fn urls() -> ResourceUrls {
    ResourceUrls::new("https://scim.example.com")
}

fn new_mapping(policy: &MappingPolicy) -> Arc<ActiveMapping> {
    let custom = policy.custom_attribute_definitions();
    let registry = SchemaRegistry::new(&urls(), 1000, &custom).unwrap();
    ActiveMapping::new(policy.clone(), Arc::new(registry))
}

/// Served state, as the directory keeps it.
struct ServedState {
    state: MappedRecords,
    snapshot: Snapshot,
    accounts: TestAccountStates,
}

fn resources(set: &ResourceSet) -> Vec<&str> {
    set.all().iter().map(|resource| resource.json()).collect()
}

/// Maps a load with and without the base, compares the results, and returns the state to serve.
fn map_both_ways(
    unmapped: &UnmappedRecords,
    served: Option<&ServedState>,
    clock: &NoonClock,
) -> Result<ServedState, TestCaseError> {
    let UnmappedRecords { records, mapping } = unmapped;
    let urls = urls();
    let mapper = RecordMapper { mapping, urls: &urls, records, now: clock.now() };
    let base = served.filter(|served| unmapped.is_comparable_with(&served.state));
    let incremental = mapper.map(base.map(|base| &*base.state.persons)).unwrap();
    let full = mapper.map(None).unwrap();

    let quality = |load: &MappedLoad| {
        let LoadQuality { skipped, defects, outdated, without_lookup_name, unverified } =
            load.directory.quality.clone();
        (skipped, defects, outdated, without_lookup_name, unverified)
    };
    prop_assert_eq!(quality(&incremental), quality(&full));
    prop_assert_eq!(&incremental.directory.valid_during, &full.directory.valid_during);
    prop_assert_eq!(&incremental.directory.completeness_error, &full.directory.completeness_error);
    let facts = |load: &MappedLoad| -> Vec<String> {
        load.persons.iter().map(|person| format!("{person:?}")).collect()
    };
    prop_assert_eq!(facts(&incremental), facts(&full));
    let current = served.map(|served| &served.accounts);
    let accounts = TestAccountStates::of(&incremental.directory, current);
    prop_assert!(accounts.is_same(&TestAccountStates::of(&full.directory, None)));

    let earlier = match served {
        Some(served) => PreviousState::Snapshot(&served.snapshot),
        None => PreviousState::Unknown,
    };
    let started = SignedDuration::ZERO;
    let snapshot = Snapshot::new(incremental.directory, earlier, started, clock).unwrap();
    let expected = Snapshot::new(full.directory, earlier, started, clock).unwrap();
    prop_assert_eq!(resources(snapshot.users()), resources(expected.users()));
    prop_assert_eq!(resources(snapshot.groups()), resources(expected.groups()));
    prop_assert_eq!(snapshot.digest(), expected.digest());

    let state = MappedRecords {
        records: Arc::clone(records),
        mapping: Arc::clone(mapping),
        persons: incremental.persons,
    };
    Ok(ServedState { state, snapshot, accounts })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn incremental_mapping_equals_full_mapping(
        persons in prop::collection::btree_map(0..PERSONS, generated_person(), 0..8),
        loads in prop::collection::vec(prop::collection::vec(edit(), 0..3), 1..8),
        parents in prop::collection::btree_map(0..3u8, 0..3u8, 0..3),
        (require_email, active_until, manager_levels) in any::<(bool, bool, bool)>(),
    ) {
        let policy = policy(require_email, active_until, manager_levels);
        let mut mapping = new_mapping(&policy);
        let names = BTreeMap::from([((0, 0), 0), ((0, 1), 1), ((1, 0), 2), ((1, 1), 0)]);
        let mut company =
            Company {
                persons,
                names,
                parents,
                today: FIRST_DAY,
                records: HashMap::default(),
            };
        let mut served: Option<ServedState> = None;
        for edits in loads {
            let mut is_held = false;
            for edit in edits {
                if matches!(edit, Edit::NewMapping) {
                    mapping = new_mapping(&policy);
                }
                is_held |= matches!(edit, Edit::Held);
                company.apply(edit);
            }
            let clock = NoonClock(company.today);
            let records = Arc::new(company.load());
            let unmapped = UnmappedRecords { records, mapping: Arc::clone(&mapping) };
            let mut mapped = map_both_ways(&unmapped, served.as_ref(), &clock)?;
            if let Some(served) = &served
                && let Some(unchanged) = unmapped.mapped_like(&served.state)
                && mapped.snapshot.digest() == served.snapshot.digest()
            {
                mapped.state = unchanged;
            }
            if !is_held {
                served = Some(mapped);
            }
        }
    }
}

#[test]
fn mapped_person_takes_at_most_64_bytes() {
    assert!(size_of::<MappedPerson>() <= 64, "{} bytes", size_of::<MappedPerson>());
}

/// Returns a person with one active employment, whose supervisor is the person 0.
fn employed(email: u8, first_name: Option<u8>, start: i8, team: u8) -> GeneratedPerson {
    let employment = GeneratedEmployment {
        status: Some(0),
        start,
        last_working_day: None,
        supervisor: Some(0),
        team: Some(team),
        department: None,
    };
    GeneratedPerson {
        email: Some(email),
        first_name,
        preferred_name: None,
        created: 0,
        custom: None,
        employments: Some(vec![employment]),
        is_unverified: false,
        read_failed: false,
        has_malformed_value: false,
        updated: 0,
    }
}

/// Returns a company of persons with the ids 0, 1, and so on.
fn company(persons: Vec<GeneratedPerson>) -> Company {
    Company {
        persons: (0..).zip(persons).collect(),
        names: BTreeMap::new(),
        parents: BTreeMap::new(),
        today: FIRST_DAY,
        records: HashMap::default(),
    }
}

/// Returns the records of persons who have the supervisor 0 and are in a team of their own.
fn records(first_names: &[u8]) -> Records {
    let mut persons = Vec::new();
    for (id, first_name) in (0..).zip(first_names) {
        persons.push(employed(id + 3, Some(*first_name), 0, id));
    }
    company(persons).load()
}

/// Returns the records of persons with these first names and supervisors, each in a team of their
/// own.
fn records_of(first_names: &[u8], supervisors: &[u8]) -> Records {
    let mut persons = Vec::new();
    for ((id, first_name), supervisor) in (0..).zip(first_names).zip(supervisors) {
        let mut person = employed(id + 3, Some(*first_name), 0, id);
        for employment in person.employments.iter_mut().flatten() {
            employment.supervisor = Some(*supervisor);
        }
        persons.push(person);
    }
    company(persons).load()
}

/// The display name of a manager without a name is the userName, and that can change without the
/// manager's own record: another person gets precedence for the address.
#[test]
fn reports_of_a_manager_who_loses_the_address_are_mapped() {
    let mapping = new_mapping(&policy(false, false, false));
    let clock = NoonClock(FIRST_DAY);
    let mut company =
        company(vec![employed(3, None, -1, 0), employed(3, None, -2, 1), employed(4, None, 0, 2)]);
    let mut served = None;
    for expected in ["person3@example.com", "personio-0"] {
        let records = Arc::new(company.load());
        let unmapped = UnmappedRecords { records, mapping: Arc::clone(&mapping) };
        let mapped = map_both_ways(&unmapped, served.as_ref(), &clock).unwrap();
        let report = mapped.snapshot.users().find("2").unwrap();
        assert!(report.json().contains(&format!(r#""displayName":"{expected}""#)), "{report:?}");
        served = Some(mapped);
        company.persons.insert(1, employed(3, None, 0, 1));
    }
}

#[test]
fn only_changed_persons_and_their_groups_are_mapped() {
    let mapping = new_mapping(&policy(false, false, false));
    let urls = urls();
    let now = NoonClock(FIRST_DAY).now();
    let before = records(&[0, 0, 0]);
    let mapper = RecordMapper { mapping: &mapping, urls: &urls, records: &before, now };
    let base = mapper.map(None).unwrap().persons;
    for (first_names, expected) in [
        (&[0, 0, 0][..], &[][..]),
        (&[0, 1, 0], &["1", "team-1"]),
        // The name of the manager is in the users of all.
        (&[1, 0, 0], &["0", "1", "2", "team-0", "team-1", "team-2"]),
        (&[0, 0], &[]),
    ] {
        let later = records(first_names);
        let mapper = RecordMapper { mapping: &mapping, urls: &urls, records: &later, now };
        let MappedLoad { directory, .. } = mapper.map(Some(&base)).unwrap();
        let mut mapped = Vec::new();
        for user in &directory.users {
            if let LoadedContent::Mapped(user) = user {
                mapped.push(user.id.as_str());
            }
        }
        for group in &directory.groups {
            if let LoadedContent::Mapped(group) = group {
                mapped.push(group.id.as_str());
            }
        }
        assert_eq!(mapped, expected, "{first_names:?}");
    }
}

#[test]
fn all_below_a_changed_manager_are_mapped_if_manager_levels_are_served() {
    let urls = urls();
    let now = NoonClock(FIRST_DAY).now();
    // The persons 1, 2 and 4 are below 0, and 3 is below 2. Two persons are a circle.
    let supervisors = [0, 0, 1, 2, 0, 6, 5];
    let names = [0; 7];
    let other_line = [0, 0, 4, 2, 0, 6, 5];
    let renamed = |id: usize| {
        let mut names = names;
        names[id] = 1;
        names
    };
    for (manager_levels, names_now, supervisors_now, expected) in [
        (true, names, supervisors, &[][..]),
        (true, renamed(0), supervisors, &["0", "1", "2", "4", "text-3"]),
        (true, renamed(1), supervisors, &["1", "2", "text-3"]),
        (true, renamed(3), supervisors, &["text-3"]),
        (true, renamed(5), supervisors, &["5", "6"]),
        // Another manager of 2.
        (true, names, other_line, &["2", "text-3"]),
        (false, names, other_line, &["2"]),
        (false, renamed(0), supervisors, &["0", "1", "4"]),
    ] {
        let mapping = new_mapping(&policy(false, false, manager_levels));
        let before = records_of(&names, &supervisors);
        let mapper = RecordMapper { mapping: &mapping, urls: &urls, records: &before, now };
        let base = mapper.map(None).unwrap().persons;
        let later = records_of(&names_now, &supervisors_now);
        let mapper = RecordMapper { mapping: &mapping, urls: &urls, records: &later, now };
        let MappedLoad { directory, .. } = mapper.map(Some(&base)).unwrap();
        let mut mapped = Vec::new();
        for user in &directory.users {
            if let LoadedContent::Mapped(user) = user {
                mapped.push(user.id.as_str());
            }
        }
        assert_eq!(mapped, expected, "{names_now:?} {supervisors_now:?}");
    }
}
