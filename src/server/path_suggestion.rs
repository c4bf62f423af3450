//! Suggestion of a route for a path that has none. Clients are configured with another case,
//! another version, the singular, or the base URL twice. The suggestion consists of the names of
//! routes, and holds nothing of the request.

use crate::server::{OptionalEndpoints, STATUS_PATH};
use crate::spelling;

/// Route that can be suggested.
struct SuggestedRoute {
    /// Last segment of its path in lower case, and words that clients have in its place.
    names: &'static [&'static str],
    path: &'static str,
    /// Path of the route with one more segment.
    child_path: &'static str,
}

/// Creates a route with a child route.
const fn parent(
    names: &'static [&'static str],
    path: &'static str,
    child_path: &'static str,
) -> SuggestedRoute {
    SuggestedRoute { names, path, child_path }
}

/// Creates a route without a child route.
const fn leaf(names: &'static [&'static str], path: &'static str) -> SuggestedRoute {
    SuggestedRoute { names, path, child_path: path }
}

/// Routes of SCIM. `persons` and `employees` are Personio's words for users.
const SCIM_ROUTES: [SuggestedRoute; 8] = [
    parent(&["users", "persons", "people", "employees"], "/scim/v2/Users", "/scim/v2/Users/{id}"),
    parent(&["groups"], "/scim/v2/Groups", "/scim/v2/Groups/{id}"),
    parent(&["schemas"], "/scim/v2/Schemas", "/scim/v2/Schemas/{urn}"),
    parent(&["resourcetypes"], "/scim/v2/ResourceTypes", "/scim/v2/ResourceTypes/{id}"),
    leaf(&["serviceproviderconfig", "serviceconfig"], "/scim/v2/ServiceProviderConfig"),
    leaf(&[".search", "search"], "/scim/v2/.search"),
    leaf(&["me"], "/scim/v2/Me"),
    leaf(&["bulk"], "/scim/v2/Bulk"),
];

/// Routes that are at the root only, and always there.
const ROOT_ROUTES: [SuggestedRoute; 3] = [
    leaf(&["openapi.json", "openapi", "openapi.yaml", "swagger.json", "swagger"], "/openapi.json"),
    leaf(&["ready", "readyz", "readiness"], "/health/ready"),
    leaf(&["health", "healthz", "live", "livez", "liveness"], "/health/live"),
];
const STATUS_ROUTE: SuggestedRoute = leaf(&["status"], STATUS_PATH);
const METRICS_ROUTE: SuggestedRoute = leaf(&["metrics"], "/metrics");
const WEBHOOKS_ROUTE: SuggestedRoute = leaf(&["webhooks", "webhook"], "/webhooks/personio");

/// Returns the route that `path` was most likely meant to be.
pub(super) fn suggestion(
    path: &str,
    pages: OptionalEndpoints,
    has_webhooks: bool,
) -> Option<&'static str> {
    let path = path.to_ascii_lowercase();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let mut routes: Vec<&SuggestedRoute> = SCIM_ROUTES.iter().chain(&ROOT_ROUTES).collect();
    if pages.status {
        routes.push(&STATUS_ROUTE);
    }
    if pages.metrics {
        routes.push(&METRICS_ROUTE);
    }
    if has_webhooks {
        routes.push(&WEBHOOKS_ROUTE);
    }
    for (index, segment) in segments.iter().enumerate() {
        if let Some(route) = find_route(&routes, segment) {
            return Some(full_path(route, segments.get(index + 1..).unwrap_or_default()));
        }
    }
    None
}

/// Returns the route with the name that is spelled most like `segment`, if there is one.
fn find_route<'r>(routes: &[&'r SuggestedRoute], segment: &str) -> Option<&'r SuggestedRoute> {
    let mut nearest: Option<(usize, &SuggestedRoute)> = None;
    for route in routes {
        for name in route.names {
            let Some(slips) = spelling::count_mistakes(segment, name) else { continue };
            if nearest.is_none_or(|(fewest, _)| slips < fewest) {
                nearest = Some((slips, route));
            }
        }
    }
    nearest.map(|(_, route)| route)
}

/// Returns the path of a route and of the segments after its name.
fn full_path(route: &SuggestedRoute, rest: &[&str]) -> &'static str {
    match (route.path, rest) {
        (path, []) => path,
        ("/health/live", [last, ..]) if spelling::count_mistakes(last, "ready").is_some() => {
            "/health/ready"
        }
        ("/scim/v2/Users", [".search" | "search", ..]) => "/scim/v2/Users/.search",
        ("/scim/v2/Groups", [".search" | "search", ..]) => "/scim/v2/Groups/.search",
        _ => route.child_path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelled_paths_lead_to_a_similar_route() {
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
            assert_eq!(
                suggestion(path, OptionalEndpoints { status: true, metrics: true }, true),
                expected,
                "{path}"
            );
        }
        for path in ["/status", "/metrics", "/webhooks/personio"] {
            assert_eq!(
                suggestion(path, OptionalEndpoints { status: false, metrics: false }, false),
                None,
                "{path} is not there"
            );
        }
        assert_eq!(
            suggestion(
                &"/users".repeat(20_000),
                OptionalEndpoints { status: false, metrics: false },
                false
            ),
            { Some("/scim/v2/Users/{id}") }
        );
        assert_eq!(
            suggestion(
                &"x".repeat(1_000_000),
                OptionalEndpoints { status: false, metrics: false },
                false
            ),
            None
        );
    }
}
