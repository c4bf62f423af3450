//! Tests of the rate limiter in virtual time: waiting times of single requests, and whole loads
//! against upstreams with and without an advertised limit.

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use reqwest::header::{HeaderName, HeaderValue};
use tokio::time::sleep;

use crate::personio::rate_limit::limiter::*;

const CONCURRENCY: usize = 16;

fn headers(rate: &str, burst: &str, remaining: &str) -> HeaderMap {
    rate_headers([("replenish-rate", rate), ("burst-capacity", burst), ("remaining", remaining)])
}

fn rate_headers<const N: usize>(headers: [(&str, &str); N]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = format!("x-ratelimit-{name}").parse().unwrap();
        map.insert(name, value.parse().unwrap());
    }
    map
}

async fn acquire(limiter: &RateLimiter) -> RatePermit<'_> {
    limiter.acquire(Endpoint::Persons).await.unwrap()
}

/// Returns the virtual milliseconds until `requests` requests have been sent, one by one. None of
/// them is answered, so the rate does not change.
async fn milliseconds_to_send(limiter: &RateLimiter, requests: usize) -> u128 {
    let start = Instant::now();
    for _ in 0..requests {
        acquire(limiter).await;
    }
    start.elapsed().as_millis()
}

/// Simulated Personio with a rate limit that it may advertise.
struct FakeUpstream {
    limit: RateLimit,
    advertises: bool,
    latency: Duration,
    /// Number of tokens, and the time of the last refill.
    bucket: Mutex<(f64, Instant)>,
}

/// Result of a whole load.
struct LoadMeasurement {
    virtual_seconds: f64,
    refusals: usize,
}

impl FakeUpstream {
    fn advertising(per_second: f64, burst: f64, latency_milliseconds: u64) -> Self {
        let latency = Duration::from_millis(latency_milliseconds);
        let bucket = Mutex::new((burst, Instant::now()));
        Self { limit: RateLimit { per_second, burst }, advertises: true, latency, bucket }
    }

    fn silent(per_second: f64, burst: f64, latency_milliseconds: u64) -> Self {
        Self { advertises: false, ..Self::advertising(per_second, burst, latency_milliseconds) }
    }

    /// Reports whether a request is allowed, and returns the headers of its response.
    fn respond(&self) -> (bool, HeaderMap) {
        let (tokens, refilled_at) = &mut *self.bucket.lock().unwrap();
        let added = refilled_at.elapsed().as_secs_f64() * self.limit.per_second;
        *tokens = (*tokens + added).min(self.limit.burst);
        *refilled_at = Instant::now();
        let is_allowed = *tokens >= 1.0;
        *tokens -= f64::from(u8::from(is_allowed));
        if !self.advertises {
            return (is_allowed, HeaderMap::new());
        }
        let [rate, burst] =
            [self.limit.per_second, self.limit.burst].map(|number| number.to_string());
        (is_allowed, headers(&rate, &burst, &tokens.floor().to_string()))
    }

    /// Sends a request until it succeeds. Returns the number of refusals.
    async fn request(&self, limiter: &RateLimiter) -> usize {
        let mut refusals = 0;
        loop {
            let permit = acquire(limiter).await;
            sleep(self.latency / 2).await;
            let (is_allowed, headers) = self.respond();
            sleep(self.latency / 2).await;
            if is_allowed {
                permit.record_success(&headers);
                return refusals;
            }
            permit.record_rate_limited(&headers, None);
            refusals += 1;
        }
    }

    /// Sends `requests` requests, with one in flight for each slot.
    async fn load(&self, limiter: &RateLimiter, requests: usize) -> LoadMeasurement {
        let start = Instant::now();
        let mut responses =
            stream::iter(0..requests).map(|_| self.request(limiter)).buffer_unordered(CONCURRENCY);
        let mut refusals = 0;
        while let Some(refused) = responses.next().await {
            refusals += refused;
        }
        LoadMeasurement { virtual_seconds: start.elapsed().as_secs_f64(), refusals }
    }
}

#[tokio::test(start_paused = true)]
async fn advertised_limit_is_used_fully_and_never_exceeded() {
    let rows = [(60.0, 100.0, 500), (30.0, 100.0, 500), (60.0, 15.0, 500), (400.0, 400.0, 4000)];
    for (rate, burst, requests) in rows {
        for latency in [2, 20, 40, 100] {
            let upstream = FakeUpstream::advertising(rate, burst, latency);
            let LoadMeasurement { virtual_seconds: seconds, refusals } =
                upstream.load(&RateLimiter::new(CONCURRENCY), requests).await;
            let slots_seconds =
                requests as f64 * upstream.latency.as_secs_f64() / CONCURRENCY as f64;
            let best = ((requests as f64 - burst) / rate).max(slots_seconds);
            let case = format!("{rate} a second, burst of {burst}, {latency} ms: {seconds} s");
            assert!(seconds <= 1.15 * best, "{case}, at best {best} s");
            assert_eq!(refusals, 0, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn limit_that_is_not_advertised_is_found() {
    for (rate, burst) in [(60.0, 100.0), (30.0, 100.0), (5.0, 15.0)] {
        for latency in [2, 20, 100, 200] {
            let upstream = FakeUpstream::silent(rate, burst, latency);
            let LoadMeasurement { virtual_seconds: seconds, refusals } =
                upstream.load(&RateLimiter::new(CONCURRENCY), 1000).await;
            let case = format!("{rate} a second, burst of {burst}, {latency} ms: {seconds} s");
            assert!(seconds <= 1.2 * (1000.0 - burst) / rate, "{case}");
            assert!(refusals <= 60, "{case}: {refusals} refusals");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_only_the_slots_limit_the_load() {
    let upstream = FakeUpstream::silent(1e9, 1e9, 20);
    let limiter = RateLimiter::new(CONCURRENCY);
    let first = upstream.load(&limiter, 300).await;
    let seconds = first.virtual_seconds;
    assert!((0.5..=1.5).contains(&seconds) && first.refusals == 0, "{seconds} s for the first 300");
    let second = upstream.load(&limiter, 800).await;
    let seconds = second.virtual_seconds;
    assert!((1.0..=1.1).contains(&seconds) && second.refusals == 0, "{seconds} s, 1 s at best");
}

#[tokio::test(start_paused = true)]
async fn without_responses_the_initial_limit_holds() {
    let limiter = RateLimiter::new(CONCURRENCY);
    assert_eq!(milliseconds_to_send(&limiter, 10).await, 0);
    assert!((990..=1100).contains(&milliseconds_to_send(&limiter, 10).await));
}

#[tokio::test(start_paused = true)]
async fn responses_to_requests_that_did_not_wait_do_not_raise_the_rate() {
    let limiter = RateLimiter::new(CONCURRENCY);
    for _ in 0..100 {
        acquire(&limiter).await.record_success(&HeaderMap::new());
        sleep(Duration::from_secs(1)).await;
    }
    assert!((990..=1100).contains(&milliseconds_to_send(&limiter, 20).await));
}

#[tokio::test(start_paused = true)]
async fn rate_of_the_token_endpoint_never_rises() {
    let limiter = RateLimiter::new(CONCURRENCY);
    let start = Instant::now();
    for _ in 0..105 {
        let permit = limiter.acquire(Endpoint::Token).await.unwrap();
        permit.record_success(&HeaderMap::new());
    }
    assert!((49..=51).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn advertised_limit_and_remaining_tokens_are_adopted() {
    let limiter = RateLimiter::new(CONCURRENCY);
    acquire(&limiter).await.record_success(&headers("30", "100", "61"));
    assert_eq!(milliseconds_to_send(&limiter, 60).await, 0);
    assert!((990..=1100).contains(&milliseconds_to_send(&limiter, 30).await));
    sleep(Duration::from_secs(10)).await;
    acquire(&limiter).await.record_success(&headers("30", "100", "4"));
    assert!((230..=310).contains(&milliseconds_to_send(&limiter, 10).await));
    // Endpoints have separate buckets.
    let start = Instant::now();
    limiter.acquire(Endpoint::Employments).await.unwrap();
    assert!(start.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn requests_that_personio_may_not_have_counted_are_subtracted() {
    // 5 remaining tokens are fewer than the bucket has: one reserved token and one request in
    // flight are subtracted. 90 are more than it has: the request that completed since is
    // subtracted too.
    for (left, free) in [("5", 3), ("90", 87)] {
        let limiter = RateLimiter::new(CONCURRENCY);
        let first = acquire(&limiter).await;
        let second = acquire(&limiter).await;
        let _third = acquire(&limiter).await;
        drop(second);
        first.record_success(&headers("1", "100", left));
        drop(first);
        assert_eq!(milliseconds_to_send(&limiter, free).await, 0, "{left} left");
        assert!(milliseconds_to_send(&limiter, 1).await >= 1000, "{left} left");
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_request_uses_a_new_limit_at_once() {
    let limiter = RateLimiter::new(CONCURRENCY);
    let first = acquire(&limiter).await;
    milliseconds_to_send(&limiter, 9).await;
    let start = Instant::now();
    let ((), ()) = tokio::join!(
        async {
            sleep(Duration::from_millis(5)).await;
            first.record_success(&headers("60", "100", "90"));
        },
        async { drop(acquire(&limiter).await) }
    );
    assert!(start.elapsed() < Duration::from_millis(10), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn implausible_limit_is_not_used_and_is_reported() {
    for (rate, burst, cost) in [
        ("0", "100", "1"),
        ("-0.0", "100", "1"),
        ("-1", "5", "1"),
        ("1e-300", "100", "1"),
        ("0.01", "100", "1"),
        ("1e300", "100", "1"),
        ("NaN", "5", "1"),
        ("inf", "5", "1"),
        ("1e999", "5", "1"),
        ("x", "y", "1"),
        ("", "5", "1"),
        ("5", "0", "1"),
        ("5", "0.5", "1"),
        ("5", "-5", "1"),
        ("5", "1e300", "1"),
        ("5", "many", "1"),
        ("5", "10", "0"),
        ("5", "10", "-1"),
        ("5", "10", "NaN"),
        ("5", "10", "x"),
        ("5", "10", "11"),
    ] {
        let case = format!("{rate}, {burst}, {cost}");
        let limiter = RateLimiter::new(CONCURRENCY);
        let implausible = rate_headers([
            ("replenish-rate", rate),
            ("burst-capacity", burst),
            ("requested-tokens", cost),
            ("remaining", "0"),
        ]);
        acquire(&limiter).await.record_success(&implausible);
        assert_eq!(milliseconds_to_send(&limiter, 9).await, 0, "{case}");
        let next = milliseconds_to_send(&limiter, 1).await;
        assert!((40..=110).contains(&next), "{case}: as fast as without an advertised limit");
        assert_eq!(limiter.implausible_limits(), [Endpoint::Persons], "{case}");
        assert!(limiter.advertised_limits().is_empty(), "{case}");
        acquire(&limiter).await.record_success(&headers("30", "100", "99"));
        assert!(limiter.implausible_limits().is_empty(), "{case}: then a plausible one");
        assert_eq!(limiter.advertised_limits().len(), 1, "{case}: then a plausible one");
        acquire(&limiter).await.record_rate_limited(&implausible, None);
        assert_eq!(limiter.implausible_limits(), [Endpoint::Persons], "{case}: in a 429");
        let limit = RateLimit { per_second: 30.0, burst: 100.0 };
        assert_eq!(limiter.advertised_limits(), [(Endpoint::Persons, limit)], "{case}: unchanged");
    }
    for headers in [
        rate_headers([]),
        rate_headers([("burst-capacity", "5")]),
        rate_headers([("replenish-rate", "5")]),
        rate_headers([("remaining", "x")]),
    ] {
        let limiter = RateLimiter::new(CONCURRENCY);
        acquire(&limiter).await.record_success(&headers);
        assert!(limiter.implausible_limits().is_empty(), "{headers:?}: no limit is advertised");
        assert!(limiter.advertised_limits().is_empty(), "{headers:?}: no limit is advertised");
    }
}

#[tokio::test(start_paused = true)]
async fn rate_burst_and_remaining_tokens_are_divided_by_the_cost_of_a_request() {
    let limiter = RateLimiter::new(CONCURRENCY);
    let mut headers = rate_headers([
        ("replenish-rate", "60"),
        ("burst-capacity", "200"),
        ("requested-tokens", "10"),
    ]);
    headers.insert("x-ratelimit-remaining", HeaderValue::from_static("199"));
    acquire(&limiter).await.record_success(&headers);
    let limit = RateLimit { per_second: 6.0, burst: 20.0 };
    assert_eq!(limiter.advertised_limits(), [(Endpoint::Persons, limit)]);
    assert_eq!(milliseconds_to_send(&limiter, 18).await, 0, "19 of which one is reserved");
    assert!((1000..=1200).contains(&milliseconds_to_send(&limiter, 6).await), "six a second");
    sleep(Duration::from_secs(10)).await;
    headers.insert("x-ratelimit-remaining", HeaderValue::from_static("39"));
    acquire(&limiter).await.record_success(&headers);
    assert_eq!(milliseconds_to_send(&limiter, 2).await, 0, "39 tokens are three requests");
    assert!((160..=200).contains(&milliseconds_to_send(&limiter, 1).await));
}

#[tokio::test(start_paused = true)]
async fn server_error_advertises_a_limit_and_restores_no_rate() {
    let limiter = RateLimiter::new(CONCURRENCY);
    acquire(&limiter).await.record_server_error(&headers("60", "100", "49"));
    let limit = RateLimit { per_second: 60.0, burst: 100.0 };
    assert_eq!(limiter.advertised_limits(), [(Endpoint::Persons, limit)]);
    assert_eq!(milliseconds_to_send(&limiter, 48).await, 0, "49 of which one is reserved");
    let next = milliseconds_to_send(&limiter, 1).await;
    assert!((15..=25).contains(&next), "60 a second: {next}");

    // The rate that a 429 has halved stays halved.
    let halved = RateLimiter::new(CONCURRENCY);
    let empty = headers("60", "100", "0");
    acquire(&halved).await.record_rate_limited(&empty, None);
    for _ in 0..5 {
        acquire(&halved).await.record_server_error(&empty);
    }
    acquire(&halved).await;
    let milliseconds = milliseconds_to_send(&halved, 60).await;
    assert!((1950..=2100).contains(&milliseconds), "thirty a second: {milliseconds}");

    let silent = RateLimiter::new(CONCURRENCY);
    milliseconds_to_send(&silent, 10).await;
    for _ in 0..5 {
        acquire(&silent).await.record_server_error(&HeaderMap::new());
    }
    let milliseconds = milliseconds_to_send(&silent, 10).await;
    assert!((990..=1010).contains(&milliseconds), "still ten a second: {milliseconds}");
}

#[tokio::test(start_paused = true)]
async fn low_advertised_limit_is_respected() {
    let limiter = RateLimiter::new(CONCURRENCY);
    acquire(&limiter).await.record_success(&headers("0.1", "1", "0"));
    assert!((9_000..=11_000).contains(&milliseconds_to_send(&limiter, 1).await));
    acquire(&limiter).await.record_rate_limited(&headers("0.1", "1", "0"), None);
    assert!(
        (9_000..=12_000).contains(&milliseconds_to_send(&limiter, 1).await),
        "not faster after a 429"
    );
}

#[tokio::test(start_paused = true)]
async fn request_fails_during_a_pause_over_a_minute() {
    for seconds in [61, 86_400, u64::MAX] {
        let limiter = RateLimiter::new(CONCURRENCY);
        acquire(&limiter)
            .await
            .record_rate_limited(&HeaderMap::new(), Some(Duration::from_secs(seconds)));
        let result = limiter.acquire(Endpoint::Persons).await;
        assert!(
            matches!(result, Err(Error::RateLimited { retry_after: Some(_), .. })),
            "{result:?}"
        );
        sleep(MAX_PAUSE).await;
        assert!(limiter.acquire(Endpoint::Persons).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn status_429_pauses_the_endpoint_for_at_least_a_second() {
    let limiter = RateLimiter::new(CONCURRENCY);
    acquire(&limiter).await.record_rate_limited(&HeaderMap::new(), None);
    assert!((1000..=1200).contains(&milliseconds_to_send(&limiter, 1).await));
    acquire(&limiter).await.record_rate_limited(&HeaderMap::new(), Some(Duration::from_secs(7)));
    assert!((7000..=7300).contains(&milliseconds_to_send(&limiter, 1).await));
}

#[tokio::test(start_paused = true)]
async fn refusals_in_flight_together_halve_the_rate_once() {
    for together in [1, 5] {
        let limiter = RateLimiter::new(CONCURRENCY);
        let permits = join_all((0..together).map(|_| acquire(&limiter))).await;
        for permit in &permits {
            permit.record_rate_limited(&HeaderMap::new(), None);
        }
        drop(permits);
        // The bucket gains five tokens during the pause.
        milliseconds_to_send(&limiter, 5).await;
        let milliseconds = milliseconds_to_send(&limiter, 10).await;
        assert!((1990..=2100).contains(&milliseconds), "{together}: {milliseconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn status_429_halves_an_advertised_rate_and_responses_restore_it() {
    let limiter = RateLimiter::new(CONCURRENCY);
    let empty = headers("60", "100", "0");
    acquire(&limiter).await.record_rate_limited(&empty, None);
    milliseconds_to_send(&limiter, 30).await;
    let halved = milliseconds_to_send(&limiter, 60).await;
    assert!((1950..=2100).contains(&halved), "{halved}");
    for _ in 0..10 {
        acquire(&limiter).await.record_success(&empty);
    }
    acquire(&limiter).await;
    let recovered = milliseconds_to_send(&limiter, 60).await;
    assert!((990..=1100).contains(&recovered), "{recovered}");
}

#[tokio::test(start_paused = true)]
async fn waiting_request_holds_neither_a_slot_nor_a_token() {
    let limiter = RateLimiter::new(1);
    acquire(&limiter).await.record_rate_limited(&HeaderMap::new(), None);
    let start = Instant::now();
    let paused = async {
        acquire(&limiter).await;
        start.elapsed()
    };
    let other = async {
        sleep(Duration::from_millis(1)).await;
        let _permit = limiter.acquire(Endpoint::Employments).await.unwrap();
        let sent = start.elapsed();
        sleep(Duration::from_secs(5)).await;
        sent
    };
    let (paused, other) = tokio::join!(paused, other);
    assert!(
        other < Duration::from_millis(10),
        "the first holds the slot without a token: {other:?}"
    );
    assert!(paused >= Duration::from_secs(5), "a second request uses the only slot: {paused:?}");
    assert_eq!(milliseconds_to_send(&limiter, 5).await, 0, "the first holds tokens without a slot");
}

#[tokio::test(start_paused = true)]
async fn cancelled_request_does_not_delay_others() {
    let limiter = RateLimiter::new(CONCURRENCY);
    milliseconds_to_send(&limiter, 10).await;
    assert!(timeout(Duration::from_millis(50), acquire(&limiter)).await.is_err());
    let milliseconds = milliseconds_to_send(&limiter, 1).await;
    assert!((45..=55).contains(&milliseconds), "{milliseconds}");
}
