//! Clients without a valid signature that take what they can from the ingress.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep};

use crate::environment::Environment;
use crate::finding::Finding;

/// Addresses of the strangers.
const ADDRESSES: u8 = 100;

/// What the memory of the ingress may grow by for each stranger.
const GROWTH_EACH_MAX: u64 = 64 << 10;

/// What it may grow by for everything else.
const GROWTH_MARGIN: u64 = 16 << 20;

/// What it may grow by for all strangers that pipeline.
const PIPELINING_GROWTH_MAX: u64 = 64 << 20;

/// How long a stranger waits after its connection was closed.
const BACK_AFTER: Duration = Duration::from_secs(1);

/// How often a stranger reads a little of its answers.
const READS_EVERY: Duration = Duration::from_millis(100);

/// How often open connections are counted.
const LOOKS_EVERY: Duration = Duration::from_millis(250);

/// The ingress's open connections.
const OPEN: &str = "harkara_ingress_connections";

/// Connections that the ingress closed or did not admit.
const CLOSED: &str = "harkara_ingress_connections_closed_total";

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// What each stranger does over and over again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attack {
    /// Sends thousands of requests and reads 100 kB of answers per second.
    Pipelining,
    /// Sends nothing, or one request, and holds the connection.
    Holding,
    /// The same, where the ingress takes fewer connections than there are strangers.
    Outnumbering,
    /// Sends 120 KB of a head that does not end.
    EndlessHead,
}

/// Strangers in a thread of their own. The links that deliveries go through are in this process too, and would wait
/// behind thousands of their tasks.
struct Strangers(Option<Runtime>);

impl Strangers {
    fn start(n: usize, to: SocketAddr, attack: Attack) -> Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build()?;
        for n in 0..n {
            let from = Ipv4Addr::new(127, 9, 0, 1 + u8::try_from(n % usize::from(ADDRESSES))?);
            let first: &[u8] = match attack {
                Attack::Holding | Attack::Outnumbering if n % 2 == 0 => b"",
                _ => REQUEST,
            };
            runtime.spawn(stranger(from.into(), to, attack, first));
        }
        Ok(Self(Some(runtime)))
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Deliveries are answered as ever, and the memory of the ingress stays small.
pub(super) async fn attack(environment: &mut Environment, attack: Attack) -> Result<Finding> {
    let lasts = environment.scale.fault;
    let n = match attack {
        Attack::Pipelining => environment.scale.strangers / 9,
        Attack::EndlessHead => environment.scale.strangers * 4 / 9,
        Attack::Holding | Attack::Outnumbering => environment.scale.strangers,
    };
    environment.scale.rate_per_s = environment.scale.rate_beside_strangers;
    let load = environment.load(lasts).await?;
    let before = environment.ingress.peak_bytes()?;
    let strangers = Strangers::start(n, environment.public, attack)?;
    let n_open = most_open(environment, lasts).await?;
    let growth = environment.ingress.peak_bytes()? - before;
    let n_closed = environment.ingress.counter(CLOSED).await?;
    drop(strangers);
    let finding = environment.audit(load).await?;
    let finding = require_effect(finding, attack, n, n_open, n_closed)?;
    let finding = require_answers(finding, attack, environment.scale.honest);
    let growth_max = match attack {
        Attack::Pipelining => PIPELINING_GROWTH_MAX,
        _ => GROWTH_MARGIN + n as u64 * GROWTH_EACH_MAX,
    };
    Ok(finding.require(
        growth <= growth_max,
        format!("the memory of the ingress grew by {} MiB", growth >> 20),
    ))
}

/// The most connections that are open at a time while this lasts. All strangers that came together are closed
/// together, so there may be few at any one moment.
async fn most_open(environment: &Environment, lasts: Duration) -> Result<f64> {
    let until = Instant::now() + lasts;
    let mut most = 0.0_f64;
    while Instant::now() < until {
        most = most.max(environment.ingress.counter(OPEN).await?);
        sleep(LOOKS_EVERY).await;
    }
    Ok(most)
}

/// Requires that the strangers did what they are there for.
fn require_effect(
    finding: Finding,
    attack: Attack,
    n: usize,
    n_open: f64,
    n_closed: f64,
) -> Result<Finding> {
    Ok(match attack {
        // Their first answer closes their connections.
        Attack::Pipelining => finding,
        Attack::Holding => finding.require(
            n_open >= f64::from(u32::try_from(n)?) / 4.0,
            format!("strangers held only {n_open} connections"),
        ),
        Attack::Outnumbering => finding.require(n_closed > 0.0, "no connection made room"),
        Attack::EndlessHead => finding.require(n_closed > 0.0, "no head was refused"),
    })
}

/// Requires that deliveries were answered in this time: all of them, or 99 % where connections are held.
fn require_answers(finding: Finding, attack: Attack, within: Duration) -> Finding {
    let latency = finding.verdict.latency_ms;
    let (which, took_ms) = match attack {
        Attack::Pipelining => ("every", latency.max),
        _ => ("99 % of", latency.p99),
    };
    finding.require(
        took_ms <= within.as_secs_f64() * 1_000.0,
        format!("{which} answers took up to {took_ms:.0} ms"),
    )
}

async fn stranger(from: IpAddr, to: SocketAddr, attack: Attack, first: &'static [u8]) {
    loop {
        // It fails when it is closed, which is what it is for.
        drop(connection(from, to, attack, first).await);
        sleep(BACK_AFTER).await;
    }
}

async fn connection(
    from: IpAddr,
    to: SocketAddr,
    attack: Attack,
    first: &[u8],
) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let mut stream = socket.connect(to).await?;
    match attack {
        Attack::Pipelining => {
            let (mut reader, mut writer) = stream.split();
            let requests = first.repeat(1_000);
            let write = async {
                loop {
                    writer.write_all(&requests).await?;
                }
            };
            let read = async {
                loop {
                    if reader.read(&mut [0; 10_000]).await? == 0 {
                        return Ok(());
                    }
                    sleep(READS_EVERY).await;
                }
            };
            tokio::select! {
                ended = write => ended,
                ended = read => ended,
            }
        }
        Attack::Holding | Attack::Outnumbering => {
            stream.write_all(first).await?;
            until_closed(&mut stream).await
        }
        Attack::EndlessHead => {
            stream.write_all(b"GET / HTTP/1.1\r\nx: ").await?;
            stream.write_all(&vec![b'x'; 120_000]).await?;
            until_closed(&mut stream).await
        }
    }
}

async fn until_closed(stream: &mut TcpStream) -> std::io::Result<()> {
    while stream.read(&mut [0; 1_000]).await? > 0 {}
    Ok(())
}
