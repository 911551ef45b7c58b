//! Admission: requests are refused by address and rate before their body is read.

pub(crate) mod buffered;

mod client;
mod rate;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use actix_web::HttpRequest;
use harkara_settings::{IngressSettings, Networks, RateLimit};

use crate::outcome::{Rejected, Rejection};
use client::client_address;
pub(crate) use rate::customer;
use rate::{AddressRates, Rate};

/// Least milliseconds between two log lines about refused addresses: a flood must not fill the log.
const LOG_EVERY_MS: u64 = 60_000;

/// The checks that all endpoints share. Costs nothing unless configured.
pub(crate) struct Admission {
    trusted_proxies: Networks,
    address_rates: Option<AddressRates>,
    refused_log: RefusedLog,
}

/// The log of refused addresses, which shows when a load balancer is missing in the settings.
pub(crate) struct RefusedLog {
    started_at: Instant,
    log_from_ms: AtomicU64,
}

/// The checks of one endpoint.
pub(crate) struct Gate {
    allow: Option<Networks>,
    rate: Option<Rate>,
}

impl Admission {
    pub(crate) fn new(settings: &IngressSettings) -> Self {
        Self {
            trusted_proxies: settings.trusted_proxies.clone(),
            address_rates: settings.address_rate.map(AddressRates::new),
            refused_log: RefusedLog::new(),
        }
    }

    /// Whether the request may use the endpoint behind `gate`. A refused address does not count against any
    /// rate, and one over its own rate does not count against the endpoint's.
    pub(crate) fn admit(&self, request: &HttpRequest, gate: &Gate) -> Result<(), Rejected> {
        if gate.allow.is_some() || self.address_rates.is_some() {
            let client = self.client_of(request);
            if gate.allow.as_ref().is_some_and(|a| !a.contains(client)) {
                self.refused_log.log(client);
                return Err(Rejection::Forbidden.into());
            }
            if let Some(rates) = &self.address_rates {
                rates.take(client)?;
            }
        }
        gate.rate.as_ref().map_or(Ok(()), Rate::take)
    }

    fn client_of(&self, request: &HttpRequest) -> IpAddr {
        // Every connection of a TCP server has a peer.
        let peer = request.peer_addr().map(|peer| peer.ip());
        let peer = peer.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        client_address(peer, request.headers(), &self.trusted_proxies)
    }
}

impl RefusedLog {
    pub(crate) fn new() -> Self {
        Self {
            started_at: Instant::now(),
            log_from_ms: AtomicU64::new(0),
        }
    }

    /// Logs the address, or only the first of each minute.
    pub(crate) fn log(&self, client: IpAddr) {
        let now_ms = u64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let from_ms = self.log_from_ms.load(Relaxed);
        let next_ms = now_ms.saturating_add(LOG_EVERY_MS);
        let claim = || {
            self.log_from_ms
                .compare_exchange(from_ms, next_ms, Relaxed, Relaxed)
        };
        if now_ms >= from_ms && claim().is_ok() {
            tracing::warn!(
                client.address = %client,
                "Refused an address that may not use the endpoint; others within a minute are only counted. If it is a load balancer, add it to ingress.trusted_proxies."
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
