//! The links of the product's processes to one server.

use std::net::{Ipv4Addr, SocketAddr};

use harkara_testkit::{Link, Proxy};

/// A link for the ingress, and one for all workers.
pub(crate) struct Links {
    pub(crate) ingress: Proxy,
    pub(crate) workers: Proxy,
}

impl Links {
    pub(super) async fn to(server: SocketAddr) -> Self {
        Self {
            ingress: Proxy::to(server).await,
            workers: Proxy::to(server).await,
        }
    }

    /// Breaks or mends both.
    pub(crate) fn set(&self, link: Link) {
        self.ingress.set(link);
        self.workers.set(link);
    }
}

/// A port of this machine.
pub(super) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
