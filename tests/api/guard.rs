//! Tests of the mass-change guard: a load that would take something from too many users is held
//! until an operator approves it.

use std::collections::HashSet;
use std::time::Duration;

use personio_scim::mapping::{GroupKind, OverridableAttribute, StandardAttributePolicy};
use personio_scim::scim::{ENTERPRISE_USER_SCHEMA as ENTERPRISE, PERSONIO_USER_SCHEMA as PERSONIO};
use personio_scim::simulator::{
    FaultAction, InjectedFault, Quirks, SimulatedCustomAttribute, SimulatedEmployment,
    SimulatedEndpoint, SimulatedLookupEntry, SimulatedOrgUnit, SimulatedOrgUnitType,
    SimulatedPerson, World,
};
use serde_json::Value;

use crate::harness::{
    AFTER_COOL_DOWN, NOW, SHORT_TTL, Setup, TestServer, employee_number, format_timestamp, loads,
    metric,
};

/// Starts a server with this company and the default threshold, and waits for its first load.
async fn guarded_world(world: World) -> (TestServer, Vec<Value>) {
    let patient = Duration::from_secs(60);
    let mut setup =
        Setup { cache_ttl: SHORT_TTL, refresh_wait: patient, max_change: 0.2, ..Setup::of(world) };
    setup.max_stale = Duration::from_secs(100 * 3600);
    setup.policy.groups = vec![GroupKind::Department, GroupKind::LegalEntity];
    setup.policy.standard_attributes = employee_number("dynamic_1");
    setup.policy.standard_attributes.team_is_division = true;
    let bridge = setup.start();
    let users = bridge.all_users().await;
    (bridge, users)
}

/// Starts a guarded server with `persons` persons.
async fn guarded(persons: usize) -> (TestServer, Vec<Value>) {
    guarded_world(company(persons)).await
}

/// Returns a company in which every person has all values that the guard compares.
fn company(persons: usize) -> World {
    let mut world = World::generate(persons, 1, NOW.parse().unwrap());
    let boss = world.persons[0].id.clone();
    let named = SimulatedLookupEntry::new;
    let kinds = [SimulatedOrgUnitType::Department, SimulatedOrgUnitType::Team];
    let unit = |kind: SimulatedOrgUnitType| {
        let name = format!("{} one", kind.as_str());
        [SimulatedOrgUnit::new("u1", &name, kind), SimulatedOrgUnit::new("u2", "Two", kind)]
    };
    world.org_units = kinds.into_iter().flat_map(unit).collect();
    world.cost_centers = vec![named("c1", "Costs one"), named("c2", "Costs two")];
    world.legal_entities = vec![named("l1", "Entity one"), named("l2", "Entity two")];
    world.workplaces = vec![named("o1", "Office one"), named("o2", "Office two")];
    world.jobs = vec![named("j1", "Job one"), named("j2", "Job two")];
    for person in &mut world.persons {
        person.custom_attributes = vec![SimulatedCustomAttribute {
            id: "dynamic_1".to_owned(),
            value_type: "STRING".to_owned(),
            value: format!("N{}", person.id).into(),
            ..SimulatedCustomAttribute::default()
        }];
        person.status = Some("ACTIVE".to_owned());
        if person.employments.is_empty() {
            person.employments.push(SimulatedEmployment {
                id: format!("e{}", person.id),
                ..SimulatedEmployment::default()
            });
        }
        for employment in &mut person.employments {
            employment.status = Some("ACTIVE".to_owned());
            employment.org_units = kinds.map(|kind| (kind, "u1".to_owned())).into();
            employment.cost_centers = vec![("c1".to_owned(), 1.0)];
            employment.legal_entity = Some("l1".to_owned());
            (employment.office, employment.job) = (Some("o1".to_owned()), Some("j1".to_owned()));
            employment.employment_type = Some("INTERNAL".to_owned());
            employment.supervisor = Some(boss.clone());
        }
    }
    world
}

fn employments(bridge: &TestServer, mut change: impl FnMut(&mut SimulatedEmployment)) {
    change_all_persons(bridge, |person| person.employments.iter_mut().for_each(&mut change));
}

fn change_all_persons(bridge: &TestServer, change: impl FnMut(&mut SimulatedPerson)) {
    bridge.simulator.with_world(|world| world.persons.iter_mut().for_each(change));
}

/// Returns the directory part of `/health/ready` and asserts that the server is ready.
async fn directory(bridge: &TestServer) -> Value {
    let (status, health) = bridge.health().await;
    assert_eq!(status, 200);
    let held = health["parts"]["directory"].get("heldBack").is_some();
    assert_eq!(health["status"], if held { "degraded" } else { "ok" });
    health["parts"]["directory"].clone()
}

type MassChange = fn(&TestServer);

/// Each kind of change: the key of its number in health, and a function that causes it.
const MASS_CHANGES: [(&str, MassChange); 36] = [
    ("disappeared", |bridge| bridge.simulator.with_world(|world| world.persons.truncate(20))),
    ("deactivated", |bridge| {
        change_all_persons(bridge, |person| {
            person
                .employments
                .iter_mut()
                .for_each(|employment| employment.status = Some("INACTIVE".into()));
        });
    }),
    ("withoutEmail", |bridge| {
        bridge
            .simulator
            .set_quirks(|quirks: &mut Quirks| quirks.hidden_attributes = vec!["email".to_owned()]);
    }),
    ("renamed", |bridge| {
        change_all_persons(bridge, |person| {
            person.email = person.email.take().map(|email| email.replace('@', "@new."));
        });
    }),
    ("otherEmail", |bridge| {
        change_all_persons(bridge, |person| {
            person.email = person.email.take().map(|email| email.replace('@', "@new."));
        });
    }),
    ("moreGroups", |bridge| {
        employments(bridge, |it| {
            it.org_units = vec![(SimulatedOrgUnitType::Department, "u2".to_owned())]
        });
    }),
    ("withoutEmployment", |bridge| change_all_persons(bridge, |person| person.employments.clear())),
    ("withoutDepartment", |bridge| employments(bridge, |it| it.org_units.clear())),
    ("fewerGroups", |bridge| employments(bridge, |it| it.org_units.clear())),
    ("withoutDivision", |bridge| employments(bridge, |it| it.org_units.clear())),
    ("otherDepartment", |bridge| {
        employments(bridge, |it| {
            it.org_units = vec![(SimulatedOrgUnitType::Department, "u2".to_owned())]
        });
    }),
    ("otherDivision", |bridge| {
        employments(bridge, |it| it.org_units = vec![(SimulatedOrgUnitType::Team, "u2".to_owned())])
    }),
    // Look-ups are read again after a day.
    ("renamedGroup", |bridge| {
        bridge
            .simulator
            .with_world(|world| world.org_units.iter_mut().for_each(|unit| unit.name.push('!')));
        bridge.clock.pass(Duration::from_secs(25 * 3600));
    }),
    ("withoutManager", |bridge| employments(bridge, |it| it.supervisor = None)),
    ("otherManager", |bridge| {
        let other = bridge.simulator.with_world(|world| world.persons[1].id.clone());
        employments(bridge, |it| it.supervisor = Some(other.clone()));
    }),
    ("withoutEmployeeNumber", |bridge| {
        change_all_persons(bridge, |person| person.custom_attributes.clear())
    }),
    ("otherEmployeeNumber", |bridge| {
        change_all_persons(bridge, |person| {
            person.custom_attributes[0].value = format!("M{}", person.id).into()
        });
    }),
    ("withoutCostCenter", |bridge| employments(bridge, |it| it.cost_centers.clear())),
    ("otherCostCenter", |bridge| {
        employments(bridge, |it| it.cost_centers = vec![("c2".to_owned(), 1.0)])
    }),
    ("withoutOrganization", |bridge| employments(bridge, |it| it.legal_entity = None)),
    ("otherOrganization", |bridge| {
        employments(bridge, |it| it.legal_entity = Some("l2".to_owned()))
    }),
    // Units that were created again, with the names of earlier ones, and look-ups that are read
    // again after a day.
    ("otherDepartment", |bridge| created_again(bridge)),
    ("otherOrganization", |bridge| created_again(bridge)),
    ("otherCostCenter", |bridge| created_again(bridge)),
    ("otherJob", |bridge| created_again(bridge)),
    ("withoutJob", |bridge| employments(bridge, |it| it.job = None)),
    ("otherJob", |bridge| employments(bridge, |it| it.job = Some("j2".to_owned()))),
    ("withoutOffice", |bridge| employments(bridge, |it| it.office = None)),
    ("otherOffice", |bridge| employments(bridge, |it| it.office = Some("o2".to_owned()))),
    ("withoutTeam", |bridge| employments(bridge, |it| it.org_units.clear())),
    ("otherTeam", |bridge| {
        employments(bridge, |it| it.org_units = vec![(SimulatedOrgUnitType::Team, "u2".to_owned())])
    }),
    ("withoutUserType", |bridge| employments(bridge, |it| it.employment_type = None)),
    ("otherUserType", |bridge| {
        employments(bridge, |it| it.employment_type = Some("EXTERNAL".to_owned()))
    }),
    ("withoutName", |bridge| {
        change_all_persons(bridge, |person| (person.first_name, person.last_name) = (None, None));
    }),
    ("otherName", |bridge| {
        change_all_persons(bridge, |person| person.first_name = Some("Somebody".to_owned()))
    }),
    ("new", |bridge| {
        bridge.simulator.with_world(|world| {
            world.persons.extend((1..=40).map(|id| SimulatedPerson {
                id: id.to_string(),
                email: Some(format!("{id}@example.com")),
                status: Some("ACTIVE".to_owned()),
                ..SimulatedPerson::default()
            }));
        });
    }),
];

/// Checks that the guard compares the values that are served, and not Personio's own.
#[tokio::test(flavor = "multi_thread")]
async fn overridden_values_are_guarded_as_they_are_served() {
    for (has_fallback, kind) in [(true, "otherDepartment"), (false, "withoutDepartment")] {
        let mut setup = Setup { cache_ttl: SHORT_TTL, max_change: 0.2, ..Setup::of(company(50)) };
        setup.max_stale = Duration::from_secs(100 * 3600);
        setup.policy.standard_attributes = StandardAttributePolicy::default().with_source(
            OverridableAttribute::Department,
            "dynamic_1",
            has_fallback,
        );
        let bridge = setup.start();
        let users = bridge.all_users().await;
        // The name of Personio's own department is not served, and is read again after a day.
        bridge.simulator.with_world(|world| {
            for unit in &mut world.org_units {
                if unit.unit_type == SimulatedOrgUnitType::Department {
                    unit.name.push('!');
                }
            }
        });
        bridge.clock.pass(Duration::from_secs(25 * 3600));
        assert_eq!(bridge.reloaded().await.len(), 50);
        assert!(directory(&bridge).await.get("heldBack").is_none());
        change_all_persons(&bridge, |person| person.custom_attributes.clear());
        let after = bridge.reloaded().await;
        let held = directory(&bridge).await["heldBack"].clone();
        assert_eq!(held[kind], 50, "{held}");
        assert_eq!(after[0][ENTERPRISE]["department"], users[0][ENTERPRISE]["department"]);
    }
}

/// Gives the names of all first units to the second ones, and all persons the second ones.
fn created_again(bridge: &TestServer) {
    bridge.simulator.with_world(|world| {
        for unit in &mut world.org_units {
            unit.name = format!("{} one", unit.unit_type.as_str());
        }
        for list in [&mut world.legal_entities, &mut world.cost_centers, &mut world.jobs] {
            let name = list[0].name.clone();
            list.iter_mut().for_each(|entry| entry.name.clone_from(&name));
        }
    });
    employments(bridge, |it| {
        for (_, id) in &mut it.org_units {
            "u2".clone_into(id);
        }
        it.cost_centers = vec![("c2".to_owned(), 1.0)];
        (it.legal_entity, it.job) = (Some("l2".to_owned()), Some("j2".to_owned()));
    });
    bridge.clock.pass(Duration::from_secs(25 * 3600));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_simultaneous_activations_are_held() {
    let mut world = company(60);
    let statuses = |world: &mut World, status: &str, persons: usize| {
        for person in world.persons.iter_mut().take(persons) {
            person.employments.iter_mut().for_each(|it| it.status = Some(status.to_owned()));
        }
    };
    statuses(&mut world, "INACTIVE", 60);
    let (bridge, users) = guarded_world(world).await;
    for (persons, held) in [(12, false), (13, true)] {
        bridge.simulator.with_world(|world| statuses(world, "ACTIVE", persons));
        let active = bridge.reloaded().await.iter().filter(|user| user["active"] == true).count();
        assert_eq!(active, 12.min(persons), "of {}", users.len());
        assert_eq!(bridge.directory().held_change().is_some(), held, "{persons}");
    }
    assert_eq!(
        directory(&bridge).await["heldBack"]["activated"],
        13,
        "with those within two hours"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_users_who_join_a_group_at_once_are_held_back() {
    let mut world = company(60);
    for person in &mut world.persons {
        person.employments.iter_mut().for_each(|it| it.org_units.clear());
    }
    let (bridge, users) = guarded_world(world).await;
    for (persons, held) in [(12, false), (13, true)] {
        bridge.simulator.with_world(|world| {
            for person in world.persons.iter_mut().take(persons) {
                let unit = (SimulatedOrgUnitType::Department, "u2".to_owned());
                person.employments.iter_mut().for_each(|it| it.org_units = vec![unit.clone()]);
            }
        });
        let joined = bridge
            .reloaded()
            .await
            .iter()
            .zip(&users)
            .filter(|(now, was)| now["groups"] != was["groups"])
            .count();
        assert_eq!(joined, 12.min(persons));
        assert_eq!(bridge.directory().held_change().is_some(), held, "{persons}");
    }
    let told = directory(&bridge).await;
    assert_eq!(told["heldBack"]["moreGroups"], 13, "with those within two hours: {told}");
    assert!(
        told["detail"].as_str().unwrap().contains("13 of 60 users would join a group"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_company_is_guarded_and_can_grow() {
    for (persons, deactivated, held) in
        [(10, 10, true), (10, 6, true), (10, 5, false), (3, 2, true), (2, 2, false)]
    {
        let (bridge, _) = guarded(persons).await;
        bridge.simulator.with_world(|world| {
            for person in world.persons.iter_mut().take(deactivated) {
                person
                    .employments
                    .iter_mut()
                    .for_each(|it| it.status = Some("INACTIVE".to_owned()));
            }
        });
        bridge.reloaded().await;
        assert_eq!(bridge.directory().held_change().is_some(), held, "{deactivated} of {persons}");
    }
    let (bridge, _) = guarded(3).await;
    bridge.simulator.with_world(|world| {
        let more = company(30).persons.split_off(3);
        world.persons.extend(more);
    });
    assert_eq!(bridge.reloaded().await.len(), 30, "{:?}", bridge.directory().held_change());
    bridge.simulator.with_world(|world| world.persons.truncate(28));
    assert_eq!(
        bridge.reloaded().await.len(),
        28,
        "losses are compared with the largest number of users"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn different_losses_in_each_refresh_add_up_even_if_reverted() {
    let (bridge, users) = guarded(100).await;
    let right = bridge.simulator.with_world(|world| world.persons.clone());
    let mut harmed = HashSet::new();
    for turn in 0..5 {
        bridge.simulator.with_world(|world| {
            world.persons.clone_from(&right);
            for person in world.persons.iter_mut().skip(turn * 19).take(19) {
                person
                    .employments
                    .iter_mut()
                    .for_each(|it| it.status = Some("INACTIVE".to_owned()));
            }
        });
        let now = bridge.reloaded().await;
        let lost = now
            .iter()
            .zip(&users)
            .filter(|(now, was)| was["active"] == true && now["active"] == false);
        harmed.extend(lost.map(|(now, _)| now["id"].as_str().unwrap().to_owned()));
    }
    assert!(harmed.len() <= 20, "{} of 100 were inactive at some time", harmed.len());
    assert!(bridge.directory().held_change().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_mass_change_is_held_until_approved() {
    // A change of ten users is never held.
    const PERSONS: usize = 40;
    for (number, harm) in MASS_CHANGES {
        let (bridge, users) = guarded(PERSONS).await;
        harm(&bridge);
        bridge.clock.pass(Duration::from_secs(60));
        for _ in 0..2 {
            assert_eq!(bridge.reloaded().await, users, "{number}");
        }
        let told = directory(&bridge).await;
        assert!(told["heldBack"][number].as_u64().unwrap_or_default() > 10, "{number}: {told}");
        assert_eq!(told["status"], "degraded", "{number}");
        assert_eq!(told["heldBack"]["of"], PERSONS, "{number}");
        assert!(told["detail"].as_str().unwrap().contains("a change is held back"), "{told}");
        assert_eq!(metric(&bridge, "changes_held_back_total").await, 1, "once, not for each load");
        assert_eq!(metric(&bridge, "change_is_held_back").await, 1);

        bridge.clock.pass(Duration::from_secs(60));
        bridge.simulator.reset_history();
        bridge.approve().await;
        let after = bridge.users("?count=10000").await;
        assert_ne!(after["Resources"], Value::Array(users), "{number}");
        assert!(bridge.directory().held_change().is_none());
        let now = format_timestamp(personio_scim::clock::Clock::now(&bridge.clock));
        let resources = after["Resources"].as_array().unwrap();
        if number != "disappeared" {
            assert!(
                resources.iter().any(|user| user["meta"]["lastModified"] == now),
                "dated to when it can be seen"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_with_other_names_for_most_ids_is_held() {
    let day = Duration::from_secs(25 * 3600);
    let department = ("otherDepartment", "60 would have another department");
    let division = ("otherDivision", "60 would have another division");
    let organization = ("otherOrganization", "60 would have another organization");
    let group = ("renamedGroup", "60 would be in a group with another name");
    let cost_center = ("otherCostCenter", "60 would have another costCenter");
    let team = ("otherTeam", "60 would have another team");
    let office = ("otherOffice", "60 would have another office");
    let job = ("otherJob", "60 would have another job");
    for (endpoint, kinds) in [
        (SimulatedEndpoint::OrgUnits, &[department, division, team, group][..]),
        (SimulatedEndpoint::LegalEntities, &[organization, group]),
        (SimulatedEndpoint::CostCenters, &[cost_center]),
        (SimulatedEndpoint::Workplaces, &[office]),
        (SimulatedEndpoint::Jobs, &[job]),
    ] {
        let (bridge, users) = guarded(60).await;
        bridge.simulator.add_fault(InjectedFault::on(endpoint, FaultAction::OtherNames));
        bridge.clock.pass(day);
        for _ in 0..2 {
            assert_eq!(bridge.reloaded().await, users, "{endpoint:?}");
        }
        let told = directory(&bridge).await;
        for (kind, words) in kinds {
            assert_eq!(told["heldBack"][kind], 60, "{endpoint:?}: {told}");
            assert!(told["detail"].as_str().unwrap().contains(words), "{endpoint:?}: {told}");
        }

        // The hold ends with the mistake, and not a day later.
        bridge.simulator.clear_faults();
        bridge.simulator.reset_history();
        assert_eq!(bridge.reloaded().await, users, "{endpoint:?}");
        assert!(bridge.directory().held_change().is_none(), "{endpoint:?}");
        let requests = bridge.simulator.request_count(endpoint);
        assert!((1..=2).contains(&requests), "{endpoint:?} is read again once: {requests}");
        bridge.reloaded().await;
        assert_eq!(bridge.simulator.request_count(endpoint), requests, "{endpoint:?}");

        // A correct change is approved.
        bridge.simulator.add_fault(InjectedFault::on(endpoint, FaultAction::OtherNames));
        bridge.clock.pass(day);
        assert_eq!(bridge.reloaded().await, users, "{endpoint:?}");
        bridge.approve().await;
        let approved = bridge.all_users().await;
        let name = |user: &Value| {
            let mut names = ["department", "division", "organization", "costCenter"]
                .map(|name| user[ENTERPRISE][name].clone())
                .to_vec();
            names.extend(["team", "office", "job"].map(|name| user[PERSONIO][name].clone()));
            names
        };
        for (user, was) in approved.iter().zip(&users) {
            let others =
                name(user).iter().zip(name(was)).filter(|(now, was)| **now != *was).count();
            assert_eq!(
                others,
                kinds.iter().filter(|kind| **kind != group).count(),
                "{endpoint:?}: {user}"
            );
        }
        assert_eq!(bridge.reloaded().await, approved, "{endpoint:?}");
        assert!(bridge.directory().held_change().is_none(), "{endpoint:?}");
    }
}

/// Returns a company in which 40 of 200 persons have a department of their own, and the others
/// share one.
fn company_of_departments() -> World {
    let mut world = company(200);
    let kind = SimulatedOrgUnitType::Department;
    let small = (0..40).map(|number| {
        SimulatedOrgUnit::new(&format!("s{number}"), &format!("Small {number}"), kind)
    });
    world.org_units = small.collect();
    world.org_units.push(SimulatedOrgUnit::new("u1", "One", kind));
    for (number, person) in world.persons.iter_mut().enumerate() {
        let id = if number < 40 { format!("s{number}") } else { "u1".to_owned() };
        person.employments.iter_mut().for_each(|it| it.org_units = vec![(kind, id.clone())]);
    }
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn many_vanished_or_renamed_groups_are_held() {
    // With the legal entity there are 42 groups. A change of 10 groups is within bounds; 11 are
    // more than a fifth. The number of affected users is always within bounds.
    for (gone, renamed, is_held) in
        [(10, 0, false), (11, 0, true), (0, 10, false), (0, 11, true), (6, 5, true)]
    {
        let text = format!("{gone} gone, {renamed} renamed");
        let (bridge, _) = guarded_world(company_of_departments()).await;
        let groups = async || bridge.list("/Groups", &[]).await["Resources"].clone();
        let before = groups().await;
        assert_eq!(before.as_array().unwrap().len(), 42, "{text}");
        bridge.simulator.with_world(|world| {
            for person in world.persons.iter_mut().take(gone) {
                let unit = (SimulatedOrgUnitType::Department, "u1".to_owned());
                person.employments.iter_mut().for_each(|it| it.org_units = vec![unit.clone()]);
            }
            world.org_units.iter_mut().skip(20).take(renamed).for_each(|unit| unit.name.push('!'));
        });
        bridge.clock.pass(Duration::from_secs(25 * 3600));
        bridge.reloaded().await;
        assert_eq!(bridge.directory().held_change().is_some(), is_held, "{text}");
        if is_held {
            assert_eq!(groups().await, before, "{text}");
            let told = directory(&bridge).await;
            let numbers = serde_json::json!({"of": 42, "gone": gone, "renamed": renamed});
            assert_eq!(told["heldBack"]["groups"], numbers, "{text}");
            assert_eq!(told["heldBack"]["users"], gone + renamed, "{text}");
            let words = format!(
                "of 42 groups {gone} would disappear and {renamed} would have another name"
            );
            assert!(told["detail"].as_str().unwrap().contains(&words), "{told}");
            bridge.approve().await;
        }
        let after = groups().await;
        let after = after.as_array().unwrap();
        let marked = after
            .iter()
            .filter(|group| group["displayName"].as_str().unwrap().ends_with('!'))
            .count();
        assert_eq!((after.len(), marked), (42 - gone, renamed), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_passed_to_others_count_as_changed_user_names() {
    let (bridge, users) = guarded(60).await;
    // Seven leavers pass their addresses to seven active persons, which changes fourteen user
    // names.
    bridge.simulator.with_world(|world| {
        let (leavers, newcomers) = world.persons.split_at_mut(30);
        for (leaver, newcomer) in leavers.iter_mut().skip(20).zip(newcomers).take(7) {
            newcomer.email.clone_from(&leaver.email);
            newcomer.employments[0].status = Some("ACTIVE".into());
            leaver
                .employments
                .iter_mut()
                .for_each(|employment| employment.status = Some("INACTIVE".into()));
        }
    });
    assert_eq!(bridge.reloaded().await, users);
    let told = directory(&bridge).await;
    assert_eq!(told["heldBack"]["renamed"], 14, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_within_bounds_are_served() {
    // 12 is 20 % of 60. 10 of 20 is a larger share, but a small number.
    for (persons, gone, served) in [(60, 12, 48), (60, 13, 60), (20, 10, 10), (20, 11, 20)] {
        let (bridge, _) = guarded(persons).await;
        bridge.simulator.with_world(|world| world.persons.truncate(persons - gone));
        assert_eq!(bridge.reloaded().await.len(), served, "{gone} of {persons}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_load_within_bounds_releases_the_hold() {
    let (bridge, users) = guarded(60).await;
    bridge.simulator.set_quirks(|quirks| quirks.hidden_attributes = vec!["email".to_owned()]);
    assert_eq!(bridge.reloaded().await, users);
    assert!(directory(&bridge).await["heldBack"].is_object());
    bridge.simulator.set_quirks(|quirks| quirks.hidden_attributes.clear());
    bridge.simulator.with_world(|world| world.persons.truncate(59));
    let left: Vec<_> = users.iter().filter(|user| is_left(&bridge, user)).cloned().collect();
    assert_eq!(bridge.reloaded().await, left);
    assert!(directory(&bridge).await.get("heldBack").is_none());
    bridge.approve().await;
    assert_eq!(bridge.all_users().await.len(), 59, "there is nothing to approve any more");
    // The next change is another one and gets a count of its own.
    bridge.simulator.with_world(|world| world.persons.truncate(20));
    assert_eq!(bridge.reloaded().await.len(), 59);
    assert_eq!(metric(&bridge, "changes_held_back_total").await, 2);
}

fn is_left(bridge: &TestServer, user: &Value) -> bool {
    bridge
        .simulator
        .with_world(|world| world.persons.iter().any(|person| user["id"] == person.id.as_str()))
}

#[tokio::test(flavor = "multi_thread")]
async fn gradually_confirmed_deletions_are_held_together() {
    let setup = Setup { cache_ttl: SHORT_TTL, max_change: 0.7, ..Setup::persons(300) };
    let bridge = setup.start();
    let users = bridge.all_users().await;
    // 230 of 300 persons are more than 70 %. Each load verifies 200 of them, which are less.
    bridge.simulator.with_world(|world| world.persons.truncate(70));
    for _ in 0..3 {
        assert_eq!(bridge.reloaded().await.len(), users.len());
    }
    assert_eq!(directory(&bridge).await["heldBack"]["disappeared"], 230);
    bridge.approve().await;
    assert_eq!(bridge.reloaded().await.len(), 70, "the next load verifies the others");
}

#[tokio::test(flavor = "multi_thread")]
async fn small_losses_add_up() {
    let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
    let setup = Setup {
        cache_ttl: SHORT_TTL,
        max_change: 0.2,
        employment_recheck: hour,
        ..Setup::persons(120)
    };
    let bridge = setup.start();
    let active = async || {
        bridge.users("?filter=active+eq+true&count=0").await["totalResults"].as_u64().unwrap()
    };
    bridge.all_users().await;
    let before = active().await;
    // No person record changes, so each refresh reads a twelfth of the employments every five
    // minutes.
    change_all_persons(&bridge, |person| {
        person
            .employments
            .iter_mut()
            .for_each(|employment| employment.status = Some("INACTIVE".into()));
    });
    for _ in 0..24 {
        bridge.clock.pass(5 * minute);
        bridge.reloaded().await;
        assert!(before - active().await <= 24, "a fifth of 120");
    }
    assert!(directory(&bridge).await["heldBack"]["deactivated"].as_u64().unwrap() > 24);
    assert_eq!(metric(&bridge, "changes_held_back_total").await, 1);
    bridge.approve().await;
    assert_eq!(active().await, 0);
    bridge.clock.pass(5 * minute);
    bridge.reloaded().await;
    assert!(
        directory(&bridge).await.get("heldBack").is_none(),
        "what was approved is what is compared with"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_list_changes_nothing_without_deletion_checks() {
    let (bridge, users) = guarded(120).await;
    bridge.simulator.with_world(|world| world.persons.truncate(50));
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Person, FaultAction::Status(500)));
    assert_eq!(bridge.reloaded().await, users);
    assert_eq!(directory(&bridge).await["heldBack"]["disappeared"], 70);
}

#[tokio::test(flavor = "multi_thread")]
async fn held_changes_do_not_extend_the_life_of_old_data() {
    const TTL: Duration = Duration::from_secs(2);
    let hour = Duration::from_secs(3600);
    let bridge =
        Setup { cache_ttl: TTL, max_change: 0.2, max_stale: hour, ..Setup::persons(60) }.start();
    let users = bridge.all_users().await;
    bridge.simulator.with_world(|world| world.persons.truncate(20));
    bridge.clock.pass(hour);
    assert_eq!(bridge.all_users().await, users);
    bridge.clock.pass(TTL);
    let detail = bridge.get("/Users").await.scim_error(503, None);
    assert!(detail.contains("held back"), "{detail}");
    let (status, health) = bridge.health().await;
    assert_eq!(
        (status, &health["parts"]["personio"]["status"]),
        (503, &"ok".into()),
        "no load has failed: {health}"
    );
    assert_eq!(health["parts"]["directory"]["heldBack"]["disappeared"], 40, "it can be approved");
    bridge.simulator.reset_history();
    bridge.get("/Users").await.scim_error(503, None);
    assert!(
        bridge.simulator.received_requests().is_empty(),
        "no load before the time to live is over"
    );
    bridge.approve().await;
    assert_eq!(bridge.all_users().await.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_load_is_fresh_for_the_time_to_live() {
    let (ttl, nanosecond) = (Duration::from_secs(300), Duration::from_nanos(1));
    let bridge = Setup { max_change: 0.2, cache_ttl: ttl, ..Setup::persons(60) }.start();
    bridge.all_users().await;
    bridge.simulator.with_world(|world| world.persons.truncate(20));
    bridge.simulator.reset_history();
    bridge.clock.pass(ttl);
    for held_loads in 1..=2 {
        for _ in 0..20 {
            assert_eq!(bridge.all_users().await.len(), 60);
        }
        bridge.clock.pass(ttl - nanosecond);
        assert_eq!(bridge.all_users().await.len(), 60);
        assert_eq!(loads(&bridge), held_loads, "no load for each request");
        bridge.clock.pass(nanosecond);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_whose_employments_vanish_loses_the_extension() {
    let (bridge, users) = guarded(60).await;
    bridge.simulator.with_world(|world| world.persons[5].employments.clear());
    let id = bridge.simulator.with_world(|world| world.persons[5].id.clone());
    let after = bridge.reloaded().await;
    let user = after.iter().find(|user| user["id"] == id.as_str()).unwrap();
    assert!(user.get(PERSONIO).is_none(), "one person may really have none");
    assert_eq!(after.len(), users.len());
    bridge.clock.pass(AFTER_COOL_DOWN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_never_served_is_no_loss() {
    let mut setup = Setup { cache_ttl: SHORT_TTL, max_change: 0.2, ..Setup::persons(60) };
    setup.policy.require_email = true;
    setup.world.persons.iter_mut().take(15).for_each(|person| person.email = None);
    let bridge = setup.start();
    let users = bridge.all_users().await;
    assert_eq!(users.len(), 45);
    bridge.simulator.with_world(|world| world.persons.drain(..15).count());
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Person, FaultAction::Status(500)));
    assert_eq!(bridge.reloaded().await, users);
    assert!(directory(&bridge).await.get("heldBack").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_approval_health_is_ok() {
    let (bridge, _) = guarded(60).await;
    bridge.simulator.with_world(|world| world.persons.truncate(20));
    bridge.reloaded().await;
    bridge.approve().await;
    let (status, health) = bridge.health().await;
    assert_eq!(
        (status, &health["status"], &health["parts"]["personio"]["status"]),
        (200, &"ok".into(), &"ok".into())
    );
    assert_eq!(metric(&bridge, "change_is_held_back").await, 0);
    assert_eq!(metric(&bridge, "loads_total{outcome=\"failed\"}").await, 0);
}
