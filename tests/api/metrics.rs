//! What `/metrics` says, read as strictly as a scraper that wants OpenMetrics 1.0 would.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use personio_scim::simulator::{Action, Endpoint, Fault};
use reqwest::Method;

use crate::harness::{Bridge, PAUSE_OVER, SHORT, Setup, answer, until};

const WEBHOOK_TOKEN: &str = "a-webhook-token-for-tests";

/// The samples of a text, by name and labels; fails unless every line is as it must be.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("no end: {text}"));
    let (mut family, mut described, mut samples) = (String::new(), BTreeSet::new(), BTreeMap::new());
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
            assert!(samples.insert(name.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
        }
    }
    samples
}

/// What a scraper without a token reads.
async fn scrape(bridge: &Bridge) -> BTreeMap<String, f64> {
    let answer = answer(bridge.http.get(format!("{}/metrics", bridge.origin))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    samples(&answer.text)
}

/// All that is ever said, without data to serve and with some.
const ALWAYS: [&str; 8] = [
    "personio_scim_change_is_held_back",
    "personio_scim_changes_held_back_total",
    "personio_scim_loads_total{outcome=\"failed\"}",
    "personio_scim_loads_total{outcome=\"succeeded\"}",
    "personio_scim_state_file_writes_total{outcome=\"failed\"}",
    "personio_scim_state_file_writes_total{outcome=\"succeeded\"}",
    "personio_scim_webhook_notices_total{outcome=\"accepted\"}",
    "personio_scim_webhook_notices_total{outcome=\"refused\"}",
];
const WITH_DATA: [&str; 4] = [
    "personio_scim_outdated_users",
    "personio_scim_snapshot_age_seconds",
    "personio_scim_unconfirmed_users",
    "personio_scim_users",
];

#[tokio::test(flavor = "multi_thread")]
async fn loads_and_data_are_counted() {
    let setup = Setup { cache_ttl: SHORT, ..Setup::persons(30) };
    let simulator = setup.simulator();
    simulator.fail(Fault::on(Endpoint::Persons, Action::Status(403)));
    let bridge = setup.start_with(simulator);
    bridge.failure().await;
    let now = scrape(&bridge).await;
    assert_eq!(now.keys().collect::<Vec<_>>(), ALWAYS, "no users are not the same as none");
    assert_eq!((now[ALWAYS[2]], now[ALWAYS[3]]), (1.0, 0.0));

    bridge.simulator.heal();
    bridge.clock.pass(PAUSE_OVER);
    bridge.ready().await;
    until("the load is counted", async || scrape(&bridge).await[ALWAYS[3]] > 0.0).await;
    let now = scrape(&bridge).await;
    let names: BTreeSet<&str> = ALWAYS.into_iter().chain(WITH_DATA).collect();
    assert_eq!(now.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
    assert_eq!((now[ALWAYS[2]], now[ALWAYS[3]], now[WITH_DATA[3]]), (1.0, 1.0, 30.0));

    bridge.simulator.with_world(|world| world.persons.truncate(20));
    bridge.reloaded().await;
    bridge.clock.pass(Duration::from_millis(90_500));
    let now = scrape(&bridge).await;
    assert_eq!((now[ALWAYS[2]], now[ALWAYS[3]], now[WITH_DATA[3]]), (1.0, 2.0, 20.0));
    assert!((now[WITH_DATA[1]] - 90.5).abs() < 1e-6, "{now:?}");
    bridge.simulator.reset_counts();
    scrape(&bridge).await;
    assert!(bridge.simulator.log().is_empty(), "whoever measures asks for nothing upstream");
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
        answer(request.header("Authorization", token).body(body)).await;
    }
    let now = scrape(&bridge).await;
    assert_eq!((now[ALWAYS[6]], now[ALWAYS[7]]), (2.0, 3.0));
    until("the load that followed is counted", async || scrape(&bridge).await[ALWAYS[3]] >= 2.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_read_and_nothing_else() {
    let bridge = Setup::persons(3).start();
    let url = format!("{}/metrics", bridge.origin);
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let answer = answer(bridge.http.request(method, &url)).await;
        answer.scim_error(405, None);
        assert_eq!(answer.header("allow"), "GET, HEAD");
    }
    let head = answer(bridge.http.head(&url)).await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
}
