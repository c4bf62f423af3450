//! The ways in which Personio's API is known or believed to differ from its documents.

use std::time::Duration;

use jiff::civil::date;
use personio_scim::simulator::{Action, Endpoint, Fault, NextLink, Quirks, Termination};
use serde_json::Value;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use crate::harness::{SHORT, Setup, by_id};

const PERSONIO: &str = "urn:ietf:params:scim:schemas:extension:personio:2.0:User";

/// Everybody, from a simulator with some quirks.
async fn with(persons: usize, quirks: Quirks) -> Vec<Value> {
    let mut setup = Setup { public_url: Some("https://scim.example.com"), ..Setup::persons(persons) };
    setup.options.quirks = quirks;
    setup.start().everybody().await
}

#[tokio::test(flavor = "multi_thread")]
async fn deviations_of_shape_change_nothing() {
    let usual = with(120, Quirks::default()).await;
    let quirks: [(&str, Quirks); 12] = [
        ("lower case", Quirks { lowercase_enums: true, ..Quirks::default() }),
        ("null", Quirks { null_instead_of_absent: true, ..Quirks::default() }),
        ("last_working_date", Quirks { last_working_date: true, ..Quirks::default() }),
        ("bare string", Quirks { next_link: NextLink::BareString, ..Quirks::default() }),
        ("relative", Quirks { next_link: NextLink::RelativeHref, ..Quirks::default() }),
        ("null on the last page", Quirks { next_link: NextLink::NullOnLastPage, ..Quirks::default() }),
        ("other origin", Quirks { next_link: NextLink::OtherOrigin, ..Quirks::default() }),
        ("wrong path", Quirks { next_link: NextLink::WrongPath, ..Quirks::default() }),
        ("awkward cursors", Quirks { awkward_cursors: true, ..Quirks::default() }),
        ("overlap", Quirks { overlap: true, ..Quirks::default() }),
        ("oldest first", Quirks { employments_oldest_first: true, ..Quirks::default() }),
        ("numeric ids", Quirks { numeric_ids: true, ..Quirks::default() }),
    ];
    for (name, quirks) in quirks {
        let users = with(120, quirks).await;
        assert_eq!((users.len(), usual.len()), (120, 120), "{name}");
        for (user, expected) in users.iter().zip(&usual) {
            assert_eq!(user, expected, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_never_follows_a_link_to_another_origin() {
    let evil = MockServer::start().await;
    let personio = MockServer::start().await;
    let next = format!("{}/v2/persons?cursor=abc%2B%2F&limit=1", evil.uri());
    let respond = |body: Value| ResponseTemplate::new(200).set_body_json(body);
    let get = |path: &str| Mock::given(matchers::method("GET")).and(matchers::path(path));
    Mock::given(matchers::path("/v2/auth/token"))
        .respond_with(respond(
            serde_json::json!({"access_token": "papi-1", "token_type": "Bearer", "expires_in": 86400}),
        ))
        .mount(&personio)
        .await;
    get("/v2/persons")
        .and(matchers::query_param("cursor", "abc+/"))
        .and(matchers::query_param("limit", "50"))
        .respond_with(respond(serde_json::json!({"_data": [{"id": "2"}], "_meta": {"links": {}}})))
        .mount(&personio)
        .await;
    get("/v2/persons")
        .and(matchers::query_param_is_missing("cursor"))
        .respond_with(respond(
            serde_json::json!({"_data": [{"id": "1"}], "_meta": {"links": {"next": {"href": next}}}}),
        ))
        .mount(&personio)
        .await;
    for id in ["1", "2"] {
        let employments = serde_json::json!({"_data": [], "_meta": {"links": {}}});
        get(&format!("/v2/persons/{id}/employments")).respond_with(respond(employments)).mount(&personio).await;
    }
    // A redirect is not followed either.
    let redirect = ResponseTemplate::new(307).insert_header("location", format!("{}/v2/org-units", evil.uri()));
    get("/v2/org-units").respond_with(redirect).mount(&personio).await;

    let setup = Setup::persons(0);
    let simulator = setup.simulator();
    let bridge = setup.start_over(&personio.uri(), simulator);
    assert_eq!(bridge.everybody().await.len(), 2);
    assert!(evil.received_requests().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeating_cursor_ends_the_load_as_failed() {
    let mut setup = Setup::persons(60);
    setup.options.quirks.repeating_cursor = true;
    let bridge = setup.start();
    bridge.get("/Users").await.scim_error(503, None);
    let failure = bridge.failure().await;
    assert!(failure.contains("repeat"), "{failure}");
    assert!(bridge.simulator.requests(Endpoint::Persons) <= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_credential_may_not_read_is_absent() {
    let hidden =
        ["email", "preferred_name", "created_at", "updated_at", "status", "position", "termination", "org_units"];
    let users = with(60, Quirks { hidden_attributes: hidden.map(str::to_owned).to_vec(), ..Quirks::default() }).await;
    assert_eq!(users.len(), 60);
    for user in &users {
        assert_eq!(user["userName"], format!("personio-{}", user["id"].as_str().unwrap()));
        assert_eq!(user["active"], false, "nothing says that anybody is active");
        for member in ["emails", "title"] {
            assert!(user.get(member).is_none(), "{user}");
        }
        assert!(user["meta"].get("created").is_none() && user["meta"].get("lastModified").is_none(), "{user}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_working_day_is_read_under_both_names() {
    for last_working_date in [false, true] {
        let mut setup = Setup::persons(1);
        setup.world.persons[0].employments[0].termination =
            Some(Termination { last_working_day: Some(date(2026, 3, 31)), ..Termination::default() });
        setup.options.quirks.last_working_date = last_working_date;
        assert_eq!(setup.start().everybody().await[0][PERSONIO]["lastWorkingDay"], "2026-03-31");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_401_that_persists_says_what_to_check() {
    for status in [401, 403] {
        let setup = Setup::persons(3);
        let simulator = setup.simulator();
        simulator.fail(Fault::on(Endpoint::Persons, Action::Status(status)));
        let bridge = setup.start_with(simulator);
        bridge.get("/Users").await.scim_error(503, None);
        let failure = bridge.failure().await;
        let (expected, requests) =
            if status == 401 { ("token or access right", 2) } else { ("lacks an access right", 1) };
        assert!(failure.contains(expected), "{failure}");
        assert_eq!(bridge.simulator.requests(Endpoint::Persons), requests);
        assert_eq!(bridge.simulator.requests(Endpoint::Token), requests, "renewed once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn error_bodies_of_every_shape_are_survived() {
    for (status, body) in [
        (403, r#"{"personio_trace_id":"4bf92f35","timestamp":"x","errors":[{"title":"t","detail":"d","type":"x"}]}"#),
        (400, r#"{"errors":[{"field":"limit","errors":[{"reason":"too large"}]}]}"#),
        (400, r#"{"error":{"message":"no"}}"#),
        (412, r#"{"error":"no"}"#),
        (404, r#"{"personio_trace_id":"","errors":[]}"#),
        (502, "<html><body>Bad gateway</body></html>"),
        (500, ""),
        (404, "\u{fffd}\u{0}"),
    ] {
        let setup = Setup::persons(3);
        let simulator = setup.simulator();
        simulator.fail(Fault::on(Endpoint::Persons, Action::Body(status, "application/json", body.to_owned())));
        let bridge = setup.start_with(simulator);
        bridge.get("/Users").await.scim_error(503, None);
        let failure = bridge.failure().await;
        assert_eq!(
            failure.contains("4bf92f35"),
            body.contains("4bf92f35"),
            "the trace id, for Personio's support: {failure}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_odd_answer_about_employments_is_not_a_leaver() {
    for action in
        [Action::NotFoundResource, Action::NotFoundRoute, Action::Html(404), Action::Html(502), Action::Status(403)]
    {
        let mut setup = Setup::persons(40);
        setup.cache_ttl = SHORT;
        let person =
            setup.world.persons.iter().find(|person| person.status.as_deref() == Some("ACTIVE")).unwrap().clone();
        let bridge = setup.start();
        let before = bridge.everybody().await;
        bridge.simulator.fail(Fault::on(Endpoint::Employments, action.clone()).person(&person.id));
        let after = bridge.reloaded().await;
        assert_eq!(after.len(), 40);
        let user = by_id(&after, &person.id);
        assert_eq!(
            (&user["active"], &user["userName"]),
            (&Value::Bool(true), &by_id(&before, &person.id)["userName"]),
            "{action:?}"
        );
        assert!(user.get(PERSONIO).is_none() && user.get("title").is_none());
        let others =
            |users: &[Value]| users.iter().filter(|user| user["id"] != person.id.as_str()).cloned().collect::<Vec<_>>();
        assert_eq!(others(&after), others(&before), "{action:?}");
        bridge.simulator.heal();
        let healed = bridge.reloaded().await;
        assert_eq!(by_id(&healed, &person.id)[PERSONIO], by_id(&before, &person.id)[PERSONIO]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_employment_is_seen_although_the_person_was_not_touched() {
    let bridge = Setup { cache_ttl: SHORT, ..Setup::persons(12) }.start();
    let users = bridge.everybody().await;
    let id = users[3]["id"].as_str().unwrap();
    bridge.clock.pass(Duration::from_secs(60));
    bridge.simulator.with_world(|world| {
        let person = world.persons.iter_mut().find(|person| person.id == id).unwrap();
        person.employments.iter_mut().for_each(|employment| employment.position = Some("Captain".to_owned()));
    });
    assert_eq!(by_id(&bridge.reloaded().await, id)["title"], "Captain");
}
