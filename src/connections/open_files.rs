//! Limit on the number of open files of the process. Each connection takes one.

use std::fs;

use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry as Metrics;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Number of files that are reserved for everything except clients: the log, listeners, event
/// queues, the state file.
const RESERVED_FILES: usize = 64;

/// Limit on open files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// Maximum number of open files; `usize::MAX` without a limit.
    pub limit: usize,
}

/// Raises the soft limit to the hard limit if the process may, and returns the limit in force.
#[must_use]
pub fn raise_limit() -> OpenFiles {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let mut limit = current;
    if current != maximum
        && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok()
    {
        limit = maximum;
    }
    OpenFiles { limit: limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX) }
}

impl OpenFiles {
    /// Returns the number of files that connections of clients can take when `others` connections
    /// to other servers are open.
    #[must_use]
    pub fn for_connections(self, others: usize) -> usize {
        self.limit.saturating_sub(RESERVED_FILES.saturating_add(others))
    }

    /// Registers the limit and the number of open files in `metrics`.
    pub fn register(self, metrics: &mut Metrics) {
        let limit = ConstGauge::new(self.limit as u64);
        metrics.register("open_files_limit", "Files that the process may have open", limit);
        if let Some(open) = Self::count_open() {
            metrics.register(
                "open_files",
                "Files that the process has open",
                ConstGauge::new(open as u64),
            );
        }
    }

    /// Returns the number of files that are open now, if the system reports it.
    #[must_use]
    fn count_open() -> Option<usize> {
        Some(fs::read_dir("/proc/self/fd").ok()?.count())
    }
}
