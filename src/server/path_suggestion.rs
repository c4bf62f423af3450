//! Suggestion of a route for a path that has none: clients are configured with another case, another version, the
//! singular, or the base URL twice. It consists of the names of routes alone, and holds nothing of the request.

use crate::server::Pages;
use crate::spelling;

/// Route in this server, and the same with one more segment.
struct Route {
    /// Last name of its path in lower case, and what is written instead of it.
    names: &'static [&'static str],
    path: &'static str,
    below: &'static str,
}

const fn route(names: &'static [&'static str], path: &'static str, below: &'static str) -> Route {
    Route { names, path, below }
}

/// Routes of SCIM. `persons` and `employees` are Personio's words for users.
const SCIM: [Route; 8] = [
    route(&["users", "persons", "people", "employees"], "/scim/v2/Users", "/scim/v2/Users/{id}"),
    route(&["groups"], "/scim/v2/Groups", "/scim/v2/Groups/{id}"),
    route(&["schemas"], "/scim/v2/Schemas", "/scim/v2/Schemas/{urn}"),
    route(&["resourcetypes"], "/scim/v2/ResourceTypes", "/scim/v2/ResourceTypes/{id}"),
    route(
        &["serviceproviderconfig", "serviceconfig"],
        "/scim/v2/ServiceProviderConfig",
        "/scim/v2/ServiceProviderConfig",
    ),
    route(&[".search", "search"], "/scim/v2/.search", "/scim/v2/.search"),
    route(&["me"], "/scim/v2/Me", "/scim/v2/Me"),
    route(&["bulk"], "/scim/v2/Bulk", "/scim/v2/Bulk"),
];

/// Routes that are at the root only, and always there.
const ROOT: [Route; 3] = [
    route(&["openapi.json", "openapi", "openapi.yaml", "swagger.json", "swagger"], "/openapi.json", "/openapi.json"),
    route(&["ready", "readyz", "readiness"], "/health/ready", "/health/ready"),
    route(&["health", "healthz", "live", "livez", "liveness"], "/health/live", "/health/live"),
];
const STATUS: Route = route(&["status"], "/status", "/status");
const METRICS: Route = route(&["metrics"], "/metrics", "/metrics");
const WEBHOOKS: Route = route(&["webhooks", "webhook"], "/webhooks/personio", "/webhooks/personio");

/// Returns the route that `path` was most likely meant to be.
pub(super) fn suggestion(path: &str, pages: Pages, has_webhooks: bool) -> Option<&'static str> {
    let path = path.to_ascii_lowercase();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let mut routes: Vec<&Route> = SCIM.iter().chain(&ROOT).collect();
    for (is_there, route) in [(pages.status, &STATUS), (pages.metrics, &METRICS), (has_webhooks, &WEBHOOKS)] {
        if is_there {
            routes.push(route);
        }
    }
    for (position, segment) in segments.iter().enumerate() {
        if let Some(route) = named(&routes, segment) {
            return Some(with_rest(route, segments.get(position + 1..).unwrap_or_default()));
        }
    }
    None
}

fn named<'r>(routes: &[&'r Route], segment: &str) -> Option<&'r Route> {
    routes.iter().find(|route| route.names.iter().any(|name| spelling::slips(segment, name).is_some())).copied()
}

/// Returns the path of a route and of what follows its name.
fn with_rest(route: &Route, rest: &[&str]) -> &'static str {
    match (route.path, rest) {
        (path, []) => path,
        ("/health/live", [last, ..]) if spelling::slips(last, "ready").is_some() => "/health/ready",
        ("/scim/v2/Users", [".search" | "search", ..]) => "/scim/v2/Users/.search",
        ("/scim/v2/Groups", [".search" | "search", ..]) => "/scim/v2/Groups/.search",
        _ => route.below,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_known_by_the_name_of_its_route() {
        for (path, expected) in [
            ("/scim/v2/users", Some("/scim/v2/Users")),
            ("/users", Some("/scim/v2/Users")),
            ("/scim/v2/User", Some("/scim/v2/Users")),
            ("/SCIM/V2/Users", Some("/scim/v2/Users")),
            ("/SCIM/V2/Users/1", Some("/scim/v2/Users/{id}")),
            ("/scim/Users", Some("/scim/v2/Users")),
            ("/scim/v1/Users", Some("/scim/v2/Users")),
            ("/v2/persons", Some("/scim/v2/Users")),
            ("/scim/v2/scim/v2/Users", Some("/scim/v2/Users")),
            ("/Users/Users", Some("/scim/v2/Users/{id}")),
            ("/Users/1/2", Some("/scim/v2/Users/{id}")),
            ("/scim/v2/users/.search", Some("/scim/v2/Users/.search")),
            ("/scim/v2/group/search", Some("/scim/v2/Groups/.search")),
            ("/scim/v2/search", Some("/scim/v2/.search")),
            ("/scim/v2/schema", Some("/scim/v2/Schemas")),
            ("/scim/v2/schemas/urn:x", Some("/scim/v2/Schemas/{urn}")),
            ("/scim/v2/serviceproviderconfigs", Some("/scim/v2/ServiceProviderConfig")),
            ("/scim/v2/ServiceProviderConfigs/", Some("/scim/v2/ServiceProviderConfig")),
            ("/scim/v2/Resource-Types", Some("/scim/v2/ResourceTypes")),
            ("/scim/v2/me", Some("/scim/v2/Me")),
            ("/scim/v2/openapi.json", Some("/openapi.json")),
            ("/swagger", Some("/openapi.json")),
            ("/scim/v2/health/ready", Some("/health/ready")),
            ("/health", Some("/health/live")),
            ("/readyz", Some("/health/ready")),
            ("/scim/v2/status", Some("/status")),
            ("/scim/v2/metrics", Some("/metrics")),
            ("/webhook", Some("/webhooks/personio")),
            ("/scim/v2", None),
            ("/v2", None),
            ("/nothing", None),
            ("/*", None),
            ("", None),
            ("/scim/v2/ann@example.com", None),
        ] {
            assert_eq!(suggestion(path, Pages { status: true, metrics: true }, true), expected, "{path}");
        }
        for path in ["/status", "/metrics", "/webhooks/personio"] {
            assert_eq!(suggestion(path, Pages { status: false, metrics: false }, false), None, "{path} is not there");
        }
        assert_eq!(suggestion(&"/users".repeat(20_000), Pages { status: false, metrics: false }, false), {
            Some("/scim/v2/Users/{id}")
        });
        assert_eq!(suggestion(&"x".repeat(1_000_000), Pages { status: false, metrics: false }, false), None);
    }
}
