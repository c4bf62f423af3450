//! `check`: whether the settings are right, and what to change if not. It only reads, and prints no value of a
//! person unless it is told to.

mod json;
mod mask;
mod network;
mod text;

use std::sync::Arc;

use clap::ArgMatches;

use super::Failure;
use super::print::{print, unless_closed};
use crate::app::{self, Tuning};
use crate::clock::SystemClock;
use crate::config::{CheckArgs, Reading};
use crate::translate::survey::{Outcome, Report};
use mask::Shown;

pub(super) async fn run(args: &CheckArgs, matches: &ArgMatches) -> Result<(), Failure> {
    let reading = Reading::check(args, matches)?;
    let base_url = reading.personio.base_url.clone();
    let survey = app::survey(reading, Arc::new(SystemClock::new()), Tuning::impatient())?;
    let mut report = survey.take(args.sample.into()).await;
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
        unless_closed(text::write(&report, shown, &mut anstream::stdout().lock()))?;
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
