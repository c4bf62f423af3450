//! The number of files that the process may have open. Each connection is one.

use std::fs;

use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry as Metrics;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Number of files that are kept for everything but clients: the log, listeners, event queues, the state file.
const FILES_OF_THE_PROCESS: usize = 64;

/// The number of files that may be open, as far as there is a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// The limit.
    pub limit: usize,
}

/// Raises the limit as far as the process may, and returns it.
#[must_use]
pub fn raise_limit() -> OpenFiles {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let mut limit = current;
    if current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok() {
        limit = maximum;
    }
    OpenFiles { limit: limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX) }
}

impl OpenFiles {
    /// Returns how many of them connections of clients may take, besides `others` connections to other servers.
    #[must_use]
    pub fn for_connections(self, others: usize) -> usize {
        self.limit.saturating_sub(FILES_OF_THE_PROCESS.saturating_add(others))
    }

    /// Shows the numbers in `metrics`.
    pub fn register(self, metrics: &mut Metrics) {
        let limit = ConstGauge::new(self.limit as u64);
        metrics.register("open_files_limit", "Files that the process may have open", limit);
        if let Some(open) = Self::open() {
            metrics.register("open_files", "Files that the process has open", ConstGauge::new(open as u64));
        }
    }

    /// Returns the number of files that are open now, where the system says it.
    #[must_use]
    fn open() -> Option<usize> {
        Some(fs::read_dir("/proc/self/fd").ok()?.count())
    }
}
