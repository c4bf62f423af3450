//! The page in HTML. Whatever is put into it is escaped.

use std::time::Duration;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::directory::{HeldBack, NextLoad, Outcome, PastLoad};
use crate::server::handlers::health::{Health, Standing};
use crate::server::handlers::status::{Facts, STYLE, Served, Setting};
use crate::server::http_metrics::Visits;

/// So many of the last loads are told one by one; the chart shows all that are remembered.
const TOLD: usize = 8;
/// The chart has room for so many, so that a bar is one also where there are few.
const PLACES: usize = 30;

pub(super) fn page(facts: &Facts) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                // Whoever waits for the first load need not ask again and again.
                @if facts.served.is_none() && facts.loading.is_some() { meta http-equiv="refresh" content="5"; }
                title { (title(&facts.health)) " · personio-scim" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    header {
                        h1 { "personio-scim" }
                        span class={ "badge " (class(facts.health.standing)) } { (title(&facts.health)) }
                        span.soft { "version " (env!("CARGO_PKG_VERSION")) }
                    }
                    @if let Some(held) = &facts.held { (held_back(held)) }
                    (users(facts))
                    (server(facts))
                    (parts(&facts.health))
                    (loads(&facts.loads))
                    (clients(facts))
                    @if let Some(served) = &facts.served { (attributes(served)) }
                    (settings(&facts.settings))
                }
            }
        }
    }
}

fn title(health: &Health) -> &'static str {
    match health.standing {
        Standing::Ok => "healthy",
        Standing::Degraded => "degraded",
        Standing::Loading => "loading",
        Standing::Down | Standing::Unknown => "not ready",
    }
}

fn class(standing: Standing) -> &'static str {
    match standing {
        Standing::Ok => "ok",
        Standing::Degraded | Standing::Loading => "warn",
        Standing::Down => "bad",
        Standing::Unknown => "soft",
    }
}

fn held_back(held: &HeldBack) -> Markup {
    let HeldBack { id, losses, since, .. } = held;
    html! {
        section.alert {
            h2.warn { "A change is held back" }
            p {
                "For " (time(*since)) ": it would take something from " (losses.users) " of " (losses.of) " users. What was "
                "served before is served on. If the change is right, run " code { "personio-scim approve " (id) }
                " where the server runs."
            }
            div.tiles {
                @for (kind, number) in losses.kinds() {
                    div { b { (number) } (kind.words()) }
                }
                @if losses.groups.gone > 0 { div { b { (losses.groups.gone) } "groups would vanish" } }
                @if losses.groups.renamed > 0 { div { b { (losses.groups.renamed) } "groups would get another name" }
                }
            }
        }
    }
}

fn users(facts: &Facts) -> Markup {
    html! {
        section {
            h2 { "Users" }
            @match &facts.served {
                Some(served) => {
                    div.tiles {
                        div { b { (served.users) } "users" }
                        @for (state, count) in &served.states { div { b { (count) } (state) } }
                        @if served.groups > 0 { div { b { (served.groups) } "groups" } }
                    }
                    p.soft { "As they were in Personio " (time(served.age)) " ago." }
                    @if let Some(max_results) = served.exceeded_page {
                        p.warn {
                            "These are more than the largest page holds, " (max_results) ": a client that does not page reads "
                            "a part of them. Have it page, or raise " code { "--max-results" } "."
                        }
                    }
                }
                None if facts.loading.is_some() => p.warn {
                    "Everybody is read from Personio. Until that is done, lists are answered with 503. This page reloads itself."
                }
                None => p { "There is nothing that may be served." }
            }
            @if let Some(loading) = &facts.loading {
                p.soft {
                    "A load has been under way for " (time(loading.since)) ": " (loading.progress)
                    @if let Some(left) = loading.left { ", " (left) } "."
                }
            }
        }
    }
}

fn server(facts: &Facts) -> Markup {
    html! {
        section {
            h2 { "Server" }
            table {
                tbody {
                    tr { td { "base URL" } td { code { (facts.base_url) } } }
                    tr { td { "running" } td { "for " (time(facts.uptime)) } }
                    tr { td { "next load" } td { (next_load(facts.next_load)) } }
                }
            }
        }
    }
}

fn next_load(next: NextLoad) -> String {
    match next {
        NextLoad::UnderWay => "under way".to_owned(),
        NextLoad::In(Duration::ZERO) => "now".to_owned(),
        NextLoad::In(wait) => format!("in {}", time(wait)),
        NextLoad::WithRequestIn(Duration::ZERO) => "with the next request".to_owned(),
        NextLoad::WithRequestIn(wait) => format!("with the first request in {} or later", time(wait)),
    }
}

fn parts(health: &Health) -> Markup {
    html! {
        section {
            h2 { "Health" }
            table {
                thead { tr { th { "part" } th { "state" } th { "what" } } }
                tbody {
                    @for part in &health.parts {
                        tr {
                            td { (part.name) }
                            td {
                                span class=(class(part.standing)) { (part.standing.word()) }
                                @if let Some(since) = part.since { " " span.soft { "for " (time(since)) } }
                            }
                            td { (part.detail) }
                        }
                    }
                }
            }
        }
    }
}

fn loads(loads: &[PastLoad]) -> Markup {
    html! {
        section {
            h2 { "Loads from Personio" }
            @if loads.is_empty() {
                p.soft { "None has ended yet." }
            } @else {
                (chart(loads))
                p.soft {
                    "How long each of the last loads took, the newest on the right; the longest " (time(longest(loads))) "."
                }
                p.soft {
                    @for (kind, word) in [("done", "published"), ("held", "held back"), ("failed", "failed")] {
                        @let count = loads.iter().filter(|load| self::kind(&load.outcome) == kind).count();
                        @if count > 0 { span class={ "key " (kind) } { (count) " " (word) } " " }
                    }
                }
                div.wide {
                    table.stack {
                        thead {
                            tr { th { "began (UTC)" } th.number { "took" } th.number { "requests" } th { "outcome" } }
                        }
                        tbody {
                            @for load in loads.iter().rev().take(TOLD) {
                                tr {
                                    td.when data-label="began (UTC)" {
                                        (load.began.strftime("%Y-%m-%d %H:%M:%S"))
                                    }
                                    td.number data-label="took" { (time(load.took)) }
                                    td.number data-label="requests" { (load.requests) }
                                    (outcome(&load.outcome))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn outcome(outcome: &Outcome) -> Markup {
    match outcome {
        Outcome::Published(users) => html! { td.outcome data-label="outcome" { (users) " users" } },
        Outcome::HeldBack => html! { td.outcome.warn data-label="outcome" { "held back" } },
        Outcome::Overtaken => html! { td.outcome.warn data-label="outcome" { "overtaken by an approval" } },
        Outcome::Failed(reason) => html! { td.outcome.bad data-label="outcome" { (reason) } },
    }
}

fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Published(_) => "done",
        Outcome::HeldBack | Outcome::Overtaken => "held",
        Outcome::Failed(_) => "failed",
    }
}

fn longest(loads: &[PastLoad]) -> Duration {
    loads.iter().map(|load| load.took).max().unwrap_or_default()
}

/// A bar for each load.
fn chart(loads: &[PastLoad]) -> Markup {
    let longest = longest(loads).as_secs_f64().max(0.001);
    let height = |load: &PastLoad| (load.took.as_secs_f64() / longest * 46.0).max(2.0);
    let places = loads.len().max(PLACES);
    let free = places - loads.len();
    html! {
        svg viewBox={ "0 0 " (places * 10) " 50" } preserveAspectRatio="none" role="img"
            aria-label="How long the last loads took" {
            @for (place, load) in loads.iter().enumerate() {
                rect x=((free + place) * 10 + 1) y=(50.0 - height(load)) width="8" height=(height(load))
                    class=(kind(&load.outcome)) {
                    title { (load.began.strftime("%H:%M:%S")) ": " (time(load.took)) ", " (load.requests) " requests" }
                }
            }
        }
    }
}

fn clients(facts: &Facts) -> Markup {
    html! {
        section {
            h2 { "Clients" }
            @if facts.visits.is_empty() {
                p.soft { "None has asked since the start." }
            } @else {
                div.wide {
                    table.stack {
                        thead {
                            tr {
                                th { "client" } th { "last request" } th { "answer" } th.number { "served" }
                                th.number { "refused" } th.number { "failed" }
                            }
                        }
                        tbody { @for (name, visits) in &facts.visits { (client(name, visits)) } }
                    }
                }
            }
        }
    }
}

fn client(name: &str, visits: &Visits) -> Markup {
    let last = &visits.last;
    html! {
        tr {
            td data-label="client" { (name) }
            td data-label="last request" { (time(last.at.elapsed())) " ago, " code { (last.route) } }
            td data-label="answer" {
                (last.status)
                @if let Some(rows) = last.rows { ", " (rows) @if rows == 1 { " resource" } @else { " resources" } }
            }
            td.number data-label="served" { (visits.served) }
            td.number data-label="refused" { (visits.refused) }
            td.number data-label="failed" { (visits.failed) }
        }
    }
}

fn attributes(served: &Served) -> Markup {
    html! {
        section {
            h2 { "Attributes" }
            p.soft { "How many of the " (served.users) " users have a value." }
            @for group in served.filled.chunk_by(|(one, _), (other, _)| schema(one) == schema(other)) {
                @if let Some(urn) = group.first().and_then(|(path, _)| schema(path)) {
                    h3 { @for part in urn.split_inclusive(':') { (part) wbr; } }
                }
                ul.filled {
                    @for (path, count) in group {
                        li {
                            code { (path.rsplit(':').next().unwrap_or(path)) }
                            meter min="0" max=(served.users.max(1)) value=(count) { }
                            span.number { (share(*count, served.users)) }
                            span.number.soft { (count) }
                        }
                    }
                }
            }
        }
    }
}

/// The URN of the extension that an attribute is of.
fn schema(path: &str) -> Option<&str> {
    path.rsplit_once(':').map(|(urn, _)| urn)
}

/// A share in percent: all of it only where nobody is missing, and nothing only where there is nobody.
fn share(count: usize, all: usize) -> String {
    match (count, count * 100 / all.max(1)) {
        (1.., 0) => "< 1 %".to_owned(),
        (_, percent) => format!("{percent} %"),
    }
}

fn settings(settings: &[Setting]) -> Markup {
    html! {
        section {
            h2 { "Settings in force" }
            table {
                tbody {
                    @for Setting { name, value, is_chosen } in settings {
                        tr {
                            td { code { (name) } }
                            td {
                                @match value { Some(value) => code { (value) }, None => span.soft { "not set" } }
                                @if !is_chosen && value.is_some() { " " span.soft { "(default)" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A time as people say it.
fn time(time: Duration) -> String {
    let (millis, seconds) = (time.as_millis(), time.as_secs());
    match seconds {
        0 => format!("{millis} ms"),
        1..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
