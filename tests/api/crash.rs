//! Crash test of the state file: it is complete after the program was killed at any point.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Setup, TOKEN, wait_until};
use crate::process::{Program, get, settings};

const PERSONS: usize = 200;
/// Number of kills: one at each of the moments that the test tells apart, three of them by five.
const KILLS: u64 = 15;
const KEY: &str = "the-key-of-state-files-in-these-tests";

/// Requests the list repeatedly. Each request causes a load, and each load writes the state file.
async fn request_repeatedly(url: String, ended: Arc<AtomicBool>) {
    let http = crate::harness::http();
    while !ended.load(Relaxed) {
        let request = http.get(format!("{url}/Users?count=0")).bearer_auth(TOKEN);
        // The request fails when the program is killed.
        let _ = request.send().await;
    }
}

/// Waits until the new file does not exist, and then until it is created. A file that the last
/// crash left behind must be replaced first.
fn until_it_writes(folder: &Path) -> bool {
    let (new, start) = (folder.join("state.new"), Instant::now());
    let waited_for = |is_there: bool| {
        while fs::symlink_metadata(&new).is_ok() != is_there {
            if start.elapsed() > Duration::from_secs(20) {
                return false;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        true
    };
    waited_for(false) && waited_for(true)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_restart_after_kill_while_writing_serves_all_users() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let simulator = Setup::persons(PERSONS).simulator();
    let base_url = simulator.base_url();
    let mut variables = settings(&base_url);
    variables.extend([
        ("SCIM_STATE_FILE", path.to_str().unwrap()),
        ("SCIM_STATE_KEY", KEY),
        ("SCIM_CACHE_TTL", "1ms"),
        ("PERSONIO_MAX_CONCURRENCY", "64"),
    ]);
    let mut program = Program::start(&["serve"], &variables);
    wait_until("the state is written", async || path.exists()).await;
    let (mut caught, mut size) = (0, 0);
    for kill in 0..KILLS {
        let (url, ended) = (program.base_url().await, Arc::new(AtomicBool::new(false)));
        let asking = tokio::spawn(request_repeatedly(url, Arc::clone(&ended)));
        // Two of three kills happen at the first byte or shortly after it, the others at a
        // pseudo-random time.
        let pause = if kill % 3 == 2 {
            Duration::from_millis(kill * 37 % 400)
        } else {
            let watched = folder.path().to_owned();
            assert!(
                tokio::task::spawn_blocking(move || until_it_writes(&watched)).await.unwrap(),
                "it writes"
            );
            Duration::from_micros(kill % 5 * 300)
        };
        tokio::time::sleep(pause).await;
        program.signal("KILL");
        drop(program);
        caught += u64::from(folder.path().join("state.new").exists());
        ended.store(true, Relaxed);
        asking.await.unwrap();

        program = Program::start(&["serve"], &variables);
        let url = program.base_url().await;
        let log = program.log();
        let told = |part: &str| {
            log.iter().any(|line| line["message"].as_str().is_some_and(|it| it.contains(part)))
        };
        assert!(told(&format!("restored {PERSONS} users from the state file")), "{log:?}");
        assert!(!told("set aside") && !told("cannot be"), "{log:?}");
        let page = get(&format!("{url}/Users?count=0"), TOKEN).await.json();
        assert_eq!(page["totalResults"], Value::from(PERSONS));
        let files = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap());
        for file in files {
            let (name, about) = (file.file_name(), fs::metadata(file.path()));
            assert!(
                ["state", "state.new", "state.lock"].iter().any(|known| name == *known),
                "{name:?} is left over"
            );
            // The program may rename the new file to the final name in the meantime.
            let Ok(about) = about else { continue };
            assert_eq!(about.permissions().mode() & 0o7777, 0o600, "{name:?}");
            size = size.max(about.len());
        }
        assert!(size < 2 * fs::metadata(&path).unwrap().len(), "nothing grows");
    }
    // The machine decides how many kills hit a write. Another test kills a program that only
    // writes, and proves that a file is never half written.
    println!("{caught} were killed while writing");
}
