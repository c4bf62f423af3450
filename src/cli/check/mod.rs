//! `check`: reports whether the settings are right, and what to change if not. It writes nothing to
//! Personio, and prints values of persons only on request.

mod json;
mod mask;
mod network;
mod text;

use std::sync::Arc;

use crate::app;
use crate::app::Tuning;
use crate::cli::CommandError;
use crate::cli::check::mask::ValueVisibility;
use crate::cli::stdout::{ignore_broken_pipe, print};
use crate::clock::SystemClock;
use crate::config;
use crate::config::{CheckArgs, ReadingSettings};
use crate::diagnostics::preflight::{Finding, FindingOutcome, PreflightReport};

/// Default number of persons whose attributes are explained.
const DEFAULT_SAMPLE_SIZE: u8 = 3;

/// Step of the finding that `serve` does not start. Personio can be read nevertheless.
const CLIENTS_STEP: &str = "clients";

pub(super) async fn run(args: &CheckArgs) -> Result<(), CommandError> {
    let visibility = if args.show_values { ValueVisibility::Full } else { ValueVisibility::Masked };
    let settings = match ReadingSettings::for_check(args) {
        Ok(settings) => settings,
        Err(error) => {
            if args.output.json {
                print_json(&invalid_settings(&error), visibility)?;
            }
            return Err(error.into());
        }
    };
    let base_url = settings.reading.personio.api.base_url.clone();
    let has_clients = settings.has_clients;
    let preflight = app::preflight(settings, Arc::new(SystemClock::new()), Tuning::interactive())?;
    let sample_size = args.sample.unwrap_or(DEFAULT_SAMPLE_SIZE);
    let mut report = preflight.run(sample_size.into()).await;
    if let Some(fault) = report.unreachable {
        // The diagnosis of the connection is more precise than a finding about the access token.
        report.findings = vec![network::diagnose(&base_url, fault).await];
    } else {
        report.findings.insert(0, network::reachable(&base_url));
    }
    if !has_clients {
        report.findings.push(no_clients());
    }
    if args.output.json {
        print_json(&report, visibility)?;
    } else {
        let is_verbose = args.verbose || args.sample.is_some() || args.show_values;
        let details = is_verbose.then_some(visibility);
        ignore_broken_pipe(text::write(&report, details, &mut anstream::stdout().lock()))?;
    }
    check_result(&report)
}

fn print_json(report: &PreflightReport, visibility: ValueVisibility) -> Result<(), CommandError> {
    print(format!("{:#}\n", json::to_json(report, visibility)).as_bytes())
}

/// Reports an invalid value of a setting of `check --json`.
///
/// # Errors
/// Returns the error in the settings.
pub fn report_invalid_check(error: config::Error) -> Result<(), CommandError> {
    print_json(&invalid_settings(&error), ValueVisibility::Masked)?;
    Err(error.into())
}

/// Returns the report of a check that ended before its first request.
fn invalid_settings(error: &config::Error) -> PreflightReport {
    let finding = Finding {
        step: "settings",
        outcome: FindingOutcome::Failure,
        description: error.to_string(),
        remedy: None,
    };
    PreflightReport { findings: vec![finding], ..PreflightReport::default() }
}

/// Returns the finding that a server with these settings does not start, because no client could
/// authenticate.
fn no_clients() -> Finding {
    Finding {
        step: CLIENTS_STEP,
        outcome: FindingOutcome::Warning,
        description: "`serve` does not start with these settings: no token is set for SCIM clients"
            .to_owned(),
        remedy: Some(
            "Make a token with `personio-scim token new`, and set SCIM_BEARER_TOKEN, or \
             SCIM_BEARER_TOKEN_FILE to a file that holds it; or name clients in the configuration \
             file (--config, SCIM_CONFIG)."
                .to_owned(),
        ),
    }
}

fn check_result(report: &PreflightReport) -> Result<(), CommandError> {
    let failed = failed_steps(&report.findings);
    if failed.is_empty() {
        return Ok(());
    }
    Err(CommandError::Failed(format!("the check failed: {}", failed.join(", "))))
}

/// Returns the steps that fail on their own. A finding without a remedy is a consequence of another
/// one.
fn failed_steps(findings: &[Finding]) -> Vec<&'static str> {
    let mut failed = Vec::new();
    for finding in findings {
        if finding.outcome == FindingOutcome::Failure && finding.remedy.is_some() {
            failed.push(finding.step);
        }
    }
    failed
}

/// Returns the word for an outcome.
fn outcome_word(outcome: FindingOutcome) -> &'static str {
    match outcome {
        FindingOutcome::Pass => "ok",
        FindingOutcome::Warning => "warn",
        FindingOutcome::Failure => "fail",
    }
}
