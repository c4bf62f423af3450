//! How far the load is, on a terminal: nothing is drawn where nobody looks.

use std::fmt;
use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use tokio::task::JoinHandle;

use crate::directory::Progress;

/// How often it is drawn.
const EVERY: Duration = Duration::from_millis(100);
/// While persons are listed nobody knows how many there are.
const LISTING: &str = "{spinner} {msg}";
/// One request for each person's employments takes the most time.
const READING: &str = "{msg}; employments {bar:30} {human_pos} of {human_len}, {rate}, {eta} left";

/// A bar that follows a load until it is ended.
pub(super) struct Bar(Option<(ProgressBar, JoinHandle<()>)>);

/// Shows how far `progress` is, if standard error is a terminal.
pub(super) fn show(progress: &Arc<Progress>) -> Bar {
    if !stderr().is_terminal() {
        return Bar(None);
    }
    let bar = ProgressBar::new_spinner();
    bar.set_style(style(LISTING));
    let (drawn, progress) = (bar.clone(), Arc::clone(progress));
    let follow = tokio::spawn(async move {
        loop {
            draw(&drawn, &progress);
            tokio::time::sleep(EVERY).await;
        }
    });
    Bar(Some((bar, follow)))
}

impl Bar {
    /// Takes it away, so that what follows stands alone.
    pub(super) async fn end(self) {
        if let Some((bar, follow)) = self.0 {
            follow.abort();
            // It has stopped drawing then.
            let _ = follow.await;
            bar.finish_and_clear();
        }
    }
}

fn draw(bar: &ProgressBar, progress: &Progress) {
    let Some((done, total)) = progress.details() else {
        bar.set_message(format!("{} persons listed", progress.persons()));
        bar.tick();
        return;
    };
    if bar.length().is_none() {
        // The rate is that of the employments: pages of the list bring fifty at once.
        bar.reset();
        bar.set_length(total as u64);
        bar.set_style(style(READING));
        bar.set_message(format!("{total} persons"));
    }
    bar.set_position(done as u64);
}

/// A template of ours.
fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
        // What cannot be written is not drawn.
        let _ = write!(out, "{:.0}/s", state.per_sec());
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_some() {
        for template in [LISTING, READING] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn it_tells_persons_then_employments() {
        let (bar, progress) = (ProgressBar::hidden(), Progress::default());
        progress.listed(50);
        draw(&bar, &progress);
        assert_eq!((bar.message().as_str(), bar.length()), ("50 persons listed", None));
        progress.complete(60);
        (0..20).for_each(|_| progress.enriched());
        draw(&bar, &progress);
        assert_eq!((bar.message().as_str(), bar.length(), bar.position()), ("60 persons", Some(60), 20));
    }
}
