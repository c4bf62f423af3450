//! `/openapi.json`: what is served, in the words of OpenAPI 3.1. Paths, parameters and errors stand in
//! `openapi.json` beside this file; addresses, limits and the attributes of users and groups are those of the
//! running server. It needs the token, as `/Schemas` does: it tells which attributes a company chose.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value, json};

use crate::scim;
use crate::scim::{BrokenDocument, Discovery, filter};
use crate::server::{Error, Pages, STATUS, State, response};

/// What is empty there is filled in here.
const DOCUMENT: &str = include_str!("openapi.json");

/// What SCIM is served below, besides the root.
const PREFIX: &str = "/scim/v2";
/// What is served at the root only.
const AT_THE_ROOT: [&str; 6] = ["/openapi.json", "/health/live", "/health/ready", METRICS, STATUS, WEBHOOKS];
const METRICS: &str = "/metrics";
const WEBHOOKS: &str = "/webhooks/personio";

pub(super) async fn read(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Error> {
    let vocabulary = state.directory.vocabulary();
    let has_webhooks = state.access.has_webhooks();
    let document = document(&vocabulary.discovery, state.pages, has_webhooks, state.max_results, state.filter_limits);
    response::plain_document(&request, &state, document.map_err(|_| Error::BrokeOff)?).await
}

/// The document of a server that these documents describe.
///
/// # Errors
/// When a document in the program is broken, which a test rules out.
fn document(
    discovery: &Discovery,
    pages: Pages,
    has_webhooks: bool,
    max_results: usize,
    filter_limits: filter::Limits,
) -> Result<String, BrokenDocument> {
    let mut document: Value = serde_json::from_str(DOCUMENT)?;
    if !pages.status {
        remove(&mut document, "/paths", STATUS);
    }
    if !pages.metrics {
        remove(&mut document, "/paths", METRICS);
    }
    if !has_webhooks {
        remove(&mut document, "/paths", WEBHOOKS);
        remove(&mut document, "/components/securitySchemes", "webhook");
        remove(&mut document, "/components/schemas", "Notice");
    }
    set(&mut document, "/info", "version", env!("CARGO_PKG_VERSION").into());

    let base = discovery.locations.base();
    let root = base.strip_suffix(PREFIX).unwrap_or(base);
    let servers = json!([{"url": base}, {"url": root, "description": "The same at the root."}]);
    set(&mut document, "", "servers", servers);

    for name in ["User", "Group"] {
        set(&mut document, "/components/schemas", name, discovery.json_schema(name)?);
    }
    let page = "/components/schemas/Page/properties";
    set(&mut document, &format!("{page}/itemsPerPage"), "maximum", max_results.into());
    set(&mut document, &format!("{page}/Resources"), "maxItems", max_results.into());
    let filter = format!(
        "What a resource must be like, in the grammar of RFC 7644 §3.4.2.2: at most {} bytes, and at most {} \
         parentheses and brackets open at once.",
        filter_limits.length, filter_limits.depth
    );
    for place in ["parameters/filter", "schemas/SearchRequest/properties/filter"] {
        set(&mut document, &format!("/components/{place}"), "description", filter.as_str().into());
    }

    add_json(&mut document);
    let responses = document.pointer("/components/responses").cloned().unwrap_or_default();
    for (path, item) in object(&mut document, "/paths").into_iter().flatten() {
        let Value::Object(item) = item else { continue };
        if AT_THE_ROOT.contains(&path.as_str()) {
            item.insert("servers".to_owned(), json!([{"url": root}]));
        }
        if path == STATUS {
            add_html(item, &responses);
        }
        add_head(item, &responses);
    }
    Ok(document.to_string())
}

fn object<'d>(document: &'d mut Value, pointer: &str) -> Option<&'d mut Map<String, Value>> {
    document.pointer_mut(pointer)?.as_object_mut()
}

fn set(document: &mut Value, pointer: &str, name: &str, value: Value) {
    object(document, pointer).and_then(|object| object.insert(name.to_owned(), value));
}

fn remove(document: &mut Value, pointer: &str, name: &str) {
    object(document, pointer).and_then(|object| object.shift_remove(name));
}

/// Adds `application/json` wherever SCIM is answered: clients that prefer it get it.
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

/// Adds `text/html` to the errors of the status page: browsers get them as a page, too.
fn add_html(item: &mut Map<String, Value>, responses: &Value) {
    let Some(described) = item.get_mut("get").and_then(|get| object(get, "/responses")) else { return };
    for response in described.values_mut() {
        let name = response.get("$ref").and_then(|reference| reference.as_str()?.rsplit('/').next());
        let Some(mut shared) = name.and_then(|name| responses.get(name)).cloned() else { continue };
        set(&mut shared, "/content", "text/html", json!({"schema": {"type": "string"}}));
        *response = shared;
    }
}

/// What can be got can be asked for by HEAD: the same, without the body.
fn add_head(item: &mut Map<String, Value>, responses: &Value) {
    let Some(Value::Object(mut head)) = item.get("get").cloned() else { return };
    head.shift_remove("operationId");
    head.insert("summary".to_owned(), "As GET, without the body".into());
    for response in head.get_mut("responses").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        let name = response.get("$ref").and_then(|reference| reference.as_str()?.rsplit('/').next());
        if let Some(shared) = name.and_then(|name| responses.get(name)) {
            *response = shared.clone();
        }
        if let Value::Object(response) = response {
            response.shift_remove("content");
            response.shift_remove("links");
        }
    }
    item.insert("head".to_owned(), Value::Object(head));
}
