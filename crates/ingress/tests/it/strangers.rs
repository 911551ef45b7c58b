//! Many clients without a valid signature take what they can: memory, slots and time. Those with one are
//! served all the same.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harkara_testkit::wait_until;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::BOUND;
use crate::http::{Request, metric};
use crate::memory::{MIB, peak_bytes};
use crate::process::Process;

/// Razorpay gives up after 5 s.
const HONEST_MAX: Duration = Duration::from_secs(5);

/// Deliveries that are sent while the strangers are at it.
const DELIVERIES: usize = 40;

/// Sends signed deliveries, each over a connection of its own, and asserts that each is accepted in time.
async fn assert_honest_deliveries_are_accepted(public: SocketAddr) {
    let mut slowest = Duration::ZERO;
    for n in 0..DELIVERIES {
        let since = Instant::now();
        let request = Request::delivery(format!(r#"{{"event":"payment.captured","n":{n}}}"#));
        let answer = timeout(HONEST_MAX, request.send(public)).await;
        let answer = answer.unwrap_or_else(|_| panic!("delivery {n} has no answer in time"));
        assert_eq!(answer.status, 200, "delivery {n}");
        slowest = slowest.max(since.elapsed());
        sleep(Duration::from_millis(50)).await;
    }
    eprintln!("slowest honest answer: {slowest:?}");
}

/// Writes `bytes` again and again without reading, over another connection a second after one is closed.
async fn flood(public: SocketAddr, bytes: &'static [u8]) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(public).await {
            while stream.write_all(bytes).await.is_ok() {}
        }
        sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn answers_that_1000_clients_do_not_take_cost_little_memory() {
    const CLIENTS: usize = 1000;
    let mut process = Process::start(&[
        ("HARKARA__INGRESS__THREADS", "2"),
        ("HARKARA__INGRESS__APPEND_TIMEOUT_MS", "4000"),
    ])
    .await;
    let public = process.public;
    assert_eq!(Request::delivery("{}").send(public).await.status, 200);
    let before = peak_bytes(&process);
    let unknown = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000).leak();
    let unsigned = b"POST /webhooks/razorpay HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx";
    let unsigned = unsigned.repeat(1000).leak();
    let mut strangers = JoinSet::new();
    for n in 0..CLIENTS {
        let bytes: &'static [u8] = if n % 2 == 0 { unknown } else { unsigned };
        strangers.spawn(flood(public, bytes));
    }
    assert_honest_deliveries_are_accepted(public).await;
    let growth = peak_bytes(&process) - before;
    eprintln!("grew by {} KiB", growth / 1024);
    assert!(growth <= 64 * MIB, "grew by {growth} bytes");
    strangers.shutdown().await;
    process.child.kill().await.unwrap();
}

#[tokio::test]
async fn connections_that_send_little_and_wait_keep_nobody_out() {
    const SLOTS: usize = 200;
    let slots = SLOTS.to_string();
    let mut process = Process::start(&[
        ("HARKARA__INGRESS__THREADS", "2"),
        ("HARKARA__INGRESS__CONNECTIONS_MAX", &slots),
        ("HARKARA__INGRESS__APPEND_TIMEOUT_MS", "4000"),
        ("HARKARA__INGRESS__HEADER_READ_TIMEOUT_MS", "60000"),
    ])
    .await;
    let public = process.public;
    for request in [
        b"".as_slice(),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HT",
        b"POST /webhooks/razorpay HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nbody",
    ] {
        let mut strangers = JoinSet::new();
        for _ in 0..2 * SLOTS {
            strangers.spawn(async move {
                let mut stream = TcpStream::connect(public).await.unwrap();
                stream.write_all(request).await.ok();
                // Held until the test is over.
                std::future::pending::<()>().await;
            });
        }
        assert_honest_deliveries_are_accepted(public).await;
        strangers.shutdown().await;
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
    open[0]
        .write_all(&Request::delivery("{}").bytes())
        .await
        .unwrap();
    wait_until("the first has signed and is closed", BOUND, async || {
        metric(admin, "harkara_ingress_connections").await.unwrap() == 9
    })
    .await;
    for _ in 0..15 {
        let mut stream = TcpStream::connect(public).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        open.push(stream);
    }
    wait_until("all are admitted", BOUND, async || {
        metric(admin, "harkara_ingress_connections").await.unwrap() == 24
    })
    .await;
    assert_eq!(refused().await, 5);
    process.child.kill().await.unwrap();
}

#[tokio::test]
async fn unfinished_heads_cost_little_memory_and_end() {
    const CLIENTS: usize = 1000;
    let mut process = Process::start(&[
        ("HARKARA__INGRESS__THREADS", "2"),
        ("HARKARA__INGRESS__HEADER_READ_TIMEOUT_MS", "2000"),
        ("HARKARA__INGRESS__APPEND_TIMEOUT_MS", "4000"),
    ])
    .await;
    let (public, admin) = (process.public, process.admin);
    assert_eq!(Request::delivery("{}").send(public).await.status, 200);
    let before = peak_bytes(&process);
    for head_bytes in [15_000, 120_000] {
        let head = [b"GET / HTTP/1.1\r\nx: ".as_slice(), &vec![b'x'; head_bytes]].concat();
        let head: &'static [u8] = head.leak();
        let mut open = Vec::new();
        for _ in 0..CLIENTS {
            let mut stream = TcpStream::connect(public).await.unwrap();
            stream.write_all(head).await.ok();
            open.push(stream);
        }
        assert_honest_deliveries_are_accepted(public).await;
        wait_until("all are closed", BOUND, async || {
            metric(admin, "harkara_ingress_connections").await.unwrap() == 0
        })
        .await;
    }
    let growth = peak_bytes(&process) - before;
    eprintln!("grew by {} KiB", growth / 1024);
    assert!(growth <= 64 * MIB, "grew by {growth} bytes");
    process.child.kill().await.unwrap();
}
