//! Tests of `/metrics`, parsed as strictly as an OpenMetrics 1.0 scraper does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use personio_scim::auth::{AuthSettings, Client, ClientName};
use personio_scim::clock::Clock;
use personio_scim::directory::LoadOutcome;
use personio_scim::simulator::{FaultAction, InjectedFault, SimulatedEndpoint};
use reqwest::Method;

use crate::harness::{
    AFTER_COOL_DOWN, REFRESH_DEBOUNCE, SHORT_TTL, Setup, TestServer, auth_settings, send_request,
    wait_until,
};

const WEBHOOK_TOKEN: &str = "a-webhook-token-for-tests";

/// Parses the samples by name and labels, and asserts the format of every line.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("no end: {text}"));
    let (mut family, mut described, mut samples) =
        (String::new(), BTreeSet::new(), BTreeMap::new());
    for line in lines.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let words: Vec<&str> = rest.splitn(3, ' ').collect();
            assert!(["HELP", "TYPE"].contains(&words[0]) && !words[2].is_empty(), "{line}");
            assert!(described.insert((words[0].to_owned(), words[1].to_owned())), "twice: {line}");
            family = words[1].to_owned();
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with(&family), "{line} is not of {family}");
            assert!(described.contains(&("TYPE".to_owned(), family.clone())), "{line} has no type");
            assert!(
                samples.insert(name.to_owned(), value.parse().unwrap()).is_none(),
                "twice: {line}"
            );
        }
    }
    samples
}

/// Reads the metrics without a token, as a scraper does.
async fn scrape(bridge: &TestServer) -> BTreeMap<String, f64> {
    let answer = send_request(bridge.http.get(format!("{}/metrics", bridge.origin))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    samples(&answer.text)
}

/// Returns the names of the samples that exist from the start, independent of requests and loads.
fn plain(samples: &BTreeMap<String, f64>) -> BTreeSet<&str> {
    let busy = ["http_", "upstream_", "load_seconds_", "last_load_"]
        .map(|name| format!("personio_scim_{name}"));
    let names = samples.keys().map(String::as_str);
    names.filter(|name| !busy.iter().any(|busy| name.starts_with(busy))).collect()
}

/// Names of the samples that exist with and without data.
const PERMANENT_METRICS: [&str; 30] = [
    "personio_scim_change_is_held_back",
    "personio_scim_changes_held_back_total",
    "personio_scim_loads_total{outcome=\"failed\"}",
    "personio_scim_loads_total{outcome=\"succeeded\"}",
    "personio_scim_state_file_writes_total{outcome=\"failed\"}",
    "personio_scim_state_file_writes_total{outcome=\"succeeded\"}",
    "personio_scim_webhook_notices_total{outcome=\"accepted\"}",
    "personio_scim_webhook_notices_total{outcome=\"refused\"}",
    concat!("personio_scim_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"),
    "personio_scim_cache_requests_total{cache=\"single\",outcome=\"hit\"}",
    "personio_scim_cache_requests_total{cache=\"single\",outcome=\"miss\"}",
    "personio_scim_cache_requests_total{cache=\"snapshot\",outcome=\"hit\"}",
    "personio_scim_cache_requests_total{cache=\"snapshot\",outcome=\"miss\"}",
    "personio_scim_snapshots_published_total",
    "personio_scim_connections_closed_total{reason=\"answer not read\"}",
    "personio_scim_connections_closed_total{reason=\"no TLS\"}",
    "personio_scim_connections_closed_total{reason=\"request too slow\"}",
    "personio_scim_connections_closed_total{reason=\"too many from one address\"}",
    "personio_scim_connections_closed_total{reason=\"too many with a token\"}",
    "personio_scim_connections_closed_total{reason=\"too many\"}",
    "personio_scim_connections_closed_total{reason=\"too much unread\"}",
    "personio_scim_connections_closed_total{reason=\"unexpected TLS\"}",
    "personio_scim_connections_limit",
    "personio_scim_connections_open{client=\"known\"}",
    "personio_scim_connections_open{client=\"overflow\"}",
    "personio_scim_connections_open{client=\"unknown\"}",
    "personio_scim_log_lines_dropped_total",
    "personio_scim_open_files",
    "personio_scim_open_files_limit",
    "personio_scim_credential_refused",
];
const WITH_DATA: [&str; 5] = [
    "personio_scim_outdated_users",
    "personio_scim_snapshot_age_seconds",
    "personio_scim_unconfirmed_users",
    "personio_scim_users",
    "personio_scim_groups",
];

#[tokio::test(flavor = "multi_thread")]
async fn loads_and_data_are_counted() {
    let setup = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(30) };
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(403)));
    let bridge = setup.start_with(simulator);
    bridge.failure().await;
    let now = scrape(&bridge).await;
    assert_eq!(plain(&now), BTreeSet::from(PERMANENT_METRICS), "no users are not the same as none");
    assert_eq!((now[PERMANENT_METRICS[2]], now[PERMANENT_METRICS[3]]), (1.0, 0.0));

    bridge.simulator.clear_faults();
    bridge.clock.pass(AFTER_COOL_DOWN);
    bridge.ready().await;
    wait_until("the load is counted", async || scrape(&bridge).await[PERMANENT_METRICS[3]] > 0.0)
        .await;
    let now = scrape(&bridge).await;
    let names: BTreeSet<&str> = PERMANENT_METRICS.into_iter().chain(WITH_DATA).collect();
    assert_eq!(plain(&now), names);
    assert_eq!(
        (now[PERMANENT_METRICS[2]], now[PERMANENT_METRICS[3]], now[WITH_DATA[3]]),
        (1.0, 1.0, 30.0)
    );

    bridge.simulator.with_world(|world| world.persons.truncate(20));
    bridge.reloaded().await;
    bridge.clock.pass(Duration::from_millis(90_500));
    let now = scrape(&bridge).await;
    assert_eq!(
        (now[PERMANENT_METRICS[2]], now[PERMANENT_METRICS[3]], now[WITH_DATA[3]]),
        (1.0, 2.0, 20.0)
    );
    assert!((now[WITH_DATA[1]] - 90.5).abs() < 1e-6, "{now:?}");
    bridge.simulator.reset_history();
    scrape(&bridge).await;
    assert!(
        bridge.simulator.received_requests().is_empty(),
        "whoever measures asks for nothing upstream"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_counted() {
    let bridge = Setup { webhook_token: Some(WEBHOOK_TOKEN), ..Setup::persons(3) }.start();
    bridge.ready().await;
    let ping = "{\"event_name\": \"ping\"}";
    for (token, body) in [
        (WEBHOOK_TOKEN, ping),
        (WEBHOOK_TOKEN, "{\"event_name\": \"person.updated\"}"),
        (WEBHOOK_TOKEN, "[]"),
        ("another-token-for-tests", ping),
        ("", ping),
    ] {
        let request = bridge.http.post(format!("{}/webhooks/personio", bridge.origin));
        send_request(request.header("Authorization", token).body(body)).await;
    }
    let now = scrape(&bridge).await;
    assert_eq!((now[PERMANENT_METRICS[6]], now[PERMANENT_METRICS[7]]), (2.0, 3.0));
    wait_until("the load that followed is counted", async || {
        bridge.clock.age(REFRESH_DEBOUNCE);
        scrape(&bridge).await[PERMANENT_METRICS[3]] >= 2.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_accepts_only_get_and_head() {
    let bridge = Setup::persons(3).start();
    let url = format!("{}/metrics", bridge.origin);
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let answer = send_request(bridge.http.request(method, &url)).await;
        answer.scim_error(405, None);
        assert_eq!(answer.header("allow"), "GET, HEAD");
    }
    let head = send_request(bridge.http.head(&url)).await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_route_status_and_client() {
    let bridge = Setup::persons(30).start();
    let users = bridge.all_users().await;
    bridge.get(&format!("/scim/v2/Users/{}", users[0]["id"].as_str().unwrap())).await;
    bridge.get("/scim/v2/Users?filter=userName+eq+%22somebody%40example.com%22").await;
    bridge.get("/scim/v2/Users/nobody").await.scim_error(404, None);
    bridge.get("/scim/v2/Nothing/somebody@example.com").await.scim_error(404, None);
    bridge.get("/scim/v2/Users?filter=x").await.scim_error(400, Some("invalidFilter"));
    send_request(bridge.http.get(format!("{}/scim/v2/Users", bridge.origin)))
        .await
        .scim_error(401, None);
    let strange = Method::from_bytes(b"SOMEBODY").unwrap();
    send_request(bridge.request(strange, "/scim/v2/Users")).await;
    let text = bridge.get("/metrics").await.text;
    let samples = samples(&text);
    let count = |route: &str, status: u16, client: &str| {
        let labels = format!("{{route=\"{route}\",status=\"{status}\",client=\"{client}\"}}");
        samples
            .get(&format!("personio_scim_http_requests_total{labels}"))
            .copied()
            .unwrap_or_default()
    };
    assert_eq!(count("/scim/v2/Users", 200, "client"), 2.0);
    assert_eq!(count("/scim/v2/Users", 400, "client"), 1.0);
    assert_eq!(count("/scim/v2/Users", 401, "none"), 1.0);
    assert_eq!(
        (count("/scim/v2/Users/{id}", 200, "client"), count("/scim/v2/Users/{id}", 404, "client")),
        (1.0, 1.0)
    );
    let times = "personio_scim_http_request_seconds_count{route=\"/scim/v2/Users/{id}\"}";
    assert_eq!(samples[times], 2.0);
    for secret in ["example.com", "nobody", "Nothing", "SOMEBODY", "filter"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn upstream_requests_and_load_costs_are_counted() {
    let setup = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(60) };
    let simulator = setup.simulator();
    simulator.add_fault(
        InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(503)).times(1),
    );
    simulator.add_fault(
        InjectedFault::on(SimulatedEndpoint::Workplaces, FaultAction::ConnectionReset).times(1),
    );
    let bridge = setup.start_with(simulator);
    bridge.all_users().await;
    let samples = scrape(&bridge).await;
    let upstream = |route: &str, status: &str| {
        let labels = format!("{{endpoint=\"{route}\",status=\"{status}\"}}");
        samples
            .get(&format!("personio_scim_upstream_requests_total{labels}"))
            .copied()
            .unwrap_or_default()
    };
    assert_eq!((upstream("/v2/persons", "200"), upstream("/v2/persons", "503")), (2.0, 1.0));
    assert_eq!(upstream("/v2/persons/{id}/employments", "200"), 60.0);
    assert_eq!(
        (upstream("/v2/auth/token", "200"), upstream("/v2/workplaces", "no answer")),
        (1.0, 1.0)
    );
    let retries = "personio_scim_upstream_retries_total{endpoint=\"/v2/persons\"}";
    assert_eq!(samples[retries], 1.0);
    let all: f64 = samples
        .iter()
        .filter(|(name, _)| name.contains("upstream_requests_total"))
        .map(|(_, n)| n)
        .sum();
    assert_eq!(samples["personio_scim_upstream_wait_seconds_count"], all);
    assert_eq!(samples["personio_scim_load_seconds_count"], 1.0);
    let now = bridge.clock.now().as_second() as f64;
    assert_eq!(samples["personio_scim_last_load_success_timestamp_seconds"], now);
    let [load] = &bridge.directory().history()[..] else { panic!("one load has ended") };
    assert_eq!((load.requests as f64, &load.outcome), (all, &LoadOutcome::Published(60)));
}

#[tokio::test(flavor = "multi_thread")]
async fn cache_hits_and_single_fetches_are_counted() {
    let bridge = Setup::persons(30).start();
    bridge.ready().await;
    let hits = async |cache: &str| {
        let samples = scrape(&bridge).await;
        let of = |outcome: &str| {
            samples[&format!(
                "personio_scim_cache_requests_total{{cache=\"{cache}\",outcome=\"{outcome}\"}}"
            )]
        };
        (of("hit"), of("miss"))
    };
    for _ in 0..3 {
        bridge.all_users().await;
    }
    assert_eq!(hits("snapshot").await, (3.0, 0.0));
    assert_eq!(scrape(&bridge).await["personio_scim_snapshots_published_total"], 1.0);

    let mut setup = Setup::persons(30);
    setup.tuning.upstream_timeout = Duration::from_secs(600);
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Hang).times(1));
    let id = setup.world.persons[3].id.clone();
    let bridge = setup.start_with(simulator);
    wait_until("the first load hangs", async || {
        bridge.simulator.request_count(SimulatedEndpoint::Persons) == 1
    })
    .await;
    for _ in 0..2 {
        assert_eq!(bridge.get(&format!("/Users/{id}")).await.status, 200);
    }
    let samples = scrape(&bridge).await;
    let single = |outcome: &str| {
        samples[&format!(
            "personio_scim_cache_requests_total{{cache=\"single\",outcome=\"{outcome}\"}}"
        )]
    };
    assert_eq!((single("hit"), single("miss")), (1.0, 1.0));
}

/// Returns settings with a second client, whose token expires in 2030.
fn settings_with_an_expiring_token() -> AuthSettings {
    let mut settings = auth_settings(None);
    let expires = "2030-01-01T00:00:00Z".parse().ok();
    let name = ClientName::parse("okta").unwrap();
    settings.clients.push(Client { name, expires, ..settings.clients[0].clone() });
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn expiring_tokens_and_a_refused_credential_are_reported() {
    let setup =
        Setup { auth_settings: Some(settings_with_an_expiring_token()), ..Setup::persons(3) };
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Token, FaultAction::Status(503)));
    let bridge = setup.start_with(simulator);
    // An unreachable Personio refuses nothing.
    for (action, is_refused) in [(None, 0.0), (Some(FaultAction::Status(401)), 1.0)] {
        if let Some(action) = action {
            bridge.simulator.clear_faults();
            bridge.simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Token, action));
        }
        bridge.get("/Users").await.scim_error(503, None);
        bridge.failure().await;
        let samples = scrape(&bridge).await;
        assert_eq!(samples["personio_scim_credential_refused"], is_refused);
        bridge.clock.pass(AFTER_COOL_DOWN);
    }
    bridge.simulator.clear_faults();
    bridge.all_users().await;
    let samples = scrape(&bridge).await;
    assert_eq!(samples["personio_scim_credential_refused"], 0.0);
    let expires = "personio_scim_client_token_expires_timestamp_seconds{client=\"okta\"}";
    assert_eq!(samples[expires], 1_893_456_000.0);
    let of_all = |name: &&String| name.starts_with("personio_scim_client_token_expires");
    assert_eq!(samples.keys().filter(of_all).count(), 1, "the other token does not expire");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_documented_and_no_other() {
    let auth_settings = Some(settings_with_an_expiring_token());
    let setup = Setup { cache_ttl: SHORT_TTL, auth_settings, ..Setup::persons(30) };
    let simulator = setup.simulator();
    simulator.add_fault(
        InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(503)).times(1),
    );
    let bridge = setup.start_with(simulator);
    bridge.all_users().await;
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(500)));
    bridge.reloaded().await;
    bridge.failure().await;
    let text = bridge.get("/metrics").await.text;
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let names: BTreeSet<String> = families
        .map(|(name, kind)| match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        })
        .collect();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md"))
        .unwrap();
    let mut documented: BTreeSet<String> = page
        .split('`')
        .filter(|word| word.starts_with("personio_scim_"))
        .map(str::to_owned)
        .collect();
    // It needs TLS: see `tls::a_list_is_read_over_tls_whatever_the_form_of_the_key`.
    assert!(documented.remove("personio_scim_certificate_expires_timestamp_seconds"));
    assert_eq!(documented, names);
}
