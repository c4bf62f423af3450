//! `approve`, and what a server makes of its signal.

use personio_scim::simulator::Simulator;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::harness::{Setup, TOKEN, until};
use crate::process::{Program, get, run, serve, settings};

/// Stands in front of a server and says for it `times` times that it holds something back.
async fn holding_back(pid: u32, times: u64) -> MockServer {
    let server = MockServer::start().await;
    let answer = |directory: Value| json!({"pid": pid, "parts": {"directory": directory}});
    let held = answer(json!({"status": "degraded", "detail": "40 of 60 users would go", "heldBack": {"gone": 40}}));
    let ready = || Mock::given(method("GET")).and(path("/health/ready"));
    ready().respond_with(ResponseTemplate::new(200).set_body_json(held)).up_to_n_times(times).mount(&server).await;
    let published = answer(json!({"status": "ok", "detail": "20 users, 1 s old"}));
    ready().respond_with(ResponseTemplate::new(200).set_body_json(published)).mount(&server).await;
    server
}

/// How often the log speaks of approvals.
fn approvals(program: &Program) -> usize {
    program.log().iter().filter(|line| line["message"] == "nothing is held back").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_told_and_the_outcome_is_awaited() {
    let simulator = Setup::persons(5).simulator();
    let program = serve(&simulator);
    program.base_url().await;
    let front = holding_back(program.pid(), 3).await;
    let ended = run(&["approve", "--listen", &front.address().to_string()], &[]).await;
    assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    assert_eq!(ended.out, "Held back: 40 of 60 users would go\nPublished: 20 users, 1 s old\n");
    until("the server has been told", async || approvals(&program) == 1).await;
    assert_eq!(front.received_requests().await.unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_held_back_is_a_failure() {
    let simulator = Setup::persons(5).simulator();
    let program = serve(&simulator);
    program.base_url().await;
    let front = holding_back(program.pid(), u64::MAX).await;
    let ended = run(&["approve"], &[("SCIM_LISTEN", &front.address().to_string())]).await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert_eq!(ended.err, "personio-scim: still held back after 10 s, the server's log may say why\n");
    until("the server has been told", async || approvals(&program) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nothing_held_back_nothing_happens() {
    let simulator = Setup::persons(5).simulator();
    let program = serve(&simulator);
    let base_url = program.base_url().await;
    let demo = Program::start(&["demo", "--listen", "127.0.0.1:0", "--persons", "5"], &[]);
    for (program, base_url) in [(&program, base_url), (&demo, demo.printed("base URL:").await)] {
        let ready = base_url.replace("/scim/v2", "/health/ready");
        assert_eq!(get(&ready, TOKEN).await.json()["pid"], program.pid());
        let listen = base_url.trim_start_matches("http://").trim_end_matches("/scim/v2");
        let ended = run(&["approve", "--listen", listen], &[]).await;
        assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
        assert!(ended.out.starts_with("Nothing is held back: ") && ended.out.lines().count() == 1, "{ended:?}");
        assert_eq!(approvals(program), 0);
        // The signal itself does no harm either.
        program.signal("USR1");
        until("the signal has arrived", async || approvals(program) == 1).await;
        assert_eq!(get(&ready, TOKEN).await.json()["pid"], program.pid());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_no_server_gets_no_signal() {
    // This process would die of it.
    let front = holding_back(std::process::id(), u64::MAX).await;
    let ended = run(&["approve", "--listen", &front.address().to_string()], &[]).await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.err.contains("is no personio-scim here") && ended.err.lines().count() == 1, "{ended:?}");
    run(&["approve", "--listen", "127.0.0.1:1"], &[]).await.complains(1, "127.0.0.1:1/health/ready does not answer");
}

/// A `serve` that holds back that most persons have gone, and where it listens.
async fn held(simulator: &Simulator, left: usize) -> (Program, String) {
    let upstream = simulator.base_url();
    let mut settings = settings(&upstream);
    settings.push(("SCIM_CACHE_TTL", "1ms"));
    let program = Program::start(&["serve"], &settings);
    let base_url = program.base_url().await;
    until("everybody is served", async || get(&format!("{base_url}/Users"), TOKEN).await.status == 200).await;
    simulator.with_world(|world| world.persons.truncate(left));
    let ready = base_url.replace("/scim/v2", "/health/ready");
    until("the change is held back", async || {
        assert_eq!(get(&format!("{base_url}/Users"), TOKEN).await.json()["totalResults"], 60);
        get(&ready, TOKEN).await.json()["parts"]["directory"]["heldBack"].is_object()
    })
    .await;
    (program, base_url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_held_back_is_published() {
    let simulator = Setup::persons(60).simulator();
    let (program, base_url) = held(&simulator, 20).await;
    let listen = base_url.trim_start_matches("http://").trim_end_matches("/scim/v2");
    let ended = run(&["approve", "--listen", listen], &[]).await;
    assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.out.contains("40 of 60 users would lose something: 40 would disappear"), "{ended:?}");
    assert!(ended.out.lines().count() == 2 && ended.out.contains("Published: 20 users"), "{ended:?}");
    assert_eq!(get(&format!("{base_url}/Users"), TOKEN).await.json()["totalResults"], 20);
    let errors = program.log().into_iter().filter(|line| line["level"] == "ERROR").collect::<Vec<_>>();
    assert_eq!(errors.len(), 1, "once: {errors:?}");
    assert!(errors[0]["message"].as_str().unwrap().contains("personio-scim approve"), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_back_is_told_once_and_again_when_it_has_doubled() {
    let simulator = Setup::persons(60).simulator();
    let (program, base_url) = held(&simulator, 45).await;
    let errors = || program.log().into_iter().filter(|line| line["level"] == "ERROR").count();
    for _ in 0..5 {
        get(&format!("{base_url}/Users"), TOKEN).await;
    }
    assert_eq!(errors(), 1);
    simulator.with_world(|world| world.persons.truncate(5));
    until("it is told again", async || {
        get(&format!("{base_url}/Users"), TOKEN).await;
        errors() > 1
    })
    .await;
    for _ in 0..5 {
        get(&format!("{base_url}/Users"), TOKEN).await;
    }
    assert_eq!(errors(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signal_alone_publishes_it_too() {
    let simulator = Setup::persons(60).simulator();
    let (program, base_url) = held(&simulator, 20).await;
    program.signal("USR1");
    until("it is published", async || get(&format!("{base_url}/Users"), TOKEN).await.json()["totalResults"] == 20)
        .await;
}
