//! Tests of groups, which a mapping file can switch on (RFC 7643 §4.2).

use std::collections::BTreeMap;
use std::time::Duration;

use personio_scim::mapping::GroupKind;
use personio_scim::scim::{
    ENTERPRISE_USER_SCHEMA as ENTERPRISE, GROUP_SCHEMA, PERSONIO_USER_SCHEMA as EXTENSION,
};
use personio_scim::simulator::{SimulatedEndpoint, SimulatedOrgUnit, SimulatedOrgUnitType, World};
use serde_json::{Value, json};

use crate::harness::{NOW, NOW_STAMP, SHORT_TTL, Setup, TestClock, TestServer, by_id, ids};

fn with_groups(persons: usize, kinds: &[GroupKind]) -> Setup {
    let mut setup = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(persons) };
    setup.policy.groups = kinds.to_vec();
    setup
}

const ALL: [GroupKind; 6] = [
    GroupKind::Department,
    GroupKind::Team,
    GroupKind::LegalEntity,
    GroupKind::Office,
    GroupKind::CostCenter,
    GroupKind::Job,
];
/// Prefixes of the ids of these groups.
const WORDS: [&str; 6] = ["department", "team", "legalEntity", "office", "costCenter", "job"];

async fn groups(bridge: &TestServer) -> Vec<Value> {
    bridge.list("/Groups", &[]).await["Resources"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_there_are_no_groups() {
    let bridge = Setup::persons(30).start();
    let list = bridge.list("/Groups", &[("startIndex", "1"), ("count", "100")]).await;
    assert_eq!(list["totalResults"], 0);
    assert_eq!(list["Resources"], json!([]));
    assert!(bridge.all_users().await.iter().all(|user| user.get("groups").is_none()));
    bridge.get("/Groups/department-1001").await.scim_error(404, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_and_memberships_agree() {
    let bridge = with_groups(200, &ALL).start();
    let users = bridge.all_users().await;
    let groups = groups(&bridge).await;
    let mut expected: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for user in &users {
        for group in user["groups"].as_array().into_iter().flatten() {
            assert_eq!(group["type"], "direct");
            expected.entry(group["value"].as_str().unwrap().to_owned()).or_default().push(json!({
                "value": user["id"],
                "$ref": user["meta"]["location"],
                "type": "User",
                "display": user["displayName"],
            }));
        }
    }
    assert!(groups.len() > 10 && groups.len() == expected.len(), "{}", groups.len());
    for group in &groups {
        let id = group["id"].as_str().unwrap();
        assert_eq!(group["members"], json!(expected[id]), "{id}");
        assert_eq!(group["schemas"], json!([GROUP_SCHEMA]));
        assert_eq!(group["meta"]["resourceType"], "Group");
        assert_eq!(group["externalId"], id.split_once('-').unwrap().1, "the unit's id in Personio");
        assert_eq!(
            (&group["meta"]["created"], &group["meta"]["lastModified"]),
            (&json!(NOW_STAMP), &json!(NOW_STAMP))
        );
        let alone = bridge.get(&format!("/Groups/{id}")).await;
        assert_eq!(&alone.json(), group);
        assert_eq!(alone.header("etag"), group["meta"]["version"].as_str().unwrap());
        assert_eq!(alone.header("content-location"), group["meta"]["location"].as_str().unwrap());
        assert!(alone.header("content-location").ends_with(&format!("/scim/v2/Groups/{id}")));
    }
    let left =
        users.iter().find(|user| user["active"] == false && user.get("groups").is_some()).unwrap();
    let group = groups.iter().find(|group| group["id"] == left["groups"][0]["value"]).unwrap();
    assert!(
        group["members"].as_array().unwrap().iter().any(|member| member["value"] == left["id"]),
        "leavers too"
    );
    for user in &users {
        let office = user[EXTENSION]["office"].as_str();
        let group = user["groups"].as_array().into_iter().flatten();
        let mut offices =
            group.filter(|group| group["value"].as_str().unwrap().starts_with("office-"));
        assert_eq!(offices.next().map(|group| group["display"].as_str().unwrap()), office);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_come_in_the_order_of_their_kinds_and_numbers_and_only_those_that_were_asked_for() {
    for (kinds, words) in [
        (&ALL[..], &WORDS[..]),
        (&[GroupKind::Office, GroupKind::Department][..], &["department", "office"][..]),
        (&[GroupKind::Team][..], &["team"][..]),
    ] {
        let bridge = with_groups(200, kinds).start();
        let list = bridge.list("/Groups", &[]).await;
        let place = |id: &str| {
            let (word, number) = id.split_once('-').unwrap();
            (words.iter().position(|known| *known == word).unwrap(), number.parse::<u64>().unwrap())
        };
        let places: Vec<_> = ids(&list).into_iter().map(place).collect();
        assert!(places.is_sorted() && !places.is_empty(), "{places:?}");
        let found: std::collections::BTreeSet<_> = places.iter().map(|(word, _)| *word).collect();
        assert_eq!(found.len(), words.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_found_by_their_members_names_and_ids() {
    let bridge = with_groups(200, &ALL).start();
    let all = groups(&bridge).await;
    let group = &all[1];
    let (id, member) =
        (group["id"].as_str().unwrap(), group["members"][0]["value"].as_str().unwrap());
    let having = |member: &str| -> Vec<String> {
        let has = |group: &&Value| {
            group["members"].as_array().unwrap().iter().any(|one| one["value"] == member)
        };
        all.iter().filter(has).map(|group| group["id"].as_str().unwrap().to_owned()).collect()
    };
    for filter in ["members eq", "members.value eq", "MEMBERS.VALUE EQ"] {
        let list = bridge.list("/Groups", &[("filter", &format!("{filter} \"{member}\""))]).await;
        assert_eq!(ids(&list), having(member), "{filter}");
    }
    let unit = id.split_once('-').unwrap().1;
    for (filter, expected) in [
        (format!("externalId eq \"{unit}\" and id sw \"department\""), vec![id]),
        (format!("id eq \"{id}\" and members eq \"{member}\""), vec![id]),
        (format!("id eq \"{id}\" and members eq \"1\""), vec![]),
        (format!("id eq \"{id}\""), vec![id]),
        (
            format!(
                "displayName eq {} and id sw \"department\"",
                group["displayName"].to_string().to_uppercase()
            ),
            vec![id],
        ),
        (
            format!("members[value eq \"{member}\" and type eq \"user\"] and id eq \"{id}\""),
            vec![id],
        ),
        (format!("members[$ref ew \"/Users/{member}\"] and id eq \"{id}\""), vec![id]),
    ] {
        assert_eq!(
            ids(&bridge.list("/Groups", &[("filter", &filter)]).await),
            expected,
            "{filter}"
        );
    }
    let of_user = bridge
        .list("/Users", &[("filter", &format!("groups eq \"{id}\"")), ("attributes", "id")])
        .await;
    let members: Vec<&str> = group["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["value"].as_str().unwrap())
        .collect();
    assert_eq!(ids(&of_user), members);

    let without = bridge.list("/Groups", &[("excludedAttributes", "members")]).await;
    assert!(
        without["Resources"].as_array().unwrap().iter().all(|group| group.get("members").is_none())
    );
    let one = bridge.get(&format!("/Groups/{id}?excludedAttributes=members")).await.json();
    assert!(one.get("members").is_none() && one["displayName"] == group["displayName"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_version_changes_only_with_its_content() {
    let bridge = with_groups(60, &[GroupKind::Department]).start();
    bridge.all_users().await;
    let before = groups(&bridge).await;
    bridge.clock.pass(Duration::from_secs(60));
    bridge.reloaded().await;
    assert_eq!(groups(&bridge).await, before);
    let changed = before[0]["members"][0]["value"].as_str().unwrap().to_owned();
    bridge.simulator.with_world(|world| {
        let person = world.persons.iter_mut().find(|person| person.id == changed).unwrap();
        person.preferred_name = Some("Renamed".into());
    });
    bridge.reloaded().await;
    let after = groups(&bridge).await;
    assert_ne!(after[0]["meta"]["version"], before[0]["meta"]["version"]);
    assert_eq!(after[0]["meta"]["lastModified"], "2026-11-23T10:01:00.000Z");
    assert_eq!(after[0]["meta"]["created"], NOW_STAMP, "it was there before");
    assert_eq!(after[1..], before[1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_in_every_unit_and_a_group_without_a_readable_name_is_called_by_its_id() {
    let mut world = World::generate(3, 1, NOW.parse().unwrap());
    world.org_units.retain(|unit| unit.id != "1001");
    for person in &mut world.persons {
        for employment in &mut person.employments {
            employment.org_units = vec![
                (SimulatedOrgUnitType::Department, "1002".to_owned()),
                (SimulatedOrgUnitType::Department, "1001".to_owned()),
                (SimulatedOrgUnitType::Department, "1002".to_owned()),
            ];
        }
    }
    let mut setup = Setup::of(world);
    setup.policy.groups = vec![GroupKind::Department];
    let bridge = setup.start();
    let list = bridge.list("/Groups", &[]).await;
    assert_eq!(ids(&list), ["department-1001", "department-1002"]);
    assert_eq!(list["Resources"][0]["displayName"], "department-1001");
    assert_ne!(list["Resources"][1]["displayName"], "department-1002");
    for user in bridge.all_users().await {
        assert_eq!(user["groups"].as_array().unwrap().len(), 2, "{user}");
    }
}

/// Returns the names of the org units of the simulated company, by the ids of their groups.
fn unit_names(world: &World) -> BTreeMap<String, String> {
    let units = world
        .org_units
        .iter()
        .map(|unit| (format!("{}-{}", unit.unit_type.as_str(), unit.id), &unit.name));
    let entities = world
        .legal_entities
        .iter()
        .map(|entity| (format!("legalEntity-{}", entity.id), &entity.name));
    let offices =
        world.workplaces.iter().map(|office| (format!("office-{}", office.id), &office.name));
    let centers =
        world.cost_centers.iter().map(|center| (format!("costCenter-{}", center.id), &center.name));
    let jobs = world.jobs.iter().map(|job| (format!("job-{}", job.id), &job.name));
    units
        .chain(entities)
        .chain(offices)
        .chain(centers)
        .chain(jobs)
        .map(|(id, name)| (id, name.clone()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_and_memberships_are_called_what_the_company_calls_them() {
    let setup = with_groups(200, &ALL);
    let names = unit_names(&setup.world);
    let bridge = setup.start();
    let groups = groups(&bridge).await;
    for word in WORDS {
        let found = groups
            .iter()
            .filter(|group| group["id"].as_str().unwrap().split('-').next() == Some(word));
        assert!(found.count() > 1, "{word}");
    }
    for group in &groups {
        assert_eq!(group["displayName"], names[group["id"].as_str().unwrap()], "{}", group["id"]);
    }
    for user in bridge.all_users().await {
        let memberships = user["groups"].as_array().cloned().unwrap_or_default();
        for membership in &memberships {
            let group = by_id(&groups, membership["value"].as_str().unwrap());
            assert_eq!(membership["$ref"], group["meta"]["location"]);
            assert_eq!(membership["display"], group["displayName"]);
        }
        let of_kind = |word: &str, member: &str| -> Vec<String> {
            let values = memberships
                .iter()
                .filter(|one| one["value"].as_str().unwrap().split('-').next() == Some(word));
            values.map(|one| one[member].as_str().unwrap().to_owned()).collect()
        };
        for word in ["department", "team"] {
            let units = user[EXTENSION]["orgUnits"].as_array().into_iter().flatten();
            let units = units.filter(|unit| unit["type"] == word);
            let mut ids: Vec<String> =
                units.map(|unit| format!("{word}-{}", unit["value"].as_str().unwrap())).collect();
            ids.sort();
            assert_eq!(of_kind(word, "value"), ids, "{user}");
        }
        let entity = of_kind("legalEntity", "display");
        assert_eq!(
            entity.first().map(String::as_str),
            user[ENTERPRISE]["organization"].as_str(),
            "{user}"
        );
        assert!(entity.len() <= 1);
        let centers = user[EXTENSION]["costCenters"].as_array().into_iter().flatten();
        let mut centers: Vec<&str> =
            centers.map(|center| center["display"].as_str().unwrap()).collect();
        let mut of_centers = of_kind("costCenter", "display");
        centers.sort_unstable();
        of_centers.sort();
        assert_eq!(of_centers, centers, "{user}");
        let job = of_kind("job", "display");
        assert_eq!(job.first().map(String::as_str), user[EXTENSION]["job"].as_str(), "{user}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn units_sort_numerically() {
    let mut world = World::generate(6, 1, NOW.parse().unwrap());
    let units = ["100", "9", "10"];
    world.org_units = ["9", "10", "100"]
        .map(|id| {
            SimulatedOrgUnit::new(id, &format!("Unit {id}"), SimulatedOrgUnitType::Department)
        })
        .to_vec();
    for (person, unit) in world.persons.iter_mut().zip(units.into_iter().cycle()) {
        for employment in &mut person.employments {
            employment.org_units = vec![(SimulatedOrgUnitType::Department, unit.to_owned())];
            employment.office = Some("401".to_owned());
        }
    }
    let mut setup = Setup::of(world);
    setup.policy.groups = vec![GroupKind::Office, GroupKind::Department];
    let bridge = setup.start();
    let list = bridge.list("/Groups", &[]).await;
    assert_eq!(ids(&list), ["department-9", "department-10", "department-100", "office-401"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn persons_not_served_are_in_no_group() {
    let mut world = World::generate(4, 1, NOW.parse().unwrap());
    let left_out = world.persons[3].id.clone();
    for (place, person) in world.persons.iter_mut().enumerate() {
        let alone = place == 3;
        if alone {
            person.email = None;
        }
        for employment in &mut person.employments {
            employment.org_units = vec![(SimulatedOrgUnitType::Department, "1001".to_owned())];
            employment
                .org_units
                .extend(alone.then(|| (SimulatedOrgUnitType::Team, "2001".to_owned())));
        }
    }
    assert!(!world.persons[3].employments.is_empty());
    for (require_email, expected) in
        [(false, &["department-1001", "team-2001"][..]), (true, &["department-1001"][..])]
    {
        let mut setup = Setup::of(world.clone());
        setup.policy.groups = ALL[..2].to_vec();
        setup.policy.require_email = require_email;
        let bridge = setup.start();
        let list = bridge.list("/Groups", &[]).await;
        assert_eq!(ids(&list), expected);
        let members = list["Resources"][0]["members"].as_array().unwrap();
        assert_eq!(
            members.iter().any(|member| member["value"] == left_out.as_str()),
            !require_email
        );
        let gone = bridge.get("/Groups/team-2001").await;
        assert_eq!(gone.status.as_u16(), if require_email { 404 } else { 200 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_is_renamed_stays_the_same_group() {
    let bridge = with_groups(60, &[GroupKind::Department]).start();
    bridge.all_users().await;
    let (users, before) = (bridge.all_users().await, groups(&bridge).await);
    let id = before[0]["id"].as_str().unwrap();
    bridge.simulator.with_world(|world| {
        let unit = world
            .org_units
            .iter_mut()
            .find(|unit| format!("department-{}", unit.id) == id)
            .unwrap();
        unit.name = "Renamed".into();
    });
    // Look-ups are read again after a day.
    bridge.clock.pass(Duration::from_secs(24 * 3600));
    bridge.reloaded().await;
    let after = groups(&bridge).await;
    assert_eq!(after.len(), before.len());
    assert_eq!((&after[0]["id"], &after[0]["displayName"]), (&json!(id), &json!("Renamed")));
    assert_eq!(after[0]["members"], before[0]["members"]);
    assert_ne!(after[0]["meta"]["version"], before[0]["meta"]["version"]);
    assert_eq!(after[1..], before[1..]);
    for (now, then) in bridge.all_users().await.iter().zip(&users) {
        let is_member = then["groups"]
            .as_array()
            .is_some_and(|groups| groups.iter().any(|one| one["value"] == id));
        assert_eq!(now["meta"]["version"] != then["meta"]["version"], is_member, "{now}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_by_its_id_costs_personio_nothing() {
    let mut setup = Setup::persons(30);
    setup.policy.groups = vec![GroupKind::Department];
    let bridge = setup.start();
    let id = groups(&bridge).await[0]["id"].as_str().unwrap().to_owned();
    bridge.simulator.reset_history();
    for path in
        [format!("/Groups/{id}"), "/Groups/department-0".to_owned(), "/Groups/%20".to_owned()]
    {
        bridge.get(&path).await;
    }
    assert!(
        bridge.simulator.received_requests().is_empty(),
        "{:?}",
        bridge.simulator.received_requests()
    );
    assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Persons), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn group_timestamps_have_milliseconds_and_are_not_too_early() {
    let mut setup =
        Setup { clock: TestClock::at("2026-11-23T10:00:00.123000001Z"), ..Setup::persons(12) };
    setup.policy.groups = vec![GroupKind::Department];
    let groups = groups(&setup.start()).await;
    assert!(
        groups.iter().all(|group| group["meta"]["lastModified"] == "2026-11-23T10:00:00.124Z"),
        "{groups:?}"
    );
    assert!(
        groups.iter().all(|group| group["meta"]["created"] == "2026-11-23T10:00:00.124Z"),
        "{groups:?}"
    );
}

/// Returns the ids of the groups that are members of each group.
fn nested(groups: &[Value]) -> BTreeMap<&str, Vec<&str>> {
    let mut all = BTreeMap::new();
    for group in groups {
        let members = group["members"].as_array().unwrap().iter();
        let below = members.filter(|member| member["type"] == "Group");
        let below: Vec<&str> = below.map(|member| member["value"].as_str().unwrap()).collect();
        if !below.is_empty() {
            all.insert(group["id"].as_str().unwrap(), below);
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_members_of_the_groups_of_the_units_above() {
    let plain = with_groups(300, &ALL).start();
    let mut setup = with_groups(300, &ALL);
    setup.policy.optional.nested_groups = true;
    let units = setup.world.org_units.clone();
    let bridge = setup.start();
    assert!(nested(&groups(&plain).await).is_empty(), "the company has to choose it");
    let (plain_groups, nested_groups) = (groups(&plain).await, groups(&bridge).await);
    let mut edges = 0;
    for (plain, group) in plain_groups.iter().zip(&nested_groups) {
        let (word, unit) = group["id"].as_str().unwrap().split_once('-').unwrap();
        assert_eq!(group["externalId"], unit);
        let mut members = plain["members"].as_array().unwrap().clone();
        for below in &units {
            if below.unit_type.as_str() != word || below.parent.as_deref() != Some(unit) {
                continue;
            }
            edges += 1;
            let id = format!("{word}-{}", below.id);
            members.push(json!({
                "value": id,
                "$ref": by_id(&nested_groups, &id)["meta"]["location"],
                "type": "Group",
                "display": below.name,
            }));
        }
        let own = group["members"].as_array().unwrap();
        assert_eq!(own.len(), members.len());
        for (member, expected) in own.iter().zip(&members) {
            for name in ["value", "type", "display"] {
                assert_eq!(member[name], expected[name]);
            }
        }
    }
    assert_eq!((nested_groups.len(), edges), (plain_groups.len(), 3));
    for (filter, expected) in [
        ("members eq \"department-1002\"", &["department-1006"][..]),
        ("members[type eq \"Group\"]", &["department-1003", "department-1004", "department-1006"]),
    ] {
        assert_eq!(ids(&bridge.list("/Groups", &[("filter", filter)]).await), expected, "{filter}");
    }
    // Memberships of users are direct.
    let memberships = |user: &Value| -> Vec<Value> {
        let groups = user["groups"].as_array().into_iter().flatten();
        groups.map(|group| group["value"].clone()).collect()
    };
    for (user, plain) in bridge.all_users().await.iter().zip(plain.all_users().await) {
        assert_eq!(memberships(user), memberships(&plain));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_groups_follow_units_without_users_circles_and_unknown_parents() {
    let (department, team) = (SimulatedOrgUnitType::Department, SimulatedOrgUnitType::Team);
    let unit = |id: &str, kind, parent: Option<&str>| SimulatedOrgUnit {
        parent: parent.map(str::to_owned),
        ..SimulatedOrgUnit::new(id, &format!("Unit {id}"), kind)
    };
    let mut world = World::generate(6, 1, NOW.parse().unwrap());
    world.org_units = vec![
        unit("1", department, None),
        unit("2", department, Some("1")),
        unit("3", department, Some("99")),
        unit("4", department, Some("5")),
        unit("5", department, Some("4")),
        unit("6", department, Some("6")),
        // There is no team 1.
        unit("2", team, Some("1")),
    ];
    let of_persons = [
        (department, "2"),
        (department, "3"),
        (department, "4"),
        (department, "5"),
        (department, "6"),
        (team, "2"),
    ];
    for (person, (kind, id)) in world.persons.iter_mut().zip(of_persons) {
        for employment in &mut person.employments {
            employment.org_units = vec![(kind, id.to_owned())];
        }
    }
    for (kinds, expected) in [
        (
            &[GroupKind::Department, GroupKind::Team][..],
            vec![
                ("department-1", vec!["department-2", "team-2"]),
                ("department-4", vec!["department-5"]),
            ],
        ),
        (&[GroupKind::Team], vec![]),
    ] {
        let mut setup = Setup { cache_ttl: SHORT_TTL, ..Setup::of(world.clone()) };
        setup.policy.groups = kinds.to_vec();
        setup.policy.optional.nested_groups = true;
        let bridge = setup.start();
        let found = groups(&bridge).await;
        assert_eq!(nested(&found).into_iter().collect::<Vec<_>>(), expected);
        if kinds.len() == 1 {
            continue;
        }
        let top = by_id(&found, "department-1");
        assert_eq!((&top["displayName"], &top["externalId"]), (&json!("Unit 1"), &json!("1")));
        // The users of the units below leave, and the group above ends.
        bridge.simulator.with_world(|world| {
            for index in [0, 5] {
                for employment in &mut world.persons[index].employments {
                    employment.org_units = vec![(department, "3".to_owned())];
                }
            }
        });
        bridge.reloaded().await;
        let left = groups(&bridge).await;
        assert_eq!(
            left.iter().map(|group| group["id"].as_str().unwrap()).collect::<Vec<_>>(),
            ["department-3", "department-4", "department-5", "department-6"]
        );
        // Parents are read with the names, once a day.
        bridge.simulator.with_world(|world| world.org_units[2].parent = Some("1".to_owned()));
        bridge.clock.pass(Duration::from_secs(25 * 3600));
        bridge.reloaded().await;
        let moved = groups(&bridge).await;
        assert_eq!(nested(&moved)["department-1"], ["department-3"]);
    }
}
