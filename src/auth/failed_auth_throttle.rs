//! Throttle for addresses that present wrong tokens. After a few wrong tokens, further ones are
//! refused as throttled until a delay has passed. Each wrong token after the delay doubles it.
//!
//! The throttle does not delay a request, and it does not affect valid tokens: many clients may
//! share an address with one that is misconfigured. For the same reason a valid token does not
//! reset the count. Only time does.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use moka::future::Cache;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;

/// Number of wrong tokens at which delays begin. A few wrong tokens are normal.
const UNDELAYED_FAILURES: u32 = 5;
/// First delay. Each further one is twice as long.
const INITIAL_DELAY: Duration = Duration::from_secs(1);
/// Maximum delay.
const MAX_DELAY: Duration = Duration::from_secs(60);
/// Time after the last counted wrong token at which an address is forgotten.
const ENTRY_LIFETIME: Duration = Duration::from_secs(900);
/// Maximum number of addresses that are remembered.
const MAX_ADDRESSES: u64 = 10_000;
/// Length in bits of the IPv6 prefix that counts as one address, because a subscriber usually has
/// all addresses below it.
const THROTTLED_PREFIX_BITS: u32 = 64;

/// Failed attempts by address.
pub(super) struct FailedAuthThrottle(Cache<IpAddr, FailedAttempts>);

#[derive(Debug, Clone, Copy, Default)]
struct FailedAttempts {
    count: u32,
    /// End of the delay, on the monotonic clock.
    blocked_until: Duration,
    /// Time at which the address is forgotten, on the monotonic clock.
    forgotten_at: Duration,
}

impl FailedAuthThrottle {
    pub(super) fn new() -> Self {
        let addresses =
            Cache::builder().max_capacity(MAX_ADDRESSES).eviction_policy(EvictionPolicy::lru());
        Self(addresses.build())
    }

    /// Returns the rest of the delay if the address is still within one. Otherwise records a wrong
    /// token.
    pub(super) async fn delay_or_record(&self, address: IpAddr, now: Duration) -> Option<Duration> {
        let mut rest = None;
        let updated = self.0.entry(throttled_prefix(address)).and_compute_with(|earlier| {
            let earlier = match earlier {
                Some(entry) if now < entry.value().forgotten_at => *entry.value(),
                Some(_) | None => FailedAttempts::default(),
            };
            if now < earlier.blocked_until {
                rest = Some(earlier.blocked_until.saturating_sub(now));
                return std::future::ready(Op::Nop);
            }
            let count = earlier.count.saturating_add(1);
            std::future::ready(Op::Put(FailedAttempts {
                count,
                blocked_until: now.saturating_add(delay_after(count)),
                forgotten_at: now.saturating_add(ENTRY_LIFETIME),
            }))
        });
        updated.await;
        rest
    }
}

fn delay_after(count: u32) -> Duration {
    let Some(beyond) = count.checked_sub(UNDELAYED_FAILURES) else { return Duration::ZERO };
    INITIAL_DELAY.saturating_mul(2_u32.saturating_pow(beyond)).min(MAX_DELAY)
}

fn throttled_prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << THROTTLED_PREFIX_BITS)).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn delays_grow_for_each_address_after_five_wrong_tokens() {
        let throttle = FailedAuthThrottle::new();
        let (guesser, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let seconds = Duration::from_secs;
        for _ in 0..UNDELAYED_FAILURES {
            assert_eq!(throttle.delay_or_record(guesser, seconds(1)).await, None);
        }
        let mut now = seconds(1);
        for length in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(throttle.delay_or_record(guesser, now).await, Some(seconds(length)));
            // Wrong tokens during the delay do not extend it.
            assert_eq!(throttle.delay_or_record(guesser, now).await, Some(seconds(length)));
            assert_eq!(throttle.delay_or_record(other, now).await, None, "the other is on its own");
            now += seconds(length);
            assert_eq!(throttle.delay_or_record(guesser, now).await, None);
        }
    }

    #[tokio::test]
    async fn address_is_forgotten_after_its_last_counted_failure() {
        let guesser = "203.0.113.7".parse().unwrap();
        let nanosecond = Duration::from_nanos(1);
        for (pause, is_forgotten) in [(ENTRY_LIFETIME - nanosecond, false), (ENTRY_LIFETIME, true)]
        {
            let throttle = FailedAuthThrottle::new();
            let mut now = Duration::from_secs(1);
            for _ in 0..UNDELAYED_FAILURES {
                assert_eq!(throttle.delay_or_record(guesser, now).await, None);
            }
            // One more failure is counted after the pause. It begins a delay only if the earlier
            // ones are remembered.
            now += pause;
            assert_eq!(throttle.delay_or_record(guesser, now).await, None);
            let delay = throttle.delay_or_record(guesser, now).await;
            assert_eq!(delay.is_none(), is_forgotten, "{pause:?}");
        }
    }

    #[tokio::test]
    async fn number_of_remembered_addresses_is_bounded() {
        let throttle = FailedAuthThrottle::new();
        for number in 0..100_000_u32 {
            throttle
                .delay_or_record(
                    std::net::Ipv4Addr::from_bits(number).into(),
                    Duration::from_secs(1),
                )
                .await;
        }
        throttle.0.run_pending_tasks().await;
        assert!(
            (1..=MAX_ADDRESSES).contains(&throttle.0.entry_count()),
            "{}",
            throttle.0.entry_count()
        );
    }

    #[test]
    fn ipv6_addresses_with_the_same_64_bit_prefix_share_an_entry() {
        for (one, other, same) in [
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
        ] {
            assert_eq!(
                throttled_prefix(one.parse().unwrap()) == throttled_prefix(other.parse().unwrap()),
                same,
                "{one} {other}"
            );
        }
    }
}
