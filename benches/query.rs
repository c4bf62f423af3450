//! Benchmarks of a query: parsing a filter, evaluating it for all users, and a whole list request
//! without the network. `cargo bench --bench query`

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that meets something unexpected fails by panicking"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Service;
use actix_web::{App, test, web};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use personio_scim::auth::{AuthSettings, Authenticator, Client, ClientName, TokenHash};
use personio_scim::clock::SystemClock;
use personio_scim::directory::{
    Directory, Freshness, InvalidState, LoadProgress, LoadResult, Loaded, LoadedDirectory,
    MalformedWebhook, MaxChange, Source, SourceAccess, SourceError, SourceLogin, WebhookEffect,
};
use personio_scim::scim::filter::{Filter, FilterLimits};
use personio_scim::scim::{
    CursorKey, ListQuery, PageRequest, ResourceSet, ResourceTypes, SchemaRegistry, SearchRequest,
    User,
};
use personio_scim::server;
use personio_scim::server::{ListSettings, OptionalEndpoints, State, StateParts};
use tokio::runtime::Runtime;

mod made;

use made::{SIZES, resources, schema_registry, user};

const SIMPLE: &str = "active eq false";
const COMPLEX: &str = "(title co \"engineer\" or not (name.familyName sw \"mü\")) and \
                       urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:\
                       department ne \"Sales\" and \
                       (emails[type eq \"work\" and value ew \"example.com\"] or \
                       meta.lastModified gt \"2026-01-01T00:00:00Z\")";
/// Filters that have no index, need every distinct value, or read members.
const SENSIBLE: &[(&str, &str)] = &[
    ("co beyond ASCII", "userName co \"ü\""),
    ("ew beyond ASCII", "displayName ew \"ü\""),
    ("location", "meta.location eq \"https://scim.example.com/scim/v2/Users/1204711\""),
    (
        "reference of a manager",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.$ref ew \"/1\"",
    ),
    ("reference of a group", "groups.$ref ew \"/department-3\""),
    ("name in brackets", "name[familyName eq \"Rossi\" and givenName eq \"Anna\"]"),
    (
        "manager in brackets",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:\
         manager[displayName eq \"Grace Fitzgerald\"]",
    ),
];
/// Tests that fill a filter of 10 kB. `#` is replaced by a different number in each test.
const CHAINS: &[(&str, &str)] = &[
    ("co beyond ASCII", "displayName co \"zü#\""),
    ("co", "userName co \"zzq#\""),
    ("co of a location", "meta.location co \"zzq#\""),
    ("references in brackets", "groups[$ref eq \"#\"]"),
    ("e-mails in brackets", "emails[value co \"zz#\"]"),
    ("names in brackets", "name[familyName eq \"#\"]"),
    ("ids", "id eq \"120#\""),
];
const INDEXED: &str = "userName eq \"Person.4711@example.com\"";
const TOKEN: &str = "a-token-for-benchmarks";

fn parse(criterion: &mut Criterion) {
    for (name, text) in [("simple", SIMPLE), ("complex", COMPLEX)] {
        criterion.bench_function(&format!("parse/{name}"), |bencher| {
            bencher.iter(|| Filter::parse(black_box(text), FilterLimits::default()));
        });
    }
}

fn filtered(filter: &str) -> SearchRequest {
    SearchRequest { filter: Some(filter.to_owned()), ..SearchRequest::default() }
}

fn select(criterion: &mut Criterion) {
    let types = schema_registry().types;
    let mut group = criterion.benchmark_group("select");
    group.sample_size(20);
    for size in SIZES {
        let users = resources(&types, size);
        let by_name = Some("name.familyName".to_owned());
        for (name, request) in [
            ("simple filter", filtered(SIMPLE)),
            ("complex filter", filtered(COMPLEX)),
            ("indexed equality", filtered(INDEXED)),
            ("sorted", SearchRequest { sort_by: by_name, ..SearchRequest::default() }),
            ("everybody", SearchRequest::default()),
        ] {
            let paging = PageRequest::at_offset(size - 100, 100);
            let query =
                ListQuery::new(&request, &[&types.user], FilterLimits::default(), paging).unwrap();
            group.bench_with_input(BenchmarkId::new(name, size), &users, |bencher, users| {
                bencher.iter(|| black_box(query.select(&[users], None).unwrap()));
            });
        }
    }
}

/// Binds a search for users. The page is the first 100 of them.
fn first_page(request: &SearchRequest, types: &ResourceTypes) -> ListQuery {
    let paging = PageRequest::at_offset(0, 100);
    ListQuery::new(request, &[&types.user], FilterLimits::default(), paging).unwrap()
}

/// Returns a filter of as many tests as 10 kB hold.
fn chain(test: &str) -> String {
    let mut text = test.replace('#', "0");
    for number in 1.. {
        let more = format!(" or {}", test.replace('#', &number.to_string()));
        if text.len() + more.len() > FilterLimits::default().max_bytes {
            break;
        }
        text.push_str(&more);
    }
    text
}

/// Benchmarks the most expensive filters. A filter from `SENSIBLE` must take at most 20 ms, and a
/// filter made to overload the server must not take seconds.
fn hard(criterion: &mut Criterion) {
    let types = schema_registry().types;
    let users = resources(&types, 100_000);
    let mut group = criterion.benchmark_group("hard");
    group.sample_size(10);
    let mut filters: Vec<(String, String)> = Vec::new();
    for (name, filter) in SENSIBLE {
        filters.push(((*name).to_owned(), (*filter).to_owned()));
    }
    let mut names = Vec::new();
    for number in 0..20 {
        names.push(format!("userName eq \"person.{number}@example.com\""));
    }
    filters.push(("20 names".to_owned(), names.join(" or ")));
    let end = format!("displayName ew \"{}\"", "ü".repeat(5000));
    filters.push(("ew of 5000 letters".to_owned(), end));
    let whole = format!("displayName eq \"{}\"", "u".repeat(10_000));
    filters.push(("eq of 10000 letters".to_owned(), whole));
    for (name, test) in CHAINS {
        filters.push((format!("10 kB of {name}"), chain(test)));
    }
    for (name, filter) in filters {
        let request = filtered(&filter);
        let query = first_page(&request, &types);
        group.bench_with_input(BenchmarkId::new(name, 100_000), &users, |bencher, users| {
            bencher.iter(|| black_box(query.select(&[users], None).unwrap()));
        });
    }
}

/// Benchmarks the first query after a start, before any column is built.
fn first(criterion: &mut Criterion) {
    let types = schema_registry().types;
    let mut group = criterion.benchmark_group("first");
    group.sample_size(10);
    for size in SIZES {
        let all: Vec<_> = resources(&types, size).all().to_vec();
        for (name, filter) in [("simple filter", SIMPLE), ("complex filter", COMPLEX)] {
            let request = filtered(filter);
            let query = first_page(&request, &types);
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter_batched_ref(
                    || ResourceSet::new(&types.user, all.clone()),
                    |users| query.select(&[users], None).unwrap().to_json(),
                    BatchSize::PerIteration,
                );
            });
        }
    }
}

/// Source that returns all users at once.
struct Made(usize, Arc<SchemaRegistry>);

impl Source for Made {
    type State = ();

    async fn load(
        &self,
        _: Option<Arc<()>>,
        _: &LoadProgress,
    ) -> Result<LoadResult<()>, SourceError> {
        let users = (0..self.0).map(user).collect();
        let directory = LoadedDirectory::new(self.schema_registry(), users, Vec::new());
        Ok(LoadResult::Changed(Box::new(Loaded { directory, state: Arc::new(()), base: None })))
    }

    fn remap(&self, _: &Arc<()>, _: Option<&Arc<()>>) -> Result<Loaded<()>, SourceError> {
        Err(SourceError::internal("remembers nothing"))
    }

    fn discard(&self, _: &(), _: Option<&()>) {}

    fn adopt(&self, _: &()) {}

    fn decode_state(&self, _: &[u8]) -> Result<Loaded<()>, InvalidState> {
        Err(InvalidState::new("remembers nothing"))
    }
}

impl SourceAccess for Made {
    fn schema_registry(&self) -> Arc<SchemaRegistry> {
        Arc::clone(&self.1)
    }

    fn find<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<User>, SourceError>> {
        async { Ok(None) }.boxed()
    }

    fn login(&self) -> Option<SourceLogin> {
        None
    }

    fn handle_webhook(&self, _: &[u8]) -> Result<WebhookEffect, MalformedWebhook> {
        Ok(WebhookEffect::Ignored)
    }
}

/// Returns the state of a server for `size` users, whose loads run on `uploads`.
fn state(size: usize, uploads: &Runtime) -> State {
    let day = Duration::from_secs(24 * 3600);
    let freshness = Freshness {
        cache_ttl: day,
        refresh_wait: day,
        refresh_every: None,
        max_stale: day,
        cool_down: day,
        refresh_debounce: day,
    };
    let clock = Arc::new(SystemClock::default());
    let handle = uploads.handle().clone();
    let source = Arc::new(Made(size, Arc::new(schema_registry())));
    let directory = Directory::new(source, freshness, MaxChange(1.0), None, clock.clone(), handle);
    let client = Client::unrestricted(
        ClientName::parse("client").unwrap(),
        TokenHash::from_token(TOKEN.as_bytes()),
    );
    let auth_settings = AuthSettings { clients: vec![client], ..AuthSettings::default() };
    State::new(StateParts {
        clock: clock.clone(),
        directory,
        authenticator: Authenticator::new(auth_settings, clock, uploads.handle().clone()).unwrap(),
        lists: ListSettings {
            cursor_key: CursorKey::new(b"secret"),
            announces_pagination: true,
            max_results: 10_000,
            filter_limits: FilterLimits::default(),
        },
        base_url: "http://127.0.0.1/scim/v2".to_owned(),
        settings: Arc::default(),
        optional_endpoints: OptionalEndpoints { status: false, metrics: true },
        register_metrics: Box::new(|_: &mut _| {}),
    })
}

fn request(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    group.sample_size(20);
    let uploads = Runtime::new().unwrap();
    for size in SIZES {
        let state = web::Data::new(state(size, &uploads));
        let runtime = actix_web::rt::System::new();
        let app = App::new().app_data(state.clone());
        let app = app.configure(|service| server::configure(service, &state));
        let app = runtime.block_on(test::init_service(app));
        let last = size - 99;
        for (name, uri) in [
            ("first page of 100", "/Users?count=100".to_owned()),
            ("last page of 100", format!("/Users?count=100&startIndex={last}")),
            ("userName eq", "/Users?filter=userName+eq+%22person.4711@example.com%22".to_owned()),
            ("one by id", "/Users/1204711".to_owned()),
            ("simple filter, page of 100", "/Users?filter=active+eq+false&count=100".to_owned()),
        ] {
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter(|| {
                    let authorization = ("Authorization", format!("Bearer {TOKEN}"));
                    let request = test::TestRequest::get().uri(&uri).insert_header(authorization);
                    let response = runtime.block_on(app.call(request.to_request())).unwrap();
                    assert!(response.status().is_success());
                    black_box(runtime.block_on(test::read_body(response)))
                });
            });
        }
    }
}

criterion_group!(benches, parse, select, hard, first, request);
criterion_main!(benches);
