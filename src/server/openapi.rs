//! `/openapi.json`: the OpenAPI 3.1 description of this server. Paths, parameters and errors come
//! from the template `openapi.json` next to this file. Addresses, limits and the attributes of
//! users and groups come from the running server. The endpoint requires authentication, like
//! `/Schemas`, because the attributes show the settings of a company.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value, json};

use crate::scim;
use crate::scim::{Discovery, InvalidSchemaDocument, filter};
use crate::server::middleware::authenticate;
use crate::server::{Error, OptionalEndpoints, SCIM_PATH, STATUS_PATH, State, response};

/// Template of the document. Its empty members are filled in here.
const TEMPLATE: &str = include_str!("openapi.json");

const METRICS_PATH: &str = "/metrics";
const WEBHOOKS_PATH: &str = "/webhooks/personio";
/// Paths that are served at the root only.
const ROOT_PATHS: [&str; 6] =
    ["/openapi.json", "/health/live", "/health/ready", METRICS_PATH, STATUS_PATH, WEBHOOKS_PATH];

/// Facts about the running server that the document depends on.
struct ServerFacts {
    pages: OptionalEndpoints,
    has_webhooks: bool,
    max_results: usize,
    filter_limits: filter::FilterLimits,
}

pub(super) async fn read(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    let server_facts = ServerFacts {
        pages: state.optional_endpoints,
        has_webhooks: state.authenticator.has_webhooks(),
        max_results: state.lists.max_results,
        filter_limits: state.lists.filter_limits,
    };
    let schema_registry = authenticate::view(&state, &request)?.schema_registry()?;
    let document =
        document(&schema_registry.discovery, &server_facts).map_err(|_| Error::Internal)?;
    response::plain_document(&request, &state, document).await
}

/// Returns the document.
///
/// # Errors
/// When the template or a schema in this program is invalid, which tests rule out.
fn document(
    discovery: &Discovery,
    server_facts: &ServerFacts,
) -> Result<String, InvalidSchemaDocument> {
    let mut document: Value = serde_json::from_str(TEMPLATE)?;
    remove_missing_endpoints(&mut document, server_facts);
    set(&mut document, "/info", "version", env!("CARGO_PKG_VERSION").into());

    let base = discovery.urls.base();
    let root = base.strip_suffix(SCIM_PATH).unwrap_or(base);
    let servers = json!([{"url": base}, {"url": root, "description": "The same at the root."}]);
    set(&mut document, "", "servers", servers);

    for name in ["User", "Group"] {
        set(&mut document, "/components/schemas", name, discovery.json_schema(name)?);
    }
    set_limits(&mut document, server_facts);

    add_json(&mut document);
    let responses = document.pointer("/components/responses").cloned().unwrap_or_default();
    let Some(paths) = object(&mut document, "/paths") else { return Ok(document.to_string()) };
    for (path, item) in paths {
        let Value::Object(item) = item else { continue };
        if ROOT_PATHS.contains(&path.as_str()) {
            item.insert("servers".to_owned(), json!([{"url": root}]));
        }
        if path == STATUS_PATH {
            add_html(item, &responses);
        }
        add_head(item, &responses);
    }
    Ok(document.to_string())
}

/// Removes the endpoints that this server does not have.
fn remove_missing_endpoints(document: &mut Value, server_facts: &ServerFacts) {
    if !server_facts.pages.status {
        remove(document, "/paths", STATUS_PATH);
    }
    if !server_facts.pages.metrics {
        remove(document, "/paths", METRICS_PATH);
    }
    if !server_facts.has_webhooks {
        remove(document, "/paths", WEBHOOKS_PATH);
        remove(document, "/components/securitySchemes", "webhook");
        remove(document, "/components/schemas", "Notice");
    }
}

/// Fills in the limits on pages and filters.
fn set_limits(document: &mut Value, server_facts: &ServerFacts) {
    let page = "/components/schemas/Page/properties";
    set(document, &format!("{page}/itemsPerPage"), "maximum", server_facts.max_results.into());
    set(document, &format!("{page}/Resources"), "maxItems", server_facts.max_results.into());
    let filter = format!(
        "Condition on the resources, in the grammar of RFC 7644 §3.4.2.2: at most {} bytes, and \
         at most {} parentheses and brackets open at once.",
        server_facts.filter_limits.max_bytes, server_facts.filter_limits.max_depth
    );
    for pointer in ["parameters/filter", "schemas/SearchRequest/properties/filter"] {
        let pointer = format!("/components/{pointer}");
        set(document, &pointer, "description", filter.as_str().into());
    }
}

fn object<'d>(document: &'d mut Value, pointer: &str) -> Option<&'d mut Map<String, Value>> {
    document.pointer_mut(pointer)?.as_object_mut()
}

fn set(document: &mut Value, pointer: &str, name: &str, value: Value) {
    if let Some(object) = object(document, pointer) {
        object.insert(name.to_owned(), value);
    }
}

fn remove(document: &mut Value, pointer: &str, name: &str) {
    if let Some(object) = object(document, pointer) {
        object.shift_remove(name);
    }
}

/// Adds `application/json` next to each `application/scim+json`, for clients that prefer it.
fn add_json(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(scim) = members.get(scim::MEDIA_TYPE).cloned() {
                members.entry("application/json").or_insert(scim);
            }
            members.values_mut().for_each(add_json);
        }
        Value::Array(elements) => elements.iter_mut().for_each(add_json),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Adds `text/html` to the errors of the status page, which browsers get as a page.
fn add_html(item: &mut Map<String, Value>, shared_responses: &Value) {
    let Some(get) = item.get_mut("get") else { return };
    let Some(responses) = object(get, "/responses") else { return };
    for response in responses.values_mut() {
        if let Some(shared) = referenced(response, shared_responses) {
            let mut shared = shared.clone();
            set(&mut shared, "/content", "text/html", json!({"schema": {"type": "string"}}));
            *response = shared;
        }
    }
}

/// Adds HEAD to a path that has GET: the same responses, without bodies.
fn add_head(item: &mut Map<String, Value>, shared_responses: &Value) {
    let Some(Value::Object(mut head)) = item.get("get").cloned() else { return };
    head.shift_remove("operationId");
    head.insert("summary".to_owned(), "Same as GET, without the body".into());
    if let Some(Value::Object(responses)) = head.get_mut("responses") {
        for response in responses.values_mut() {
            if let Some(shared) = referenced(response, shared_responses) {
                *response = shared.clone();
            }
            if let Value::Object(response) = response {
                response.shift_remove("content");
                response.shift_remove("links");
            }
        }
    }
    item.insert("head".to_owned(), Value::Object(head));
}

/// Returns the shared response that a response refers to.
fn referenced<'r>(response: &Value, shared_responses: &'r Value) -> Option<&'r Value> {
    let reference = response.get("$ref")?.as_str()?;
    shared_responses.get(reference.rsplit('/').next()?)
}
