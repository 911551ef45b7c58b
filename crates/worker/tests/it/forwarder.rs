//! An address whose server can be exchanged while the connections to the former one live on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// Forwards connections to a port of this machine.
pub(crate) struct Forwarder {
    pub(crate) port: u16,
    target: Arc<AtomicU16>,
}

impl Forwarder {
    pub(crate) async fn start(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Arc::new(AtomicU16::new(target));
        let current = target.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let current = current.load(Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(("127.0.0.1", current)).await?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Self { port, target }
    }

    /// Sends further connections elsewhere.
    pub(crate) fn turn_to(&self, target: u16) {
        self.target.store(target, Ordering::Relaxed);
    }
}
