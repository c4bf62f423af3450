//! Registry of the open connections of a listener. It decides which of them stay open.
//!
//! A connection that has presented a valid token is *known*. The others are *unknown*, and their
//! number is limited for each address. If there are too many, an old unknown connection is closed
//! for the new one, from the address that has most of them. A client with a token needs only a
//! moment to present it, and is known from then on.
//!
//! A connection that presents a valid token when the limit of known connections is reached moves to
//! the *overflow*. It gets one refusal and is closed. There it takes no room from new connections,
//! which include health checks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry as Metrics;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Maximum number of bytes of responses that wait for their peers to read them. Beyond it, the
/// slowest readers are disconnected.
const MAX_UNSENT_BYTES: usize = 256 * 1024 * 1024;
/// Divisor of the reserved connections that gives the maximum number of new ones.
const NEW_DIVISOR: usize = 4;
/// Minimum time between two log lines about the same limit.
const LOG_INTERVAL: Duration = Duration::from_secs(60);
/// Number of leading bits of an IPv6 address that identify one subscriber.
const SUBSCRIBER_BITS: u32 = 64;

/// Predicate for the addresses to which the limit per address does not apply.
pub type IsExempt = Box<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Maximum numbers of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Maximum number of known connections.
    pub known: usize,
    /// Number of connections beyond them that only unknown peers take: new ones, health checks,
    /// metrics collectors.
    pub reserved: usize,
    /// Number of connections beyond both that have presented a valid token at the limit of known
    /// ones. They are refused and closed.
    pub overflow: usize,
    /// Maximum number of unknown connections from one address.
    pub unknown_per_address: usize,
}

impl ConnectionLimits {
    /// Returns the limit on all connections together.
    #[must_use]
    pub fn all(self) -> usize {
        self.admitted().saturating_add(self.overflow)
    }

    /// Returns the limit on known and unknown connections.
    fn admitted(self) -> usize {
        self.known.saturating_add(self.reserved)
    }
}

/// Open connections of a listener.
pub struct ConnectionRegistry {
    limits: ConnectionLimits,
    is_exempt: IsExempt,
    tables: Mutex<ConnectionTables>,
    /// Permits for new connections, for which the server has not checked yet whether the peer has
    /// sent anything. New connections are not closed for others, so that their number must stay
    /// below the limit of unknown ones.
    new_permits: Semaphore,
    started: Instant,
    counters: [CloseCounter; 8],
}

#[derive(Default)]
struct ConnectionTables {
    next_id: u64,
    /// Number of open connections that are known or unknown and do not have to close.
    admitted: usize,
    known: usize,
    /// Unknown connections, the oldest first.
    unknown: BTreeMap<u64, Arc<ConnectionSlot>>,
    /// Connections in the overflow, the oldest first.
    overflow: BTreeMap<u64, Arc<ConnectionSlot>>,
    by_address: HashMap<IpAddr, BTreeSet<u64>>,
    unsent_bytes: usize,
    /// Large bodies that are being sent, by the address of their first byte. Several peers can read
    /// the same one.
    bodies: HashMap<usize, BodyInFlight>,
}

/// Body and the connections to which it is sent. Its bytes count once.
struct BodyInFlight {
    length: usize,
    readers: Vec<Arc<ConnectionSlot>>,
}

/// State of one connection that other threads see.
pub(super) struct ConnectionSlot {
    id: u64,
    address: Option<IpAddr>,
    category: Mutex<ConnectionCategory>,
    must_close: AtomicBool,
    activity: AtomicU8,
    /// Time at which the peer last read something, in milliseconds since the start of the registry,
    /// or 0 if no response waits for the peer.
    blocked_since: AtomicU64,
    waker: AtomicWaker,
}

/// Category in which a connection counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionCategory {
    Unknown,
    Known,
    Overflow,
    /// The connection must close and does not count any more.
    Closing,
}

/// Activity of the server on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activity {
    /// The connection is new: the server has not checked yet whether the peer has sent anything.
    New = 0,
    /// The server reads, and has not checked yet whether the peer has sent more.
    Reading = 1,
    /// The server waits for the peer to send something.
    Waiting = 2,
    /// The server answers a request.
    Answering = 3,
}

/// Limit, deadline or protocol error because of which a connection is closed or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseReason {
    /// Limit on all known and unknown connections.
    TotalLimit,
    /// Limit on known connections.
    KnownLimit,
    /// Limit on unknown connections from one address.
    AddressLimit,
    /// Deadline for a TLS handshake or for the head of a request.
    SlowRequest,
    /// Deadline for reading a response.
    SlowReader,
    /// Limit on the bytes of unsent responses.
    UnsentBytes,
    /// HTTP without TLS at an address that speaks TLS.
    PlainAtTls,
    /// TLS at an address that speaks HTTP without TLS.
    TlsAtPlain,
}

/// Number of connections that met one limit, and the time and number of the last log line about it.
#[derive(Default)]
struct CloseCounter {
    count: Counter,
    last_log: Mutex<Option<(Instant, u64)>>,
}

/// Membership of a connection in the registry, which ends on drop.
pub(super) struct Admission {
    pub(super) registry: Arc<ConnectionRegistry>,
    pub(super) slot: Arc<ConnectionSlot>,
}

/// Registration of a large body that is being sent, which ends on drop.
pub(super) struct BodyRegistration {
    registry: Arc<ConnectionRegistry>,
    slot: Arc<ConnectionSlot>,
    key: usize,
}

impl ConnectionSlot {
    /// Reports whether the connection must be closed now. If not, the task is woken when it must.
    pub(super) fn must_close(&self, waker: &Waker) -> bool {
        self.waker.register(waker);
        self.must_close.load(Relaxed)
    }

    /// Waits until the connection must be closed.
    pub(super) async fn closed(&self) {
        std::future::poll_fn(|context| {
            if self.must_close(context.waker()) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Notes what the server does with the connection.
    pub(super) fn set_activity(&self, activity: Activity) {
        self.activity.store(activity as u8, Relaxed);
    }

    /// Reports whether the connection waits for its peer.
    fn waits_for_peer(&self) -> bool {
        self.activity.load(Relaxed) == Activity::Waiting as u8
            || self.blocked_since.load(Relaxed) > 0
    }

    fn is_new(&self) -> bool {
        self.activity.load(Relaxed) == Activity::New as u8
    }

    fn is_answering(&self) -> bool {
        self.activity.load(Relaxed) == Activity::Answering as u8
    }

    /// Notes since when a response has waited for the peer; `None` if none waits.
    pub(super) fn set_blocked(&self, since: Option<Duration>) {
        let millis = since.map_or(0, |since| since.as_millis().max(1) as u64);
        self.blocked_since.store(millis, Relaxed);
    }

    fn lock_category(&self) -> MutexGuard<'_, ConnectionCategory> {
        self.category.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.must_close.store(true, Relaxed);
        self.waker.wake();
    }
}

impl ConnectionRegistry {
    /// Creates a registry without connections.
    #[must_use]
    pub fn new(limits: ConnectionLimits, is_exempt: IsExempt) -> Arc<Self> {
        Arc::new(Self {
            limits,
            is_exempt,
            tables: Mutex::default(),
            new_permits: Semaphore::new((limits.reserved / NEW_DIVISOR).max(1)),
            started: Instant::now(),
            counters: Default::default(),
        })
    }

    /// Returns the limits.
    #[must_use]
    pub fn limits(&self) -> ConnectionLimits {
        self.limits
    }

    /// Registers the numbers of connections in `metrics`.
    pub fn register(&self, metrics: &mut Metrics) {
        let open = Family::<[(&str, &str); 1], prometheus_client::metrics::gauge::Gauge>::default();
        let tables = self.lock_tables();
        let counts = [
            ("known", tables.known),
            ("unknown", tables.unknown.len()),
            ("overflow", tables.overflow.len()),
        ];
        drop(tables);
        for (client, count) in counts {
            open.get_or_create(&[("client", client)]).set(count as i64);
        }
        let description = "Open connections, by whether a valid token was presented on them";
        metrics.register("connections_open", description, open);
        let limit = ConstGauge::new(self.limits.all() as u64);
        metrics.register("connections_limit", "Maximum number of open connections", limit);
        let closed = Family::<[(&str, &str); 1], Counter>::default();
        for reason in CloseReason::ALL {
            let counter: &Counter = &closed.get_or_create(&[("reason", reason.label())]);
            counter.inc_by(self.counter(reason).count.get());
        }
        let description =
            "Connections that were refused or closed because of a limit or a deadline";
        metrics.register("connections_closed", description, closed);
    }

    /// Waits for a permit for a new connection. The caller returns it once the server has checked
    /// whether the peer has sent anything. Further connections stay in the kernel's queue.
    pub(super) async fn permit_new(&self) -> Option<SemaphorePermit<'_>> {
        self.new_permits.acquire().await.ok()
    }

    /// Admits a new connection. Returns `None` if there is no room.
    pub(super) fn admit(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Admission> {
        // The limit per address does not apply to exempt addresses.
        let address = address.filter(|address| !(self.is_exempt)(*address)).map(subscriber);
        let mut tables = self.lock_tables();
        let reached = tables.make_room(self.limits, address);
        let has_room = match &reached {
            Some(reached) => reached.has_room,
            None => true,
        };
        let admission = if has_room { Some(self.enter(&mut tables, address)) } else { None };
        drop(tables);
        if let Some(reached) = reached {
            self.count_close(reached.reason);
        }
        admission
    }

    fn enter(
        self: &Arc<Self>,
        tables: &mut ConnectionTables,
        address: Option<IpAddr>,
    ) -> Admission {
        let id = tables.next_id;
        tables.next_id += 1;
        tables.admitted += 1;
        let slot = Arc::new(ConnectionSlot {
            id,
            address,
            category: Mutex::new(ConnectionCategory::Unknown),
            must_close: AtomicBool::new(false),
            activity: AtomicU8::new(Activity::New as u8),
            blocked_since: AtomicU64::new(0),
            waker: AtomicWaker::new(),
        });
        tables.unknown.insert(id, Arc::clone(&slot));
        if let Some(address) = address {
            tables.by_address.entry(address).or_default().insert(id);
        }
        Admission { registry: Arc::clone(self), slot }
    }

    /// Notes that a connection has presented a valid token. Reports whether there is room for it
    /// among the known ones. If not, it moves to the overflow, where the oldest connection is
    /// closed if there is no room.
    pub(super) fn make_known(&self, slot: &Arc<ConnectionSlot>) -> bool {
        if *slot.lock_category() == ConnectionCategory::Known {
            return true;
        }
        let mut tables = self.lock_tables();
        let mut category = slot.lock_category();
        if *category != ConnectionCategory::Unknown {
            return false;
        }
        tables.forget_unknown(slot);
        if tables.known < self.limits.known {
            *category = ConnectionCategory::Known;
            tables.known += 1;
            return true;
        }
        *category = ConnectionCategory::Overflow;
        drop(category);
        tables.admitted = tables.admitted.saturating_sub(1);
        if tables.overflow.len() >= self.limits.overflow
            && let Some((_, oldest)) = tables.overflow.pop_first()
        {
            *oldest.lock_category() = ConnectionCategory::Closing;
            oldest.close();
        }
        tables.overflow.insert(slot.id, Arc::clone(slot));
        drop(tables);
        self.count_close(CloseReason::KnownLimit);
        false
    }

    /// Counts a connection that is closed or refused, and logs its reason at most once in
    /// [`LOG_INTERVAL`].
    pub(super) fn count_close(&self, reason: CloseReason) {
        let counter = self.counter(reason);
        let count = counter.count.inc() + 1;
        let now = Instant::now();
        let mut last_log = counter.last_log.lock().unwrap_or_else(PoisonError::into_inner);
        let (is_due, logged) = match *last_log {
            None => (true, 0),
            Some((at, logged)) => (now.duration_since(at) >= LOG_INTERVAL, logged),
        };
        if is_due {
            *last_log = Some((now, count));
            drop(last_log);
            let connections = count - logged;
            let explanation = self.explanation(reason, connections);
            tracing::warn!(connections, reason = reason.label(), "{explanation}");
        }
    }

    /// Notes that a large body is being sent. If too many bytes wait, the peers that have read
    /// nothing for the longest time are disconnected.
    pub(super) fn send(
        self: &Arc<Self>,
        slot: &Arc<ConnectionSlot>,
        body: &Bytes,
    ) -> BodyRegistration {
        let key = body.as_ptr() as usize;
        let mut tables = self.lock_tables();
        let length = body.len();
        let shared =
            tables.bodies.entry(key).or_insert(BodyInFlight { length, readers: Vec::new() });
        shared.readers.push(Arc::clone(slot));
        if shared.readers.len() == 1 {
            tables.unsent_bytes += length;
        }
        let slowest = tables.mark_slowest_readers();
        drop(tables);
        for slot in slowest {
            self.count_close(CloseReason::UnsentBytes);
            slot.close();
        }
        BodyRegistration { registry: Arc::clone(self), slot: Arc::clone(slot), key }
    }

    /// Returns the time since the start of the registry, in which the slots keep the times of
    /// blocked peers.
    pub(super) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    fn lock_tables(&self) -> MutexGuard<'_, ConnectionTables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counter(&self, reason: CloseReason) -> &CloseCounter {
        let [all, known, address, request, reader, unsent, plain, tls] = &self.counters;
        match reason {
            CloseReason::TotalLimit => all,
            CloseReason::KnownLimit => known,
            CloseReason::AddressLimit => address,
            CloseReason::SlowRequest => request,
            CloseReason::SlowReader => reader,
            CloseReason::UnsentBytes => unsent,
            CloseReason::PlainAtTls => plain,
            CloseReason::TlsAtPlain => tls,
        }
    }

    fn explanation(&self, reason: CloseReason, connections: u64) -> String {
        let ConnectionLimits { known, unknown_per_address, .. } = self.limits;
        match reason {
            CloseReason::TotalLimit => format!(
                "{connections} connections were closed or refused: the maximum of {} connections \
                 is open; raise --max-connections if all of them are needed",
                self.limits.admitted()
            ),
            CloseReason::KnownLimit => format!(
                "{connections} connections of clients with a token were refused with 503: the \
                 maximum of {known} such connections is open; raise --max-connections if all of \
                 them are needed"
            ),
            CloseReason::AddressLimit => format!(
                "{connections} connections were closed or refused: the maximum of \
                 {unknown_per_address} connections without a token from one address is open"
            ),
            CloseReason::SlowRequest => format!(
                "{connections} connections were closed: no complete request arrived in time"
            ),
            CloseReason::SlowReader => format!(
                "{connections} connections were closed: the client did not read the response in \
                 time"
            ),
            CloseReason::UnsentBytes => format!(
                "{connections} connections were closed: clients did not read large responses, \
                 which then take too much memory"
            ),
            CloseReason::PlainAtTls => format!(
                "{connections} connections were closed: the client sent HTTP without TLS, and this \
                 address requires TLS; use https:// in the client"
            ),
            CloseReason::TlsAtPlain => format!(
                "{connections} connections were closed: the client began TLS, and this address \
                 accepts HTTP without TLS only; use http:// in the client, or give this server a \
                 certificate (--tls-cert, --tls-key)"
            ),
        }
    }
}

impl CloseReason {
    const ALL: [Self; 8] = [
        Self::TotalLimit,
        Self::KnownLimit,
        Self::AddressLimit,
        Self::SlowRequest,
        Self::SlowReader,
        Self::UnsentBytes,
        Self::PlainAtTls,
        Self::TlsAtPlain,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::TotalLimit => "too many",
            Self::KnownLimit => "too many with a token",
            Self::AddressLimit => "too many from one address",
            Self::SlowRequest => "request too slow",
            Self::SlowReader => "answer not read",
            Self::UnsentBytes => "too much unread",
            Self::PlainAtTls => "no TLS",
            Self::TlsAtPlain => "unexpected TLS",
        }
    }
}

/// Limit that a new connection meets.
#[derive(Clone, Copy)]
struct ReachedLimit {
    reason: CloseReason,
    /// True if another connection is closed for the new one.
    has_room: bool,
}

impl ConnectionTables {
    /// Has another connection closed if there is no room for a new one from `address`. Returns the
    /// limit that was met.
    fn make_room(
        &mut self,
        limits: ConnectionLimits,
        address: Option<IpAddr>,
    ) -> Option<ReachedLimit> {
        if self.count_of(address) >= limits.unknown_per_address {
            return Some(ReachedLimit {
                reason: CloseReason::AddressLimit,
                has_room: self.close_oldest(address),
            });
        }
        if self.admitted >= limits.admitted() {
            return Some(ReachedLimit {
                reason: CloseReason::TotalLimit,
                has_room: self.close_oldest(None),
            });
        }
        None
    }

    /// Has an unknown connection closed, from `address` or from any. Reports whether there was one.
    fn close_oldest(&mut self, address: Option<IpAddr>) -> bool {
        let oldest = match address {
            Some(address) => self.least_needed_of(address),
            None => self.least_needed(),
        };
        let Some(oldest) = oldest else { return false };
        *oldest.lock_category() = ConnectionCategory::Closing;
        self.admitted = self.admitted.saturating_sub(1);
        self.forget_unknown(&oldest);
        oldest.close();
        true
    }

    /// Returns the connection from `address` that is closed for a new one.
    fn least_needed_of(&self, address: IpAddr) -> Option<Arc<ConnectionSlot>> {
        let older = older_half(self.slots_of(address).collect());
        oldest_idle(&older).or(older.first().copied()).map(Arc::clone)
    }

    /// Returns the connection that is closed for a new one from any address. The oldest idle
    /// connection of the address with most of them comes first. If all of those are being answered,
    /// another one that waits for its peer follows, and only then one that is being answered.
    fn least_needed(&self) -> Option<Arc<ConnectionSlot>> {
        let older = older_half(self.unknown.values().collect());
        let (mut crowded, mut most) = (None, 1);
        for slot in &older {
            let count = self.count_of(slot.address);
            if count > most {
                (crowded, most) = (slot.address, count);
            }
        }
        let mut of_crowded = older.clone();
        of_crowded.retain(|slot| crowded.is_some() && slot.address == crowded);
        let least_needed = oldest_idle(&of_crowded)
            .or(older.iter().find(|slot| slot.waits_for_peer()).copied())
            .or(of_crowded.first().copied())
            .or(oldest_idle(&older))
            .or(older.first().copied());
        least_needed.map(Arc::clone)
    }

    fn slots_of(&self, address: IpAddr) -> impl Iterator<Item = &Arc<ConnectionSlot>> {
        let ids = self.by_address.get(&address).into_iter().flatten();
        ids.filter_map(|id| self.unknown.get(id))
    }

    /// Returns the number of unknown connections from an address.
    fn count_of(&self, address: Option<IpAddr>) -> usize {
        let Some(address) = address else { return 0 };
        self.by_address.get(&address).map_or(0, BTreeSet::len)
    }

    fn forget_unknown(&mut self, slot: &ConnectionSlot) {
        self.unknown.remove(&slot.id);
        let Some(address) = slot.address else { return };
        if let Some(ids) = self.by_address.get_mut(&address) {
            ids.remove(&slot.id);
            if ids.is_empty() {
                self.by_address.remove(&address);
            }
        }
    }

    /// Marks connections that must close so that not too many bytes wait: those whose peers have
    /// read nothing of a large response for the longest time. Returns them.
    fn mark_slowest_readers(&self) -> Vec<Arc<ConnectionSlot>> {
        let mut marked = Vec::new();
        // The bytes of a connection that must close stay in `unsent_bytes` until it is closed.
        while self.unsent_bytes > MAX_UNSENT_BYTES && self.remaining_bytes() > MAX_UNSENT_BYTES {
            let Some(slowest) = self.slowest_reader() else { break };
            slowest.must_close.store(true, Relaxed);
            marked.push(slowest);
        }
        marked
    }

    /// Returns the number of bytes that still wait when all connections that must close are closed.
    fn remaining_bytes(&self) -> usize {
        let mut bytes = 0;
        for body in self.bodies.values() {
            if body.readers.iter().any(|reader| !reader.must_close.load(Relaxed)) {
                bytes += body.length;
            }
        }
        bytes
    }

    /// Returns the connection whose peer has read nothing of a large response for the longest time.
    fn slowest_reader(&self) -> Option<Arc<ConnectionSlot>> {
        let mut slowest: Option<(u64, &Arc<ConnectionSlot>)> = None;
        for body in self.bodies.values() {
            for slot in &body.readers {
                let since = slot.blocked_since.load(Relaxed);
                if since == 0 || slot.must_close.load(Relaxed) {
                    continue;
                }
                let is_slower = match slowest {
                    Some((longest, _)) => since < longest,
                    None => true,
                };
                if is_slower {
                    slowest = Some((since, slot));
                }
            }
        }
        slowest.map(|(_, slot)| Arc::clone(slot))
    }
}

/// Returns the older half of connections that are ordered by age, without the new ones unless all
/// are new. The other connections are not closed, whatever they do. A health check that has sent
/// its request gets its response. One that has not sent it has the time until as many other
/// connections arrive.
fn older_half(mut slots: Vec<&Arc<ConnectionSlot>>) -> Vec<&Arc<ConnectionSlot>> {
    slots.truncate(slots.len().div_ceil(2));
    if slots.iter().any(|slot| !slot.is_new()) {
        slots.retain(|slot| !slot.is_new());
    }
    slots
}

/// Returns the first connection that waits for its peer, or else the first that is not being
/// answered.
fn oldest_idle<'s>(slots: &[&'s Arc<ConnectionSlot>]) -> Option<&'s Arc<ConnectionSlot>> {
    let waiting = slots.iter().find(|slot| slot.waits_for_peer());
    let idle = waiting.or_else(|| slots.iter().find(|slot| !slot.is_answering()));
    idle.copied()
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut tables = self.registry.lock_tables();
        let category = *self.slot.lock_category();
        match category {
            ConnectionCategory::Closing => {}
            ConnectionCategory::Known => {
                tables.admitted = tables.admitted.saturating_sub(1);
                tables.known = tables.known.saturating_sub(1);
            }
            ConnectionCategory::Overflow => {
                tables.overflow.remove(&self.slot.id);
            }
            ConnectionCategory::Unknown => {
                tables.admitted = tables.admitted.saturating_sub(1);
                tables.forget_unknown(&self.slot);
            }
        }
    }
}

impl Drop for BodyRegistration {
    fn drop(&mut self) {
        let mut tables = self.registry.lock_tables();
        let Some(body) = tables.bodies.get_mut(&self.key) else { return };
        let position = body.readers.iter().position(|reader| Arc::ptr_eq(reader, &self.slot));
        if let Some(position) = position {
            body.readers.swap_remove(position);
        }
        if body.readers.is_empty() {
            let length = body.length;
            tables.bodies.remove(&self.key);
            tables.unsent_bytes = tables.unsent_bytes.saturating_sub(length);
        }
    }
}

/// Returns the address that stands for all addresses of one subscriber.
fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << SUBSCRIBER_BITS)).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const LIMITS: ConnectionLimits =
        ConnectionLimits { known: 3, reserved: 2, overflow: 2, unknown_per_address: 2 };

    fn registry() -> Arc<ConnectionRegistry> {
        ConnectionRegistry::new(LIMITS, Box::new(|address| address == IpAddr::from([10, 0, 0, 1])))
    }

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    /// Admits a connection whose peer has sent something.
    fn admit(registry: &Arc<ConnectionRegistry>, last: u8) -> Admission {
        let admission = registry.admit(address(last)).unwrap();
        admission.slot.set_activity(Activity::Reading);
        admission
    }

    fn is_closing(admission: &Admission) -> bool {
        admission.slot.must_close.load(Relaxed)
    }

    fn are_closing(admissions: &[Admission]) -> Vec<bool> {
        admissions.iter().map(is_closing).collect()
    }

    #[test]
    fn full_address_closes_its_oldest_unknown_connection() {
        let limits =
            ConnectionLimits { known: 20, reserved: 2, overflow: 2, unknown_per_address: 4 };
        let registry = ConnectionRegistry::new(limits, Box::new(|_| false));
        let mut all: Vec<_> = (0..5).map(|_| admit(&registry, 1)).collect();
        let other = admit(&registry, 2);
        assert_eq!(are_closing(&all), [true, false, false, false, false]);
        // In the older half, a connection that is being answered is not closed, unless its peer
        // does not read.
        all[1].slot.set_activity(Activity::Answering);
        all.push(admit(&registry, 1));
        assert_eq!(are_closing(&all), [true, false, true, false, false, false]);
        all[3].slot.set_activity(Activity::Answering);
        all[3].slot.set_blocked(Some(Duration::from_secs(1)));
        all.push(admit(&registry, 1));
        assert_eq!(are_closing(&all), [true, false, true, true, false, false, false]);
        // If all of the older half are being answered, the oldest is closed. The newer half stays.
        all[4].slot.set_activity(Activity::Answering);
        all.push(admit(&registry, 1));
        assert_eq!(are_closing(&all), [true, true, true, true, false, false, false, false]);
        assert!(!is_closing(&other), "another address has room of its own");
        drop((all, other));
        let tables = registry.lock_tables();
        assert_eq!((tables.admitted, tables.unknown.len(), tables.by_address.len()), (0, 0, 0));
    }

    #[test]
    fn newer_half_of_connections_is_not_closed() {
        // The addresses have a limit, or are those of a proxy without one.
        for proxied in [false, true] {
            let limits =
                ConnectionLimits { known: 1, reserved: 19, overflow: 2, unknown_per_address: 20 };
            let registry = ConnectionRegistry::new(limits, Box::new(move |_| proxied));
            let older: Vec<_> =
                (0..20).map(|number| registry.admit(address(number)).unwrap()).collect();
            older.iter().for_each(|one| one.slot.set_activity(Activity::Answering));
            let mut newer = Vec::new();
            let health = registry.admit(address(100)).unwrap();
            health.slot.set_activity(Activity::Waiting);
            for number in 0..10 {
                assert!(!is_closing(&health), "{number}");
                let next = registry.admit(address(101 + number)).unwrap();
                next.slot.set_activity(Activity::Answering);
                newer.push(next);
            }
            assert_eq!(older.iter().filter(|one| is_closing(one)).count(), 11);
        }
    }

    #[test]
    fn new_connection_is_not_closed_for_others() {
        let limits =
            ConnectionLimits { known: 1, reserved: 7, overflow: 2, unknown_per_address: 20 };
        let registry = ConnectionRegistry::new(limits, Box::new(|_| false));
        let health = registry.admit(address(100)).unwrap();
        let mut others = Vec::new();
        for number in 0..50 {
            let one = registry.admit(address(number)).unwrap();
            one.slot.set_activity(Activity::Answering);
            others.push(one);
        }
        assert!(!is_closing(&health));
        health.slot.set_activity(Activity::Waiting);
        let _next = registry.admit(address(101)).unwrap();
        assert!(is_closing(&health));
    }

    #[test]
    fn full_registry_closes_a_connection_of_a_crowded_address() {
        let registry = registry();
        let single = registry.admit(address(1)).unwrap();
        let many: Vec<_> =
            (0..4).map(|number| registry.admit(address(2 + number / 2)).unwrap()).collect();
        let new = registry.admit(address(9)).unwrap();
        assert!(!is_closing(&single) && !is_closing(&new));
        assert_eq!(many.iter().filter(|one| is_closing(one)).count(), 1);
    }

    #[test]
    fn known_connections_stay_and_leave_reserved_room() {
        let registry = registry();
        let known: Vec<_> = (0..4).map(|number| registry.admit(address(number)).unwrap()).collect();
        let are_known: Vec<bool> = known.iter().map(|one| registry.make_known(&one.slot)).collect();
        assert_eq!(are_known, [true, true, true, false]);
        assert!(registry.make_known(&known[0].slot), "once is enough");
        let proxied: Vec<_> =
            (0..50).map(|_| registry.admit(Some(IpAddr::from([10, 0, 0, 1]))).unwrap()).collect();
        assert!(!known.iter().any(is_closing), "the fourth is in the overflow");
        assert_eq!(proxied.iter().filter(|one| !is_closing(one)).count(), LIMITS.reserved);
        assert_eq!(registry.lock_tables().admitted, LIMITS.admitted());
        drop(proxied);
        drop(known);
        let tables = registry.lock_tables();
        assert_eq!((tables.admitted, tables.known, tables.overflow.len()), (0, 0, 0));
    }

    #[test]
    fn overflow_closes_only_its_own_oldest_connections() {
        let registry = registry();
        let mut known = Vec::new();
        for _ in 0..LIMITS.known {
            known.push(registry.admit(address(1)).unwrap());
            assert!(registry.make_known(&known.last().unwrap().slot));
        }
        let health = registry.admit(address(2)).unwrap();
        let mut beyond = Vec::new();
        for number in 0..10 {
            let one = registry.admit(address(3 + number)).unwrap();
            assert!(!registry.make_known(&one.slot));
            assert!(!registry.make_known(&one.slot), "a second request is refused, too");
            beyond.push(one);
        }
        assert!(!known.iter().any(is_closing) && !is_closing(&health));
        assert_eq!(
            are_closing(&beyond),
            [[true; 8].as_slice(), &[false; 2]].concat(),
            "the newest are answered"
        );
        drop(beyond);
        let tables = registry.lock_tables();
        assert_eq!((tables.admitted, tables.overflow.len()), (4, 0));
    }

    #[test]
    fn new_connections_are_a_quarter_of_the_reserved_ones_at_most() {
        let limits =
            ConnectionLimits { known: 100, reserved: 8, overflow: 1, unknown_per_address: 100 };
        let registry = ConnectionRegistry::new(limits, Box::new(|_| true));
        let first = registry.permit_new().now_or_never().unwrap();
        let second = registry.permit_new().now_or_never().unwrap();
        assert!(registry.permit_new().now_or_never().is_none(), "the third waits");
        drop(first);
        assert!(registry.permit_new().now_or_never().is_some());
        drop(second);
    }

    #[test]
    fn slowest_reader_is_disconnected_beyond_the_unsent_limit() {
        let registry = ConnectionRegistry::new(
            ConnectionLimits { known: 100, reserved: 2, overflow: 1, unknown_per_address: 100 },
            Box::new(|_| true),
        );
        let admissions: Vec<_> = (0..4).map(|_| registry.admit(None).unwrap()).collect();
        let [first, second, third, fourth] = admissions.as_slice() else { unreachable!() };
        let body = Bytes::from(vec![0; MAX_UNSENT_BYTES / 2]);
        first.slot.set_blocked(Some(Duration::from_secs(2)));
        second.slot.set_blocked(Some(Duration::from_secs(1)));
        let sent = [registry.send(&first.slot, &body), registry.send(&second.slot, &body.clone())];
        assert_eq!(
            registry.lock_tables().unsent_bytes,
            body.len(),
            "the same bytes are counted once"
        );
        let others = [Bytes::from(vec![0; body.len()]), Bytes::from(vec![0; body.len()])];
        let third_sent = registry.send(&third.slot, &others[0]);
        assert!(!admissions.iter().any(is_closing));
        let fourth_sent = registry.send(&fourth.slot, &others[1]);
        // A body takes memory until its last reader is gone.
        assert_eq!(are_closing(&admissions), [true, true, false, false]);
        drop((sent, third_sent, fourth_sent));
        assert_eq!(registry.lock_tables().unsent_bytes, 0);
        assert!(registry.lock_tables().bodies.is_empty());
    }

    #[test]
    fn a_large_body_disconnects_as_many_slow_readers_as_it_needs() {
        let limits =
            ConnectionLimits { known: 100, reserved: 2, overflow: 1, unknown_per_address: 100 };
        let registry = ConnectionRegistry::new(limits, Box::new(|_| true));
        let part = MAX_UNSENT_BYTES / 8;
        let small: Vec<Bytes> = (0..8).map(|_| Bytes::from(vec![0; part])).collect();
        let mut admissions = Vec::new();
        let mut sent = Vec::new();
        for (number, body) in (1..).zip(&small) {
            let admission = registry.admit(None).unwrap();
            admission.slot.set_blocked(Some(Duration::from_secs(number)));
            sent.push(registry.send(&admission.slot, body));
            admissions.push(admission);
        }
        assert!(!admissions.iter().any(is_closing), "they fill the limit and do not exceed it");
        let large = Bytes::from(vec![0; 3 * part]);
        let last = registry.admit(None).unwrap();
        let last_sent = registry.send(&last.slot, &large);
        assert_eq!(are_closing(&admissions), [true, true, true, false, false, false, false, false]);
        // The connections that must close have room reserved, although they are still open.
        let tiny = Bytes::from_static(&[0]);
        let next = registry.admit(None).unwrap();
        next.slot.set_blocked(Some(Duration::from_secs(100)));
        let next_sent = registry.send(&next.slot, &tiny);
        assert_eq!(admissions.iter().filter(|one| is_closing(one)).count(), 4);
        assert!(!is_closing(&next) && !is_closing(&last));
        drop((sent, last_sent, next_sent));
        assert_eq!(registry.lock_tables().unsent_bytes, 0);
    }

    #[test]
    fn addresses_of_a_subscriber_count_as_one() {
        for (one, other, is_same) in [
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
        ] {
            let [one, other] = [one, other].map(|address| subscriber(address.parse().unwrap()));
            assert_eq!(one == other, is_same, "{one} {other}");
        }
    }
}
