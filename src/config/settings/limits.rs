//! Settings of pages, connections and filters.

use std::ops::RangeInclusive;

use clap::ArgAction;

use crate::config::parsers::{max_results, number_in, switch};
use crate::config::setting::setting;
use crate::scim::filter::FilterLimits;

/// Accepted numbers of open connections.
const CONNECTIONS_RANGE: RangeInclusive<usize> = 1..=100_000;
/// Accepted values for the length of the longest filter, in bytes. A longer filter fits into no
/// request.
const FILTER_LENGTH_RANGE: RangeInclusive<usize> = 100..=100_000;
/// Accepted values for the depth of a filter. Each level takes a part of the stack.
const FILTER_DEPTH_RANGE: RangeInclusive<usize> = 1..=250;

/// Settings of pages, connections and filters.
#[derive(Debug, Clone, clap::Args)]
pub struct LimitSettings {
    /// Maximum number of users on one page (filter.maxResults), at least 1000
    #[arg(
        long,
        env = "SCIM_MAX_RESULTS",
        value_name = "NUMBER",
        default_value = "10000",
        value_parser = setting(max_results)
    )]
    pub max_results: usize,
    /// Block `pagination` of RFC 9865 in /ServiceProviderConfig: on or off. Some older clients
    /// reject it
    #[arg(
        long,
        env = "SCIM_ANNOUNCE_PAGINATION",
        value_name = "SWITCH",
        default_value = "on",
        action = ArgAction::Set,
        value_parser = setting(switch)
    )]
    pub announce_pagination: bool,
    /// Maximum number of open connections of clients
    #[arg(
        long,
        env = "SCIM_MAX_CONNECTIONS",
        value_name = "NUMBER",
        default_value = "1024",
        value_parser = setting(number_in(CONNECTIONS_RANGE))
    )]
    pub max_connections: usize,
    /// Maximum number of open connections from one address that have not presented a valid token;
    /// trusted proxies have no such limit
    #[arg(
        long,
        env = "SCIM_MAX_CONNECTIONS_PER_ADDRESS",
        value_name = "NUMBER",
        default_value = "256",
        value_parser = setting(number_in(CONNECTIONS_RANGE))
    )]
    pub max_connections_per_address: usize,
    /// Maximum length of a filter, in bytes
    #[arg(
        long,
        env = "SCIM_MAX_FILTER_LENGTH",
        value_name = "BYTES",
        default_value = "10240",
        value_parser = setting(number_in(FILTER_LENGTH_RANGE))
    )]
    pub max_filter_length: usize,
    /// Maximum depth of parentheses and brackets in a filter
    #[arg(
        long,
        env = "SCIM_MAX_FILTER_DEPTH",
        value_name = "NUMBER",
        default_value = "50",
        value_parser = setting(number_in(FILTER_DEPTH_RANGE))
    )]
    pub max_filter_depth: usize,
}

impl LimitSettings {
    /// Returns the limits for filters.
    #[must_use]
    pub fn filter_limits(&self) -> FilterLimits {
        FilterLimits { max_bytes: self.max_filter_length, max_depth: self.max_filter_depth }
    }
}
