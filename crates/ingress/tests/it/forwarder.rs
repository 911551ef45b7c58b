//! An address that leads to a server, to another one later, or nowhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// Forwards each new connection to where it leads at that time; those that there are stay.
pub(crate) struct Forwarder {
    pub(crate) port: u16,
    to: Arc<AtomicU16>,
}

/// As the port of a server: connections are taken, and nothing ever comes back.
const NOWHERE: u16 = 0;

impl Forwarder {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let to = Arc::new(AtomicU16::new(port));
        let leads_to = to.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let port = leads_to.load(Ordering::SeqCst);
                tokio::spawn(async move {
                    if port == NOWHERE {
                        return std::future::pending().await;
                    }
                    // A server that is away ends the connection.
                    if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
                        copy_bidirectional(&mut client, &mut server).await.ok();
                    }
                });
            }
        });
        Self { port: own, to }
    }

    /// An address that takes connections and never answers.
    pub(crate) async fn to_nowhere() -> Self {
        Self::to(NOWHERE).await
    }

    pub(crate) fn lead_to(&self, port: u16) {
        self.to.store(port, Ordering::SeqCst);
    }
}
