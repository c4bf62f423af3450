//! Requests wait here rather than meet a 429: in a line for each endpoint, whose first waits for a
//! token of the bucket, and for one of the slots that all endpoints share.
//!
//! Ready-made limiters fix their rate when they are made; here it is learned from every answer.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use crate::personio::rate_limit::bucket::{Bucket, Limit, Sent};
use crate::personio::{Endpoint, Error};

/// A 429 carries no `Retry-After`: nothing is sent for this long then.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that is believed.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Requests wait for a pause of this length; in a longer one they fail.
pub(in crate::personio) const PATIENCE: Duration = Duration::from_secs(60);

/// Requests a second that an endpoint can allow: from one a minute to more than anybody sends.
const PLAUSIBLE_RATES: RangeInclusive<f64> = 1.0 / 60.0..=1e6;
/// Requests at once that an endpoint can allow: less than one lets nothing through.
const PLAUSIBLE_BURSTS: RangeInclusive<f64> = 1.0..=1e6;

/// The gates of all endpoints.
#[derive(Debug)]
pub(in crate::personio) struct Throttle {
    gates: Mutex<HashMap<Endpoint, Arc<Gate>>>,
    slots: Semaphore,
}

/// Where the requests to one endpoint line up.
#[derive(Debug)]
struct Gate {
    endpoint: Endpoint,
    /// Held by the first in the line; it lets the others in by their turn.
    line: tokio::sync::Mutex<()>,
    /// Tells the first that the bucket is no longer what it was.
    changed: Notify,
    bucket: Mutex<Bucket>,
    /// Whether the last answer advertised a limit that is out of any reason.
    is_implausible: AtomicBool,
}

/// A request that may be sent now, and is in flight until this is dropped.
#[derive(Debug)]
pub(in crate::personio) struct Turn<'t> {
    gate: Arc<Gate>,
    sent: Sent,
    /// `None` only where the slots were closed, which nobody does.
    _slot: Option<SemaphorePermit<'t>>,
}

impl Throttle {
    /// Lets at most so many requests be in flight at once.
    pub(in crate::personio) fn new(max_concurrency: usize) -> Self {
        Self { gates: Mutex::default(), slots: Semaphore::new(max_concurrency) }
    }

    /// Waits until a request may be sent. Those that wait are served in turn.
    ///
    /// # Errors
    /// When the endpoint is paused for longer than it makes sense to wait.
    pub(in crate::personio) async fn ready(&self, endpoint: Endpoint) -> Result<Turn<'_>, Error> {
        let gate = self.gate(endpoint);
        let _first = gate.line.lock().await;
        loop {
            // One that waits for a token must not keep a slot from others. While it waits for the slot
            // the token can go, so it is taken last.
            gate.token().await?;
            let slot = self.slots.acquire().await.ok();
            if let Some(sent) = gate.with(Bucket::take) {
                return Ok(Turn { gate: Arc::clone(&gate), sent, _slot: slot });
            }
        }
    }

    /// The limits that endpoints have told so far.
    pub(in crate::personio) fn told(&self) -> Vec<(Endpoint, Limit)> {
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.values().filter_map(|gate| Some((gate.endpoint, gate.with(|bucket, _| bucket.told())?))).collect()
    }

    /// Endpoints whose last answer advertised a limit that is not used, since it is out of any reason.
    pub(in crate::personio) fn implausible(&self) -> Vec<Endpoint> {
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let doubted = gates.values().filter(|gate| gate.is_implausible.load(Relaxed));
        doubted.map(|gate| gate.endpoint).collect()
    }

    fn gate(&self, endpoint: Endpoint) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(gates.entry(endpoint).or_insert_with(|| Arc::new(Gate::new(endpoint))))
    }
}

impl Gate {
    fn new(endpoint: Endpoint) -> Self {
        let bucket = Mutex::new(Bucket::new(endpoint, Instant::now()));
        let is_implausible = AtomicBool::new(false);
        Self { endpoint, line: tokio::sync::Mutex::default(), changed: Notify::new(), bucket, is_implausible }
    }

    /// Waits until there is a token, and leaves it there.
    async fn token(&self) -> Result<(), Error> {
        loop {
            let (pause, wait) = self.with(|bucket, now| (bucket.pause(now), bucket.wait(now)));
            if pause > PATIENCE {
                return Err(Error::RateLimited { endpoint: self.endpoint, retry_after: Some(pause) });
            }
            if wait.is_zero() {
                return Ok(());
            }
            // Whichever comes first: then it is looked at again.
            let _ = timeout(wait, self.changed.notified()).await;
        }
    }

    /// Takes over the limit that an answer advertises, if it can be believed.
    fn advertised(&self, headers: &HeaderMap) -> Option<Advertised> {
        let advertised = Advertised::of(headers);
        let was_implausible = self.is_implausible.swap(advertised == Err(Implausible), Relaxed);
        if advertised == Err(Implausible) && !was_implausible {
            tracing::warn!(
                endpoint = self.endpoint.route(),
                "Personio advertises a limit of requests that cannot be right; it is not used"
            );
        }
        advertised.ok().flatten()
    }

    fn with<R>(&self, act: impl FnOnce(&mut Bucket, Instant) -> R) -> R {
        act(&mut self.bucket.lock().unwrap_or_else(PoisonError::into_inner), Instant::now())
    }
}

impl Turn<'_> {
    /// The request was answered, neither with 429 nor with a failure of the server.
    pub(in crate::personio) fn answered(&self, headers: &HeaderMap) {
        let advertised = self.gate.advertised(headers);
        self.gate.with(|bucket, now| {
            if let Some(Advertised { limit, remaining }) = advertised {
                bucket.learn(limit, now);
                if let Some(remaining) = remaining {
                    bucket.believe(remaining, self.sent, now);
                }
            }
            bucket.speed_up();
        });
        self.gate.changed.notify_one();
    }

    /// The request was answered with 429: everything to this endpoint stops for a while.
    pub(in crate::personio) fn refused(&self, headers: &HeaderMap, retry_after: Option<Duration>) {
        let pause = retry_after.unwrap_or(PAUSE).clamp(PAUSE, LONGEST_PAUSE);
        let advertised = self.gate.advertised(headers);
        self.gate.with(|bucket, now| {
            if let Some(Advertised { limit, .. }) = advertised {
                bucket.learn(limit, now);
            }
            bucket.slow_down(self.sent, pause, now);
        });
        self.gate.changed.notify_one();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.gate.with(|bucket, _| bucket.end());
    }
}

/// What the headers of an answer say of a limit, in requests: a request can cost several tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Advertised {
    limit: Limit,
    /// Requests that may be sent now.
    remaining: Option<f64>,
}

/// A limit that no server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Implausible;

impl Advertised {
    /// Reads the headers. `Ok(None)` where there is no limit among them.
    fn of(headers: &HeaderMap) -> Result<Option<Self>, Implausible> {
        let rate = Header::of(headers, "x-ratelimit-replenish-rate");
        let burst = Header::of(headers, "x-ratelimit-burst-capacity");
        let cost = match Header::of(headers, "x-ratelimit-requested-tokens") {
            Header::Absent => 1.0,
            Header::Number(cost) if cost >= 1.0 => cost,
            Header::Number(_) | Header::Unreadable => return Err(Implausible),
        };
        let (rate, burst) = match (rate, burst) {
            (Header::Number(rate), Header::Number(burst)) => (rate / cost, burst / cost),
            (Header::Unreadable, _) | (_, Header::Unreadable) => return Err(Implausible),
            (Header::Absent, _) | (_, Header::Absent) => return Ok(None),
        };
        if !PLAUSIBLE_RATES.contains(&rate) || !PLAUSIBLE_BURSTS.contains(&burst) {
            return Err(Implausible);
        }
        let remaining = match Header::of(headers, "x-ratelimit-remaining") {
            Header::Number(left) => Some((left.max(0.0) / cost).floor()),
            Header::Absent | Header::Unreadable => None,
        };
        Ok(Some(Self { limit: Limit { per_second: rate, burst }, remaining }))
    }
}

/// A header that holds a number.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Header {
    Absent,
    Number(f64),
    /// It is there, but holds no finite number.
    Unreadable,
}

impl Header {
    fn of(headers: &HeaderMap, name: &str) -> Self {
        let Some(value) = headers.get(name) else { return Self::Absent };
        let number = value.to_str().ok().and_then(|text| text.trim().parse::<f64>().ok());
        match number {
            Some(number) if number.is_finite() => Self::Number(number),
            Some(_) | None => Self::Unreadable,
        }
    }
}
