//! Settings of freshness: when data is read again, and which data is served.

use std::time::Duration;

use crate::config::Error;
use crate::config::parsers::{duration, percent};
use crate::config::setting::{SettingName, setting};

pub(in crate::config) const CACHE_TTL: SettingName =
    SettingName::new("cache-ttl", "SCIM_CACHE_TTL");
pub(in crate::config) const MAX_CHANGE: SettingName =
    SettingName::new("max-change", "SCIM_MAX_CHANGE");
const REFRESH_EVERY: SettingName = SettingName::new("refresh-every", "SCIM_REFRESH_EVERY");
const MAX_STALE: SettingName = SettingName::new("max-stale", "SCIM_MAX_STALE");

/// Default of the mass-change guard.
pub(in crate::config) const DEFAULT_MAX_CHANGE: &str = "20%";
/// Shortest interval of background refreshes. Each refresh lists all persons, and Personio limits
/// the rate of requests.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(10);

/// Settings of freshness.
#[derive(Debug, Clone, clap::Args)]
pub struct FreshnessSettings {
    /// Age of the data after which a request refreshes it
    #[arg(
        long = CACHE_TTL.flag,
        env = CACHE_TTL.variable,
        value_name = "TIME",
        default_value = "5m",
        value_parser = setting(duration)
    )]
    pub cache_ttl: Duration,
    /// Maximum time that a request waits for fresher data
    #[arg(
        long,
        env = "SCIM_REFRESH_WAIT",
        value_name = "TIME",
        default_value = "10s",
        value_parser = setting(duration)
    )]
    pub refresh_wait: Duration,
    /// Age after which employments are read again without any sign of a change
    #[arg(
        long,
        env = "SCIM_EMPLOYMENT_RECHECK",
        value_name = "TIME",
        default_value = "1h",
        value_parser = setting(duration)
    )]
    pub employment_recheck: Duration,
    /// Maximum share of the users that may disappear, become inactive, or lose their userName,
    /// e-mail address or employment, at once or within two hours; a larger change is held back.
    /// 100% switches this guard off
    #[arg(
        long = MAX_CHANGE.flag,
        env = MAX_CHANGE.variable,
        value_name = "PERCENT",
        default_value = DEFAULT_MAX_CHANGE,
        value_parser = setting(percent)
    )]
    pub max_change: f64,
    /// Interval of refreshes in the background, so that no request waits for one; at least 10s
    /// [default: refresh only when a client sends a request]
    #[arg(
        long = REFRESH_EVERY.flag,
        env = REFRESH_EVERY.variable,
        value_name = "TIME",
        value_parser = setting(duration)
    )]
    pub refresh_every: Option<Duration>,
    /// Maximum age of data that is served while Personio fails
    #[arg(
        long = MAX_STALE.flag,
        env = MAX_STALE.variable,
        value_name = "TIME",
        default_value = "24h",
        value_parser = setting(duration)
    )]
    pub max_stale: Duration,
}

impl FreshnessSettings {
    /// Checks the settings against each other.
    pub(in crate::config) fn check(&self) -> Result<(), Error> {
        if self.max_stale < self.cache_ttl {
            return Err(Error(format!("{MAX_STALE} is shorter than {CACHE_TTL}")));
        }
        let Some(every) = self.refresh_every else { return Ok(()) };
        if every < MIN_REFRESH_INTERVAL {
            let min_seconds = MIN_REFRESH_INTERVAL.as_secs();
            return Err(Error(format!("{REFRESH_EVERY} is shorter than {min_seconds}s")));
        }
        if every >= self.max_stale {
            return Err(Error(format!("{REFRESH_EVERY} is not shorter than {MAX_STALE}")));
        }
        Ok(())
    }
}
