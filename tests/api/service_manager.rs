//! Messages to a service manager that speaks the protocol of systemd.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use personio_scim::simulator::{FaultAction, InjectedFault, SimulatedEndpoint};

use crate::harness::Setup;
use crate::process::{Program, settings};

/// Maximum time to wait for a message, as in the other tests.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// Socket of a service manager.
struct ServiceManager {
    socket: UnixDatagram,
    path: String,
    _folder: tempfile::TempDir,
}

impl ServiceManager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify").to_str().unwrap().to_owned();
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(MESSAGE_TIMEOUT)).unwrap();
        Self { socket, path, _folder: folder }
    }

    /// Returns the next message.
    fn message(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).expect("no message within 30 s");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Returns the next message that contains `part`, after those before it.
    fn message_with(&self, part: &str) -> String {
        loop {
            let message = self.message();
            if message.contains(part) {
                return message;
            }
        }
    }

    /// Starts `serve` as a service with a watchdog.
    fn serve(&self, upstream: &str) -> Program {
        let mut variables = settings(upstream);
        variables.push(("NOTIFY_SOCKET", &self.path));
        variables.push(("WATCHDOG_USEC", "300000"));
        Program::start(&["serve"], &variables)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_reports_that_it_answers_reads_its_settings_again_and_stops() {
    let simulator = Setup::persons(5).simulator();
    let manager = ServiceManager::new();
    let program = manager.serve(&simulator.base_url());
    assert_eq!(manager.message(), "READY=1\n");
    let report = manager.message_with("STATUS=ok");
    assert!(report.starts_with("WATCHDOG=1\nSTATUS=ok: "), "{report}");
    assert!(report.contains(" users, ") && report.ends_with(" s old\n"), "{report}");
    // Without another event, the watchdog is reset again and again.
    manager.message_with("WATCHDOG=1");
    manager.message_with("WATCHDOG=1");

    program.signal("HUP");
    let reload = manager.message_with("RELOADING=1");
    let time = reload.trim_end().strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
    assert!(time.parse::<u64>().unwrap() > 0);
    assert_eq!(manager.message_with("READY=1"), "READY=1\n");

    program.signal("TERM");
    assert_eq!(manager.message_with("STOPPING=1"), "STOPPING=1\n");
    assert_eq!(program.ended().await.status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_ready_while_personio_does_not_answer() {
    let simulator = Setup::persons(5).simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Hang));
    let manager = ServiceManager::new();
    let program = manager.serve(&simulator.base_url());
    assert_eq!(manager.message(), "READY=1\n");
    assert!(manager.message().starts_with("WATCHDOG=1\nSTATUS=loading: "));
    drop(program);
}
