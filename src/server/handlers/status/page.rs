//! HTML of the status page. All values are escaped.

use std::time::Duration;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::directory::{FinishedLoad, HeldChangeSummary, LoadOutcome, NextLoad};
use crate::server::handlers::health::{Health, HealthStatus};
use crate::server::handlers::status::{
    AttributeCoverage, DisplayedSetting, STYLE, ScopedStatusReport, ServerReport, SnapshotSummary,
    StatusReport,
};
use crate::server::http_metrics::ClientActivity;

/// Number of loads in the table. The chart has all loads of the history.
const MAX_LOADS_IN_TABLE: usize = 8;
/// Number of bars for which the chart has room at least, so that few bars are not too wide.
const MIN_CHART_BARS: usize = 30;
/// Height of the chart, of its highest and of its lowest bar.
const CHART_HEIGHT: f64 = 50.0;
const MAX_BAR_HEIGHT: f64 = 46.0;
const MIN_BAR_HEIGHT: f64 = 2.0;

pub(super) fn page(report: &StatusReport) -> Markup {
    let title = title(&report.health);
    let is_first_load = report.snapshot.is_none() && report.loads.current.is_some();
    let header = Header { title, class: css_class(report.health.status), reloads: is_first_load };
    frame(
        &header,
        &html! {
            @if let Some(held) = &report.held_change { (held_change(held)) }
            (users(report))
            (server(&report.server, report.loads.next))
            (health_parts(&report.health))
            (past_loads(&report.loads.past))
            (clients(report))
            @if let Some(snapshot) = &report.snapshot { (attributes(snapshot)) }
            (settings(&report.settings))
        },
    )
}

/// Returns the page for a client with a scope.
pub(super) fn scoped_page(report: &ScopedStatusReport) -> Markup {
    let header = match report.snapshot {
        Some(_) => Header { title: "ready", class: css_class(HealthStatus::Ok), reloads: false },
        None => Header { title: "not ready", class: css_class(HealthStatus::Down), reloads: true },
    };
    frame(
        &header,
        &html! {
            section {
                h2 { "Users" }
                p.soft { "This client sees a part of the users, and some of their attributes." }
                @match &report.snapshot {
                    Some(snapshot) => (snapshot_numbers(snapshot)),
                    None => p.warn { "There is no snapshot that may be served." }
                }
            }
            @if let Some(snapshot) = &report.snapshot { (attributes(snapshot)) }
        },
    )
}

/// Header of the page.
struct Header {
    title: &'static str,
    class: &'static str,
    /// Flag of a page that reloads itself.
    reloads: bool,
}

fn frame(header: &Header, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                // The page reloads itself until the first load has ended.
                @if header.reloads { meta http-equiv="refresh" content="5"; }
                title { (header.title) " · personio-scim" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    header {
                        h1 { "personio-scim" }
                        span class={ "badge " (header.class) } { (header.title) }
                        span.soft { "version " (env!("CARGO_PKG_VERSION")) }
                    }
                    (content)
                }
            }
        }
    }
}

fn title(health: &Health) -> &'static str {
    match health.status {
        HealthStatus::Ok => "healthy",
        HealthStatus::Degraded => "degraded",
        HealthStatus::Loading => "loading",
        HealthStatus::Down | HealthStatus::Unknown => "not ready",
    }
}

fn css_class(status: HealthStatus) -> &'static str {
    match status {
        HealthStatus::Ok => "ok",
        HealthStatus::Degraded | HealthStatus::Loading => "warn",
        HealthStatus::Down => "bad",
        HealthStatus::Unknown => "soft",
    }
}

fn held_change(held: &HeldChangeSummary) -> Markup {
    let HeldChangeSummary { id, losses, held_for, .. } = held;
    html! {
        section.alert {
            h2.warn { "A change is held back" }
            p {
                "For " (in_words(*held_for)) ": "
                @if losses.users > 0 {
                    "it would take something from " (losses.users) " of " (losses.largest_total)
                    " users. "
                } @else {
                    "it would give access to many users or change many groups at once. "
                }
                "The snapshot from before the change is served until it is too old. If the change "
                "is right, run " code { "personio-scim approve " (id) } " on the machine of the "
                "server."
            }
            div.tiles {
                @for (kind, number) in losses.kinds() {
                    div { b { (number) } (kind.description()) }
                }
                @if losses.groups.disappeared > 0 {
                    div { b { (losses.groups.disappeared) } "groups would disappear" }
                }
                @if losses.groups.renamed > 0 {
                    div { b { (losses.groups.renamed) } "groups would be renamed" }
                }
            }
        }
    }
}

fn users(report: &StatusReport) -> Markup {
    html! {
        section {
            h2 { "Users" }
            @match &report.snapshot {
                Some(snapshot) => (snapshot_numbers(snapshot)),
                None if report.loads.current.is_some() => p.warn {
                    "All persons are being read from Personio. Until the load ends, lists return "
                    "503. This page reloads itself."
                }
                None => p { "There is no snapshot that may be served." }
            }
            @if let Some(loading) = &report.loads.current {
                p.soft {
                    "A load has been running for " (in_words(loading.elapsed)) ": "
                    (loading.progress)
                    @if let Some(left) = loading.remaining { ", " (left) } "."
                }
            }
        }
    }
}

fn snapshot_numbers(snapshot: &SnapshotSummary) -> Markup {
    html! {
        div.tiles {
            div { b { (snapshot.users) } "users" }
            @for (status, count) in &snapshot.users_by_status {
                div { b { (count) } (status) }
            }
            @if snapshot.groups > 0 { div { b { (snapshot.groups) } "groups" } }
        }
        p.soft { "State of Personio " (in_words(snapshot.age)) " ago." }
        @if let Some(max_results) = snapshot.exceeded_page {
            p.warn {
                "There are more users than the largest page holds (" (max_results) "): a client "
                "that does not page misses the others. Configure the client to page, or raise "
                code { "--max-results" } "."
            }
        }
    }
}

fn server(server: &ServerReport, next: NextLoad) -> Markup {
    html! {
        section {
            h2 { "Server" }
            table {
                tbody {
                    tr { td { "base URL" } td { code { (server.base_url) } } }
                    tr { td { "running" } td { "for " (in_words(server.uptime)) } }
                    tr { td { "next load" } td { (next_load(next)) } }
                }
            }
        }
    }
}

fn next_load(next: NextLoad) -> String {
    match next {
        NextLoad::Running => "under way".to_owned(),
        NextLoad::After(Duration::ZERO) => "now".to_owned(),
        NextLoad::After(wait) => format!("in {}", in_words(wait)),
        NextLoad::WithRequestAfter(Duration::ZERO) => "with the next request".to_owned(),
        NextLoad::WithRequestAfter(wait) => {
            format!("with the first request in {} or later", in_words(wait))
        }
    }
}

fn health_parts(health: &Health) -> Markup {
    html! {
        section {
            h2 { "Health" }
            table {
                thead { tr { th { "part" } th { "status" } th { "detail" } } }
                tbody {
                    @for part in &health.parts {
                        tr {
                            td { (part.name) }
                            td {
                                span class=(css_class(part.status)) { (part.status.as_str()) }
                                @if let Some(since) = part.since {
                                    " " span.soft { "for " (in_words(since)) }
                                }
                            }
                            td { (part.detail) }
                        }
                    }
                }
            }
        }
    }
}

fn past_loads(loads: &[FinishedLoad]) -> Markup {
    html! {
        section {
            h2 { "Loads from Personio" }
            @if loads.is_empty() {
                p.soft { "None has ended yet." }
            } @else {
                (load_chart(loads))
                p.soft {
                    "Duration of the last loads, the newest on the right; the longest took "
                    (in_words(max_duration(loads))) "."
                }
                p.soft {
                    @for kind in OutcomeKind::ALL {
                        @let count = count_loads(loads, kind);
                        @if count > 0 {
                            span class={ "key " (kind.css_class()) } { (count) " " (kind.label()) }
                            " "
                        }
                    }
                }
                (load_table(loads))
            }
        }
    }
}

fn load_table(loads: &[FinishedLoad]) -> Markup {
    html! {
        div.wide {
            table.stack {
                thead {
                    tr {
                        th { "began (UTC)" } th.number { "took" } th.number { "requests" }
                        th { "outcome" }
                    }
                }
                tbody {
                    @for load in loads.iter().rev().take(MAX_LOADS_IN_TABLE) {
                        tr {
                            td.when data-label="began (UTC)" {
                                (load.started_at.strftime("%Y-%m-%d %H:%M:%S"))
                            }
                            td.number data-label="took" { (in_words(load.duration)) }
                            td.number data-label="requests" { (load.requests) }
                            (outcome_cell(&load.outcome))
                        }
                    }
                }
            }
        }
    }
}

fn outcome_cell(outcome: &LoadOutcome) -> Markup {
    match outcome {
        LoadOutcome::Published(users) => {
            html! { td.outcome data-label="outcome" { (users) " users" } }
        }
        LoadOutcome::Held => {
            html! { td.outcome.warn data-label="outcome" { "held back" } }
        }
        LoadOutcome::Superseded => {
            html! { td.outcome.warn data-label="outcome" { "overtaken by an approval" } }
        }
        LoadOutcome::Failed(reason) => {
            html! { td.outcome.bad data-label="outcome" { (reason) } }
        }
    }
}

/// Kind of an outcome, as the chart distinguishes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OutcomeKind {
    Published,
    HeldBack,
    Failed,
}

impl OutcomeKind {
    const ALL: [Self; 3] = [Self::Published, Self::HeldBack, Self::Failed];

    fn of(outcome: &LoadOutcome) -> Self {
        match outcome {
            LoadOutcome::Published(_) => Self::Published,
            LoadOutcome::Held | LoadOutcome::Superseded => Self::HeldBack,
            LoadOutcome::Failed(_) => Self::Failed,
        }
    }

    fn css_class(self) -> &'static str {
        match self {
            Self::Published => "done",
            Self::HeldBack => "held",
            Self::Failed => "failed",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::HeldBack => "held back",
            Self::Failed => "failed",
        }
    }
}

fn count_loads(loads: &[FinishedLoad], kind: OutcomeKind) -> usize {
    loads.iter().filter(|load| OutcomeKind::of(&load.outcome) == kind).count()
}

fn max_duration(loads: &[FinishedLoad]) -> Duration {
    loads.iter().map(|load| load.duration).max().unwrap_or_default()
}

/// Returns a chart with a bar for each load.
fn load_chart(loads: &[FinishedLoad]) -> Markup {
    let max_seconds = max_duration(loads).as_secs_f64().max(0.001);
    let bars = loads.len().max(MIN_CHART_BARS);
    let first_bar = bars - loads.len();
    html! {
        svg viewBox={ "0 0 " (bars * 10) " " (CHART_HEIGHT) } preserveAspectRatio="none" role="img"
            aria-label="Duration of the last loads" {
            @for (index, load) in loads.iter().enumerate() {
                @let height = bar_height(load, max_seconds);
                rect x=((first_bar + index) * 10 + 1) y=(CHART_HEIGHT - height) width="8"
                    height=(height) class=(OutcomeKind::of(&load.outcome).css_class()) {
                    title {
                        (load.started_at.strftime("%H:%M:%S")) ": " (in_words(load.duration)) ", "
                        (load.requests) " requests"
                    }
                }
            }
        }
    }
}

fn bar_height(load: &FinishedLoad, max_seconds: f64) -> f64 {
    (load.duration.as_secs_f64() / max_seconds * MAX_BAR_HEIGHT).max(MIN_BAR_HEIGHT)
}

fn clients(report: &StatusReport) -> Markup {
    html! {
        section {
            h2 { "Clients" }
            @if report.activity_by_client.is_empty() {
                p.soft { "No client has sent a request since the start." }
            } @else {
                div.wide {
                    table.stack {
                        thead {
                            tr {
                                th { "client" } th { "last request" } th { "response" }
                                th.number { "served" } th.number { "refused" }
                                th.number { "failed" }
                            }
                        }
                        tbody {
                            @for (name, activity) in &report.activity_by_client {
                                (client_row(name, activity, report.now))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn client_row(name: &str, activity: &ClientActivity, now: Duration) -> Markup {
    let last = &activity.last_request;
    let age = now.saturating_sub(last.ended_at);
    html! {
        tr {
            td data-label="client" { (name) }
            td data-label="last request" {
                (in_words(age)) " ago, " code { (last.route) }
            }
            td data-label="response" {
                (last.status)
                @if let Some(count) = last.resource_count {
                    ", " (count) @if count == 1 { " resource" } @else { " resources" }
                }
            }
            td.number data-label="served" { (activity.served) }
            td.number data-label="refused" { (activity.refused) }
            td.number data-label="failed" { (activity.failed) }
        }
    }
}

fn attributes(snapshot: &SnapshotSummary) -> Markup {
    let mut groups = Vec::new();
    for group in snapshot.coverage.chunk_by(|one, other| extension(one) == extension(other)) {
        groups.push((group.first().and_then(extension), group));
    }
    html! {
        section {
            h2 { "Attributes" }
            p.soft { "Share of the " (snapshot.users) " users who have a value." }
            @for (urn, coverage) in groups {
                @if let Some(urn) = urn {
                    h3 { @for part in urn.split_inclusive(':') { (part) wbr; } }
                }
                ul.filled {
                    @for attribute in coverage { (coverage_item(attribute, snapshot.users)) }
                }
            }
        }
    }
}

fn coverage_item(attribute: &AttributeCoverage, all_users: usize) -> Markup {
    let AttributeCoverage { path, users } = attribute;
    let name = path.rsplit(':').next().unwrap_or(path);
    html! {
        li {
            code { (name) }
            meter min="0" max=(all_users.max(1)) value=(users) { }
            span.number { (percentage(*users, all_users)) }
            span.number.soft { (users) }
        }
    }
}

/// Returns the URN of the extension that an attribute belongs to.
fn extension(attribute: &AttributeCoverage) -> Option<&str> {
    let (urn, _) = attribute.path.rsplit_once(':')?;
    Some(urn)
}

/// Returns a share in percent, rounded down: 100 % means all, and 0 % means none.
fn percentage(count: usize, all: usize) -> String {
    match (count, count * 100 / all.max(1)) {
        (1.., 0) => "< 1 %".to_owned(),
        (_, percent) => format!("{percent} %"),
    }
}

fn settings(settings: &[DisplayedSetting]) -> Markup {
    html! {
        section {
            h2 { "Settings in force" }
            table {
                tbody {
                    @for DisplayedSetting { name, value, is_given } in settings {
                        tr {
                            td { code { (name) } }
                            td {
                                @match value {
                                    Some(value) => code { (value) },
                                    None => span.soft { "not set" }
                                }
                                @if !is_given && value.is_some() {
                                    " " span.soft { "(default)" }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Returns a duration in the largest unit that fits.
fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
