//! Clients that hold on to what they can: slow, silent, endless and many.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harkara_testkit::wait_until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::http::{Request, get, read_response};
use crate::ingress::{Ingress, PATH, SECRET};

/// Nothing here takes so long, and everything would without its bound.
const BOUND: Duration = Duration::from_secs(15);

/// Far less than any timeout that is tested, so that each byte comes well within it.
const DRIP_EVERY: Duration = Duration::from_millis(50);

async fn connected(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Sends `head`, then `drop` again and again, until the server ends the connection. Gives its answer's
/// status, where there is one, and how long it took.
async fn drip(address: SocketAddr, head: &[u8], drop: &'static [u8]) -> (Option<u16>, Duration) {
    let started = Instant::now();
    let stream = connected(address, head).await;
    let (mut reader, mut writer) = stream.into_split();
    let dripping: JoinHandle<()> = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(DRIP_EVERY);
        while writer.write_all(drop).await.is_ok() {
            ticks.tick().await;
        }
    });
    let answer = timeout(BOUND, async {
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        while let Ok(n @ 1..) = reader.read(&mut chunk).await {
            bytes.extend_from_slice(&chunk[..n]);
        }
        String::from_utf8(bytes).unwrap()
    });
    let answer = answer.await.expect("the connection is ended in time");
    let took = started.elapsed();
    dripping.abort();
    // The last answer counts.
    let status = answer.rsplit("HTTP/1.1 ").next();
    let status = status.and_then(|text| text.get(..3)?.parse().ok());
    (status, took)
}

/// A delivery after which the connection stays open.
fn delivery() -> Vec<u8> {
    let text = String::from_utf8(Request::signed(PATH, SECRET, "{}").bytes()).unwrap();
    text.replace("connection: close\r\n", "").into_bytes()
}

#[tokio::test]
async fn dripping_headers_are_ended_by_the_time_of_the_whole_head() {
    let ingress = Ingress::start_with(&[("ingress.header_read_timeout_ms", "500")]).await;
    let head = b"POST /webhooks/razorpay HTTP/1.1\r\nx-long: ";
    let (status, took) = drip(ingress.public, head, b"x").await;
    assert_eq!(status, Some(408));
    assert!(took >= Duration::from_millis(400), "{took:?}");
    ingress.stop().await;
}

#[tokio::test]
async fn a_silent_connection_is_ended_by_the_time_of_the_head() {
    let ingress = Ingress::start_with(&[("ingress.header_read_timeout_ms", "500")]).await;
    let mut stream = connected(ingress.public, b"").await;
    let answer = timeout(BOUND, read_response(&mut stream)).await;
    let status = answer.expect("ended in time").map(|answer| answer.status);
    assert_eq!(status, Some(408));
    ingress.stop().await;
}

#[tokio::test]
async fn a_dripping_body_is_ended_by_the_time_of_the_whole_body() {
    let ingress = Ingress::start_with(&[("ingress.body_read_timeout_ms", "500")]).await;
    let declared = Request::new("POST", PATH).header("content-length", "100000");
    let chunked = Request::new("POST", PATH).header("transfer-encoding", "chunked");
    let mut in_extension = chunked.head_bytes();
    in_extension.extend_from_slice(b"5;");
    for (head, drop) in [
        (declared.head_bytes(), b"x".as_slice()),
        (chunked.head_bytes(), b"1\r\nx\r\n"),
        (in_extension, b"x"),
    ] {
        let (status, took) = drip(ingress.public, &head, drop).await;
        assert_eq!(status, Some(408), "{drop:?}");
        assert!(took >= Duration::from_millis(400), "{drop:?}: {took:?}");
    }
    ingress.stop().await;
}

#[tokio::test]
async fn a_second_head_that_never_ends_does_not_hold_its_connection() {
    let ingress = Ingress::start_with(&[
        ("ingress.keep_alive_ms", "500"),
        ("ingress.header_read_timeout_ms", "500"),
        ("ingress.body_read_timeout_ms", "500"),
        ("ingress.append_timeout_ms", "500"),
        ("ingress.inbox_timeout_ms", "500"),
    ])
    .await;
    let mut first_and_a_part = delivery();
    first_and_a_part.extend_from_slice(b"POST /webhooks/razorpay HTTP/1.1\r\nx-long: ");
    let (status, _) = drip(ingress.public, &first_and_a_part, b"x").await;
    assert_eq!(status, Some(200));

    let mut silent = connected(ingress.public, &first_and_a_part).await;
    let answer = timeout(BOUND, read_response(&mut silent)).await;
    assert_eq!(answer.expect("ended in time").unwrap().status, 200);
    ingress.stop().await;
}

#[tokio::test]
async fn a_connection_in_use_is_never_ended_as_quiet() {
    let ingress = Ingress::start_with(&[
        ("ingress.keep_alive_ms", "1000"),
        ("ingress.header_read_timeout_ms", "100"),
        ("ingress.body_read_timeout_ms", "100"),
        ("ingress.append_timeout_ms", "100"),
        ("ingress.inbox_timeout_ms", "100"),
    ])
    .await;
    let mut stream = connected(ingress.public, b"").await;
    let started = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(250));
    // More than twice as long as a quiet connection lives.
    while started.elapsed() < Duration::from_secs(5) {
        ticks.tick().await;
        stream.write_all(&delivery()).await.unwrap();
        let mut answer = [0; 4096];
        let n = timeout(BOUND, stream.read(&mut answer)).await.unwrap();
        let n = n.expect("the connection is open");
        assert!(answer[..n].starts_with(b"HTTP/1.1 200"));
    }
    ingress.stop().await;
}

/// Only Linux can end it so soon; elsewhere its connection is ended as a quiet one.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_that_takes_no_answers_is_soon_cut_off() {
    let ingress = Ingress::start().await;
    let mut stream = connected(ingress.public, b"").await;
    // What the server reads without being read is bounded, so sending comes to a stop, then to an end.
    let requests = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n".repeat(1000);
    let ended = timeout(BOUND, async {
        while stream.write_all(&requests).await.is_ok() {}
    });
    ended.await.expect("the connection is ended in time");
    assert_eq!(ingress.deliver("{}").await.status, 200);
    ingress.stop().await;
}

#[tokio::test]
async fn many_pipelined_requests_are_all_answered_in_order() {
    const N_REQUESTS: usize = 1000;
    let ingress = Ingress::start().await;
    let stream = connected(ingress.public, b"").await;
    let (mut reader, mut writer) = stream.into_split();
    let sending = tokio::spawn(async move {
        for i in 0..N_REQUESTS {
            let unknown = b"POST /webhooks/razorpay/nobody HTTP/1.1\r\nhost: test\r\n\r\n".to_vec();
            let request = if i % 2 == 0 { delivery() } else { unknown };
            writer.write_all(&request).await.unwrap();
        }
        writer
    });
    let mut answers = String::new();
    let n_answers = |answers: &str| answers.matches("HTTP/1.1 ").count();
    let mut chunk = vec![0; 65_536];
    let all = timeout(BOUND, async {
        while n_answers(&answers) < N_REQUESTS {
            let n = reader.read(&mut chunk).await.unwrap();
            assert!(n > 0, "ended after {}", n_answers(&answers));
            answers.push_str(std::str::from_utf8(&chunk[..n]).unwrap());
        }
    });
    all.await.expect("all answers in time");
    for (i, answer) in answers.split("HTTP/1.1 ").skip(1).enumerate() {
        let status = if i % 2 == 0 { "200" } else { "404" };
        assert!(answer.starts_with(status), "{i}: {answer}");
    }
    drop(sending.await.unwrap());
    ingress.stop().await;
}

#[tokio::test]
async fn a_chunked_body_without_an_end_is_cut_at_the_limit() {
    let ingress = Ingress::start_with(&[("ingress.body_bytes_max", "100000")]).await;
    let head = Request::new("POST", PATH).header("transfer-encoding", "chunked");
    let mut chunk = b"2000\r\n".to_vec();
    chunk.extend_from_slice(&[b'x'; 0x2000]);
    chunk.extend_from_slice(b"\r\n");
    let (status, took) = drip(ingress.public, &head.head_bytes(), chunk.leak()).await;
    assert_eq!(status, Some(413));
    assert!(took < BOUND / 2, "{took:?}");
    ingress.assert_nothing_stored().await;
    ingress.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_most_wait_and_the_others_go_on() {
    let ingress = Ingress::start_with(&[
        ("ingress.threads", "1"),
        ("ingress.connections_max", "3"),
        ("ingress.header_read_timeout_ms", "60000"),
    ])
    .await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = connected(ingress.public, &delivery()).await;
        let mut answer = [0; 4096];
        let n = timeout(BOUND, stream.read(&mut answer)).await.unwrap();
        assert!(answer[..n.unwrap()].starts_with(b"HTTP/1.1 200"));
        open.push(stream);
    }
    let beyond = Request::signed(PATH, SECRET, "beyond").bytes();
    let mut waiting = connected(ingress.public, &beyond).await;

    // The others, and the admin port, go on meanwhile.
    for stream in &mut open {
        stream.write_all(&delivery()).await.unwrap();
        let mut answer = [0; 4096];
        let n = timeout(BOUND, stream.read(&mut answer)).await.unwrap();
        assert!(answer[..n.unwrap()].starts_with(b"HTTP/1.1 200"));
    }
    assert_eq!(get(ingress.admin, "/livez").await.status, 200);
    let nothing = waiting.try_read(&mut [0; 1]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    let metrics = get(ingress.admin, "/metrics").await.body;
    assert!(metrics.contains(r#"{outcome="accepted"} 6"#), "{metrics}");

    drop(open.pop());
    let answer = timeout(BOUND, read_response(&mut waiting)).await;
    assert_eq!(answer.expect("served in its turn").unwrap().status, 200);
    wait_until("there is room again", BOUND, async || {
        ingress.deliver("{}").await.status == 200
    })
    .await;
    ingress.stop().await;
}
