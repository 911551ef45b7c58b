//! Who is let in at the door: decided by address and rate before a body is read.

pub(crate) mod buffered;

mod client;
mod rate;

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use actix_web::HttpRequest;
use harkara_settings::{IngressSettings, Networks, RateLimit};

use client::client_address;
use rate::{AddressRates, Rate};

/// Refused addresses are told of at most once in this many milliseconds: a flood must not fill the log.
const TELL_EVERY_MS: u64 = 60_000;

/// What is checked for every endpoint. Costs nothing where nothing is configured.
pub(crate) struct Admission {
    trusted_proxies: Networks,
    address_rates: Option<AddressRates>,
    started_at: Instant,
    tell_from_ms: AtomicU64,
}

/// What is checked for one endpoint.
pub(crate) struct Gate {
    allow: Option<Networks>,
    rate: Option<Rate>,
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAdmitted {
    /// The client's address may not use the endpoint.
    Forbidden,
    /// There were too many requests; how many seconds until the next is taken.
    TooMany { retry_after_s: NonZeroU64 },
}

impl Admission {
    pub(crate) fn new(settings: &IngressSettings) -> Self {
        Self {
            trusted_proxies: settings.trusted_proxies.clone(),
            address_rates: settings.address_rate.map(AddressRates::new),
            started_at: Instant::now(),
            tell_from_ms: AtomicU64::new(0),
        }
    }

    /// Whether the request may go on to the endpoint behind `gate`. A refused address takes nothing of
    /// any rate, and one over its own rate nothing of the endpoint's.
    pub(crate) fn admit(&self, request: &HttpRequest, gate: &Gate) -> Result<(), NotAdmitted> {
        if gate.allow.is_some() || self.address_rates.is_some() {
            let client = self.client_of(request);
            if gate.allow.as_ref().is_some_and(|a| !a.contains(client)) {
                self.tell_of_refused(client);
                return Err(NotAdmitted::Forbidden);
            }
            if let Some(rates) = &self.address_rates {
                rates.take(client)?;
            }
        }
        gate.rate.as_ref().map_or(Ok(()), Rate::take)
    }

    fn client_of(&self, request: &HttpRequest) -> IpAddr {
        // Every connection of a TCP server has a peer; one without is nobody's.
        let peer = request.peer_addr().map(|peer| peer.ip());
        let peer = peer.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        client_address(peer, request.headers(), &self.trusted_proxies)
    }

    /// Without the address nobody could see that a load balancer is missing in the settings.
    fn tell_of_refused(&self, client: IpAddr) {
        let now_ms = u64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let from_ms = self.tell_from_ms.load(Relaxed);
        let is_due = now_ms >= from_ms;
        let next_ms = now_ms.saturating_add(TELL_EVERY_MS);
        if is_due
            && self
                .tell_from_ms
                .compare_exchange(from_ms, next_ms, Relaxed, Relaxed)
                .is_ok()
        {
            tracing::warn!(
                client.address = %client,
                "Refused an address that may not use its endpoint; further ones within a minute are only counted. If it is a load balancer's, it is missing in ingress.trusted_proxies."
            );
        }
    }
}

impl Gate {
    pub(crate) fn new(allow: Option<Networks>, rate: Option<RateLimit>) -> Self {
        Self {
            allow,
            rate: rate.map(Rate::new),
        }
    }
}
