//! Scopes of clients in the preflight: the part of the sample that each client sees.

use std::sync::Arc;

use crate::diagnostics::findings::Finding;
use crate::scim::{SchemaRegistry, Scope, ScopeDefinition, User};

/// Name of the step.
const STEP: &str = "scope";

/// Scope of a client, with the name of the client.
#[derive(Debug, Clone)]
pub struct NamedScope {
    /// Name of the client.
    pub client: String,
    /// Visible users and attributes.
    pub definition: ScopeDefinition,
}

/// Returns the finding about the users of the sample that a client sees. A scope that cannot be
/// resolved has none: the settings were checked before.
pub(super) fn scope_finding(
    named: &NamedScope,
    users: &[User],
    registry: &Arc<SchemaRegistry>,
) -> Option<Finding> {
    let scope = Scope::new(&named.definition, registry).ok()?;
    let bound = scope.bind(registry).ok()?;
    let seen = users.iter().filter(|user| bound.matches(user)).count();
    let visible = bound.schema_registry().types.user.paths().len();
    let all = registry.types.user.paths().len();
    let description = format!(
        "the client {} sees {seen} of the {} users looked at, and {visible} of {all} attributes",
        named.client,
        users.len()
    );
    if seen == 0 && !users.is_empty() {
        let remedy = format!(
            "Compare `filter` of {} in the configuration file with the users: `personio-scim \
             export --client {}` writes all users that match.",
            named.client, named.client
        );
        return Some(Finding::warning(STEP, description, remedy));
    }
    Some(Finding::pass(STEP, description))
}
