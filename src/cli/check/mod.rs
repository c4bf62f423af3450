//! `check`: whether the settings are right, and what to change if not. It only reads, and prints no value of a
//! person unless it is told to.

mod json;
mod mask;
mod network;
mod text;

use std::sync::Arc;

use clap::ArgMatches;

use crate::app;
use crate::app::Tuning;
use crate::cli::Failure;
use crate::cli::check::mask::Shown;
use crate::cli::stdout::{print, unless_closed};
use crate::clock::SystemClock;
use crate::config::{CheckArgs, Checking, Reading};
use crate::diagnostics::preflight::{Outcome, Report};

/// Number of persons of whom every attribute is explained.
const DEFAULT_SAMPLE: u8 = 3;

pub(super) async fn run(args: &CheckArgs, matches: &ArgMatches) -> Result<(), Failure> {
    let Checking { reading, max_results } = Reading::check(args, matches)?;
    let base_url = reading.personio.base_url.clone();
    let survey = app::survey(reading, max_results, Arc::new(SystemClock::new()), Tuning::impatient())?;
    let sample = args.sample.unwrap_or(DEFAULT_SAMPLE);
    let mut report = survey.take(sample.into()).await;
    if report.is_unreachable {
        // It says more than that there is no token.
        report.findings = vec![network::diagnosis(&base_url).await];
    } else {
        report.findings.insert(0, network::answers(&base_url));
    }
    let shown = if args.show_values { Shown::Whole } else { Shown::Masked };
    if args.json {
        print(format!("{:#}\n", json::json(&report, shown)).as_bytes())?;
    } else {
        let is_verbose = args.verbose || args.sample.is_some() || args.show_values;
        let details = is_verbose.then_some(shown);
        unless_closed(text::write(&report, details, &mut anstream::stdout().lock()))?;
    }
    verdict(&report)
}

fn verdict(report: &Report) -> Result<(), Failure> {
    let wrong = report.findings.iter().filter(|finding| finding.outcome == Outcome::Wrong);
    let wrong: Vec<&str> = wrong.map(|finding| finding.step).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(format!("a server would serve nothing, because of: {}", wrong.join(", "))))
}

/// An outcome in one word.
fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Fine => "ok",
        Outcome::Doubtful => "warn",
        Outcome::Wrong => "fail",
    }
}
