//! The memory of the binary while clients send it more than it may hold.

use harkara_testkit::wait_until;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::{Request, metric};
use crate::process::Process;

const BOUND: std::time::Duration = std::time::Duration::from_mins(1);

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

const BUFFERED_MAX: u64 = 32 * MIB;

/// What the reference says that a connection buffers itself.
const CONNECTION_BYTES: u64 = 160 * KIB;

/// For what has nothing to do with bodies: stacks, gaps in the heap, code that is run for the first time.
const MARGIN: u64 = 32 * MIB;

/// The most memory that the process ever had.
fn peak_bytes(process: &Process) -> u64 {
    let path = format!("/proc/{}/status", process.child.id().unwrap());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kib.parse::<u64>().unwrap() * KIB
}

#[tokio::test]
async fn memory_stays_flat_while_500_clients_send_a_mebibyte_each() {
    const CLIENTS: u64 = 500;
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
    let buffered = async || {
        metric(admin, "harkara_ingress_buffered_bytes")
            .await
            .unwrap()
    };
    let overloaded = async || {
        let name = r#"harkara_ingress_deliveries_total{outcome="overloaded"}"#;
        metric(admin, name).await.unwrap()
    };
    let deliver = async || {
        let request = Request::delivery(vec![b'x'; 500_000]);
        request.send(public).await.status
    };
    // What is needed for one is not counted as growth.
    assert_eq!(deliver().await, 200);
    let before = peak_bytes(&process);

    let head = Request::post().declaring(usize::try_from(MIB).unwrap());
    let bytes: &'static [u8] = head.then(&vec![b'x'; 900 * 1024]).leak();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(public).await.unwrap();
                // Who is refused may be cut off before all is sent.
                let sent = stream.write_all(bytes).await;
                (stream, sent.is_ok())
            })
        })
        .collect();
    let mut connections = Vec::new();
    for client in clients {
        connections.push(timeout(BOUND, client).await.expect("sent in time").unwrap());
    }
    wait_until("all bodies are held or refused", BOUND, async || {
        overloaded().await >= CLIENTS - BUFFERED_MAX / MIB && buffered().await >= BUFFERED_MAX - MIB
    })
    .await;
    assert!(buffered().await <= BUFFERED_MAX);
    let growth = peak_bytes(&process) - before;
    let bound = BUFFERED_MAX + CLIENTS * CONNECTION_BYTES + MARGIN;
    eprintln!(
        "grew by {} KiB of at most {} KiB",
        growth / KIB,
        bound / KIB
    );
    assert!(growth <= bound, "grew by {growth} bytes");

    drop(connections);
    wait_until("all is given back", BOUND, async || buffered().await == 0).await;
    assert_eq!(deliver().await, 200);
    process.child.kill().await.unwrap();
}
