//! Progress bar of a load. It is drawn on a terminal only.

use std::fmt;
use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use tokio::task::JoinHandle;

use crate::directory::LoadProgress;

/// Time between two updates.
const DRAW_INTERVAL: Duration = Duration::from_millis(100);
/// Template while persons are listed and their number is unknown.
const LISTING_TEMPLATE: &str = "{spinner} {msg}";
/// Template while employments are read. They take most of the time, because each person needs a
/// request.
const READING_TEMPLATE: &str =
    "{msg}; employments {bar:30} {human_pos} of {human_len}, {rate}, {eta} left";

/// Progress bar that follows a load until it is ended.
pub(super) struct LoadProgressBar(Option<(ProgressBar, JoinHandle<()>)>);

/// Shows the progress, if standard error is a terminal.
pub(super) fn show(progress: &Arc<LoadProgress>) -> LoadProgressBar {
    if !stderr().is_terminal() {
        return LoadProgressBar(None);
    }
    let bar = ProgressBar::new_spinner();
    bar.set_style(style(LISTING_TEMPLATE));
    let (drawn, progress) = (bar.clone(), Arc::clone(progress));
    let follow = tokio::spawn(async move {
        loop {
            draw(&drawn, &progress);
            tokio::time::sleep(DRAW_INTERVAL).await;
        }
    });
    LoadProgressBar(Some((bar, follow)))
}

impl LoadProgressBar {
    /// Removes the bar from the terminal, so that it does not mix with later output.
    pub(super) async fn end(self) {
        if let Some((bar, follow)) = self.0 {
            follow.abort();
            // The task has stopped drawing after this.
            let _ = follow.await;
            bar.finish_and_clear();
        }
    }
}

fn draw(bar: &ProgressBar, progress: &LoadProgress) {
    let Some((done, total)) = progress.enriched_of_total() else {
        bar.set_message(format!("{} persons listed", progress.listed_persons()));
        bar.tick();
        return;
    };
    if bar.length().is_none() {
        // The rate is that of the employments. Pages of persons arrive fifty at a time and would
        // distort it.
        bar.reset();
        bar.set_length(total as u64);
        bar.set_style(style(READING_TEMPLATE));
        bar.set_message(format!("{total} persons"));
    }
    bar.set_position(done as u64);
}

/// Returns the style for a template of this module.
fn style(template: &str) -> ProgressStyle {
    let style = match ProgressStyle::with_template(template) {
        Ok(style) => style,
        Err(_) => ProgressStyle::default_spinner(),
    };
    style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
        // A part that cannot be written is left out.
        let _ = write!(out, "{:.0}/s", state.per_sec());
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_valid() {
        for template in [LISTING_TEMPLATE, READING_TEMPLATE] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn bar_shows_persons_and_then_employments() {
        let (bar, progress) = (ProgressBar::hidden(), LoadProgress::default());
        progress.add_listed(50);
        draw(&bar, &progress);
        assert_eq!((bar.message().as_str(), bar.length()), ("50 persons listed", None));
        progress.set_total(60);
        (0..20).for_each(|_| progress.add_enriched());
        draw(&bar, &progress);
        assert_eq!(
            (bar.message().as_str(), bar.length(), bar.position()),
            ("60 persons", Some(60), 20)
        );
    }
}
