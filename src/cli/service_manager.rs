//! Messages to the service manager, by the protocol of systemd (`sd_notify(3)`).
//!
//! A process that no service manager started has no `NOTIFY_SOCKET` in its environment, and sends
//! nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use serde::Deserialize;

use crate::cli::healthcheck;
use crate::clock::Clock;
use crate::config;

/// Time between two health checks. With a watchdog they are at most a third of its time apart.
const MAX_CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// Part of the health report that describes the snapshot.
const DIRECTORY: &str = "directory";

/// Reports that the settings are about to be read again. `ready` must follow.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!("the service manager cannot be notified: {error}"),
    }
}

/// Reports that the server answers.
pub(super) fn ready() {
    send(&[NotifyState::Ready]);
}

/// Reports that the server stops.
pub(super) fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// Requests the health of the server at `url` again and again, and reports it. Never completes.
///
/// The first response makes the service ready, whatever the health is: the first load of a large
/// company takes longer than a service manager waits, and a restart would begin it again. Each
/// response resets the watchdog, so that a server that does not respond is restarted.
pub(super) async fn report_health(url: String, clock: Arc<dyn Clock>) {
    if !config::has_service_manager() {
        return std::future::pending().await;
    }
    let interval = match sd_notify::watchdog_enabled() {
        Some(watchdog) => MAX_CHECK_INTERVAL.min(watchdog / 3),
        None => MAX_CHECK_INTERVAL,
    };
    let url = format!("{url}/health/ready");
    let mut is_ready = false;
    loop {
        match healthcheck::request(&url).await {
            Ok((_, body)) => {
                if !is_ready {
                    ready();
                    is_ready = true;
                }
                send(&[NotifyState::Watchdog, NotifyState::Status(&status_line(&body))]);
            }
            Err(error) => {
                tracing::error!("the server does not answer its own health check: {error}")
            }
        }
        clock.wait(interval).await;
    }
}

/// Body of `/health/ready`, as far as the status line needs it.
#[derive(Deserialize)]
struct HealthReport {
    status: String,
    parts: BTreeMap<String, PartReport>,
}

#[derive(Deserialize)]
struct PartReport {
    status: String,
    detail: String,
}

/// Returns the line that `systemctl status` shows, from the response of `/health/ready`: the
/// snapshot, and each other part that is not well.
fn status_line(body: &str) -> String {
    let Ok(report) = serde_json::from_str::<HealthReport>(body) else {
        return "the health report cannot be read".to_owned();
    };
    let mut line = report.status;
    if let Some(directory) = report.parts.get(DIRECTORY) {
        line = format!("{line}: {}", directory.detail);
    }
    for (name, part) in &report.parts {
        if name != DIRECTORY && matches!(part.status.as_str(), "down" | "degraded") {
            line = format!("{line}; {}", part.detail);
        }
    }
    // The protocol has one variable on each line.
    line.replace('\n', " ")
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("the service manager cannot be notified: {error}");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn status_line_has_the_data_and_each_part_that_is_not_well() {
        let directory = json!({"status": "ok", "detail": "412 users, 12 s old"});
        let failed = json!({"status": "down", "detail": "the last load failed:\ntime-out"});
        let well = json!({"status": "ok", "detail": "the last load succeeded"});
        for (body, expected) in [
            (
                json!({"status": "ok", "parts": {"directory": directory, "personio": well}}),
                "ok: 412 users, 12 s old",
            ),
            (
                json!({"status": "degraded", "parts": {"directory": directory, "personio": failed}}),
                "degraded: 412 users, 12 s old; the last load failed: time-out",
            ),
            (json!({"status": "down", "parts": {}}), "down"),
            (json!("down"), "the health report cannot be read"),
        ] {
            assert_eq!(status_line(&body.to_string()), expected);
        }
    }
}
