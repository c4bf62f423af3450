//! Tests of the state file: the data that a restart recovers, its upstream cost, and files that
//! cannot be used.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use personio_scim::clock::{Clock, SystemClock};
use personio_scim::config::StateFileSettings;
use personio_scim::directory::persistence::state_file::StateFile;
use personio_scim::mapping::{CustomAttributePolicy, GroupKind};
use personio_scim::scim::{
    AttributeType, CustomAttributeDefinition as Served, PERSONIO_USER_SCHEMA as EXTENSION,
};
use personio_scim::simulator::{
    FaultAction, InjectedFault, ResponseGate, SimulatedCustomAttribute, SimulatedEndpoint,
    Simulator, World,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{
    NOW, SHORT_TTL, Setup, TOKEN, TestClock, TestServer, by_id, format_timestamp, metric,
    wait_until,
};
use crate::privacy::{PRIVATE_HOURS, PRIVATE_MARKER, mark_world};
use crate::process::{Program, get, run, settings};

const KEY: &str = "the-key-of-state-files-in-these-tests";
/// Time of a restart: clearly later than [`NOW`], and before the data is too old.
const RESTART_TIME: &str = "2026-11-23T10:10:00Z";

/// Folder for a state file.
struct StateFolder(TempDir);

impl StateFolder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn aside(&self) -> PathBuf {
        self.0.path().join("state.set-aside-1")
    }

    /// Opens the state file with the right key.
    fn file(&self) -> StateFile {
        StateFile::new(self.path(), &KEY.to_owned().into(), "demo")
    }

    /// Returns the setup of a server over `world` with this state file, for each start.
    fn setup(&self, world: World) -> Setup {
        let mut setup = Setup {
            state: Some(StateFileSettings { path: self.path(), key: KEY.to_owned().into() }),
            employment_recheck: Duration::from_secs(3600),
            public_url: Some("https://scim.example.com"),
            ..Setup::of(world)
        };
        setup.policy.groups = vec![GroupKind::Department, GroupKind::Office];
        setup
    }

    /// Runs a server with these persons until it has written the state file, and returns it with
    /// its users.
    async fn after(&self, persons: usize) -> (TestServer, Vec<Value>) {
        let bridge = self.setup(world(persons)).start();
        let users = bridge.all_users().await;
        written(&bridge, 1).await;
        (bridge, users)
    }
}

fn world(persons: usize) -> World {
    World::generate(persons, 1, NOW.parse().unwrap())
}

/// Waits until the state file has been written `times` times.
async fn written(bridge: &TestServer, times: u64) {
    let name = "state_file_writes_total{outcome=\"succeeded\"}";
    wait_until("the state is written", async || metric(bridge, name).await >= times).await;
}

/// Waits until `times` loads have succeeded and their result is written.
async fn loaded(bridge: &TestServer, times: u64) {
    let name = "loads_total{outcome=\"succeeded\"}";
    wait_until("a load has landed", async || metric(bridge, name).await >= times).await;
}

/// Stops a server and returns its simulator.
fn stopped(bridge: TestServer) -> Simulator {
    let simulator = bridge.simulator.clone();
    drop(bridge);
    simulator.reset_history();
    simulator
}

/// Starts a server while Personio does not respond.
fn restarted_alone(setup: Setup, simulator: Simulator) -> TestServer {
    simulator.add_fault(InjectedFault::everywhere(FaultAction::Hang));
    setup.start_with(simulator)
}

async fn groups(bridge: &TestServer) -> Vec<Value> {
    bridge.get("/Groups").await.json()["Resources"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_serves_all_users_from_the_state_file_without_personio() {
    let folder = StateFolder::new();
    let (bridge, users) = folder.after(60).await;
    let groups_before = groups(&bridge).await;
    let (simulator, clock) = (stopped(bridge), TestClock::at(RESTART_TIME));
    let bridge = restarted_alone(Setup { clock, ..folder.setup(world(60)) }, simulator);
    let start = std::time::Instant::now();
    let (status, health) = bridge.health().await;
    assert_eq!(
        (status, &health["parts"]["directory"]["ageSeconds"]),
        (200, &json!(600)),
        "{health}"
    );
    assert_eq!(health["parts"]["personio"]["status"], "unknown", "no load has ended: {health}");
    assert_eq!(bridge.all_users().await, users);
    assert_eq!(groups(&bridge).await, groups_before);
    for user in users.iter().take(5) {
        assert_eq!(
            &bridge.get(&format!("/Users/{}", user["id"].as_str().unwrap())).await.json(),
            user
        );
    }
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "nobody waits for the refresh: {:?}",
        start.elapsed()
    );
    assert_eq!(
        bridge.simulator.request_count(SimulatedEndpoint::Persons)
            + bridge.simulator.request_count(SimulatedEndpoint::Employments),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_load_after_a_restart_reads_only_possible_changes() {
    let folder = StateFolder::new();
    let (bridge, users) = folder.after(120).await;
    let simulator = stopped(bridge);
    let bridge = folder.setup(world(120)).start_with(simulator);
    loaded(&bridge, 1).await;
    let asked = |endpoint| bridge.simulator.request_count(endpoint);
    assert_eq!(
        (
            asked(SimulatedEndpoint::Persons),
            asked(SimulatedEndpoint::Employments),
            asked(SimulatedEndpoint::Person)
        ),
        (3, 0, 0)
    );
    let names = [
        SimulatedEndpoint::LegalEntities,
        SimulatedEndpoint::Workplaces,
        SimulatedEndpoint::CostCenters,
        SimulatedEndpoint::Jobs,
        SimulatedEndpoint::OrgUnits,
    ];
    assert_eq!(
        names.map(asked),
        [1, 1, 1, 1, 2],
        "names are read anew, since some may be others by now"
    );
    assert_eq!(bridge.all_users().await, users);
    written(&bridge, 1).await;
    assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_meta_changes_only_for_changed_users() {
    let folder = StateFolder::new();
    let bridge = Setup { cache_ttl: SHORT_TTL, ..folder.setup(world(60)) }.start();
    bridge.ready().await;
    written(&bridge, 1).await;
    bridge.clock.pass(Duration::from_secs(60));
    let change = |simulator: &Simulator, nth: usize| {
        simulator.with_world(|world| world.persons[nth].last_name = Some("Neu".to_owned()));
    };
    change(&bridge.simulator, 3);
    let users = bridge.all_users().await;
    let groups_before = groups(&bridge).await;
    let moments: std::collections::BTreeSet<_> =
        users.iter().map(|user| user["meta"]["lastModified"].to_string()).collect();
    assert!(moments.len() > 1, "not all are of one moment");
    written(&bridge, 2).await;

    let simulator = stopped(bridge);
    change(&simulator, 7);
    simulator.with_world(|world| world.workplaces[0].name = "Atlantis".to_owned());
    let bridge = Setup { clock: TestClock::at(RESTART_TIME), ..folder.setup(world(0)) }
        .start_with(simulator);
    loaded(&bridge, 1).await;
    let now = Value::from(format_timestamp(bridge.clock.now()));
    for (before, after) in
        [(users, bridge.all_users().await), (groups_before, groups(&bridge).await)]
    {
        assert_eq!(before.len(), after.len());
        let mut touched = 0;
        for after in &after {
            let before = by_id(&before, after["id"].as_str().unwrap());
            if before == after {
                continue;
            }
            touched += 1;
            assert_ne!(before["meta"]["version"], after["meta"]["version"], "{after}");
            assert_eq!(after["meta"]["lastModified"], now, "{after}");
            assert_eq!(
                after["meta"]["created"], before["meta"]["created"],
                "of a group, the first server saw it"
            );
        }
        assert!((1..after.len()).contains(&touched), "{touched} of {} have moved", after.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_too_old_or_from_the_future_is_only_a_baseline() {
    for now in ["2026-11-24T10:00:01Z", "2026-11-22T10:00:00Z"] {
        let folder = StateFolder::new();
        let (bridge, users) = folder.after(60).await;
        let simulator = stopped(bridge);
        let setup = || Setup {
            clock: TestClock::at(now),
            refresh_wait: Duration::from_millis(300),
            max_change: 0.2,
            ..folder.setup(world(60))
        };
        let bridge = restarted_alone(setup(), simulator);
        assert_eq!(bridge.health().await.0, 503, "{now}");
        bridge.get("/Users").await.scim_error(503, None);
        let simulator = stopped(bridge);

        // Half of the persons have gone. The guard holds the change, and there is nothing else to
        // serve.
        simulator.clear_faults();
        let persons = simulator.with_world(|world| world.persons.split_off(30));
        let bridge = setup().start_with(simulator);
        loaded(&bridge, 1).await;
        let (status, health) = bridge.health().await;
        assert_eq!(
            (status, &health["parts"]["directory"]["heldBack"]["disappeared"]),
            (503, &json!(30)),
            "{health}"
        );
        let detail = bridge.get("/Users").await.scim_error(503, None);
        assert!(detail.contains("held back"), "{now}: {detail}");
        // A restart with a larger threshold accepts the change, independent of the age of the file.
        let file = fs::read(folder.path()).unwrap();
        let bridge = Setup { max_change: 0.5, ..setup() }.start_with(stopped(bridge));
        bridge.ready().await;
        assert_eq!(bridge.all_users().await.len(), 30, "{now}");
        written(&bridge, 1).await;
        let simulator = stopped(bridge);
        fs::write(folder.path(), file).unwrap();

        // The persons are back, and no user has changed.
        simulator.with_world(|world| world.persons.extend(persons));
        let bridge = setup().start_with(simulator);
        bridge.ready().await;
        assert_eq!(bridge.all_users().await, users, "{now}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_change_is_not_written_to_the_state_file() {
    let folder = StateFolder::new();
    let (bridge, users) = folder.after(60).await;
    let setup = |max_change| Setup {
        clock: TestClock::at(RESTART_TIME),
        max_change,
        ..folder.setup(world(60))
    };
    let file = fs::read(folder.path()).unwrap();
    let simulator = stopped(bridge);
    simulator.with_world(|world| world.persons.truncate(30));
    let mut bridge = setup(0.2).start_with(simulator);
    for _ in 0..2 {
        wait_until("the change is held back", async || {
            metric(&bridge, "change_is_held_back").await == 1
        })
        .await;
        assert_eq!(bridge.all_users().await, users);
        assert_eq!(bridge.health().await.1["parts"]["directory"]["heldBack"]["disappeared"], 30);
        assert_eq!(fs::read(folder.path()).unwrap(), file, "what is not served is not kept");
        bridge = setup(0.2).start_with(stopped(bridge));
    }
    // A restart with a larger threshold accepts the change.
    let bridge = setup(0.5).start_with(stopped(bridge));
    loaded(&bridge, 1).await;
    let fewer = bridge.all_users().await;
    assert_eq!(fewer.len(), 30);
    written(&bridge, 1).await;
    let bridge = restarted_alone(setup(0.2), stopped(bridge));
    assert_eq!(bridge.all_users().await, fewer);
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_keep_the_guard_window_and_approvals() {
    let folder = StateFolder::new();
    let (bridge, _) = folder.after(100).await;
    let mut simulator = stopped(bridge);
    // A loss of 19 % is within bounds. A second one within two hours is not.
    for (moment, left, served) in [
        ("2026-11-23T10:10:00Z", 81, 81),
        ("2026-11-23T10:20:00Z", 70, 81),
        ("2026-11-23T14:00:00Z", 70, 81),
        ("2026-11-23T14:10:00Z", 80, 80),
        ("2026-11-23T14:20:00Z", 63, 80),
    ] {
        simulator.with_world(|world| *world = company_of(left));
        let setup =
            Setup { clock: TestClock::at(moment), max_change: 0.2, ..folder.setup(world(0)) };
        let bridge = setup.start_with(simulator);
        loaded(&bridge, 1).await;
        assert_eq!(
            bridge.all_users().await.len(),
            served,
            "{moment}: {:?}",
            bridge.directory().held_change()
        );
        assert_eq!(bridge.directory().held_change().is_some(), left != served, "{moment}");
        if served == left {
            written(&bridge, 1).await;
        }
        simulator = stopped(bridge);
    }
    let setup =
        |moment| Setup { clock: TestClock::at(moment), max_change: 0.2, ..folder.setup(world(0)) };
    let bridge = setup("2026-11-23T14:30:00Z").start_with(simulator);
    wait_until("it is held back", async || bridge.directory().held_change().is_some()).await;
    bridge.approve().await;
    written(&bridge, 1).await;
    let simulator = stopped(bridge);
    simulator.with_world(|world| *world = company_of(60));
    let bridge = setup("2026-11-23T14:40:00Z").start_with(simulator);
    loaded(&bridge, 1).await;
    assert_eq!(bridge.all_users().await.len(), 60, "what was approved does not count any more");
}

/// Returns the first `left` persons of a company of a hundred.
fn company_of(left: usize) -> World {
    let mut world = world(100);
    world.persons.truncate(left);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_drops_attributes_that_the_mapping_no_longer_allows() {
    let folder = StateFolder::new();
    let mut company = world(12);
    company.persons[0].email = None;
    for person in &mut company.persons {
        person.custom_attributes = ["dynamic_1", "dynamic_2"]
            .map(|id| attribute(id, json!(format!("value of {id}"))))
            .into();
    }
    let mapped = |id: &str| CustomAttributePolicy {
        id: id.to_owned(),
        definition: Served {
            name: format!("x{id}"),
            attribute_type: AttributeType::String,
            multi_valued: false,
        },
    };
    let mut setup = folder.setup(company.clone());
    setup.policy.custom_attributes = vec![mapped("dynamic_1")];
    let bridge = setup.start();
    let users = bridge.all_users().await;
    assert_eq!(
        (users.len(), &users[0][EXTENSION]["xdynamic_1"]),
        (12, &json!("value of dynamic_1"))
    );
    written(&bridge, 1).await;

    let mut setup = folder.setup(company.clone());
    setup.policy.require_email = true;
    setup.policy.custom_attributes = vec![mapped("dynamic_2")];
    let bridge = restarted_alone(setup, stopped(bridge));
    let text = bridge.get("/Users").await.text;
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["totalResults"], 11);
    assert!(!text.contains("value of"), "the other attribute has not been read yet");
    let simulator = stopped(bridge);

    simulator.clear_faults();
    let mut setup = folder.setup(company);
    setup.policy.custom_attributes = vec![mapped("dynamic_2")];
    let bridge = setup.start_with(simulator);
    loaded(&bridge, 1).await;
    let users = bridge.all_users().await;
    assert_eq!(
        (users.len(), &users[0][EXTENSION]["xdynamic_2"]),
        (12, &json!("value of dynamic_2"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_reports_whether_the_state_file_is_writable() {
    let bridge = Setup::persons(3).start();
    bridge.ready().await;
    assert!(bridge.health().await.1["parts"].get("state").is_none(), "there is no state file");

    let folder = StateFolder::new();
    let bridge = Setup { cache_ttl: SHORT_TTL, ..folder.setup(world(3)) }.start();
    bridge.ready().await;
    written(&bridge, 1).await;
    let (_, health) = bridge.health().await;
    assert_eq!(
        (&health["status"], &health["parts"]["state"]["status"]),
        (&json!("ok"), &json!("ok")),
        "{health}"
    );
    // The name of the temporary file belongs to a folder, and then to a pipe.
    let new = folder.0.path().join("state.new");
    for program in ["mkdir", "mkfifo"] {
        assert!(std::process::Command::new(program).arg(&new).status().unwrap().success());
        bridge.reloaded().await;
        let mut health = Value::Null;
        wait_until("it is told", async || {
            health = bridge.health().await.1;
            health["parts"]["state"]["status"] == "degraded"
        })
        .await;
        assert_eq!(
            (bridge.health().await.0, &health["status"]),
            (200, &json!("degraded")),
            "{health}"
        );
        let detail = health["parts"]["state"]["detail"].as_str().unwrap();
        assert!(detail.contains("cannot be written"), "{program}: {detail}");
        if program == "mkdir" { fs::remove_dir(&new) } else { fs::remove_file(&new) }.unwrap();
        bridge.reloaded().await;
        wait_until("it is well again", async || bridge.health().await.1["status"] == "ok").await;
    }
}

fn attribute(id: &str, value: Value) -> SimulatedCustomAttribute {
    SimulatedCustomAttribute {
        id: id.to_owned(),
        value_type: "STRING".to_owned(),
        value,
        ..SimulatedCustomAttribute::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_file_is_encrypted_and_contains_no_private_data() {
    let folder = StateFolder::new();
    let mut company = world(60);
    mark_world(&mut company);
    let mut setup = folder.setup(company.clone());
    let ids = ["dynamic_900", "dynamic_901"];
    setup.policy.custom_attributes = ids
        .map(|id| CustomAttributePolicy {
            id: id.to_owned(),
            definition: Served {
                name: id.to_owned(),
                attribute_type: AttributeType::String,
                multi_valued: true,
            },
        })
        .into();
    let bridge = setup.start();
    bridge.ready().await;
    written(&bridge, 1).await;
    drop(bridge);
    let (sealed, content) = (fs::read(folder.path()).unwrap(), folder.file().read().unwrap());
    let holds = |bytes: &[u8], text: &str| {
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    for person in company.persons {
        for text in [person.email, person.first_name, person.last_name, person.preferred_name]
            .into_iter()
            .flatten()
        {
            assert!(holds(&content, &text), "{text} is kept");
            assert!(!holds(&sealed, &text), "{text} is kept in clear");
        }
    }
    assert!(
        !content.windows(8).any(|window| window == PRIVATE_HOURS.to_be_bytes()),
        "hours are kept"
    );
    // Attribute labels are not personal data.
    let mut content = String::from_utf8_lossy(&content).into_owned();
    for name in ["Gehalt", "IBAN"]
        .map(|label| format!("{label} {PRIVATE_MARKER}"))
        .into_iter()
        .chain(ids.map(|id| format!("{PRIVATE_MARKER}-{}", id.trim_start_matches("dynamic_"))))
    {
        assert!(content.contains(&name), "{name} is what the attribute is recognised by");
        content = content.replace(&name, "");
    }
    for text in [PRIVATE_MARKER, "31.41", "\"gender\"", "weekly"] {
        assert!(!content.contains(text), "{text} is kept");
    }
}

/// Returns the offset of the records in the content: after the version, two timestamps, three
/// sections with a length prefix, and the number of scopes, which is 0 here.
fn records_offset(content: &[u8]) -> usize {
    let after = |at: usize| {
        let length = u64::from_be_bytes(content[at..at + 8].try_into().unwrap());
        at + 8 + usize::try_from(length).unwrap()
    };
    after(after(after(17))) + 8
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_file_from_before_scopes_is_read() {
    let folder = StateFolder::new();
    let (bridge, users) = folder.after(12).await;
    let simulator = stopped(bridge);
    let content = folder.file().read().unwrap();
    let at = records_offset(&content);
    folder.file().write([&[3], &content[1..at - 8], &content[at..]].concat()).unwrap();
    let bridge = restarted_alone(folder.setup(world(12)), simulator);
    assert_eq!(bridge.all_users().await, users);
}

#[expect(clippy::too_many_lines, reason = "the cases are a table")]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_used_is_reported_and_set_aside_untouched() {
    let folder = StateFolder::new();
    let (bridge, users) = folder.after(30).await;
    let simulator = stopped(bridge);
    let good = fs::read(folder.path()).unwrap();
    let content = folder.file().read().unwrap();
    let with = |content: &[u8]| {
        folder.file().write(content).unwrap();
        fs::read(folder.path()).unwrap()
    };
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] ^= byte;
        bytes
    };
    let at = records_offset(&content);
    // MessagePack of [3, [{}], [["secret@example.com"]]] and [9, [{}], []].
    let nonsense = [&content[..at], b"\x93\x03\x91\x80\x91\x91\xb2secret@example.com"].concat();
    let other_records = [&content[..at], b"\x93\x09\x91\x80\x90"].concat();
    let other_version = [&[9], &content[1..]].concat();
    let endless = [&content[..1], &[0xff; 1000]].concat();
    let deep = [&content[..at], &b"\x91".repeat(100_000)].concat();
    let (key, other_key) = (KEY, "another-key-that-is-as-long-as-the-first");
    let rows = [
        ("damaged in the middle", changed(good.len() / 2, 1), key, "demo", "is damaged"),
        ("damaged at the end", changed(good.len() - 1, 0x80), key, "demo", "is damaged"),
        ("cut", good[..good.len() / 2].to_vec(), key, "demo", "is not as long as"),
        ("cut in the header", good[..10].to_vec(), key, "demo", ""),
        ("empty", Vec::new(), key, "demo", ""),
        (
            "foreign",
            b"# Notes\n\nThis is no state file, but important.\n".to_vec(),
            key,
            "demo",
            "",
        ),
        ("wrongly keyed", good.clone(), other_key, "demo", "key"),
        ("of another credential", good.clone(), key, "other", "credential"),
        ("nothing inside", with(b""), key, "demo", "another version"),
        ("another version inside", with(&other_version), key, "demo", "another version"),
        ("endless stamps", with(&endless), key, "demo", "another version"),
        (
            "cut inside",
            with(&content[..content.len() / 2]),
            key,
            "demo",
            "holds records that cannot be read",
        ),
        ("nonsense inside", with(&nonsense), key, "demo", "holds records that cannot be read"),
        ("deep nonsense inside", with(&deep), key, "demo", "holds records that cannot be read"),
        (
            "other records inside",
            with(&other_records),
            key,
            "demo",
            "holds records of version 9 instead of 4",
        ),
    ];
    let mut other = folder.setup(world(30));
    other.options.client_id = "other".to_owned();
    let other = other.simulator();
    for (what, bytes, key, client, reason) in rows {
        fs::write(folder.path(), &bytes).unwrap();
        let upstream = if client == "demo" { &simulator } else { &other };
        upstream.clear_faults();
        let gate = ResponseGate::closed();
        upstream.add_fault(InjectedFault::on(
            SimulatedEndpoint::Persons,
            FaultAction::Hold(gate.clone()),
        ));
        let (base_url, path) = (upstream.base_url(), folder.path());
        let mut variables = settings(&base_url);
        variables.extend([
            ("PERSONIO_CLIENT_ID", client),
            ("SCIM_STATE_FILE", path.to_str().unwrap()),
            ("SCIM_STATE_KEY", key),
        ]);
        let program = Program::start(&["serve"], &variables);
        let url = program.base_url().await;
        let log = program.log();
        let told: Vec<&str> = log
            .iter()
            .filter_map(|line| line["message"].as_str())
            .filter(|it| it.contains("set aside"))
            .collect();
        let [told] = told.as_slice() else { panic!("{what}: {log:?}") };
        assert!(
            told.contains(reason) && told.contains(folder.aside().to_str().unwrap()),
            "{what}: {told}"
        );
        assert!(!told.contains("example.com"), "{what}: {told}");
        assert_eq!(
            get(&url.replace("/scim/v2", "/health/ready"), "").await.status,
            503,
            "{what}: it starts cold"
        );
        gate.open();
        assert_eq!(
            get(&format!("{url}/Users"), TOKEN).await.json()["totalResults"],
            users.len(),
            "{what}"
        );
        wait_until("a new file is there", async || folder.path().exists()).await;
        assert_eq!(fs::read(folder.aside()).unwrap(), bytes, "{what}: the old one is as it was");
        drop(program);
        assert!(
            StateFile::new(folder.path(), &key.to_owned().into(), client).read().is_some(),
            "{what}"
        );
        clean(&folder);
    }
}

/// Removes the files of the last row.
fn clean(folder: &StateFolder) {
    for entry in fs::read_dir(folder.0.path()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_thousands_of_years_old_is_treated_as_too_old() {
    let folder = StateFolder::new();
    let (bridge, users) = folder.after(12).await;
    let simulator = stopped(bridge);
    for moment in [i64::MIN, -377_705_023_200_000, 0, 253_402_207_200_000, i64::MAX] {
        let mut content = folder.file().read().unwrap();
        content[1..9].copy_from_slice(&moment.to_be_bytes());
        folder.file().write(content).unwrap();
        let bridge =
            Setup { max_change: 0.2, ..folder.setup(world(12)) }.start_with(simulator.clone());
        bridge.ready().await;
        assert_eq!(bridge.all_users().await.len(), users.len(), "{moment}");
        written(&bridge, 1).await;
        assert!(Path::new(&folder.path()).exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_size_limit_fails_the_write_and_not_the_server() {
    let folder = StateFolder::new();
    let simulator = Setup::of(world(60)).simulator();
    let (base_url, path) = (simulator.base_url(), folder.path());
    let mut variables = settings(&base_url);
    variables.extend([
        ("SCIM_STATE_FILE", path.to_str().unwrap()),
        ("SCIM_STATE_KEY", KEY),
        ("SCIM_CACHE_TTL", "1ms"),
    ]);
    let program = Program::start(&["serve"], &variables);
    let url = program.base_url().await;
    wait_until("the state is written", async || path.exists()).await;
    let before = fs::read(&path).unwrap();
    let pid = program.pid().to_string();
    let limited = std::process::Command::new("prlimit")
        .args(["--pid", &pid, "--fsize=1000"])
        .status()
        .unwrap();
    assert!(limited.success());
    let ready = url.replace("/scim/v2", "/health/ready");
    let mut health = Value::Null;
    wait_until("a write has failed", async || {
        get(&format!("{url}/Users"), TOKEN).await;
        health = get(&ready, "").await.json();
        health["parts"]["state"]["status"] == "degraded"
    })
    .await;
    let detail = health["parts"]["state"]["detail"].as_str().unwrap();
    assert!(detail.contains("cannot be written: writing the new file"), "{detail}");
    assert_eq!(fs::read(&path).unwrap(), before, "the old file is as it was");
    assert_eq!(get(&format!("{url}/Users"), TOKEN).await.json()["totalResults"], 60);
}

/// Checks with the real program, because it handles signals, that a state too old to be served
/// still holds a change, and that the change can be approved.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_held_because_of_an_old_state_can_be_approved() {
    let folder = StateFolder::new();
    let two_days_ago = SystemClock::new().now() - 2 * SignedDuration::from_hours(24);
    let clock = TestClock::at(&two_days_ago.to_string());
    let bridge = Setup { clock, ..folder.setup(world(60)) }.start();
    written(&bridge, 1).await;
    let simulator = stopped(bridge);
    let (base_url, path) = (simulator.base_url(), folder.path());
    let mut variables = settings(&base_url);
    variables.extend([
        ("SCIM_STATE_FILE", path.to_str().unwrap()),
        ("SCIM_STATE_KEY", KEY),
        ("SCIM_MAX_CHANGE", "20%"),
        ("SCIM_REFRESH_WAIT", "5s"),
    ]);
    simulator.with_world(|world| world.persons.truncate(20));
    let program = Program::start(&["serve"], &variables);
    let url = program.base_url().await;
    let ready = url.replace("/scim/v2", "/health/ready");
    wait_until("the change is held back", async || {
        !get(&ready, "").await.json()["parts"]["directory"]["heldBack"].is_null()
    })
    .await;
    assert_eq!(get(&ready, "").await.status, 503);
    let listen = url.trim_start_matches("http://").trim_end_matches("/scim/v2");
    let ended = run(&["approve", "--yes", "--listen", listen], &[]).await;
    assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.out.contains("40 of 60 users"), "{ended:?}");
    assert_eq!(get(&format!("{url}/Users"), TOKEN).await.json()["totalResults"], 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_employments_of_the_state_file_are_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let start = |clock: crate::harness::TestClock, simulator| {
        let state = personio_scim::config::StateFileSettings {
            path: folder.path().join("state"),
            key: "the-key-of-state-files-in-these-tests".to_owned().into(),
        };
        let setup = Setup {
            state: Some(state),
            cache_ttl: SHORT_TTL,
            employment_recheck: Duration::from_secs(3600),
            max_stale: Duration::from_secs(24 * 3600),
            max_concurrency: 2,
            max_change: 0.2,
            clock,
            ..Setup::persons(60)
        };
        match simulator {
            Some(simulator) => setup.start_with(simulator),
            None => setup.start(),
        }
    };
    let bridge = start(crate::harness::TestClock::at("2026-11-01T10:00:00Z"), None);
    let before = bridge.all_users().await;
    wait_until("written", async || {
        bridge.get("/metrics").await.text.contains("writes_total{outcome=\"succeeded\"} 1")
    })
    .await;
    let simulator = bridge.simulator.clone();
    drop(bridge);
    // Eight persons become inactive. Only their employments show it, not their person records.
    simulator.with_world(|world| {
        for person in world.persons.iter_mut().rev().take(8) {
            person.employments.iter_mut().for_each(|it| it.status = Some("INACTIVE".into()));
        }
    });
    simulator.reset_history();
    simulator.add_fault(InjectedFault::on(
        SimulatedEndpoint::Employments,
        FaultAction::Delay(Duration::from_millis(30)),
    ));
    let bridge = start(crate::harness::TestClock::at("2026-11-23T10:00:00Z"), Some(simulator));
    wait_until("it reads", async || {
        bridge.simulator.request_count(SimulatedEndpoint::Employments) > 10
    })
    .await;
    bridge.clock.pass(Duration::from_secs(301));
    wait_until("a load has succeeded", async || {
        bridge.directory().metrics().loads.ended.succeeded() == 1
    })
    .await;
    let now = bridge.get("/scim/v2/Users").await.json()["Resources"].as_array().unwrap().clone();
    let old = bridge.simulator.with_world(|world| {
        let left = world.persons.iter().rev().take(8).map(|person| person.id.clone());
        left.filter(|id| by_id(&now, id)["active"] == true).count()
    });
    let same = now.iter().filter(|user| before.contains(user)).count();
    assert_eq!(
        old,
        0,
        "are active who left 22 days ago ({same} users as then): {}",
        bridge.health().await.1
    );
}
