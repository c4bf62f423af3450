//! Tests of listings: pages, limits, filters and entries.

use std::collections::BTreeSet;

use crate::simulator::tests::{SimulatorProbe, ids, world};

#[tokio::test]
async fn pages_of_any_size_contain_every_person_once() {
    let probe = SimulatorProbe::start_without_rate_limit(137).await;
    let expected: BTreeSet<String> =
        world(137).persons.into_iter().map(|person| person.id).collect();
    for (path, pages) in
        [("/v2/persons", 14), ("/v2/persons?limit=50", 3), ("/v2/persons?limit=1", 137)]
    {
        assert_eq!(probe.read_pages(path).await.len(), pages, "{path}");
        let all = ids(&probe.read_all_entries(path).await);
        assert_eq!(all.len(), 137);
        assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}

#[tokio::test]
async fn order_is_fixed_and_follows_neither_id_nor_creation_time() {
    let probe = SimulatorProbe::start_without_rate_limit(60).await;
    let all = probe.read_all_entries("/v2/persons").await;
    assert_eq!(all, probe.read_all_entries("/v2/persons?limit=7").await);
    assert!(!ids(&all).is_sorted());
    assert!(!all.is_sorted_by_key(|person| person["created_at"].to_string()));
}

#[tokio::test]
async fn cursor_is_accepted_with_and_without_limit_and_filters() {
    let probe = SimulatorProbe::start_without_rate_limit(60).await;
    let (_, first) = probe.get("/v2/persons?limit=20&status=ACTIVE").await;
    let href = first["_meta"]["links"]["next"]["href"].as_str().unwrap();
    let (_, query) = href.split_once('?').unwrap();
    assert!(query.starts_with("cursor=") && !query.contains('&'));
    let (_, alone) = probe.get(&format!("/v2/persons?{query}")).await;
    let (_, together) = probe.get(&format!("/v2/persons?limit=20&status=ACTIVE&{query}")).await;
    assert_eq!(alone["_data"].as_array().unwrap().len(), 20);
    assert_eq!(alone["_data"], together["_data"]);
    assert_eq!(
        probe.get(&format!("/v2/workplaces?{query}")).await.0,
        400,
        "a cursor of another listing"
    );
}

#[tokio::test]
async fn invalid_parameters_return_400() {
    let probe = SimulatorProbe::start_without_rate_limit(1).await;
    let employments = format!("/v2/persons/{}/employments", probe.first_id());
    for path in [
        "/v2/persons?limit=0",
        "/v2/persons?limit=51",
        "/v2/persons?limit=100",
        "/v2/persons?limit=ten",
        "/v2/persons?offset=10",
        "/v2/persons?cursor=zz",
        "/v2/persons?status=LEAVE",
        "/v2/persons?updated_at.gt=yesterday",
        "/v2/org-units",
        "/v2/org-units?type=squad",
        "/v2/org-units/1001",
        "/v2/legal-entities?limit=101",
        "/v2/cost-centers?limit=51",
        "/v2/jobs?type=team",
        &format!("{employments}?limit=51"),
        &format!("{employments}?status=ACTIVE"),
    ] {
        assert_eq!(probe.get(path).await.0, 400, "{path}");
    }
}

#[tokio::test]
async fn person_filters_return_the_matching_persons() {
    let probe = SimulatorProbe::start_without_rate_limit(200).await;
    let world = world(200);
    let (a, b) = (&world.persons[10], &world.persons[20]);
    let email = a.email.clone().unwrap().to_uppercase();
    let updated = a.updated_at.unwrap();
    let count = |passes: &dyn Fn(&crate::simulator::SimulatedPerson) -> bool| {
        world.persons.iter().filter(|p| passes(p)).count()
    };
    for (query, expected) in [
        (format!("id={},{},77", a.id, b.id), 2),
        ("id=".to_owned(), 0),
        (format!("email={email},nobody@example.com"), 1),
        ("status=INACTIVE".to_owned(), count(&|p| p.status.as_deref() == Some("INACTIVE"))),
        (
            format!("first_name={}", a.first_name.as_ref().unwrap()),
            count(&|p| p.first_name == a.first_name),
        ),
        (
            format!("last_name={}", a.last_name.as_ref().unwrap()),
            count(&|p| p.last_name == a.last_name),
        ),
        (format!("updated_at={updated}"), count(&|p| p.updated_at == Some(updated))),
        (format!("updated_at.gt={updated}"), count(&|p| p.updated_at > Some(updated))),
        (
            format!("updated_at.lt={updated}"),
            count(&|p| p.updated_at.is_some_and(|at| at < updated)),
        ),
        (format!("updated_at.gt={updated}&updated_at.lt={updated}"), 0),
        (
            format!("created_at.lt={updated}"),
            count(&|p| p.created_at.is_some_and(|at| at < updated)),
        ),
    ] {
        assert_eq!(
            probe.read_all_entries(&format!("/v2/persons?limit=3&{query}")).await.len(),
            expected,
            "{query}"
        );
    }
}

#[tokio::test]
async fn person_has_the_documented_keys() {
    let probe = SimulatorProbe::start_without_rate_limit(30).await;
    let person = &world(30).persons[5];
    let (status, body) = probe.get(&format!("/v2/persons/{}", person.id)).await;
    assert_eq!(status, 200);
    assert_eq!(body["id"], person.id);
    assert_eq!(body["email"].as_str(), person.email.as_deref());
    assert_eq!(body["employments"][0]["id"], person.employments[0].id);
    assert_eq!(body["created_at"], person.created_at.unwrap().to_string());
    assert_eq!(body["custom_attributes"].as_array().unwrap().len(), person.custom_attributes.len());
    assert_eq!(
        body["_meta"]["links"]["self"]["href"],
        format!("{}/v2/persons/{}", probe.simulator.base_url(), person.id)
    );

    for path in ["/v2/persons/77", "/v2/persons/77/employments"] {
        let (status, body) = probe.get(path).await;
        assert_eq!(status, 404);
        assert!(body["errors"][0]["type"].as_str().unwrap().ends_with("common.resource_not_found"));
    }
}

#[tokio::test]
async fn employments_are_sorted_with_the_newest_first() {
    let probe = SimulatorProbe::start_without_rate_limit(400).await;
    let world = world(400);
    let person = world.persons.iter().find(|person| person.employments.len() == 2).unwrap();
    let path = format!("/v2/persons/{}/employments", person.id);
    let all = probe.read_all_entries(&path).await;
    assert!(all[0]["employment_start_date"].as_str() > all[1]["employment_start_date"].as_str());
    assert_eq!(all, probe.read_all_entries(&format!("{path}?limit=1")).await);
    assert_eq!(
        probe.read_all_entries(&format!("{path}?id={}", person.employments[1].id)).await.len(),
        1
    );
    for employment in &all {
        assert_eq!(employment["person"]["id"], person.id);
        assert_eq!(employment["sub_company"], employment["legal_entity"]);
        assert!(employment["position"]["title"].is_string());
        assert!(employment["cost_centers"][0]["weight"].is_number());
    }
}

#[tokio::test]
async fn every_id_of_an_employment_is_in_a_lookup_list() {
    let probe = SimulatorProbe::start_without_rate_limit(300).await;
    let mut names = Vec::new();
    for path in [
        "org-units?type=department",
        "org-units?type=team",
        "legal-entities?limit=100",
        "workplaces",
        "cost-centers",
        "jobs",
    ] {
        names.push(ids(&probe.read_all_entries(&format!("/v2/{path}")).await));
    }
    assert_eq!((names[0].len(), names[2].len(), names[3].len(), names[4].len()), (8, 3, 5, 8));
    for person in world(300).persons {
        for employment in
            probe.read_all_entries(&format!("/v2/persons/{}/employments", person.id)).await
        {
            let id = |key: &str| employment[key]["id"].as_str().map(str::to_owned);
            assert!(names[2].contains(&id("legal_entity").unwrap()));
            assert!(names[3].contains(&id("office").unwrap()));
            assert!(id("job").is_none_or(|job| names[5].contains(&job)));
            for unit in employment["org_units"].as_array().unwrap() {
                let list = if unit["type"] == "team" { &names[1] } else { &names[0] };
                assert!(list.contains(&unit["id"].as_str().unwrap().to_owned()));
            }
        }
    }
    assert_eq!(probe.get("/v2/org-units/1001?type=department").await.1["name"], "Engineering");
    assert_eq!(probe.get("/v2/org-units/1001?type=team").await.0, 404);
}
