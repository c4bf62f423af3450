//! Tests of scopes: a client sees only the users and attributes of its scope, whatever it asks.

use std::collections::BTreeSet;
use std::sync::Arc;

use personio_scim::auth::{AuthSettings, Client, ClientName, ScopeId, TokenHash};
use personio_scim::mapping::GroupKind;
use personio_scim::scim::filter::FilterLimits;
use personio_scim::scim::{
    AttributeSelection, ENTERPRISE_USER_SCHEMA, ListQuery, PERSONIO_USER_SCHEMA, PageRequest,
    Resource, ResourceSet, ResourceType, ScopeDefinition, SearchRequest,
};
use personio_scim::simulator::World;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::harness::{
    NOW, Setup, TOKEN, TestResponse, TestServer, auth_settings, encoded, send_request,
};

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

const CLIENTS: [ScopedClient; 7] = [
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
        filter: Some("id co \"1\""),
        attributes: Selection::Only("groups.value emails P:managerEmail meta.created externalId"),
    },
    ScopedClient {
        name: "without_extension",
        filter: None,
        attributes: Selection::AllBut("P: displayName groups.display name"),
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
            "ids" => text(&user["id"]).contains('1'),
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
    world
}

fn setup() -> Setup {
    let mut setup = Setup::of(world());
    setup.policy.groups = vec![GroupKind::Department, GroupKind::Office];
    setup.auth_settings = Some(settings());
    setup.scopes = CLIENTS.iter().map(ScopedClient::definition).collect();
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
        for mut user in all_users {
            if !is_visible(&user["id"]) {
                continue;
            }
            if hides_names_of(&user["id"]) {
                remove(&mut user, "displayName");
            }
            let manager = user[ENTERPRISE_USER_SCHEMA]["manager"]["value"].clone();
            if manager.is_string() && !is_visible(&manager) {
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
        Self { users, groups, user_type, group_type }
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
                    _ => !shows(&path),
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
        scalar => scalar.clone(),
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

/// Generates filters whose values are those of the users, visible and hidden.
fn filter(values: Vec<String>) -> impl Strategy<Value = String> {
    let operators = ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"];
    let compare = (path(), prop::sample::select(operators.to_vec()), prop::sample::select(values));
    let simple = prop_oneof![
        5 => compare.clone().prop_map(|(path, operator, value)| format!("{path} {operator} {value}")),
        1 => path().prop_map(|path| format!("{path} pr")),
        1 => compare.prop_map(|(path, operator, value)| {
            format!("{path}[value {operator} {value} or display pr]")
        }),
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
