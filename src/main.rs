//! The process: arguments, exit code, and nothing else.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use personio_scim::cli;
use personio_scim::cli::Failure;
use personio_scim::config;
use personio_scim::config::Asked;

/// The system's allocator keeps much of what a load has given back, since it came from other threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing can be done where standard error is closed.
            let _ = writeln!(std::io::stderr(), "personio-scim: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn start() -> Result<(), Failure> {
    match config::ask()? {
        Asked::Help(help) => cli::help(&help),
        Asked::Command(asked) => {
            let (command, matches) = *asked;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let ended = runtime.block_on(cli::run(command, &matches));
            // A name that is being looked up must not hold the process back.
            runtime.shutdown_timeout(Duration::from_millis(500));
            ended
        }
    }
}
