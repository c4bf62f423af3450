//! Tests of settings that change while the server runs, with the real program and SIGHUP. No log
//! may contain a token.

use std::fs;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use personio_scim::simulator::{SimulatedEndpoint, SimulatorOptions};
use serde_json::Value;

use crate::harness::{REFRESH_DEBOUNCE, Setup, http, send_request, wait_until};
use crate::process::{Program, file, get};

const OKTA: &str = "a-token-of-okta-0123456789";
const OTHER: &str = "a-token-of-another-0123456789";
const SIMPLE: &str = "a-token-in-a-file-0123456789";
const SECOND: &str = "its-successor-0123456789";

fn hash(token: &str) -> String {
    hex::encode(digest(&SHA256, token.as_bytes()))
}

fn client(name: &str, token: &str) -> String {
    format!("[[client]]\nname = \"{name}\"\ntoken_sha256 = \"{}\"\n", hash(token))
}

/// Sends SIGHUP and waits until the log has one more line with `part`.
async fn reread(program: &Program, part: &str) {
    let before = program.logged(part);
    program.signal("HUP");
    wait_until(part, async || program.logged(part) == before + 1).await;
}

/// Returns the values of this field in the request log, in order and without repetitions in a row.
fn of_requests(program: &Program, field: &str) -> Vec<String> {
    let log = program.log();
    let of = |line: &Value| Some(line[field].as_str()?.to_owned());
    let mut all: Vec<String> =
        log.iter().filter(|line| line["status"].is_u64()).filter_map(of).collect();
    all.dedup();
    all
}

/// Returns the names of the clients that sent requests.
fn callers(program: &Program) -> Vec<String> {
    of_requests(program, "client")
}

/// Returns the reasons of refused requests.
fn refusals(program: &Program) -> Vec<String> {
    of_requests(program, "refused")
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_changes_clients_and_an_invalid_file_changes_nothing() {
    let simulator = Setup::persons(5).simulator();
    let upstream = simulator.base_url();
    let (config, token) = (file(&client("okta", OKTA)), file(SIMPLE));
    let (config_path, token_path) =
        (config.path().to_str().unwrap(), token.path().to_str().unwrap());
    let variables = [
        ("PERSONIO_CLIENT_ID", "demo"),
        ("PERSONIO_CLIENT_SECRET", "demo-secret"),
        ("PERSONIO_BASE_URL", upstream.as_str()),
        ("SCIM_BEARER_TOKEN_FILE", token_path),
        ("SCIM_CONFIG", config_path),
        ("SCIM_LISTEN", "127.0.0.1:0"),
        ("RUST_LOG", "trace"),
    ];
    let program = Program::start(&["serve"], &variables);
    let base_url = program.base_url().await;
    // Reports whether OKTA, OTHER, SIMPLE and SECOND are accepted. Wrong tokens are throttled after
    // a few requests.
    let let_in = async || {
        let mut let_in = Vec::new();
        for token in [OKTA, OTHER, SIMPLE, SECOND] {
            let answer = get(&format!("{base_url}/Schemas"), token).await;
            assert!([200, 401, 429].contains(&answer.status.as_u16()), "{answer:?}");
            let_in.push(answer.status == 200);
        }
        let_in
    };
    assert_eq!(let_in().await, [true, false, true, false]);

    fs::write(config.path(), client("other", OTHER) + &client("third", "whatever")).unwrap();
    fs::write(token.path(), format!("{SECOND}\n")).unwrap();
    assert_eq!(let_in().await, [true, false, true, false], "nobody has asked to read it again");
    reread(&program, "the settings were read again: 3 clients").await;
    assert_eq!(let_in().await, [false, true, false, true]);
    let page = get(&base_url.replace("/scim/v2", "/status"), OTHER).await.text;
    assert!(page.contains("client other") && page.contains("client third"), "{page}");
    assert!(!page.contains("client okta"), "what holds now is told");

    for (text, mistake) in [
        (client("okta", OKTA) + "[[client]]\nname = 7\n", "line 5: invalid type"),
        (client("okta", OKTA) + &client("okta", OTHER), "client `okta`: this name is taken"),
        (client("okta", SECOND), "is the same as the token of the client `okta`"),
        ("time_zone = \"Nowhere\"".to_owned(), "invalid time zone `Nowhere`"),
    ] {
        fs::write(config.path(), text).unwrap();
        reread(&program, mistake).await;
        assert_eq!(let_in().await, [false, true, false, true], "{mistake}");
    }
    fs::remove_file(token.path()).unwrap();
    reread(&program, "--bearer-token-file (SCIM_BEARER_TOKEN_FILE)").await;
    assert_eq!(let_in().await, [false, true, false, true]);
    let errors = program.log_at("ERROR");
    assert_eq!(errors.len(), 5, "one for each: {errors:?}");
    assert!(errors.iter().all(|line| {
        line["message"].as_str().unwrap().starts_with("the settings stay as they were: ")
    }));

    // The request log writes a line shortly after the response.
    let last = ["other".to_owned(), "client".to_owned()];
    wait_until("the last line is there", async || callers(&program).ends_with(&last)).await;
    assert_eq!(callers(&program)[..4], ["okta", "client", "okta", "client"]);
    // Tokens in other forms, and of unknown users and issuers.
    let password = STANDARD.encode(format!("somebody-who:{OTHER}"));
    let payload =
        URL_SAFE_NO_PAD.encode("{\"iss\": \"somebody\", \"sub\": \"a-subject-of-a-token\"}");
    let signed =
        format!("{}.{payload}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode("{\"alg\": \"RS256\"}"));
    for (header, let_in) in
        [(format!("Basic {password}"), true), (format!("Bearer {signed}"), false)]
    {
        let answer =
            send_request(http().get(format!("{base_url}/Schemas")).header("Authorization", header))
                .await;
        assert_eq!(answer.status == 200, let_in, "{answer:?}");
        let id = answer.header("x-request-id");
        let is_its = |line: &Value| line["request_id"] == id && line["status"].is_u64();
        wait_until("its line is there", async || program.log().iter().any(is_its)).await;
    }
    assert!(
        refusals(&program).starts_with(&["wrong token".to_owned()]),
        "{:?}",
        refusals(&program)
    );
    assert_eq!(of_requests(&program, "address"), ["127.0.0.1"], "of those who were not let in");

    let log = format!("{:?}", program.log());
    let tokens =
        [OKTA, OTHER, SIMPLE, SECOND].into_iter().flat_map(|token| [token.to_owned(), hash(token)]);
    let others = [
        password,
        payload,
        "a-subject-of".to_owned(),
        "somebody-who".to_owned(),
        "c2lnbmF0".to_owned(),
    ];
    for secret in tokens.chain(others) {
        assert!(!log.contains(&secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_of_personio_is_used_for_the_next_token() {
    let setup = Setup::persons(5);
    let options =
        SimulatorOptions { client_secret: "the-new-secret".to_owned(), ..setup.options.clone() };
    let simulator = Setup { options, ..Setup::persons(5) }.simulator();
    let bridge = setup.start_with(simulator);
    assert!(bridge.failure().await.contains("credential"), "{}", bridge.failure().await);
    let request_count = bridge.simulator.request_count(SimulatedEndpoint::Token);

    let mut config = bridge.config.clone();
    config.personio.client_secret = "the-new-secret".into();
    bridge.live.apply(config.clone()).unwrap();
    bridge.clock.pass(crate::harness::AFTER_COOL_DOWN);
    bridge.ready().await;
    assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Token), request_count + 1);
    // An unchanged secret causes no new token.
    bridge.live.apply(config.clone()).unwrap();
    bridge.ready().await;
    assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Token), request_count + 1);
    // A wrong secret is tried soon, although the old token is still valid.
    config.personio.client_secret = "a-wrong-secret".into();
    bridge.live.apply(config).unwrap();
    wait_until("a load has failed", async || {
        bridge.clock.age(REFRESH_DEBOUNCE);
        bridge.health().await.1["parts"]["personio"]["status"] == "down"
    })
    .await;
    assert!(bridge.simulator.request_count(SimulatedEndpoint::Token) > request_count + 1);
    assert_eq!(bridge.health().await.0, 200, "what was read is served on");
}
