//! What a query costs: reading a filter, testing it on everybody, and a whole list request without the
//! network. `cargo bench --bench query`

#![expect(clippy::unwrap_used, reason = "a benchmark that meets something unexpected fails by panicking")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Service;
use actix_web::{App, test, web};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use personio_scim::clock::SystemClock;
use personio_scim::directory::{
    Directory, Freshness, Loaded, Malformed, MaxChange, Progress, Source, SourceError, Told,
};
use personio_scim::endpoints::{self, State};
use personio_scim::scim::filter::{Filter, Limits};
use personio_scim::scim::{
    Discovery, Email, EnterpriseUser, Extension, ListQuery, Locations, Manager, Meta, Name, Paging, Resource,
    ResourceTypes, Resources, SearchRequest, User,
};
use tokio::runtime::Runtime;

const SIMPLE: &str = "active eq false";
const COMPLEX: &str = "(title co \"engineer\" or not (name.familyName sw \"mü\")) and \
                       urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department ne \"Sales\" and \
                       (emails[type eq \"work\" and value ew \"example.com\"] or meta.lastModified gt \"2026-01-01T00:00:00Z\")";
const INDEXED: &str = "userName eq \"Person.4711@example.com\"";
const SIZES: [usize; 2] = [10_000, 100_000];
const TOKEN: &str = "a-token-for-benchmarks";

fn discovery() -> (Discovery, ResourceTypes) {
    let discovery = Discovery::new(&Locations::new("https://scim.example.com/scim/v2"), 10_000, &[]).unwrap();
    let types = discovery.compiled().unwrap();
    (discovery, types)
}

fn user(number: usize) -> User {
    let pick = |words: &[&str]| words.get(number % words.len()).copied().unwrap_or_default().to_owned();
    let family = pick(&["Müller", "Meyer", "Østergård", "Rossi", "Nowak", "García", "O'Brien"]);
    let day = |number: usize| format!("2025-{:02}-{:02}T08:00:00Z", number % 12 + 1, number % 28 + 1).parse().ok();
    let id = (1_200_000 + number).to_string();
    let names: [Arc<str>; 3] = ["employmentStatus".into(), "hireDate".into(), "office".into()];
    let mut extension = Extension::default();
    for (name, value) in names.iter().zip(["ACTIVE", "2021-04-01", "München"]) {
        extension.push(name, value.into());
    }
    User {
        external_id: id.clone(),
        user_name: format!("person.{number}@example.com"),
        name: Name {
            formatted: Some(format!("Anna {family}")),
            family_name: Some(family.clone()),
            given_name: Some("Anna".to_owned()),
        },
        display_name: format!("Anna {family}"),
        title: Some(pick(&["Software Engineer", "Account Executive", "Controller", "Head of People"])),
        user_type: Some("Employee"),
        active: !number.is_multiple_of(11),
        emails: vec![Email { value: format!("person.{number}@example.com"), kind: "work", primary: true }],
        groups: Vec::new(),
        enterprise: EnterpriseUser {
            employee_number: Some(id.clone()),
            cost_center: Some(pick(&["Research", "Sales International"])),
            organization: Some("Beispiel GmbH".to_owned()),
            division: None,
            department: Some(pick(&["Engineering", "Sales", "People", "Finance", "Legal"])),
            manager: Some(Manager {
                value: "1200001".to_owned(),
                reference: "https://scim.example.com/scim/v2/Users/1200001".to_owned(),
                display_name: Some("Grace Fitzgerald".to_owned()),
            }),
        },
        extension,
        meta: Meta::of_user(format!("https://scim.example.com/scim/v2/Users/{id}"), day(number), day(number / 7)),
        id,
    }
}

fn resources(types: &ResourceTypes, size: usize) -> Resources {
    let all = (0..size).map(|number| Arc::new(Resource::new(&types.user, &user(number)).unwrap())).collect();
    Resources::new(&types.user, all)
}

fn parse(criterion: &mut Criterion) {
    for (name, text) in [("simple", SIMPLE), ("complex", COMPLEX)] {
        criterion.bench_function(&format!("parse/{name}"), |bencher| {
            bencher.iter(|| Filter::parse(black_box(text), Limits::default()));
        });
    }
}

fn select(criterion: &mut Criterion) {
    let (_, types) = discovery();
    let mut group = criterion.benchmark_group("select");
    group.sample_size(20);
    for size in SIZES {
        let users = resources(&types, size);
        let search = |filter: &str| SearchRequest { filter: Some(filter.to_owned()), ..SearchRequest::default() };
        let by_name = SearchRequest { sort_by: Some("name.familyName".to_owned()), ..SearchRequest::default() };
        for (name, request) in [
            ("simple filter", search(SIMPLE)),
            ("complex filter", search(COMPLEX)),
            ("indexed equality", search(INDEXED)),
            ("sorted", by_name),
            ("everybody", SearchRequest::default()),
        ] {
            let paging = Paging::after(size - 100, 100);
            let query = ListQuery::new(&request, &[&types.user], Limits::default(), paging).unwrap();
            group.bench_with_input(BenchmarkId::new(name, size), &users, |bencher, users| {
                bencher.iter(|| black_box(query.select(&[users])));
            });
        }
    }
}

/// What the first query after a load costs: nothing must be left to be worked out then.
fn first(criterion: &mut Criterion) {
    let (_, types) = discovery();
    let mut group = criterion.benchmark_group("first");
    group.sample_size(10);
    for size in SIZES {
        let all: Vec<_> = resources(&types, size).all().to_vec();
        for (name, filter) in [("simple filter", SIMPLE), ("complex filter", COMPLEX)] {
            let request = SearchRequest { filter: Some(filter.to_owned()), ..SearchRequest::default() };
            let query = ListQuery::new(&request, &[&types.user], Limits::default(), Paging::after(0, 100)).unwrap();
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                let fresh = || Resources::new(&types.user, all.clone());
                bencher.iter_batched_ref(fresh, |users| query.select(&[users]).to_json(), BatchSize::PerIteration);
            });
        }
    }
}

/// Everybody, at once.
struct Made(usize);

impl Source for Made {
    fn load<'a>(&'a self, _: &'a Progress) -> BoxFuture<'a, Result<Loaded, SourceError>> {
        let users = (0..self.0).map(user).collect();
        async { Ok(Loaded { users, ..Loaded::default() }) }.boxed()
    }

    fn again(&self) -> Option<Loaded> {
        None
    }

    fn recall(&self, _: &[u8]) -> Result<Loaded, SourceError> {
        Err(SourceError::new("remembers nothing".to_owned()))
    }

    fn find<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<User>, SourceError>> {
        async { Ok(None) }.boxed()
    }

    fn told(&self, _: &[u8]) -> Result<Told, Malformed> {
        Ok(Told::Nothing)
    }
}

fn request(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    group.sample_size(20);
    let uploads = Runtime::new().unwrap();
    for size in SIZES {
        let (discovery, types) = discovery();
        let day = Duration::from_secs(24 * 3600);
        let freshness =
            Freshness { cache_ttl: day, refresh_wait: day, refresh_every: None, max_stale: day, pause: day, soon: day };
        let handle = uploads.handle().clone();
        let source = Arc::new(Made(size));
        let directory = Directory::new(
            source,
            types.clone(),
            freshness,
            MaxChange(1.0),
            None,
            Arc::new(SystemClock::default()),
            handle,
        );
        let state = State::new(directory, discovery, types, &TOKEN.to_owned().into(), None, 10_000, Limits::default());
        let state = web::Data::new(state);
        let runtime = actix_web::rt::System::new();
        let app = App::new().app_data(state.clone()).configure(|service| endpoints::configure(service, &state));
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
                    let request =
                        test::TestRequest::get().uri(&uri).insert_header(("Authorization", format!("Bearer {TOKEN}")));
                    let response = runtime.block_on(app.call(request.to_request())).unwrap();
                    assert!(response.status().is_success());
                    black_box(runtime.block_on(test::read_body(response)))
                });
            });
        }
    }
}

criterion_group!(benches, parse, select, first, request);
criterion_main!(benches);
