//! The commands, one file each: what `main` starts.

mod approvals;
mod approve;
mod check;
mod demo;
mod export;
mod healthcheck;
mod manual;
mod serve;
mod simulator;
mod stdout;
mod token;

use std::io::{IsTerminal, stderr};

pub use crate::cli::manual::help;
use clap::ArgMatches;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app;
use crate::app::{Application, Live};
use crate::config;
use crate::config::{Command, Config, LogArgs};
use crate::telemetry;

/// How a command failed, and with which exit code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A mistake in the settings: exit code 64 (EX_USAGE of sysexits.h).
    #[error("{0}")]
    Usage(String),
    /// Anything else: exit code 1.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    /// The exit code of the process.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::Failed(_) => 1,
        }
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<app::StartError> for Failure {
    fn from(error: app::StartError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Carries out a command. Must be called on a runtime with threads of its own.
///
/// # Errors
/// One line for the person who started it.
pub async fn run(command: Command, matches: &ArgMatches) -> Result<(), Failure> {
    let _file_size_signal = file_size_signal()?;
    match command {
        Command::Serve(args) => serve::run(&args, matches).await,
        Command::Demo(args) => demo::run(&args, matches).await,
        Command::Simulator(args) => simulator::run(&args).await,
        Command::Healthcheck(args) => healthcheck::run(&args).await,
        Command::Approve(args) => approve::run(&args).await,
        Command::Check(args) => check::run(&args, matches).await,
        Command::Export(args) => export::run(&args, matches).await,
        Command::Token(args) => token::run(&args),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
    }
}

/// SIGXFSZ, which the system sends where a file would grow beyond a limit. Its default would end the process; with a
/// handler the write fails with an error.
fn file_size_signal() -> Result<Signal, Failure> {
    Ok(signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?)
}

fn start_logs(args: &LogArgs) -> Result<telemetry::Logs, Failure> {
    telemetry::start(args.settings()?).map_err(Failure::Usage)
}

#[cfg(feature = "otlp")]
fn start_traces(scim: &config::Scim) -> Result<telemetry::Traces, Failure> {
    telemetry::Traces::start(scim.otlp_endpoint.as_ref()).map_err(Failure::Failed)
}

/// SIGTERM or SIGINT.
fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// SIGUSR1, which approves what the log has reported last. It must be had before anybody is told the process's number:
/// without it the signal would end the process.
fn approval_signal() -> Result<Signal, Failure> {
    Ok(signal(SignalKind::user_defined1())?)
}

/// Passes approvals on for as long as the process runs: those by signal, and those of `approve`.
fn pass_on(mut approvals: Signal, application: &Application) {
    let directory = application.directory();
    tokio::spawn(async move {
        while approvals.recv().await.is_some() {
            directory.approve_reported().await;
        }
    });
    if let Err(error) = approvals::listen(application.directory()) {
        tracing::warn!("`approve` cannot reach this process ({error}); SIGUSR1 can");
    }
}

/// SIGHUP, which asks to read the settings again. Without this the signal would end the process.
struct Hangups {
    signal: Signal,
    /// Whether the logs go to a terminal, which sends the signal when it is closed.
    had_terminal: bool,
}

fn hangup_signal() -> Result<Hangups, Failure> {
    Ok(Hangups { signal: signal(SignalKind::hangup())?, had_terminal: stderr().is_terminal() })
}

/// Reads the settings again whenever it is asked for, in the way in which they were read at first. Ends when the
/// terminal that the logs go to is closed: the system sends the same signal then, and nobody sees the server any more.
async fn keep_rereading(mut hangups: Hangups, live: Live, read: impl Fn() -> Result<Config, config::Error>) {
    loop {
        if hangups.signal.recv().await.is_none() {
            return std::future::pending().await;
        }
        if hangups.had_terminal && !stderr().is_terminal() {
            tracing::warn!("the terminal was closed: to outlive it, run as a service or with the log in a file");
            return;
        }
        let adopted = read().map_err(Failure::from).and_then(|config| Ok(live.adopt(config)?));
        if let Err(failure) = adopted {
            tracing::error!("the settings stay as they were: {failure}");
        }
    }
}
