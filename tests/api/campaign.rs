//! Randomised long test: a random schedule of upstream failures, mixed with real changes, while
//! clients poll and an operator approves held changes. At every step these rules hold:
//! - No existing person disappears, and no user loses the data of an existing employment.
//! - A read by id returns the same as the list, also on a server that has just started.
//! - At most as many users as the guard permits have a department, a manager or a membership that
//!   they never had upstream, or lack one that they always had there, unless exactly that change
//!   was approved.
//! - An approval publishes exactly the changes that were shown.
//!
//! Once the failures end, the served users soon match Personio again.
//!
//! The schedule follows from a seed. The machine's timing also decides which request meets which
//! failure. `CAMPAIGN_SEED=7 cargo test --test api campaign` runs another schedule.
//!
//! The schedule never makes Personio return 404 for a single existing person, because the server
//! takes exactly that response as proof of a deletion.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::{Duration, Instant};

use approval::Published;
use futures_util::future::join_all;
use personio_scim::clock::{Clock, SystemClock};
use personio_scim::directory::ApprovalOutcome;
use personio_scim::mapping::GroupKind;
use personio_scim::scim::PERSONIO_USER_SCHEMA as PERSONIO;
use personio_scim::simulator::{
    FaultAction, InjectedFault, Quirks, SimulatedCustomAttribute, SimulatedEndpoint,
    SimulatedPerson, SimulatedTermination, World,
};
use serde_json::{Value, json};
use truth::Truth;

use crate::harness::{
    NOW, SHORT_TTL, Setup, TOKEN, TestClock, TestResponse, TestServer, by_id, encoded, http, ids,
    metric_in, wait_until,
};
use crate::process::{Program, get, settings};

mod approval;
mod truth;

const SEED: u64 = 20_261_123;
const STEPS: usize = 500;
const PERSONS: usize = 102;
const MAX_CHANGE: f64 = 0.2;
/// Marker in every value that must not leave and in the text of failures.
const PRIVATE: &str = "MARKER-c4a1";
const HOURS: f64 = 27.182_818;
const HOUR: Duration = Duration::from_secs(3600);
/// Duration after which look-ups are read again.
const LOOKUP_EXPIRY: Duration = Duration::from_secs(25 * 3600);
/// Number of persons that a flapping upstream reports as inactive at a time.
const FLAPPING_PERSONS: usize = 15;
/// Number of recent steps that a failure message lists.
const MAX_TRAIL_STEPS: usize = 40;

#[expect(clippy::disallowed_methods, reason = "another seed is no setting of the program")]
fn seed() -> u64 {
    std::env::var("CAMPAIGN_SEED").map_or(SEED, |seed| seed.parse().unwrap())
}

/// SplitMix64 pseudo-random generator.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

/// Account state of a user as last served: active, user name, presence of an e-mail address.
type ServedAccount = (bool, String, bool);

#[derive(Debug, Clone, Copy)]
enum Pages {
    ByIndex,
    ByCursor,
}

/// Users that any list contained, and the subset with employment data.
#[derive(Clone, Default)]
struct Seen {
    served: BTreeSet<String>,
    enriched: BTreeSet<String>,
}

struct Campaign {
    bridge: TestServer,
    seed: u64,
    random: Random,
    step: usize,
    seen: Seen,
    changes: usize,
    standings: BTreeMap<String, ServedAccount>,
    /// Recent actions and responses, for failure messages.
    trail: Vec<String>,
    unavailable: usize,
    truth: Truth,
    /// Users changed by an approval, for as long as their served values were never true upstream.
    approved: BTreeSet<String>,
    flap: Option<Flap>,
    /// Numbers of approvals, of approvals compared with the changes that were shown, and of single
    /// users read before the first load of a server.
    approvals: usize,
    compared_approvals: usize,
    read_alone: usize,
}

/// Upstream that reports a different set of persons as inactive in each refresh.
struct Flap {
    /// Users that were active when the flapping began.
    active: BTreeSet<String>,
    /// All users that the upstream has reported as inactive.
    called: BTreeSet<String>,
    /// Users from `called` that were served as inactive.
    harmed: BTreeSet<String>,
}

impl Drop for Campaign {
    #[expect(
        clippy::print_stderr,
        reason = "whoever looks into a failure wants to know how to repeat it"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let trail = self.trail[self.trail.len().saturating_sub(MAX_TRAIL_STEPS)..].join("\n  ");
            eprintln!("campaign seed {}, step {}, after\n  {trail}", self.seed, self.step);
        }
    }
}

fn mark(person: &mut SimulatedPerson) {
    person.gender = Some(PRIVATE.to_owned());
    person.profile_picture = Some(format!("https://pictures.example/{PRIVATE}.png"));
    person.custom_attributes = vec![SimulatedCustomAttribute {
        id: "dynamic_900".to_owned(),
        global_id: Some(format!("{PRIVATE}-900")),
        label: Some(format!("Salary {PRIVATE}")),
        value_type: "STRING".to_owned(),
        value: json!({"inner": [PRIVATE]}),
    }];
    for employment in &mut person.employments {
        employment.weekly_working_hours = Some(HOURS);
        let termination = employment.termination.get_or_insert_with(SimulatedTermination::default);
        (termination.termination_type, termination.reason) =
            (Some(PRIVATE.to_owned()), Some(format!("Because {PRIVATE}.")));
    }
}

fn setup(clock: TestClock, world: World) -> Setup {
    let mut setup = Setup {
        cache_ttl: SHORT_TTL,
        max_change: MAX_CHANGE,
        employment_recheck: HOUR,
        max_stale: 30 * HOUR,
        public_url: Some("https://scim.example.com"),
        clock,
        ..Setup::of(world)
    };
    // This policy makes users active at a day rollover, which the campaign passes as well.
    setup.policy.active_before_start_days = Some(14);
    setup.policy.groups = vec![GroupKind::Department, GroupKind::LegalEntity];
    setup.refresh_wait = Duration::from_millis(300);
    setup.tuning.upstream_timeout = Duration::from_millis(300);
    setup.tuning.retry.max_retries = 1;
    // Small page limits end an endless listing soon.
    setup.tuning.limits.persons.pages = 10;
    setup.tuning.limits.employments.pages = 5;
    setup.tuning.limits.names.pages = 5;
    setup
}

fn is_bare(user: &Value) -> bool {
    user[PERSONIO]["employmentId"].is_null()
}

impl Seen {
    fn inspect(&self, user: &Value) {
        assert!(
            !is_bare(user) || !self.enriched.contains(user["id"].as_str().unwrap()),
            "lost its employment: {user}"
        );
    }
}

fn served_accounts(users: &[Value]) -> BTreeMap<String, ServedAccount> {
    let mut standings = BTreeMap::new();
    for user in users {
        let (id, name) = (user["id"].as_str().unwrap(), user["userName"].as_str().unwrap());
        standings.insert(
            id.to_owned(),
            (user["active"] == true, name.to_owned(), user["emails"].is_array()),
        );
    }
    standings
}

fn ids_of(world: &World) -> BTreeSet<String> {
    world.persons.iter().map(|person| person.id.clone()).collect()
}

/// Returns resources without the timestamps that depend on the time of a load.
fn comparable(resources: &[Value]) -> Vec<Value> {
    let mut resources = resources.to_vec();
    for resource in &mut resources {
        let meta = resource["meta"].as_object_mut().unwrap();
        meta.remove("lastModified");
        if meta["resourceType"] == "Group" {
            meta.remove("created");
        }
    }
    resources
}

impl Campaign {
    async fn start(seed: u64) -> Self {
        let mut world = World::generate(PERSONS, seed, NOW.parse().unwrap());
        world.persons.iter_mut().for_each(mark);
        let mut truth = Truth::default();
        truth.add(&world);
        let bridge = setup(TestClock::at(NOW), world).start();
        bridge.ready().await;
        Self {
            bridge,
            seed,
            random: Random(seed),
            step: 0,
            seen: Seen::default(),
            changes: 0,
            standings: BTreeMap::new(),
            trail: Vec::new(),
            unavailable: 0,
            truth,
            approved: BTreeSet::new(),
            flap: None,
            approvals: 0,
            compared_approvals: 0,
            read_alone: 0,
        }
    }

    fn note(&mut self, what: &str, which: impl Debug) {
        self.trail.push(format!("{}: {what} {which:?}", self.step));
    }

    async fn step(&mut self) {
        match self.random.below(100) {
            0..30 => self.heal(),
            30..60 => self.fail(),
            60..70 => (0..2).for_each(|_| self.fail()),
            70..76 => self.deviate(),
            76..80 => self.cut_short(),
            80..84 => self.mistake_names(),
            84..88 => self.mix_up_employments(),
            88..92 => self.begin_to_flap(),
            _ => {}
        }
        self.flap();
        if self.step % 150 == 75 {
            self.revoke();
        }
        if self.random.chance(60) {
            self.change();
        }
        if self.step % 10 == 5 {
            self.operate().await;
        }
        if self.step % 60 == 40 {
            self.start_another().await;
        }
        // After 3 hours, earlier losses no longer count unless a change is held. After 40 hours,
        // the snapshot is too old to be served.
        let minutes = match self.random.below(100) {
            0 => 3 * 60,
            1 => 40 * 60,
            _ => 1 + self.random.below(10),
        };
        if minutes > 10 {
            self.flap = None;
        }
        self.note("minutes", minutes);
        self.bridge.clock.pass(Duration::from_secs(60) * minutes as u32);
        for _ in 0..1 + self.random.below(2) {
            self.poll().await;
        }
        let live = self.bridge.get("/health/live").await;
        assert_eq!(live.status, 200, "{}", live.text);
        let (status, health) = self.bridge.health().await;
        if status != 200 {
            self.note("health", &health["parts"]["personio"]["detail"]);
        }
    }

    // ---- Failures.

    fn heal(&mut self) {
        self.note("heal", ());
        self.bridge.simulator.clear_faults();
        self.bridge.simulator.set_quirks(|quirks| *quirks = Quirks::default());
        self.flap = None;
    }

    /// Revokes the token, at least ten seconds after the last renewal: the server does not renew a
    /// newer token, which would cause a long outage.
    fn revoke(&mut self) {
        self.heal();
        self.bridge.clock.pass(Duration::from_secs(11));
        self.note("revoke", ());
        self.bridge.simulator.revoke_tokens();
    }

    fn fail(&mut self) {
        use SimulatedEndpoint::{
            CostCenters, Employments, Jobs, LegalEntities, OrgUnits, Person, Persons, Token,
            Workplaces,
        };
        let endpoints = [
            Some(Persons),
            Some(Persons),
            Some(Persons),
            Some(Employments),
            Some(Employments),
            Some(Employments),
            Some(Employments),
            Some(Person),
            Some(Person),
            Some(Token),
            Some(OrgUnits),
            Some(LegalEntities),
            Some(Workplaces),
            Some(CostCenters),
            Some(Jobs),
            None,
        ];
        let mut fault = InjectedFault {
            endpoint: self.random.pick(&endpoints),
            ..InjectedFault::everywhere(self.action())
        };
        if matches!(fault.endpoint, Some(Employments | Person)) && self.random.chance(40) {
            let id = self.random_person_id();
            fault = fault.person(id);
        } else if self.random.chance(50) {
            fault = fault.skip(self.random.below(4));
        }
        // Each of these faults costs at least a second.
        let is_costly =
            matches!(fault.action, FaultAction::TooManyRequests { .. } | FaultAction::Oversized(_));
        if is_costly || self.random.chance(40) {
            fault = fault.times(if is_costly { 1 } else { 1 + self.random.below(12) });
        }
        self.note("fail", &fault);
        self.bridge.simulator.add_fault(fault);
    }

    /// Ends a later page early. The guard accepts the load, because only a few
    /// persons are missing.
    fn cut_short(&mut self) {
        self.heal();
        let (page, entries) = self.random.pick(&[(1, 45), (1, 49), (2, 0), (2, 1)]);
        self.note("cut short", (page, entries));
        self.bridge.simulator.add_fault(
            InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::ShortListing(entries))
                .skip(page)
                .times(1),
        );
    }

    /// Makes a look-up fail, or return other names for most ids, when it is read again after a day.
    fn mistake_names(&mut self) {
        use SimulatedEndpoint::{CostCenters, Jobs, LegalEntities, OrgUnit, OrgUnits, Workplaces};
        self.heal();
        let endpoint =
            self.random.pick(&[OrgUnits, OrgUnits, LegalEntities, CostCenters, Workplaces, Jobs]);
        let action = self.random.pick(&[
            FaultAction::OtherNames,
            FaultAction::OtherNames,
            FaultAction::OtherNames,
            FaultAction::Status(500),
            FaultAction::Status(403),
            FaultAction::NotFoundRoute,
            FaultAction::EmptyListing,
            FaultAction::ShortListing(1),
            FaultAction::TruncatedJson,
        ]);
        self.note("names", (endpoint, &action));
        if endpoint == OrgUnits && self.random.chance(50) {
            self.bridge.simulator.add_fault(InjectedFault::on(OrgUnit, action.clone()));
        }
        self.bridge.simulator.add_fault(InjectedFault::on(endpoint, action));
        self.bridge.clock.pass(LOOKUP_EXPIRY);
    }

    /// Makes responses for some or all persons contain the employments of another person.
    fn mix_up_employments(&mut self) {
        let action = FaultAction::EmploymentsOf {
            person: self.random_person_id(),
            refers_to_person: self.random.chance(50),
        };
        let mut fault = InjectedFault::on(SimulatedEndpoint::Employments, action);
        match self.random.below(3) {
            0 => fault = fault.person(self.random_person_id()),
            1 => fault = fault.skip(self.random.below(4)).times(1 + self.random.below(12)),
            _ => {}
        }
        self.note("mix up", &fault);
        self.bridge.simulator.add_fault(fault);
        // After an hour all employments are read again.
        self.bridge.clock.pass(HOUR);
    }

    fn begin_to_flap(&mut self) {
        let active = self.standings.iter().filter(|(_, (is_active, ..))| *is_active);
        let active = active.map(|(id, _)| id.clone()).collect();
        self.flap = Some(Flap { active, called: BTreeSet::new(), harmed: BTreeSet::new() });
    }

    /// Reports another set of users as inactive than at the step before, and the earlier set as
    /// active again.
    fn flap(&mut self) {
        if self.flap.is_none() {
            return;
        }
        let inactive: Vec<String> =
            (0..FLAPPING_PERSONS).map(|_| self.random_person_id()).collect();
        self.note("flap", inactive.len());
        if let Some(flap) = &mut self.flap {
            flap.called.extend(inactive.iter().cloned());
        }
        self.bridge.simulator.set_quirks(|quirks| quirks.inactive = inactive);
    }

    fn action(&mut self) -> FaultAction {
        let problem = json!({"errors": [{"title": PRIVATE, "detail": PRIVATE}]}).to_string();
        match self.random.below(140) {
            0 => FaultAction::TooManyRequests { retry_after: self.random.pick(&[None, Some(1)]) },
            1 => FaultAction::Oversized(17 << 20),
            2..5 => FaultAction::Hang,
            5..16 => FaultAction::Delay(Duration::from_millis(self.random.below(50) as u64)),
            16..30 => FaultAction::ShortListing(self.random.pick(&[1, 20, 40, 45, 49])),
            30..42 => FaultAction::EmptyListing,
            42..52 => FaultAction::Status(self.random.pick(&[500, 502, 503, 504])),
            52..60 => FaultAction::HtmlError(self.random.pick(&[200, 404, 502])),
            60..68 => FaultAction::CustomBody(
                self.random.pick(&[400, 403, 500]),
                "application/problem+json",
                problem,
            ),
            68..76 => FaultAction::ConnectionReset,
            76..84 => FaultAction::TruncatedJson,
            84..92 => FaultAction::TruncatedBody,
            92..100 => FaultAction::WrongJson,
            100..102 => FaultAction::Status(401),
            102..113 => FaultAction::Status(403),
            113..120 => FaultAction::NotFoundRoute,
            120..123 => FaultAction::EndlessListing,
            123..128 => FaultAction::EmploymentsOf {
                person: self.random_person_id(),
                refers_to_person: self.random.chance(50),
            },
            128..132 => FaultAction::Substitute {
                old: "\"id\":\"".to_owned(),
                new: b"\"\\ud83d\":1e400,\"id\":\"".to_vec(),
            },
            _ => self.odd_entries(),
        }
    }

    /// Returns a fault with odd values in a few entries or in all.
    fn odd_entries(&mut self) -> FaultAction {
        let attributes = [
            "id",
            "email",
            "status",
            "last_name",
            "position",
            "org_units",
            "employment_start_date",
            "person",
        ];
        let values = [json!({"a": PRIVATE}), json!("\u{fffd}"), json!([]), json!(true)];
        FaultAction::ChangedEntries {
            entries: self.random.pick(&[1, 5, 50]),
            attribute: self.random.pick(&attributes).to_owned(),
            value: self.random.pick(&values),
        }
    }

    /// Changes the shape of responses or omits an attribute. The omission affects every person, and
    /// the guard must detect it.
    fn deviate(&mut self) {
        let hidden = self.random.pick(&[
            "email",
            "status",
            "position",
            "org_units",
            "org_units",
            "supervisor",
            "legal_entity",
            "cost_centers",
            "first_name",
            "",
        ]);
        let shape = self.random.below(4);
        self.note("quirk", (hidden, shape));
        self.bridge.simulator.set_quirks(|quirks| {
            quirks.hidden_attributes = vec![hidden.to_owned()];
            (quirks.overlapping_pages, quirks.awkward_cursors) = (shape == 1, shape == 1);
            (quirks.numeric_ids, quirks.null_instead_of_absent) = (shape == 2, shape == 2);
            (quirks.repeating_cursor, quirks.lowercase_enums) =
                (shape == 3 && hidden.is_empty(), shape == 1);
        });
    }

    // ---- Real changes.

    fn random_person_id(&mut self) -> String {
        let ids: Vec<String> =
            self.bridge.simulator.with_world(|world| ids_of(world).into_iter().collect());
        self.random.pick(&ids)
    }

    fn change(&mut self) {
        let (kind, id, other, step) =
            (self.random.below(60), self.random_person_id(), self.random_person_id(), self.step);
        self.changes += 1;
        let number = 9_000_000 + self.changes;
        let unit = self.random.below(1000);
        self.note("change", (kind, &id, &other));
        self.bridge.simulator.with_world(|world| {
            let units = world.org_units.len();
            let place = world.persons.iter().position(|person| person.id == id).unwrap();
            let person = &mut world.persons[place];
            let set_statuses =
                |person: &mut SimulatedPerson, of_person: &str, of_employment: &str| {
                    person.status = Some(of_person.to_owned());
                    person
                        .employments
                        .iter_mut()
                        .for_each(|it| it.status = Some(of_employment.to_owned()));
                };
            match kind {
                0..6 => person.preferred_name = Some(format!("Preferred {step}")),
                6..12 => person.last_name = Some(format!("Family {step}")),
                12..22 => person
                    .employments
                    .iter_mut()
                    .for_each(|it| it.position = Some(format!("Title {step}"))),
                22..28 => {
                    person.employments.iter_mut().for_each(|it| it.supervisor = Some(other.clone()))
                }
                28..38 => {
                    let unit = &world.org_units[unit % units];
                    let unit = vec![(unit.unit_type, unit.id.clone())];
                    person.employments.iter_mut().for_each(|it| it.org_units.clone_from(&unit));
                }
                38..42 => world.org_units[unit % units].name = format!("Unit {step}"),
                42..46 => set_statuses(person, "ACTIVE", "LEAVE"),
                46..50 => set_statuses(person, "ACTIVE", "ACTIVE"),
                50..53 => {
                    let mut hired = person.clone();
                    (hired.id, hired.email) =
                        (number.to_string(), Some(format!("{number}@example.com")));
                    hired
                        .employments
                        .iter_mut()
                        .for_each(|it| it.id = format!("{}-{number}", it.id));
                    world.persons.push(hired);
                }
                // These changes take something from a user. In a long outage they add up to a held
                // change.
                53..55 => person.email = Some(format!("new.{step}@example.com")),
                55..57 => set_statuses(person, "INACTIVE", "INACTIVE"),
                _ => drop(world.persons.remove(place)),
            }
            self.truth.add(world);
        });
    }

    // ---- Operator.

    /// Approves the held change: mostly after the failures have ended, sometimes a mistake as well.
    async fn operate(&mut self) {
        if self.bridge.directory().held_change().is_none() {
            return;
        }
        if self.random.chance(75) {
            self.heal();
            // Pass the cool-down after a failure.
            self.bridge.clock.pass(Duration::from_secs(601));
            self.whole().await;
        }
        self.approve().await;
    }

    fn published(&self) -> Option<Published> {
        let (snapshot, _) = self.bridge.directory().state().snapshot?;
        Some(Published::of(&snapshot))
    }

    /// Approves the held change, and asserts that exactly the changes that were shown are
    /// published.
    async fn approve(&mut self) {
        let directory = self.bridge.directory();
        // A snapshot that is too old cannot be read.
        let before = self.published();
        let Some(held) = directory.held_change() else { return };
        let Some(affected) = directory.affected_users(held.id) else { return };
        let approval = directory.approve(&held.id.to_string()).await;
        self.note("approve", &approval);
        match approval {
            ApprovalOutcome::Published(users) => {
                let after = self.published().unwrap();
                assert_eq!(after.users.len(), users);
                self.approvals += 1;
                self.approved.extend(affected.iter().map(|user| user.id.to_string()));
                if let Some(before) = before {
                    self.compared_approvals += 1;
                    assert_eq!(
                        before.changes(&after),
                        before.shown(affected),
                        "what was shown is what has changed"
                    );
                }
                self.flap = None;
                self.standings = served_accounts(&after.users);
                let bare = after.users.iter().filter(|user| is_bare(user));
                let bare: BTreeSet<&str> = bare.map(|user| user["id"].as_str().unwrap()).collect();
                self.seen.enriched.retain(|id| !bare.contains(id.as_str()));
            }
            ApprovalOutcome::AnotherHeld(_) | ApprovalOutcome::NothingHeld => {}
            ApprovalOutcome::Failed(reason) => panic!("{reason}"),
        }
    }

    /// Starts another server during a failure that the server can detect, and reads users by id
    /// before its first load ends. Each response must equal the user in the later list.
    async fn start_another(&mut self) {
        self.heal();
        let id = self.random_person_id();
        let employments =
            |action: FaultAction| InjectedFault::on(SimulatedEndpoint::Employments, action);
        let foreign = FaultAction::EmploymentsOf { person: id.clone(), refers_to_person: true };
        match self.random.below(7) {
            0 => self.bridge.simulator.add_fault(employments(FaultAction::Status(403)).skip(2)),
            1 => self.bridge.simulator.add_fault(employments(FaultAction::EmptyListing)),
            2 => self.bridge.simulator.add_fault(employments(foreign)),
            3 => self.bridge.simulator.add_fault(InjectedFault::on(
                SimulatedEndpoint::OrgUnits,
                FaultAction::Status(500),
            )),
            4 => self
                .bridge
                .simulator
                .set_quirks(|quirks| quirks.hidden_attributes = vec!["status".to_owned()]),
            5 => self
                .bridge
                .simulator
                .set_quirks(|quirks| quirks.hidden_attributes = vec!["email".to_owned()]),
            _ => {}
        }
        // Listing persons takes longer than reading single users.
        self.bridge.simulator.add_fault(InjectedFault::on(
            SimulatedEndpoint::Persons,
            FaultAction::Delay(Duration::from_millis(100)),
        ));
        let mut setup = setup(self.bridge.clock.clone(), World::empty());
        setup.tuning.cool_down = Duration::from_secs(1);
        let server = setup.start_with(self.bridge.simulator.clone());
        let mut alone = Vec::new();
        for _ in 0..6 {
            let id = self.random_person_id();
            let path = format!("/Users/{id}");
            let answer = server.get(&path).await;
            if let Some(user) = self.checked(&path, &answer) {
                alone.push(user);
            }
        }
        self.read_alone += alone.len();
        self.heal();
        let mut users = Vec::new();
        wait_until("the other server has a list", async || {
            // Pass the cool-down after a failure.
            self.bridge.clock.pass(Duration::from_secs(1));
            let answer = server.get("/Users").await;
            if answer.status == 200 {
                users = answer.json()["Resources"].as_array().unwrap().clone();
            }
            // The next load reads the persons that this one could not read.
            answer.status == 200
                && server.health().await.1["parts"]["directory"].get("defects").is_none()
        })
        .await;
        let (users, alone) = (comparable(&users), comparable(&alone));
        for user in &alone {
            assert_eq!(
                by_id(&users, user["id"].as_str().unwrap()),
                user,
                "read by id before the first load"
            );
        }
    }

    // ---- Clients.

    async fn poll(&mut self) {
        match self.random.below(10) {
            0..4 => drop(self.whole().await),
            4 | 5 => self.read_pages(Pages::ByIndex).await,
            6 | 7 => self.read_pages(Pages::ByCursor).await,
            8 => self.one().await,
            _ => self.filtered().await,
        }
    }

    fn exists(&self, id: &str) -> bool {
        self.bridge.simulator.with_world(|world| world.persons.iter().any(|person| person.id == id))
    }

    /// Returns the body of a response with status 200. Asserts that the response contains no
    /// marker, and that a 503 has a plausible `Retry-After`.
    fn checked(&mut self, path: &str, answer: &TestResponse) -> Option<Value> {
        self.note(path, answer.status);
        let reported = format!("{:?} {}", answer.headers, answer.text);
        for marker in [PRIVATE, "27.18"] {
            assert!(!reported.contains(marker), "{marker} in {reported}");
        }
        if answer.status == 503 {
            answer.scim_error(503, None);
            let seconds = answer.header("retry-after").parse::<u64>();
            assert!(
                seconds.is_ok_and(|seconds| (1..=600).contains(&seconds)),
                "{:?}",
                answer.headers
            );
            self.unavailable += 1;
            return None;
        }
        Some(answer.json()).filter(|_| answer.status == 200)
    }

    async fn get(&mut self, path: &str) -> Option<Value> {
        let answer = self.bridge.get(path).await;
        let page = self.checked(path, &answer);
        assert!(
            [200, 503].contains(&answer.status.as_u16()),
            "{path}: {} {}",
            answer.status,
            answer.text
        );
        page
    }

    async fn whole(&mut self) -> Option<Vec<Value>> {
        let page = self.get("/Users").await?;
        let users = page["Resources"].as_array().unwrap().clone();
        assert_eq!(page["totalResults"], users.len());
        self.inspect(&users, &self.seen.clone());
        self.compare(&users);
        Some(users)
    }

    /// Reads all pages of a paging session while other requests cause new loads.
    async fn read_pages(&mut self, pages: Pages) {
        // Other clients may see newer data in the meantime.
        let seen = self.seen.clone();
        let mut users: Vec<Value> = Vec::new();
        let (mut cursor, mut total) = (Value::from(""), Value::Null);
        loop {
            let start = (users.len() + 1).to_string();
            let position = match pages {
                Pages::ByIndex => ("startIndex", start.as_str()),
                Pages::ByCursor => ("cursor", cursor.as_str().unwrap()),
            };
            let path = format!("/Users?{}", encoded(&[position, ("count", "40")]));
            // A paging session may end early, but it must not continue on another snapshot.
            let Some(page) = self.get(&path).await else { return };
            assert!(
                total.is_null() || total == page["totalResults"],
                "another snapshot: {total} {path}"
            );
            total = page["totalResults"].clone();
            users.extend(page["Resources"].as_array().unwrap().iter().cloned());
            cursor = page["nextCursor"].clone();
            let is_last = match pages {
                Pages::ByIndex => ids(&page).is_empty() || total == users.len(),
                Pages::ByCursor => cursor.is_null(),
            };
            if is_last {
                break;
            }
            if self.random.chance(25) {
                self.change();
                self.bridge.clock.age(SHORT_TTL);
                self.whole().await;
            }
        }
        assert_eq!(total, users.len(), "{pages:?}: a partial walk");
        self.inspect(&users, &seen);
    }

    async fn one(&mut self) {
        let id = self.random_person_id();
        let path = format!("/Users/{id}");
        let answer = self.bridge.get(&path).await;
        match self.checked(&path, &answer) {
            Some(user) => {
                self.seen.inspect(&user);
                self.agree(&id).await;
            }
            None if answer.status == 503 => {}
            None => {
                assert_eq!(answer.status, 404, "{}", answer.text);
                assert!(
                    !self.seen.served.contains(&id) || !self.exists(&id),
                    "{id} exists and was served"
                );
            }
        }
    }

    /// Checks that the list and a read by id return the same user. A load may happen between the
    /// two requests.
    async fn agree(&mut self, id: &str) {
        let filter = format!("/Users?{}", encoded(&[("filter", &format!("id eq \"{id}\""))]));
        let (mut by_id, mut listed) = (Vec::new(), Vec::new());
        for _ in 0..8 {
            by_id = match self.bridge.get(&format!("/Users/{id}")).await {
                answer if answer.status == 200 => comparable(&[answer.json()]),
                answer => vec![Value::from(if answer.status == 404 { 404 } else { 503 })],
            };
            listed = match self.bridge.get(&filter).await {
                answer if answer.status == 200 => {
                    comparable(answer.json()["Resources"].as_array().unwrap())
                }
                _ => vec![Value::from(503)],
            };
            if listed.is_empty() {
                listed.push(Value::from(404));
            }
            if by_id == listed {
                return;
            }
        }
        assert_eq!(by_id, listed, "by id, and in the list");
    }

    async fn filtered(&mut self) {
        let id = self.random_person_id();
        let by_id = format!("id eq \"{id}\"");
        for filter in [by_id.as_str(), "active eq true"] {
            let path = format!("/Users?{}", encoded(&[("filter", filter)]));
            let Some(page) = self.get(&path).await else { return };
            let users = page["Resources"].as_array().unwrap();
            assert_eq!(page["totalResults"], users.len());
            users.iter().for_each(|user| self.seen.inspect(user));
            if filter == by_id {
                assert!(
                    users.len() == 1 || !self.seen.served.contains(&id) || !self.exists(&id),
                    "{id} exists and was served"
                );
            } else {
                assert!(users.iter().all(|user| user["active"] == true));
            }
        }
    }

    /// Checks that no user occurs twice, no existing user is missing and no user lacks employment
    /// data, and remembers the users.
    fn inspect(&mut self, users: &[Value], earlier: &Seen) {
        let id = |user: &Value| user["id"].as_str().unwrap().to_owned();
        let served: BTreeSet<String> = users.iter().map(id).collect();
        assert_eq!(served.len(), users.len(), "somebody twice");
        let exist = self.bridge.simulator.with_world(|world| ids_of(world));
        let missing: Vec<&String> =
            earlier.served.difference(&served).filter(|id| exist.contains(*id)).collect();
        assert!(missing.is_empty(), "{} are missing: {missing:?}", missing.len());
        users.iter().for_each(|user| earlier.inspect(user));
        let mut wrong = self.truth.wrong(users);
        self.approved.retain(|id| wrong.contains(id));
        wrong.retain(|id| !self.approved.contains(id));
        let most = (users.len() as f64 * MAX_CHANGE) as usize;
        assert!(
            wrong.len() <= most,
            "{} have what they never had, or lack what they never lacked: {wrong:?}",
            wrong.len()
        );
        self.seen.enriched.extend(users.iter().filter(|user| !is_bare(user)).map(id));
        self.seen.served.extend(served);
    }

    /// Checks that from one list to the next at most as many users lose something as the guard
    /// permits. Few users really lose something.
    fn compare(&mut self, users: &[Value]) {
        let now = served_accounts(users);
        let loses = |(id, (was_active, name, had_email)): &(&String, &ServedAccount)| {
            now.get(*id).is_none_or(|(active, later, email)| {
                (*was_active && !active) || name != later || (*had_email && !email)
            })
        };
        let losses = self.standings.iter().filter(loses).count();
        let most = (self.standings.len() as f64 * MAX_CHANGE) as usize;
        assert!(losses <= most, "{losses} of {} lost something", self.standings.len());
        self.standings = now;
        self.count_flapping(most);
    }

    /// Checks how many of the users that a flapping upstream reported as inactive were served as
    /// inactive: at most as many as the guard permits.
    fn count_flapping(&mut self, most: usize) {
        let Some(flap) = &mut self.flap else { return };
        let left = self.bridge.simulator.with_world(|world| {
            let left =
                world.persons.iter().filter(|person| person.status.as_deref() == Some("INACTIVE"));
            left.map(|person| person.id.clone()).collect::<BTreeSet<String>>()
        });
        for id in flap.called.iter().filter(|id| flap.active.contains(*id) && !left.contains(*id)) {
            if self.standings.get(id).is_some_and(|(is_active, ..)| !is_active) {
                flap.harmed.insert(id.clone());
            }
        }
        assert!(
            flap.harmed.len() <= most,
            "{} were inactive by turns: {:?}",
            flap.harmed.len(),
            flap.harmed
        );
    }

    /// Returns the numbers of succeeded loads, failed loads and held changes.
    async fn loads(&self) -> [u64; 3] {
        let metrics = self.bridge.get("/metrics").await.text;
        let names = [
            "loads_total{outcome=\"succeeded\"}",
            "loads_total{outcome=\"failed\"}",
            "changes_held_back_total",
        ];
        names.map(|name| metric_in(&metrics, name))
    }

    /// Ends the failures and checks that within a few loads the server returns the same as a new
    /// server. Some loads may fail, because a busy machine can be slow.
    async fn settle(&mut self) {
        self.heal();
        // Look-ups are read again once a day, and employments every hour.
        self.bridge.clock.pass(25 * HOUR);
        let fresh = setup(self.bridge.clock.clone(), World::empty())
            .start_with(self.bridge.simulator.clone());
        fresh.ready().await;
        let expected = comparable(&fresh.all_users().await);
        let mut before = self.loads().await[0];
        let mut users = Vec::new();
        wait_until(
            "what is served is what Personio says, or five loads have succeeded",
            async || {
                users = self.whole().await.unwrap_or_default();
                // The held changes are correct by now, so the operator approves them.
                if self.bridge.directory().held_change().is_some() {
                    self.approve().await;
                    before = self.loads().await[0];
                    users = self.whole().await.unwrap_or_default();
                }
                // Pass the cool-down after a failure.
                self.bridge.clock.pass(Duration::from_secs(601));
                comparable(&users) == expected || self.loads().await[0] > before + 5
            },
        )
        .await;
        let users = comparable(&users);
        for user in &expected {
            assert_eq!(by_id(&users, user["id"].as_str().unwrap()), user);
        }
        assert_eq!(users, expected, "everybody, in the same order");
        let groups = async |bridge: &TestServer| {
            comparable(bridge.list("/Groups", &[]).await["Resources"].as_array().unwrap())
        };
        assert_eq!(groups(&self.bridge).await, groups(&fresh).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_failure_loses_users_and_data_recovers_afterwards() {
    let mut campaign = Campaign::start(seed()).await;
    for step in 0..STEPS {
        campaign.step = step;
        campaign.step().await;
    }
    // The schedule must have caused failures; otherwise the test proves nothing.
    let [succeeded, failed, held_back] = campaign.loads().await;
    let unavailable = campaign.unavailable;
    let Campaign { approvals, compared_approvals: compared, read_alone, .. } = campaign;
    let reported = format!(
        "{succeeded} loads, {failed} failed, {held_back} held back, {approvals} approvals of which {compared} compared, {unavailable} answers of 503, \
         {read_alone} users read alone"
    );
    assert!(
        succeeded > 100 && failed > 50 && held_back > 3 && compared > 0 && read_alone > 0,
        "{reported}"
    );
    campaign.settle().await;
    eprintln!("{reported}, {} persons", campaign.seen.served.len());
}

/// Returns the value of a metric of a program.
async fn metric(base_url: &str, name: &str) -> f64 {
    let text = get(&base_url.replace("/scim/v2", "/metrics"), TOKEN).await.text;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

/// Checks a server whose log output is blocked. A log belongs to a process, so this campaign runs
/// the real program. Its faults fail no load, because a cool-down follows each failed load.
#[tokio::test(flavor = "multi_thread")]
async fn no_user_is_lost_while_the_log_is_blocked() {
    let mut random = Random(seed());
    let mut world = World::generate(PERSONS, seed(), NOW.parse().unwrap());
    world.persons.iter_mut().for_each(mark);
    let everybody = ids_of(&world);
    let simulator = Setup::of(world).simulator();
    let upstream = simulator.base_url();
    let listen =
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut variables = settings(&upstream);
    variables.retain(|(name, _)| *name != "SCIM_LISTEN");
    variables.extend([
        ("SCIM_LISTEN", listen.as_str()),
        ("SCIM_CACHE_TTL", "1ms"),
        ("RUST_LOG", "trace"),
    ]);
    variables.push(("SCIM_PUBLIC_URL", "https://scim.example.com"));
    let program = Program::start_unread(&["serve"], &variables);
    let base_url = format!("http://{listen}/scim/v2");
    let health = format!("http://{listen}/health/ready");
    let is_ready =
        async || http().get(&health).send().await.is_ok_and(|answer| answer.status() == 200);
    wait_until("the server is ready", is_ready).await;
    let (started_at, mut slowest, mut steps) = (Instant::now(), Duration::ZERO, 0);
    let mut is_blocked = false;
    while steps < 40 || !is_blocked {
        assert!(started_at.elapsed() < Duration::from_secs(90), "no line is dropped");
        steps += 1;
        if random.chance(30) {
            simulator.clear_faults();
        }
        let person = random.pick(&everybody.iter().collect::<Vec<_>>()).as_str();
        simulator.add_fault(match random.below(4) {
            0 => InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::Status(500))
                .person(person),
            1 => InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::ShortListing(45))
                .skip(1)
                .times(1),
            2 => InjectedFault::on(SimulatedEndpoint::OrgUnits, FaultAction::Status(403)),
            _ => InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::TruncatedJson)
                .person(person)
                .times(3),
        });
        if !is_blocked {
            // Cheap requests that fill the log.
            let path = format!("{base_url}/Users?count=0");
            join_all((0..100).map(|_| get(&path, TOKEN))).await;
            let dropped = metric(&base_url, "personio_scim_log_lines_dropped_total").await;
            is_blocked = dropped >= 100.0;
        }
        let sent_at = Instant::now();
        let answer = get(&format!("{base_url}/Users"), TOKEN).await;
        slowest = slowest.max(sent_at.elapsed());
        assert_eq!(answer.status, 200, "{}", answer.text);
        let page = answer.json();
        let served: BTreeSet<String> = ids(&page).into_iter().map(str::to_owned).collect();
        assert_eq!(served, everybody);
        assert!(!answer.text.contains(PRIVATE));
    }
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    simulator.clear_faults();
    let mut setup = setup(TestClock::at(&SystemClock::default().now().to_string()), World::empty());
    (setup.policy.groups, setup.policy.active_before_start_days) = (Vec::new(), None);
    let fresh = setup.start_with(simulator);
    fresh.ready().await;
    let expected = comparable(&fresh.all_users().await);
    wait_until("what is served is what Personio says", async || {
        let page = get(&format!("{base_url}/Users"), TOKEN).await.json();
        comparable(page["Resources"].as_array().unwrap()) == expected
    })
    .await;
    program.signal("TERM");
    assert_eq!(program.ended().await.status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn few_persons_missing_from_a_page_stay_served() {
    let bridge =
        Setup { cache_ttl: SHORT_TTL, max_change: MAX_CHANGE, ..Setup::persons(102) }.start();
    let before = bridge.all_users().await;
    for (page, entries) in [(1, 45), (2, 0), (2, 1)] {
        bridge.simulator.add_fault(
            InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::ShortListing(entries))
                .skip(page)
                .times(1),
        );
        bridge.simulator.reset_history();
        assert_eq!(bridge.reloaded().await, before);
        assert!(
            bridge.simulator.request_count(SimulatedEndpoint::Person) > 0,
            "they are asked for"
        );
        bridge.simulator.clear_faults();
    }
}
