//! Admission: requests are refused by address and rate before their body is read.

pub(crate) mod buffered;

mod client;
mod rate;

use std::net::{IpAddr, Ipv4Addr};

use actix_web::HttpRequest;
use harkara_settings::{IngressSettings, Networks, RateLimit};

use crate::log_limit::LogLimit;
use crate::outcome::{Rejected, Rejection};
use client::client_address;
pub(crate) use rate::customer;
use rate::{AddressRates, Rate};

/// The checks that all endpoints share. Costs nothing unless configured.
pub(crate) struct Admission {
    trusted_proxies: Networks,
    address_rates: Option<AddressRates>,
    refused_log: RefusedLog,
}

/// The log of refused addresses, which shows when a load balancer is missing in the settings.
pub(crate) struct RefusedLog(LogLimit);

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
        Self(LogLimit::new())
    }

    /// Logs the address, or only the first of each minute.
    pub(crate) fn log(&self, client: IpAddr) {
        if self.0.permits() {
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
