//! Clients that hold on to what they can: slow, silent, endless and many.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::http::{
    ANSWER_BOUND, Request, answer_to, assert_accepted_over, connected, read_response, read_to_end,
};
use crate::ingress::Ingress;

/// Far less than any timeout that is tested, so that each byte comes well within it.
const DRIP_EVERY: Duration = Duration::from_millis(50);

/// Less than the timeouts of 500 ms that are tested, by what a timer may be early.
const TIMED_MIN: Duration = Duration::from_millis(400);

/// An idle connection is closed after the sum of these, [`IDLE_LIFE`]. A delivery that came whole stays
/// within each of them even on a busy machine. (The server reads its clock every half second.)
const CLOSED_SOON: [(&str, &str); 5] = [
    ("ingress.keep_alive_ms", "2000"),
    ("ingress.header_read_timeout_ms", "2000"),
    ("ingress.body_read_timeout_ms", "500"),
    ("ingress.append_timeout_ms", "2000"),
    ("ingress.inbox_timeout_ms", "1000"),
];

/// See [`CLOSED_SOON`].
const IDLE_LIFE: Duration = Duration::from_millis(7_500);

/// Sends `head`, then `drop` again and again, until the server closes the connection. Returns the status of
/// its last answer, and how long it took.
async fn drip(address: SocketAddr, head: &[u8], drop: &'static [u8]) -> (Option<u16>, Duration) {
    let started = Instant::now();
    let (mut reader, mut writer) = connected(address, head).await.into_split();
    let dripping = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(DRIP_EVERY);
        while writer.write_all(drop).await.is_ok() {
            ticks.tick().await;
        }
    });
    let answer = read_to_end(&mut reader).await;
    let took = started.elapsed();
    dripping.abort();
    let status = answer.rsplit("HTTP/1.1 ").next();
    let status = status.and_then(|text| text.get(..3)?.parse().ok());
    (status, took)
}

/// A delivery after which the connection stays open.
fn delivery() -> Vec<u8> {
    Request::delivery("{}").kept_alive()
}

#[tokio::test]
async fn a_head_is_bounded_in_time_as_a_whole() {
    let ingress = Ingress::start_with(&[("ingress.header_read_timeout_ms", "500")]).await;
    let head = b"POST /webhooks/razorpay HTTP/1.1\r\nx-long: ";
    let (status, took) = drip(ingress.public, head, b"x").await;
    assert_eq!(status, Some(408));
    assert!(took >= TIMED_MIN, "{took:?}");

    for begun in [b"".as_slice(), head] {
        assert_eq!(answer_to(ingress.public, begun).await.status, 408);
    }
}

#[tokio::test]
async fn a_body_is_bounded_in_time_as_a_whole() {
    let ingress = Ingress::start_with(&[("ingress.body_read_timeout_ms", "500")]).await;
    let chunked = Request::post().chunked();
    for (head, drop) in [
        (Request::post().declaring(100_000).bytes(), b"x".as_slice()),
        (chunked.bytes(), b"1\r\nx\r\n"),
        // Within the extension of a chunk.
        (chunked.then(b"5;"), b"x"),
    ] {
        let (status, took) = drip(ingress.public, &head, drop).await;
        assert_eq!(status, Some(408), "{drop:?}");
        assert!(took >= TIMED_MIN, "{drop:?}: {took:?}");
    }
}

#[tokio::test]
async fn a_second_head_that_never_ends_does_not_hold_its_connection() {
    let ingress = Ingress::start_with(&CLOSED_SOON).await;
    let mut first_and_a_part = delivery();
    first_and_a_part.extend_from_slice(b"POST /webhooks/razorpay HTTP/1.1\r\nx-long: ");
    let dripping = drip(ingress.public, &first_and_a_part, b"x");
    let silent = answer_to(ingress.public, &first_and_a_part);
    let ((dripped, _), silent) = tokio::join!(dripping, silent);
    assert_eq!(dripped, Some(200));
    assert_eq!(silent.status, 200);
}

#[tokio::test]
async fn a_connection_in_use_is_never_closed_as_idle() {
    let ingress = Ingress::start_with(&CLOSED_SOON).await;
    let mut stream = connected(ingress.public, b"").await;
    let started = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(250));
    while started.elapsed() < IDLE_LIFE + Duration::from_secs(3) {
        ticks.tick().await;
        stream.write_all(&delivery()).await.unwrap();
        assert_accepted_over(&mut stream).await;
    }
}

/// Only Linux can close it so soon; elsewhere its connection is closed as an idle one.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_that_takes_no_answers_is_soon_cut_off() {
    let ingress = Ingress::start().await;
    let mut stream = connected(ingress.public, b"").await;
    // What the server reads without being read is bounded, so sending comes to a stop, then to an end.
    let requests = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n".repeat(1000);
    let ended = timeout(ANSWER_BOUND, async {
        while stream.write_all(&requests).await.is_ok() {}
    });
    ended.await.expect("the connection is closed in time");
    ingress.assert_accepts().await;
}

#[tokio::test]
async fn many_pipelined_requests_are_all_answered_in_order() {
    const N_REQUESTS: usize = 1000;
    let ingress = Ingress::start().await;
    let (mut reader, mut writer) = connected(ingress.public, b"").await.into_split();
    let sending = tokio::spawn(async move {
        let unknown = b"POST /webhooks/razorpay/nobody HTTP/1.1\r\nhost: test\r\n\r\n".to_vec();
        let both = [delivery(), unknown].concat();
        for _ in 0..N_REQUESTS / 2 {
            writer.write_all(&both).await.unwrap();
        }
        writer
    });
    let mut answers = String::new();
    let n_answers = |answers: &str| answers.matches("HTTP/1.1 ").count();
    let mut chunk = vec![0; 65_536];
    let all = timeout(ANSWER_BOUND, async {
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
}

#[tokio::test]
async fn a_chunked_body_without_an_end_is_cut_at_the_limit() {
    let ingress = Ingress::start_with(&[("ingress.body_bytes_max", "100000")]).await;
    let head = Request::post().chunked().bytes();
    let chunk = [b"2000\r\n".as_slice(), &[b'x'; 0x2000], b"\r\n"].concat();
    let (status, took) = drip(ingress.public, &head, chunk.leak()).await;
    assert_eq!(status, Some(413));
    assert!(took < ANSWER_BOUND / 2, "{took:?}");
    ingress.assert_nothing_stored().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_and_others_continue() {
    let ingress = Ingress::start_with(&[
        ("ingress.threads", "1"),
        ("ingress.connections_max", "3"),
        ("ingress.header_read_timeout_ms", "60000"),
    ])
    .await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = connected(ingress.public, &delivery()).await;
        assert_accepted_over(&mut stream).await;
        open.push(stream);
    }
    let beyond = Request::delivery("beyond").bytes();
    let mut waiting = connected(ingress.public, &beyond).await;

    // The others, and the admin port, go on.
    for stream in &mut open {
        stream.write_all(&delivery()).await.unwrap();
        assert_accepted_over(stream).await;
    }
    assert_eq!(ingress.admin("/livez").await.status, 200);
    let nothing = waiting.try_read(&mut [0; 1]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    let accepted = r#"harkara_ingress_deliveries_total{outcome="accepted"} 6"#;
    ingress.assert_metrics(&[accepted]).await;

    drop(open.pop());
    let answer = read_response(&mut waiting).await;
    assert_eq!(answer.expect("served in its turn").status, 200);
    ingress.until_accepted().await;
}
