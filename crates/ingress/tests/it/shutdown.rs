//! Shutdown.

use std::time::{Duration, Instant};

use harkara_core::lane::Lane;
use harkara_testkit::wait_until;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::BOUND;
use crate::http::{Request, assert_accepted_over, connected, read_response};
use crate::ingress::Ingress;

/// Far less than the stop deadline of the settings.
const SOON: Duration = Duration::from_secs(10);

/// A request that was sent in part, and is in flight.
async fn in_flight(ingress: &Ingress, bytes: &[u8]) -> TcpStream {
    let stream = connected(ingress.public, bytes).await;
    // It is in flight once another request, sent after it to the same thread, is answered; there are two
    // threads, hence more than one.
    for _ in 0..4 {
        ingress.assert_accepts().await;
    }
    stream
}

#[tokio::test]
async fn a_graceful_stop_turns_unready_and_finishes_the_requests_in_flight() {
    let ingress = Ingress::start().await;
    let bytes = Request::delivery(r#"{"event":"order.paid"}"#).bytes();
    let (first, rest) = bytes.split_at(bytes.len() - 5);
    let mut stream = in_flight(&ingress, first).await;

    ingress.stop.request();
    ingress.until_ready(503).await;
    let (admin, public) = (ingress.admin, ingress.public);
    wait_until("no new connection is taken", BOUND, async || {
        TcpStream::connect(public).await.is_err()
    })
    .await;

    stream.write_all(rest).await.unwrap();
    assert_eq!(read_response(&mut stream).await.unwrap().status, 200);
    let entries = ingress.entries(Lane::Default).await;
    assert_eq!(entries.last().unwrap().event_name, "order.paid");
    ingress.ended().await;
    assert!(TcpStream::connect(admin).await.is_err());
}

#[tokio::test]
async fn an_ingress_that_drains_takes_requests_and_closes_their_connections() {
    let ingress = Ingress::start_with(&[("ingress.drain_ms", "600000")]).await;
    let mut kept = connected(ingress.public, b"").await;
    let delivery = Request::delivery("{}").kept_alive();
    kept.write_all(&delivery).await.unwrap();
    assert_accepted_over(&mut kept).await;

    ingress.stop.request();
    ingress.until_ready(503).await;
    kept.write_all(&delivery).await.unwrap();
    let answer = read_response(&mut kept).await.expect("an answer");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["connection"], "close");
    // Senders that have not noticed yet.
    ingress.assert_accepts().await;
}

#[tokio::test]
async fn an_ingress_ends_after_it_has_drained() {
    let drain = Duration::from_millis(300);
    let ms = drain.as_millis().to_string();
    let ingress = Ingress::start_with(&[("ingress.drain_ms", &ms)]).await;
    let asked_at = Instant::now();
    ingress.stop.request();
    ingress.ended().await;
    assert!(asked_at.elapsed() >= drain);
}

#[tokio::test]
async fn idle_connections_do_not_delay_a_stop() {
    let ingress = Ingress::start().await;
    let idle = connected(ingress.public, b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
    idle.readable().await.unwrap();
    let _never_used = TcpStream::connect(ingress.public).await.unwrap();
    ingress.stop.request();
    assert!(ingress.ended().await < SOON);
}

#[tokio::test]
async fn a_request_that_is_not_finished_by_the_deadline_is_dropped() {
    let ingress = Ingress::start_with(&[
        ("ingress.stop_deadline_ms", "1000"),
        ("ingress.body_read_timeout_ms", "60000"),
    ])
    .await;
    let mut stream = in_flight(&ingress, &Request::post().declaring(100).bytes()).await;
    ingress.stop.request();
    assert!(ingress.ended().await < SOON);
    let response = read_response(&mut stream).await;
    assert!(response.is_none_or(|response| response.status != 200));
}
