//! How far the load is, on a terminal: nothing is drawn where nobody looks.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::directory::Progress;

/// How often it is drawn.
const EVERY: Duration = Duration::from_millis(100);

/// A bar that follows a load until it is ended.
pub(super) struct Bar(Option<(ProgressBar, JoinHandle<()>)>);

/// Shows how far `progress` is, if standard error is a terminal.
pub(super) fn show(progress: &Arc<Progress>) -> Bar {
    if !stderr().is_terminal() {
        return Bar(None);
    }
    let bar = ProgressBar::new_spinner();
    bar.set_style(style("{spinner} {msg}"));
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
        bar.set_style(style("{msg}; employments {bar:30} {human_pos} of {human_len}, {per_sec:.0}, {eta} left"));
        bar.set_message(format!("{} persons", progress.persons()));
    }
    bar.set_position(done as u64);
}

/// A template of ours, which a test holds to be one.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
