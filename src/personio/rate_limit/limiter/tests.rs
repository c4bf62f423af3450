//! The throttle in virtual time: what a request is held up, and how a whole load does against limits
//! that are told and limits that are not.

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use tokio::time::sleep;

use crate::personio::rate_limit::limiter::*;

const CONCURRENCY: usize = 16;

fn headers(rate: &str, burst: &str, remaining: &str) -> HeaderMap {
    of([("replenish-rate", rate), ("burst-capacity", burst), ("remaining", remaining)])
}

fn of<const N: usize>(headers: [(&str, &str); N]) -> HeaderMap {
    headers
        .into_iter()
        .map(|(name, value)| (format!("x-ratelimit-{name}").parse().unwrap(), value.parse().unwrap()))
        .collect()
}

async fn turn(throttle: &Throttle) -> Turn<'_> {
    throttle.ready(Endpoint::Persons).await.unwrap()
}

/// Virtual milliseconds until so many requests have been sent, one by one. None is answered, so
/// nothing is learned.
async fn spent(throttle: &Throttle, requests: usize) -> u128 {
    let start = Instant::now();
    for _ in 0..requests {
        turn(throttle).await;
    }
    start.elapsed().as_millis()
}

/// A Personio that allows so much, and whether it says so.
struct Upstream {
    limit: Limit,
    says: Says,
    latency: Duration,
    /// Tokens, and since when.
    bucket: Mutex<(f64, Instant)>,
}

#[derive(PartialEq)]
enum Says {
    Everything,
    Nothing,
}

impl Upstream {
    fn new((per_second, burst): (f64, f64), says: Says, milliseconds: u64) -> Self {
        let bucket = Mutex::new((burst, Instant::now()));
        Self { limit: Limit { per_second, burst }, says, latency: Duration::from_millis(milliseconds), bucket }
    }

    /// Whether a request passes, and the headers of its answer.
    fn judge(&self) -> (bool, HeaderMap) {
        let (tokens, filled) = &mut *self.bucket.lock().unwrap();
        *tokens = (*tokens + filled.elapsed().as_secs_f64() * self.limit.per_second).min(self.limit.burst);
        *filled = Instant::now();
        let passes = *tokens >= 1.0;
        *tokens -= f64::from(u8::from(passes));
        let headers = match self.says {
            Says::Everything => {
                headers(&self.limit.per_second.to_string(), &self.limit.burst.to_string(), &tokens.floor().to_string())
            }
            Says::Nothing => HeaderMap::new(),
        };
        (passes, headers)
    }

    /// Sends one request until it is answered; counts the refusals on the way.
    async fn ask(&self, throttle: &Throttle) -> usize {
        let mut refusals = 0;
        loop {
            let turn = turn(throttle).await;
            sleep(self.latency / 2).await;
            let (passes, headers) = self.judge();
            sleep(self.latency / 2).await;
            if passes {
                turn.answered(&headers);
                return refusals;
            }
            turn.refused(&headers, None);
            refusals += 1;
        }
    }

    /// Sends so many requests, as many at once as there are slots; gives the virtual seconds that took, and the refusals.
    async fn load(&self, throttle: &Throttle, requests: usize) -> (f64, usize) {
        let start = Instant::now();
        let asked = stream::iter(0..requests).map(|_| self.ask(throttle)).buffer_unordered(CONCURRENCY);
        let refusals = asked.fold(0, async |sum, refusals| sum + refusals).await;
        (start.elapsed().as_secs_f64(), refusals)
    }
}

#[tokio::test(start_paused = true)]
async fn a_told_limit_is_used_up_and_not_exceeded() {
    for (rate, burst, requests) in [(60.0, 100.0, 500), (30.0, 100.0, 500), (60.0, 15.0, 500), (400.0, 400.0, 4000)] {
        for latency in [2, 20, 40, 100] {
            let upstream = Upstream::new((rate, burst), Says::Everything, latency);
            let (seconds, refusals) = upstream.load(&Throttle::new(CONCURRENCY), requests).await;
            let by_slots = requests as f64 * upstream.latency.as_secs_f64() / CONCURRENCY as f64;
            let ideal = ((requests as f64 - burst) / rate).max(by_slots);
            let case = format!("{rate} a second, burst of {burst}, {latency} ms: {seconds} s");
            assert!(seconds <= 1.15 * ideal, "{case}, at best {ideal} s");
            assert_eq!(refusals, 0, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_not_told_is_found() {
    for (rate, burst) in [(60.0, 100.0), (30.0, 100.0), (5.0, 15.0)] {
        for latency in [2, 20, 100, 200] {
            let upstream = Upstream::new((rate, burst), Says::Nothing, latency);
            let (seconds, refusals) = upstream.load(&Throttle::new(CONCURRENCY), 1000).await;
            let case = format!("{rate} a second, burst of {burst}, {latency} ms: {seconds} s");
            assert!(seconds <= 1.2 * (1000.0 - burst) / rate, "{case}");
            assert!(refusals <= 60, "{case}: {refusals} refusals");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_limit_the_slots_are_what_is_left_of_it() {
    let upstream = Upstream::new((1e9, 1e9), Says::Nothing, 20);
    let throttle = Throttle::new(CONCURRENCY);
    let (polite, refusals) = upstream.load(&throttle, 300).await;
    assert!((0.5..=1.5).contains(&polite) && refusals == 0, "{polite} s for the first");
    let (full, refusals) = upstream.load(&throttle, 800).await;
    assert!((1.0..=1.1).contains(&full) && refusals == 0, "{full} s where 16 at once take a second");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_answered_is_asked_politely() {
    let throttle = Throttle::new(CONCURRENCY);
    assert_eq!(spent(&throttle, 10).await, 0);
    assert!((990..=1100).contains(&spent(&throttle, 10).await));
}

#[tokio::test(start_paused = true)]
async fn answers_to_requests_that_did_not_wait_say_nothing_about_the_pace() {
    let throttle = Throttle::new(CONCURRENCY);
    for _ in 0..100 {
        turn(&throttle).await.answered(&HeaderMap::new());
        sleep(Duration::from_secs(1)).await;
    }
    assert!((990..=1100).contains(&spent(&throttle, 20).await));
}

#[tokio::test(start_paused = true)]
async fn tokens_are_asked_for_as_documented_however_well_it_goes() {
    let throttle = Throttle::new(CONCURRENCY);
    let start = Instant::now();
    for _ in 0..105 {
        throttle.ready(Endpoint::Token).await.unwrap().answered(&HeaderMap::new());
    }
    assert!((49..=51).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_limit_is_learned_and_what_others_spent_is_believed() {
    let throttle = Throttle::new(CONCURRENCY);
    turn(&throttle).await.answered(&headers("30", "100", "61"));
    assert_eq!(spent(&throttle, 60).await, 0);
    assert!((990..=1100).contains(&spent(&throttle, 30).await));
    sleep(Duration::from_secs(10)).await;
    turn(&throttle).await.answered(&headers("30", "100", "4"));
    assert!((230..=310).contains(&spent(&throttle, 10).await));
    // Endpoints do not share a bucket.
    let start = Instant::now();
    throttle.ready(Endpoint::Employments).await.unwrap();
    assert!(start.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn requests_that_may_not_have_been_counted_are_taken_off() {
    // Fewer than we think by one in reserve and one in flight; more, by one that has ended since too.
    for (left, free) in [("5", 3), ("90", 87)] {
        let throttle = Throttle::new(CONCURRENCY);
        let (first, overtaker, _third) = (turn(&throttle).await, turn(&throttle).await, turn(&throttle).await);
        drop(overtaker);
        first.answered(&headers("1", "100", left));
        drop(first);
        assert_eq!(spent(&throttle, free).await, 0, "{left} left");
        assert!(spent(&throttle, 1).await >= 1000, "{left} left");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_hears_of_the_limit_at_once() {
    let throttle = Throttle::new(CONCURRENCY);
    let first = turn(&throttle).await;
    spent(&throttle, 9).await;
    let start = Instant::now();
    let ((), ()) = tokio::join!(
        async {
            sleep(Duration::from_millis(5)).await;
            first.answered(&headers("60", "100", "90"));
        },
        async { drop(turn(&throttle).await) }
    );
    assert!(start.elapsed() < Duration::from_millis(10), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_limit_out_of_any_reason_is_not_used_and_is_reported() {
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
        let throttle = Throttle::new(CONCURRENCY);
        let nonsense =
            of([("replenish-rate", rate), ("burst-capacity", burst), ("requested-tokens", cost), ("remaining", "0")]);
        turn(&throttle).await.answered(&nonsense);
        assert_eq!(spent(&throttle, 9).await, 0, "{case}");
        assert!((40..=110).contains(&spent(&throttle, 1).await), "{case}: as fast as where nothing is told");
        assert_eq!(throttle.implausible(), [Endpoint::Persons], "{case}");
        assert!(throttle.told().is_empty(), "{case}");
        turn(&throttle).await.answered(&headers("30", "100", "99"));
        assert_eq!((throttle.implausible(), throttle.told().len()), (Vec::new(), 1), "{case}: then a sound one");
        turn(&throttle).await.refused(&nonsense, None);
        assert_eq!(throttle.implausible(), [Endpoint::Persons], "{case}: of a refusal");
        let kept = throttle.told().first().map(|(_, limit)| *limit);
        assert_eq!(kept, Some(Limit { per_second: 30.0, burst: 100.0 }), "{case}: the sound one stays");
    }
    for headers in [of([]), of([("burst-capacity", "5")]), of([("replenish-rate", "5")]), of([("remaining", "x")])] {
        let throttle = Throttle::new(CONCURRENCY);
        turn(&throttle).await.answered(&headers);
        assert!(throttle.implausible().is_empty() && throttle.told().is_empty(), "{headers:?}: nothing is told");
    }
}

#[tokio::test(start_paused = true)]
async fn where_a_request_costs_several_tokens_rate_burst_and_rest_are_divided() {
    let throttle = Throttle::new(CONCURRENCY);
    let costly = |remaining: &str| {
        let told = [("replenish-rate", "60"), ("burst-capacity", "200"), ("requested-tokens", "10")];
        let mut headers = of(told);
        headers.insert("x-ratelimit-remaining", remaining.parse().unwrap());
        headers
    };
    turn(&throttle).await.answered(&costly("199"));
    let told = throttle.told().first().map(|(_, limit)| *limit);
    assert_eq!(told, Some(Limit { per_second: 6.0, burst: 20.0 }));
    assert_eq!(spent(&throttle, 18).await, 0, "19 requests are left, of which one is kept in reserve");
    assert!((1000..=1200).contains(&spent(&throttle, 6).await), "six a second");
    sleep(Duration::from_secs(10)).await;
    turn(&throttle).await.answered(&costly("39"));
    assert_eq!(spent(&throttle, 2).await, 0, "39 tokens are three requests");
    assert!((160..=200).contains(&spent(&throttle, 1).await));
}

#[tokio::test(start_paused = true)]
async fn a_low_limit_is_kept_to() {
    let throttle = Throttle::new(CONCURRENCY);
    turn(&throttle).await.answered(&headers("0.1", "1", "0"));
    assert!((9_000..=11_000).contains(&spent(&throttle, 1).await));
    turn(&throttle).await.refused(&headers("0.1", "1", "0"), None);
    assert!((9_000..=12_000).contains(&spent(&throttle, 1).await), "not faster for having been refused");
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_too_long_fails_the_requests_instead_of_holding_them() {
    for seconds in [61, 86_400, u64::MAX] {
        let throttle = Throttle::new(CONCURRENCY);
        turn(&throttle).await.refused(&HeaderMap::new(), Some(Duration::from_secs(seconds)));
        let ready = throttle.ready(Endpoint::Persons).await;
        assert!(matches!(ready, Err(Error::RateLimited { retry_after: Some(_), .. })), "{ready:?}");
        sleep(LONGEST_PAUSE).await;
        assert!(throttle.ready(Endpoint::Persons).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_429_stops_everybody_for_at_least_a_second() {
    let throttle = Throttle::new(CONCURRENCY);
    turn(&throttle).await.refused(&HeaderMap::new(), None);
    assert!((1000..=1200).contains(&spent(&throttle, 1).await));
    turn(&throttle).await.refused(&HeaderMap::new(), Some(Duration::from_secs(7)));
    assert!((7000..=7300).contains(&spent(&throttle, 1).await));
}

#[tokio::test(start_paused = true)]
async fn refusals_halve_the_pace_once_for_all_that_were_in_flight_together() {
    for together in [1, 5] {
        let throttle = Throttle::new(CONCURRENCY);
        let turns = join_all((0..together).map(|_| turn(&throttle))).await;
        turns.iter().for_each(|turn| turn.refused(&HeaderMap::new(), None));
        drop(turns);
        // During the pause five tokens come back.
        spent(&throttle, 5).await;
        let spent = spent(&throttle, 10).await;
        assert!((1990..=2100).contains(&spent), "{together}: {spent}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_429_a_told_pace_is_halved_and_soon_back() {
    let throttle = Throttle::new(CONCURRENCY);
    let empty = headers("60", "100", "0");
    turn(&throttle).await.refused(&empty, None);
    spent(&throttle, 30).await;
    let halved = spent(&throttle, 60).await;
    assert!((1950..=2100).contains(&halved), "{halved}");
    for _ in 0..10 {
        turn(&throttle).await.answered(&empty);
    }
    turn(&throttle).await;
    let recovered = spent(&throttle, 60).await;
    assert!((990..=1100).contains(&recovered), "{recovered}");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_token_keeps_no_slot_and_waiting_for_a_slot_no_token() {
    let throttle = Throttle::new(1);
    turn(&throttle).await.refused(&HeaderMap::new(), None);
    let start = Instant::now();
    let paused = async {
        turn(&throttle).await;
        start.elapsed()
    };
    let other = async {
        sleep(Duration::from_millis(1)).await;
        let _turn = throttle.ready(Endpoint::Employments).await.unwrap();
        let sent = start.elapsed();
        sleep(Duration::from_secs(5)).await;
        sent
    };
    let (paused, other) = tokio::join!(paused, other);
    assert!(other < Duration::from_millis(10), "no slot while the first waits for its token: {other:?}");
    assert!(paused >= Duration::from_secs(5), "a second request on the only slot: {paused:?}");
    assert_eq!(spent(&throttle, 5).await, 0, "tokens came back while the first waited for the slot");
}

#[tokio::test(start_paused = true)]
async fn one_that_gives_up_waiting_holds_nobody_up() {
    let throttle = Throttle::new(CONCURRENCY);
    spent(&throttle, 10).await;
    assert!(timeout(Duration::from_millis(50), turn(&throttle)).await.is_err());
    let spent = spent(&throttle, 1).await;
    assert!((45..=55).contains(&spent), "{spent}");
}
