//! Tests of the state file: a read returns the last written content or none, and no file is lost.

mod crash;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use tempfile::TempDir;

use crate::directory::persistence::encryption::HEADER_BYTES;
use crate::directory::persistence::state_file::{Error, StateFile};

const KEY: &str = "a key for tests that is long enough";
/// Difference between the length of a file and that of its content.
const OVERHEAD_BYTES: usize = HEADER_BYTES + 16;

fn state_file_at(path: &Path) -> StateFile {
    StateFile::new(path.to_owned(), &KEY.to_owned().into(), "me")
}

/// Creates a folder with a state file that holds `content`.
fn folder_with_state(content: &[u8]) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state");
    state_file_at(&path).write(content).unwrap();
    (folder, path)
}

fn path_aside(path: &Path, number: usize) -> PathBuf {
    path.with_file_name(format!("state.set-aside-{number}"))
}

fn file_names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Returns the result of `f` and the lines that it logs, from level warn on.
fn with_logged_warnings<T>(f: impl FnOnce() -> T) -> (T, Vec<String>) {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let result = tracing::subscriber::with_default(subscriber, f);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    (result, text.lines().map(str::to_owned).collect())
}

/// Fails unless the file is refused with one warning that contains `reason`, and is kept unchanged.
#[track_caller]
fn assert_set_aside(file: &StateFile, path: &Path, reason: &str) {
    let before = fs::read(path).unwrap();
    let (content, lines) = with_logged_warnings(|| file.read());
    assert_eq!(content, None, "{reason}");
    let [line] = lines.as_slice() else { panic!("{reason}: {lines:?}") };
    assert!(line.contains("WARN") && line.contains(reason), "{reason}: {line}");
    assert!(line.ends_with(&format!("set aside as {}", path_aside(path, 1).display())), "{line}");
    assert!(!path.exists());
    assert_eq!(fs::read(path_aside(path, 1)).unwrap(), before);
    // The name is free for a new file.
    assert_eq!(with_logged_warnings(|| file.read()), (None, vec![]));
    file.write(*b"new").unwrap();
    assert_eq!(file.read().as_deref(), Some(&b"new"[..]));
    assert_eq!(fs::read(path_aside(path, 1)).unwrap(), before);
}

#[test]
fn read_returns_the_last_written_content() {
    let (folder, path) = folder_with_state(b"first");
    for content in [&b"second"[..], b"", &[7; 100_000]] {
        state_file_at(&path).write(content).unwrap();
        let (read, lines) = with_logged_warnings(|| state_file_at(&path).read());
        assert_eq!((read.as_deref(), lines), (Some(content), vec![]));
        assert_eq!(fs::metadata(&path).unwrap().len(), (content.len() + OVERHEAD_BYTES) as u64);
    }
    assert_eq!(file_names(&folder), ["state", "state.lock"]);
}

#[test]
fn missing_file_logs_no_warning() {
    let folder = TempDir::new().unwrap();
    for path in [folder.path().join("state"), folder.path().join("missing/state")] {
        assert_eq!(with_logged_warnings(|| state_file_at(&path).read()), (None, vec![]));
    }
    assert!(file_names(&folder).is_empty());
}

#[test]
fn content_is_encrypted_and_readable_by_the_server_only() {
    let (_folder, path) = folder_with_state(b"somebody@example.com");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&path.with_file_name("state.lock")), 0o600);
    // The permissions are right even after a crash left a file behind, and after a person changed
    // them.
    let new = path.with_file_name("state.new");
    fs::write(&new, "left over").unwrap();
    for path in [&new, &path] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
    }
    state_file_at(&path).write(*b"somebody@example.com").unwrap();
    assert_eq!(mode(&path), 0o600);

    let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
    assert!(!text.contains("somebody") && !text.contains("me\0") && !text.contains(KEY));
    let first_encryption = fs::read(&path).unwrap();
    state_file_at(&path).write(*b"somebody@example.com").unwrap();
    let differ = first_encryption
        .iter()
        .zip(fs::read(&path).unwrap())
        .filter(|(old, new)| **old != *new)
        .count();
    assert!(differ > 40, "a nonce was used twice: {differ} bytes differ");
}

#[test]
fn unusable_file_is_set_aside_unchanged() {
    let (_folder, good) = folder_with_state(b"the content");
    let good = fs::read(good).unwrap();
    let end = good.len();
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let version = |version: u16| [&good[..8], &version.to_be_bytes(), &good[10..]].concat();
    let rows: &[(Vec<u8>, &str)] = &[
        (vec![], "is damaged"),
        // Files cut off in each region.
        (good[..4].to_vec(), "is damaged"),
        (good[..8].to_vec(), "is damaged"),
        (good[..9].to_vec(), "is damaged"),
        (good[..14].to_vec(), "is damaged"),
        (good[..30].to_vec(), "is damaged"),
        (good[..40].to_vec(), "is damaged"),
        (good[..HEADER_BYTES - 1].to_vec(), "is damaged"),
        (good[..HEADER_BYTES].to_vec(), "is not as long as its header says"),
        (good[..HEADER_BYTES + 5].to_vec(), "is not as long as its header says"),
        (good[..end - 16].to_vec(), "is not as long as its header says"),
        (good[..end - 1].to_vec(), "is not as long as its header says"),
        ([&good[..], b"x"].concat(), "is not as long as its header says"),
        // Files changed in each region.
        (changed(0), "by another program"),
        (changed(7), "by another program"),
        (changed(10), "encrypted with another key"),
        (changed(17), "encrypted with another key"),
        (changed(18), "belongs to another credential"),
        (changed(33), "belongs to another credential"),
        (changed(34), "is damaged"),
        (changed(41), "is damaged"),
        (changed(42), "is damaged"),
        (changed(54), "is damaged"),
        (changed(69), "is damaged"),
        (changed(HEADER_BYTES), "is damaged"),
        (changed(end - 17), "is damaged"),
        (changed(end - 16), "is damaged"),
        (changed(end - 1), "is damaged"),
        (version(0), "by an older version"),
        (version(1), "by an older version"),
        (version(3), "by a newer version"),
        (version(0x0100), "by a newer version"),
        (good[..8].iter().copied().chain([0, 9]).collect(), "by a newer version"),
        (b"{\"users\": []}".to_vec(), "by another program"),
        (b"x".to_vec(), "by another program"),
        (vec![0; 5000], "by another program"),
    ];
    for (bytes, reason) in rows {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("state");
        fs::write(&path, bytes).unwrap();
        assert_set_aside(&state_file_at(&path), &path, reason);
    }
}

#[test]
fn file_of_another_key_or_owner_is_set_aside_and_can_be_put_back() {
    let key = |key: &str| key.to_owned().into();
    for (key, owner, reason) in [
        (key("another key that is long enough too"), "me", "is encrypted with another key"),
        (key("another key that is long enough too"), "you", "is encrypted with another key"),
        (key(KEY), "you", "belongs to another credential"),
    ] {
        let (_folder, path) = folder_with_state(b"content");
        let other = StateFile::new(path.clone(), &key, owner);
        assert_set_aside(&other, &path, reason);
        fs::rename(path_aside(&path, 1), &path).unwrap();
        assert_eq!(state_file_at(&path).read().as_deref(), Some(&b"content"[..]));
    }
}

#[test]
fn unreadable_and_irregular_files_are_set_aside() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state");
    let file = state_file_at(&path);
    fs::create_dir(&path).unwrap();
    fs::write(path.join("inside"), "kept").unwrap();
    let (content, lines) = with_logged_warnings(|| file.read());
    assert_eq!((content, lines.len()), (None, 1));
    assert!(lines[0].contains("is not a regular file; it has been set aside"), "{lines:?}");
    assert_eq!(fs::read(path_aside(&path, 1).join("inside")).unwrap(), b"kept");

    // A link to itself leads to no file.
    symlink(&path, &path).unwrap();
    let (content, lines) = with_logged_warnings(|| file.read());
    assert_eq!((content, lines.len()), (None, 1));
    assert!(
        lines[0].contains("is not a regular file") && lines[0].ends_with("set-aside-2"),
        "{lines:?}"
    );

    // Only root can read a file without permissions.
    file.write(*b"content").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_err() {
        let (content, lines) = with_logged_warnings(|| file.read());
        assert_eq!((content, lines.len()), (None, 1));
        assert!(
            lines[0].contains("cannot be read (") && lines[0].ends_with("set-aside-3"),
            "{lines:?}"
        );
    }
}

/// Creates a named pipe that has no reader and no writer.
fn create_pipe(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn links_devices_pipes_and_sockets_are_set_aside_unread() {
    let (folder, real) = folder_with_state(b"content");
    let path = folder.path().join("other");
    for (what, place) in [("a link", 1), ("a device", 2), ("a pipe", 3), ("a socket", 4)] {
        match what {
            "a link" => symlink(&real, &path).unwrap(),
            "a device" => symlink("/dev/zero", &path).unwrap(),
            "a pipe" => create_pipe(&path),
            _ => drop(std::os::unix::net::UnixListener::bind(&path).unwrap()),
        }
        let (content, lines) = with_logged_warnings(|| state_file_at(&path).read());
        assert_eq!((content, lines.len()), (None, 1), "{what}");
        assert!(lines[0].contains("is not a regular file"), "{what}: {lines:?}");
        assert!(lines[0].ends_with(&format!("other.set-aside-{place}")), "{what}: {lines:?}");
    }
    assert_eq!(
        state_file_at(&real).read().as_deref(),
        Some(&b"content"[..]),
        "what a link leads to is left alone"
    );
}

#[test]
fn file_with_a_wrong_length_is_refused_without_reading_it() {
    const TERABYTE: u64 = 1 << 40;
    let (_folder, path) = folder_with_state(b"content");
    let good = fs::read(&path).unwrap();
    let lie =
        [&good[..34], &(TERABYTE - OVERHEAD_BYTES as u64).to_be_bytes(), &good[42..]].concat();
    for (bytes, reason) in [(good, "is not as long as its header says"), (lie, "is damaged")] {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("state");
        fs::write(&path, bytes).unwrap();
        // A sparse file takes no room on the disk, but reading it would take hours.
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(TERABYTE).unwrap();
        let (content, lines) = with_logged_warnings(|| state_file_at(&path).read());
        assert_eq!((content, lines.len()), (None, 1), "{reason}");
        assert!(lines[0].contains(reason), "{lines:?}");
    }
}

#[test]
fn pipe_in_place_of_the_new_file_fails_without_blocking() {
    let (folder, path) = folder_with_state(b"old");
    let new = path.with_file_name("state.new");
    create_pipe(&new);
    let without_reader = state_file_at(&path).write(*b"new").unwrap_err().to_string();
    assert!(
        without_reader.contains("cannot be written: creating the new file"),
        "{without_reader}"
    );
    let reader = fs::OpenOptions::new().read(true).write(true).open(&new).unwrap();
    let with_reader = state_file_at(&path).write(*b"new").unwrap_err().to_string();
    assert!(with_reader.contains("is not a regular file"), "{with_reader}");
    drop(reader);
    assert_eq!(state_file_at(&path).read().as_deref(), Some(&b"old"[..]));
    assert_eq!(file_names(&folder), ["state", "state.lock", "state.new"]);
}

#[test]
fn files_set_aside_are_never_overwritten() {
    let (folder, path) = folder_with_state(b"");
    let file = state_file_at(&path);
    // An administrator has created or deleted files in between.
    fs::write(path_aside(&path, 2), "mine").unwrap();
    for content in ["one", "two", "three"] {
        fs::write(&path, content).unwrap();
        assert_eq!(file.read(), None);
    }
    fs::write(&path, "four").unwrap();
    file.set_aside("is too old for me");
    let kept: Vec<Vec<u8>> =
        (1..=5).map(|number| fs::read(path_aside(&path, number)).unwrap()).collect();
    assert_eq!(kept, [&b"one"[..], b"mine", b"two", b"three", b"four"]);
    assert_eq!(file_names(&folder).len(), 6);
    // No file is left to set aside.
    assert_eq!(with_logged_warnings(|| file.set_aside("is gone")).1, Vec::<String>::new());
    assert_eq!(file_names(&folder).len(), 6);
}

#[test]
fn caller_can_set_the_file_aside_with_a_reason() {
    let (_folder, path) = folder_with_state(b"from the future");
    let file = state_file_at(&path);
    let ((), lines) = with_logged_warnings(|| file.set_aside("was written by a newer version"));
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(line.contains("was written by a newer version; it has been set aside as"), "{line}");
    assert_eq!(file.read(), None);
    fs::rename(path_aside(&path, 1), &path).unwrap();
    assert_eq!(file.read().as_deref(), Some(&b"from the future"[..]));
}

#[test]
fn file_of_another_owner_is_set_aside_before_a_write() {
    let (_folder, path) = folder_with_state(b"old");
    let file = state_file_at(&path);
    assert!(file.read().is_some());
    let theirs = StateFile::new(path.clone(), &KEY.to_owned().into(), "you");
    let ((), lines) = with_logged_warnings(|| theirs.write(*b"theirs").unwrap());
    assert!(lines.len() == 1 && lines[0].contains("belongs to another credential"), "{lines:?}");
    fs::rename(path_aside(&path, 1), path_aside(&path, 7)).unwrap();
    assert_eq!(state_file_at(&path_aside(&path, 7)).read().as_deref(), Some(&b"old"[..]));
}

#[test]
fn file_that_cannot_be_set_aside_stays_unchanged() {
    // The name is so long that the new file still fits next to it, but no name to set it aside
    // does.
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("s".repeat(250));
    fs::write(&path, "somebody's").unwrap();
    let file = state_file_at(&path);
    let (content, lines) = with_logged_warnings(|| file.read());
    assert_eq!((content, lines.len()), (None, 1));
    assert!(lines[0].contains("by another program; it cannot be set aside ("), "{lines:?}");
    let (written, lines) = with_logged_warnings(|| file.write(*b"new"));
    let error = written.unwrap_err();
    assert!(matches!(error, Error::Occupied { .. }), "{error}");
    assert!(error.to_string().contains("left as it is") && lines.is_empty(), "{error}, {lines:?}");
    assert_eq!(fs::read(&path).unwrap(), b"somebody's");

    // Damage after the header is found only by reading, and the result is remembered.
    fs::remove_file(&path).unwrap();
    file.write(*b"content").unwrap();
    let damaged: Vec<u8> = fs::read(&path).unwrap().into_iter().chain([0]).collect();
    fs::write(&path, &damaged).unwrap();
    assert_eq!(file.read(), None);
    assert!(matches!(file.write(*b"new").unwrap_err(), Error::Occupied { .. }));
    assert_eq!(fs::read(&path).unwrap(), damaged);
    fs::remove_file(&path).unwrap();
    file.write(*b"new").unwrap();
    assert_eq!(file.read().as_deref(), Some(&b"new"[..]));
}

#[test]
fn new_file_left_by_a_crash_is_overwritten() {
    let (folder, path) = folder_with_state(b"old");
    fs::write(path.with_file_name("state.new"), vec![1; 10_000]).unwrap();
    assert_eq!(state_file_at(&path).read().as_deref(), Some(&b"old"[..]));
    state_file_at(&path).write(*b"new").unwrap();
    assert_eq!(state_file_at(&path).read().as_deref(), Some(&b"new"[..]));
    assert_eq!(file_names(&folder), ["state", "state.lock"]);
}

#[test]
fn failed_write_reports_the_path_and_the_step() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("missing/state");
    let error = state_file_at(&missing).write(*b"secret").unwrap_err().to_string();
    let expected = format!(
        "the state file {} cannot be written: opening the lock file: No such file",
        missing.display()
    );
    assert!(error.starts_with(&expected), "{error}");

    // The target of a link in place of the new file or the lock file is not ours and stays
    // unchanged.
    let path = folder.path().join("state");
    let victim = folder.path().join("victim");
    fs::write(&victim, "mine").unwrap();
    for name in ["state.new", "state.lock"] {
        let link = path.with_file_name(name);
        let _ = fs::remove_file(&link);
        symlink(&victim, &link).unwrap();
        let error = state_file_at(&path).write(*b"secret").unwrap_err();
        assert!(matches!(error, Error::Write { .. }), "{name}: {error}");
        assert_eq!(fs::read(&victim).unwrap(), b"mine", "{name}");
        fs::remove_file(&link).unwrap();
    }
}

proptest! {
    #[test]
    fn any_changed_byte_is_detected(
        content in proptest::collection::vec(any::<u8>(), 0..200),
        place in any::<prop::sample::Index>(),
        flip in 1_u8..,
        cut in any::<bool>(),
    ) {
        let (folder, path) = folder_with_state(&content);
        let mut bytes = fs::read(&path).unwrap();
        let place = place.index(bytes.len());
        if cut {
            bytes.truncate(place);
        } else {
            bytes[place] ^= flip;
        }
        fs::write(&path, &bytes).unwrap();
        prop_assert_eq!(state_file_at(&path).read(), None);
        prop_assert_eq!(fs::read(path_aside(&path, 1)).unwrap(), bytes);
        prop_assert_eq!(file_names(&folder), ["state.lock", "state.set-aside-1"]);
    }
}
