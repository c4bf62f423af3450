//! Entry point of the process: arguments, runtime and exit code.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use personio_scim::cli;
use personio_scim::cli::CommandError;
use personio_scim::config;
use personio_scim::config::CommandLineRequest;

/// Global allocator. The system's allocator retains much of the memory that a load has freed,
/// because other threads allocated it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // An error is ignored because standard error may be closed.
            let _ = writeln!(std::io::stderr(), "personio-scim: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn start() -> Result<(), CommandError> {
    match config::parse_command_line()? {
        CommandLineRequest::Help(help) => cli::help(&help),
        CommandLineRequest::InvalidCheck(error) => cli::report_invalid_check(error),
        CommandLineRequest::Command(parsed) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let result = runtime.block_on(cli::run(*parsed));
            // A running DNS look-up must not delay the end of the process.
            runtime.shutdown_timeout(Duration::from_millis(500));
            result
        }
    }
}
