//! Tests of each quirk.

use serde_json::{Value, json};

use crate::simulator::tests::{Quirks, SimulatorProbe, ids, world};
use crate::simulator::{NextLinkForm, SimulatedPerson};

/// Returns the first person that passes.
fn first_person(passes: impl Fn(&SimulatedPerson) -> bool) -> SimulatedPerson {
    world(300).persons.into_iter().find(passes).unwrap()
}

async fn person_and_employment(quirks: Quirks, person: &SimulatedPerson) -> (Value, Value) {
    let probe = SimulatorProbe::start_with_quirks(300, quirks).await;
    let (_, body) = probe.get(&format!("/v2/persons/{}", person.id)).await;
    let (_, page) = probe.get(&format!("/v2/persons/{}/employments", person.id)).await;
    (body, page["_data"][0].clone())
}

#[tokio::test]
async fn lowercase_enums_writes_enumeration_values_in_lower_case() {
    let leaver = first_person(|person| {
        person.status.as_deref() == Some("INACTIVE") && person.employments.len() == 1
    });
    let (person, employment) =
        person_and_employment(Quirks { lowercase_enums: true, ..Quirks::default() }, &leaver).await;
    assert_eq!(
        (&person["status"], &employment["status"]),
        (&json!("inactive"), &json!("inactive"))
    );
    assert_eq!(person["custom_attributes"][0]["type"], "date");
    let (person, _) = person_and_employment(Quirks::default(), &leaver).await;
    assert_eq!(
        (&person["status"], &person["custom_attributes"][0]["type"]),
        (&json!("INACTIVE"), &json!("DATE"))
    );
}

#[tokio::test]
async fn last_working_date_renames_the_key_of_the_last_day() {
    let leaver = first_person(|person| {
        person.employments.first().is_some_and(|it| it.termination.is_some())
    });
    for (last_working_date, there, not) in [
        (false, "last_working_day", "last_working_date"),
        (true, "last_working_date", "last_working_day"),
    ] {
        let (_, employment) = person_and_employment(
            Quirks { last_working_date_key: last_working_date, ..Quirks::default() },
            &leaver,
        )
        .await;
        let day = leaver.employments[0].termination.as_ref().unwrap().last_working_day.unwrap();
        assert_eq!(employment["termination"][there], day.to_string());
        assert!(employment["termination"].get(not).is_none());
        assert!(
            employment["termination"]["type"].is_string()
                && employment["termination"]["reason"].is_string()
        );
    }
}

#[tokio::test]
async fn null_instead_of_absent_writes_unknown_values_as_null() {
    let person =
        first_person(|person| person.preferred_name.is_none() && person.employments.len() == 1);
    let (body, employment) = person_and_employment(Quirks::default(), &person).await;
    assert!(
        body.get("preferred_name").is_none() && employment.get("employment_end_date").is_none()
    );
    let quirks = Quirks { null_instead_of_absent: true, ..Quirks::default() };
    let (body, employment) = person_and_employment(quirks, &person).await;
    assert_eq!(body.get("preferred_name"), Some(&Value::Null));
    assert_eq!(employment.get("employment_end_date"), Some(&Value::Null));
}

#[tokio::test]
async fn hidden_attributes_are_absent() {
    let person = first_person(|person| person.employments.len() == 1);
    let hidden_attributes =
        vec!["email".to_owned(), "employments".to_owned(), "supervisor".to_owned()];
    let quirks = Quirks { hidden_attributes, null_instead_of_absent: true, ..Quirks::default() };
    let (body, employment) = person_and_employment(quirks, &person).await;
    assert!(
        body.get("email").is_none()
            && body.get("employments").is_none()
            && body.get("first_name").is_some()
    );
    assert!(employment.get("supervisor").is_none() && employment.get("office").is_some());
}

#[tokio::test]
async fn numeric_ids_writes_json_numbers() {
    let person =
        first_person(|person| person.employments.first().is_some_and(|it| it.supervisor.is_some()));
    let quirks = Quirks { numeric_ids: true, ..Quirks::default() };
    let (body, employment) = person_and_employment(quirks, &person).await;
    assert_eq!(body["id"], json!(person.id.parse::<u64>().unwrap()));
    assert!(
        employment["supervisor"]["id"].is_number() && employment["org_units"][0]["id"].is_number()
    );
    assert_eq!(employment["id"], person.employments[0].id, "a UUID is no number");
}

#[tokio::test]
async fn employments_oldest_first_reverses_the_order() {
    let rehired = first_person(|person| person.employments.len() == 2);
    let probe = SimulatorProbe::start_without_rate_limit(300).await;
    let path = format!("/v2/persons/{}/employments", rehired.id);
    let mut newest_first = ids(&probe.read_all_entries(&path).await);
    probe.simulator.set_quirks(|quirks| quirks.employments_oldest_first = true);
    newest_first.reverse();
    assert_eq!(ids(&probe.read_all_entries(&path).await), newest_first);
}

#[tokio::test]
async fn next_link_has_the_chosen_shape() {
    let probe = SimulatorProbe::start_without_rate_limit(15).await;
    let base = probe.simulator.base_url();
    for (shape, starts) in [
        (NextLinkForm::Object, format!("{{\"href\":\"{base}/v2/persons?cursor=")),
        (NextLinkForm::BareString, format!("\"{base}/v2/persons?cursor=")),
        (NextLinkForm::RelativeHref, "{\"href\":\"/v2/persons?cursor=".to_owned()),
        (NextLinkForm::NullOnLastPage, format!("{{\"href\":\"{base}/v2/persons?cursor=")),
        (
            NextLinkForm::OtherOrigin,
            "{\"href\":\"https://evil.example/v2/persons?cursor=".to_owned(),
        ),
        (NextLinkForm::WrongPath, format!("{{\"href\":\"{base}/v2/wrong/v2/persons?cursor=")),
    ] {
        probe.simulator.set_quirks(|quirks| quirks.next_link = shape);
        let (_, first) = probe.get("/v2/persons").await;
        let next = first["_meta"]["links"]["next"].to_string();
        assert!(next.starts_with(&starts), "{shape:?}: {next}");
        let cursor = next.split_once("cursor=").unwrap().1.trim_end_matches(['"', '}']).to_owned();
        let (_, last) = probe.get(&format!("/v2/persons?cursor={cursor}")).await;
        assert_eq!(last["_data"].as_array().unwrap().len(), 5);
        let null = (shape == NextLinkForm::NullOnLastPage).then_some(&Value::Null);
        assert_eq!(last["_meta"]["links"].get("next"), null, "{shape:?}");
    }
}

#[tokio::test]
async fn awkward_cursor_without_percent_encoding_returns_400() {
    let probe = SimulatorProbe::start_with_quirks(
        15,
        Quirks { awkward_cursors: true, ..Quirks::default() },
    )
    .await;
    assert_eq!(probe.read_all_entries("/v2/persons").await.len(), 15);
    let (_, first) = probe.get("/v2/persons").await;
    let href = first["_meta"]["links"]["next"]["href"].as_str().unwrap();
    assert!(href.contains("cursor=%2B%2F") && href.ends_with("%3D%3D"));
    let careless = href.replace("%2B", "+").replace(&probe.simulator.base_url(), "");
    assert_eq!(probe.get(&careless).await.0, 400);
}

#[tokio::test]
async fn repeating_cursor_links_every_page_to_itself() {
    let probe = SimulatorProbe::start_with_quirks(
        15,
        Quirks { repeating_cursor: true, ..Quirks::default() },
    )
    .await;
    let mut path = "/v2/persons".to_owned();
    let mut links = Vec::new();
    for _ in 0..4 {
        let (_, page) = probe.get(&path).await;
        let href = page["_meta"]["links"]["next"]["href"].as_str().unwrap();
        path = href.replace(&probe.simulator.base_url(), "");
        links.push(path.clone());
    }
    links.dedup();
    assert_eq!(links.len(), 1);
}

#[tokio::test]
async fn overlapping_pages_repeat_the_last_entry() {
    let probe = SimulatorProbe::start_with_quirks(
        25,
        Quirks { overlapping_pages: true, ..Quirks::default() },
    )
    .await;
    let pages = probe.read_pages("/v2/persons").await;
    let data = |page: usize| pages[page]["_data"].as_array().unwrap();
    assert_eq!(data(0).last(), data(1).first());
    assert_eq!(data(1).last(), data(2).first());
    let mut all = ids(&probe.read_all_entries("/v2/persons").await);
    assert_eq!(all.len(), 27);
    all.dedup();
    assert_eq!(all.len(), 25);
}

#[tokio::test]
async fn persons_are_inactive_whatever_else_is_known_of_them() {
    let probe = SimulatorProbe::start_without_rate_limit(20).await;
    let id = probe.simulator.with_world(|world| {
        let person =
            world.persons.iter_mut().find(|person| !person.employments.is_empty()).unwrap();
        person.status = Some("ACTIVE".to_owned());
        person
            .employments
            .iter_mut()
            .for_each(|employment| employment.status = Some("ACTIVE".to_owned()));
        person.id.clone()
    });
    for (inactive, expected) in [(vec![], "ACTIVE"), (vec![id.clone()], "INACTIVE")] {
        probe.simulator.set_quirks(|quirks| quirks.inactive = inactive);
        let person = probe.get(&format!("/v2/persons/{id}")).await.1;
        assert_eq!(person["status"], expected);
        let employments = probe.get(&format!("/v2/persons/{id}/employments")).await.1;
        assert_eq!(employments["_data"][0]["status"], expected);
    }
}
