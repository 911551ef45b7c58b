//! Many clients without a valid signature take what they can: memory, slots and time. Those with one are
//! served all the same.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use harkara_testkit::wait_until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::BOUND;
use crate::http::{ANSWER_BOUND, Request, metric, read_to_end};
use crate::memory::{MIB, peak_bytes};
use crate::process::Process;

/// How long a stranger waits after its connection was closed.
const BACK_AFTER: Duration = Duration::from_secs(1);

/// What every ingress of these tests has: time enough on a busy machine.
pub(crate) const PATIENT: [(&str, &str); 2] = [
    ("HARKARA__INGRESS__THREADS", "2"),
    ("HARKARA__INGRESS__APPEND_TIMEOUT_MS", "14000"),
];

const CONNECTIONS: &str = "harkara_ingress_connections";
const CROWDED: &str = r#"harkara_ingress_connections_closed_total{reason="crowded"}"#;

/// What only an address without a signature sends, and waits.
const LITTLE: [&[u8]; 4] = [
    b"",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HT",
    b"POST /webhooks/razorpay HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nbody",
];

/// Sends a signed delivery over a connection of its own, which is accepted. How soon is measured by the fault suite, with
/// release binaries; here the machine may be busy.
async fn assert_accepts(public: SocketAddr, n: usize) {
    let request = Request::delivery(format!(r#"{{"event":"payment.captured","n":{n}}}"#));
    let answer = timeout(ANSWER_BOUND, request.send(public)).await;
    let answer = answer.unwrap_or_else(|_| panic!("delivery {n} has no answer in time"));
    assert_eq!(answer.status, 200, "delivery {n}");
}

/// The same for several, one after another and all at once.
pub(crate) async fn assert_accepts_all(public: SocketAddr) {
    for n in 0..20 {
        assert_accepts(public, n).await;
        sleep(Duration::from_millis(50)).await;
    }
    join_all((20..40).map(|n| assert_accepts(public, n))).await;
}

/// Writes `bytes` again and again without reading, over another connection a second after one is closed.
async fn flood(public: SocketAddr, bytes: &'static [u8]) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(public).await {
            while stream.write_all(bytes).await.is_ok() {}
        }
        sleep(BACK_AFTER).await;
    }
}

/// Writes `bytes` and waits, over another connection a second after one is closed.
async fn hold(public: SocketAddr, bytes: &'static [u8]) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(public).await {
            stream.write_all(bytes).await.ok();
            while matches!(stream.read(&mut [0; 1000]).await, Ok(1..)) {}
        }
        sleep(BACK_AFTER).await;
    }
}

#[tokio::test]
async fn answers_that_1000_clients_do_not_take_cost_little_memory() {
    const CLIENTS: usize = 1000;
    let mut process = Process::start(&PATIENT).await;
    let public = process.public;
    assert_accepts(public, 0).await;
    let before = peak_bytes(&process);
    let unknown = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000).leak();
    let smallest = b"A / HTTP/1.0\n\n".repeat(2000).leak();
    let unsigned = b"POST /webhooks/razorpay HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx";
    let unsigned = unsigned.repeat(500).leak();
    let unread = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n";
    let unread = [unread.as_slice(), &vec![b'x'; 30_000]].concat().leak();
    let attacks: [&'static [u8]; 4] = [unknown, smallest, unsigned, unread];
    let mut strangers = JoinSet::new();
    for attack in attacks.into_iter().cycle().take(CLIENTS) {
        strangers.spawn(flood(public, attack));
    }
    assert_accepts_all(public).await;
    let growth = peak_bytes(&process) - before;
    eprintln!("grew by {} KiB", growth / 1024);
    assert!(growth <= 64 * MIB, "grew by {growth} bytes");
    strangers.shutdown().await;
    process.child.kill().await.unwrap();
}

#[tokio::test]
async fn a_stranger_is_answered_once_whatever_it_sends() {
    let mut process = Process::start(&PATIENT).await;
    let unsigned = b"POST /webhooks/razorpay HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
    for (request, status) in [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".as_slice(), "1.1 404"),
        (b"A / HTTP/1.0\n\n", "1.0 404"),
        (unsigned, "1.1 401"),
    ] {
        let mut stream = TcpStream::connect(process.public).await.unwrap();
        stream.write_all(&request.repeat(100)).await.unwrap();
        let answers = read_to_end(&mut stream).await;
        assert_eq!(answers.matches("HTTP/1.").count(), 1, "{answers}");
        assert!(answers.starts_with(&format!("HTTP/{status} ")), "{answers}");
    }
    process.child.kill().await.unwrap();
}

#[tokio::test]
async fn more_strangers_than_slots_keep_nobody_out() {
    const SLOTS: u64 = 200;
    let slots = SLOTS.to_string();
    let settings = [
        ("HARKARA__INGRESS__CONNECTIONS_MAX", slots.as_str()),
        ("HARKARA__INGRESS__HEADER_READ_TIMEOUT_MS", "60000"),
        ("HARKARA__INGRESS__BODY_READ_TIMEOUT_MS", "60000"),
    ];
    let mut process = Process::start(&[&PATIENT[..], &settings].concat()).await;
    let (public, admin) = (process.public, process.admin);
    let value = async |name| metric(admin, name).await.unwrap();
    let mut closed = 0;
    for little in LITTLE {
        let mut strangers = JoinSet::new();
        for _ in 0..2 * SLOTS {
            strangers.spawn(hold(public, little));
        }
        // After its answer, a stranger holds nothing.
        if !little.starts_with(b"GET / HTTP/1.1") {
            wait_until("slots run short", BOUND, async || {
                value(CROWDED).await > closed
            })
            .await;
        }
        join_all((0..20).map(|n| assert_accepts(public, n))).await;
        assert!(value(CONNECTIONS).await <= SLOTS);
        strangers.shutdown().await;
        closed = value(CROWDED).await;
    }
    process.child.kill().await.unwrap();
}

#[tokio::test]
async fn a_client_has_so_many_connections_until_it_signs() {
    let mut process = Process::start(&[
        ("HARKARA__INGRESS__CONNECTIONS_PER_ADDRESS_MAX", "10"),
        ("HARKARA__INGRESS__HEADER_READ_TIMEOUT_MS", "60000"),
    ])
    .await;
    let (public, admin) = (process.public, process.admin);
    let refused = async || {
        let name = r#"harkara_ingress_connections_closed_total{reason="address"}"#;
        metric(admin, name).await.unwrap()
    };
    let mut open = Vec::new();
    for _ in 0..15 {
        open.push(TcpStream::connect(public).await.unwrap());
    }
    wait_until("five are refused", BOUND, async || refused().await == 5).await;
    let signed = Request::delivery("{}").bytes();
    open[0].write_all(&signed).await.unwrap();
    wait_until("the first has signed and is closed", BOUND, async || {
        metric(admin, CONNECTIONS).await.unwrap() == 9
    })
    .await;
    for _ in 0..15 {
        let mut stream = TcpStream::connect(public).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        open.push(stream);
    }
    wait_until("all are admitted", BOUND, async || {
        metric(admin, CONNECTIONS).await.unwrap() == 24
    })
    .await;
    assert_eq!(refused().await, 5);
    process.child.kill().await.unwrap();
}

/// Opens so many connections, sends `head` over each, and asserts that each ends within the time of a head, which
/// is far less than that of an idle connection.
async fn assert_heads_end(process: &Process, clients: usize, head: &'static [u8]) {
    let (public, admin) = (process.public, process.admin);
    let mut open = Vec::new();
    for _ in 0..clients {
        let mut stream = TcpStream::connect(public).await.unwrap();
        stream.write_all(head).await.ok();
        open.push(stream);
    }
    assert_accepts(public, 0).await;
    wait_until("all are closed", BOUND, async || {
        metric(admin, CONNECTIONS).await.unwrap() == 0
    })
    .await;
}

#[tokio::test]
async fn unfinished_heads_cost_little_memory_and_end() {
    const CLIENTS: usize = 1000;
    let settings = [
        ("HARKARA__INGRESS__HEADER_READ_TIMEOUT_MS", "2000"),
        ("HARKARA__INGRESS__KEEP_ALIVE_MS", "600000"),
    ];
    let mut process = Process::start(&[&PATIENT[..], &settings].concat()).await;
    assert_accepts(process.public, 0).await;
    let before = peak_bytes(&process);
    let begun = b"GET / HTTP/1.1\r\nx: ";
    let mut growth = 0;
    for head_bytes in [120_000, 20_000] {
        let head = [begun.as_slice(), &vec![b'x'; head_bytes]].concat();
        assert_heads_end(&process, CLIENTS, head.leak()).await;
        growth = peak_bytes(&process) - before;
        eprintln!("{head_bytes}: grew by {} KiB", growth / 1024);
    }
    assert!(growth <= 64 * MIB, "grew by {growth} bytes");
    process.child.kill().await.unwrap();
}
