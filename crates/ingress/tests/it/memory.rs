//! The memory of the binary while clients send it more than it may hold.

use std::net::SocketAddr;

use futures_util::future::try_join_all;
use harkara_testkit::wait_until;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::{Request, metric, until_metric};
use crate::process::Process;

const BOUND: std::time::Duration = std::time::Duration::from_mins(1);

const KIB: u64 = 1024;
pub(crate) const MIB: u64 = 1024 * KIB;

const BUFFERED_MAX: u64 = 32 * MIB;
const CLIENTS: u64 = 500;

/// What each client sends of its body. As many of these as fit into the buffers are held.
const SENT_BYTES: u64 = 900 * KIB;

pub(crate) const BUFFERED: &str = "harkara_ingress_buffered_bytes";
const OVERLOADED: &str = r#"harkara_ingress_deliveries_total{outcome="overloaded"}"#;

/// What the operations guide says that a connection takes in the process.
pub(crate) const CONNECTION_BYTES: u64 = 64 * KIB;

/// The same over TLS.
pub(crate) const TLS_CONNECTION_BYTES: u64 = 96 * KIB;

/// For what has nothing to do with bodies: stacks, gaps in the heap, code that is run for the first time.
const MARGIN: u64 = 32 * MIB;

/// The same for connections that are not closed meanwhile.
pub(crate) const OPEN_MARGIN: u64 = 8 * MIB;

/// The peak memory of the process.
pub(crate) fn peak_bytes(process: &Process) -> u64 {
    status_bytes(process, "VmHWM:")
}

/// The memory that the process has.
pub(crate) fn resident_bytes(process: &Process) -> u64 {
    status_bytes(process, "VmRSS:")
}

fn status_bytes(process: &Process, name: &str) -> u64 {
    let path = format!("/proc/{}/status", process.child.id().unwrap());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kib.parse::<u64>().unwrap() * KIB
}

async fn assert_accepts(public: SocketAddr) {
    let request = Request::delivery(vec![b'x'; 500_000]);
    assert_eq!(request.send(public).await.status, 200);
}

/// Sends nearly all of a body over each of many connections.
async fn send_bodies(public: SocketAddr) -> Vec<TcpStream> {
    let head = Request::post().declaring(usize::try_from(MIB).unwrap());
    let sent = vec![b'x'; usize::try_from(SENT_BYTES).unwrap()];
    let bytes: &'static [u8] = head.then(&sent).leak();
    let clients = (0..CLIENTS).map(|_| {
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(public).await.unwrap();
            // Who is refused may be cut off before all is sent.
            stream.write_all(bytes).await.ok();
            stream
        })
    });
    let sent = timeout(BOUND, try_join_all(clients)).await;
    sent.expect("sent in time").unwrap()
}

#[tokio::test]
async fn memory_stays_flat_while_500_clients_send_a_mebibyte_each() {
    let mut process = Process::start(&[
        ("HARKARA__INGRESS__THREADS", "2"),
        ("HARKARA__INGRESS__BODY_READ_TIMEOUT_MS", "60000"),
        (
            "HARKARA__INGRESS__BUFFERED_BYTES_MAX",
            &BUFFERED_MAX.to_string(),
        ),
    ])
    .await;
    let (public, admin) = (process.public, process.admin);
    let value = async |name| metric(admin, name).await.unwrap();
    // What is needed for one is not counted as growth.
    assert_accepts(public).await;
    let before = peak_bytes(&process);

    let connections = send_bodies(public).await;
    wait_until("all bodies are held or refused", BOUND, async || {
        value(OVERLOADED).await >= CLIENTS - BUFFERED_MAX / SENT_BYTES
            && value(BUFFERED).await >= BUFFERED_MAX - MIB
    })
    .await;
    assert!(value(BUFFERED).await <= BUFFERED_MAX);
    let growth = peak_bytes(&process) - before;
    let bound = BUFFERED_MAX + CLIENTS * CONNECTION_BYTES + MARGIN;
    assert!(growth <= bound, "grew by {growth} of {bound} bytes");

    drop(connections);
    until_metric(admin, BUFFERED, |bytes| bytes == 0).await;
    assert_accepts(public).await;
    process.child.kill().await.unwrap();
}

/// Opens so many connections, sends `bytes` over each and holds it. Returns what the process takes more for each, beyond
/// the bodies that the setting bounds.
async fn taken_by_each(n: u64, bytes: &'static [u8], buffered: u64) -> u64 {
    let mut process = Process::start(&[
        ("HARKARA__INGRESS__THREADS", "2"),
        ("HARKARA__INGRESS__HEADER_READ_TIMEOUT_MS", "60000"),
        ("HARKARA__INGRESS__BODY_READ_TIMEOUT_MS", "60000"),
    ])
    .await;
    let (public, admin) = (process.public, process.admin);
    assert_accepts(public).await;
    let before = resident_bytes(&process);
    let mut open = Vec::new();
    for _ in 0..n {
        let mut stream = TcpStream::connect(public).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        open.push(stream);
    }
    until_metric(admin, BUFFERED, |bytes| bytes >= n * buffered).await;
    // All connections get a turn before these are answered.
    for _ in 0..10 {
        let request = Request::delivery("{}");
        assert_eq!(request.send(public).await.status, 200);
    }
    let buffered = metric(admin, BUFFERED).await.unwrap();
    let taken = (resident_bytes(&process) - before).saturating_sub(buffered) / n;
    process.child.kill().await.unwrap();
    taken
}

#[tokio::test]
async fn a_connection_takes_the_documented_memory_at_most() {
    const N: u64 = 500;
    let head = [b"GET / HTTP/1.1\r\nx: ".as_slice(), &vec![b'x'; 20_000]].concat();
    let body = Request::post().declaring(70_000).then(&vec![b'x'; 66_000]);
    let chunks = [b"8000\r\n".as_slice(), &vec![b'x'; 0x8000], b"\r\n"].concat();
    let chunked = Request::post().chunked().then(&chunks.repeat(2));
    let mut most = 0;
    for (name, bytes, buffered) in [
        ("head", head, 0),
        ("body", body, 66_000),
        ("chunked body", chunked, 0x10000),
    ] {
        let taken = taken_by_each(N, bytes.leak(), buffered).await;
        eprintln!("{name}: {taken} bytes");
        most = most.max(taken);
    }
    assert!(most <= CONNECTION_BYTES + OPEN_MARGIN / N, "{most} bytes");
    assert!(
        most >= CONNECTION_BYTES / 4,
        "{most} bytes are far fewer than documented"
    );
}
