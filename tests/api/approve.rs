//! Tests of `approve` and of its signal to the server: the published change is the one that was
//! shown.

use personio_scim::simulator::{SimulatedPerson, Simulator};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::harness::{Setup, TOKEN, wait_until};
use crate::process::{Ended, Program, get, run, run_on_terminal, serve, settings};

/// Runs `approve` for the server with this base URL.
async fn approve(base_url: &str, args: &[&str]) -> Ended {
    let listen = base_url.trim_start_matches("http://").trim_end_matches("/scim/v2");
    run(&[&["approve", "--listen", listen], args].concat(), &[]).await
}

/// Asserts that the change was shown and refused with this exit code and reason.
#[track_caller]
fn refuses(ended: &Ended, code: i32, reason: &str) {
    assert_eq!(ended.status.code(), Some(code), "{reason}: {ended:?}");
    assert!(ended.err.contains(reason) && ended.err.lines().count() == 1, "{reason}: {ended:?}");
    assert!(
        ended.out.starts_with("Change ") && ended.out.lines().count() == 1,
        "{reason}: {ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn approve_without_a_held_change_does_nothing() {
    let simulator = Setup::persons(5).simulator();
    let program = serve(&simulator);
    let base_url = program.base_url().await;
    let demo = Program::start(&["demo", "--listen", "127.0.0.1:0", "--persons", "5"], &[]);
    for (program, base_url) in [(&program, base_url), (&demo, demo.printed("base URL:").await)] {
        let ready = base_url.replace("/scim/v2", "/health/ready");
        assert_eq!(get(&ready, TOKEN).await.json()["pid"], program.pid());
        for args in [&[][..], &["--yes"], &["--show"], &["0123456789ab"]] {
            let ended = approve(&base_url, args).await;
            assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
            assert_eq!(ended.out, "Nothing is held back.\n");
        }
        // The signal has no effect either.
        program.signal("USR1");
        wait_until("the signal has arrived", async || {
            program.logged("approval ignored: no change is held back") == 1
        })
        .await;
        assert_eq!(get(&ready, TOKEN).await.json()["pid"], program.pid());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn approve_sends_no_signal_to_a_process_that_is_no_server() {
    // This process has no handler for the approval signal.
    let front = MockServer::start().await;
    let ready = ResponseTemplate::new(200).set_body_json(json!({"pid": std::process::id()}));
    Mock::given(method("GET")).and(path("/health/ready")).respond_with(ready).mount(&front).await;
    let ended = run(&["approve", "--listen", &front.address().to_string()], &[]).await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(
        ended.err.contains("accepts no approval from this user") && ended.err.lines().count() == 1,
        "{ended:?}"
    );
    run(&["approve", "--listen", "127.0.0.1:1"], &[])
        .await
        .complains(1, "127.0.0.1:1/health/ready does not answer");
}

/// Starts a `serve` that holds a change because most persons have gone, and returns its base URL.
async fn held(simulator: &Simulator, left: usize) -> (Program, String) {
    let upstream = simulator.base_url();
    let mut settings = settings(&upstream);
    settings.push(("SCIM_CACHE_TTL", "1ms"));
    let program = Program::start(&["serve"], &settings);
    let base_url = program.base_url().await;
    wait_until("everybody is served", async || {
        get(&format!("{base_url}/Users"), TOKEN).await.status == 200
    })
    .await;
    simulator.with_world(|world| world.persons.truncate(left));
    let ready = base_url.replace("/scim/v2", "/health/ready");
    wait_until("the change is held back", async || {
        assert_eq!(get(&format!("{base_url}/Users"), TOKEN).await.json()["totalResults"], 60);
        get(&ready, TOKEN).await.json()["parts"]["directory"]["heldBack"].is_object()
    })
    .await;
    (program, base_url)
}

/// Returns the id of the held change from health.
async fn held_id(base_url: &str) -> String {
    let health = get(&base_url.replace("/scim/v2", "/health/ready"), "").await.json();
    health["parts"]["directory"]["heldBack"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn approve_publishes_a_held_change() {
    for by_id in [true, false] {
        let simulator = Setup::persons(60).simulator();
        let (program, base_url) = held(&simulator, 20).await;
        let id = held_id(&base_url).await;
        assert_eq!(program.logged(&format!("a change is held back as {id}")), 1);
        let ended = approve(&base_url, &[if by_id { id.as_str() } else { "--yes" }]).await;
        assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
        let [shown, published] = ended.out.lines().collect::<Vec<_>>()[..] else {
            panic!("{ended:?}")
        };
        assert!(shown.starts_with(&format!(
            "Change {id}: 40 of 60 users would lose something: 40 would disappear"
        )));
        assert_eq!(published, "Published: 20 users are served.");
        assert_eq!(get(&format!("{base_url}/Users"), TOKEN).await.json()["totalResults"], 20);
        let errors = program.log_at("ERROR");
        assert_eq!(errors.len(), 1, "once: {errors:?}");
        assert!(
            errors[0]["message"].as_str().unwrap().contains("personio-scim approve"),
            "{errors:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn approve_without_terminal_id_or_yes_publishes_nothing() {
    let simulator = Setup::persons(60).simulator();
    let (_program, base_url) = held(&simulator, 20).await;
    let id = held_id(&base_url).await;
    refuses(&approve(&base_url, &[]).await, 64, &format!("personio-scim approve {id}"));
    let other = approve(&base_url, &["0123456789ab"]).await;
    refuses(&other, 1, &format!("the change that is held back is now {id}"));
    assert_eq!(get(&format!("{base_url}/Users"), TOKEN).await.json()["totalResults"], 60);
    assert_eq!(held_id(&base_url).await, id, "looking changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn approve_on_a_terminal_publishes_only_after_yes() {
    let simulator = Setup::persons(60).simulator();
    let (_program, base_url) = held(&simulator, 40).await;
    let listen = base_url.trim_start_matches("http://").trim_end_matches("/scim/v2").to_owned();
    // Byte 4 is Ctrl+D, the end of input.
    for (typed, is_yes) in [
        ("\n", false),
        ("n\n", false),
        ("no\n", false),
        ("yess\n", false),
        ("\u{4}", false),
        ("y\n", true),
        (" YES \n", true),
    ] {
        let id = held_id(&base_url).await;
        let served = get(&format!("{base_url}/Users"), TOKEN).await.json()["totalResults"].clone();
        let on_terminal =
            || run_on_terminal(&["approve", "--listen", &listen], "Publish it? [y/N] ", typed);
        let (code, seen) = tokio::task::block_in_place(on_terminal);
        assert_eq!(code, Some(0), "{typed:?}: {seen}");
        assert!(seen.starts_with(&format!("Change {id}: ")), "{typed:?}: {seen}");
        let outcome = if is_yes { "Published: " } else { "Not approved." };
        assert!(seen.contains(outcome), "{typed:?}: {seen}");
        let now = get(&format!("{base_url}/Users"), TOKEN).await.json()["totalResults"].clone();
        if !is_yes {
            assert_eq!((&now, held_id(&base_url).await), (&served, id), "{typed:?}");
            continue;
        }
        assert_eq!(now, if served == 60 { 40 } else { 15 }, "{typed:?}");
        simulator.with_world(|world| world.persons.truncate(15));
        wait_until("the next change is held back, or there is none", async || {
            get(&format!("{base_url}/Users"), TOKEN).await;
            let health = get(&base_url.replace("/scim/v2", "/health/ready"), "").await.json();
            now == 15 || health["parts"]["directory"]["heldBack"].is_object()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grown_change_is_held_again() {
    let simulator = Setup::persons(60).simulator();
    let (program, base_url) = held(&simulator, 20).await;
    let shown = held_id(&base_url).await;
    let inactive = |person: &mut SimulatedPerson| {
        person.preferred_name = Some("Changed".to_owned());
        person
            .employments
            .iter_mut()
            .for_each(|employment| employment.status = Some("INACTIVE".to_owned()));
    };
    simulator.with_world(|world| world.persons.iter_mut().for_each(inactive));
    wait_until("it is another change", async || {
        get(&format!("{base_url}/Users"), TOKEN).await;
        held_id(&base_url).await != shown
    })
    .await;
    refuses(
        &approve(&base_url, &[&shown]).await,
        1,
        "not approved: the change that is held back is",
    );
    assert_eq!(get(&format!("{base_url}/Users"), TOKEN).await.json()["totalResults"], 60);
    // The signal approves only the change that the log reported, which was smaller.
    program.signal("USR1");
    let text = "is not the one that the log has reported";
    wait_until("it is reported", async || program.logged(text) == 1).await;
    assert_eq!(get(&format!("{base_url}/Users"), TOKEN).await.json()["totalResults"], 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_change_with_values_gained_since_is_another_change() {
    let mut setup = Setup::persons(60);
    for person in &mut setup.world.persons {
        person.employments.iter_mut().for_each(|employment| employment.supervisor = None);
    }
    let simulator = setup.simulator();
    let (_program, base_url) = held(&simulator, 20).await;
    let shown = held_id(&base_url).await;
    simulator.with_world(|world| {
        let boss = world.persons[0].id.clone();
        for person in world.persons.iter_mut().skip(1).take(5) {
            // Employments are read again when the person's record has changed.
            person.preferred_name = Some("Changed".to_owned());
            person
                .employments
                .iter_mut()
                .for_each(|employment| employment.supervisor = Some(boss.clone()));
        }
    });
    wait_until("it is another change", async || {
        get(&format!("{base_url}/Users"), TOKEN).await;
        held_id(&base_url).await != shown
    })
    .await;
    refuses(
        &approve(&base_url, &[&shown]).await,
        1,
        "not approved: the change that is held back is",
    );
    assert_eq!(get(&format!("{base_url}/Users"), TOKEN).await.json()["totalResults"], 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn approve_lists_users_and_attributes_without_values() {
    let simulator = Setup::persons(60).simulator();
    let (_program, base_url) = held(&simulator, 20).await;
    let persons: Vec<Value> = get(&format!("{base_url}/Users"), TOKEN).await.json()["Resources"]
        .as_array()
        .unwrap()
        .clone();
    let left = simulator.with_world(|world| {
        world.persons.iter().map(|person| person.id.clone()).collect::<Vec<_>>()
    });
    let ended = approve(&base_url, &["--show", "--yes"]).await;
    assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    for person in persons {
        let (id, name) = (person["id"].as_str().unwrap(), person["userName"].as_str().unwrap());
        let line = format!("  {id}: would disappear\n");
        assert_eq!(ended.out.contains(&line), !left.iter().any(|left| left == id), "{ended:?}");
        assert!(!ended.out.contains(name), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_change_is_logged_once_and_again_when_it_has_doubled() {
    let simulator = Setup::persons(60).simulator();
    let (program, base_url) = held(&simulator, 45).await;
    let errors = || program.log_at("ERROR").len();
    for _ in 0..5 {
        get(&format!("{base_url}/Users"), TOKEN).await;
    }
    assert_eq!(errors(), 1);
    simulator.with_world(|world| world.persons.truncate(5));
    wait_until("it is told again", async || {
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
async fn the_signal_alone_publishes_the_held_change() {
    let simulator = Setup::persons(60).simulator();
    let (program, base_url) = held(&simulator, 20).await;
    program.signal("USR1");
    wait_until("it is published", async || {
        get(&format!("{base_url}/Users"), TOKEN).await.json()["totalResults"] == 20
    })
    .await;
}
