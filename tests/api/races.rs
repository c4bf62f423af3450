//! Tests of races between loads, requests and day rollovers, with a source whose steps a test can
//! block.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use personio_scim::clock::Clock;
use personio_scim::directory::{
    Directory, Freshness, InvalidState, LoadProgress, LoadResult, Loaded, LoadedContent,
    LoadedDirectory, MalformedWebhook, MaxChange, Source, SourceAccess, SourceError, SourceLogin,
    WebhookEffect,
};
use personio_scim::scim::{Group, ResourceMeta, ResourceUrls, SchemaRegistry, User};
use tokio::sync::Notify;

use crate::harness::{REFRESH_DEBOUNCE, TestClock, wait_until};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Time of the day rollover.
const MIDNIGHT: &str = "2026-11-24T00:00:00Z";

/// Source of one group, whose id is the current day.
struct BlockableSource {
    clock: TestClock,
    schema_registry: Arc<SchemaRegistry>,
    loads: AtomicUsize,
    /// Releases the second load and the later ones.
    load: Notify,
    /// Lock that blocks the remapping while a test holds it.
    again: Mutex<()>,
    /// Number of remappings that have begun, whether they are blocked or not.
    begun_again: AtomicUsize,
    /// Number of remappings.
    made_again: AtomicUsize,
    /// True if loads report no changes.
    is_same: AtomicBool,
    /// True if loads report the group of the current snapshot as unchanged.
    is_based: AtomicBool,
}

impl BlockableSource {
    fn today(&self) -> Loaded<()> {
        let midnight: Timestamp = MIDNIGHT.parse().unwrap();
        let (id, day) = if self.clock.now() < midnight {
            ("yesterday", midnight - DAY..midnight)
        } else {
            ("today", midnight..midnight + DAY)
        };
        let group = Group {
            id: id.into(),
            external_id: id.into(),
            display_name: id.into(),
            members: Vec::new(),
            meta: ResourceMeta::of_group(String::new()),
        };
        let directory = LoadedDirectory {
            valid_during: Some(day),
            ..LoadedDirectory::new(self.schema_registry(), Vec::new(), vec![group])
        };
        Loaded { directory, state: Arc::new(()), base: None }
    }
}

impl Source for BlockableSource {
    type State = ();

    async fn load(
        &self,
        served: Option<Arc<()>>,
        _: &LoadProgress,
    ) -> Result<LoadResult<()>, SourceError> {
        let is_same = served.is_some() && self.is_same.load(SeqCst);
        let mut loaded = self.today();
        if let Some(served) = &served
            && self.is_based.load(SeqCst)
        {
            loaded.base = Some(Arc::downgrade(served));
            loaded.directory.groups = vec![LoadedContent::Unchanged("yesterday".into())];
            loaded.directory.valid_during = None;
        }
        if self.loads.fetch_add(1, SeqCst) > 0 {
            self.load.notified().await;
        }
        if is_same {
            return Ok(LoadResult::Unchanged(loaded.state));
        }
        Ok(LoadResult::Changed(Box::new(loaded)))
    }

    fn remap(&self, _: &Arc<()>, _: Option<&Arc<()>>) -> Result<Loaded<()>, SourceError> {
        self.begun_again.fetch_add(1, SeqCst);
        let _held = self.again.lock().unwrap();
        self.made_again.fetch_add(1, SeqCst);
        Ok(self.today())
    }

    fn discard(&self, _: &(), _: Option<&()>) {}

    fn adopt(&self, _: &()) {}

    fn decode_state(&self, _: &[u8]) -> Result<Loaded<()>, InvalidState> {
        Err(InvalidState::new("is of no use"))
    }
}

impl SourceAccess for BlockableSource {
    fn schema_registry(&self) -> Arc<SchemaRegistry> {
        Arc::clone(&self.schema_registry)
    }

    fn find<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<User>, SourceError>> {
        async { Ok(None) }.boxed()
    }

    fn login(&self) -> Option<SourceLogin> {
        None
    }

    fn handle_webhook(&self, _: &[u8]) -> Result<WebhookEffect, MalformedWebhook> {
        Ok(WebhookEffect::Refresh)
    }
}

/// Starts a directory with such a source, one second before midnight.
fn start(refresh_every: Option<Duration>) -> (Directory, Arc<BlockableSource>) {
    let clock = TestClock::at("2026-11-23T23:59:59Z");
    let (loads, load, again) = (AtomicUsize::new(0), Notify::new(), Mutex::new(()));
    let schema_registry = Arc::new(
        SchemaRegistry::new(&ResourceUrls::new("https://scim.example.com"), 1000, &[]).unwrap(),
    );
    let (made_again, is_same) = (AtomicUsize::new(0), AtomicBool::new(false));
    let source = Arc::new(BlockableSource {
        clock: clock.clone(),
        schema_registry,
        loads,
        load,
        again,
        begun_again: AtomicUsize::new(0),
        made_again,
        is_same,
        is_based: AtomicBool::new(false),
    });
    let freshness = Freshness {
        cache_ttl: Duration::from_secs(3600),
        refresh_wait: Duration::from_secs(60),
        refresh_every,
        max_stale: DAY,
        cool_down: Duration::from_secs(15),
        refresh_debounce: REFRESH_DEBOUNCE,
    };
    let (bound, runtime) = (MaxChange(0.2), tokio::runtime::Handle::current());
    let directory =
        Directory::new(Arc::clone(&source), freshness, bound, None, Arc::new(clock), runtime);
    directory.start_tasks();
    (directory, source)
}

/// Reports a change by a webhook, and lets the debounce pass.
fn report_change(directory: &Directory, source: &BlockableSource) {
    directory.handle_webhook(b"").unwrap();
    source.clock.age(REFRESH_DEBOUNCE);
}

async fn is_of_today(directory: &Directory) -> bool {
    directory.view(None).current().await.unwrap().groups().find("today").is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_from_before_midnight_is_published_as_of_today() {
    let (directory, source) = start(None);
    assert!(!is_of_today(&directory).await);
    report_change(&directory, &source);
    wait_until("a load is under way", async || source.loads.load(SeqCst) == 2).await;
    source.clock.pass(Duration::from_secs(1));
    assert!(is_of_today(&directory).await, "midnight");
    source.load.notify_one();
    wait_until("it lands", async || directory.metrics().loads.ended.succeeded() == 2).await;
    assert!(is_of_today(&directory).await, "nobody goes back to yesterday");
}

#[expect(clippy::await_holding_lock, reason = "the lock blocks the remapping on another thread")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_wait_for_a_running_day_rollover() {
    let (directory, source) = start(None);
    assert!(!is_of_today(&directory).await);
    let held = source.again.lock().unwrap();
    source.clock.pass(Duration::from_secs(1));
    let ask = |directory: &Directory| {
        let directory = directory.clone();
        tokio::spawn(async move { is_of_today(&directory).await })
    };
    let first = ask(&directory);
    wait_until("the remapping runs", async || source.begun_again.load(SeqCst) == 1).await;
    let second = ask(&directory);
    drop(held);
    assert!(first.await.unwrap() && second.await.unwrap(), "nobody sees yesterday");
}

#[expect(clippy::await_holding_lock, reason = "the lock blocks the remapping on another thread")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_background_refresh_no_request_waits_for_day_rollover() {
    let (directory, source) = start(Some(Duration::from_secs(3600)));
    wait_until("there is something to serve", async || {
        directory.view(None).current().await.is_ok()
    })
    .await;
    let held = source.again.lock().unwrap();
    source.clock.pass(Duration::from_secs(1));
    wait_until("the remapping runs", async || source.begun_again.load(SeqCst) == 1).await;
    for _ in 0..10 {
        assert!(!is_of_today(&directory).await, "it is answered without the remapping");
    }
    drop(held);
    wait_until("the day has come", async || is_of_today(&directory).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_load_keeps_the_snapshot_and_renews_its_age() {
    let (directory, source) = start(None);
    let before = directory.view(None).current().await.unwrap();
    source.is_same.store(true, SeqCst);
    source.clock.pass(Duration::from_millis(500));
    report_change(&directory, &source);
    wait_until("a load is under way", async || source.loads.load(SeqCst) == 2).await;
    source.load.notify_one();
    wait_until("it lands", async || directory.metrics().loads.ended.succeeded() == 2).await;
    let (after, age) = directory.state().snapshot.unwrap();
    assert_eq!(
        (age, before.age(source.clock.monotonic())),
        (Duration::ZERO, Duration::from_millis(500) + REFRESH_DEBOUNCE)
    );
    assert!(Arc::ptr_eq(
        before.groups().find("yesterday").unwrap(),
        after.groups().find("yesterday").unwrap()
    ));
    assert_eq!(source.made_again.load(SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_load_across_midnight_is_remapped() {
    for is_asked in [false, true] {
        let (directory, source) = start(None);
        assert!(!is_of_today(&directory).await);
        source.is_same.store(true, SeqCst);
        report_change(&directory, &source);
        wait_until("a load is under way", async || source.loads.load(SeqCst) == 2).await;
        // Only the calendar moves, so that the scheduler does not remap as well.
        source.clock.set(MIDNIGHT);
        assert!(!is_asked || is_of_today(&directory).await);
        source.load.notify_one();
        wait_until("it lands", async || directory.metrics().loads.ended.succeeded() == 2).await;
        let (snapshot, _) = directory.state().snapshot.unwrap();
        assert!(snapshot.groups().find("today").is_some(), "asked: {is_asked}");
        assert_eq!(source.made_again.load(SeqCst), 1 + usize::from(is_asked));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_based_on_a_replaced_snapshot_is_mapped_again() {
    for (is_replaced, group) in [(false, "yesterday"), (true, "today")] {
        let (directory, source) = start(None);
        assert!(!is_of_today(&directory).await);
        source.is_based.store(true, SeqCst);
        report_change(&directory, &source);
        wait_until("a load is under way", async || source.loads.load(SeqCst) == 2).await;
        if is_replaced {
            source.clock.set(MIDNIGHT);
            assert!(is_of_today(&directory).await);
        }
        source.load.notify_one();
        wait_until("it lands", async || directory.metrics().loads.ended.succeeded() == 2).await;
        let (snapshot, _) = directory.state().snapshot.unwrap();
        assert!(snapshot.groups().find(group).is_some(), "{group}");
        assert_eq!(source.made_again.load(SeqCst), 2 * usize::from(is_replaced));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_that_take_longer_than_the_interval_do_not_overlap() {
    const INTERVAL: Duration = Duration::from_secs(60);
    let (directory, source) = start(Some(INTERVAL));
    // The tasks of the scheduler: one checks the date, and one refreshes.
    source.clock.settle(2).await;
    assert_eq!(source.loads.load(SeqCst), 1);
    source.clock.age(INTERVAL);
    wait_until("the second load is under way", async || source.loads.load(SeqCst) == 2).await;
    for _ in 0..14 {
        source.clock.age(INTERVAL);
        source.clock.settle(1).await;
    }
    assert_eq!(source.loads.load(SeqCst), 2, "one load at a time");
    source.load.notify_one();
    wait_until("the next one begins at once", async || source.loads.load(SeqCst) == 3).await;
    drop(directory);
}
