//! Stopping.

use std::time::Duration;

use harkara_core::lane::Lane;
use harkara_testkit::wait_until;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::http::{Request, get, read_response};
use crate::ingress::{Ingress, PATH, SECRET};

const BOUND: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_graceful_stop_turns_unready_and_finishes_what_is_in_flight() {
    let ingress = Ingress::start().await;
    let request = Request::signed(PATH, SECRET, r#"{"event":"order.paid"}"#);
    let bytes = request.bytes();
    let (first, rest) = bytes.split_at(bytes.len() - 5);
    let mut stream = TcpStream::connect(ingress.public).await.unwrap();
    stream.write_all(first).await.unwrap();
    // The request is in flight once another one, sent after it to the same thread, is answered;
    // there are two threads, hence more than one.
    for _ in 0..4 {
        assert_eq!(ingress.deliver("{}").await.status, 200);
    }

    ingress.stop.request();
    let (admin, public) = (ingress.admin, ingress.public);
    wait_until("the ingress is not ready", BOUND, async || {
        get(admin, "/readyz").await.status == 503
    })
    .await;
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
async fn idle_connections_do_not_delay_a_stop() {
    let ingress = Ingress::start().await;
    let request = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";
    let mut idle = TcpStream::connect(ingress.public).await.unwrap();
    idle.write_all(request).await.unwrap();
    idle.readable().await.unwrap();
    let _never_used = TcpStream::connect(ingress.public).await.unwrap();
    ingress.stop.request();
    assert!(ingress.ended().await < BOUND);
}

#[tokio::test]
async fn what_is_not_finished_by_the_deadline_is_dropped() {
    let ingress = Ingress::start_with(&[
        ("ingress.stop_deadline_ms", "1000"),
        ("ingress.body_read_timeout_ms", "60000"),
    ])
    .await;
    let mut stream = TcpStream::connect(ingress.public).await.unwrap();
    let head = Request::new("POST", PATH)
        .header("content-length", "100")
        .head_bytes();
    stream.write_all(&head).await.unwrap();
    for _ in 0..4 {
        assert_eq!(ingress.deliver("{}").await.status, 200);
    }
    ingress.stop.request();
    assert!(ingress.ended().await < BOUND);
    assert!(
        read_response(&mut stream)
            .await
            .is_none_or(|response| response.status != 200)
    );
}
