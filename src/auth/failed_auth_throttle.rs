//! Wrong tokens are slowed per address: after a few, further ones are not even answered as wrong until a while has
//! passed, and each wrong one after that makes it longer. Nothing waits here, and nothing of it touches a right
//! token: many may share an address with somebody who is misconfigured. For the same reason a right token does not
//! make wrong ones forgotten; time does.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use moka::future::Cache;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;

/// So many wrong tokens are nothing unusual.
const FREE: u32 = 5;
/// The first pause; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST: Duration = Duration::from_secs(60);
/// So long after the last wrong token all is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(900);
/// So many addresses are remembered.
const ADDRESSES: u64 = 10_000;
/// Whoever has one IPv6 address has all that share these bits with it.
const OWN: u32 = 64;

/// Who has presented wrong tokens.
pub(super) struct Slow(Cache<IpAddr, Wrong>);

#[derive(Debug, Clone, Copy, Default)]
struct Wrong {
    count: u32,
    /// On the monotonic clock.
    until: Duration,
}

impl Slow {
    pub(super) fn new() -> Self {
        let addresses = Cache::builder().max_capacity(ADDRESSES).eviction_policy(EvictionPolicy::lru());
        Self(addresses.time_to_live(FORGOTTEN).build())
    }

    /// Notes a wrong token; for how long the address is to be quiet, if it should have been quiet already.
    pub(super) async fn wrong(&self, address: IpAddr, now: Duration) -> Option<Duration> {
        let mut early = None;
        let noted = self.0.entry(shared(address)).and_compute_with(|earlier| {
            let Wrong { count, until } = earlier.map(|earlier| *earlier.value()).unwrap_or_default();
            std::future::ready(if now < until {
                early = Some(until.saturating_sub(now));
                Op::Nop
            } else {
                let count = count.saturating_add(1);
                Op::Put(Wrong { count, until: now.saturating_add(pause(count)) })
            })
        });
        noted.await;
        early
    }
}

fn pause(count: u32) -> Duration {
    let Some(beyond) = count.checked_sub(FREE) else { return Duration::ZERO };
    FIRST.saturating_mul(2_u32.saturating_pow(beyond)).min(LONGEST)
}

fn shared(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << OWN)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_few_are_free_and_then_the_pauses_grow_address_by_address() {
        let slow = Slow::new();
        let (guesser, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let seconds = Duration::from_secs;
        for _ in 0..FREE {
            assert_eq!(slow.wrong(guesser, seconds(1)).await, None);
        }
        let mut now = seconds(1);
        for length in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(slow.wrong(guesser, now).await, Some(seconds(length)));
            // Those that came in between make it no longer.
            assert_eq!(slow.wrong(guesser, now).await, Some(seconds(length)));
            assert_eq!(slow.wrong(other, now).await, None, "the other is on its own");
            now += seconds(length);
            assert_eq!(slow.wrong(guesser, now).await, None);
        }
    }

    #[tokio::test]
    async fn however_many_addresses_guess_only_so_many_are_remembered() {
        let slow = Slow::new();
        for number in 0..100_000_u32 {
            slow.wrong(std::net::Ipv4Addr::from_bits(number).into(), Duration::from_secs(1)).await;
        }
        slow.0.run_pending_tasks().await;
        assert!((1..=ADDRESSES).contains(&slow.0.entry_count()), "{}", slow.0.entry_count());
    }

    #[test]
    fn a_neighbour_within_the_same_64_bits_is_the_same() {
        for (one, other, same) in [
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
        ] {
            assert_eq!(shared(one.parse().unwrap()) == shared(other.parse().unwrap()), same, "{one} {other}");
        }
    }
}
