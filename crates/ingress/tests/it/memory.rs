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

const BUFFERED: &str = "harkara_ingress_buffered_bytes";
const OVERLOADED: &str = r#"harkara_ingress_deliveries_total{outcome="overloaded"}"#;

/// What the reference says that a connection buffers itself.
const CONNECTION_BYTES: u64 = 64 * KIB;

/// For what has nothing to do with bodies: stacks, gaps in the heap, code that is run for the first time.
const MARGIN: u64 = 32 * MIB;

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
