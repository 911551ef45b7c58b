//! The memory of the binary while clients send it more than it may hold.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use harkara_testkit::{redis_database, wait_until};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::http::{Request, get};
use crate::ingress::{PATH, SECRET};
use crate::process::binary;

const BOUND: Duration = Duration::from_mins(1);

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

const BUFFERED_MAX: u64 = 32 * MIB;

/// What the reference says that a connection buffers itself.
const CONNECTION_BYTES: u64 = 160 * KIB;

/// For what has nothing to do with bodies: stacks, gaps in the heap, code that is run for the first time.
const MARGIN: u64 = 32 * MIB;

struct Process {
    child: Child,
    public: SocketAddr,
    admin: SocketAddr,
}

impl Process {
    async fn start(command: &mut Command) -> Self {
        let mut child = command
            .env("HARKARA__LOG__FORMAT", "json")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let started = timeout(BOUND, async {
            loop {
                let line = lines.next_line().await.unwrap().expect("it starts");
                let line: Value = serde_json::from_str(&line).unwrap();
                let text = line.to_string();
                if text.contains("Receiving webhooks.") {
                    break line;
                }
            }
        });
        let line = started.await.expect("it starts in time");
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let address = |name: &str| field(&line, name).expect("an address").parse().unwrap();
        Self {
            public: address("ingress.address"),
            admin: address("admin.address"),
            child,
        }
    }

    /// The most memory that the process ever had.
    fn peak_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id().unwrap());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
        kib.parse::<u64>().unwrap() * KIB
    }

    async fn metric(&self, name: &str) -> u64 {
        let metrics = get(self.admin, "/metrics").await.body;
        let value = metrics.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap().trim().parse().unwrap()
    }
}

/// A field wherever it is in a line of the log.
fn field<'a>(line: &'a Value, name: &str) -> Option<&'a str> {
    let object = line.as_object()?;
    object
        .get(name)
        .and_then(Value::as_str)
        .or_else(|| object.values().find_map(|inner| field(inner, name)))
}

#[tokio::test]
async fn memory_stays_flat_while_500_clients_send_a_mebibyte_each() {
    const CLIENTS: u64 = 500;
    const BUFFERED: &str = "harkara_ingress_buffered_bytes ";
    const OVERLOADED: &str = r#"harkara_ingress_deliveries_total{outcome="overloaded"} "#;
    let mut process = Process::start(
        binary()
            .env("HARKARA__REDIS__URL", redis_database().await)
            .env("HARKARA__ENDPOINTS__DEFAULT__SECRETS", SECRET)
            .env("HARKARA__INGRESS__DURABILITY", "appended")
            .env("HARKARA__INGRESS__THREADS", "2")
            .env("HARKARA__INGRESS__BODY_READ_TIMEOUT_MS", "60000")
            .env(
                "HARKARA__INGRESS__BUFFERED_BYTES_MAX",
                BUFFERED_MAX.to_string(),
            ),
    )
    .await;
    let deliver = async || {
        let request = Request::signed(PATH, SECRET, vec![b'x'; 500_000]);
        request.send(process.public).await.status
    };
    // What is needed for one is not counted as growth.
    assert_eq!(deliver().await, 200);
    let before = process.peak_bytes();

    let mut bytes = Request::new("POST", PATH)
        .header("content-length", &MIB.to_string())
        .head_bytes();
    bytes.resize(bytes.len() + 900 * 1024, b'x');
    let bytes: &'static [u8] = bytes.leak();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let address = process.public;
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                // Who is refused may be cut off before all is sent.
                let sent = stream.write_all(bytes).await;
                (stream, sent.is_ok())
            })
        })
        .collect();
    let mut held = Vec::new();
    for client in clients {
        held.push(timeout(BOUND, client).await.expect("sent in time").unwrap());
    }
    wait_until("all bodies are held or refused", BOUND, async || {
        let n_held = BUFFERED_MAX / MIB;
        process.metric(OVERLOADED).await >= CLIENTS - n_held
            && process.metric(BUFFERED).await >= BUFFERED_MAX - MIB
    })
    .await;
    assert!(process.metric(BUFFERED).await <= BUFFERED_MAX);
    let growth = process.peak_bytes() - before;
    let bound = BUFFERED_MAX + CLIENTS * CONNECTION_BYTES + MARGIN;
    eprintln!(
        "grew by {} KiB of at most {} KiB",
        growth / KIB,
        bound / KIB
    );
    assert!(growth <= bound, "grew by {growth} bytes");

    drop(held);
    wait_until("all is given back", BOUND, async || {
        process.metric(BUFFERED).await == 0
    })
    .await;
    assert_eq!(deliver().await, 200);
    process.child.kill().await.unwrap();
}
