//! Tests of `check`: its findings about a working Personio and about each problem, and the values
//! that it never prints.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::ToSpan;
use jiff::tz::TimeZone;
use personio_scim::clock::{Clock, SystemClock};
use personio_scim::scim::{Discovery, Projection, ResourceUrls};
use personio_scim::simulator::{
    FaultAction, InjectedFault, SimulatedCustomAttribute, SimulatedEmployment, SimulatedEndpoint,
    SimulatedOrgUnitType, SimulatedPerson, SimulatedTermination, Simulator, SimulatorOptions,
    World,
};
use serde_json::{Value, json};

use crate::harness::{Setup, TOKEN, by_id, http};
use crate::process::{Ended, Program, file, run};

const MARKER: &str = "MARKER-7d21";

/// Returns settings with which `serve` would start.
fn settings(upstream: &str) -> [(&str, &str); 4] {
    [
        ("PERSONIO_CLIENT_ID", "demo"),
        ("PERSONIO_CLIENT_SECRET", "demo-secret"),
        ("PERSONIO_BASE_URL", upstream),
        ("SCIM_BEARER_TOKEN", TOKEN),
    ]
}

async fn check(simulator: &Simulator, args: &[&str]) -> Ended {
    run(&[&["check"], args].concat(), &settings(&simulator.base_url())).await
}

/// Runs `check --json`, asserts the exit code and returns the report.
async fn report(simulator: &Simulator, code: i32, args: &[&str]) -> Value {
    let ended = check(simulator, &[&["--json"], args].concat()).await;
    assert_eq!(ended.status.code(), Some(code), "{ended:?}");
    serde_json::from_str(&ended.out).unwrap()
}

#[track_caller]
fn finding<'r>(report: &'r Value, step: &str) -> &'r Value {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .find(|finding| finding["step"] == step)
        .unwrap_or_else(|| panic!("no {step}: {report:#}"))
}

fn custom(id: &str, label: &str, kind: &str, value: Value) -> SimulatedCustomAttribute {
    let (global_id, label) = (None, Some(label.to_owned()));
    SimulatedCustomAttribute {
        id: id.to_owned(),
        global_id,
        label,
        value_type: kind.to_owned(),
        value,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_of_a_working_personio_succeeds_with_few_reading_requests() {
    let simulator = Setup::persons(300).simulator();
    let short = check(&simulator, &[]).await;
    simulator.reset_history();
    let ended = check(&simulator, &["--verbose"]).await;
    assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    for ended in [&short, &ended] {
        assert!(
            ended.out.starts_with(
                "Everything that a server reads from Personio is right.\n\nok    network "
            ),
            "{}",
            ended.out
        );
        assert!(!ended.out.contains("What to change"), "{}", ended.out);
        let widest = ended.out.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 100, "{widest}: {}", ended.out);
    }
    assert!(
        short.out.lines().count() < 30 && short.out.contains("--verbose shows"),
        "{}",
        short.out
    );
    for details in ["Status  ", "dynamic_777", "Person 1 as it would be served"] {
        assert!(
            !short.out.contains(details) && ended.out.contains(details),
            "{details}: {}",
            short.out
        );
    }
    for part in [
        "ok    token           the credential is accepted; the token is valid for 24h;\n",
        "personio:persons:read",
        "ok    persons         300 persons can be read",
        "ok    employments     the employments of 20 persons (a sample) can be read\n",
        "ok    departments     8 names can be read\n",
        "ok    serve           50 of the 50 persons looked at (of 300) would be served\n",
        "ok    dates           employment status matches the dates of 20 persons\n",
        "  Status                 50 of 50\n",
        "  dynamic_777        string   Personalnummer  50       can be served\n",
        "  date_of_birth      date     -               50       personal data: never served\n",
        "\nPerson 3 as it would be served, with the source of each value:\n",
        "<- employment.position.title\n",
    ] {
        assert!(ended.out.contains(part), "{part}: {}", ended.out);
    }
    assert!(!ended.out.contains("Person 4") && !ended.out.contains('\u{1b}'), "{}", ended.out);

    let log = simulator.received_requests();
    assert!(log.len() < 40, "{} requests", log.len());
    let cost = format!("It took {} requests, and nothing was written.", log.len());
    assert!(words(&ended.out).contains(&cost), "{}", ended.out);
    // The simulator has only GET routes, except for the token.
    assert!(log.iter().all(|received| received.endpoint != SimulatedEndpoint::Unknown), "{log:?}");
    assert_eq!(simulator.request_count(SimulatedEndpoint::Token), 1);
    assert_eq!(
        simulator.request_count(SimulatedEndpoint::Persons),
        6,
        "a page for each fifty persons: they are counted"
    );
    assert_eq!(simulator.request_count(SimulatedEndpoint::Employments), 20);
}

/// Returns the text without its line breaks.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_larger_than_the_largest_page_is_a_warning_that_costs_no_more_pages_than_needed()
{
    let simulator = Setup::persons(1100).simulator();
    let upstream = simulator.base_url();
    for (max_results, pages, outcome) in
        [("1000", 21, Some("warn")), ("1100", 22, None), ("10000", 22, None)]
    {
        simulator.reset_history();
        let mut variables = settings(&upstream).to_vec();
        variables.push(("SCIM_MAX_RESULTS", max_results));
        let ended = run(&["check", "--json"], &variables).await;
        let report: Value = serde_json::from_str(&ended.out).unwrap();
        let found = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .find(|finding| finding["step"] == "page size");
        assert_eq!(
            found.and_then(|found| found["outcome"].as_str()),
            outcome,
            "{max_results}: {report:#}"
        );
        if let Some(found) = found {
            assert!(found["what"].as_str().unwrap().contains("1000 users"), "{found}");
            assert!(found["remedy"].as_str().unwrap().contains("SCIM_MAX_RESULTS"), "{found}");
        }
        assert_eq!(simulator.request_count(SimulatedEndpoint::Persons), pages, "{max_results}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_fails_where_serve_would_serve_nothing() {
    let simulator = Setup::persons(60).simulator();
    simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::Status(403)));
    let report = report(&simulator, 1, &[]).await;
    let found = finding(&report, "serve");
    assert_eq!(found["outcome"], "fail", "{report:#}");
    assert_eq!(found["what"], "no user would be served, because a step above failed");
    let ended = check(&simulator, &[]).await;
    assert_eq!(ended.err, "personio-scim: the check failed: employments\n");
    assert_eq!(words(&ended.out).matches("would serve nothing").count(), 1, "{}", ended.out);
    assert!(
        ended.out.starts_with("A server would serve nothing, because of: employments.\n"),
        "{}",
        ended.out
    );
    let (_, changes) = ended.out.split_once("What to change:").unwrap();
    assert!(
        !changes.contains("\n  serve\n"),
        "what follows from another step is nothing to change: {changes}"
    );
}

#[expect(clippy::too_many_lines, reason = "the cases are a table")]
#[tokio::test(flavor = "multi_thread")]
async fn each_problem_is_reported_with_its_fix() {
    use FaultAction::{
        ConnectionReset, HtmlError, NotFoundRoute, Status, TooManyRequests, WrongJson,
    };
    const CHANGE: &str =
        "In Personio, under Settings > Integrations > API credentials, allow the credential to";
    let allow = |right: &str| format!("{CHANGE} {right}.");
    let too_many = TooManyRequests { retry_after: None };
    let rows = [
        (
            SimulatedEndpoint::Token,
            Status(401),
            "token",
            "fail",
            "(HTTP 401)",
            "Check the client id".to_owned(),
        ),
        (
            SimulatedEndpoint::Token,
            NotFoundRoute,
            "token",
            "fail",
            "/v2/auth/token was not found",
            "Check the base URL".to_owned(),
        ),
        (
            SimulatedEndpoint::Token,
            ConnectionReset,
            "network",
            "fail",
            "does not answer there",
            "If it speaks TLS, write https://".to_owned(),
        ),
        (
            SimulatedEndpoint::Persons,
            Status(401),
            "persons",
            "fail",
            "answered 401",
            allow("read persons (personio:persons:read)"),
        ),
        (
            SimulatedEndpoint::Persons,
            Status(403),
            "persons",
            "fail",
            "answered 403",
            allow("read persons (personio:persons:read)"),
        ),
        (
            SimulatedEndpoint::Persons,
            HtmlError(502),
            "persons",
            "fail",
            "answered 502",
            "Try again.".to_owned(),
        ),
        (
            SimulatedEndpoint::Persons,
            WrongJson,
            "persons",
            "fail",
            "is not used",
            "nothing in between".to_owned(),
        ),
        (
            SimulatedEndpoint::Persons,
            FaultAction::EmptyListing,
            "persons",
            "fail",
            "Personio returns none",
            "choose the persons".to_owned(),
        ),
        (
            SimulatedEndpoint::Persons,
            too_many,
            "persons",
            "fail",
            "limits the rate of requests",
            "try again later".to_owned(),
        ),
        (
            SimulatedEndpoint::Employments,
            Status(403),
            "employments",
            "fail",
            "the employments of 20 of 20 persons (a sample) cannot be read",
            allow("read persons with their employments (personio:persons:read)"),
        ),
        (
            SimulatedEndpoint::OrgUnits,
            Status(403),
            "departments",
            "warn",
            "(right missing), and `department` will be missing",
            allow("read org units"),
        ),
        (
            SimulatedEndpoint::LegalEntities,
            Status(401),
            "legal entities",
            "warn",
            "(right missing), and `organization`",
            allow("read legal entities"),
        ),
        (
            SimulatedEndpoint::Workplaces,
            Status(403),
            "workplaces",
            "warn",
            "`office`",
            allow("read workplaces"),
        ),
        (
            SimulatedEndpoint::CostCenters,
            Status(412),
            "cost centres",
            "warn",
            "`costCenter`",
            allow("read cost centres"),
        ),
        (
            SimulatedEndpoint::Jobs,
            Status(403),
            "jobs",
            "warn",
            "(right missing), and `job` will be missing",
            allow("read jobs"),
        ),
    ];
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/commands.md")).unwrap();
    let page = words(&page);
    let simulator = Setup::persons(60).simulator();
    for (endpoint, action, step, outcome, what, remedy) in rows {
        let case = format!("{endpoint:?} {action:?}");
        simulator.clear_faults();
        simulator.add_fault(InjectedFault::on(endpoint, action));
        let code = i32::from(outcome == "fail");
        let report = report(&simulator, code, &[]).await;
        let found = finding(&report, step);
        assert_eq!(
            (&found["outcome"], &report["outcome"]),
            (&json!(outcome), &json!(outcome)),
            "{case}: {report:#}"
        );
        assert!(found["what"].as_str().unwrap().contains(what), "{case}: {found}");
        assert!(found["remedy"].as_str().unwrap().contains(&remedy), "{case}: {found}");
        if step == "departments" {
            let what =
                found["what"].as_str().unwrap().split(" (Personio's trace id").next().unwrap();
            assert!(
                page.contains(what) && page.contains(&remedy),
                "docs/commands.md shows an example: {what}"
            );
        }
    }
    // The right for jobs is needed only by a company that has jobs.
    simulator.clear_faults();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Jobs, FaultAction::Status(403)));
    simulator.with_world(|world| {
        for person in &mut world.persons {
            person.employments.iter_mut().for_each(|it| it.job = None);
        }
    });
    let found = finding(&report(&simulator, 0, &[]).await, "jobs").clone();
    assert_eq!(found["outcome"], "ok");
    let what = "their names cannot be read, and none of the persons looked at has one";
    assert!(found["what"].as_str().unwrap().starts_with(what), "{found}");
    simulator.clear_faults();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(403)));
    let ended = check(&simulator, &[]).await;
    assert_eq!(ended.err, "personio-scim: the check failed: persons\n");
    assert!(
        ended.out.starts_with("A server would serve nothing, because of: persons.\n"),
        "{}",
        ended.out
    );
    assert!(ended.out.contains("\nfail  persons "), "{}", ended.out);
    let (_, changes) = ended.out.split_once("\nWhat to change:\n\n  persons\n    ").unwrap();
    let remedy = format!("-> {} ", allow("read persons (personio:persons:read)"));
    assert!(words(changes).contains(&remedy), "{}", ended.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_or_empty_lookup_differs_from_a_missing_right() {
    let simulator = Setup::persons(60).simulator();
    for (endpoint, action, step, what, remedy) in [
        (
            SimulatedEndpoint::LegalEntities,
            FaultAction::NotFoundRoute,
            "legal entities",
            "(not enabled), and `organization`",
            "enable the API for legal entities",
        ),
        (
            SimulatedEndpoint::Workplaces,
            FaultAction::EmptyListing,
            "workplaces",
            "persons who have one lack its name, and `office` will be missing",
            "allow the credential to read workplaces",
        ),
        (
            SimulatedEndpoint::Workplaces,
            FaultAction::HtmlError(405),
            "workplaces",
            "something between",
            "nothing in between",
        ),
    ] {
        simulator.clear_faults();
        simulator.add_fault(InjectedFault::on(endpoint, action.clone()));
        let report = report(&simulator, 0, &[]).await;
        let found = finding(&report, step);
        assert_eq!(found["outcome"], "warn", "{action:?}: {report:#}");
        assert!(found["what"].as_str().unwrap().contains(what), "{action:?}: {found}");
        assert!(found["remedy"].as_str().unwrap().contains(remedy), "{action:?}: {found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lookups_readable_by_id_pass_and_unreadable_ones_warn() {
    let rows = [
        (
            None,
            FaultAction::NotFoundRoute,
            "ok",
            "the list cannot be read, but the names in use can be read one by one",
        ),
        (
            Some(FaultAction::NotFoundRoute),
            FaultAction::NotFoundRoute,
            "warn",
            "(not enabled), and `department`",
        ),
        (
            Some(FaultAction::Status(403)),
            FaultAction::NotFoundRoute,
            "warn",
            "(not enabled), and `department`",
        ),
        (
            None,
            FaultAction::EmptyListing,
            "ok",
            "the list is empty, but the names in use can be read one by one",
        ),
        (
            Some(FaultAction::NotFoundResource),
            FaultAction::EmptyListing,
            "warn",
            "0 names can be read, but ",
        ),
        (
            Some(FaultAction::NotFoundRoute),
            FaultAction::EmptyListing,
            "warn",
            "0 names can be read, but ",
        ),
    ];
    let simulator = Setup::persons(60).simulator();
    for (unit, list, outcome, what) in rows {
        let case = format!("{unit:?} {list:?}");
        simulator.clear_faults();
        simulator.add_fault(InjectedFault::on(SimulatedEndpoint::OrgUnits, list));
        if let Some(unit) = unit {
            simulator.add_fault(InjectedFault::on(SimulatedEndpoint::OrgUnit, unit));
        }
        let report = report(&simulator, 0, &[]).await;
        let found = finding(&report, "departments");
        assert_eq!(found["outcome"], outcome, "{case}: {report:#}");
        assert!(found["what"].as_str().unwrap().contains(what), "{case}: {found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_who_cannot_be_read_is_a_warning() {
    let simulator = Setup::persons(60).simulator();
    // The oldest persons are listed first.
    let first = simulator.with_world(|world| {
        world.persons.iter().min_by_key(|it| it.created_at).unwrap().id.clone()
    });
    simulator.add_fault(
        InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::HtmlError(502))
            .person(first.as_str()),
    );
    simulator.add_fault(
        InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::HtmlError(502)).times(1),
    );
    let report = report(&simulator, 0, &[]).await;
    let found = finding(&report, "employments");
    assert_eq!(found["outcome"], "warn", "{report:#}");
    assert!(
        found["what"]
            .as_str()
            .unwrap()
            .starts_with("the employments of 1 of 20 persons (a sample) cannot be read"),
        "{found}"
    );
    assert_eq!(finding(&report, "persons")["outcome"], "ok", "it is tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn unused_attributes_are_named_and_missing_essential_ones_fail() {
    let simulator = Setup::persons(60).simulator();
    let hidden = |attributes: &[&str]| {
        let attributes = attributes.iter().map(|name| (*name).to_owned()).collect();
        simulator.set_quirks(|quirks| quirks.hidden_attributes = attributes);
    };
    hidden(&["supervisor", "office", "first_name"]);
    let warned = report(&simulator, 0, &[]).await;
    let found = finding(&warned, "attributes");
    assert_eq!(found["what"], "none of the persons looked at has First name, Supervisor, Office");
    assert!(
        found["remedy"]
            .as_str()
            .unwrap()
            .contains("allow the credential to read First name, Supervisor, Office")
    );
    assert_eq!(warned["outcome"], "warn");

    hidden(&["email"]);
    let failed = report(&simulator, 1, &[]).await;
    let found = finding(&failed, "serve");
    assert_eq!(found["what"], "50 of 50 persons come without an e-mail address");
    assert!(
        found["remedy"]
            .as_str()
            .unwrap()
            .starts_with("Allow the API credential to read the attribute Email")
    );
    let accepted = report(&simulator, 0, &["--max-change", "100%"]).await;
    assert_eq!(finding(&accepted, "serve")["outcome"], "warn");
    let required = file("[users]\nrequire = [\"email\"]\n");
    let none = report(&simulator, 1, &["--config", required.path().to_str().unwrap()]).await;
    assert_eq!(finding(&none, "serve")["outcome"], "fail");
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_of_the_mapping_file_are_checked() {
    let simulator = Setup::persons(30).simulator();
    simulator.with_world(|world| {
        for person in &mut world.persons {
            person.custom_attributes.push(custom("dynamic_1", "Gehalt", "STRING", json!("x")));
            person.custom_attributes.push(custom("dynamic_2", "Floor", "STRING", json!("second")));
            person.custom_attributes.push(custom("dynamic_4", "Zone", "STRING", json!("UTC")));
        }
        let mut types = world.persons.iter_mut().take(12);
        for value in [json!("Werkstudent"), json!(["Freelancer"])] {
            for person in types.by_ref().take(5) {
                person.custom_attributes.push(custom("dynamic_5", "Art", "LIST", value.clone()));
            }
        }
        for person in &mut world.persons[..2] {
            person.custom_attributes.retain(|custom| custom.id != "dynamic_4");
        }
        let unusable = custom("dynamic_4", "Zone", "STRING", json!("MEZ"));
        world.persons[0].custom_attributes.push(unusable);
    });
    let unusable = simulator.with_world(|world| world.persons[0].id.clone());
    let mapping = file(
        "employee_number = \"dynamic_777\"\n\
         [attributes]\n\
         title = \"dynamic_1\"\n\
         department = \"dynamic_3\"\n\
         userType = \"dynamic_5\"\n\
         timezone = {id = \"dynamic_4\", fallback = false}\n\
         locale = \"dynamic_5\"\n\
         [values.userType]\n\"Werkstudent\" = \"Working student\"\n\
         [values.locale]\n\"Werkstudent\" = \"de\"\n\"Freelancer\" = \"en\"\n\
         [[custom_attribute]]\nid = \"dynamic_1\"\nname = \"one\"\n\
         [[custom_attribute]]\nid = \"dynamic_2\"\nname = \"floor\"\ntype = \"integer\"\n\
         [[custom_attribute]]\nid = \"dynamic_3\"\nname = \"three\"\n",
    );
    let report = report(&simulator, 0, &["--config", mapping.path().to_str().unwrap()]).await;
    let findings = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["step"] == "mapping");
    let findings: Vec<_> = findings
        .map(|it| (it["outcome"].as_str().unwrap(), it["what"].as_str().unwrap()))
        .collect();
    assert_eq!(
        findings,
        [
            (
                "warn",
                "dynamic_1 is not served as title: its name `Gehalt` is recognised as personal data"
            ),
            (
                "ok",
                "dynamic_5 is served as userType, for 10 of the 30 persons looked at; 5 of the \
                 values are renamed; the others have the value of Personio's own field, if there \
                 is one"
            ),
            (
                "ok",
                "dynamic_5 is served as locale, for 10 of the 30 persons looked at; 10 of the \
                 values are renamed; the others have the value of Personio's own field, if there \
                 is one"
            ),
            (
                "warn",
                &*format!(
                    "1 of 29 values of dynamic_4 cannot be served as timezone (persons {unusable})"
                )
            ),
            ("ok", "dynamic_777 is served as employeeNumber, for 30 of the 30 persons looked at"),
            (
                "warn",
                "dynamic_3, to be served as department, is not among the attributes of the persons \
                 looked at"
            ),
            (
                "warn",
                "dynamic_1 is not served as one: its name `Gehalt` is recognised as personal data"
            ),
            ("warn", "30 of 30 values of dynamic_2 cannot be served as floor"),
            (
                "warn",
                "dynamic_3, to be served as three, is not among the attributes of the persons looked at"
            ),
        ]
    );
    let standings = report["customAttributes"].as_array().unwrap();
    for (id, standing, name) in [
        ("dynamic_1", "neverServed", Value::Null),
        ("dynamic_2", "served", json!("floor")),
        ("dynamic_5", "served", json!("userType, locale")),
        ("dynamic_777", "served", json!("employeeNumber")),
        ("dynamic_778", "canBeServed", Value::Null),
        ("iban", "neverServed", Value::Null),
    ] {
        let found = by_id(standings, id);
        assert_eq!((&found["standing"], &found["name"]), (&json!(standing), &name), "{found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limits_are_reported_or_their_absence() {
    for (options, part) in [
        (
            SimulatorOptions::default(),
            "endpoints advertise a rate limit; the lowest: 30 requests a second, bursts of 100",
        ),
        (
            SimulatorOptions { rate: None, ..SimulatorOptions::default() },
            "Personio advertises no rate limits",
        ),
    ] {
        let simulator = Setup { options, ..Setup::persons(5) }.simulator();
        let report = report(&simulator, 0, &[]).await;
        assert!(finding(&report, "limits")["what"].as_str().unwrap().contains(part), "{report:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_setting_fails_before_any_request() {
    let simulator = Setup::persons(3).simulator();
    let mapping = file("active_before_start_day = 3\n");
    for (args, part) in [
        (vec!["--config", mapping.path().to_str().unwrap()], "active_before_start_day"),
        (vec!["--sample", "21"], "--sample"),
        (vec!["--personio-client-id", ""], "--personio-client-id (PERSONIO_CLIENT_ID) is empty"),
        (vec!["--personio-base-url", "http://api.personio.de"], "plain http"),
    ] {
        check(&simulator, &args).await.complains(64, part);
    }
    // The environment contains the settings of a server as well. `check` must not warn about
    // missing clients here.
    let upstream = simulator.base_url();
    for (name, value, part) in [
        (
            "SCIM_BEARER_TOKEN",
            "short",
            "--bearer-token (SCIM_BEARER_TOKEN) is shorter than 16 characters",
        ),
        ("SCIM_LISTEN", "garbage", "--listen (SCIM_LISTEN)"),
        ("SCIM_CACHE_TTL", "x", "--cache-ttl (SCIM_CACHE_TTL)"),
        ("SCIM_MAX_STALE", "1s", "--max-stale (SCIM_MAX_STALE) is shorter than"),
        ("SCIM_STATE_KEY", "short", "SCIM_STATE_KEY"),
        ("SCIM_METRICS_LISTEN", "garbage", "--metrics-listen (SCIM_METRICS_LISTEN)"),
    ] {
        let mut variables = settings(&upstream).to_vec();
        variables.push((name, value));
        run(&["check"], &variables).await.complains(64, part);
    }
    assert_eq!(simulator.received_requests().len(), 0);
    assert_eq!(run(&["check"], &settings(&upstream)).await.status.code(), Some(0));
    let nowhere = run(&["check"], &settings("http://127.0.0.1:1")).await;
    assert_eq!(nowhere.status.code(), Some(1));
    let refused =
        "\nfail  network  127.0.0.1 accepts no connection on port 1: connection refused\n";
    assert!(nowhere.out.contains(refused), "{}", nowhere.out);
    assert!(
        nowhere.out.contains("It took 2 attempts, and nothing was written."),
        "{}",
        nowhere.out
    );
    assert!(!nowhere.out.contains("HTTPS_PROXY"), "a proxy has no part in it: {}", nowhere.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_clients_is_a_warning_that_names_the_setting() {
    let simulator = Setup::persons(30).simulator();
    let upstream = simulator.base_url();
    let mut variables = settings(&upstream).to_vec();
    variables.retain(|(name, _)| *name != "SCIM_BEARER_TOKEN");
    let ended = run(&["check"], &variables).await;
    assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    let result = "Everything that a server reads from Personio is right. `serve` does not start yet: SCIM_BEARER_TOKEN is \
                  missing.";
    let text = words(&ended.out);
    assert!(
        text.starts_with(result) && text.contains(&format!("{result} It took ")),
        "{}",
        ended.out
    );
    assert!(ended.out.contains("\nwarn  clients "), "{}", ended.out);
    assert!(
        text.contains("-> Make a token with `personio-scim token new`, and set SCIM_BEARER_TOKEN"),
        "{}",
        ended.out
    );

    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::OrgUnits, FaultAction::Status(403)));
    let ended = run(&["check"], &variables).await;
    let result = "A server can serve what it reads from Personio; there are 2 warnings. `serve` does not start yet";
    assert!(words(&ended.out).starts_with(result), "departments and teams: {}", ended.out);
    simulator.clear_faults();

    let clients = file(&format!("[[client]]\nname = \"okta\"\ntoken = \"{TOKEN}\"\n"));
    let clients = clients.path().to_str().unwrap();
    for (args, variable) in [
        (vec!["check", "--json", "--config", clients], None),
        (vec!["check", "--json"], Some(("SCIM_CONFIG", clients))),
        (vec!["check", "--json"], Some(("SCIM_BEARER_TOKEN", TOKEN))),
    ] {
        let mut variables = variables.clone();
        variables.extend(variable);
        let ended = run(&args, &variables).await;
        let report: Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!(report["outcome"], "ok", "{variable:?}: {report:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_url_with_the_wrong_scheme_is_named_with_the_right_one() {
    let simulator = Setup::persons(3).simulator();
    let upstream = simulator.base_url();
    let https = upstream.replace("http://", "https://");
    let ended = run(&["check"], &settings(&https)).await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let text = words(&ended.out);
    assert!(text.contains("127.0.0.1 does not speak TLS on port "), "{}", ended.out);
    let remedy = format!("write http:// in --personio-base-url (PERSONIO_BASE_URL): {upstream}");
    assert!(text.contains(&remedy), "{}", ended.out);
    assert!(!text.contains("certificate"), "{}", ended.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_proxy_is_reported_by_its_variable_without_password() {
    // Tests never bind such a low port, and the host name does not resolve.
    let upstream = "https://personio.invalid";
    let mut programs = Vec::new();
    for (variables, part) in [
        (
            &[("HTTPS_PROXY", "http://me:hidden@127.0.0.1:1")][..],
            Some("HTTPS_PROXY is set to 127.0.0.1:1, and no connection"),
        ),
        (&[("https_proxy", "127.0.0.1:1")], Some("https_proxy is set to 127.0.0.1:1,")),
        (&[("ALL_PROXY", "http://127.0.0.1:1")], Some("ALL_PROXY is set to 127.0.0.1:1,")),
        (&[("all_proxy", "http://[::1]:1")], Some("all_proxy is set to [::1]:1,")),
        (&[("HTTPS_PROXY", "http://127.0.0.1:1"), ("NO_PROXY", "personio.invalid")], None),
        (&[("HTTPS_PROXY", "http://127.0.0.1:1"), ("no_proxy", "invalid")], None),
        (&[("HTTP_PROXY", "http://127.0.0.1:1")], None),
        (&[("HTTPS_PROXY", "")], None),
    ] {
        let all = [&settings(upstream)[..], variables].concat();
        programs.push((variables, part, Program::start(&["check"], &all)));
    }
    // The programs wait before they try again. They do so at the same time.
    for (variables, part, program) in programs {
        let ended = program.ended().await;
        assert_eq!(ended.status.code(), Some(1), "{variables:?}: {ended:?}");
        let text = words(&ended.out);
        assert!(!text.contains("hidden") && !text.contains("me:"), "{text}");
        let part = part.unwrap_or("the name personio.invalid cannot be resolved");
        assert!(text.contains(part), "{variables:?}: {text}");
        let is_http = variables.iter().any(|(name, _)| *name == "HTTP_PROXY");
        let hint =
            "HTTP_PROXY is not used for https:// addresses: behind a proxy, set HTTPS_PROXY.";
        assert_eq!(text.contains(hint), is_http, "{variables:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_credential_is_reported_with_the_names_of_its_settings() {
    let simulator = Setup::persons(3).simulator();
    let upstream = simulator.base_url();
    let secret = file("wrong-secret");
    let path = secret.path().to_str().unwrap();
    for (args, secret, expected) in [
        (
            &["check"][..],
            ("PERSONIO_CLIENT_SECRET", "wrong"),
            "(PERSONIO_CLIENT_ID, PERSONIO_CLIENT_SECRET)",
        ),
        (
            &["check"],
            ("PERSONIO_CLIENT_SECRET_FILE", path),
            "(PERSONIO_CLIENT_ID, PERSONIO_CLIENT_SECRET_FILE)",
        ),
        (
            &["check", "--personio-client-id=demo", "--personio-client-secret-file", path],
            ("PERSONIO_CLIENT_SECRET", "demo-secret"),
            "(--personio-client-id, --personio-client-secret-file)",
        ),
    ] {
        let mut variables = settings(&upstream).to_vec();
        variables.retain(|(name, _)| *name != "PERSONIO_CLIENT_SECRET");
        variables.push(secret);
        let ended = run(args, &variables).await;
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        let remedy = format!("Check the client id and the client secret {expected}.");
        assert!(words(&ended.out).contains(&remedy), "{}", ended.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_setting_is_reported_as_json_with_the_json_flag() {
    let mut variables = settings("https://api.personio.de").to_vec();
    variables.push(("SCIM_CACHE_TTL", "5"));
    let ended = run(&["check", "--json"], &variables).await;
    assert_eq!((ended.status.code(), ended.err.lines().count()), (Some(64), 1), "{ended:?}");
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(
        (&report["outcome"], &report["requests"]),
        (&json!("fail"), &json!(0)),
        "{report:#}"
    );
    let what = finding(&report, "settings")["what"].as_str().unwrap();
    assert_eq!(ended.err, format!("personio-scim: {what}\n"));
    assert!(what.starts_with("--cache-ttl (SCIM_CACHE_TTL): "), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn masked_values_have_a_legend_and_open_ones_have_none() {
    let simulator = Setup::persons(3).simulator();
    let legend =
        "Values of persons are masked below: j…(26) is a text of 26 characters that begins with j";
    for (args, expected) in [(&["--verbose"][..], true), (&["--show-values"], false), (&[], false)]
    {
        let ended = check(&simulator, args).await;
        assert_eq!(words(&ended.out).contains(legend), expected, "{args:?}: {}", ended.out);
    }
}

/// Collects every string in a value.
fn texts(value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            all.insert(text.clone());
        }
        Value::Array(values) => values.iter().for_each(|value| texts(value, all)),
        Value::Object(members) => members.values().for_each(|value| texts(value, all)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_shown_only_on_request_and_private_ones_never() {
    let simulator = Setup::persons(20).simulator();
    simulator.with_world(|world| {
        for person in &mut world.persons {
            mark(person);
        }
    });
    for args in [&[][..], &["--json"]] {
        let args = [args, &["--sample", "20"]].concat();
        let masked = check(&simulator, &args).await;
        let open = check(&simulator, &[&args[..], &["--show-values"]].concat()).await;
        let exported = run(&["export"], &settings(&simulator.base_url())).await;
        let mut values = BTreeSet::new();
        for line in exported.out.lines() {
            let mut user: Value = serde_json::from_str(line).unwrap();
            for fixed in ["schemas", "emails"] {
                user.as_object_mut().unwrap().remove(fixed);
            }
            user["meta"].as_object_mut().unwrap().remove("resourceType");
            texts(&user, &mut values);
        }
        // Words that the report itself contains prove nothing.
        values.retain(|value| {
            value.len() > 7 && !["department", "INTERNAL", "EXTERNAL"].contains(&value.as_str())
        });
        assert!(values.len() > 100, "{values:?}");
        for value in &values {
            assert!(!masked.out.contains(value.as_str()), "{value}: {}", masked.out);
        }
        for (words, text) in [("masked", &masked.out), ("open", &open.out)] {
            assert!(!text.contains(MARKER), "{words}: {text}");
            assert!(!text.contains('\u{1b}'), "{words}: a label must not drive the terminal");
        }
        let names = simulator.with_world(|world| world.persons[0].last_name.clone().unwrap());
        assert!(open.out.contains(&names), "{}", open.out);
        for word in ["ACTIVE", "ONBOARDING", "LEAVE"] {
            assert!(!masked.out.contains(word), "{word}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_dates_that_contradict_each_other_are_counted() {
    let simulator = Setup::persons(5).simulator();
    assert_eq!(finding(&report(&simulator, 0, &[]).await, "dates")["outcome"], "ok");
    simulator.with_world(|world| {
        for (index, status, start) in [(0, "ACTIVE", "9999-01-01"), (1, "ONBOARDING", "2026-01-01")]
        {
            let employment = &mut world.persons[index].employments[0];
            employment.status = Some(status.to_owned());
            employment.employment_start_date = Some(start.parse().unwrap());
        }
    });
    let found = report(&simulator, 0, &[]).await;
    let found = finding(&found, "dates");
    assert_eq!(found["outcome"], "warn");
    let expected = "of 5 persons, 1 is ACTIVE before the start date; 1 is still ONBOARDING more than 7 days after the start date";
    assert_eq!(found["what"], expected);
    assert!(
        found["remedy"].as_str().unwrap().starts_with("Correct status and dates in Personio."),
        "{found}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn values_from_a_small_set_are_masked_completely() {
    let simulator = Setup::persons(20).simulator();
    let report = report(&simulator, 0, &["--sample", "20"]).await;
    let mut count = 0;
    for row in
        report["persons"].as_array().unwrap().iter().flat_map(|rows| rows.as_array().unwrap())
    {
        let expected = match row["attribute"].as_str().unwrap().rsplit(':').next().unwrap() {
            "active" => "…(true or false)",
            "userType" | "employmentStatus" | "employmentType" => "…(a word)",
            "emails.type" => "work",
            _ => continue,
        };
        assert_eq!(row["value"], expected, "{row}");
        count += 1;
    }
    assert!(count > 60, "{count}");
}

/// Puts markers into every value that must not leave, and into a label that contains a terminal
/// control sequence.
fn mark(person: &mut SimulatedPerson) {
    person.last_name = Some(format!("Lastname{}", person.id));
    person.gender = Some(MARKER.to_owned());
    person.profile_picture = Some(MARKER.to_owned());
    for attribute in &mut person.custom_attributes {
        attribute.value = json!({"a": [MARKER], MARKER: 1});
    }
    person.custom_attributes.push(custom("dynamic_9", "\u{1b}[31mFloor", "STRING", json!(MARKER)));
    for employment in &mut person.employments {
        let termination = employment.termination.get_or_insert_default();
        (termination.termination_type, termination.reason) =
            (Some(MARKER.to_owned()), Some(MARKER.to_owned()));
    }
}

const MAPPING: &str = "active_before_start_days = 14\n\
    employee_number = \"dynamic_777\"\n\
    division = \"team\"\n\
    [users]\nemployments = \"all\"\nmanager_levels = true\n\
    [attributes]\ntitle = \"dynamic_904\"\nlocale = \"dynamic_905\"\n\
    preferredLanguage = \"dynamic_905\"\ntimezone = \"dynamic_906\"\n\
    [values.title]\n\"Pilot\" = \"Captain\"\n\
    [values.userType]\n\"Employee\" = \"Staff\"\n\
    [groups]\nfrom = [\"department\", \"team\", \"legalEntity\", \"office\", \"costCenter\", \"job\"]\n\
    [[custom_attribute]]\nid = \"dynamic_900\"\nname = \"badges\"\nmulti_valued = true\n\
    [[custom_attribute]]\nid = \"dynamic_901\"\nname = \"floor\"\ntype = \"integer\"\n\
    [[custom_attribute]]\nid = \"dynamic_902\"\nname = \"isRemote\"\ntype = \"boolean\"\n\
    [[custom_attribute]]\nid = \"dynamic_903\"\nname = \"share\"\ntype = \"decimal\"\n";

/// Returns a company in which every attribute that can be served has a value, in every form.
fn varied() -> World {
    let now = SystemClock::new().now();
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut world = World::generate(20, 3, now);
    for person in &mut world.persons {
        person.custom_attributes.push(custom(
            "dynamic_900",
            "Badges",
            "LIST",
            json!(["red", " blue "]),
        ));
        person.custom_attributes.push(custom("dynamic_901", "Floor", "STRING", json!(" 7 ")));
        person.custom_attributes.push(custom("dynamic_902", "Remote", "STRING", json!("True")));
        person.custom_attributes.push(custom("dynamic_903", "Share", "DECIMAL", json!("0.50")));
        person.custom_attributes.push(custom("dynamic_905", "Language", "STRING", json!("de")));
        person.custom_attributes.push(custom("dynamic_906", "Zone", "STRING", json!("UTC")));
    }
    for (index, title) in ["Pilot", "Steward"].into_iter().enumerate() {
        let title = custom("dynamic_904", "Role", "STRING", json!(title));
        world.persons[index].custom_attributes.push(title);
    }
    let of = |world: &mut World, index: usize, change: &dyn Fn(&mut SimulatedEmployment)| {
        world.persons[index].employments.iter_mut().for_each(change);
    };
    world.persons[0].email = None;
    world.persons[1].email = world.persons[2].email.clone();
    let person = &mut world.persons[3];
    (person.email, person.first_name, person.last_name, person.preferred_name) =
        (None, None, None, None);
    for (index, days) in [(4, 5), (5, 50)] {
        of(&mut world, index, &|it| {
            (it.status, it.employment_start_date) =
                (Some("ONBOARDING".to_owned()), Some(today + days.days()));
        });
    }
    for (index, status) in [(6, Some("ACTIVE")), (7, Some("INACTIVE")), (8, None)] {
        world.persons[index].status = status.map(str::to_owned);
        of(&mut world, index, &|it| it.status = None);
    }
    of(&mut world, 9, &|it| {
        let day = Some(today - 3.days());
        (it.employment_end_date, it.probation_end_date, it.contract_end_date) = (day, day, day);
        it.termination = Some(SimulatedTermination {
            termination_date: day,
            last_working_day: day,
            ..SimulatedTermination::default()
        });
    });
    of(&mut world, 10, &|it| {
        (it.office, it.supervisor, it.employment_type) =
            (Some("99".to_owned()), Some("98".to_owned()), Some("EXTERNAL".to_owned()));
        it.org_units.push((SimulatedOrgUnitType::Team, "97".to_owned()));
    });
    of(&mut world, 11, &|it| {
        (it.status, it.employment_type) =
            (Some("LEAVE".to_owned()), Some("UNSPECIFIED".to_owned()));
    });
    world.persons[12].employments.clear();
    world.persons[13].updated_at = None;
    world
}

/// Data that Personio returns for one person.
struct UpstreamPerson {
    person: Value,
    employments: Vec<Value>,
}

/// Reads the data of all persons directly from the simulator.
async fn upstream_persons(simulator: &Simulator) -> Vec<UpstreamPerson> {
    let base = simulator.base_url();
    let form = "grant_type=client_credentials&client_id=demo&client_secret=demo-secret";
    let request = http()
        .post(format!("{base}/v2/auth/token"))
        .header("Content-Type", "application/x-www-form-urlencoded");
    let token: Value =
        serde_json::from_str(&request.body(form).send().await.unwrap().text().await.unwrap())
            .unwrap();
    let read = async |path: String| {
        let request = http()
            .get(format!("{base}/v2/{path}?limit=50"))
            .bearer_auth(token["access_token"].as_str().unwrap());
        let text =
            request.timeout(Duration::from_secs(10)).send().await.unwrap().text().await.unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["_data"].as_array().unwrap().clone()
    };
    let mut all = Vec::new();
    for person in read("persons".to_owned()).await {
        let employments =
            read(format!("persons/{}/employments", person["id"].as_str().unwrap())).await;
        all.push(UpstreamPerson { person, employments });
    }
    all
}

/// Returns the texts and numbers that Personio has at a source path such as `employment.position.title`.
fn at(upstream: &UpstreamPerson, employment: Option<&Value>, source: &str) -> Vec<String> {
    let (root, path) = source.split_once('.').unwrap();
    let root = if root == "person" { &upstream.person } else { employment.unwrap() };
    let path: Vec<&str> = path.split('.').collect();
    let found = path.iter().fold(root, |value, step| &value[*step]);
    let mut all = BTreeSet::new();
    texts(found, &mut all);
    numbers(found, &mut all);
    all.into_iter().collect()
}

/// Collects the numbers in a value.
fn numbers(value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::Number(number) => {
            all.insert(number.to_string());
        }
        Value::Array(values) => values.iter().for_each(|value| numbers(value, all)),
        Value::Object(members) => members.values().for_each(|value| numbers(value, all)),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_served_attribute_is_explained_by_personios_values() {
    let simulator = Setup::of(varied()).simulator();
    let mapping = file(MAPPING);
    let config = ["--config", mapping.path().to_str().unwrap()];
    let exported =
        run(&[&["export"], &config[..]].concat(), &settings(&simulator.base_url())).await;
    let users: Vec<Value> =
        exported.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let report =
        report(&simulator, 0, &[&config[..], &["--sample", "20", "--show-values"]].concat()).await;
    let persons = report["persons"].as_array().unwrap();
    let upstream = upstream_persons(&simulator).await;
    assert_eq!((persons.len(), users.len(), upstream.len()), (20, 20, 20));

    let (mut attributes, mut sources) = (BTreeSet::new(), BTreeSet::new());
    for rows in persons {
        let rows = rows.as_array().unwrap();
        let value = |name: &str| {
            rows.iter().find(|row| row["attribute"] == name).map(|row| row["value"].clone())
        };
        let id = value("id").unwrap();
        let mut served = Vec::new();
        leaves("", by_id(&users, id.as_str().unwrap()), &mut served);
        let rendered = |row: &Value| (text(&row["attribute"]), text(&row["value"]));
        let mut explained: Vec<_> = rows.iter().map(rendered).collect();
        // A person without a date of change in Personio gets the time of the load.
        let is_late = |(name, _): &(String, String)| {
            name == "meta.lastModified" && value("meta.lastModified").is_none()
        };
        served.retain(|leaf| !is_late(leaf));
        explained.sort();
        served.sort();
        let differences: Vec<_> =
            explained.iter().zip(&served).filter(|(one, other)| one != other).collect();
        assert!(
            differences.is_empty() && explained.len() == served.len(),
            "check explains what is served: {differences:#?}"
        );

        let upstream = upstream.iter().find(|upstream| upstream.person["id"] == id).unwrap();
        let employment_id =
            value("urn:ietf:params:scim:schemas:extension:personio:2.0:User:employmentId");
        let employment =
            employment_id.and_then(|id| upstream.employments.iter().find(|it| it["id"] == id));
        for row in rows {
            let (attribute, source) = (text(&row["attribute"]), row["source"].as_str());
            let source = source.unwrap_or_else(|| panic!("{attribute} is not explained: {row}"));
            let path = source
                .split([' ', ','])
                .find(|word| word.starts_with("person.") || word.starts_with("employment."));
            let is_path = path.is_some_and(|path| path == source);
            if is_path && !["active", "userType"].contains(&&*attribute) {
                let known = at(upstream, employment, source)
                    .iter()
                    .map(|it| it.to_lowercase())
                    .collect::<Vec<_>>();
                // The server writes timestamps with three digits of a second; Personio sends none.
                let value = text(&row["value"]).to_lowercase().replace(".000z", "z");
                assert!(known.contains(&value), "{row}: {known:?}");
            }
            attributes.insert(attribute);
            sources.insert(source.to_owned());
        }
    }
    // Every announced attribute must occur above; otherwise the test would not cover it.
    let discovery =
        Discovery::new(&ResourceUrls::new("https://scim.example.com"), 1000, &[]).unwrap();
    let kind = discovery.compile_types().unwrap().user;
    for leaf in Projection::new(&kind, &[], &[]).unwrap().leaf_attributes(&kind) {
        let steps: Vec<&str> = kind.path_names(leaf).collect();
        let name = match steps.split_first() {
            Some((urn, names)) if urn.contains(':') => format!("{urn}:{}", names.join(".")),
            _ => steps.join("."),
        };
        assert!(attributes.contains(&name), "{name} is announced, and nobody here has it");
    }
    for part in [
        "person.status",
        "no status that can be read",
        "`personio-` and person.id",
        "without a name",
        "person.custom_attributes with the id dynamic_904",
        "person.custom_attributes with the id dynamic_904, and values.title",
        "employment.type, and values.userType",
        "employment.position.title",
        "person.preferred_name, person.last_name",
    ] {
        assert!(sources.iter().any(|source| source.contains(part)), "{part}: {sources:#?}");
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Collects the values of a resource with their names, without code of the program.
fn leaves(name: &str, value: &Value, all: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                let between = if name.is_empty() {
                    ""
                } else if name.ends_with(":User") {
                    ":"
                } else {
                    "."
                };
                leaves(&format!("{name}{between}{member}"), value, all);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| leaves(name, value, all)),
        scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            all.push((name.to_owned(), text(scalar)))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_cannot_be_read_are_counted_and_named_and_never_shown() {
    let simulator = Setup::persons(30).simulator();
    let ids = simulator.with_world(|world| {
        world.persons.iter().map(|person| person.id.clone()).collect::<Vec<_>>()
    });
    let odd = |endpoint, attribute: &str, value: Value| {
        InjectedFault::on(
            endpoint,
            FaultAction::ChangedEntries { entries: 1, attribute: attribute.to_owned(), value },
        )
    };
    for (endpoint, attribute, value, named) in [
        (SimulatedEndpoint::Persons, "created_at", json!(MARKER), "created_at of person "),
        (
            SimulatedEndpoint::Persons,
            "email",
            json!({"a": MARKER}),
            "email of a person who cannot be read",
        ),
        (SimulatedEndpoint::CostCenters, "name", json!([MARKER]), "name of CostCenter "),
        (
            SimulatedEndpoint::Employments,
            "position",
            json!({"title": {"a": MARKER}}),
            "employments.position.title of person ",
        ),
    ] {
        simulator.add_fault(odd(endpoint, attribute, value));
        let report = report(&simulator, 0, &[]).await;
        let values = finding(&report, "values");
        let what = values["what"].as_str().unwrap();
        assert!(what.contains(named), "{what}");
        assert!(
            named.ends_with("read")
                || endpoint == SimulatedEndpoint::CostCenters
                || ids.iter().any(|id| what.contains(id))
        );
        assert!(!report.to_string().contains(MARKER), "{report}");
        simulator.clear_faults();
    }
    let report = report(&simulator, 0, &[]).await;
    assert!(
        report["findings"].as_array().unwrap().iter().all(|finding| finding["step"] != "values"),
        "{report}"
    );
}
