//! Commands of the program, one file each.

mod approvals;
mod approve;
mod check;
mod demo;
mod export;
mod healthcheck;
mod manual;
mod serve;
mod service_manager;
mod simulator;
mod stdout;
mod token;

use std::io::{IsTerminal, stderr};

pub use crate::cli::check::report_invalid_check;
pub use crate::cli::manual::help;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app;
use crate::app::{Application, ReloadHandle};
use crate::config;
use crate::config::{Command, Config, LogArgs, ParsedCommand};
use crate::telemetry;

/// Error of a command, with its exit code.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Error in the settings or arguments: exit code 64 (EX_USAGE of sysexits.h).
    #[error("{0}")]
    Usage(String),
    /// Any other error: exit code 1.
    #[error("{0}")]
    Failed(String),
}

impl CommandError {
    /// Returns the exit code of the process.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::Failed(_) => 1,
        }
    }
}

impl From<config::Error> for CommandError {
    fn from(error: config::Error) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<app::StartError> for CommandError {
    fn from(error: app::StartError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Runs a command. Must be called on a multi-threaded runtime.
///
/// # Errors
/// Returns an error of one line when the command fails.
pub async fn run(parsed: ParsedCommand) -> Result<(), CommandError> {
    let _file_size_signal = file_size_signal()?;
    let ParsedCommand { command, settings } = parsed;
    match command {
        Command::Serve(args) => serve::run(&args, &settings).await,
        Command::Demo(args) => demo::run(&args, &settings).await,
        Command::Simulator(args) => simulator::run(&args).await,
        Command::Healthcheck(args) => healthcheck::run(&args).await,
        Command::Approve(args) => approve::run(&args).await,
        Command::Check(args) => check::run(&args).await,
        Command::Export(args) => export::run(&args).await,
        Command::Token(args) => token::run(&args),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
    }
}

/// Registers a handler for SIGXFSZ, which the system sends when a file would exceed a size limit.
/// Without a handler, the signal ends the process; with one, the write returns an error.
fn file_size_signal() -> Result<Signal, CommandError> {
    Ok(signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?)
}

fn start_logs(args: &LogArgs) -> Result<telemetry::LogGuard, CommandError> {
    telemetry::start(args.settings()).map_err(CommandError::Usage)
}

#[cfg(feature = "otlp")]
fn start_traces(scim: &config::ServerSettings) -> Result<telemetry::Traces, CommandError> {
    telemetry::Traces::start(scim.monitoring.otlp_endpoint.as_ref()).map_err(CommandError::Failed)
}

/// Returns a future that completes at SIGTERM or SIGINT.
fn stop_signal() -> Result<impl Future<Output = ()>, CommandError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Registers a handler for SIGUSR1, which approves the change that the log reported last. Without a
/// handler, the signal ends the process, so this must be called before the process id is published.
fn approval_signal() -> Result<Signal, CommandError> {
    Ok(signal(SignalKind::user_defined1())?)
}

/// Passes approvals to the directory for as long as the process runs: those by signal and those by
/// `approve`.
fn handle_approvals(mut approvals: Signal, application: &Application) {
    let directory = application.directory();
    tokio::spawn(async move {
        while approvals.recv().await.is_some() {
            directory.approve_reported().await;
        }
    });
    if let Err(error) = approvals::listen(application.directory()) {
        tracing::warn!("`approve` cannot reach this process ({error}); send SIGUSR1 to approve");
    }
}

/// Handler for SIGHUP, which requests a reload of the settings. Without a handler, the signal ends
/// the process.
struct HangupSignal {
    signal: Signal,
    /// Flag that is set if the log goes to a terminal. The system sends the signal when the
    /// terminal is closed, too.
    logs_to_terminal: bool,
}

fn hangup_signal() -> Result<HangupSignal, CommandError> {
    Ok(HangupSignal {
        signal: signal(SignalKind::hangup())?,
        logs_to_terminal: stderr().is_terminal(),
    })
}

/// Reloads the settings at each SIGHUP, from the same sources as at the start. Returns when the
/// terminal that the log goes to is closed: the system sends the same signal then, and the server
/// would run unattended.
async fn reload_on_hangup(
    mut hangups: HangupSignal,
    reload_handle: ReloadHandle,
    read: impl Fn() -> Result<Config, config::Error>,
) {
    loop {
        if hangups.signal.recv().await.is_none() {
            return std::future::pending().await;
        }
        if hangups.logs_to_terminal && !stderr().is_terminal() {
            tracing::warn!(
                "the terminal was closed, so the server stops: to prevent this, run it as a \
                 service, or with its log in a file"
            );
            return;
        }
        service_manager::reloading();
        if let Err(failure) = reload(&reload_handle, &read) {
            tracing::error!("the settings stay as they were: {failure}");
        }
        service_manager::ready();
    }
}

fn reload(
    reload_handle: &ReloadHandle,
    read: &impl Fn() -> Result<Config, config::Error>,
) -> Result<(), CommandError> {
    reload_handle.apply(read()?)?;
    Ok(())
}
