//! Where a load goes.

use std::net::SocketAddr;

/// The path of the endpoint `default`.
pub const PATH_DEFAULT: &str = "/webhooks/razorpay";

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
