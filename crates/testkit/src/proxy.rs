//! A link between two processes that can be cut, silenced and slowed.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

/// The size of a forwarded chunk, in bytes.
const CHUNK_BYTES: usize = 16 * 1024;

/// Maximum chunks in flight in one direction; beyond them the sender waits.
const CHUNKS_UNDER_WAY_MAX: usize = 64;

/// Forwards TCP connections to another address, until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    route: watch::Sender<Route>,
    accepting: AbortHandle,
}

/// The state of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Forwards everything.
    Open,
    /// Every connection ends immediately, and so does each new one.
    Cut,
    /// Nothing gets through, and no error is returned, as with a firewall that drops packets. Data sent in the
    /// meantime arrives afterwards.
    BlackHoled,
    /// Everything is delayed by this much, in each direction.
    Slow(Duration),
}

#[derive(Clone, Copy)]
struct Route {
    /// On this machine.
    port: u16,
    link: Link,
}

impl Proxy {
    /// A proxy to a port of this machine, on another port.
    pub async fn to_port(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let link = Link::Open;
        let (route, seen) = watch::channel(Route { port, link });
        let accepting = tokio::spawn(accept(listener, seen)).abort_handle();
        Self {
            address,
            route,
            accepting,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the state, for existing connections too.
    pub fn set(&self, link: Link) {
        self.route.send_modify(|route| route.link = link);
    }

    /// Directs new connections to another port of this machine; existing ones stay.
    pub fn turn_to_port(&self, port: u16) {
        self.route.send_modify(|route| route.port = port);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, route: watch::Receiver<Route>) {
    loop {
        // An error is of the one connection, or of too many open files, which others will close.
        if let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass_on(client, route.clone()));
        } else {
            tokio::task::yield_now().await;
        }
    }
}

/// Passes one connection on until either side ends it, the link is cut or the proxy is gone.
async fn pass_on(client: TcpStream, route: watch::Receiver<Route>) {
    let mut cut = route.clone();
    tokio::select! {
        () = both_ways(client, route) => {}
        _cut_or_gone = cut.wait_for(|route| route.link == Link::Cut) => {}
    }
}

async fn both_ways(client: TcpStream, mut route: watch::Receiver<Route>) {
    let port = match route.wait_for(|route| route.link != Link::BlackHoled).await {
        Ok(now) => now.port,
        Err(_) => return,
    };
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
        return;
    };
    for stream in [&client, &server] {
        // Only the latency suffers where it cannot be set.
        stream.set_nodelay(true).ok();
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(
        one_way(from_client, to_server, route.clone()),
        one_way(from_server, to_client, route),
    );
}

async fn one_way(mut from: OwnedReadHalf, to: OwnedWriteHalf, route: watch::Receiver<Route>) {
    let (sender, chunks) = mpsc::channel(CHUNKS_UNDER_WAY_MAX);
    let reading = async move {
        let mut buffer = vec![0; CHUNK_BYTES];
        while let Ok(n) = from.read(&mut buffer).await {
            let chunk = (Instant::now(), buffer[..n].to_vec());
            if n == 0 || sender.send(chunk).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(reading, write(to, chunks, route));
}

async fn write(
    mut to: OwnedWriteHalf,
    mut chunks: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut route: watch::Receiver<Route>,
) {
    while let Some((read_at, chunk)) = chunks.recv().await {
        let link = match route.wait_for(|route| route.link != Link::BlackHoled).await {
            Ok(now) => now.link,
            Err(_) => return,
        };
        if let Link::Slow(by) = link {
            sleep_until(read_at + by).await;
        }
        if to.write_all(&chunk).await.is_err() {
            return;
        }
    }
    // The peer's own end says the rest.
    to.shutdown().await.ok();
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const BOUND: Duration = Duration::from_secs(10);

    /// The port of a server that sends back what it gets.
    async fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await.ok();
                });
            }
        });
        port
    }

    async fn connect(proxy: &Proxy) -> TcpStream {
        TcpStream::connect(proxy.address()).await.unwrap()
    }

    /// Whether an echo comes back; an error means that the connection has ended.
    async fn echoes(stream: &mut TcpStream) -> std::io::Result<bool> {
        stream.write_all(b"x").await?;
        let answer = timeout(BOUND, stream.read_u8()).await.unwrap()?;
        Ok(answer == b'x')
    }

    #[tokio::test]
    async fn a_cut_ends_connections_and_refuses_new_ones_until_it_is_mended() {
        let proxy = Proxy::to_port(echo().await).await;
        let mut stream = connect(&proxy).await;
        assert!(echoes(&mut stream).await.unwrap());
        proxy.set(Link::Cut);
        assert!(timeout(BOUND, stream.read_u8()).await.unwrap().is_err());
        assert!(echoes(&mut connect(&proxy).await).await.is_err());
        proxy.set(Link::Open);
        assert!(echoes(&mut connect(&proxy).await).await.unwrap());
    }

    #[tokio::test]
    async fn a_black_hole_is_silent_and_gives_everything_back() {
        let proxy = Proxy::to_port(echo().await).await;
        let mut stream = connect(&proxy).await;
        assert!(echoes(&mut stream).await.unwrap());
        proxy.set(Link::BlackHoled);
        stream.write_all(b"y").await.unwrap();
        let silence = Duration::from_millis(100);
        assert!(timeout(silence, stream.read_u8()).await.is_err());
        proxy.set(Link::Open);
        let answer = timeout(BOUND, stream.read_u8()).await.unwrap();
        assert_eq!(answer.unwrap(), b'y');
    }

    #[tokio::test]
    async fn a_slow_link_delays_each_direction() {
        let proxy = Proxy::to_port(echo().await).await;
        let by = Duration::from_millis(40);
        proxy.set(Link::Slow(by));
        let started = Instant::now();
        assert!(echoes(&mut connect(&proxy).await).await.unwrap());
        assert!(started.elapsed() >= 2 * by);
    }

    #[tokio::test]
    async fn new_connections_go_where_the_proxy_was_turned_to() {
        let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::to_port(nowhere.local_addr().unwrap().port()).await;
        drop(nowhere);
        assert!(echoes(&mut connect(&proxy).await).await.is_err());
        proxy.turn_to_port(echo().await);
        assert!(echoes(&mut connect(&proxy).await).await.unwrap());
    }
}
