//! Tests of authentication: several clients with either scheme, expiry and networks of tokens, and
//! the throttling of wrong tokens.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use personio_scim::auth::{AuthSettings, Client, ClientName, Networks, TokenHash};
use reqwest::Method;
use serde_json::Value;

use crate::harness::{
    NOW, SHORT_TTL, Setup, TOKEN, TestResponse, TestServer, auth_settings, send_request,
};

const OKTA: &str = "a-token-of-okta";
const OTHER: &str = "a-token-of-another";

fn client(name: &str, token: &str) -> Client {
    Client::unrestricted(ClientName::parse(name).unwrap(), TokenHash::from_token(token.as_bytes()))
}

fn networks(names: &[&str]) -> Networks {
    Networks::parse(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

/// Starts a server with these settings and waits for its data.
async fn start_server(auth_settings: AuthSettings) -> TestServer {
    let bridge = Setup { auth_settings: Some(auth_settings), ..Setup::persons(5) }.start();
    bridge.ready().await;
    bridge
}

fn clients() -> AuthSettings {
    AuthSettings {
        clients: vec![client("okta", OKTA), client("other", OTHER)],
        ..AuthSettings::default()
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// Sends a GET with these headers.
async fn get(bridge: &TestServer, path: &str, headers: &[(&str, &str)]) -> TestResponse {
    let request = bridge.http.get(format!("{}{path}", bridge.origin));
    send_request(
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)),
    )
    .await
}

async fn with_token(bridge: &TestServer, path: &str, token: &str) -> TestResponse {
    get(bridge, path, &[("Authorization", &format!("Bearer {token}"))]).await
}

fn challenges(answer: &TestResponse) -> Vec<&str> {
    answer.headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_authenticates_with_its_token_by_bearer_and_basic() {
    let bridge = start_server(clients()).await;
    for (header, expected) in [
        (format!("Bearer {OKTA}"), 200),
        (format!("bearer   {OTHER} "), 200),
        (basic("okta", OKTA), 200),
        (basic("anybody", OTHER), 200),
        (basic("", OKTA), 200),
        (basic("okta", OKTA).replace("Basic", "bASIC"), 200),
        (OKTA.to_owned(), 200),
        (format!("Bearer Bearer {OKTA}"), 200),
        (format!("Bearer: {OKTA}"), 200),
        (format!("Bearer:{OKTA}"), 200),
        (format!("bearer \"{OKTA}\""), 200),
        (format!("'Bearer {OKTA}'"), 200),
        (format!("Bearer <{OKTA}>"), 200),
        (format!("Token {OKTA}"), 200),
        (basic(OKTA, ""), 200),
        (basic("okta", &format!("Bearer {OKTA}")), 200),
        (basic("okta", &format!("{OKTA}\r\n")), 200),
        (format!("Bearer {TOKEN}"), 401),
        (format!("Bearer {OKTA}{OTHER}"), 401),
        (format!("Bearer {OKTA}:"), 401),
        (format!("Bearer {}", &OKTA[1..]), 401),
        (format!("Digest {OKTA}"), 401),
        (format!("Bearer {OKTA} {OTHER}"), 401),
        (format!("Bearer {OKTA}, Bearer {OTHER}"), 401),
        (format!("\"Bearer {}\"", &OKTA[1..]), 401),
        ("Bearer".to_owned(), 401),
        ("Bearer okta".to_owned(), 401),
        (basic(OKTA, "okta"), 401),
        (basic(&OKTA[1..], ""), 401),
        (format!("Basic {OKTA}"), 401),
        ("Basic".to_owned(), 401),
        (String::new(), 401),
    ] {
        for path in ["/scim/v2/Users", "/Users", "/scim/v2/Schemas"] {
            let answer = get(&bridge, path, &[("Authorization", &header)]).await;
            assert_eq!(answer.status, expected, "{header} {path}: {}", answer.text);
            if expected != 200 {
                let detail = answer.scim_error(expected, None);
                assert!(detail.contains("bearer token is"), "{header}: {detail}");
                assert!(
                    !answer.text.contains(OKTA) && !format!("{:?}", answer.headers).contains(OKTA),
                    "{answer:?}"
                );
            }
            // Time passes so that no row is throttled.
            bridge.clock.pass(Duration::from_secs(60));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_token_is_refused_with_an_explanation() {
    let bridge = start_server(clients()).await;
    let wrong = "a-token-that-nobody-has";
    let rows = [
        (format!("Bearer {wrong}"), None),
        (String::new(), None),
        ("Bearer".to_owned(), Some("a scheme without a token after it")),
        (wrong.to_owned(), Some("has no scheme: write `Bearer`")),
        (format!("Token {wrong}"), Some("is Token: write `Bearer` instead")),
        (format!("ApiKey {wrong}"), Some("is neither Bearer nor Basic")),
        (format!("Bearer Bearer {wrong}"), Some("`Bearer` appears twice")),
        (format!("Bearer: {wrong}"), Some("a colon or an equals sign after `Bearer`")),
        (format!("Bearer \"{wrong}\""), Some("in quotes or angle brackets")),
        ("Bearer $SCIM_TOKEN".to_owned(), Some("the name of a variable without its value")),
        (format!("Bearer {wrong} {wrong}"), Some("there is a space in the token")),
        (basic("okta", wrong), Some("the password of HTTP Basic must be the token")),
        (basic(wrong, ""), Some("the password of HTTP Basic is empty")),
        (format!("Basic {wrong}"), Some("is not Base64")),
    ];
    for (header, slip) in &rows {
        let detail =
            get(&bridge, "/Users", &[("Authorization", header)]).await.scim_error(401, None);
        assert_eq!(detail.split_once(" (").is_some(), slip.is_some(), "{header}: {detail}");
        assert!(detail.contains(slip.unwrap_or("bearer token is")), "{header}: {detail}");
        assert!(!detail.contains(wrong), "{header}: {detail}");
        bridge.clock.pass(Duration::from_secs(60));
    }
    // A throttled address gets the same explanation.
    for _ in 0..6 {
        get(&bridge, "/Users", &[("Authorization", "Bearer a-guess-of-somebody")]).await;
    }
    let slowed =
        get(&bridge, "/Users", &[("Authorization", &format!("Bearer Bearer {wrong}"))]).await;
    let detail = slowed.scim_error(429, None);
    assert!(
        detail.starts_with("too many wrong tokens") && detail.contains("`Bearer` appears twice"),
        "{detail}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn challenges_describe_the_error_and_list_bearer_first() {
    let bridge = start_server(clients()).await;
    let (plain, basic_challenge) =
        ("Bearer realm=\"scim\"", "Basic realm=\"scim\", charset=\"UTF-8\"");
    let missing = get(&bridge, "/Users", &[]).await;
    assert_eq!(challenges(&missing), [plain, basic_challenge]);
    let wrong = with_token(&bridge, "/Users", "a-wrong-token-of-somebody").await;
    assert_eq!(challenges(&wrong).len(), 1, "{wrong:?}");
    assert!(
        challenges(&wrong)[0]
            .starts_with("Bearer realm=\"scim\", error=\"invalid_token\", error_description=\"the")
    );
    let wrong = get(&bridge, "/Users", &[("Authorization", &basic("okta", "wrong"))]).await;
    assert_eq!(challenges(&wrong).len(), 2, "{wrong:?}");
    assert!(
        challenges(&wrong)[0].contains("invalid_token") && challenges(&wrong)[1] == basic_challenge,
        "{wrong:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_refused_from_its_expiry_on() {
    let ends = Client { expires: "2026-11-24T00:00:00Z".parse().ok(), ..client("okta", OKTA) };
    let bridge = start_server(AuthSettings {
        clients: vec![ends, client("other", OTHER)],
        ..AuthSettings::default()
    })
    .await;
    for (now, expected) in [
        (NOW, 200),
        ("2026-11-23T23:59:59Z", 200),
        ("2026-11-24T00:00:00Z", 401),
        ("2027-11-24T00:00:00Z", 401),
        (NOW, 200),
    ] {
        bridge.clock.set(now);
        let answer = with_token(&bridge, "/Users", OKTA).await;
        assert_eq!(answer.status, expected, "{now}: {}", answer.text);
        if expected == 401 {
            assert_eq!(
                answer.scim_error(401, None),
                "the token has expired; a new one is required"
            );
            assert!(
                challenges(&answer)[0].contains("error_description=\"the token has expired"),
                "{answer:?}"
            );
        }
        assert_eq!(with_token(&bridge, "/Users", OTHER).await.status, 200);
    }
    // An expired token counts as no guess, so its address is not throttled.
    bridge.clock.set("2026-11-24T00:00:00Z");
    for _ in 0..20 {
        assert_eq!(with_token(&bridge, "/Users", OKTA).await.status, 401);
    }
    // The metrics name the client whose token has expired.
    let metrics = with_token(&bridge, "/metrics", OTHER).await.text;
    let refused =
        "personio_scim_http_requests_total{route=\"/Users\",status=\"401\",client=\"okta\"} 22";
    assert!(metrics.lines().any(|line| line == refused), "{metrics}");
    let page = with_token(&bridge, "/status", OTHER).await.text;
    assert!(page.contains("okta"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_accepted_only_from_its_networks() {
    let near = Client {
        networks: Some(networks(&["203.0.113.0/24", "2001:db8::/32"])),
        ..client("okta", OKTA)
    };
    let here = Client { networks: Some(networks(&["127.0.0.0/8"])), ..client("other", OTHER) };
    let clients = || vec![near.clone(), here.clone(), client("client", TOKEN)];
    let direct = start_server(AuthSettings { clients: clients(), ..AuthSettings::default() }).await;
    let trusted_proxies = networks(&["127.0.0.1", "10.0.0.0/8"]);
    let proxied = start_server(AuthSettings {
        clients: clients(),
        trusted_proxies,
        ..AuthSettings::default()
    })
    .await;
    // Values of `X-Forwarded-For`, then the statuses for a token with a network of its own and for
    // a token that is limited to this machine: without trusted proxies, and with them.
    for (forwarded, [okta, other], [okta_proxied, other_proxied]) in [
        (&[][..], [403, 200], [403, 200]),
        (&["203.0.113.7"][..], [403, 200], [200, 403]),
        (&["::ffff:203.0.113.7"], [403, 200], [200, 403]),
        (&["203.0.113.7:4711"], [403, 200], [200, 403]),
        (&["[2001:db8::7]:4711"], [403, 200], [200, 403]),
        (&["198.51.100.1"], [403, 200], [403, 403]),
        (&["203.0.113.7, 198.51.100.1"], [403, 200], [403, 403]),
        (&["198.51.100.1, 203.0.113.7"], [403, 200], [200, 403]),
        (&["198.51.100.1", "203.0.113.7, 10.1.1.1"], [403, 200], [200, 403]),
        (&["203.0.113.7, garbage"], [403, 200], [403, 403]),
        (&[""], [403, 200], [403, 403]),
        (&["127.0.0.1"], [403, 200], [403, 200]),
    ] {
        for (bridge, token, expected) in [
            (&direct, OKTA, okta),
            (&direct, OTHER, other),
            (&direct, TOKEN, 200),
            (&proxied, OKTA, okta_proxied),
            (&proxied, OTHER, other_proxied),
            (&proxied, TOKEN, 200),
        ] {
            let header = format!("Bearer {token}");
            let mut headers = vec![("Authorization", header.as_str())];
            headers.extend(forwarded.iter().map(|value| ("X-Forwarded-For", *value)));
            let answer = get(bridge, "/Users", &headers).await;
            assert_eq!(answer.status, expected, "{token} {forwarded:?}: {}", answer.text);
            if expected == 403 {
                assert_eq!(
                    answer.scim_error(403, None),
                    "this token is not accepted from this address"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_tokens_are_throttled_and_right_ones_are_not() {
    let trusted_proxies = networks(&["127.0.0.1"]);
    let bridge = start_server(AuthSettings { trusted_proxies, ..clients() }).await;
    let from = async |address: &str, token: &str| {
        let headers =
            [("Authorization", &*format!("Bearer {token}")), ("X-Forwarded-For", address)];
        get(&bridge, "/Users", &headers).await
    };
    for guess in 0..5 {
        assert_eq!(from("203.0.113.7", &format!("a-guess-{guess}")).await.status, 401);
    }
    let mut wait = 1;
    for round in 0..8 {
        let slowed = from("203.0.113.7", "one-more-guess").await;
        assert!(slowed.scim_error(429, None).contains("too many wrong tokens"), "{slowed:?}");
        assert_eq!(slowed.header("retry-after"), wait.to_string(), "{round}");
        assert!(challenges(&slowed).is_empty(), "{slowed:?}");
        // The throttle does not affect the right token from that address, requests without a token,
        // or wrong tokens from other addresses.
        assert_eq!(from("203.0.113.7", OKTA).await.status, 200);
        assert_eq!(get(&bridge, "/Users", &[("X-Forwarded-For", "203.0.113.7")]).await.status, 401);
        assert_eq!(from(&format!("203.0.113.{}", 100 + round), "a-guess").await.status, 401);
        assert_eq!(
            get(&bridge, "/health/live", &[("X-Forwarded-For", "203.0.113.7")]).await.status,
            200
        );
        // Throttled requests do not extend the pause, and after the pause one guess is free.
        bridge.clock.pass(Duration::from_secs(wait) - Duration::from_millis(1));
        assert_eq!(from("203.0.113.7", "one-more-guess").await.header("retry-after"), "1");
        bridge.clock.pass(Duration::from_millis(1));
        assert_eq!(from("203.0.113.7", "one-more-guess").await.status, 401);
        wait = (wait * 2).min(60);
    }
    // All addresses of an IPv6 network count together, because one host has many of them.
    for guess in 0..5 {
        assert_eq!(from(&format!("2001:db8::{guess}"), "a-guess").await.status, 401);
    }
    assert_eq!(from("2001:db8::ffff", "a-guess").await.status, 429);
    assert_eq!(from("2001:db8:0:1::", "a-guess").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn paging_sessions_and_cursors_are_separate_for_each_client() {
    let setup =
        Setup { auth_settings: Some(clients()), cache_ttl: SHORT_TTL, ..Setup::persons(30) };
    let bridge = setup.start();
    bridge.ready().await;
    let total = async |query: &str, token: &str| {
        let answer = with_token(&bridge, &format!("/Users{query}"), token).await;
        answer.json()["totalResults"].clone()
    };
    let cursor = with_token(&bridge, "/Users?count=10&cursor", OKTA).await.json();
    let next = format!("/Users?count=10&cursor={}", cursor["nextCursor"].as_str().unwrap());
    assert_eq!(with_token(&bridge, &next, OKTA).await.status, 200);
    with_token(&bridge, &next, OTHER).await.scim_error(400, Some("invalidCursor"));

    // Two clients begin a paging session, before and after a change. Each continues on its own
    // snapshot.
    assert_eq!(total("?count=10", OKTA).await, 30);
    bridge.simulator.with_world(|world| world.persons.truncate(25));
    let mut first = Value::Null;
    crate::harness::wait_until("the change is seen", async || {
        bridge.clock.age(SHORT_TTL);
        first = total("?count=10", OTHER).await;
        first == 25
    })
    .await;
    assert_eq!(total("?count=10&startIndex=11", OKTA).await, 30);
    assert_eq!(total("?count=10&startIndex=11", OTHER).await, 25);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_need_no_token_with_several_clients() {
    let bridge = start_server(auth_settings(Some("a-token-of-webhooks"))).await;
    for path in ["/health/live", "/health/ready", "/metrics"] {
        assert_eq!(
            get(&bridge, path, &[("Authorization", "Bearer wrong")]).await.status,
            200,
            "{path}"
        );
    }
    let options = bridge.http.request(Method::OPTIONS, format!("{}/Users", bridge.origin));
    assert_eq!(send_request(options).await.status, 401);
    assert_eq!(send_request(bridge.request(Method::HEAD, "/Users")).await.status, 200);
    // The webhook token opens nothing else.
    assert_eq!(with_token(&bridge, "/Users", "a-token-of-webhooks").await.status, 401);
}

/// Checks that the response cache returns no cursor of another client.
#[tokio::test(flavor = "multi_thread")]
async fn response_cache_returns_no_cursor_of_another_client() {
    let bridge = start_server(clients()).await;
    let mut cursors = [(OKTA, String::new()), (OTHER, String::new())];
    for _ in 0..2 {
        for (token, cursor) in &mut cursors {
            let answer =
                with_token(&bridge, &format!("/Users?count=2&cursor={cursor}"), token).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            *cursor = answer.json()["nextCursor"].as_str().unwrap().to_owned();
        }
        assert_ne!(cursors[0].1, cursors[1].1);
    }
    let foreign =
        with_token(&bridge, &format!("/Users?count=2&cursor={}", cursors[0].1), OTHER).await;
    foreign.scim_error(400, Some("invalidCursor"));
}
