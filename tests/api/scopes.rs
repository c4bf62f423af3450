//! Tests of scopes: a client sees only the users and attributes of its scope, whatever it asks.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use personio_scim::auth::{AuthSettings, Client, ClientName, ScopeId, TokenHash};
use personio_scim::config::{ClientScope, StateFileSettings};
use personio_scim::directory::ChangeKind;
use personio_scim::mapping::GroupKind;
use personio_scim::scim::filter::FilterLimits;
use personio_scim::scim::{
    AttributeSelection, ENTERPRISE_USER_SCHEMA, ListQuery, PERSONIO_USER_SCHEMA, PageRequest,
    Resource, ResourceSet, ResourceType, ScopeDefinition, SearchRequest,
};
use personio_scim::simulator::{FaultAction, InjectedFault, SimulatedEndpoint, World};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::harness::{
    NOW, SHORT_TTL, Setup, TOKEN, TestClock, TestResponse, TestServer, auth_settings, encoded,
    send_request, wait_until,
};
use crate::process;
use crate::process::{Program, file, get, run};

/// Client with a scope.
struct ScopedClient {
    name: &'static str,
    filter: Option<&'static str>,
    attributes: Selection,
}

/// Attributes as a test writes them: `E:` and `P:` stand for the URNs of the extensions.
#[derive(Clone, Copy)]
enum Selection {
    All,
    Only(&'static str),
    AllBut(&'static str),
}

/// Number of persons whom the client `externals` sees.
const EXTERNALS: usize = 8;

const CLIENTS: [ScopedClient; 8] = [
    ScopedClient {
        name: "internals",
        filter: Some("P:employmentType eq \"INTERNAL\" and active eq true"),
        attributes: Selection::All,
    },
    ScopedClient {
        name: "phonebook",
        filter: None,
        attributes: Selection::Only("displayName E:department"),
    },
    ScopedClient {
        name: "without_addresses",
        filter: Some("not (E:department sw \"S\")"),
        attributes: Selection::AllBut("emails userName P:hireDate meta.created"),
    },
    ScopedClient {
        name: "managers",
        filter: Some("title pr"),
        attributes: Selection::Only("userName active E:manager P:team groups name.familyName"),
    },
    ScopedClient {
        name: "ids",
        filter: Some("id ew \"1\" or id ew \"4\" or id ew \"7\""),
        attributes: Selection::Only(
            "groups.value emails P:managerEmail E:manager meta.created externalId",
        ),
    },
    ScopedClient {
        name: "without_extension",
        filter: None,
        attributes: Selection::AllBut("P: displayName groups.display name"),
    },
    ScopedClient {
        name: "externals",
        filter: Some("title eq \"External\""),
        attributes: Selection::All,
    },
    ScopedClient { name: "nobody", filter: Some("id eq \"none\""), attributes: Selection::All },
];

/// Replaces the abbreviations of the URNs.
fn expanded(text: &str) -> String {
    text.replace("E:", &format!("{ENTERPRISE_USER_SCHEMA}:"))
        .replace("P: ", &format!("{PERSONIO_USER_SCHEMA} "))
        .replace("P:", &format!("{PERSONIO_USER_SCHEMA}:"))
}

fn names(text: &str) -> Vec<String> {
    expanded(text).split_whitespace().map(str::to_owned).collect()
}

impl ScopedClient {
    fn definition(&self) -> ScopeDefinition {
        ScopeDefinition {
            filter: self.filter.map(expanded),
            attributes: match self.attributes {
                Selection::All => AttributeSelection::All,
                Selection::Only(text) => AttributeSelection::Only(names(text)),
                Selection::AllBut(text) => AttributeSelection::AllBut(names(text)),
            },
        }
    }

    fn scope(&self) -> ClientScope {
        let client = ClientName::parse(self.name).unwrap();
        ClientScope { client, definition: self.definition() }
    }

    fn token(&self) -> String {
        format!("token-of-{}-for-tests", self.name)
    }

    /// Reports whether a user has what the filter asks for, without the server's filters.
    fn selects(&self, user: &Value) -> bool {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let department = text(&user[ENTERPRISE_USER_SCHEMA]["department"]).to_lowercase();
        match self.name {
            "internals" => {
                user[PERSONIO_USER_SCHEMA]["employmentType"] == "INTERNAL" && user["active"] == true
            }
            "phonebook" | "without_extension" => true,
            "without_addresses" => !department.starts_with('s'),
            "managers" => !text(&user["title"]).is_empty(),
            "ids" => text(&user["id"]).ends_with(['1', '4', '7']),
            "externals" => user["title"] == "External",
            "nobody" => false,
            other => panic!("{other}"),
        }
    }

    /// Reports whether an attribute of users is visible, by its path or that of its parent.
    fn shows(&self, path: &str) -> bool {
        let always = ["schemas", "id", "meta.resourceType", "meta.location", "meta.version"];
        let is_within = |whole: &String| {
            let rest = path.strip_prefix(whole.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ':']))
        };
        let repeats = |end: &str| path.ends_with(end);
        let is_visible = match self.attributes {
            Selection::All => true,
            Selection::Only(text) => always.contains(&path) || names(text).iter().any(is_within),
            Selection::AllBut(text) => !names(text).iter().any(is_within),
        };
        is_visible
            && (!repeats(":managerEmail") || self.shows("emails.value"))
            && (!repeats(":manager.displayName") || self.shows("displayName"))
    }

    /// Reports whether an attribute of groups is visible.
    fn shows_in_groups(&self, path: &str) -> bool {
        match path {
            "displayName" => self.shows("groups.display") || !self.shows("groups.value"),
            "members.display" => self.shows("displayName") || !self.shows("groups.value"),
            "externalId" | "meta.created" | "meta.lastModified" => self.shows(path),
            _ => true,
        }
    }
}

fn settings() -> AuthSettings {
    let mut settings = auth_settings(None);
    for client in &CLIENTS {
        settings.clients.push(Client {
            scope: Some(ScopeId(client.definition().digest())),
            ..Client::unrestricted(
                ClientName::parse(client.name).unwrap(),
                TokenHash::from_token(client.token().as_bytes()),
            )
        });
    }
    settings
}

/// Returns a company in which some persons have no name, and so have their address as display name.
fn world() -> World {
    let mut world = World::generate(60, 7, NOW.parse().unwrap());
    for person in world.persons.iter_mut().step_by(7) {
        person.first_name = None;
        person.last_name = None;
        person.preferred_name = None;
    }
    for person in world.persons.iter_mut().take(EXTERNALS) {
        person.employments.iter_mut().for_each(|it| it.position = Some("External".to_owned()));
    }
    world
}

fn setup() -> Setup {
    let mut setup = Setup::of(world());
    setup.policy.groups = vec![GroupKind::Department, GroupKind::Office];
    setup.auth_settings = Some(settings());
    setup.scopes = CLIENTS.iter().map(ScopedClient::scope).collect();
    setup
}

async fn get_as(server: &TestServer, token: &str, path: &str) -> TestResponse {
    let request = server.http.request(Method::GET, format!("{}{path}", server.origin));
    send_request(request.bearer_auth(token)).await
}

/// Server that the law compares with: it has the visible users with the visible attributes only.
struct Reference {
    user_type: Arc<ResourceType>,
    group_type: Arc<ResourceType>,
    users: ResourceSet,
    groups: ResourceSet,
    /// Number of visible users whose manager is hidden.
    hidden_managers: usize,
}

impl Reference {
    /// Cuts everything that a client without a scope sees down to what `client` sees.
    async fn of(server: &TestServer, client: &ScopedClient) -> Self {
        let mut schemas = all(&get_as(server, TOKEN, "/Schemas").await.json());
        let mut types = all(&get_as(server, TOKEN, "/ResourceTypes").await.json());
        let mut empty = BTreeSet::new();
        for schema in &mut schemas {
            let urn = schema["id"].as_str().unwrap().to_owned();
            let attributes = schema["attributes"].as_array_mut().unwrap();
            match urn.as_str() {
                personio_scim::scim::USER_SCHEMA => prune(attributes, "", &|it| client.shows(it)),
                personio_scim::scim::GROUP_SCHEMA => {
                    prune(attributes, "", &|it| client.shows_in_groups(it));
                }
                urn => prune(attributes, &format!("{urn}:"), &|it| client.shows(it)),
            }
            if attributes.is_empty() && urn.contains(":extension:") {
                empty.insert(urn);
            }
        }
        if let Some(extensions) = types[0]["schemaExtensions"].as_array_mut() {
            extensions.retain(|it| !empty.contains(it["schema"].as_str().unwrap()));
        }
        let user_type = Arc::new(ResourceType::new(&types[0], &schemas).unwrap());
        let group_type = Arc::new(ResourceType::new(&types[1], &schemas).unwrap());

        let all_users = all(&get_as(server, TOKEN, "/Users").await.json());
        let visible: BTreeSet<String> = all_users
            .iter()
            .filter(|user| client.selects(user))
            .map(|user| user["id"].as_str().unwrap().to_owned())
            .collect();
        let addresses: BTreeSet<String> = all_users
            .iter()
            .filter(|user| user["displayName"] == user["userName"])
            .map(|user| user["id"].as_str().unwrap().to_owned())
            .collect();
        let hides_names_of = |id: &Value| {
            !client.shows("userName") && addresses.contains(id.as_str().unwrap_or_default())
        };
        let is_visible = |id: &Value| visible.contains(id.as_str().unwrap_or_default());

        let mut users = Vec::new();
        let mut hidden_managers = 0;
        for mut user in all_users {
            if !is_visible(&user["id"]) {
                continue;
            }
            if hides_names_of(&user["id"]) {
                remove(&mut user, "displayName");
            }
            let manager = user[ENTERPRISE_USER_SCHEMA]["manager"]["value"].clone();
            if manager.is_string() && !is_visible(&manager) {
                hidden_managers += 1;
                remove(&mut user[ENTERPRISE_USER_SCHEMA], "manager");
                remove(&mut user[PERSONIO_USER_SCHEMA], "managerEmail");
            } else if hides_names_of(&manager) {
                remove(&mut user[ENTERPRISE_USER_SCHEMA]["manager"], "displayName");
            }
            users.push(cut(&user, "", &|path| client.shows(path)));
        }
        let mut groups = Vec::new();
        for mut group in all(&get_as(server, TOKEN, "/Groups").await.json()) {
            let members = group["members"].as_array_mut().unwrap();
            members.retain(|member| is_visible(&member["value"]));
            for member in members.iter_mut() {
                if hides_names_of(&member["value"]) {
                    remove(member, "display");
                }
            }
            if !members.is_empty() && client.shows("groups.value") {
                groups.push(cut(&group, "", &|path| client.shows_in_groups(path)));
            }
        }
        let users = resources(&user_type, &users);
        let groups = resources(&group_type, &groups);
        Self { users, groups, user_type, group_type, hidden_managers }
    }

    /// Runs a query, and returns the page or the detail of the error.
    fn answer(&self, query: &Query) -> Result<Value, String> {
        let (types, sets) = match query.path {
            "/Users" => (vec![&*self.user_type], vec![&self.users]),
            "/Groups" => (vec![&*self.group_type], vec![&self.groups]),
            _ => (vec![&*self.user_type, &*self.group_type], vec![&self.users, &self.groups]),
        };
        let request = query.request();
        let paging =
            PageRequest::parse(request.start_index.as_deref(), request.count.as_deref(), 10_000);
        let limits = FilterLimits::default();
        let list = ListQuery::new(&request, &types, limits, paging.unwrap());
        let list = list.map_err(|error| error.detail)?;
        let page = list.select(&sets, None).unwrap().to_json();
        Ok(serde_json::from_slice(&page).unwrap())
    }
}

fn resources(kind: &Arc<ResourceType>, all: &[Value]) -> ResourceSet {
    let encode = |resource| Arc::new(Resource::new(kind, resource).unwrap());
    ResourceSet::new(kind, all.iter().map(encode).collect())
}

fn all(list: &Value) -> Vec<Value> {
    list["Resources"].as_array().unwrap_or_else(|| panic!("{list}")).clone()
}

fn remove(object: &mut Value, name: &str) {
    if let Some(members) = object.as_object_mut() {
        members.remove(name);
    }
}

/// Removes hidden attributes from the attributes of a schema.
fn prune(attributes: &mut Vec<Value>, prefix: &str, shows: &dyn Fn(&str) -> bool) {
    attributes.retain_mut(|attribute| {
        let path = format!("{prefix}{}", attribute["name"].as_str().unwrap());
        match attribute.get_mut("subAttributes").and_then(Value::as_array_mut) {
            Some(inner) if !inner.is_empty() => {
                prune(inner, &format!("{path}."), shows);
                !inner.is_empty()
            }
            Some(_) | None => shows(&path),
        }
    });
}

/// Returns a resource with the visible attributes only.
fn cut(value: &Value, path: &str, shows: &dyn Fn(&str) -> bool) -> Value {
    match value {
        Value::Object(members) => {
            let mut kept = Map::new();
            for (name, member) in members {
                let path = match path {
                    "" => name.clone(),
                    urn if urn.ends_with(":User") => format!("{urn}:{name}"),
                    path => format!("{path}.{name}"),
                };
                let member = cut(member, &path, shows);
                let is_empty = member == json!([]) || (member == json!({}) && name != "name");
                let is_hidden = match &member {
                    Value::Object(_) => is_empty,
                    Value::Array(elements) => {
                        is_empty || (!elements[0].is_object() && !shows(&path))
                    }
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                        !shows(&path)
                    }
                };
                let hides_name = name == "name" && !NAME_PATHS.iter().any(|path| shows(path));
                if !is_hidden && !hides_name {
                    kept.insert(name.clone(), member);
                }
            }
            if path.is_empty() {
                let urns: Vec<Value> = all_schemas(&kept);
                kept.insert("schemas".to_owned(), urns.into());
            }
            kept.into()
        }
        Value::Array(elements) => {
            let elements = elements.iter().map(|element| cut(element, path, shows));
            elements.filter(|element| *element != json!({})).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

const NAME_PATHS: [&str; 3] = ["name.formatted", "name.familyName", "name.givenName"];

/// Returns the schemas that still have values.
fn all_schemas(members: &Map<String, Value>) -> Vec<Value> {
    let schemas = members["schemas"].as_array().unwrap().iter();
    let has_values = |urn: &&Value| {
        let urn = urn.as_str().unwrap();
        !urn.contains(":extension:") || members.contains_key(urn)
    };
    schemas.filter(has_values).cloned().collect()
}

/// Query of the law.
#[derive(Debug, Clone)]
struct Query {
    path: &'static str,
    parameters: Vec<(&'static str, String)>,
}

impl Query {
    fn request(&self) -> SearchRequest {
        let mut request = SearchRequest::default();
        let list = |value: &str| value.split(',').map(str::to_owned).collect();
        for (name, value) in &self.parameters {
            match *name {
                "filter" => request.filter = Some(value.clone()),
                "sortBy" => request.sort_by = Some(value.clone()),
                "sortOrder" => request.sort_order = Some(value.clone()),
                "startIndex" => request.start_index = Some(value.clone()),
                "count" => request.count = Some(value.clone()),
                "attributes" => request.attributes = list(value),
                "excludedAttributes" => request.excluded_attributes = list(value),
                other => panic!("{other}"),
            }
        }
        request
    }

    fn names(&self, path: &str) -> bool {
        self.parameters.iter().any(|(_, value)| value.contains(path))
    }

    fn url(&self) -> String {
        let parameters: Vec<(&str, &str)> =
            self.parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        format!("{}?{}", self.path, encoded(&parameters))
    }
}

/// Attributes of users and groups, visible and hidden, and some that do not exist.
const PATHS: [&str; 34] = [
    "id",
    "externalId",
    "userName",
    "displayName",
    "DISPLAYNAME",
    "name",
    "name.familyName",
    "title",
    "active",
    "emails",
    "emails.value",
    "groups",
    "groups.value",
    "groups.display",
    "members",
    "members.display",
    "schemas",
    "meta.created",
    "meta.resourceType",
    "meta.location",
    "E:department",
    "E:manager",
    "E:manager.value",
    "E:manager.displayName",
    "E:employeeNumber",
    "P:hireDate",
    "P:team",
    "P:orgUnits.value",
    "P:managerEmail",
    "P:employmentType",
    "P:employmentStatus",
    "P:managerEmal",
    "department",
    "nickName",
];

fn path() -> impl Strategy<Value = String> {
    prop::sample::select(PATHS.to_vec()).prop_map(expanded)
}

/// Parts of a comparison: path, operator and value.
#[derive(Debug, Clone)]
struct Comparison {
    path: String,
    test: String,
}

fn comparison(values: Vec<String>) -> impl Strategy<Value = Comparison> {
    let operators = ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"];
    let values = prop::sample::select(values);
    (path(), prop::sample::select(operators.to_vec()), values).prop_map(
        |(path, operator, value)| Comparison { path, test: format!("{operator} {value}") },
    )
}

/// Generates filters whose values are those of the users, visible and hidden.
fn filter(values: Vec<String>) -> impl Strategy<Value = String> {
    let simple = prop_oneof![
        5 => comparison(values.clone()).prop_map(|it| format!("{} {}", it.path, it.test)),
        1 => path().prop_map(|path| format!("{path} pr")),
        1 => comparison(values)
            .prop_map(|it| format!("{}[value {} or display pr]", it.path, it.test)),
    ];
    simple.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, two)| format!("({one}) and ({two})")),
            (inner.clone(), inner.clone()).prop_map(|(one, two)| format!("({one}) or ({two})")),
            inner.prop_map(|inner| format!("not ({inner})")),
        ]
    })
}

fn query(values: Vec<String>) -> impl Strategy<Value = Query> {
    let paths = prop::sample::select(vec!["/Users", "/Users", "/Groups", "/"]);
    let projected = prop::option::of((any::<bool>(), prop::collection::vec(path(), 1..4)));
    let sort = prop::option::of((path(), any::<bool>()));
    let page = prop::option::of((1..30_usize, 0..30_usize));
    (paths, prop::option::of(filter(values)), projected, sort, page).prop_map(
        |(path, filter, projected, sort, page)| {
            let mut parameters = Vec::new();
            parameters.extend(filter.map(|filter| ("filter", filter)));
            if let Some((is_excluding, names)) = projected {
                let name = if is_excluding { "excludedAttributes" } else { "attributes" };
                parameters.push((name, names.join(",")));
            }
            if let Some((path, is_descending)) = sort {
                parameters.push(("sortBy", path));
                let order = if is_descending { "descending" } else { "ascending" };
                parameters.push(("sortOrder", order.to_owned()));
            }
            let (start, count) = page.unwrap_or((1, 1000));
            parameters.push(("startIndex", start.to_string()));
            parameters.push(("count", count.to_string()));
            Query { path, parameters }
        },
    )
}

/// Removes `meta` from the resources of a page: its dates depend on when the scope was created.
fn without_meta(mut page: Value) -> Value {
    for resource in page["Resources"].as_array_mut().into_iter().flatten() {
        remove(resource, "meta");
    }
    page
}

/// Returns the texts of all values in a JSON value, quoted.
fn collect_texts(value: &Value, texts: &mut BTreeSet<String>) {
    match value {
        Value::String(_) | Value::Bool(_) => {
            texts.insert(value.to_string());
        }
        Value::Array(elements) => elements.iter().for_each(|it| collect_texts(it, texts)),
        Value::Object(members) => members.values().for_each(|it| collect_texts(it, texts)),
        Value::Null | Value::Number(_) => {}
    }
}

/// Common attributes that a scope can hide. The reference has them in its schemas, without values,
/// and so refuses a value of the wrong type.
const HIDEABLE_COMMON: [&str; 2] = ["externalId", "meta.created"];

/// Number of queries for each client.
const QUERIES: usize = 250;

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_is_a_server_with_only_the_visible_users_and_attributes() {
    let server = setup().start();
    server.ready().await;
    let mut texts = BTreeSet::new();
    for path in ["/Users", "/Groups"] {
        collect_texts(&get_as(&server, TOKEN, path).await.json()["Resources"], &mut texts);
    }
    let values: Vec<String> = texts.into_iter().collect();
    let mut runner = TestRunner::deterministic();
    let queries = query(values);
    for client in &CLIENTS {
        let reference = Reference::of(&server, client).await;
        if client.name == "ids" {
            assert!(reference.hidden_managers > 5, "{}", reference.hidden_managers);
        }
        let (mut pages, mut errors) = (0, 0);
        for _ in 0..QUERIES {
            let query = queries.new_tree(&mut runner).unwrap().current();
            if HIDEABLE_COMMON.iter().any(|path| query.names(path) && !client.shows(path)) {
                continue;
            }
            let response = get_as(&server, &client.token(), &query.url()).await;
            let what = format!("{}: {query:?}", client.name);
            match reference.answer(&query) {
                Ok(page) => {
                    assert_eq!(response.status, 200, "{what}: {}", response.text);
                    assert_eq!(without_meta(response.json()), without_meta(page), "{what}");
                    pages += 1;
                }
                Err(detail) => {
                    assert_eq!(response.json()["detail"], detail, "{what}");
                    errors += 1;
                }
            }
        }
        assert!(pages > QUERIES / 10 && errors > QUERIES / 100, "{pages} {errors}");
        for (path, resources) in [("Users", &reference.users), ("Groups", &reference.groups)] {
            for resource in resources.all() {
                let path = format!("/{path}/{}", resource.id());
                let found = get_as(&server, &client.token(), &path).await.json();
                let expected: Value = serde_json::from_str(resource.json()).unwrap();
                let one = |resource| without_meta(json!({"Resources": [resource]}));
                assert_eq!(one(found), one(expected), "{}", client.name);
            }
        }
    }
}

/// Returns the client with this name.
fn client(name: &str) -> &'static ScopedClient {
    CLIENTS.iter().find(|client| client.name == name).unwrap()
}

/// Returns the ids of all users and groups that a client sees.
async fn visible_ids(server: &TestServer, token: &str, path: &str) -> BTreeSet<String> {
    let list = get_as(server, token, path).await.json();
    all(&list).iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

/// Status, headers and body of a response, without what differs between any two responses.
fn comparable(response: &TestResponse) -> String {
    let mut headers = response.headers.clone();
    headers.remove("x-request-id");
    headers.remove("date");
    let headers: BTreeSet<String> =
        headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    format!("{} {headers:?} {}", response.status, response.text)
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_resources_are_like_unknown_ones() {
    let server = setup().start();
    server.ready().await;
    for client in &CLIENTS {
        let token = client.token();
        for path in ["/Users", "/Groups"] {
            let visible = visible_ids(&server, &token, path).await;
            let unknown = get_as(&server, &token, &format!("{path}/999999")).await;
            assert_eq!(unknown.status, 404);
            for id in visible_ids(&server, TOKEN, path).await.difference(&visible) {
                for query in ["", "?attributes=id", "?attributes=meta.version"] {
                    let hidden = get_as(&server, &token, &format!("{path}/{id}{query}")).await;
                    assert_eq!(comparable(&hidden), comparable(&unknown), "{path}/{id}{query}");
                }
                let head = server.http.head(format!("{}{path}/{id}", server.origin));
                assert_eq!(send_request(head.bearer_auth(&token)).await.status, 404);
            }
            let search = json!({"schemas": [personio_scim::scim::SEARCH_REQUEST_SCHEMA]});
            let url = format!("{}{path}/.search", server.origin);
            let search = server.http.post(url).bearer_auth(&token).body(search.to_string());
            let found = send_request(search).await.json();
            assert_eq!(found["totalResults"], visible.len(), "{found}");
            let count = get_as(&server, &token, &format!("{path}?count=0")).await.json();
            assert_eq!(count["totalResults"], visible.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_a_person_without_a_name_is_nowhere() {
    let server = setup().start();
    server.ready().await;
    for client in ["phonebook", "without_extension", "without_addresses"] {
        let client = self::client(client);
        let shows_addresses = client.shows("emails.value") || client.shows("userName");
        for path in ["/Users", "/Groups", "/", "/Schemas", "/openapi.json", "/status"] {
            let response = get_as(&server, &client.token(), path).await;
            assert_eq!(response.status, 200, "{path}");
            // The style of the status page has an `@`, too.
            let text = response.text.split("</style>").last().unwrap();
            assert!(shows_addresses || !text.contains('@'), "{path}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_and_errors_name_no_hidden_attribute() {
    let server = setup().start();
    server.ready().await;
    let token = client("phonebook").token();
    for path in ["/Schemas", "/ResourceTypes", "/openapi.json", "/status"] {
        let text = get_as(&server, &token, path).await.text;
        for hidden in ["hireDate", "managerEmail", "employeeNumber", "familyName", "personio:2.0"] {
            assert!(!text.contains(hidden), "{path}: {hidden}");
        }
    }
    let urn = format!("/Schemas/{PERSONIO_USER_SCHEMA}");
    assert_eq!(get_as(&server, &token, &urn).await.status, 404);
    for (parameter, wrong) in [
        ("filter", "hireDat pr"),
        ("filter", "managermail eq \"x\""),
        ("filter", "employeeNumbr pr"),
        ("filter", "emial eq \"x\""),
        ("sortBy", "hireDat"),
        ("sortBy", "urn:ietf:params:scim:schemas:extension:personio:2.0:User:hireDate"),
    ] {
        let query = encoded(&[(parameter, wrong)]);
        let response = get_as(&server, &token, &format!("/Users?{query}")).await;
        let detail = response.scim_error(
            400,
            Some(match parameter {
                "filter" => "invalidFilter",
                _ => "invalidPath",
            }),
        );
        let suggestion = detail.split("did you mean").nth(1).unwrap_or_default();
        for hidden in ["hireDate", "managerEmail", "employeeNumber", "emails"] {
            assert!(!suggestion.contains(hidden), "{detail}");
        }
    }
}

/// Entity tags and the cursor that a client gets.
async fn tags(server: &TestServer, token: &str, user: &str) -> Vec<String> {
    let mut tags = Vec::new();
    for path in [
        "/Users".to_owned(),
        "/Groups".to_owned(),
        "/".to_owned(),
        "/Users?count=2".to_owned(),
        format!("/Users/{user}"),
    ] {
        tags.push(get_as(server, token, &path).await.header("etag").to_owned());
    }
    let page = get_as(server, token, "/Users?cursor=&count=1").await.json();
    tags.push(page["nextCursor"].as_str().unwrap().to_owned());
    tags
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_and_cursors_move_with_visible_changes_only() {
    let mut setup = setup();
    setup.cache_ttl = SHORT_TTL;
    let server = setup.start();
    server.reloaded().await;
    let phonebook = client("phonebook").token();
    let internals = client("internals").token();
    let visible = visible_ids(&server, &internals, "/Users").await;
    let everybody = visible_ids(&server, TOKEN, "/Users").await;
    let shown = visible.iter().next().unwrap().clone();
    let hidden = everybody.difference(&visible).next().unwrap().clone();
    type Change = fn(&mut personio_scim::simulator::SimulatedPerson);
    let title: Change = |person| person.employments[0].position = Some("Changed".to_owned());
    let start: Change =
        |person| person.employments[0].employment_start_date = Some("2001-02-03".parse().unwrap());
    let name: Change = |person| person.preferred_name = Some("Another Name".to_owned());
    let created: Change = |person| {
        let second = jiff::SignedDuration::from_secs(1);
        person.created_at = person.created_at.map(|moment| moment + second);
    };
    for (who, change, moves_phonebook, moves_internals) in [
        (&shown, created, false, true),
        (&hidden, title, false, false),
        (&hidden, start, false, false),
        (&hidden, name, true, false),
        (&shown, title, false, true),
        (&shown, name, true, true),
    ] {
        let before = [
            tags(&server, &phonebook, &shown).await,
            tags(&server, &internals, &shown).await,
            tags(&server, TOKEN, &shown).await,
        ];
        server.simulator.with_world(|world| {
            change(world.persons.iter_mut().find(|person| person.id == *who).unwrap());
        });
        server.reloaded().await;
        let after = [
            tags(&server, &phonebook, &shown).await,
            tags(&server, &internals, &shown).await,
            tags(&server, TOKEN, &shown).await,
        ];
        assert_eq!(before[0] != after[0], moves_phonebook, "{who} {:?} {:?}", before[0], after[0]);
        assert_eq!(before[1] != after[1], moves_internals, "{who} {:?} {:?}", before[1], after[1]);
        assert_ne!(before[2], after[2]);
        // Every page moves with a visible change, and not only some.
        if moves_phonebook {
            assert_ne!(before[0][0], after[0][0]);
        }
    }
    let tag = get_as(&server, TOKEN, &format!("/Users/{shown}")).await.header("etag").to_owned();
    let request = server.http.get(format!("{}/Users/{shown}", server.origin));
    let request = request.bearer_auth(&phonebook).header("If-None-Match", tag);
    assert_eq!(send_request(request).await.status, 200, "a tag of another client is no tag");
}

#[tokio::test(flavor = "multi_thread")]
async fn last_modified_is_the_time_of_a_visible_change() {
    let mut setup = setup();
    setup.cache_ttl = SHORT_TTL;
    let server = setup.start();
    server.reloaded().await;
    let token = client("managers").token();
    let internals = client("internals").token();
    let read = async |token: &str, id: &str| {
        let user = get_as(&server, token, &format!("/Users/{id}")).await.json();
        user["meta"]["lastModified"].as_str().map(str::to_owned)
    };
    let visible = visible_ids(&server, &internals, "/Users").await;
    // The manager of this user is not visible to the client, or there is none.
    let mut without_manager = None;
    for id in &visible {
        let user = get_as(&server, &internals, &format!("/Users/{id}")).await.json();
        if user[ENTERPRISE_USER_SCHEMA].get("manager").is_none() {
            without_manager = Some(id.clone());
            break;
        }
    }
    let id = without_manager.unwrap();
    assert_eq!(read(&token, &id).await, None, "it is a date, and was not named");
    let before = read(&internals, &id).await.unwrap();
    server.clock.pass(Duration::from_secs(60));
    server.simulator.with_world(|world| {
        for person in &mut world.persons {
            if person.id == id {
                person.employments[0].position = Some("Changed".to_owned());
            }
        }
    });
    server.reloaded().await;
    let after = read(&internals, &id).await.unwrap();
    assert!(after > before, "{before} {after}");
    server.clock.pass(Duration::from_secs(60));
    server.reloaded().await;
    assert_eq!(read(&internals, &id).await.unwrap(), after);
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_of_other_clients_and_scopes_are_refused() {
    let server = setup().start();
    server.ready().await;
    let cursor = async |token: &str| {
        let page = get_as(&server, token, "/Users?cursor=&count=3").await.json();
        page["nextCursor"].as_str().unwrap().to_owned()
    };
    let (phonebook, internals) = (client("phonebook").token(), client("internals").token());
    for (from, to) in [(TOKEN, &*phonebook), (&*phonebook, &*internals), (&*internals, TOKEN)] {
        let stolen = format!("/Users?count=3&cursor={}", cursor(from).await);
        get_as(&server, to, &stolen).await.scim_error(400, Some("invalidCursor"));
    }
    let own = format!("/Users?count=3&cursor={}", cursor(&phonebook).await);
    assert_eq!(get_as(&server, &phonebook, &own).await.status, 200);
    let filtered = format!("{own}&filter=id%20pr");
    get_as(&server, &phonebook, &filtered).await.scim_error(400, Some("invalidCursor"));
    // A cursor from before a narrower scope does not lead into the list of the wider one.
    apply_scope(&server, "phonebook", Some("active eq true"));
    get_as(&server, &phonebook, &own).await.scim_error(400, Some("invalidCursor"));
}

/// Gives a client another scope with this filter, without a restart.
fn apply_scope(server: &TestServer, name: &str, filter: Option<&str>) {
    let mut config = server.config.clone();
    let attributes = AttributeSelection::Only(vec!["displayName".to_owned()]);
    let definition = ScopeDefinition { filter: filter.map(str::to_owned), attributes };
    for client in &mut config.scim.auth_settings.clients {
        if client.name.as_str() == name {
            client.scope = Some(ScopeId(definition.digest()));
        }
    }
    for scope in &mut config.scim.scopes {
        if scope.client.as_str() == name {
            scope.definition = definition.clone();
        }
    }
    server.live.apply(config).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn paging_sessions_of_several_scopes_stay_apart() {
    let mut setup = setup();
    setup.cache_ttl = SHORT_TTL;
    let server = setup.start();
    server.reloaded().await;
    let tokens = [TOKEN.to_owned(), client("internals").token(), client("phonebook").token()];
    let mut expected = Vec::new();
    for token in &tokens {
        expected.push(visible_ids(&server, token, "/Users").await);
    }
    let mut found = vec![Vec::new(); tokens.len()];
    for page in 0..30 {
        // All clients send the same requests with the same `User-Agent`, in turns.
        for (token, found) in tokens.iter().zip(&mut found) {
            let path = format!("/Users?count=4&startIndex={}", page * 4 + 1);
            let page = get_as(&server, token, &path).await.json();
            for user in page["Resources"].as_array().into_iter().flatten() {
                found.push(user["id"].as_str().unwrap().to_owned());
            }
        }
        if page == 3 {
            server.simulator.with_world(|world| {
                world.persons.remove(0);
                world.persons.remove(20);
            });
            server.reloaded().await;
        }
    }
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.len(), expected.len(), "each user once");
        assert_eq!(found.iter().cloned().collect::<BTreeSet<_>>(), *expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_response_cache_serves_no_page_of_another_scope() {
    let server = setup().start();
    server.ready().await;
    let tokens: Vec<String> =
        [TOKEN.to_owned()].into_iter().chain(CLIENTS.iter().map(ScopedClient::token)).collect();
    let urls = ["/Users", "/Groups", "/Users?count=5", "/Users?filter=active%20eq%20true", "/"];
    let fetch = async |token: &str, url: &str, coding: &str| {
        let request = server.http.get(format!("{}{url}", server.origin));
        let request = request.bearer_auth(token).header("Accept-Encoding", coding);
        let response = request.send().await.unwrap();
        response.bytes().await.unwrap().to_vec()
    };
    for coding in ["identity", "gzip", "br", "zstd"] {
        for url in urls {
            let mut first = Vec::new();
            for token in &tokens {
                first.push(fetch(token, url, coding).await);
            }
            for (token, first) in tokens.iter().zip(&first).rev() {
                assert!(fetch(token, url, coding).await == *first, "{token} {url} {coding}");
            }
            let distinct: BTreeSet<&Vec<u8>> = first.iter().collect();
            assert!(distinct.len() >= 5, "{url} {coding}: {}", distinct.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_without_and_with_a_token_show_nothing_of_hidden_users() {
    let setup = Setup { has_metrics_address: true, max_change: 0.2, ..setup() };
    let server = Setup { cache_ttl: SHORT_TTL, ..setup }.start();
    server.reloaded().await;
    let everybody = visible_ids(&server, TOKEN, "/Users").await.len();
    let internals = client("internals");
    let visible = visible_ids(&server, &internals.token(), "/Users").await.len();
    let has_number = |text: &str, number: usize| {
        text.split(|char: char| !char.is_ascii_digit()).any(|it| it == number.to_string())
    };
    let health = server.get("/health/ready").await;
    assert_eq!(health.status, 200);
    assert!(!has_number(&health.text, everybody), "{}", health.text);
    assert!(health.json()["pid"].is_u64());
    let full = format!("{}/health/ready", server.metrics_origin.as_ref().unwrap());
    let full = send_request(server.http.get(full)).await;
    assert!(has_number(&full.text, everybody), "{}", full.text);
    let status = get_as(&server, &internals.token(), "/status").await.text;
    let status = status.split("</style>").last().unwrap();
    assert!(status.contains(&format!("<b>{visible}</b>users")), "{status}");
    assert!(!has_number(status, everybody), "{status}");
    for hidden in ["Loads from Personio", "Clients", "Settings", "phonebook"] {
        assert!(!status.contains(hidden), "{hidden}: {status}");
    }
    // A held change is not visible either.
    server.simulator.with_world(|world| world.persons.truncate(20));
    server.reloaded().await;
    assert!(server.directory().held_change().is_some());
    let health = server.get("/health/ready").await;
    assert!(!health.text.contains("held"), "{}", health.text);
    assert!(!health.text.contains("would"), "{}", health.text);
    let status = get_as(&server, &internals.token(), "/status").await.text;
    let status = status.split("</style>").last().unwrap();
    assert!(!status.contains("held"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_snapshot_a_scope_shows_nothing() {
    let setup = Setup { refresh_wait: Duration::from_millis(50), ..setup() };
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Hang));
    let server = setup.start_with(simulator);
    let token = client("internals").token();
    let id = server.simulator.with_world(|world| world.persons[0].id.clone());
    for path in ["/Users".to_owned(), format!("/Users/{id}"), "/Groups".to_owned()] {
        let response = get_as(&server, &token, &path).await;
        let detail = response.scim_error(503, None);
        assert_eq!(detail, "the directory cannot be served yet; retry later");
        assert!(!response.header("retry-after").is_empty());
    }
    assert_eq!(server.simulator.request_count(SimulatedEndpoint::Person), 0);
    assert_eq!(get_as(&server, &token, "/Schemas").await.status, 200);
    let hidden = get_as(&server, &client("phonebook").token(), "/Schemas").await.text;
    assert!(!hidden.contains("hireDate"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_a_scope_at_once_and_no_response_mixes_two() {
    let server = setup().start();
    server.ready().await;
    let token = client("phonebook").token();
    let everybody = visible_ids(&server, &token, "/Users").await;
    let narrow = "active eq true";
    let mut expected = Vec::new();
    for filter in [None, Some(narrow)] {
        apply_scope(&server, "phonebook", filter);
        expected.push(visible_ids(&server, &token, "/Users").await);
    }
    assert_eq!(expected[0], everybody);
    assert!(expected[1].len() < everybody.len());
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..200 {
        let url = format!("{}/Users", server.origin);
        let request = server.http.get(url).bearer_auth(&token);
        requests.spawn(async move { send_request(request).await });
        if number % 20 == 0 {
            apply_scope(&server, "phonebook", if number % 40 == 0 { None } else { Some(narrow) });
        }
    }
    while let Some(response) = requests.join_next().await {
        let response = response.unwrap();
        if response.status == 503 {
            continue;
        }
        let page = response.json();
        let found: BTreeSet<String> =
            all(&page).iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
        assert!(expected.contains(&found), "{} users", found.len());
        assert_eq!(page["totalResults"], found.len());
    }
    // A scope that is not in force shows nothing: its client never sees everything instead.
    let mut config = server.config.clone();
    config.scim.scopes.retain(|scope| scope.client.as_str() != "phonebook");
    server.live.apply(config).unwrap();
    get_as(&server, &token, "/Users").await.scim_error(503, None);
    get_as(&server, &token, "/Schemas").await.scim_error(503, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_would_empty_a_scope_is_held_until_it_is_approved() {
    let setup = Setup { max_change: 0.2, cache_ttl: SHORT_TTL, ..setup() };
    let server = setup.start();
    server.reloaded().await;
    let token = client("internals").token();
    let before = visible_ids(&server, &token, "/Users").await;
    assert!(before.len() > 20);
    // The right to read the type of employments is lost.
    server.simulator.with_world(|world| {
        for person in &mut world.persons {
            person.employments.iter_mut().for_each(|employment| employment.employment_type = None);
        }
    });
    server.reloaded().await;
    let held = server.directory().held_change().expect("the load is held");
    assert_eq!(held.losses.users_with(ChangeKind::OutOfScope), before.len());
    assert_eq!(visible_ids(&server, &token, "/Users").await, before);
    server.approve().await;
    assert_eq!(visible_ids(&server, &token, "/Users").await.len(), 0);

    // The scope of another client has few users, so that the number of all users is of no help.
    let token = client("externals").token();
    let before = visible_ids(&server, &token, "/Users").await;
    assert_eq!(before.len(), EXTERNALS);
    server.simulator.with_world(|world| {
        for person in world.persons.iter_mut().take(EXTERNALS) {
            person.employments.iter_mut().for_each(|it| it.position = Some("Changed".to_owned()));
        }
    });
    server.reloaded().await;
    let held = server.directory().held_change().expect("the load is held");
    assert_eq!(held.losses.users_with(ChangeKind::OutOfScope), EXTERNALS);
    assert_eq!(visible_ids(&server, &token, "/Users").await, before);
    server.approve().await;
    assert_eq!(visible_ids(&server, &token, "/Users").await.len(), 0);

    // A few users may leave a scope at any time.
    let (shared, few) = ("without_addresses", 2);
    let token = client(shared).token();
    let before = visible_ids(&server, &token, "/Users").await;
    server.simulator.with_world(|world| {
        let unit = world.org_units.iter().find(|unit| unit.name.starts_with('S')).unwrap().clone();
        let mut moved = 0;
        for person in &mut world.persons {
            if before.contains(&person.id) && moved < few {
                for employment in &mut person.employments {
                    employment.org_units = vec![(unit.unit_type, unit.id.clone())];
                }
                moved += 1;
            }
        }
    });
    server.reloaded().await;
    assert!(server.directory().held_change().is_none());
    assert!(visible_ids(&server, &token, "/Users").await.len() < before.len());
}

const PHONEBOOK: &str = "a-token-of-the-phonebook-0123";

/// Returns a configuration file with one client and these keys of its scope.
fn phonebook_file(scope: &str) -> String {
    format!("[[client]]\nname = \"phonebook\"\ntoken = \"{PHONEBOOK}\"\n{scope}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_in_the_file_is_checked_served_exported_and_read_again() {
    let simulator = Setup::persons(30).simulator();
    let upstream = simulator.base_url();
    let config = file(&phonebook_file("filter = 'active eq true'\nattributes = ['displayName']"));
    let path = config.path().to_str().unwrap();
    let variables =
        [process::settings(&upstream), vec![("SCIM_CONFIG", path), ("RUST_LOG", "info")]].concat();
    let program = Program::start(&["serve"], &variables);
    let base_url = program.base_url().await;
    let users = async || get(&format!("{base_url}/Users"), PHONEBOOK).await.json();
    let page = users().await;
    let first = page["Resources"][0].as_object().unwrap();
    assert_eq!(first.keys().collect::<Vec<_>>(), ["schemas", "id", "displayName", "meta"]);
    let total = page["totalResults"].as_u64().unwrap();
    assert!((1..30).contains(&total), "{total}");
    assert!(program.logged("--metrics-listen") == 1, "a warning about the numbers in /metrics");

    let exported = run(&["export", "--client", "phonebook"], &variables).await;
    assert_eq!(exported.status.code(), Some(0), "{exported:?}");
    let names = |users: &[Value]| -> Vec<String> {
        users.iter().map(|user| user["displayName"].as_str().unwrap().to_owned()).collect()
    };
    let lines: Vec<Value> =
        exported.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(names(&lines), names(&all(&page)));
    assert!(lines.iter().all(|user| user.get("userName").is_none()));
    let checked = run(&["check", "--json"], &variables).await;
    let line = "the client phonebook sees ";
    assert!(checked.out.contains(line) && checked.out.contains(", and 1 of "), "{}", checked.out);
    let wrong = run(&["export", "--client", "phonbook"], &variables).await;
    wrong.complains(64, "no client `phonbook`; did you mean `phonebook`?");

    for (scope, mistake) in [
        ("attributes = ['department']", "client `phonebook`: attributes: there is no attribute"),
        ("filter = 'titel pr'", "client `phonebook`: filter, character 1: there is no attribute"),
        ("filters = 'title pr'", "unknown field `filters`; did you mean `filter`?"),
    ] {
        fs::write(config.path(), phonebook_file(scope)).unwrap();
        let refused = run(&["serve"], &variables).await;
        refused.complains(64, mistake);
        assert!(refused.err.contains(path), "{refused:?}");
        let before = program.logged(mistake);
        program.signal("HUP");
        wait_until(mistake, async || program.logged(mistake) > before).await;
        assert_eq!(users().await["totalResults"], total, "the old settings stay in force");
    }
    fs::write(config.path(), phonebook_file("excluded_attributes = ['emails']")).unwrap();
    program.signal("HUP");
    wait_until("a wider scope", async || users().await["totalResults"] == 30).await;
    let page = users().await;
    assert!(all(&page).iter().all(|user| user.get("emails").is_none()));
    assert!(page["Resources"][0].get("userName").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_serves_scopes_from_the_state_file() {
    let folder = tempfile::tempdir().unwrap();
    let state = || StateFileSettings {
        path: folder.path().join("state"),
        key: "the-key-of-this-state-file".to_owned().into(),
    };
    let public_url = Some("https://scim.example.com");
    let first = Setup { state: Some(state()), public_url, ..setup() }.start();
    first.ready().await;
    let clients = ["managers", "internals", "without_extension"];
    let mut before = Vec::new();
    for name in clients {
        before.push(get_as(&first, &client(name).token(), "/Users").await.json());
        before.push(get_as(&first, &client(name).token(), "/Groups").await.json());
    }
    wait_until("the state is written", async || state().path.exists()).await;
    drop(first);
    // Each resource has the version and the dates from before, also if the scope hides a part of it.
    let clock = TestClock::at("2026-11-23T10:10:00Z");
    let setup = Setup { state: Some(state()), public_url, clock, ..setup() };
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::everywhere(FaultAction::Hang));
    let second = setup.start_with(simulator);
    let mut after = Vec::new();
    for name in clients {
        after.push(get_as(&second, &client(name).token(), "/Users").await.json());
        after.push(get_as(&second, &client(name).token(), "/Groups").await.json());
    }
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_who_becomes_visible_again_is_a_change_of_the_user() {
    let mut setup = setup();
    setup.cache_ttl = SHORT_TTL;
    let server = setup.start();
    server.reloaded().await;
    let token = client("internals").token();
    let users = all(&get_as(&server, &token, "/Users").await.json());
    let with_manager = |user: &&Value| user[ENTERPRISE_USER_SCHEMA]["manager"]["value"].is_string();
    let user = users.iter().find(with_manager).unwrap();
    let id = user["id"].as_str().unwrap().to_owned();
    let manager = user[ENTERPRISE_USER_SCHEMA]["manager"]["value"].as_str().unwrap().to_owned();
    let set_type = |kind: &str| {
        server.simulator.with_world(|world| {
            let manager = world.persons.iter_mut().find(|person| person.id == manager).unwrap();
            for employment in &mut manager.employments {
                employment.employment_type = Some(kind.to_owned());
            }
        });
    };
    let read = async || get_as(&server, &token, &format!("/Users/{id}")).await.json();
    let mut dates = vec![user["meta"]["lastModified"].as_str().unwrap().to_owned()];
    for (kind, is_visible) in [("EXTERNAL", false), ("INTERNAL", true)] {
        server.clock.pass(Duration::from_secs(60));
        set_type(kind);
        server.reloaded().await;
        let user = read().await;
        assert_eq!(user[ENTERPRISE_USER_SCHEMA].get("manager").is_some(), is_visible);
        dates.push(user["meta"]["lastModified"].as_str().unwrap().to_owned());
    }
    assert!(dates.is_sorted() && dates[0] < dates[1] && dates[1] < dates[2], "{dates:?}");
}
