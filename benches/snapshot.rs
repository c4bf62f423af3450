//! Benchmarks of a refresh after everything is loaded: versions, encoding, indexes, and a whole
//! snapshot that follows another one. `cargo bench --bench snapshot`

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that meets something unexpected fails by panicking"
)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use jiff::SignedDuration;
use personio_scim::clock::SystemClock;
use personio_scim::directory::{LoadedContent, LoadedDirectory, PreviousState, Snapshot};
use personio_scim::scim::filter::FilterLimits;
use personio_scim::scim::{
    EncodedContent, ListQuery, PageRequest, ResourceSet, SchemaRegistry, SearchRequest, User,
};

mod made;

use made::{SIZES, resource, resources, schema_registry, user};

/// Benchmarks the work for one user.
fn one(criterion: &mut Criterion) {
    let types = schema_registry().types;
    let users: Vec<User> = (0..1000).map(user).collect();
    let mut next = users.iter().cycle();
    criterion.bench_function("one/version", |bencher| {
        bencher.iter(|| EncodedContent::new(&types.user, black_box(next.next().unwrap())).unwrap());
    });
    criterion.bench_function("one/encode", |bencher| {
        bencher.iter(|| resource(&types, black_box(next.next().unwrap())));
    });
}

/// Returns a load that mapped all users again.
fn all_mapped(schema_registry: &Arc<SchemaRegistry>, users: &[User]) -> LoadedDirectory {
    LoadedDirectory::new(Arc::clone(schema_registry), users.to_vec(), Vec::new())
}

/// Returns a load in which one of `every` users has changed.
fn changed(schema_registry: &Arc<SchemaRegistry>, users: &[User], every: usize) -> LoadedDirectory {
    let mut load = LoadedDirectory::new(Arc::clone(schema_registry), Vec::new(), Vec::new());
    for (index, user) in users.iter().enumerate() {
        load.users.push(if index % every == 0 {
            let changed = User { active: !user.active, ..user.clone() };
            LoadedContent::Mapped(Box::new(changed))
        } else {
            LoadedContent::Unchanged(user.id.as_str().into())
        });
    }
    load
}

fn snapshot(load: LoadedDirectory, earlier: PreviousState<'_>, clock: &SystemClock) -> Snapshot {
    Snapshot::new(load, earlier, SignedDuration::ZERO, clock).unwrap()
}

fn refresh(criterion: &mut Criterion) {
    let schema_registry = Arc::new(schema_registry());
    let clock = SystemClock::default();
    let mut group = criterion.benchmark_group("refresh");
    group.sample_size(10);
    for size in SIZES {
        let users: Vec<User> = (0..size).map(user).collect();
        let first = snapshot(all_mapped(&schema_registry, &users), PreviousState::Unknown, &clock);
        for (name, earlier) in [
            ("first", PreviousState::Unknown),
            ("no change, all mapped", PreviousState::Snapshot(&first)),
        ] {
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter_batched(
                    || all_mapped(&schema_registry, &users),
                    |load| snapshot(load, earlier, &clock),
                    BatchSize::PerIteration,
                );
            });
        }
        for (name, every) in [("1 % changed", 100), ("1 changed", size)] {
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter_batched(
                    || changed(&schema_registry, &users, every),
                    |load| snapshot(load, PreviousState::Snapshot(&first), &clock),
                    BatchSize::PerIteration,
                );
            });
        }
    }
}

fn set(criterion: &mut Criterion) {
    let types = schema_registry().types;
    let mut group = criterion.benchmark_group("set");
    group.sample_size(10);
    for size in SIZES {
        let users = resources(&types, size);
        group.bench_function(BenchmarkId::new("indexes", size), |bencher| {
            bencher.iter_batched(
                || users.all().to_vec(),
                |all| ResourceSet::new(&types.user, all),
                BatchSize::PerIteration,
            );
        });
        let paging = PageRequest::at_offset(size / 2, 100);
        let request = SearchRequest::default();
        let query =
            ListQuery::new(&request, &[&types.user], FilterLimits::default(), paging).unwrap();
        group.bench_function(BenchmarkId::new("page of 100", size), |bencher| {
            bencher.iter(|| black_box(query.select(&[&users], None).unwrap().to_json()));
        });
    }
}

criterion_group!(benches, one, refresh, set);
criterion_main!(benches);
