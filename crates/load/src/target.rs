//! Where a load goes.

use std::io;
use std::net::SocketAddr;

/// The path of the endpoint `default`.
pub const PATH_DEFAULT: &str = "/webhooks/razorpay";

/// The port where a URL names none.
const PORT_DEFAULT: u16 = 80;

/// Why a URL is no target.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTarget {
    /// It is not a URL of a web server.
    #[error("{0:?} is not a URL such as http://127.0.0.1:8080/webhooks/razorpay")]
    NotHttp(String),
    /// There is no TLS here: it would be a good part of what is measured.
    #[error("a load goes over plain http; give the http address behind {0:?}")]
    Https(String),
    /// The host's name has no address.
    #[error("the host of {url:?} cannot be found")]
    Unresolved {
        /// The URL.
        url: String,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// A receiver of webhooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where connections are made to.
    pub address: SocketAddr,
    /// What the `Host` header says.
    pub host: String,
    /// The path that is posted to.
    pub path: String,
}

impl Target {
    /// The default endpoint at an address, with the address as its host.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            host: address.to_string(),
            path: PATH_DEFAULT.to_owned(),
        }
    }

    /// The receiver that a URL names: `http://host[:port]/path`. Asks the system for the host's address.
    pub async fn resolve(url: &str) -> Result<Self, InvalidTarget> {
        let not_http = || InvalidTarget::NotHttp(url.to_owned());
        if url.starts_with("https://") {
            return Err(InvalidTarget::Https(url.to_owned()));
        }
        let rest = url.strip_prefix("http://").ok_or_else(not_http)?;
        let (host, path) = rest
            .find('/')
            .map_or((rest, PATH_DEFAULT), |at| rest.split_at(at));
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_empty() || host.contains('@') || !plain(rest) {
            return Err(not_http());
        }
        let has_port = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let with_port = if has_port {
            host.to_owned()
        } else {
            format!("{host}:{PORT_DEFAULT}")
        };
        let unresolved = |cause| InvalidTarget::Unresolved {
            url: url.to_owned(),
            cause,
        };
        let address = tokio::net::lookup_host(&with_port)
            .await
            .map_err(unresolved)?
            .next()
            .ok_or_else(|| unresolved(io::ErrorKind::NotFound.into()))?;
        Ok(Self {
            address,
            host: host.to_owned(),
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
