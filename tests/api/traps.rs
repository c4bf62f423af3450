//! Tests of known and suspected deviations of Personio's API from its documentation.

use std::time::Duration;

use jiff::civil::date;
use personio_scim::scim::{ENTERPRISE_USER_SCHEMA as ENTERPRISE, PERSONIO_USER_SCHEMA as PERSONIO};
use personio_scim::simulator::{
    FaultAction, InjectedFault, NextLinkForm, Quirks, SimulatedEndpoint, SimulatedTermination,
};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use crate::harness::{AFTER_COOL_DOWN, NOW_STAMP, SHORT_TTL, Setup, TestServer, by_id};

/// Returns all users of a server whose simulator has these quirks.
async fn with(persons: usize, quirks: Quirks) -> Vec<Value> {
    let mut setup =
        Setup { public_url: Some("https://scim.example.com"), ..Setup::persons(persons) };
    setup.options.quirks = quirks;
    setup.start().all_users().await
}

#[tokio::test(flavor = "multi_thread")]
async fn deviating_response_shapes_change_no_user() {
    let usual = with(120, Quirks::default()).await;
    let quirks: [(&str, Quirks); 12] = [
        ("lower case", Quirks { lowercase_enums: true, ..Quirks::default() }),
        ("null", Quirks { null_instead_of_absent: true, ..Quirks::default() }),
        ("last_working_date", Quirks { last_working_date_key: true, ..Quirks::default() }),
        ("bare string", Quirks { next_link: NextLinkForm::BareString, ..Quirks::default() }),
        ("relative", Quirks { next_link: NextLinkForm::RelativeHref, ..Quirks::default() }),
        (
            "null on the last page",
            Quirks { next_link: NextLinkForm::NullOnLastPage, ..Quirks::default() },
        ),
        ("other origin", Quirks { next_link: NextLinkForm::OtherOrigin, ..Quirks::default() }),
        ("wrong path", Quirks { next_link: NextLinkForm::WrongPath, ..Quirks::default() }),
        ("awkward cursors", Quirks { awkward_cursors: true, ..Quirks::default() }),
        ("overlap", Quirks { overlapping_pages: true, ..Quirks::default() }),
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
        get(&format!("/v2/persons/{id}/employments"))
            .respond_with(respond(employments))
            .mount(&personio)
            .await;
    }
    // A redirect is not followed either.
    let redirect = ResponseTemplate::new(307)
        .insert_header("location", format!("{}/v2/org-units", evil.uri()));
    get("/v2/org-units").respond_with(redirect).mount(&personio).await;

    let setup = Setup::persons(0);
    let simulator = setup.simulator();
    let bridge = setup.start_over(&personio.uri(), simulator);
    assert_eq!(bridge.all_users().await.len(), 2);
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
    assert!(bridge.simulator.request_count(SimulatedEndpoint::Persons) <= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_without_read_right_are_absent() {
    let hidden = [
        "email",
        "preferred_name",
        "created_at",
        "updated_at",
        "status",
        "position",
        "termination",
        "org_units",
    ];
    let users = with(
        60,
        Quirks { hidden_attributes: hidden.map(str::to_owned).to_vec(), ..Quirks::default() },
    )
    .await;
    assert_eq!(users.len(), 60);
    for user in &users {
        assert_eq!(user["userName"], format!("personio-{}", user["id"].as_str().unwrap()));
        assert_eq!(user["active"], false, "nothing says that anybody is active");
        for member in ["emails", "title"] {
            assert!(user.get(member).is_none(), "{user}");
        }
        assert!(
            user["meta"].get("created").is_none() && user["meta"]["lastModified"] == NOW_STAMP,
            "{user}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_working_day_is_read_under_both_names() {
    for last_working_date in [false, true] {
        let mut setup = Setup::persons(1);
        setup.world.persons[0].employments[0].termination = Some(SimulatedTermination {
            last_working_day: Some(date(2026, 3, 31)),
            ..SimulatedTermination::default()
        });
        setup.options.quirks.last_working_date_key = last_working_date;
        assert_eq!(setup.start().all_users().await[0][PERSONIO]["lastWorkingDay"], "2026-03-31");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_401_that_persists_says_what_to_check() {
    for status in [401, 403] {
        let setup = Setup::persons(3);
        let simulator = setup.simulator();
        simulator
            .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(status)));
        let bridge = setup.start_with(simulator);
        bridge.get("/Users").await.scim_error(503, None);
        let failure = bridge.failure().await;
        let (expected, requests) =
            if status == 401 { ("token or access right", 2) } else { ("lacks an access right", 1) };
        assert!(failure.contains(expected), "{failure}");
        assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Persons), requests);
        assert_eq!(
            bridge.simulator.request_count(SimulatedEndpoint::Token),
            requests,
            "renewed once"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn error_bodies_of_every_shape_are_handled() {
    for (status, body) in [
        (
            403,
            r#"{"personio_trace_id":"4bf92f35","timestamp":"x","errors":[{"title":"t","detail":"d","type":"x"}]}"#,
        ),
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
        simulator.add_fault(InjectedFault::on(
            SimulatedEndpoint::Persons,
            FaultAction::CustomBody(status, "application/json", body.to_owned()),
        ));
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
async fn one_odd_employments_response_deactivates_no_user() {
    for action in [
        FaultAction::NotFoundResource,
        FaultAction::NotFoundRoute,
        FaultAction::HtmlError(404),
        FaultAction::HtmlError(502),
        FaultAction::Status(403),
        FaultAction::EmptyListing,
    ] {
        let mut setup = Setup::persons(40);
        setup.cache_ttl = SHORT_TTL;
        let person = setup
            .world
            .persons
            .iter()
            .find(|person| person.status.as_deref() == Some("ACTIVE"))
            .unwrap()
            .clone();
        let bridge = setup.start();
        let before = bridge.all_users().await;
        bridge.simulator.add_fault(
            InjectedFault::on(SimulatedEndpoint::Employments, action.clone()).person(&person.id),
        );
        let after = bridge.reloaded().await;
        assert_eq!(after.len(), 40);
        assert_eq!(after, before, "the last good employments are kept: {action:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn employments_that_all_seem_to_be_gone_are_kept_also_where_few_are_read_at_a_time() {
    let hour = Duration::from_secs(3600);
    let setup = Setup {
        cache_ttl: SHORT_TTL,
        employment_recheck: hour,
        max_change: 0.2,
        ..Setup::persons(60)
    };
    let bridge = setup.start();
    let before = bridge.all_users().await;
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::EmptyListing));
    for _ in 0..14 {
        bridge.clock.pass(hour / 12);
        assert_eq!(bridge.reloaded().await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_employment_is_seen_although_the_person_was_not_touched() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(12) }.start();
    let users = bridge.all_users().await;
    let id = users[3]["id"].as_str().unwrap();
    bridge.clock.pass(Duration::from_secs(60));
    bridge.simulator.with_world(|world| {
        let person = world.persons.iter_mut().find(|person| person.id == id).unwrap();
        person
            .employments
            .iter_mut()
            .for_each(|employment| employment.position = Some("Captain".to_owned()));
    });
    assert_eq!(by_id(&bridge.reloaded().await, id)["title"], "Captain");
}

/// Key that may be hidden, and the JSON pointer at which a user shows its presence.
const VISIBLE: &[(&str, &str, &str)] = &[
    ("email", "", "/emails"),
    ("first_name", "", "/name/givenName"),
    ("last_name", "", "/name/familyName"),
    ("created_at", "", "/meta/created"),
    ("position", "", "/title"),
    ("type", "", "/userType"),
    ("status", PERSONIO, "/employmentStatus"),
    ("supervisor", ENTERPRISE, "/manager"),
    ("office", PERSONIO, "/office"),
    ("org_units", ENTERPRISE, "/department"),
    ("org_units", PERSONIO, "/orgUnits"),
    ("legal_entity", ENTERPRISE, "/organization"),
    ("cost_centers", ENTERPRISE, "/costCenter"),
    ("cost_centers", PERSONIO, "/costCenters"),
    ("job", PERSONIO, "/jobId"),
    ("job", PERSONIO, "/job"),
    ("employment_start_date", PERSONIO, "/hireDate"),
    ("employment_end_date", PERSONIO, "/endDate"),
    ("probation_end_date", PERSONIO, "/probationEndDate"),
    ("contract_end_date", PERSONIO, "/contractEndDate"),
    ("termination", PERSONIO, "/lastWorkingDay"),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_attribute_may_be_hidden_alone_and_all_together() {
    let having = |users: &[Value], schema: &str, pointer: &str| {
        let part =
            |user: &Value| if schema.is_empty() { user.clone() } else { user[schema].clone() };
        users.iter().filter(|user| part(user).pointer(pointer).is_some()).count()
    };
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(120) }.start();
    let users = bridge.all_users().await;
    for (key, schema, pointer) in VISIBLE {
        assert!(having(&users, schema, pointer) > 0, "{key}: nobody has {pointer}");
        bridge.simulator.set_quirks(|quirks| quirks.hidden_attributes = vec![(*key).to_owned()]);
        let seen = bridge.reloaded().await;
        assert_eq!((seen.len(), having(&seen, schema, pointer)), (120, 0), "{key}");
        assert_eq!(bridge.health().await.1["status"], "ok", "{key}");
    }
    let further =
        ["preferred_name", "updated_at", "employments", "custom_attributes", "_meta", "person"];
    let all = VISIBLE.iter().map(|(key, _, _)| *key).chain(further).map(str::to_owned).collect();
    bridge.simulator.set_quirks(|quirks| quirks.hidden_attributes = all);
    for user in bridge.reloaded().await {
        assert_eq!((&user["name"], &user["active"]), (&json!({}), &json!(false)));
        assert_eq!(user[ENTERPRISE], json!({"employeeNumber": user["id"]}));
    }
}

/// Starts a mock of Personio whose first page of persons is `first` and whose page `abc` holds one
/// more person.
async fn personio(first: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    let answer = |body: Value| ResponseTemplate::new(200).set_body_json(body);
    let token =
        answer(json!({"access_token": "papi-1", "token_type": "Bearer", "expires_in": 86400}));
    Mock::given(matchers::path("/v2/auth/token")).respond_with(token).mount(&server).await;
    let persons = || Mock::given(matchers::path("/v2/persons"));
    persons()
        .and(matchers::query_param_is_missing("cursor"))
        .respond_with(first)
        .mount(&server)
        .await;
    let second = answer(json!({"_data": [{"id": "2"}], "_meta": {"links": {}}}));
    persons().and(matchers::query_param("cursor", "abc")).respond_with(second).mount(&server).await;
    let employments = Mock::given(matchers::path_regex("^/v2/persons/[0-9]+/employments$"));
    employments
        .respond_with(answer(json!({"_data": [], "_meta": {"links": {}}})))
        .mount(&server)
        .await;
    server
}

/// Starts a mock that answers only the token request.
async fn only_token(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(matchers::path("/v2/auth/token")).respond_with(answer).mount(&server).await;
    server
}

fn over(upstream: &MockServer) -> TestServer {
    let setup = Setup::persons(0);
    let simulator = setup.simulator();
    setup.start_over(&upstream.uri(), simulator)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_shape_of_link_leads_to_another_origin() {
    let evil = MockServer::start().await;
    let host = evil.address();
    for (link, persons) in [
        (json!({"href": format!("{}/v2/persons?cursor=abc", evil.uri())}), 2),
        (json!(format!("{}/v2/persons?limit=1&cursor=abc#fragment", evil.uri())), 2),
        (json!({"href": format!("//{host}/v2/persons?cursor=abc")}), 2),
        (json!({"href": format!("http://api.personio.de@{host}/v2/persons?cursor=abc")}), 2),
        // A cursor is a value and not a URL. An unknown cursor fails the load.
        (json!({"href": format!("/v2/persons?cursor=@{host}/")}), 0),
        (json!({"href": format!("/v2/persons?cursor={}/v2/persons", evil.uri())}), 0),
        (json!({"href": format!("{}/v2/persons", evil.uri())}), 0),
    ] {
        let page = json!({"_data": [{"id": "1"}], "_meta": {"links": {"next": link}}});
        let upstream = personio(ResponseTemplate::new(200).set_body_json(page)).await;
        let bridge = over(&upstream);
        if persons > 0 {
            assert_eq!(bridge.all_users().await.len(), persons, "{link}");
        } else {
            bridge.failure().await;
        }
        assert!(evil.received_requests().await.unwrap().is_empty(), "{link}");
        for request in upstream.received_requests().await.unwrap() {
            let authorization =
                request.headers.get("authorization").map(|value| value.to_str().unwrap());
            let is_token = request.url.path() == "/v2/auth/token";
            assert_eq!(authorization, (!is_token).then_some("Bearer papi-1"), "{}", request.url);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed_and_its_host_is_named() {
    let evil = MockServer::start().await;
    let evil_origin = evil.uri();
    let (elsewhere, nowhere) =
        (format!("{evil_origin}/MARKER/persons?MARKER=1#MARKER"), "http://[MARKER".to_owned());
    for path in ["/v2/auth/token", "/v2/persons"] {
        for (status, location, expected) in [
            (301, elsewhere.as_str(), evil_origin.as_str()),
            (302, &elsewhere, &evil_origin),
            (303, &elsewhere, &evil_origin),
            (307, &elsewhere, &evil_origin),
            (308, &elsewhere, &evil_origin),
            (302, "//login.example.com/MARKER", "http://login.example.com,"),
            (302, "https://user:MARKER@login.example.com:8443/", "https://login.example.com:8443,"),
            (302, "/MARKER", "http://127.0.0.1:"),
            (302, &nowhere, "an address that cannot be read"),
            (300, "", "redirect (300)"),
        ] {
            let redirect = ResponseTemplate::new(status).insert_header("Location", location);
            let upstream = if path == "/v2/persons" {
                personio(redirect).await
            } else {
                only_token(redirect).await
            };
            let failure = over(&upstream).failure().await;
            for part in [path, expected, &status.to_string(), "PERSONIO_BASE_URL"] {
                assert!(failure.contains(part), "{part}: {failure}");
            }
            assert!(!failure.contains("MARKER") && !failure.contains("secret"), "{failure}");
            assert!(evil.received_requests().await.unwrap().is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreasonable_advertised_limit_is_ignored_and_reported() {
    for (rate, is_used) in [
        ("1e-300", false),
        ("0", false),
        ("-3", false),
        ("1e300", false),
        ("soon", false),
        ("30", true),
    ] {
        let page = ResponseTemplate::new(200)
            .set_body_json(json!({"_data": [{"id": "1"}], "_meta": {"links": {}}}));
        let page = page.insert_header("x-ratelimit-replenish-rate", rate);
        let page = page
            .insert_header("x-ratelimit-burst-capacity", "100")
            .insert_header("x-ratelimit-remaining", "0");
        let upstream = personio(page).await;
        let bridge = over(&upstream);
        assert_eq!(bridge.all_users().await.len(), 1, "{rate}");
        let (code, health) = bridge.health().await;
        let part = &health["parts"]["personio"];
        let detail = part["detail"].as_str().unwrap();
        assert_eq!((code, part["status"].as_str()), (200, Some("ok")), "{rate}: {health}");
        assert!(detail.starts_with("the last load succeeded"), "{rate}: {detail}");
        let is_told = detail.ends_with(
            "advertises limits that cannot be right, and they are not used: /v2/persons",
        );
        assert_eq!(is_told, !is_used, "{rate}: {detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn circular_cursors_fail_the_load() {
    for data in [json!([]), json!([{"id": "1"}])] {
        let links =
            |cursor| json!({"links": {"next": {"href": format!("/v2/persons?cursor={cursor}")}}});
        let page = |cursor| {
            ResponseTemplate::new(200).set_body_json(json!({"_data": data, "_meta": links(cursor)}))
        };
        let upstream = personio(page("one")).await;
        for (cursor, next) in [("one", "two"), ("two", "three"), ("three", "one")] {
            let mock = Mock::given(matchers::path("/v2/persons"))
                .and(matchers::query_param("cursor", cursor));
            mock.respond_with(page(next)).mount(&upstream).await;
        }
        let failure = over(&upstream).failure().await;
        assert!(failure.contains("repeat"), "{failure}");
        let requests = upstream.received_requests().await.unwrap();
        assert!(requests.iter().filter(|request| request.url.path() == "/v2/persons").count() <= 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_begins_to_repeat_changes_nothing_that_is_served() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(120) }.start();
    let users = bridge.all_users().await;
    bridge.simulator.with_world(|world| world.persons.truncate(60));
    bridge.simulator.set_quirks(|quirks| quirks.repeating_cursor = true);
    bridge.simulator.reset_history();
    assert_eq!(bridge.reloaded().await, users);
    assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Employments), 0);
    bridge.simulator.set_quirks(|quirks| quirks.repeating_cursor = false);
    bridge.clock.pass(AFTER_COOL_DOWN);
    assert_eq!(bridge.reloaded().await.len(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reached_rate_limit_is_awaited_without_losing_employments() {
    let setup = Setup::persons(20);
    let simulator = setup.simulator();
    simulator.add_fault(
        InjectedFault::on(
            SimulatedEndpoint::Employments,
            FaultAction::TooManyRequests { retry_after: None },
        )
        .times(4),
    );
    let bridge = setup.start_with(simulator);
    let users = bridge.all_users().await;
    let employed = |it: &&personio_scim::simulator::SimulatedPerson| !it.employments.is_empty();
    let employed =
        bridge.simulator.with_world(|world| world.persons.iter().filter(employed).count());
    assert_eq!(users.iter().filter(|user| user[PERSONIO].is_object()).count(), employed);
    assert_eq!(
        (
            bridge.simulator.request_count(SimulatedEndpoint::Employments),
            bridge.simulator.throttled_count()
        ),
        (24, 4)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_body_is_never_quoted() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(3) }.start();
    let users = bridge.all_users().await;
    for (status, kind, body) in [
        (
            400,
            "application/problem+json",
            r#"{"personio_trace_id":"","errors":[{"title":"MARKER","detail":"MARKER"}]}"#,
        ),
        (
            422,
            "application/json",
            r#"{"errors":[{"field":"MARKER","errors":[{"reason":"MARKER"}]}]}"#,
        ),
        (400, "application/json", r#"{"error":{"message":"MARKER"}}"#),
        (403, "application/json", r#"{"error":"MARKER"}"#),
        (400, "application/json", r#"{"personio_trace_id":"MARKER <b>","errors":null}"#),
        (409, "text/html", "<html>MARKER</html>"),
        (502, "text/html", "<html>MARKER</html>"),
        (200, "application/json", r#"{"_data":[{"id":{"MARKER":1}}]}"#),
        (200, "application/json", r#"{"_data":"MARKER"}"#),
    ] {
        bridge.simulator.add_fault(InjectedFault::on(
            SimulatedEndpoint::Persons,
            FaultAction::CustomBody(status, kind, body.to_owned()),
        ));
        assert_eq!(bridge.reloaded().await, users, "{status} {body}");
        let failure = bridge.failure().await;
        let expected = if status == 200 { "is not used".to_owned() } else { status.to_string() };
        assert!(failure.contains(&expected) && !failure.contains("MARKER"), "{body}: {failure}");
        bridge.simulator.clear_faults();
        bridge.clock.pass(AFTER_COOL_DOWN);
    }
}
