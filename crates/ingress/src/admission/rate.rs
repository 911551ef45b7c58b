//! Rate limits, shared by the server threads without a lock.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU64;

use governor::clock::Clock;
use governor::{DefaultDirectRateLimiter, Quota};
use harkara_settings::RateLimit;

use crate::outcome::{Rejected, Rejection};

/// Slots for the rates of addresses: 64 bytes each, 4 MiB in all.
const SLOTS: usize = 1 << 16;
const _: () = assert!(size_of::<Rate>() * SLOTS <= 4 << 20);

/// The bits of an IPv6 address that a provider assigns to one customer; the client may choose the rest
/// (RFC 4291, 2.5.4).
const IPV6_CLIENT_MASK: u128 = !0 << 64;

/// One rate limit.
pub(super) struct Rate(DefaultDirectRateLimiter);

/// A rate limit for each client address.
///
/// A table of fixed size: no flood of addresses makes it grow, and nothing needs to be evicted. An address
/// has the slot of its hash; two that share a slot share the rate. The hash is seeded randomly in each
/// process, so nobody can aim at another's slot.
pub(super) struct AddressRates {
    slots: Box<[Rate]>,
    hasher: RandomState,
}

impl Rate {
    pub(super) fn new(limit: RateLimit) -> Self {
        let quota = Quota::per_second(limit.per_s).allow_burst(limit.burst);
        Self(DefaultDirectRateLimiter::direct(quota))
    }

    /// Admits one request, or returns when the next is admitted.
    pub(super) fn take(&self) -> Result<(), Rejected> {
        self.0.check().map_err(|not_until| {
            let wait = not_until.wait_time_from(self.0.clock().now());
            Rejected {
                rejection: Rejection::RateLimited,
                retry_after_s: Some(NonZeroU64::MIN.saturating_add(wait.as_secs())),
            }
        })
    }
}

impl AddressRates {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Rate::new(limit)).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Admits one request of this client.
    pub(super) fn take(&self, client: IpAddr) -> Result<(), Rejected> {
        let hash = self.hasher.hash_one(customer(client));
        let slot = usize::try_from(hash % SLOTS as u64).expect("a slot is a usize");
        self.slots[slot].take()
    }
}

/// One client is an IPv4 address or an IPv6 network.
pub(crate) fn customer(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & IPV6_CLIENT_MASK).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use harkara_settings::RateLimit;

    use super::AddressRates;

    const LIMIT: RateLimit = RateLimit {
        per_s: NonZeroU32::MIN,
        burst: NonZeroU32::MIN.saturating_add(2),
    };

    fn taken(rates: &AddressRates, client: &str) -> bool {
        rates.take(client.parse().unwrap()).is_ok()
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        let rates = AddressRates::new(LIMIT);
        for client in ["2001:db8::1", "2001:db8::2", "2001:db8::3:4:5:6"] {
            assert!(taken(&rates, client), "{client}");
        }
        assert!(!taken(&rates, "2001:db8::7"));
        assert!(taken(&rates, "2001:db8:0:1::7"));
        assert!(taken(&rates, "192.0.2.1"));
    }
}
