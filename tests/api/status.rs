//! Tests of the status page: access, content, and that it contains no personal data and loads
//! nothing from other hosts. `tests/conformance/browser` tests its appearance.

use std::net::TcpListener;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use personio_scim::config::EffectiveSetting;
use personio_scim::simulator::{
    FaultAction, InjectedFault, SimulatedEndpoint, SimulatedPerson, World,
};

use crate::harness::{
    NOW, REFRESH_DEBOUNCE, SHORT_TTL, Setup, TOKEN, TestResponse, TestServer, send_request,
    wait_until,
};
use crate::process::{Program, file, get, run, settings};

/// Returns the texts of the page in order, without markup.
fn texts(page: &str) -> Vec<String> {
    let body = page.split_once("<body>").unwrap().1;
    let texts = body.split('<').filter_map(|part| Some(part.split_once('>')?.1.trim()));
    texts.filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

/// Returns the number of a tile, which precedes its label.
#[track_caller]
fn number(page: &str, label: &str) -> usize {
    let texts = texts(page);
    let at =
        texts.iter().position(|text| text == label).unwrap_or_else(|| panic!("{label}: {texts:?}"));
    texts[at - 1].parse().unwrap()
}

/// Returns the texts after the label.
#[track_caller]
fn after<const N: usize>(page: &str, label: &str) -> [String; N] {
    let texts = texts(page);
    let at =
        texts.iter().position(|text| text == label).unwrap_or_else(|| panic!("{label}: {texts:?}"));
    texts[at + 1..=at + N].to_vec().try_into().unwrap()
}

async fn page(bridge: &TestServer) -> String {
    let answer = bridge.get("/status").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.text
}

fn with(bridge: &TestServer, path: &str, headers: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let request = bridge.http.get(format!("{}{path}", bridge.origin));
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

const HTML: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[tokio::test(flavor = "multi_thread")]
async fn the_status_page_requires_a_token() {
    let bridge = Setup::persons(3).start();
    bridge.ready().await;
    let basic =
        |password: &str| format!("Basic {}", STANDARD.encode(format!("whoever:{password}")));
    let challenges = |answer: &TestResponse| {
        let all = answer.headers.get_all("www-authenticate").iter();
        all.map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let wrong = basic("a-token-that-is-wrong");
    for headers in [vec![], vec![("Authorization", wrong.as_str())]] {
        let refused = send_request(with(&bridge, "/status", &headers)).await;
        assert_eq!(refused.status, 401, "{headers:?}");
        assert!(
            challenges(&refused).iter().any(|challenge| challenge.starts_with("Basic ")),
            "{refused:?}"
        );
        assert!(!refused.text.contains("<html"), "{}", refused.text);
    }
    for authorization in [basic(TOKEN), format!("Bearer {TOKEN}")] {
        let seen =
            send_request(with(&bridge, "/status", &[("Authorization", &authorization)])).await;
        assert_eq!(
            (seen.status.as_u16(), seen.header("content-type")),
            (200, "text/html; charset=utf-8")
        );
        assert!(seen.text.starts_with("<!DOCTYPE html>"), "{}", seen.text);
    }
    let posted = send_request(bridge.request(reqwest::Method::POST, "/status")).await;
    posted.scim_error(405, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_without_a_token_gets_a_page() {
    let bridge = Setup::persons(3).start();
    bridge.ready().await;
    let wrong = "Bearer Bearer a-wrong-token-of-somebody";
    let ask = async |accept: &str, authorization: Option<&str>| {
        let mut headers = vec![("Accept", accept)];
        headers.extend(authorization.map(|value| ("Authorization", value)));
        send_request(with(&bridge, "/status", &headers)).await
    };
    let challenges =
        |answer: &TestResponse| answer.headers.get_all("www-authenticate").iter().count();
    for authorization in [None, Some(wrong)] {
        let refused = ask(HTML, authorization).await;
        assert_eq!(
            (refused.status.as_u16(), refused.header("content-type")),
            (401, "text/html; charset=utf-8")
        );
        assert!(refused.text.starts_with("<!DOCTYPE html>"), "{}", refused.text);
        assert!(texts(&refused.text).contains(&"401 Unauthorized".to_owned()), "{}", refused.text);
        assert!(refused.text.contains("enter the token as the password"), "{}", refused.text);
        assert_eq!(
            refused.text.contains("`Bearer` appears twice"),
            authorization.is_some(),
            "{}",
            refused.text
        );
        // A request with a bearer token gets no Basic challenge, which would confuse a client.
        assert_eq!(
            challenges(&refused),
            if authorization.is_some() { 1 } else { 2 },
            "{refused:?}"
        );
        assert!(!refused.header("x-request-id").is_empty(), "{refused:?}");
        let policy = refused.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'")
                && refused.header("cache-control") == "no-store"
        );
        assert_eq!(refused.header("vary"), "Accept");
    }
    for accept in ["*/*", "application/json", "application/scim+json", ""] {
        let refused = ask(accept, None).await;
        assert_eq!(
            (refused.status.as_u16(), refused.json()["status"].as_str()),
            (401, Some("401")),
            "{accept}"
        );
    }
    for _ in 0..5 {
        ask(HTML, Some(wrong)).await;
    }
    let slowed = ask(HTML, Some(wrong)).await;
    assert_eq!((slowed.status.as_u16(), slowed.header("retry-after")), (429, "1"), "{slowed:?}");
    assert!(slowed.text.contains("too many wrong tokens"), "{}", slowed.text);
    // On all other paths a browser is treated as a client.
    let users = send_request(with(&bridge, "/Users", &[("Accept", HTML)])).await;
    users.scim_error(401, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_sent_to_the_page_and_a_client_is_not() {
    let bridge = Setup::persons(3).start();
    bridge.ready().await;
    // The page redirects a browser before authentication. The redirect is relative, because a proxy
    // may add a path.
    for accept in [HTML, "text/html"] {
        let sent = send_request(with(&bridge, "/", &[("Accept", accept)])).await;
        assert_eq!((sent.status.as_u16(), sent.header("location")), (303, "status"), "{accept}");
    }
    let token = format!("Bearer {TOKEN}");
    for accept in
        [None, Some("*/*"), Some("application/scim+json"), Some("application/json, text/html")]
    {
        let mut headers = vec![("Authorization", token.as_str())];
        headers.extend(accept.map(|accept| ("Accept", accept)));
        let list = send_request(with(&bridge, "/", &headers)).await;
        assert_eq!(list.status, 200, "{accept:?}: {}", list.text);
        assert_eq!(list.json()["totalResults"], 3, "{accept:?}");
    }
    let elsewhere =
        send_request(with(&bridge, "/Users", &[("Accept", HTML), ("Authorization", &token)])).await;
    assert_eq!(elsewhere.json()["totalResults"], 3, "only the root is for browsers");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_can_be_switched_off() {
    let bridge = Setup { status_page: false, ..Setup::persons(3) }.start();
    bridge.ready().await;
    bridge.get("/status").await.scim_error(404, None);
    let token = format!("Bearer {TOKEN}");
    let list =
        send_request(with(&bridge, "/", &[("Accept", HTML), ("Authorization", &token)])).await;
    assert_eq!(list.json()["totalResults"], 3, "nobody is sent to where nothing is");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_page_loads_nothing_from_other_hosts() {
    let bridge = Setup::persons(30).start();
    bridge.all_users().await;
    let answer = bridge.get("/status").await;
    let style = answer.text.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let hash = STANDARD.encode(digest(&SHA256, style.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    assert_eq!(answer.header("content-security-policy"), policy);
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert_eq!(answer.header("cache-control"), "no-store");
    // The page shows the base URL as text and not as a link.
    let html = answer.text.replace(&format!("<code>{}/scim/v2</code>", bridge.origin), "");
    assert!(html.len() < answer.text.len());
    for never in [
        "<script",
        "http:",
        "https:",
        "//",
        "url(",
        "@import",
        "style=",
        " src=",
        " href=",
        "javascript:",
    ] {
        assert!(!html.contains(never), "{never}");
    }
}

/// Returns thirty persons, each with one employment, with these statuses.
fn world(states: &[(&str, usize)]) -> World {
    let mut world = World::generate(30, 1, NOW.parse().unwrap());
    let employment =
        world.persons.iter().find_map(|person| person.employments.first()).unwrap().clone();
    let states = states.iter().flat_map(|&(state, count)| std::iter::repeat_n(state, count));
    for (person, state) in world.persons.iter_mut().zip(states) {
        let mut employment = employment.clone();
        employment.id = format!("of-{}", person.id);
        employment.status = Some(state.to_owned());
        person.employments = vec![employment];
        person.email = Some(format!("person.{}@example.com", person.id));
    }
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_are_those_of_the_company() {
    let mut world = world(&[
        ("ACTIVE", 12),
        ("LEAVE", 8),
        ("ONBOARDING", 5),
        ("INACTIVE", 3),
        ("SABBATICAL", 2),
    ]);
    world.persons[..3].iter_mut().for_each(|person| person.email = None);
    world.persons[20..].iter_mut().for_each(|person| person.employments[0].position = None);
    let bridge = Setup::of(world).start();
    bridge.ready().await;
    let page = page(&bridge).await;
    for (label, count) in [
        ("users", 30),
        ("active", 12),
        ("on leave", 8),
        ("onboarding", 5),
        ("inactive", 3),
        ("other", 2),
    ] {
        assert_eq!(number(&page, label), count, "{label}");
    }
    for (attribute, share, count) in [
        ("userName", "100 %", "30"),
        ("emails", "90 %", "27"),
        ("title", "66 %", "20"),
        ("employmentStatus", "100 %", "30"),
        ("groups", "0 %", "0"),
    ] {
        assert_eq!(after(&page, attribute), [share, count], "{attribute}");
    }
    assert!(page.contains("<title>healthy · personio-scim</title>"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_users_and_one_before_the_first_load_have_a_page() {
    let mut setup = Setup::persons(3);
    setup.world.persons.iter_mut().for_each(|person| person.email = None);
    setup.policy.require_email = true;
    let bridge = setup.start();
    bridge.ready().await;
    let empty = page(&bridge).await;
    assert_eq!(number(&empty, "users"), 0);
    assert_eq!(after(&empty, "userName"), ["0 %", "0"]);

    let setup = Setup::persons(3);
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Hang));
    let bridge = setup.start_with(simulator);
    let early = page(&bridge).await;
    // The first load is shown in amber, and the page reloads itself.
    let waiting = "All persons are being read from Personio. Until the load ends, lists return 503. This page reloads \
                   itself.";
    for text in ["loading", waiting, "None has ended yet.", "under way"] {
        assert!(texts(&early).iter().any(|found| found == text), "{text}: {early}");
    }
    assert!(early.contains(r#"<meta http-equiv="refresh" content="5">"#), "{early}");
    assert!(early.contains(r#"<span class="badge warn">loading</span>"#), "{early}");
    assert!(!early.contains(r#"class="bad""#) && !early.contains("down"), "{early}");
    assert!(
        early.contains(r#"<span class="warn">loading</span> <span class="soft">for "#),
        "{early}"
    );
    assert!(!empty.contains("http-equiv"), "{empty}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_where_the_server_is_and_when_it_loads_next() {
    for (every, expected) in
        [(None, "with the first request in 5 min or later"), (Some(600), "in 10 min")]
    {
        let refresh_every = every.map(Duration::from_secs);
        let bridge =
            Setup { refresh_every, cache_ttl: Duration::from_secs(300), ..Setup::persons(3) }
                .start();
        bridge.ready().await;
        let page = page(&bridge).await;
        let base_url = format!("{}/scim/v2", bridge.origin);
        for text in [base_url.as_str(), expected] {
            assert!(texts(&page).iter().any(|found| found == text), "{text}: {page}");
        }
        assert!(page.contains("<td>running</td><td>for "), "{page}");
    }
    let simulator = Setup::persons(3).simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(403)));
    let bridge = Setup::persons(3).start_with(simulator);
    bridge.failure().await;
    let page = page(&bridge).await;
    assert!(page.contains("with the first request in ") && page.contains("not ready"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_asks_personio_for_nothing() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(5) }.start();
    bridge.ready().await;
    bridge.clock.age(SHORT_TTL);
    bridge.simulator.reset_history();
    for _ in 0..3 {
        page(&bridge).await;
    }
    bridge.clock.age(2 * REFRESH_DEBOUNCE);
    // The task of the scheduler is the only one: no load waits for the end of the debounce.
    bridge.clock.settle(1).await;
    assert!(
        bridge.simulator.received_requests().is_empty(),
        "{:?}",
        bridge.simulator.received_requests()
    );
    assert_eq!(bridge.directory().history().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_page_shows_loads_and_client_requests() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(5) }.start();
    bridge.reloaded().await;
    bridge.get("/scim/v2/Users?filter=x").await.scim_error(400, Some("invalidFilter"));
    bridge.get("/scim/v2/Users?count=1").await;
    // Requests for unimplemented endpoints do not count as failures.
    bridge.get("/scim/v2/Me").await.scim_error(501, None);
    bridge.get("/scim/v2/Bulk").await.scim_error(501, None);
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(500)));
    bridge.reloaded().await;
    bridge.failure().await;
    // Requests for the page do not count as requests of a client.
    page(&bridge).await;
    let failed = page(&bridge).await;
    let texts = texts(&failed);
    let begin = texts.iter().position(|text| text == "Clients").unwrap();
    let client: Vec<&str> = texts[begin + 7..begin + 14].iter().map(String::as_str).collect();
    assert_eq!(
        (client[0], client[2], client[3]),
        ("client", "/scim/v2/Users", "200, 5 resources"),
        "{texts:?}"
    );
    assert_eq!(client[5..], ["3", "0"], "three were refused and none failed: {texts:?}");
    assert!(texts.iter().any(|text| text == "1 failed"), "{texts:?}");
    assert!(
        texts.iter().any(|text| text.contains("500") && text.contains("/v2/persons")),
        "{texts:?}"
    );
    assert!(failed.contains("<title>degraded · personio-scim</title>"), "{failed}");
    assert!(!texts.iter().any(|text| text == "/status"), "{texts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_page_shows_a_held_change_with_its_numbers() {
    let setup =
        Setup { cache_ttl: SHORT_TTL, max_change: 0.2, ..Setup::of(world(&[("ACTIVE", 30)])) };
    let bridge = Setup { refresh_wait: Duration::from_secs(60), ..setup }.start();
    bridge.all_users().await;
    let headline = "A change is held back";
    assert!(!page(&bridge).await.contains(headline));
    let change =
        |person: &mut SimulatedPerson| person.employments[0].status = Some("INACTIVE".to_owned());
    bridge.simulator.with_world(|world| {
        world.persons.truncate(28);
        world.persons[..9].iter_mut().for_each(change);
    });
    bridge.reloaded().await;
    let held = page(&bridge).await;
    assert!(held.contains(headline) && held.contains("from 11 of 30 users"), "{held}");
    assert_eq!((number(&held, "would disappear"), number(&held, "would become inactive")), (2, 9));
    assert_eq!(
        (number(&held, "users"), number(&held, "active")),
        (30, 30),
        "what was served is served on"
    );
    let [.., newest] = after::<4>(&held, "outcome");
    assert_eq!(newest, "held back");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_shown_as_escaped_text() {
    let setting = |flag: &str, value: Option<&str>, is_given| EffectiveSetting {
        flag: flag.to_owned(),
        value: value.map(str::to_owned),
        is_given,
    };
    let settings = vec![
        setting("--config", Some("<b>&\"'.toml"), true),
        setting("--cache-ttl", Some("5m"), false),
        setting("--state-file", None, false),
    ];
    let bridge = Setup { effective_settings: settings, ..Setup::persons(3) }.start();
    let page = page(&bridge).await;
    assert!(page.contains("&lt;b&gt;&amp;&quot;'.toml") && !page.contains("<b>&"), "{page}");
    assert_eq!(after(&page, "--cache-ttl"), ["5m", "(default)"]);
    assert_eq!(after(&page, "--state-file"), ["not set"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_page_contains_no_personal_data() {
    let setup = Setup { cache_ttl: SHORT_TTL, max_change: 0.2, ..Setup::persons(200) };
    let bridge = Setup { refresh_wait: Duration::from_secs(60), ..setup }.start();
    let users = bridge.all_users().await;
    let persons = bridge.simulator.with_world(|world| {
        let persons = world.persons.clone();
        world.persons.truncate(20);
        persons
    });
    bridge.get(&format!("/scim/v2/Users/{}", persons[0].id)).await;
    bridge
        .get(&format!("/scim/v2/Users/{}", persons[1].email.as_deref().unwrap_or("x@example.com")))
        .await;
    bridge.reloaded().await;
    assert!(bridge.directory().held_change().is_some());
    bridge.simulator.add_fault(InjectedFault::on(
        SimulatedEndpoint::Persons,
        FaultAction::CustomBody(400, "text/html", "<script>Erika</script>".into()),
    ));
    bridge.reloaded().await;
    bridge.failure().await;
    let page = page(&bridge).await;
    assert!(!page.contains("<script") && !page.contains("Erika"), "{page}");
    let texts = texts(&page);
    let words: Vec<&str> =
        texts.iter().flat_map(|text| text.split(|c: char| !c.is_alphanumeric())).collect();
    let mut looked_for = 0;
    for person in &persons {
        let names = [&person.first_name, &person.last_name, &person.preferred_name, &person.email]
            .into_iter()
            .flatten();
        let titles =
            person.employments.iter().filter_map(|employment| employment.position.as_ref());
        for text in names.chain(titles) {
            let is_there = if text.contains(' ') || text.contains('@') {
                page.contains(text.as_str())
            } else {
                words.contains(&text.as_str())
            };
            assert!(!is_there, "{text}");
            looked_for += 1;
        }
        assert!(!words.contains(&person.id.as_str()), "{}", person.id);
    }
    assert!(looked_for > 400 && users.len() == 200, "{looked_for}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_can_have_an_address_of_their_own() {
    let bridge = Setup { has_metrics_address: true, ..Setup::persons(3) }.start();
    bridge.ready().await;
    let origin = bridge.metrics_origin.clone().unwrap();
    let at = async |path: &str| send_request(bridge.http.get(format!("{origin}{path}"))).await;
    assert!(at("/metrics").await.text.contains("personio_scim_users 3"));
    assert_eq!(at("/health/ready").await.json()["status"], "ok");
    assert_eq!(at("/health/live").await.json()["status"], "ok");
    for path in ["/Users", "/scim/v2/Users", "/status", "/"] {
        at(path).await.scim_error(404, None);
        let request = bridge
            .http
            .get(format!("{origin}{path}"))
            .header("Authorization", format!("Bearer {TOKEN}"));
        send_request(request).await.scim_error(404, None);
    }
    bridge.get("/metrics").await.scim_error(404, None);
    assert_eq!(bridge.health().await.0, 200, "health is at both");
    let counted = at("/metrics").await.text;
    assert!(!counted.contains("route=\"/metrics\""), "who measures is not counted: {counted}");
    drop(bridge);
    let http = crate::harness::http();
    wait_until("both have stopped", async || {
        http.get(format!("{origin}/metrics")).send().await.is_err()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_running_server_is_on_the_page() {
    let simulator = Setup::persons(3).simulator();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let clients = file("[[client]]\nname = \"okta\"\ntoken = \"a-secret-token-of-okta\"\n");
    let upstream = simulator.base_url();
    let mut variables = settings(&upstream);
    variables.extend([
        ("SCIM_WEBHOOK_TOKEN", "a-secret-of-the-webhooks"),
        ("SCIM_STATE_FILE", state.to_str().unwrap()),
        ("SCIM_CONFIG", clients.path().to_str().unwrap()),
        ("SCIM_METRICS_LISTEN", "127.0.0.1:0"),
    ]);
    let key = "a-secret-that-is-long-enough-to-be-a-key";
    let program = Program::start(&["serve", "--state-key", key], &variables);
    let url = program.base_url().await.replace("/scim/v2", "/status");
    let page = get(&url, TOKEN).await.text;
    for secret in ["demo-secret", TOKEN, "a-secret-of-the-webhooks", "a-secret-token-of-okta", key]
    {
        assert!(!page.contains(secret), "{secret}: {page}");
    }
    for setting in ["--personio-client-secret", "--bearer-token", "--webhook-token", "--state-key"]
    {
        assert_eq!(after(&page, setting), ["(a secret)"], "{setting}");
    }
    assert_eq!(after(&page, "--personio-base-url"), [upstream]);
    assert_eq!(after(&page, "--cache-ttl"), ["5m", "(default)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_for_metrics_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let mut variables = settings("http://127.0.0.1:9");
    variables.push(("SCIM_METRICS_LISTEN", &listen));
    run(&["serve"], &variables).await.complains(1, "(--metrics-listen, SCIM_METRICS_LISTEN)");
}
