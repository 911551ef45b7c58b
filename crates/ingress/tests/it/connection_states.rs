//! Clients in every state that a connection can have: heads and bodies in pieces, pipelined requests, answers
//! read late, in part or never, and connections closed at any point. Nothing of them may stay behind.
//!
//! `HARKARA_SOAK_SECONDS=3600 cargo nextest run -p harkara-ingress connection_states` runs for an hour.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harkara_testkit::{RedisServer, wait_until};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::BOUND;
use crate::http::{Request, metric};
use crate::memory::{MIB, resident_bytes};
use crate::process::Process;

const CLIENTS: u64 = 64;

/// How long the clients are at it, unless the variable says otherwise.
const SECONDS: u64 = 6;

/// What memory may grow by from half-time on: noise of the allocator.
const GROWTH_MAX: u64 = 16 * MIB;

/// One thing that a client does, chosen by chance.
async fn step(stream: &mut TcpStream, random: &mut SmallRng) -> std::io::Result<()> {
    let body = vec![b'x'; random.random_range(0..20_000)];
    match random.random_range(0..10) {
        0 | 1 => {
            stream
                .write_all(&pieces(random, &Request::delivery(body).kept_alive()))
                .await
        }
        2 => {
            stream
                .write_all(&Request::delivery(body).kept_alive().repeat(5))
                .await
        }
        3 => {
            stream
                .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(50).as_slice())
                .await
        }
        4 => {
            stream
                .write_all(&Request::post().declaring(1000).kept_alive())
                .await
        }
        5 => {
            stream
                .write_all(&Request::post().chunked().kept_alive())
                .await
        }
        6 => stream.write_all(b"5;x=y\r\nhello\r\n0\r\n\r\n").await,
        7 => {
            let mut some = vec![0; random.random_range(1..500)];
            let read = timeout(Duration::from_millis(20), stream.read(&mut some)).await;
            read.map_or(Ok(()), |read| read.map(drop))
        }
        8 => {
            let mut noise = vec![0_u8; random.random_range(1..30_000)];
            random.fill(&mut noise[..]);
            stream.write_all(&noise).await
        }
        _ => {
            sleep(Duration::from_millis(random.random_range(0..100))).await;
            Ok(())
        }
    }
}

/// A part of the bytes, or all of them.
fn pieces(random: &mut SmallRng, bytes: &[u8]) -> Vec<u8> {
    bytes[..random.random_range(0..=bytes.len())].to_vec()
}

async fn client(public: SocketAddr, seed: u64, until: Instant) {
    let mut random = SmallRng::seed_from_u64(seed);
    while Instant::now() < until {
        let mut stream = match TcpStream::connect(public).await {
            Ok(stream) => stream,
            // All ports of this machine were in use within the last minute.
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
                sleep(Duration::from_millis(100)).await;
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        for _ in 0..random.random_range(1..20) {
            // A client that takes no answers can no longer write at some point.
            let taken = timeout(Duration::from_millis(500), step(&mut stream, &mut random)).await;
            if !matches!(taken, Ok(Ok(()))) {
                break;
            }
        }
        if random.random_bool(0.3) {
            stream.shutdown().await.ok();
            sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn connections_in_any_state_leave_nothing_behind() {
    let seconds =
        std::env::var("HARKARA_SOAK_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let redis = RedisServer::start(&[]).await;
    let mut emptied = redis.connection().await;
    // In an hour they would fill the disk.
    let emptying = tokio::spawn(async move {
        loop {
            sleep(Duration::from_secs(1)).await;
            let _: () = redis::cmd("FLUSHALL")
                .query_async(&mut emptied)
                .await
                .unwrap();
        }
    });
    let mut process = Process::start(&[
        ("HARKARA__REDIS__URL", &redis.url()),
        ("HARKARA__INGRESS__THREADS", "2"),
        ("HARKARA__INGRESS__HEADER_READ_TIMEOUT_MS", "500"),
        ("HARKARA__INGRESS__BODY_READ_TIMEOUT_MS", "500"),
        ("HARKARA__INGRESS__KEEP_ALIVE_MS", "500"),
    ])
    .await;
    let (public, admin) = (process.public, process.admin);
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let half = Duration::from_secs(seconds) / 2;
    let mut resident = [0; 2];
    for (n, resident) in resident.iter_mut().enumerate() {
        let until = Instant::now() + half;
        let mut clients = JoinSet::new();
        for k in 0..CLIENTS {
            clients.spawn(client(public, seed ^ (k << 1 | n as u64), until));
        }
        clients.join_all().await;
        wait_until("all connections are closed", BOUND, async || {
            metric(admin, "harkara_ingress_connections").await.unwrap() == 0
                && metric(admin, "harkara_ingress_in_flight").await.unwrap() == 0
                && metric(admin, "harkara_ingress_buffered_bytes")
                    .await
                    .unwrap()
                    == 0
        })
        .await;
        *resident = resident_bytes(&process);
        eprintln!("{} KiB resident", *resident / 1024);
    }
    let growth = resident[1].saturating_sub(resident[0]);
    assert!(growth <= GROWTH_MAX, "grew by {growth} bytes");
    assert_eq!(Request::delivery("{}").send(public).await.status, 200);
    assert!(!emptying.is_finished());
    emptying.abort();
    process.child.kill().await.unwrap();
}
