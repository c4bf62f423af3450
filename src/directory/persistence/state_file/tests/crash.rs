//! Tests with several servers at once, and with servers that are killed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::directory::persistence::state_file::Error;
use crate::directory::persistence::state_file::tests::{
    file_names, folder_with_state, state_file_at, with_logged_warnings,
};

#[test]
fn second_writer_gets_busy_while_the_first_holds_the_lock() {
    let (_folder, path) = folder_with_state(b"old");
    let file = state_file_at(&path);
    let held = file.lock().unwrap();
    let error = state_file_at(&path).write(*b"new").unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    assert_eq!(state_file_at(&path).read().as_deref(), Some(&b"old"[..]));
    drop(held);
    state_file_at(&path).write(*b"new").unwrap();
    assert_eq!(state_file_at(&path).read().as_deref(), Some(&b"new"[..]));
}

#[test]
fn concurrent_writers_leave_complete_files_only() {
    let (folder, path) = folder_with_state(&[0; 1000]);
    let write = |byte: u8| {
        let file = state_file_at(&path);
        move || {
            let mut written = 0;
            while written < 100 {
                match file.write(vec![byte; 50_000 * usize::from(byte)]) {
                    Ok(()) => written += 1,
                    Err(Error::Busy { .. }) => thread::yield_now(),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    };
    let writers = [thread::spawn(write(1)), thread::spawn(write(2))];
    let reader = state_file_at(&path);
    while !writers.iter().all(thread::JoinHandle::is_finished) {
        let content = reader.read().expect("there is always a whole file");
        assert!(
            content.windows(2).all(|pair| pair[0] == pair[1]) && content.len().is_multiple_of(1000)
        );
    }
    for writer in writers {
        writer.join().unwrap();
    }
    assert_eq!(file_names(&folder), ["state", "state.lock"]);
}

/// Runs as the process that the next test kills; it tests nothing itself.
#[test]
#[ignore = "only for a process that is to be killed"]
fn writes_until_it_is_killed() {
    for round in (1..=u8::MAX).cycle() {
        // The other test removes the folder when it fails.
        if !Path::new("to-be-killed").exists() {
            return;
        }
        state_file_at(Path::new("state"))
            .write(vec![round; 3_000_000 + usize::from(round)])
            .unwrap();
    }
}

#[test]
fn file_stays_readable_when_writers_are_killed() {
    let (folder, path) = folder_with_state(b"old");
    fs::write(folder.path().join("to-be-killed"), "").unwrap();
    let mut halves = 0;
    for round in 0..60 {
        let before = fs::read(&path).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "directory::persistence::state_file::tests::crash::writes_until_it_is_killed",
                "--ignored",
            ])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while fs::read(&path).unwrap() == before {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        }
        thread::sleep(Duration::from_micros(700 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        halves += usize::from(path.with_file_name("state.new").exists());
        let (content, lines) = with_logged_warnings(|| state_file_at(&path).read());
        let content = content.unwrap_or_else(|| panic!("round {round}: {lines:?}"));
        assert!(
            content.len() > 3_000_000 && content.iter().all(|byte| *byte == content[0]),
            "round {round}"
        );
    }
    assert!(halves > 5, "it was killed in the middle only {halves} times");
    state_file_at(&path).write(*b"new").unwrap();
    assert_eq!(state_file_at(&path).read().as_deref(), Some(&b"new"[..]));
    assert_eq!(file_names(&folder), ["state", "state.lock", "to-be-killed"]);
}
