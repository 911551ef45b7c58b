//! The receiver of a load.

use std::io;
use std::net::SocketAddr;

use harkara_simulator::send::{Destination, InvalidDestination};

/// The path of the endpoint `default`.
pub const PATH_DEFAULT: &str = "/webhooks/razorpay";

/// Why a URL cannot be a target.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTarget {
    /// It is not a URL over plain HTTP. TLS would be a large part of the measured time.
    #[error(transparent)]
    Invalid(#[from] InvalidDestination),
    /// The host's name has no address.
    #[error("cannot resolve the host of {url:?}")]
    Unresolved {
        /// The URL.
        url: String,
        /// The resolver's error.
        #[source]
        cause: io::Error,
    },
}

/// A receiver of webhooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadTarget {
    /// The address to connect to.
    pub address: SocketAddr,
    /// The `Host` header.
    pub host: String,
    /// The path of the requests.
    pub path: String,
}

impl LoadTarget {
    /// The default endpoint at an address, with the address as its host.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            host: address.to_string(),
            path: PATH_DEFAULT.to_owned(),
        }
    }

    /// The receiver at a URL: `http://host[:port]/path`, of which the path may be left out. Asks the
    /// system for the host's address.
    pub async fn resolve(url: &str) -> Result<Self, InvalidTarget> {
        let destination = Destination::parse(url)?;
        let unresolved = |cause| InvalidTarget::Unresolved {
            url: url.to_owned(),
            cause,
        };
        let address = tokio::net::lookup_host(destination.address())
            .await
            .map_err(unresolved)?
            .next()
            .ok_or_else(|| unresolved(io::ErrorKind::NotFound.into()))?;
        let path = match destination.path() {
            "/" if !url.ends_with('/') => PATH_DEFAULT,
            path => path,
        };
        Ok(Self {
            address,
            host: destination.host().to_owned(),
            path: path.to_owned(),
        })
    }

    /// The beginning of every request, with the headers that Razorpay sends.
    pub(crate) fn request_head(&self) -> Vec<u8> {
        format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Razorpay-Webhook/v1\r\n\
             Content-Type: application/json\r\nAccept-Encoding: gzip\r\n",
            self.path, self.host
        )
        .into_bytes()
    }
}
